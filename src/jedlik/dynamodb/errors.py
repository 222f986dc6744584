"""DynamoDB's own errors, and those of its streams: one exception type each.

Sources: the service models in botocore, and "Error handling with DynamoDB" in the developer guide.
"""

from __future__ import annotations

import re

from jedlik.aws.errors import DYNAMODB, ServiceError, ValidationException


class DynamoDBError(ServiceError):
    """An error of DynamoDB alone that refuses a request."""

    namespace = DYNAMODB


class EmptyKeyValueException(ValidationException):
    """An item's value for an attribute of a key, its table's or an index's, is empty.

    For the client it is a ValidationException. It has its own type because DynamoDB refuses a whole transaction for it,
    while other faults in an item cancel the transaction with a reason.
    """

    name = "ValidationException"


class TooDeepException(ValidationException):
    """The value of an attribute is nested too deeply.

    For the client it is a ValidationException. It has its own type because in a transaction the faults of an action's
    expressions come before it.
    """

    name = "ValidationException"


class ResourceNotFoundException(DynamoDBError):
    """No such table, index, stream or backup."""


class PolicyNotFoundException(DynamoDBError):
    """The resource has no policy, or not the one that was expected."""


class ResourceInUseException(DynamoDBError):
    """The resource exists already, or is being changed."""


class TableNotFoundException(DynamoDBError):
    """No such table, from the operations that report it in this way."""


class TableAlreadyExistsException(DynamoDBError):
    """A table that is to be made of a backup exists already."""


class TableInUseException(DynamoDBError):
    """The table is being made or deleted, from the operations on backups."""


class BackupNotFoundException(DynamoDBError):
    """No such backup."""


class BackupInUseException(DynamoDBError):
    """The backup is being made, deleted or restored."""


class PointInTimeRecoveryUnavailableException(DynamoDBError):
    """The table has no recovery to a point in time."""


class InvalidRestoreTimeException(DynamoDBError):
    """The time is not one to which the table can be restored."""


class ExportNotFoundException(DynamoDBError):
    """No such export."""


class ExportConflictException(DynamoDBError):
    """A client token was used again with another export."""


class InvalidExportTimeException(DynamoDBError):
    """The time is not one to which the table can be restored."""


class ImportNotFoundException(DynamoDBError):
    """No such import."""


class ImportConflictException(DynamoDBError):
    """A client token was used again with another import."""


class ContinuousBackupsUnavailableException(DynamoDBError):
    """Backups cannot be made now."""


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


class ConditionalCheckFailedException(DynamoDBError):
    """A write's condition was not met. `fields` may hold the Item that was there."""


class ItemCollectionSizeLimitExceededException(DynamoDBError):
    """An item collection with local indexes would grow past 10 GB."""


class ProvisionedThroughputExceededException(DynamoDBError):
    """More than the provisioned capacity."""


class RequestLimitExceeded(DynamoDBError):
    """More than the account's throughput."""


class TransactionCanceledException(DynamoDBError):
    """A transaction was refused. `fields` holds CancellationReasons."""

    message_member = "Message"


class TransactionConflictException(DynamoDBError):
    """A transaction holds the item."""


class IdempotentParameterMismatchException(DynamoDBError):
    """A client token was used again with another request."""

    message_member = "Message"


class DuplicateItemException(DynamoDBError):
    """A PartiQL INSERT found an item with the same key."""


class ExpiredIteratorException(DynamoDBError):
    """A shard iterator is older than 15 minutes."""


class TrimmedDataAccessException(DynamoDBError):
    """The requested records have been trimmed."""


class DescriptorChanged(Exception):
    """A table is not as it was when an operation was built. Clients never see this."""


_QUOTED_VALUES = re.compile(r"(?<=numeric value): .*|(?<=Input collection )\[.*\] ?", re.DOTALL)


def without_values(message: str) -> str:
    """An error's message for logs and records: without the values of attributes that it quotes."""
    return _QUOTED_VALUES.sub("", message)
