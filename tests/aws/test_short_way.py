"""The short way answers as the long way does, or not at all; and it answers what SDKs ask most."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as Keys
from hypothesis import given, settings
from hypothesis import strategies as st

from jedlik.aws import credentials
from jedlik.aws.access import Formed
from jedlik.aws.context import Caller, Context
from jedlik.aws.credentials import Credential, Credentials
from jedlik.aws.errors import ServiceError
from jedlik.aws.meter import Meter
from jedlik.aws.origins import OwnOrigins
from jedlik.aws.request_log import RequestLog
from jedlik.aws.sigv4 import REFRESH_SECONDS
from jedlik.dynamodb.operations import OPERATIONS
from jedlik.wire.messages import Request
from testing.dynamodb.both_ways import GET, KEY, Site, request, without_id
from testing.known_forms import form_of, in_form
from testing.own_account import OwnAccount


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("short"))
    made.long(request("GetItem", GET))  # The first request is of a signer who is not known.
    yield made
    made.close()


def agree(site: Site, operation: str, asked: Any) -> bool:
    """Whether the short way has an answer, which must be that of the long way, and cost as much."""
    short = site.short(request(operation, asked))
    if short is None:
        return False
    long = site.long(request(operation, asked))
    assert (short.status, short.body, without_id(short)) == (long.status, long.body, without_id(long))
    assert short.status == 200
    handler = OPERATIONS[operation].short
    assert handler is not None
    context = Context(site.region, "id", Caller("0" * 12, "p"))
    handler(context, orjson.loads(orjson.dumps(asked)))
    assert used(context.meter) == used(site.must(operation, asked))
    return True


def used(meter: Meter) -> tuple[object, ...]:
    return meter.table, meter.name, meter.writes, meter.units, meter.parts, meter.items, meter.size, meter.more


BY_P = {"TableName": "both", "KeyConditionExpression": "p = :p", "ExpressionAttributeValues": {":p": {"S": "a"}}}


def by(condition: str, given: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"TableName": "both", "KeyConditionExpression": condition, "ExpressionAttributeValues": given, **more}


SHORT = [
    ("GetItem", GET),
    ("GetItem", GET | {"ConsistentRead": True}),
    ("GetItem", GET | {"Key": {"s": {"N": "+1.0e1"}, "p": {"S": "\u00e9"}}}),
    ("GetItem", GET | {"Key": {"p": {"S": "absent"}, "s": {"N": "1"}}}),
    ("GetItem", {"TableName": "bare", "Key": {"p": {"S": "a"}}}),
    ("Query", BY_P),
    ("Query", BY_P | {"Limit": 2}),
    ("Query", BY_P | {"Limit": 6}),
    ("Query", BY_P | {"Limit": 7, "ScanIndexForward": False, "ConsistentRead": True}),
    ("Query", by("#p = :p", {":p": {"S": "a"}}, ExpressionAttributeNames={"#p": "p"})),
    ("Query", by("s > :s AND p = :p", {":p": {"S": "a"}, ":s": {"N": "0.0"}}, Limit=2)),
    ("Query", by("(p = :p) and (s between :s and :t)", {":t": {"N": "10"}, ":s": {"N": "-5"}, ":p": {"S": "a"}})),
    ("Query", by("p = :p and :s >= s", {":p": {"S": "a"}, ":s": {"N": "2"}})),
    ("Query", by("x = :x", {":x": {"S": "x1"}}, IndexName="global")),
    ("Query", by("x = :x and s = :s", {":x": {"S": "x1"}, ":s": {"N": "1"}}, IndexName="global", Limit=1)),
    ("Query", by("p = :p and begins_with(x, :x)", {":p": {"S": "a"}, ":x": {"S": "x"}}, IndexName="local")),
    ("Query", by("p = :p", {":p": {"S": "nobody"}}, Limit=1)),
    ("Query", BY_P | {"ExclusiveStartKey": KEY}),
    ("Query", BY_P | {"ExclusiveStartKey": KEY, "Limit": 2, "ScanIndexForward": False}),
    ("Query", BY_P | {"ExclusiveStartKey": KEY | {"s": {"N": "22"}}, "Limit": 2}),
    ("Query", BY_P | {"ExclusiveStartKey": KEY | {"s": {"N": "0.5"}}, "Limit": 2}),
    ("Query", by("p = :p AND s > :s", {":p": {"S": "a"}, ":s": {"N": "0"}}, ExclusiveStartKey=KEY, Limit=1)),
]


@pytest.mark.parametrize(("operation", "asked"), SHORT)
def test_the_commonest_requests_go_the_short_way(site: Site, operation: str, asked: Any) -> None:
    assert agree(site, operation, asked)


LONG = [
    ("GetItem", GET | {"ReturnConsumedCapacity": "TOTAL"}),
    ("GetItem", GET | {"ProjectionExpression": "p"}),
    ("GetItem", GET | {"TableName": "arn:aws:dynamodb:us-east-1:000000000000:table/both"}),
    ("GetItem", GET | {"TableName": "unknown"}),
    ("GetItem", GET | {"Key": KEY | {"s": {"S": "1"}}}),
    ("GetItem", GET | {"Key": KEY | {"s": {"N": "one"}}}),
    ("GetItem", GET | {"Key": KEY | {"p": {"S": ""}}}),
    ("GetItem", GET | {"Key": KEY | {"more": {"S": "a"}}}),
    ("GetItem", GET | {"ConsistentRead": "true"}),
    ("GetItem", b"[]"),
    ("GetItem", b"{"),
    ("Query", BY_P | {"FilterExpression": "s > :p"}),
    ("Query", BY_P | {"Limit": 0}),
    ("Query", BY_P | {"ExclusiveStartKey": KEY | {"p": {"S": "b"}}}),
    ("Query", BY_P | {"ExclusiveStartKey": {"p": {"S": "a"}}}),
    ("Query", by("p = :p AND s > :s", {":p": {"S": "a"}, ":s": {"N": "1"}}, ExclusiveStartKey=KEY)),
    ("Query", BY_P | {"Limit": True}),
    ("Query", BY_P | {"ExpressionAttributeNames": {}}),
    ("Query", BY_P | {"ExpressionAttributeNames": {"#unused": "p"}}),
    ("Query", BY_P | {"ExpressionAttributeValues": {":p": {"S": "a"}, ":unused": {"S": "a"}}}),
    ("Query", by("p > :p", {":p": {"S": "a"}})),
    ("Query", by("p = :p and s between :s and :t", {":p": {"S": "a"}, ":s": {"N": "2"}, ":t": {"N": "1"}})),
    ("Query", by("p = :p and s = :s", {":p": {"S": "a"}, ":s": {"N": "2"}}, Limit=1)),
    ("Query", by("x = :x", {":x": {"S": "x1"}}, IndexName="global", ConsistentRead=True)),
    ("Query", by("#p = :p", {":p": {"S": "a"}}, ExpressionAttributeNames={"#p": ["p"]})),
]


@pytest.mark.parametrize(("operation", "asked"), LONG)
def test_what_is_refused_or_unusual_goes_the_long_way(site: Site, operation: str, asked: Any) -> None:
    assert site.short(request(operation, asked)) is None


TEXTS = st.sampled_from(
    ["a", "\u00e9", "a\0b", "absent", "", "x1", "1", "-5", "1e0", "00", "z" * 255, "z" * 256, "z" * 2049]
)
VALUES = st.one_of(
    st.builds(lambda type_, text: {type_: text}, st.sampled_from(["S", "N", "B"]), TEXTS),
    st.sampled_from(
        [None, "a", {}, {"S": 1}, {"S": None}, {"S": "a", "N": "1"}, {"S": "a", "B": None}, {"NULL": True}]
    ),
)
NAMES = st.sampled_from(["both", "both", "both", "bare", "unknown", "", None, 5, ["both"]])
FLAGS = st.sampled_from([True, False, None, "true", 1])
GETS = st.fixed_dictionaries(
    {
        "TableName": NAMES,
        "Key": st.one_of(st.dictionaries(st.sampled_from(["p", "s", "q"]), VALUES, max_size=3), st.none()),
    },
    optional={"ConsistentRead": FLAGS, "ReturnConsumedCapacity": st.sampled_from(["NONE", "TOTAL", "x"])},
)
SUBJECTS = st.sampled_from(["p", "s", "x", "#p", "#s", "p.q"])
OPERANDS = st.sampled_from([":p", ":s", ":t", "p"])
CONDITIONS = st.one_of(
    st.builds("{} {} {}".format, SUBJECTS, st.sampled_from(["=", "=", "=", "<", "<=", ">", ">=", "<>"]), OPERANDS),
    st.builds("{} between {} and {}".format, SUBJECTS, OPERANDS, OPERANDS),
    st.builds("begins_with({}, {})".format, SUBJECTS, OPERANDS),
)
QUERIES = st.fixed_dictionaries(
    {
        "TableName": NAMES,
        "KeyConditionExpression": st.one_of(
            st.lists(CONDITIONS, min_size=1, max_size=3).map(" AND ".join),
            st.sampled_from(["p = :p", "p = :p AND s > :s", "x = :p", "", None]),
        ),
        "ExpressionAttributeValues": st.one_of(
            st.dictionaries(st.sampled_from([":p", ":s", ":t"]), VALUES, max_size=3),
            st.builds(lambda p, s: {":p": {"S": p}, ":s": {"N": s}}, TEXTS, TEXTS),
            st.builds(lambda p: {":p": {"S": p}}, TEXTS),
        ),
    },
    optional={
        "ExpressionAttributeNames": st.dictionaries(
            st.sampled_from(["#p", "#s"]), st.sampled_from(["p", "s", "x", 1, None, ["p"]]), max_size=2
        ),
        "IndexName": st.sampled_from(["global", "local", "unknown", None, 5]),
        "Limit": st.sampled_from([1, 2, 6, 1000, 1001, 0, -1, True, 1.0, "1", None]),
        "ScanIndexForward": FLAGS,
        "ConsistentRead": FLAGS,
        "Select": st.sampled_from(["COUNT", "ALL_ATTRIBUTES"]),
        "ExclusiveStartKey": st.builds(
            lambda p, s: {"p": {"S": p}, "s": {"N": s}},
            st.sampled_from(["a", "b"]),
            st.sampled_from(["-9", "1", "22", "x"]),
        ),
    },
)


@given(asked=GETS)
@settings(max_examples=300)
def test_a_get_item_means_the_same_both_ways(site: Site, asked: Any) -> None:
    agree(site, "GetItem", asked)


@given(asked=QUERIES)
@settings(max_examples=600)
def test_a_query_means_the_same_both_ways(site: Site, asked: Any) -> None:
    agree(site, "Query", asked)


def test_a_query_that_finds_more_than_one_read_may_goes_the_long_way_from_then_on(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.long(request("GetItem", GET))
    for number in range(1001):
        site.must("PutItem", {"TableName": "both", "Item": {"p": {"S": "many"}, "s": {"N": str(number)}}})
    many = BY_P | {"ExpressionAttributeValues": {":p": {"S": "many"}}}
    assert not agree(site, "Query", many)
    assert not agree(site, "Query", BY_P)
    assert agree(site, "Query", many | {"Limit": 1000})
    site.close()


def test_a_page_that_the_store_ends_before_dynamodb_would_goes_the_long_way(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.long(request("GetItem", GET))
    numbers = {"L": [{"N": "1"}] * 3000}  # 30 KB where it is kept, and 9 KB by DynamoDB's count.
    for number in range(40):
        item = {"p": {"S": "wide"}, "s": {"N": str(number)}, "numbers": numbers}
        site.must("PutItem", {"TableName": "both", "Item": item})
    wide = BY_P | {"ExpressionAttributeValues": {":p": {"S": "wide"}}}
    assert not agree(site, "Query", wide)
    assert not agree(site, "Query", wide | {"Limit": 1000})
    assert orjson.loads(site.long(request("Query", wide)).body)["Count"] == 40
    site.close()


def test_a_table_that_was_made_again_is_not_taken_for_the_one_before(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.long(request("GetItem", GET))
    assert agree(site, "GetItem", GET)
    assert agree(site, "Query", BY_P)
    site.must("DeleteTable", {"TableName": "both"})
    assert not agree(site, "GetItem", GET)
    assert not agree(site, "Query", BY_P)
    site.close()


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": b"http://localhost"},
        {"content_encoding": b"gzip"},
        {"content_type": b"application/x-amz-json-1.1"},
        {"x_amz_target": b"DynamoDB_20120810.Unknown"},
    ],
)
def test_unusual_headers_go_the_long_way(site: Site, headers: dict[str, bytes]) -> None:
    assert site.short(request("GetItem", GET, **headers)) is None


def test_another_path_or_method_or_host_goes_the_long_way(site: Site, tmp_path: Path) -> None:
    asked = request("GetItem", GET)
    asked.target = b"/?x"
    assert site.short(asked) is None
    asked = request("GetItem", GET)
    asked.method = b"PUT"
    assert site.short(asked) is None
    own = Site(tmp_path, origins=OwnOrigins(("localhost",), ()))
    assert own.short(request("GetItem", GET, host=b"example.com")) is None
    assert own.short(request("GetItem", GET)) is None, "its signer is not known yet"
    own.long(request("GetItem", GET))
    assert own.short(request("GetItem", GET)) is not None
    own.close()


HEADS = st.fixed_dictionaries(
    {
        b"content-type": st.sampled_from([b"application/x-amz-json-1.0", b"application/x-amz-json-1.1", b"x"]),
        b"host": st.sampled_from([b"localhost:8000", b"localhost", b"example.com"]),
        b"x-amz-target": st.sampled_from([b"DynamoDB_20120810.GetItem", b"DynamoDB_20120810.Query", b"x"]),
    },
    optional={b"origin": st.just(b"http://localhost"), b"content-encoding": st.sampled_from([b"gzip", b"identity"])},
)


@pytest.fixture(scope="module")
def own_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("own"), origins=OwnOrigins(("localhost",), ()))
    made.long(request("GetItem", GET))
    yield made
    made.close()


@given(
    heads=st.lists(HEADS, min_size=1, max_size=4),
    own=st.sets(st.sampled_from([b"content-type", b"host", b"x-amz-target", b"origin", b"authorization"])),
    path=st.sampled_from([b"/", b"/", b"/x"]),
    body=st.sampled_from([GET, BY_P, b""]),
)
@settings(max_examples=300)
def test_a_head_of_a_known_form_means_the_same(
    site: Site, own_site: Site, heads: list[dict[bytes, bytes]], own: set[bytes], path: bytes, body: Any
) -> None:
    """A form is remembered, also by the other site that gets requests of it."""
    forms: dict[Any, Any] = {}
    for head in heads:
        plain = request("GetItem", body)
        plain.target = path
        plain.headers.update(head)
        fixed = tuple((name, name in own or value) for name, value in plain.headers.items())
        form = forms.setdefault(fixed, form_of(plain, own))
        for each in (site, own_site, site):
            short, expected = each.short(in_form(plain, form)), each.short(plain)
            assert (short is None) == (expected is None)
            if short is not None and expected is not None:
                assert (short.status, short.body, without_id(short)) == (200, expected.body, without_id(expected))


def test_a_usual_head_of_a_known_form_goes_the_short_way(site: Site) -> None:
    usual = request("GetItem", GET)
    for own in (set(), {b"x-amz-target"}, {b"authorization", b"x-amz-date"}):
        assert site.short(in_form(usual, form_of(usual, own))) is not None


def test_what_one_listener_has_noted_of_a_form_does_not_count_at_another(site: Site, tmp_path: Path) -> None:
    credentials.create(tmp_path / "keys.json")
    verifying = Site(tmp_path / "data", Credentials(tmp_path / "keys.json"))
    usual = request("GetItem", GET)
    form = form_of(usual, {b"authorization"})
    for _ in range(2):
        assert site.short(in_form(usual, form)) is not None
        assert verifying.short(in_form(usual, form)) is None
    verifying.close()


def test_a_long_answer_is_compressed_as_on_the_long_way(site: Site) -> None:
    asked = BY_P | {"Limit": 6}
    short = site.short(request("Query", asked, accept_encoding=b"gzip"))
    long = site.long(request("Query", asked, accept_encoding=b"gzip"))
    assert short is not None
    assert b"Content-Encoding: gzip" in short.headers
    assert (short.body, without_id(short)) == (long.body, without_id(long))


def test_a_request_waits_for_memory_where_answers_have_none(site: Site) -> None:
    answers = site.memory.answers
    answers.hold(answers.size)
    assert site.short(request("Query", BY_P)) is None
    assert site.short(request("GetItem", GET)) is not None
    answers.give_back(answers.size)
    assert site.short(request("Query", BY_P)) is not None


@pytest.mark.parametrize(
    ("operation", "asked"),
    [
        ("GetItem", GET),
        ("Query", BY_P),
        ("PutItem", {"TableName": "bare", "Item": {"p": {"S": "a"}}}),
        (
            "PutItem",
            {"TableName": "bare", "Item": {"p": {"S": "a"}}, "ConditionExpression": "attribute_not_exists(p)"},
        ),
        (
            "TransactWriteItems",
            {"TransactItems": [{"Put": {"TableName": "bare", "Item": {"p": {"S": name}}}} for name in ("a", "b")]},
        ),
    ],
)
@pytest.mark.parametrize("log", [RequestLog(every=True, slow=None), RequestLog(every=False, slow=0.0)])
def test_both_ways_log_a_request_alike(
    site: Site, operation: str, asked: Any, log: RequestLog, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.INFO)
    logging_site = Site(tmp_path, log=log)
    asked_for = request(operation, asked)
    logging_site.long(asked_for)
    caplog.clear()
    assert logging_site.short(request(operation, asked)) is not None
    logging_site.long(request(operation, asked))
    logging_site.close()
    short, long = [{name: value for name, value in vars(record).items() if name in LOGGED} for record in caplog.records]
    assert short == long
    assert short["table"] == ("both" if operation in ("GetItem", "Query") else "bare")
    levels = {record.levelname for record in caplog.records}
    assert levels == {"INFO" if log.wants(-1.0) else "WARNING"}


LOGGED = {
    *("operation", "table", "region", "account", "caller", "access_key", "read_units", "write_units", "client"),
    *("status", "error", "bytes_in", "bytes_out"),
}


def test_a_request_is_slow_or_not_whichever_way_it_goes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    slow = Site(tmp_path, log=RequestLog(every=False, slow=3600.0))
    slow.long(request("GetItem", GET))
    assert slow.short(request("GetItem", GET)) is not None
    assert not caplog.records
    slow.close()


class Reader(OwnAccount):
    """Allows reads of one table, and looks at every request."""

    def permits(self, caller: Caller) -> Any:
        return self

    def allow(self, formed: Formed) -> bool:
        return formed[0].access.resource == f"arn:aws:dynamodb:us-east-1:{'0' * 12}:table/both"


def test_a_caller_goes_the_short_way_with_what_it_may_do(tmp_path: Path) -> None:
    site = Site(tmp_path, authorizer=Reader())
    other = GET | {"TableName": "bare", "Key": {"p": {"S": "a"}}}
    for asked in (GET, other):
        site.long(request("GetItem", asked))
    assert site.short(request("GetItem", GET)) is not None
    assert site.short(request("GetItem", other)) is None
    site.close()


def signed(credential: Credential, **more: str) -> Request:
    """A GetItem that boto3's signer has signed, with these headers besides."""
    body = json.dumps(GET).encode()
    given = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "DynamoDB_20120810.GetItem", **more}
    asked = AWSRequest("POST", "http://localhost:8000/", headers={**given, "Host": "localhost:8000"}, data=body)
    keys = Keys(credential.access_key, credential.secret, credential.session_token)
    SigV4Auth(keys, "dynamodb", "us-east-1").add_auth(asked)
    headers = {name.lower().encode(): value.encode() for name, value in asked.headers.items()}
    return Request(b"POST", b"/", headers, b"", body)


def test_a_key_that_is_deleted_or_expires_is_good_no_longer(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    credential, temporary = credentials.create(file), credentials.create(file, lifetime=1000)
    site = Site(tmp_path / "data", Credentials(file))
    for key in (credential, temporary):
        asked = signed(key)
        assert site.short(asked) is None, "nobody knows it yet"
        assert site.long(asked).status == 200
        short = site.short(signed(key))
        assert short is not None
        assert short.body == site.long(signed(key)).body
        forged = signed(key)
        forged.headers[b"authorization"] = forged.headers[b"authorization"][:-1] + b"x"
        assert site.short(forged) is None
        assert site.long(forged).status == 400
        changed = signed(key)
        changed.body = changed.body.replace(b'"a"', b'"b"')
        assert site.short(changed) is None
        assert site.long(changed).status == 400
    without = signed(temporary)
    del without.headers[b"x-amz-security-token"]
    assert site.short(without) is None
    for key in (credential, temporary):
        credentials.delete(file, key.access_key)
    site.now += REFRESH_SECONDS
    for key in (credential, temporary):
        assert site.short(signed(key)) is None
        assert site.long(signed(key)).status == 400
    site.close()


@pytest.mark.parametrize(
    "headers",
    [
        {"Amz-Sdk-Invocation-Id": "0d1e", "Amz-Sdk-Request": "attempt=1", "Accept-Encoding": "identity"},
        {"x-amz-user-agent": "aws-sdk-js/3.940.0", "amz-sdk-request": "attempt=1; max=3", "Connection": "keep-alive"},
        {"User-Agent": "aws-sdk-java/2.39.0 md/io#sync", "amz-sdk-invocation-id": "4c", "Connection": "Keep-Alive"},
        {"User-Agent": "aws-sdk-go-v2/1.40.0 ua/2.1", "x-amz-note": "several   words"},
    ],
)
def test_the_requests_of_sdks_go_the_short_way_whatever_headers_they_sign(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    credential = credentials.create(tmp_path / "keys.json")
    site = Site(tmp_path / "data", Credentials(tmp_path / "keys.json"))
    assert site.long(signed(credential, **headers)).status == 200
    assert site.short(signed(credential, **headers)) is not None
    assert site.short(signed(credential, **headers, **{"x-amz-more": "x"})) is None
    site.close()


def test_a_fault_of_the_short_way_is_an_answer_of_the_long_way(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: object) -> None:
        raise ServiceError("refused")

    monkeypatch.setattr(site.region.engine, "get_now", refuse)
    assert site.short(request("GetItem", GET)) is None
