"""Codecs read botocore's requests, botocore reads their answers, and refusals are in the protocol's form."""

from __future__ import annotations

import math
from typing import Any
from urllib.parse import urlencode

import botocore.session
import pytest
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from jedlik.aws.errors import (
    InternalServerError,
    InvalidSignatureException,
    SerializationException,
    ServiceError,
    UnknownOperationException,
    UnrecognizedClientException,
)
from jedlik.aws.protocols.codecs import CborCodec, JsonCodec, QueryCodec
from jedlik.aws.protocols.ec2_query import Ec2Codec
from jedlik.aws.shapes import service_model


class InvalidParameterException(ServiceError):
    """The service's error for a request that breaks a shape."""


SESSION = botocore.session.get_session()
TAGGING, STS = "resourcegroupstaggingapi", "sts"
JSON = JsonCodec(TAGGING, "2017-01-26", InvalidParameterException)
CBOR = CborCodec(TAGGING, "2017-01-26", InvalidParameterException)
QUERY = QueryCodec(STS, "2011-06-15")
Codec = JsonCodec | CborCodec | QueryCodec
PROTOCOLS = [(JSON, "json"), (CBOR, "smithy-rpc-v2-cbor")]


def sent(service: str, protocol: str, operation: str, **request: Any) -> bytes:
    """The body that botocore sends."""
    model = SESSION.get_service_model(service).operation_model(operation)
    body = create_serializer(protocol).serialize_to_request(request, model)["body"]
    return body if isinstance(body, bytes) else (urlencode(body) if isinstance(body, dict) else body).encode()


def read(service: str, protocol: str, operation: str, status: int, body: bytes) -> dict[str, Any]:
    """botocore's reading of an answer."""
    output = SESSION.get_service_model(service).operation_model(operation).output_shape
    headers = {"smithy-protocol": "rpc-v2-cbor"} if "cbor" in protocol else {}
    answer = create_parser(protocol).parse({"body": body, "headers": headers, "status_code": status}, output)
    answer.pop("ResponseMetadata")
    found: dict[str, Any] = answer
    return found


REQUEST = {
    "TagFilters": [{"Key": "ü", "Values": ["a", ""]}],
    "ResourcesPerPage": 7,
    "ResourceTypeFilters": ["dynamodb"],
    "IncludeComplianceDetails": False,
}


@pytest.mark.parametrize(("codec", "protocol"), PROTOCOLS)
def test_requests_of_botocore_are_read(codec: JsonCodec | CborCodec, protocol: str) -> None:
    body = sent(TAGGING, protocol, "GetResources", **REQUEST)
    assert codec.checked("GetResources", codec.parsed(body)) == REQUEST
    assert codec.checked("GetTagKeys", codec.parsed(b"")) == {}


@pytest.mark.parametrize(("codec", "protocol"), PROTOCOLS)
def test_botocore_reads_answers(codec: JsonCodec | CborCodec, protocol: str) -> None:
    result = {
        "PaginationToken": "",
        "ResourceTagMappingList": [{"ResourceARN": "arn", "Tags": [{"Key": "ü", "Value": "a"}]}],
    }
    assert read(TAGGING, protocol, "GetResources", 200, codec.answer("GetResources", result, "an-id")) == result
    assert read(TAGGING, protocol, "GetTagKeys", 200, codec.answer("GetTagKeys", None, "an-id")) == {}


@pytest.mark.parametrize(("codec", "protocol"), PROTOCOLS)
@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (InvalidParameterException("wrong ü"), 400, "InvalidParameterException"),
        (InvalidSignatureException("wrong ü"), 400, "InvalidSignatureException"),
        (InternalServerError("wrong ü"), 500, "InternalServerError"),
    ],
)
def test_botocore_reads_refusals(
    codec: JsonCodec | CborCodec, protocol: str, error: ServiceError, status: int, code: str
) -> None:
    answered, _, body = codec.error(error, "an-id")
    assert answered == status
    assert read(TAGGING, protocol, "GetResources", status, body)["Error"] == {"Code": code, "Message": "wrong ü"}


@pytest.mark.parametrize("codec", [JSON, CBOR])
def test_a_broken_shape_is_the_services_own_error(codec: JsonCodec | CborCodec) -> None:
    with pytest.raises(InvalidParameterException) as caught:
        codec.checked("GetTagValues", {})
    assert caught.value.message == (
        "1 validation error detected: Value null at 'key' failed to satisfy constraint: Member must not be null"
    )
    with pytest.raises(InvalidParameterException, match="length less than or equal to 20"):
        codec.checked("TagResources", {"ResourceARNList": ["arn"] * 21, "Tags": {"a": "b"}})
    with pytest.raises(SerializationException):
        codec.checked("GetResources", {"ResourcesPerPage": "x"})


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_infinity_and_nan_are_neither_whole_numbers_nor_times(number: float) -> None:
    with pytest.raises(SerializationException, match="DECIMAL_VALUE cannot be converted to Integer"):
        CBOR.checked("GetResources", {"ResourcesPerPage": number})
    with pytest.raises(SerializationException, match="DECIMAL_VALUE cannot be converted to Date"):
        CborCodec("cloudwatch", "2010-08-01").checked("DescribeAlarmHistory", {"StartDate": number})


@pytest.mark.parametrize("body", [b"{", b"\xff", b"\x9f", b"[1,"])
def test_what_is_neither(body: bytes) -> None:
    for codec in (JSON, CBOR):
        with pytest.raises(SerializationException):
            codec.parsed(body)


def test_content_types() -> None:
    for given in (b"", b"application/x-amz-json-1.1", b"Application/X-AMZ-JSON-1.1; charset=utf-8"):
        assert JSON.content_type(given) == b"application/x-amz-json-1.1"
    assert JSON.content_type(b"text/plain") is None
    assert CBOR.content_type(b"application/cbor") == b"application/cbor"
    assert CBOR.content_type(b"application/json") is None
    assert QUERY.content_type(b"application/x-www-form-urlencoded; charset=utf-8") == b"text/xml"
    assert QUERY.content_type(b"") is None


# The query protocol


def test_the_action_is_in_the_form() -> None:
    body = sent(STS, "query", "GetAccessKeyInfo", AccessKeyId="AKIAIOSFODNN7EXAMPLE")
    parsed = QUERY.parsed(body)
    assert QUERY.operation_of(parsed) == "GetAccessKeyInfo"
    assert QUERY.checked("GetAccessKeyInfo", parsed) == {"AccessKeyId": "AKIAIOSFODNN7EXAMPLE"}
    assert QUERY.checked("GetCallerIdentity", QUERY.parsed(sent(STS, "query", "GetCallerIdentity"))) == {}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"Action=Fly&Version=2011-06-15", "Could not find operation Fly for version 2011-06-15"),
        (
            b"Action=GetCallerIdentity&Version=2010-01-01",
            "Could not find operation GetCallerIdentity for version 2010-01-01",
        ),
    ],
)
def test_a_missing_action(body: bytes, message: str) -> None:
    with pytest.raises(UnknownOperationException) as caught:
        QUERY.operation_of(QUERY.parsed(body))
    status, _, answer = QUERY.error(caught.value, "an-id")
    found = read(STS, "query", "GetCallerIdentity", status, answer)
    assert (status, found["Error"]["Code"], found["Error"]["Message"]) == (400, "InvalidAction", message)


@pytest.mark.parametrize(
    ("error", "status", "code", "kind"),
    [
        (InvalidSignatureException("text"), 403, "SignatureDoesNotMatch", "Sender"),
        (UnrecognizedClientException("text"), 403, "InvalidClientTokenId", "Sender"),
        (SerializationException("text"), 400, "MalformedInput", "Sender"),
        (InternalServerError("text"), 500, "InternalFailure", "Receiver"),
    ],
)
def test_errors_common_to_all_services_have_other_names(error: ServiceError, status: int, code: str, kind: str) -> None:
    answered, _, body = QUERY.error(error, "an-id")
    found = read(STS, "query", "GetCallerIdentity", answered, body)
    assert answered == status
    assert found["Error"] == {"Type": kind, "Code": code, "Message": "text"}


def test_a_broken_shape_is_a_validation_error() -> None:
    with pytest.raises(ServiceError) as caught:
        QUERY.checked("GetAccessKeyInfo", {"AccessKeyId": "AKIA-!"})
    status, _, body = QUERY.error(caught.value, "an-id")
    found = read(STS, "query", "GetAccessKeyInfo", status, body)["Error"]
    assert (status, found["Code"]) == (400, "ValidationError")
    assert found["Message"].startswith(
        "2 validation errors detected: Value 'AKIA-!' at 'accessKeyId' failed to satisfy"
    )


def test_what_begins_with_an_endpoint_reads_the_model_of_ec2_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    whole = service_model.read

    def counted(service: str, version: str | None = None) -> dict[str, Any]:
        read.append(service)
        return whole(service, version)

    monkeypatch.setattr(service_model, "read", counted)
    codec = Ec2Codec(("DescribeVpcEndpoints",))
    for _ in range(2):
        assert codec.operation_of({"Action": "DescribeVpcEndpoints"}) == "DescribeVpcEndpoints"
        assert codec.checked("DescribeVpcEndpoints", {"Action": "DescribeVpcEndpoints"}) == {}
    assert read == ["ec2"]
