"""Every operation and error of some services, against botocore's own serializers and parsers.

Bodies that botocore writes from generated input are read as that input, and botocore reads generated output as written
here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import urlencode

import botocore.session
import pytest
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from jedlik.aws.errors import ServiceError
from jedlik.aws.protocols import query_forms
from jedlik.aws.protocols.codecs import CborCodec, JsonCodec, QueryCodec
from jedlik.aws.protocols.wire_models import wire_model
from jedlik.aws.shapes import shapes
from jedlik.aws.shapes.service_shapes import ServiceShapes

Codec = JsonCodec | CborCodec | QueryCodec
VERSIONS = {
    "cloudwatch": "2010-08-01",
    "dax": "2017-04-19",
    "iam": "2010-05-08",
    "kms": "2014-11-01",
    "resourcegroupstaggingapi": "2017-01-26",
    "sts": "2011-06-15",
}
CODECS: dict[str, type[Codec]] = {"json": JsonCodec, "query": QueryCodec, "smithy-rpc-v2-cbor": CborCodec}
SESSION = botocore.session.get_session()
MODELS = {service: SESSION.get_service_model(service) for service in VERSIONS}
SPOKEN = [
    (service, protocol)
    for service, model in MODELS.items()
    for protocol in model.metadata["protocols"]
    if protocol in CODECS
]
OPERATIONS = [(*spoken, operation) for spoken in SPOKEN for operation in sorted(MODELS[spoken[0]].operation_names)]
SERVICE_SHAPES = {service: ServiceShapes(service=service) for service in VERSIONS}
IN_FEW = settings(max_examples=4, deadline=None, database=None, phases=[Phase.generate])
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=5)
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "string": TEXTS,
    "boolean": st.booleans(),
    "integer": st.integers(-(1 << 31), (1 << 31) - 1),
    "long": st.integers(-(1 << 63), (1 << 63) - 1),
    "float": st.floats(allow_nan=False, allow_infinity=False, width=32),
    "double": st.floats(allow_nan=False, allow_infinity=False),
    "timestamp": st.integers(0, 4_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    "blob": st.binary(max_size=5),
}


@cache
def codec_of(service: str, protocol: str) -> Codec:
    return CODECS[protocol](service, VERSIONS[service])


def values(shape: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values of a shape, as botocore has them, without those that a form cannot express, such as an empty structure in
    a list."""
    if shape.type_name == "structure":
        # A form cannot express a structure without members.
        said = {name: of for name, of in shape.members.items() if of.type_name != "structure" or of.members}
        members = {name: st.deferred(lambda of=of: values(of, depth + 1)) for name, of in said.items()}  # type: ignore[misc]
        if depth > 4:
            members = {name: value for name, value in members.items() if shape.members[name].type_name in SCALARS}
        least = 1 if depth and members else 0
        return (
            st.lists(st.sampled_from(sorted(members)), min_size=least, max_size=3, unique=True).flatmap(
                lambda names: st.fixed_dictionaries({name: members[name] for name in names})
            )
            if members
            else st.just({})
        )
    if shape.type_name == "list":
        return st.lists(values(shape.member, depth + 1), min_size=1, max_size=3)
    if shape.type_name == "map":
        return st.dictionaries(TEXTS, values(shape.value, depth + 1), min_size=1, max_size=3)
    return SCALARS[shape.type_name]


def plain(value: Any) -> Any:
    """A value as handlers see it: seconds for moments."""
    match value:
        case datetime():
            return value.timestamp()
        case dict():
            return {name: plain(content) for name, content in value.items()}
        case list():
            return [plain(content) for content in value]
    return value


def sent(protocol: str, operation: Any, request: dict[str, Any]) -> bytes:
    body = create_serializer(protocol, include_validation=False).serialize_to_request(request, operation)["body"]
    return body if isinstance(body, bytes) else (urlencode(body) if isinstance(body, dict) else body).encode()


def read(codec: Codec, service: str, operation: str, body: bytes) -> Any:
    """The input of a body, with the right types, whether or not it keeps the constraints."""
    parsed = codec.parsed(body)
    if isinstance(codec, QueryCodec):
        assert codec.operation_of(parsed) == operation
        model = wire_model(service, VERSIONS[service])
        parsed = query_forms.input_of(model, model.input_shape(operation), parsed)
    return shapes.input_shape(SERVICE_SHAPES[service], operation, codec.is_json).convert(parsed)


def parsed(protocol: str, shape: Any, status: int, body: bytes, headers: bytes = b"") -> dict[str, Any]:
    lines = [line.split(": ", 1) for line in headers.decode().split("\r\n") if line]
    answer = {"body": body, "headers": dict(lines), "status_code": status}
    found: dict[str, Any] = create_parser(protocol).parse(answer, shape)
    return found


@pytest.mark.parametrize(("service", "protocol", "operation"), OPERATIONS)
@given(data=st.data())
@IN_FEW
def test_input_that_botocore_writes_is_read(service: str, protocol: str, operation: str, data: st.DataObject) -> None:
    model = MODELS[service].operation_model(operation)
    if model.input_shape is None:
        assert codec_of(service, protocol).checked(operation, codec_of(service, protocol).parsed(b"")) == {}
        return
    request = data.draw(values(model.input_shape))
    body = sent(protocol, model, request)
    assert read(codec_of(service, protocol), service, operation, body) == plain(request)


@pytest.mark.parametrize(("service", "protocol", "operation"), OPERATIONS)
@given(data=st.data())
@IN_FEW
def test_botocore_reads_output(service: str, protocol: str, operation: str, data: st.DataObject) -> None:
    shape = MODELS[service].operation_model(operation).output_shape
    result = {} if shape is None else data.draw(values(shape))
    codec = codec_of(service, protocol)
    answer = parsed(protocol, shape, 200, codec.answer(operation, plain(result), "an-id"), codec.headers)
    metadata = answer.pop("ResponseMetadata")
    assert answer == result
    if protocol == "query":
        assert metadata["RequestId"] == "an-id"


def errors() -> Iterator[tuple[str, str, str]]:
    for service, protocol in SPOKEN:
        for shape in MODELS[service].error_shapes:
            yield service, protocol, shape.name


@pytest.mark.parametrize(("service", "protocol", "name"), list(errors()))
def test_botocore_reads_the_errors_of_the_model(service: str, protocol: str, name: str) -> None:
    shape = MODELS[service].shape_for(name)
    error = type(name, (ServiceError,), {})("wrong ü <&>")
    status, headers, body = codec_of(service, protocol).error(error, "an-id")
    answer = parsed(protocol, None, status, body, headers)
    code = shape.metadata.get("error", {}).get("code", name)
    is_query = protocol == "query" or "awsQueryCompatible" in MODELS[service].metadata
    assert answer["Error"]["Message"] == "wrong ü <&>"
    assert answer["Error"]["Code"] == (code if is_query else name)
    is_fault = wire_model(service, VERSIONS[service]).shapes[name].get("fault", False)
    assert status == shape.metadata.get("error", {}).get("httpStatusCode", 500 if is_fault else 400)
    if is_query:
        assert answer["Error"]["Type"] == ("Receiver" if status >= 500 else "Sender")


def test_members_of_errors() -> None:
    error = type("DashboardInvalidInputError", (ServiceError,), {})
    validations = [{"DataPath": "/a", "Message": "wrong"}]
    for protocol in ("json", "smithy-rpc-v2-cbor", "query"):
        shape = MODELS["cloudwatch"].shape_for("DashboardInvalidInputError")
        codec = codec_of("cloudwatch", protocol)
        status, headers, body = codec.error(error("text", dashboardValidationMessages=validations), "an-id")
        assert parsed(protocol, shape, status, body, headers)["dashboardValidationMessages"] == validations


def test_json_output_is_as_on_the_wire() -> None:
    """Two exceptions to botocore's output: a moment is a number, and bytes are base64."""
    codec = codec_of("kms", "json")
    key = {"KeyMetadata": {"KeyId": "k", "CreationDate": 1795824000.5, "Enabled": None}}
    assert json.loads(codec.answer("CreateKey", key, "an-id")) == {
        "KeyMetadata": {"KeyId": "k", "CreationDate": 1795824000.5}
    }
    assert json.loads(codec.answer("Decrypt", {"Plaintext": b"\xff\x00"}, "an-id")) == {"Plaintext": "/wA="}
