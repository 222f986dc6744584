"""Errors: one exception type each, raised anywhere, put on the wire in one place, a service's codec (`protocols`).

Here are those that every service has. A service's own errors are in its folder; their names are its model's.
`protocols.codecs` has the names of these in the query protocol.

Sources: the service models in botocore; "Common Errors" in the API references; "Error handling with DynamoDB" in the
developer guide.
"""

from __future__ import annotations

from typing import Any, ClassVar

DYNAMODB = "com.amazonaws.dynamodb.v20120810#"
CORAL = "com.amazon.coral.service#"
CORAL_VALIDATE = "com.amazon.coral.validate#"


class ServiceError(Exception):
    """An answer that refuses a request. `message` is the text that a client sees; `fields` join it in the body."""

    status: ClassVar[int] = 400
    namespace: ClassVar[str] = ""
    """The prefix of the name in AWS JSON 1.0."""
    name: ClassVar[str] = ""
    """The name of the class by default."""
    message_member: ClassVar[str] = "message"
    """The name of the text in AWS JSON 1.0."""
    is_silent: ClassVar[bool] = False
    """Whether an empty text is left out in AWS JSON 1.0."""

    def __init_subclass__(cls) -> None:
        if "name" not in cls.__dict__:
            cls.name = cls.__name__

    def __init__(self, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields


class ValidationException(ServiceError):
    """The request breaks a rule.

    AWS has two checkers of requests, an older and a newer one, and moves its operations from the one to the other. They
    word some rules differently: `message` is the older one's text and `newer` the other's. `dynamodb.wording` decides
    which of them an operation uses, and what it puts around the text.
    """

    namespace = CORAL_VALIDATE

    def __init__(self, message: str, newer: str | None = None, *, bare: bool = False) -> None:
        super().__init__(message)
        self.newer = message if newer is None else newer
        self.bare = bare
        """Nothing is put around the text, whatever the operation: it is complete, or is made after the checker."""


class SerializationException(ServiceError):
    """The body is not JSON, or a member of it has the wrong type."""

    namespace = CORAL
    message_member = "Message"
    is_silent = True


class UnknownOperationException(ServiceError):
    """The target names no operation."""

    namespace = CORAL
    is_silent = True


class MissingAuthenticationTokenException(ServiceError):
    """The request is not signed at all."""

    namespace = CORAL


class IncompleteSignatureException(ServiceError):
    """The signature lacks a part or is malformed."""

    namespace = CORAL


class UnrecognizedClientException(ServiceError):
    """The access key is unknown."""

    namespace = CORAL


class InvalidSignatureException(ServiceError):
    """The signature does not match, is expired, or is for another scope."""

    namespace = CORAL


class ExpiredTokenException(ServiceError):
    """The temporary credentials are past their time."""

    namespace = CORAL


class AccessDeniedException(ServiceError):
    """The caller may not do this."""

    namespace = CORAL
    message_member = "Message"
    action = resource = ""
    """What the caller may not do, and to what; for the log."""


class OtherAccount(AccessDeniedException):
    """A request names a resource of another account, in whose store it is. Raised before a handler has done anything.

    The front begins the request again in that store, if the operation allows it (`Operation.across_accounts`).
    """

    name = "AccessDeniedException"

    def __init__(self, account: str) -> None:
        super().__init__("Access is denied")
        self.account = account
        """Twelve digits."""


class LimitExceededException(ServiceError):
    """Too much at once, or too often."""

    namespace = DYNAMODB


class ThrottlingException(ServiceError):
    """Too many requests."""

    namespace = CORAL


class InternalServerError(ServiceError):
    """A fault of ours."""

    status = 500
    namespace = DYNAMODB


class ServiceUnavailable(ServiceError):
    """Too busy, or stopping; try again."""

    status = 503
    namespace = CORAL
