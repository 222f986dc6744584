"""The words of each operation for the faults of a request, as AWS has them in one region and at one time.

AWS moves its operations from an older checker of requests to a newer one. The newer one words rules on values
differently (`ValidationException` has both texts), and puts "1 validation error detected: " before the faults that it
finds in writes of one item. Later errors keep their old words: all that depend on the table, and those about an
attribute value as such. So do broken rules of the request's shape (`shapes`), which are reported completely.

To follow AWS, change this page: the region and date, and which operation uses which checker. The tests that pin the
texts name the place and the time of each recording.

Source: the recordings of the public Parity Suite (paritysuite/dynamodb-conformance), of us-east-1.
"""

from __future__ import annotations

from collections.abc import Callable

from jedlik.aws.errors import ValidationException

REGION = "us-east-1"
"""The region whose answers are followed where they differ."""
RECORDED = "2026-10-09"
"""The date of the recordings that are followed."""

Wording = Callable[[ValidationException], str]
"""The text of a refusal that a client gets."""


def older(refusal: ValidationException) -> str:
    """The words of the older checker."""
    return refusal.message


def newer(refusal: ValidationException) -> str:
    """The words of the newer checker."""
    return refusal.newer


def counted(refusal: ValidationException) -> str:
    """The words of the newer checker, with the number of faults, which is one: it stops at the first."""
    return refusal.newer if refusal.bare else f"1 validation error detected: {refusal.newer}"


OF_OPERATIONS: dict[str, Wording] = {
    "PutItem": counted,
    "UpdateItem": counted,
    "DeleteItem": counted,
    "GetItem": newer,
    "BatchGetItem": newer,
    "Query": newer,
}
"""The operations that AWS has moved to the newer checker. Scan, BatchWriteItem and the transactions are not among them;
about PartiQL nothing is known."""

DEEPEST = 62
"""The most levels of maps and lists in a request to the newer checker. AWS leaves deeper ones to the older one."""
