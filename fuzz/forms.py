"""Bodies of the query protocol and of CBOR: each is accepted as an input, or refused with the service's own error in
well-formed XML.

An accepted form is written again as a form, and must read the same. It is for the operation that it names, otherwise
for one with much to get wrong.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

from fuzz.service import Finding
from jedlik.aws.errors import ServiceError
from jedlik.aws.protocols import query_forms
from jedlik.aws.protocols.codecs import CborCodec, QueryCodec
from jedlik.aws.protocols.query_forms import Malformed, WrongValue
from jedlik.aws.protocols.wire_models import wire_model

MODELS = {
    name: wire_model(*name) for name in (("sts", "2011-06-15"), ("iam", "2010-05-08"), ("cloudwatch", "2010-08-01"))
}
CODECS = {name: QueryCodec(*name) for name in MODELS}
OTHERWISE = {"sts": "AssumeRole", "iam": "CreateRole", "cloudwatch": "PutMetricData"}
"""The operation for a form that names none."""
TAGGING = CborCodec("resourcegroupstaggingapi", "2017-01-26")


class FarMoment(Exception):
    """A moment of the first or the last day of the calendar, or with more digits than a calendar has."""


def attempt(data: bytes) -> None:
    """A body, to each service."""
    for name in CODECS:
        _form(name, data)
    _refused_or_not(TAGGING, "GetResources", data)


def _form(name: tuple[str, str], data: bytes) -> None:
    codec, model = CODECS[name], MODELS[name]
    operation = _refused_or_not(codec, OTHERWISE[name[0]], data)
    shape = model.input_shape(operation)
    try:
        found = query_forms.input_of(model, shape, query_forms.fields(data))
    except (Malformed, WrongValue):
        return
    if shape is not None and _can_be_said(found):
        try:
            again = dict(_fields(model.shapes, shape, "", found))
        except FarMoment:
            return
        if len(again) < query_forms.MOST_FIELDS and _is_other(query_forms.input_of(model, shape, again), found):
            raise Finding(f"{found} is {urlencode(again)}, and not read as that")


def _refused_or_not(codec: QueryCodec | CborCodec, operation: str, data: bytes) -> str:
    """The operation that the form names."""
    try:
        parsed = codec.parsed(data)
        if isinstance(codec, QueryCodec):
            codec.checked(operation, dict(parsed))
            operation = codec.operation_of(parsed)
        codec.checked(operation, parsed)
    except ServiceError as refusal:
        status, _, body = codec.error(refusal, "an-id")
        if status != 400:
            raise Finding(f"{data!r} is refused with {status}") from refusal
        if isinstance(codec, QueryCodec):
            ElementTree.fromstring(body)
    return operation


def _can_be_said(value: Any) -> bool:
    """Whether a form can express a value. It cannot express an empty collection inside another, or an empty
    structure."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return all(one not in ({}, []) and _can_be_said(one) for one in inner)


def _is_other(value: Any, than: Any) -> bool:
    return repr(value) != repr(than)  # Not a number is not itself.


def _moment(seconds: float) -> str:
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError):
        raise FarMoment from None
    if moment.timestamp() != seconds:
        raise FarMoment
    return moment.isoformat()


def _fields(shapes: dict[str, Any], shape: str, path: str, value: Any) -> Iterator[tuple[str, str]]:
    """The fields of a form for a value."""
    definition = shapes[shape]
    dot = f"{path}." if path else ""
    match definition["type"]:
        case "structure":
            for member, content in value.items():
                yield from _fields(shapes, definition["members"][member]["shape"], dot + member, content)
        case "list":
            for number, content in enumerate(value, 1):
                yield from _fields(shapes, definition["member"]["shape"], f"{dot}member.{number}", content)
        case "map":
            for number, (key, content) in enumerate(value.items(), 1):
                yield f"{dot}entry.{number}.key", key
                yield from _fields(shapes, definition["value"]["shape"], f"{dot}entry.{number}.value", content)
        case "blob":
            yield path, b64encode(value).decode()
        case "boolean":
            yield path, str(value).lower()
        case "float" | "double":
            yield path, {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}.get(str(value), str(value))
        case "timestamp":
            yield path, _moment(value)
        case _:
            yield path, str(value)


SEEDS = [
    b"",
    b"Action=GetCallerIdentity&Version=2011-06-15",
    b"Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fx&RoleSessionName=me"
    b"&DurationSeconds=900&Tags.member.1.Key=a&Tags.member.1.Value=b&TransitiveTagKeys.member.1=a&PolicyArns=",
    b"Action=CreateRole&Version=2010-05-08&RoleName=x&AssumeRolePolicyDocument=%7B%7D&Tags.member.2.Key=%FC",
    b"Action=CreateLoginProfile&Version=2010-05-08&Password=&UserName=me&PasswordResetRequired=true",
    b"Action=PutMetricData&Version=2010-08-01&Namespace=n&MetricData.member.1.MetricName=m&MetricData.member.1.Value=1e3"
    b"&MetricData.member.1.Dimensions.member.1.Name=a&MetricData.member.1.Values.member.1=NaN"
    b"&MetricData.member.1.Timestamp=2026-11-28T00:00:00Z",
    b"Tags=a&Tags.member.1=b&Tags.member.1.Key=c&Tags.1=d&Tags.member.01.Key=e",
    b"\xa1\x6aTagFilters\x81\xa1\x63Key\x61a",
    b"\xa1\x70ResourcesPerPage\xc1\xfb\x41\xda\xc2\x86\x60\x20\x00\x00",
]
