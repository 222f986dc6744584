"""GetItems that are read by the pattern of an earlier one: the answers are those of the long way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jedlik.aws.context import Caller, Context
from jedlik.aws.service import Repeat
from jedlik.aws.short_way import LESSON_SECONDS, Repeated
from jedlik.aws.stored_items import json_of
from jedlik.dynamodb.items import repeated_gets, short_reads
from jedlik.wire.messages import Request, Source
from testing.dynamodb.both_ways import BARE, Site, request
from testing.own_account import OwnAccount

TABLE = BARE | {
    "TableName": "texts",
    "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "s", "KeyType": "RANGE"}],
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in "ps"],
}
GET: dict[str, Any] = {"TableName": "texts", "Key": {"p": {"S": "a"}, "s": {"S": "one"}}}
ANOTHER: dict[str, Any] = {"TableName": "texts", "Key": {"p": {"S": "b"}, "s": {"S": "two"}}}
BODY = json.dumps(GET).encode()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("repeated"))
    made.long(request("GetItem", GET))
    made.must("CreateTable", TABLE)
    for p in ("a", "b", "p", "texts", "a~", "c d", "\u00e9", 'a"b', "a\\b"):
        for s in ("one", "two", "a", "S"):
            made.must("PutItem", {"TableName": "texts", "Item": {"p": {"S": p}, "s": {"S": s}, "x": {"S": p + s}}})
        made.must("PutItem", {"TableName": "bare", "Item": {"p": {"S": p}, "x": {"S": p}}})
    yield made
    made.close()


def context(site: Site) -> Context:
    return Context(site.region, "id", Caller("0" * 12, "p"))


def learned(site: Site, body: bytes) -> Repeat | None:
    asked = orjson.loads(body)
    assert short_reads.get_item(context(site), asked) is not None
    return repeated_gets.learn(context(site), asked, body)


def agree(site: Site, repeat: Repeat, body: bytes) -> bool:
    """Whether there is an answer, which must be that of the long way, and cost as much."""
    used = context(site)
    answer = repeat(used, body)
    if answer is None:
        return False
    long = site.long(request("GetItem", body))
    assert (200, json_of(answer)) == (long.status, long.body)
    meter, other = used.meter, site.must("GetItem", orjson.loads(body))
    for name in ("table", "name", "writes", "units", "items", "size"):
        assert getattr(meter, name) == getattr(other, name)
    return True


COMPACT = orjson.dumps(GET)
PLACES = [
    BODY,
    COMPACT,
    b'{"Key":{"s":{"S":"one"},"p":{"S":"a"}},"ConsistentRead":true,"TableName":"texts"}',
    b'{"TableName":"bare","Key":{"p":{"S":"a"}}}',
    b' { "Key" : { "p" : { "S" : "b" } } , "TableName" : "bare" , "ConsistentRead" : false } ',
    b'{"TableName":"bare","Key":{"p":{"S":"first"}},"Key":{"p":{"S":"a"}}}',
    b'{"TableName":"bare","Key":{"p":{"S":"q"}},"\\u004bey":{"p":{"S":"a"}}}',
]


@pytest.mark.parametrize("body", PLACES)
def test_a_request_is_known_by_another_like_it(site: Site, body: bytes) -> None:
    repeat = learned(site, body)
    assert repeat is not None
    assert agree(site, repeat, body)
    for text in (b"b", b"a~", b"c d", b"absent", b"z" * 255):
        assert agree(site, repeat, body.replace(b'"a"', b'"%b"' % text))
    for text in (b"", b"z" * 256, b"\xc3\xa9", b"a\\\\b", b'a\\"b', b"\\u0061", b'a"b', b"\n", b"\x7f", b"\xff"):
        assert not agree(site, repeat, body.replace(b'"a"', b'"%b"' % text).replace(b'"b"', b'"%b"' % text))


@pytest.mark.parametrize(
    "asked",
    [
        {"TableName": "bare", "Key": {"p": {"S": "p"}}},  # The text is also a name.
        {"TableName": "texts", "Key": {"p": {"S": "a"}, "s": {"S": "a"}}},
        {"TableName": "texts", "Key": {"p": {"S": "texts"}, "s": {"S": "one"}}},
        {"TableName": "bare", "Key": {"p": {"S": "\u00e9"}}},
        {"TableName": "bare", "Key": {"p": {"S": 'a"b'}}},
        {"TableName": "both", "Key": {"p": {"S": "a"}, "s": {"N": "1"}}},
    ],
)
def test_nothing_is_learned_where_texts_could_be_mistaken(site: Site, asked: Any) -> None:
    assert learned(site, json.dumps(asked).encode()) is None


TEXTS = st.one_of(
    st.sampled_from(["a", "b", "p", "S", "one", "two", "texts", "Key", "a~", "c d", "\u00e9", 'a"b', "a\\b", ""]),
    st.text(max_size=8),
)
PIECES = st.sampled_from(
    [
        *(b"", b'"', b"\\", b"{", b"}", b",", b":", b" ", b"a", b"S", b"N", b"1", b"\x00", b"\xff"),
        *(b'"N":"1"', b'","q":"', b"\\u0061"),
    ]
)


@given(
    first=st.sampled_from(PLACES),
    texts=st.tuples(TEXTS, TEXTS),
    is_escaped=st.booleans(),
    changes=st.lists(st.tuples(st.integers(0, 90), st.integers(0, 3), PIECES), max_size=2),
)
@example(PLACES[0], ("a", "one"), False, [(len(BODY), 0, b" ")])
@settings(max_examples=500, deadline=None)
def test_what_is_known_means_the_same(
    site: Site, first: bytes, texts: tuple[str, str], is_escaped: bool, changes: list[tuple[int, int, bytes]]
) -> None:
    repeat = learned(site, first)
    assert repeat is not None
    p, s = (json.dumps(text, ensure_ascii=is_escaped).encode("utf-8", "surrogatepass") for text in texts)
    body = first.replace(b'"a"', p).replace(b'"one"', s)
    for place, length, piece in changes:
        body = body[:place] + piece + body[place + length :]
    agree(site, repeat, body)


def asked(source: Source, asked: Any) -> Request:
    made = request("GetItem", asked)
    made.source = source
    return made


def test_a_connection_learns_from_its_first_request_and_later_from_one_a_second(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Source("127.0.0.1", "")
    now = 100.0
    monkeypatch.setattr("time.perf_counter", lambda: now)
    lessons = []
    for gets in ([GET, ANOTHER], [bare := {"TableName": "bare", "Key": {"p": {"S": "a"}}}, GET]):
        for get in gets * 2:
            short, long = site.short(asked(source, get)), site.long(asked(source, get))
            assert short is not None
            assert short.body == long.body
            lessons.append(source.repeat)
        now += LESSON_SECONDS
    assert site.short(asked(source, bare)) is not None
    lessons.append(source.repeat)
    assert isinstance(lessons[0], Repeated)
    assert all(lesson is lessons[0] for lesson in lessons[:4])
    assert lessons[4] is not lessons[0]
    assert all(lesson is lessons[4] for lesson in lessons[4:])
    assert lessons[4].repeat(context(site), orjson.dumps(bare)) is not None


def test_a_table_that_was_made_again_is_not_taken_for_the_one_before(site: Site) -> None:
    site.must("CreateTable", TABLE | {"TableName": "again"})
    body = orjson.dumps(GET | {"TableName": "again"})
    site.long(request("GetItem", body))
    repeat = learned(site, body)
    assert repeat is not None
    assert agree(site, repeat, body)
    site.must("DeleteTable", {"TableName": "again"})
    assert not agree(site, repeat, body)
    assert site.short(request("GetItem", body)) is None


class Watched(OwnAccount):
    """Allows everything, until it looks at every request and allows nothing."""

    looks = False

    def permits(self, caller: Caller) -> Any:
        return self if self.looks else None

    def allow(self, formed: Any) -> bool:
        return False


def test_what_a_caller_may_do_is_looked_at_in_every_request(tmp_path: Path) -> None:
    authorizer = Watched()
    site = Site(tmp_path, authorizer=authorizer)
    source = Source("127.0.0.1", "")
    get = {"TableName": "bare", "Key": {"p": {"S": "a"}}}
    site.long(request("GetItem", get))
    assert site.short(asked(source, get)) is not None
    assert source.repeat is not None
    authorizer.looks = True
    source.note = None  # As if the caller's policies had changed.
    assert site.short(asked(source, get)) is None
    site.close()
