"""The errors of AWS STS that Jedlik returns.

Source: "Common Errors" in the API reference.
"""

from __future__ import annotations

from jedlik.aws.errors import ServiceError


class InvalidClientTokenId(ServiceError):
    """There is no such access key."""

    status = 403


class ValidationError(ServiceError):
    """The request breaks a rule, or wants what is not done here."""
