"""The errors of AWS STS that are answered here.

Source: "Common Errors" in the API reference.
"""

from __future__ import annotations

from typing import ClassVar

from jedlik.aws.errors import DynamoDBError


class STSError(DynamoDBError):
    """An answer that refuses a request to this service."""

    namespace: ClassVar[str] = ""


class InvalidClientTokenId(STSError):
    """There is no such access key."""

    status = 403
