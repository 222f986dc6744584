"""AWS JSON 1.0 in DynamoDB's form: the answer repeats the content type of the request, errors have their namespaces,
and each operation checks the shape of its requests itself (`Operation.validate`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from jedlik.aws import answers
from jedlik.aws.errors import SerializationException, ServiceError, UnknownOperationException
from jedlik.aws.stored_items import json_of

CONTENT_TYPES = {answers.JSON_1_0: answers.JSON_1_0, answers.JSON: answers.JSON}
"""The content types that carry an operation, each with that of the answer."""


def parsed_json(body: bytes) -> Any:
    """The value in a body of JSON; None for an empty one. Raises SerializationException."""
    if not body:
        return None
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise SerializationException("") from error


class DynamoDBCodec:
    """Has no model and no state: DynamoDB, its streams and the service of peers share one."""

    default = answers.JSON
    headers = b""

    def content_type(self, given: bytes) -> bytes | None:
        """That of the request, without parameters."""
        return CONTENT_TYPES.get(given) or CONTENT_TYPES.get(given.partition(b";")[0].strip())

    def operation_of(self, parsed: Any) -> str:
        """Raises UnknownOperationException: a target must name the operation."""
        raise UnknownOperationException("")

    parsed = staticmethod(parsed_json)

    def checked(self, operation: str, parsed: Any) -> dict[str, Any]:
        """For operations that do not check by themselves."""
        if not isinstance(parsed, dict):
            raise SerializationException("")
        return parsed

    def answer(self, operation: str, result: Mapping[str, Any] | None, request_id: str) -> bytes:
        """The result as JSON; nothing for none."""
        return json_of(result) if result is not None else b""

    def error(self, error: ServiceError, request_id: str) -> tuple[int, bytes, bytes]:
        """The error as JSON."""
        return error.status, b"", answers.error_body(error)


CODEC = DynamoDBCodec()
