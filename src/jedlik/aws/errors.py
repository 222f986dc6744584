"""DynamoDB's errors: one exception type each, raised anywhere, put on the wire in one place (`aws.answers`).

Sources: the service models in botocore, and "Error handling with DynamoDB" in the developer guide.
"""

from __future__ import annotations

from typing import Any, ClassVar

DYNAMODB = "com.amazonaws.dynamodb.v20120810#"
CORAL = "com.amazon.coral.service#"
CORAL_VALIDATE = "com.amazon.coral.validate#"


class DynamoDBError(Exception):
    """An answer that refuses a request. `message` is the text a client sees; `fields` join it in the body."""

    status: ClassVar[int] = 400
    namespace: ClassVar[str] = DYNAMODB
    name: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        if "name" not in cls.__dict__:
            cls.name = cls.__name__

    def __init__(self, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields


class ValidationException(DynamoDBError):
    """The request breaks a rule.

    AWS has two checkers of requests, an older and a newer one, and moves its operations from the one to the other. They
    word some rules differently: `message` is the older one's text and `newer` the other's. Which of them an operation
    uses, and what it puts around the text, is in `dynamodb.wording`.
    """

    namespace = CORAL_VALIDATE

    def __init__(self, message: str, newer: str | None = None, *, bare: bool = False) -> None:
        super().__init__(message)
        self.newer = message if newer is None else newer
        self.bare = bare
        """Nothing is put around the text, whatever the operation: it is complete, or comes from behind the checker."""


class EmptyKeyValueException(ValidationException):
    """What an item has for an attribute of a key, its table's or an index's, is empty.

    A ValidationException to the client. A type of its own, because DynamoDB refuses a whole transaction for it, where
    other faults in an item cancel the transaction with a reason.
    """

    name = "ValidationException"


class TooDeepException(ValidationException):
    """What is in an attribute is nested too deeply.

    A ValidationException to the client. A type of its own, because in a transaction what is wrong with an action's
    expressions goes before it.
    """

    name = "ValidationException"


class SerializationException(DynamoDBError):
    """The body is not JSON, or a member of it is not of its type."""

    namespace = CORAL


class UnknownOperationException(DynamoDBError):
    """The target names no operation."""

    namespace = CORAL


class MissingAuthenticationTokenException(DynamoDBError):
    """The request is not signed at all."""

    namespace = CORAL


class IncompleteSignatureException(DynamoDBError):
    """The signature lacks a part or is malformed."""

    namespace = CORAL


class UnrecognizedClientException(DynamoDBError):
    """The access key is unknown."""

    namespace = CORAL


class InvalidSignatureException(DynamoDBError):
    """The signature does not match, is expired, or is for another scope."""

    namespace = CORAL


class ExpiredTokenException(DynamoDBError):
    """The temporary credentials are past their time."""

    namespace = CORAL


class AccessDeniedException(DynamoDBError):
    """The caller may not do this."""

    namespace = CORAL


class ResourceNotFoundException(DynamoDBError):
    """No such table, index, stream or backup."""


class ResourceInUseException(DynamoDBError):
    """The resource exists already, or is being changed."""


class TableNotFoundException(DynamoDBError):
    """No such table, from the operations that say it in this way."""


class GlobalTableNotFoundException(DynamoDBError):
    """No such global table, from the operations of 2017."""


class GlobalTableAlreadyExistsException(DynamoDBError):
    """The table has replicas already, from the operations of 2017."""


class ReplicaNotFoundException(DynamoDBError):
    """The region has no replica, from the operations of 2017."""


class ReplicaAlreadyExistsException(DynamoDBError):
    """The region has a replica already, from the operations of 2017."""


class IndexNotFoundException(DynamoDBError):
    """No such index, from the operations of 2017."""


class LimitExceededException(DynamoDBError):
    """Too much at once, or too often."""


class ConditionalCheckFailedException(DynamoDBError):
    """A write's condition was not met. `fields` may hold the Item that was there."""


class ItemCollectionSizeLimitExceededException(DynamoDBError):
    """An item collection with local indexes would grow past 10 GB."""


class ProvisionedThroughputExceededException(DynamoDBError):
    """More than the provisioned capacity."""


class ThrottlingException(DynamoDBError):
    """Too many requests."""

    namespace = CORAL


class RequestLimitExceeded(DynamoDBError):
    """More than the account's throughput."""


class TransactionCanceledException(DynamoDBError):
    """A transaction was refused. `fields` holds CancellationReasons."""


class TransactionConflictException(DynamoDBError):
    """A transaction holds the item."""


class TransactionInProgressException(DynamoDBError):
    """The same transaction is already being worked on."""


class IdempotentParameterMismatchException(DynamoDBError):
    """A client token was used again with another request."""


class DuplicateItemException(DynamoDBError):
    """A PartiQL INSERT found an item with the same key."""


class ExpiredIteratorException(DynamoDBError):
    """A shard iterator is older than 15 minutes."""


class TrimmedDataAccessException(DynamoDBError):
    """The records asked for are gone."""


class InternalServerError(DynamoDBError):
    """A fault of ours."""

    status = 500


class ServiceUnavailable(DynamoDBError):
    """Too busy, or stopping; try again."""

    status = 503
    namespace = CORAL


class DescriptorChanged(Exception):
    """A table is not as it was when an operation was built. Never seen outside."""
