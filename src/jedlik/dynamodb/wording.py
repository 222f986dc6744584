"""How each operation words what is wrong with a request, as AWS does in one region and at one time.

AWS moves its operations from an older checker of requests to a newer one, which words rules on values differently
(`ValidationException` has both texts), and puts "1 validation error detected: " before the faults that it finds in
writes of one item. What comes from behind the checker is told as it always was: all that depends on the table, and what
is wrong with an attribute value as such. So is what the shape of the request breaks (`shapes`), which is complete.

To follow AWS on is to change this page: the region and date, and who uses which checker. The tests that pin the texts
name where and when each was recorded.

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
"""The text that a client gets of a refusal."""


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
"""The operations that AWS has moved to the newer checker. Scan, BatchWriteItem and the transactions it has not; of
PartiQL nothing is known."""

DEEPEST = 62
"""Levels of maps and lists in a request to the newer checker. With more of them AWS leaves it to the older one."""
