"""DynamoDB's refusals of a statement: the texts that more than one module of this package needs."""

from __future__ import annotations

from jedlik.aws.errors import ValidationException

NO_KEY = "Where clause does not contain a mandatory equality on all key attributes"
ALIASING = "Aliasing is not supported"
ONE_SOURCE = "Only select from a single table or index is supported."
UNEXPECTED_SOURCE = "Unexpected from source"
EMPTY_COMPONENT = "Path component cannot be an empty string"
EXISTS_OUTSIDE = "EXISTS can only be used in ExecuteTransaction write requests."
PARAMETER_COUNT = "Number of parameters in request and statement don't match."


def malformed(detail: str = "") -> ValidationException:
    """The refusal of a text that is no statement. DynamoDB gives no detail for a fault inside a token."""
    return ValidationException(f"Statement wasn't well formed, can't be processed: {detail}")


def invalid(message: str) -> ValidationException:
    """The refusal of a statement that is well formed but requests something impossible."""
    return ValidationException(message)
