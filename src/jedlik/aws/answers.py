"""Answers as they go on the wire: errors in DynamoDB's form, and the headers that every answer has."""

from __future__ import annotations

import secrets
import zlib
from collections.abc import Iterator

from jedlik.aws.errors import InternalServerError, ServiceError
from jedlik.aws.stored_items import json_of
from jedlik.wire.messages import Response

JSON_1_0 = b"application/x-amz-json-1.0"
JSON = b"application/json"
TEXT = b"text/plain"
XML = b"application/xml"

NOT_AN_OPERATION = b"<UnknownOperationException/>\n"
"""The body of DynamoDB's 404 for requests that are not even AWS JSON."""

FAULT = InternalServerError("Internal server error")
"""The refusal for a fault of ours, which is in the log."""

REQUEST_ID_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
REQUEST_ID_LENGTH = 52
COUNTER_LENGTH = 16
ENDINGS = [f"{number:02X}" for number in range(256)]
"""The counter's last two digits."""


def request_ids() -> Iterator[str]:
    """Request ids in the form of DynamoDB's, no two equal: random digits, some of which count up."""
    process = "".join(secrets.choice(REQUEST_ID_DIGITS) for _ in range(REQUEST_ID_LENGTH - COUNTER_LENGTH))
    number = secrets.randbits(4 * COUNTER_LENGTH - 1) >> 8
    while True:
        number += 1
        start = f"{process}{number:014X}"
        for ending in ENDINGS:
            yield start + ending


def error_body(error: ServiceError) -> bytes:
    """The JSON of an error."""
    body = {"__type": error.namespace + error.name, **error.fields}
    if error.message or not error.is_silent:
        # A failed condition uses one name without the item and the other with it.
        body["Message" if "Item" in error.fields else error.message_member] = error.message
    return json_of(body)


def response(status: int, content_type: bytes, body: bytes, request_id: str, more: bytes = b"") -> Response:
    """An answer with the headers that every answer has, and `more` header lines."""
    headers = b"Content-Type: %b\r\nx-amzn-RequestId: %b\r\nx-amz-crc32: %d\r\n%b" % (
        content_type,
        request_id.encode(),
        zlib.crc32(body),
        more,
    )
    return Response(status, headers, body)
