"""Codecs made from service models: any body is an input of its shape, or is refused in the service's words."""

from __future__ import annotations

from xml.etree import ElementTree

import orjson

from fuzz.choices import Choices
from fuzz.service import Finding
from jedlik.aws.errors import ServiceError
from jedlik.aws.protocols import cbor_values
from jedlik.aws.protocols.codecs import CborCodec, JsonCodec, QueryCodec
from jedlik.aws.shapes import service_model

TAGGING, STS, MONITORING = (
    ("resourcegroupstaggingapi", "2017-01-26"),
    ("sts", "2011-06-15"),
    ("cloudwatch", "2010-08-01"),
)
AnyCodec = CborCodec | JsonCodec | QueryCodec

JSON = (JsonCodec(*TAGGING),)
CBOR = (CborCodec(*TAGGING), CborCodec(*MONITORING))
QUERY = (QueryCodec(*STS), QueryCodec(*MONITORING))
CODECS: tuple[AnyCodec, ...] = (*JSON, *CBOR, *QUERY)
OPERATIONS = {codec: tuple(sorted(service_model.operation_names(codec._service))) for codec in CODECS}
CBOR_PIECES = (
    *(b"\x00", b"\x18\xff", b"\x1b" + b"\xff" * 8, b"\x3b" + b"\xff" * 8, b"\xf9\x7e\x00", b"\xf9\x7c\x00", b"\xf6"),
    *(b"\xf4", b"\xf7", b"\x80", b"\x81", b"\x9f", b"\xa0", b"\xa1", b"\xa2", b"\xbf", b"\xff", b"\xc1", b"\xc2"),
    *(b"\x40", b"\x42\xff\xfe", b"\x5f", b"\x7f", b"\x60", b"\x61a", b"\x62\xc2\x9b", b"\xbb" + b"\xff" * 8),
    *(cbor_values.encoded(name) for name in ("ResourcesPerPage", "ResourceARNList", "TagFilters", "Key", "Values")),
    *(cbor_values.encoded(name) for name in ("Tags", "Namespace", "MetricData", "Timestamp", "Value", "StartTime")),
)
FORM_PIECES = (
    *(
        b"&",
        b"=",
        b".",
        b"%",
        b"+",
        b";",
        b"Action",
        b"Version",
        b"member",
        b"entry",
        b"1",
        b"999999999",
        b"01",
        b"%00",
    ),
    *(b"AccessKeyId", b"Tags", b"Key", b"Value", b"RoleArn", b"DurationSeconds", b"MetricData", b"Timestamp", b"NaN"),
    *(b"2026-11-28T00:00:00Z", b"0001-01-01T00:00:00+23:59", b"1e999", b"-Infinity", b"%ed%a0%80", b"%ef%bf%bf"),
    *(version.encode() for _, version in (STS, MONITORING)),
)
JSON_PIECES = (
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b'"',
        b"null",
        b"true",
        b"1e308",
        b"18446744073709551615",
        b"-0.0",
        b'"\\u0000"',
    ),
    *(b'"ResourcesPerPage"', b'"ResourceARNList"', b'"TagFilters"', b'"Key"', b'"Values"', b'"Tags"', b'"TagKeys"'),
)


def attempt(data: bytes) -> None:
    """A body for some operation of a service."""
    choices = Choices(data)
    codec = choices.one_of(CODECS)
    operation = choices.one_of(OPERATIONS[codec])
    pieces = CBOR_PIECES if codec in CBOR else FORM_PIECES if codec in QUERY else JSON_PIECES
    parts = [f"Action={operation}&".encode()] if codec in QUERY and choices.below(4) else []
    while choices:
        parts.append(choices.one_of(pieces) if choices.below(4) else choices.short())
    try:
        parsed = codec.parsed(b"".join(parts))
        if codec in QUERY:
            operation = codec.operation_of(parsed)
        checked = codec.checked(operation, parsed)
    except ServiceError as refusal:
        status, _, body = codec.error(refusal, "0")
        _read(codec, body)
        if status >= 500:
            raise Finding(f"{status} for what is the client's fault") from refusal
    else:
        if type(checked) is not dict:
            raise Finding(f"an input that is a {type(checked).__name__}")


def _read(codec: AnyCodec, body: bytes) -> None:
    """Read an answer, which must be well-formed. Raises the parser's errors."""
    if codec in CBOR:
        cbor_values.decoded(body)
    elif codec in JSON:
        orjson.loads(body)
    else:
        ElementTree.fromstring(body)


SEEDS = [
    b"\x00\x00",
    *(bytes((codec, operation)) for codec in range(len(CODECS)) for operation in range(64)),
    *(
        bytes((codec, 3, 13, 1, member, 1, value))
        for codec in (1, 2)
        for member in range(25, len(CBOR_PIECES))
        for value in range(25)
    ),
    *(
        bytes((codec, operation, 1, 1, name, 1, 1, 1, value))
        for codec in (3, 4)
        for operation in range(0, 40, 7)
        for name in range(14, len(FORM_PIECES))
        for value in range(9, len(FORM_PIECES))
    ),
]
