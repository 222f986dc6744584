"""The errors of the Resource Groups Tagging API, as its service model lists them."""

from __future__ import annotations

from jedlik.aws.errors import ServiceError


class ConstraintViolationException(ServiceError):
    """The request needs an organization with tag policies, and Jedlik has no organizations."""


class InvalidParameterException(ServiceError):
    """A parameter is missing, malformed or out of range."""


class PaginationTokenExpiredException(ServiceError):
    """The token is older than 15 minutes."""
