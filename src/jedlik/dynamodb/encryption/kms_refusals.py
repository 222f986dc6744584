"""What DynamoDB answers where KMS refuses the key of a table: KMS's exception within one of DynamoDB's own.

The texts are DynamoDB's answers.
"""

from __future__ import annotations

import uuid

from jedlik.aws.errors import AccessDeniedException, InternalServerError, ServiceError, ValidationException

AWAY = "KMS internal error: KMS does not answer"
_GONE = "NotFoundException"
_DISABLED = "DisabledException"
_DENIED = "AccessDeniedException"
_INVALID = (_GONE, "InvalidArnException", "KMSInvalidStateException")


class KeyRefused(ValidationException):
    """The key of a table cannot be used. For the client it is a ValidationException."""

    name = "ValidationException"


class KeyGone(KeyRefused):
    """The key has been deleted: nothing will ever open what it has sealed."""

    name = "ValidationException"


class KeyDenied(AccessDeniedException):
    """The key of a table may not be used. For the client it is an AccessDeniedException."""

    name = "AccessDeniedException"


def refusal(name: str, message: str, region: str | None = None) -> ServiceError:
    """DynamoDB's exception for one of KMS's. `region` is the region of a replica for which another one asks."""
    where = "" if region is None else f" for region {region}"
    if name == _DENIED:
        return KeyDenied(f"KMS key access denied error{where}: {_quoted('AWSKMSException', name, message)}")
    if name == _DISABLED:
        return KeyRefused(f"KMS key disabled error{where}: {_quoted(name, name, message)}", bare=True)
    if name in _INVALID:
        made = KeyGone if name == _GONE else KeyRefused
        return made(f"KMS validation error{where}: {_quoted(name, name, message)}", bare=True)
    return InternalServerError(f"KMS internal error{where}: {_quoted('AWSKMSException', name, message)}")


def _quoted(kind: str, name: str, message: str) -> str:
    details = f"Service: AWSKMS; Status Code: 400; Error Code: {name}; Request ID: {uuid.uuid4()}; Proxy: null"
    return f"com.amazonaws.services.kms.model.{kind}: {message} ({details})"
