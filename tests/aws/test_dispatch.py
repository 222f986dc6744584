"""The steps that every request goes through before an operation sees it, and every answer after: over the wire, on a
server."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from testing.dynamodb.definitions import create
from testing.jedlik_process import Server
from testing.raw_http import Answer, Wire, request

AUTHORIZATION = (
    b"Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261123/us-east-1/dynamodb/aws4_request, "
    b"SignedHeaders=host;x-amz-date, Signature=" + b"0" * 64
)
DATE = b"X-Amz-Date: 20261123T120000Z"
SIGNED = (AUTHORIZATION, DATE)
JSON_1_0 = b"Content-Type: application/x-amz-json-1.0"
LIST_TABLES = b"X-Amz-Target: DynamoDB_20120810.ListTables"
PUT_ITEM = b"X-Amz-Target: DynamoDB_20120810.PutItem"
GET_ITEM = b"X-Amz-Target: DynamoDB_20120810.GetItem"
TAG_RESOURCE = b"X-Amz-Target: DynamoDB_20120810.TagResource"

SERIALIZATION = {"__type": "com.amazon.coral.service#SerializationException"}
UNKNOWN_OPERATION = {"__type": "com.amazon.coral.service#UnknownOperationException"}
NOT_AN_OPERATION = b"<UnknownOperationException/>\n"


@pytest.fixture
def wire(server: Server) -> Iterator[Wire]:
    with Wire(server.port) as connection:
        yield connection


def ask(wire: Wire, body: bytes, *headers: bytes, method: bytes = b"POST", target: bytes = b"/") -> Answer:
    wire.send(request(body, *headers, method=method, target=target))
    return wire.receive(head=method == b"HEAD")


def check(answer: Answer, status: int, body: Any) -> None:
    """The answer's status and JSON, after checking what every answer has."""
    assert (answer.status, json.loads(answer.body)) == (status, body)
    check_headers(answer)


def check_headers(answer: Answer) -> None:
    assert re.fullmatch("[0-9A-Z]{52}", answer.headers["x-amzn-requestid"])
    assert int(answer.headers["x-amz-crc32"]) == zlib.crc32(answer.body)


@pytest.fixture(scope="module")
def table(server: Server) -> str:
    """A table with the string key p."""
    server.client().create_table(
        TableName="dispatch",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return "dispatch"


def put(table: str, key: str, **attributes: str) -> bytes:
    item = {name: {"S": value} for name, value in {"p": key, **attributes}.items()}
    return json.dumps({"TableName": table, "Item": item}).encode()


def get(table: str, key: str) -> bytes:
    return json.dumps({"TableName": table, "Key": {"p": {"S": key}}}).encode()


# Malformed requests.


@pytest.mark.parametrize(
    ("method", "target", "headers", "body"),
    [
        (b"OPTIONS", b"/", (), b""),
        (b"PUT", b"/", (JSON_1_0,), b"{}"),
        (b"DELETE", b"/", (), b""),
        (b"PATCH", b"/", (), b""),
        (b"GET", b"/index.html", (), b""),
        (b"POST", b"/path", (JSON_1_0, LIST_TABLES, *SIGNED), b"{}"),
        (b"POST", b"/", (), b"{}"),
        (b"POST", b"/", (b"Content-Type: text/plain",), b"{}"),
        (b"POST", b"/", (b"Content-Type: application/x-amz-json-1.1",), b"{}"),
        (b"POST", b"/", (b"Content-Type: application/jsonasdf",), b"{}"),
    ],
)
def test_a_request_without_an_operation_is_not_found(
    wire: Wire, method: bytes, target: bytes, headers: tuple[bytes, ...], body: bytes
) -> None:
    answer = ask(wire, body, *headers, method=method, target=target)
    assert (answer.status, answer.body) == (404, NOT_AN_OPERATION)
    assert answer.headers["x-amz-crc32"] == "3552371480"
    check_headers(answer)


@pytest.mark.parametrize(
    ("given", "answered"),
    [
        (b"application/x-amz-json-1.0", "application/x-amz-json-1.0"),
        (b"application/x-amz-json-1.0;blahblah", "application/x-amz-json-1.0"),
        (b"application/json", "application/json"),
        (b"application/json;", "application/json"),
        (b"  application/json  ;   asfd", "application/json"),
        (b"application/json;charset=asfdsaf", "application/json"),
    ],
)
def test_the_answer_has_the_content_type_of_the_request(wire: Wire, given: bytes, answered: str) -> None:
    answer = ask(wire, b"hi", b"Content-Type: " + given)
    check(answer, 400, SERIALIZATION)
    assert answer.headers["content-type"] == answered


@pytest.mark.parametrize(
    "body",
    [
        b"hi", b"{", b'{"TableName"', b"{}{}", b"{7}", b'"""', b"\xff", b'{"TableName": "\xff"}', b"NaN",
        b"{" * 100_000, b"[" * 100_000 + b"]" * 100_000,
    ],
)  # fmt: skip
def test_a_body_that_is_not_json_is_refused_first(wire: Wire, body: bytes) -> None:
    check(ask(wire, body, JSON_1_0), 400, SERIALIZATION)


@pytest.mark.parametrize("body", [b"null", b"[]", b"7", b'"x"', b"true", b""])
def test_a_body_that_is_not_an_object_is_refused(wire: Wire, body: bytes) -> None:
    check(ask(wire, body, JSON_1_0, LIST_TABLES, *SIGNED), 400, SERIALIZATION)


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (b"X-Amz-Target: whatever",),
        (b"X-Amz-Target: DynamoDB_20120810.ListTable",),
        (b"X-Amz-Target: DynamoDB_20120810.listTables",),
        (b"X-Amz-Target: DynamoDB_20120810.",),
        (b"X-Amz-Target: DynamoDB_20120810",),
        (b"X-Amz-Target: DynamoDB_20111205.ListTables",),
        (b"X-Amz-Target: ListTables",),
        (b"X-Amz-Target: DynamoDB_20120810.ListTables.x",),
        (LIST_TABLES, LIST_TABLES),
    ],
)
@pytest.mark.parametrize("body", [b"{}", b""])
def test_other_targets_are_unknown_operations(wire: Wire, headers: tuple[bytes, ...], body: bytes) -> None:
    check(ask(wire, body, JSON_1_0, *headers), 400, UNKNOWN_OPERATION)


def test_an_operation_that_is_not_supported_is_refused_by_name(wire: Wire) -> None:
    target = b"X-Amz-Target: DynamoDB_20120810.SearchVectors"
    refusal = {**UNKNOWN_OPERATION, "message": "Jedlik does not support SearchVectors yet"}
    check(ask(wire, b"{}", JSON_1_0, target, *SIGNED), 400, refusal)


# The caller where nothing is verified.


def test_where_nothing_is_verified_a_request_needs_no_signature(start_server: Callable[..., Server]) -> None:
    for regions, served in ((None, "us-east-1"), ("eu-west-1,us-east-1", "eu-west-1")):
        server = start_server(regions=regions)
        create(server.client(region=served), TableName=served)
        with Wire(server.port) as wire:
            answer = ask(wire, b"{}", JSON_1_0, LIST_TABLES)
            assert (answer.status, json.loads(answer.body)) == (200, {"TableNames": [served]})
        server.stop()
        shutil.rmtree(str(server.options["data_dir"]))


@pytest.mark.parametrize(
    ("headers", "error", "text"),
    [
        ((b"Authorization: Basic dTpw",), "MissingAuthenticationToken", "Request is missing Authentication Token"),
        (
            (b"Authorization: AWS4-",),
            "IncompleteSignature",
            "Authorization header requires 'Credential' parameter. "
            "Authorization header requires 'Signature' parameter. "
            "Authorization header requires 'SignedHeaders' parameter. "
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "
            "Authorization=AWS4-",
        ),
        (
            (b"Authorization: AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host, Signature=x", DATE),
            "IncompleteSignature",
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'a/b/c'",
        ),
        (
            (AUTHORIZATION.replace(b"us-east-1", b"us.banana.1"), DATE),
            "InvalidSignature",
            "Credential should be scoped to a valid region, not 'us.banana.1'. A region's name is 1 to 64 letters, "
            "digits, hyphens and underscores, and one of AWS's with --auth on.",
        ),
        (
            (AUTHORIZATION.replace(b"us-east-1", b".."), DATE),
            "InvalidSignature",
            "Credential should be scoped to a valid region, not '..'. A region's name is 1 to 64 letters, digits, "
            "hyphens and underscores, and one of AWS's with --auth on.",
        ),
    ],
)
def test_even_then_the_credential_must_name_a_region(
    wire: Wire, headers: tuple[bytes, ...], error: str, text: str
) -> None:
    refusal = {"__type": f"com.amazon.coral.service#{error}Exception", "message": text}
    check(ask(wire, b"{}", JSON_1_0, LIST_TABLES, *headers), 400, refusal)


def test_each_region_has_its_own_tables(server: Server, table: str) -> None:
    for region in ("eu-central-1", "us-gov-west-1", "cn-northwest-1", "ap-southeast-7"):
        assert table not in server.client(region=region).list_tables()["TableNames"]
    assert table in server.client().list_tables()["TableNames"]


def test_the_query_string_may_name_the_region(server: Server, wire: Wire) -> None:
    target = (
        b"/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID%2F20261123%2Feu-west-3%2Fdynamodb%2Faws4_request"
        b"&X-Amz-Date=20261123T120000Z&X-Amz-Expires=300&X-Amz-SignedHeaders=host&X-Amz-Signature=abc"
    )
    there = server.client(region="eu-west-3").list_tables()["TableNames"]
    check(ask(wire, b"{}", JSON_1_0, LIST_TABLES, target=target), 200, {"TableNames": there})


# Answers.


def test_an_operation_answers_in_json(wire: Wire, table: str) -> None:
    answer = ask(wire, put(table, "answer"), JSON_1_0, PUT_ITEM, *SIGNED)
    check(answer, 200, {})
    assert answer.headers["content-type"] == "application/x-amz-json-1.0"


def test_an_operation_without_an_answer_answers_with_nothing(wire: Wire, server: Server, table: str) -> None:
    arn = server.client().describe_table(TableName=table)["Table"]["TableArn"]
    body = json.dumps({"ResourceArn": arn, "Tags": [{"Key": "k", "Value": "v"}]}).encode()
    answer = ask(wire, body, JSON_1_0, TAG_RESOURCE, *SIGNED)
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "0")
    check_headers(answer)


def test_an_error_has_its_namespace_and_text(wire: Wire) -> None:
    refusal = {
        "__type": "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException",
        "message": "Requested resource not found",
    }
    check(ask(wire, get("no-such-table", "x"), JSON_1_0, GET_ITEM, *SIGNED), 400, refusal)


def test_the_error_for_a_wrong_type_has_a_capital_message(wire: Wire) -> None:
    refusal = {**SERIALIZATION, "Message": "NUMBER_VALUE cannot be converted to String"}
    check(ask(wire, b'{"TableName": 5}', JSON_1_0, GET_ITEM, *SIGNED), 400, refusal)


EXECUTE_STATEMENT = b"X-Amz-Target: DynamoDB_20120810.ExecuteStatement"
ZEROS = "0" * 5000


@pytest.mark.parametrize("exponent", [f"e{ZEROS}2", f"e+{ZEROS}2", f"e-{ZEROS}2"])
def test_a_number_may_have_thousands_of_zeros(wire: Wire, table: str, exponent: str) -> None:
    item = json.dumps({"TableName": table, "Item": {"p": {"S": "zeros"}, "n": {"N": f"100{exponent}"}}}).encode()
    check(ask(wire, item, JSON_1_0, PUT_ITEM, *SIGNED), 200, {})
    number = {"N": "1" if "-" in exponent else "10000"}
    select = f"SELECT n FROM {table} WHERE p = 'zeros' AND n = 100{exponent}"
    answer = ask(wire, json.dumps({"Statement": select}).encode(), JSON_1_0, EXECUTE_STATEMENT, *SIGNED)
    check(answer, 200, {"Items": [{"n": number}]})


def test_no_two_requests_have_the_same_id(wire: Wire) -> None:
    ids = {ask(wire, b"", method=b"GET").headers["x-amzn-requestid"] for _ in range(100)}
    assert len(ids) == 100


# Compressed requests.


GZIP = b"Content-Encoding: gzip"
DEFLATE = b"Content-Encoding: deflate"


@pytest.mark.parametrize(
    ("coding", "compress"),
    [
        (GZIP, gzip.compress),
        (GZIP, lambda body: gzip.compress(body[:10]) + gzip.compress(body[10:])),
        (GZIP, lambda body: gzip.compress(b"") * 31 + gzip.compress(body)),
        (b"Content-Encoding: GZIP", gzip.compress),
        (DEFLATE, zlib.compress),
        (b"Content-Encoding: identity", bytes),
    ],
    ids=["gzip", "two members", "32 members", "capitals", "deflate", "identity"],
)
def test_a_request_may_be_compressed(wire: Wire, table: str, coding: bytes, compress: Any) -> None:
    body = compress(put(table, "compressed", text="x" * 100_000))
    check(ask(wire, body, JSON_1_0, PUT_ITEM, coding, *SIGNED), 200, {})


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        (GZIP, b"not gzip"),
        (GZIP, b""),
        (GZIP, gzip.compress(b"{}")[:-1]),
        (GZIP, gzip.compress(b"{}") + b"junk"),
        (GZIP, gzip.compress(b"") * 32 + gzip.compress(b"{}")),
        (GZIP, gzip.compress(b"") * 500_000),
        (DEFLATE, b"not deflate"),
        (DEFLATE, b""),
        (DEFLATE, zlib.compress(b"{}") + zlib.compress(b"{}")),
        (b"Content-Encoding: garbage", b"{}"),
    ],
)
def test_a_body_that_cannot_be_decoded_is_an_internal_error_as_on_dynamodb(
    wire: Wire, coding: bytes, body: bytes
) -> None:
    refusal = {
        "__type": "com.amazonaws.dynamodb.v20120810#InternalServerError",
        "message": f"The request body cannot be decoded as {coding.partition(b': ')[2].decode()}",
    }
    check(ask(wire, body, JSON_1_0, LIST_TABLES, coding, *SIGNED), 500, refusal)


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        (GZIP, gzip.compress(b" " * (16 << 20) + b"{}")),
        (GZIP, gzip.compress(b" " * (9 << 20)) * 2),
        (DEFLATE, zlib.compress(b" " * (1 << 30))),
    ],
    ids=["gzip", "two members", "a gigabyte"],
)
def test_a_request_may_not_decompress_to_more_than_16_mib(wire: Wire, coding: bytes, body: bytes) -> None:
    answer = ask(wire, body, JSON_1_0, LIST_TABLES, coding, *SIGNED)
    assert (answer.status, answer.body) == (413, b"")


# Compressed answers.


@pytest.mark.parametrize(("coding", "decompress"), [("gzip", gzip.decompress), ("deflate", zlib.decompress)])
def test_a_long_answer_is_compressed_if_the_client_accepts_it(
    wire: Wire, table: str, coding: str, decompress: Any
) -> None:
    ask(wire, put(table, "long", text="x" * 4096), JSON_1_0, PUT_ITEM, *SIGNED)
    answer = ask(wire, get(table, "long"), JSON_1_0, GET_ITEM, b"Accept-Encoding: " + coding.encode(), *SIGNED)
    check_headers(answer)
    assert answer.headers["content-encoding"] == coding
    assert len(answer.body) < 200
    assert json.loads(decompress(answer.body))["Item"]["text"] == {"S": "x" * 4096}


@pytest.mark.parametrize(
    ("size", "headers"), [(4096, ()), (4096, (b"Accept-Encoding: identity",)), (4000, (b"Accept-Encoding: gzip",))]
)
def test_other_answers_are_not(wire: Wire, table: str, size: int, headers: tuple[bytes, ...]) -> None:
    ask(wire, put(table, "short", text="x" * size), JSON_1_0, PUT_ITEM, *SIGNED)
    answer = ask(wire, get(table, "short"), JSON_1_0, GET_ITEM, *headers, *SIGNED)
    assert "content-encoding" not in answer.headers
    assert json.loads(answer.body)["Item"]["text"] == {"S": "x" * size}


@pytest.mark.parametrize(
    ("lines", "coding"),
    [
        (("gzip", "identity"), "gzip"),
        (("identity", "gzip", "deflate"), None),
        (("deflate", "gzip"), "deflate"),
        (("identity,gzip", "identity"), "gzip"),
    ],
)
def test_the_first_of_several_accept_lines_counts(
    wire: Wire, table: str, lines: tuple[str, ...], coding: str | None
) -> None:
    """DynamoDB does so, as ScyllaDB's Alternator found (test_compressed_response.py, 2025)."""
    ask(wire, put(table, "lines", text="x" * 4096), JSON_1_0, PUT_ITEM, *SIGNED)
    headers = [b"Accept-Encoding: " + line.encode() for line in lines]
    answer = ask(wire, get(table, "lines"), JSON_1_0, GET_ITEM, *headers, *SIGNED)
    assert answer.headers.get("content-encoding") == coding
    next_answer = ask(wire, get(table, "lines"), JSON_1_0, GET_ITEM, b"Accept-Encoding: gzip", *SIGNED)
    assert next_answer.headers["content-encoding"] == "gzip"


# Health and browsers.


def test_health(wire: Wire) -> None:
    answer = ask(wire, b"", method=b"GET")
    assert (answer.status, answer.body) == (200, b"healthy: localhost ")
    check_headers(answer)
    assert ask(wire, b"", method=b"HEAD").headers["content-length"] == "19"


@pytest.mark.parametrize("method", [b"GET", b"POST", b"OPTIONS"])
def test_an_answer_without_an_origin_has_no_cors_headers(wire: Wire, method: bytes) -> None:
    assert not [name for name in ask(wire, b"", method=method).headers if name.startswith("access-control-")]
