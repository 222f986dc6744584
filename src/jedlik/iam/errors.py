"""IAM's errors. Their codes and statuses are in its model.

Source: the API reference; the texts are IAM's.
"""

from __future__ import annotations

from jedlik.aws.errors import ServiceError


class NoSuchEntityException(ServiceError):
    """There is no such user, role, policy or key."""

    status = 404


class EntityAlreadyExistsException(ServiceError):
    """There is one of that name."""

    status = 409


class DeleteConflictException(ServiceError):
    """Something else still needs it."""

    status = 409


class LimitExceededException(ServiceError):
    """The account has as many as it may have."""

    status = 409


class MalformedPolicyDocumentException(ServiceError):
    """A document is no policy."""


class InvalidInputException(ServiceError):
    """The request breaks a rule that its shape cannot state."""


class PasswordPolicyViolationException(ServiceError):
    """A password breaks the account's rules."""


class InvalidUserTypeException(ServiceError):
    """Somebody asks for it who is no user."""


class EntityTemporarilyUnmodifiableException(ServiceError):
    """Somebody else is changing it at this moment."""

    status = 409


class ValidationError(ServiceError):
    """The request breaks a rule of its shape."""


class AccessDenied(ServiceError):
    """It belongs to another account."""

    status = 403


class PackedPolicyTooLargeException(ServiceError):
    """The policies and tags of a session take too much room in its token."""


class InvalidIdentityTokenException(ServiceError):
    """A web identity token is not one that its issuer has signed, or its issuer is not registered."""


class ExpiredTokenException(ServiceError):
    """A web identity token has expired."""


class IDPCommunicationErrorException(ServiceError):
    """The issuer of a web identity token could not be asked for its keys."""


class Throttling(ServiceError):
    """There are too many requests."""
