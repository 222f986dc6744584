"""Errors as DAX sends them: a list of codes, a text, and what DynamoDB would have answered.

The first code is about who is to blame: 1 for a fault of ours that may be tried again, 4 for a client's. Clients find
the exception by the codes, or, where they know none, by DynamoDB's name in the information behind the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jedlik.aws.errors import AccessDeniedException, InternalServerError, ServiceError, ServiceUnavailable
from jedlik.dax import wire_values

OF_CLIENTS, TO_BE_REPEATED = 4, 1
AUTHENTICATION = (OF_CLIENTS, 23, 31, 33)
"""After this, a client sends who it is once more."""
VALIDATION = (OF_CLIENTS, 37, 38, 39, 46)
OF_DYNAMODB = (OF_CLIENTS, 37, 38, 39)
NUMBERS = {
    "ConditionalCheckFailedException": 43,
    "IdempotentParameterMismatchException": 60,
    "ItemCollectionSizeLimitExceededException": 48,
    "LimitExceededException": 49,
    "ProvisionedThroughputExceededException": 40,
    "RequestLimitExceeded": 61,
    "ResourceInUseException": 45,
    "ResourceNotFoundException": 41,
    "ThrottlingException": 50,
    "TransactionCanceledException": 58,
    "TransactionConflictException": 57,
    "TransactionInProgressException": 59,
    "ValidationException": 46,
}
"""The last code, of errors that are a client's, by DynamoDB's name."""
SPECIAL: dict[type[ServiceError], tuple[int, ...]] = {
    AccessDeniedException: (OF_CLIENTS, 37, 38, 42),
    InternalServerError: (TO_BE_REPEATED, 37, 38, 39, 47),
    ServiceUnavailable: (*OF_DYNAMODB, 50),
}


class NotAuthenticated(Exception):
    """It is not known who asks. The message is for the client."""

    def __init__(self, message: str, name: str = "MissingAuthenticationTokenException") -> None:
        super().__init__(message)
        self.name = name
        """What DynamoDB calls it."""


def codes_of(error: ServiceError) -> tuple[int, ...]:
    """The codes of an error that refuses a request."""
    special = SPECIAL.get(type(error))
    if special is not None:
        return special
    number = NUMBERS.get(error.name)
    return VALIDATION if number is None else (*OF_DYNAMODB, number)


def encoded(
    codes: Sequence[int], message: str, request_id: str, name: str, status: int, reasons: Sequence[Any] | None = None
) -> bytes:
    """The answer that refuses a request. `reasons` are three values for each element of a transaction: code, message,
    and the item as CBOR."""
    into = bytearray()
    wire_values.array(len(codes), into)
    for code in codes:
        wire_values.integer(code, into)
    wire_values.text(message, into)
    wire_values.array(3 if reasons is None else 4, into)
    wire_values.text(request_id, into)
    wire_values.text(name, into)
    wire_values.integer(status, into)
    if reasons is not None:
        wire_values.array(len(reasons), into)
        for reason in reasons:
            if reason is None:
                into += wire_values.NULL
            elif isinstance(reason, str):
                wire_values.text(reason, into)
            else:
                into += reason
    return bytes(into)
