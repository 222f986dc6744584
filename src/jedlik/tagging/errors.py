"""The errors of the Resource Groups Tagging API, as its service model lists them."""

from __future__ import annotations

from typing import ClassVar

from jedlik.aws.errors import DynamoDBError


class TaggingError(DynamoDBError):
    """An answer that refuses a request to this service."""

    namespace: ClassVar[str] = ""


class ConstraintViolationException(TaggingError):
    """What is asked for needs an organization with tag policies, which there is none of."""


class InvalidParameterException(TaggingError):
    """A parameter is missing, malformed or out of range."""


class PaginationTokenExpiredException(TaggingError):
    """The token is older than 15 minutes."""
