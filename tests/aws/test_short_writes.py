"""Writes, single ones and transactions, that go the short way answer, store and charge what they do on the long way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jedlik.aws.context import Caller, Context
from jedlik.aws.errors import ServiceError
from jedlik.dynamodb.operations import OPERATIONS
from jedlik.storage.engine import StorageError
from jedlik.storage.lmdb import at_once
from jedlik.wire.messages import Response
from testing.dynamodb.both_ways import GET, KEY, Site, request, without_id

KEYED = {"TableName": "log", "Key": KEY}


def alike(folders: pytest.TempPathFactory, in_memory: bool) -> tuple[Site, Site]:
    """Two sites that are alike: one to be asked the short way, and the other the long way."""
    made = [Site(folders.mktemp(name), in_memory=in_memory) for name in ("short", "long")]
    for site in made:
        for asked in TABLES:
            site.must("CreateTable", asked)
        for name in ("plain", "log", "both"):  # The first request is of a signer and of a table that are not known.
            site.long(request("GetItem", GET | {"TableName": name}))
    return made[0], made[1]


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Site]]:
    made = alike(tmp_path_factory, in_memory=True)
    yield made
    for site in made:
        site.close()


@pytest.fixture(scope="module")
def durable_sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Site]]:
    made = alike(tmp_path_factory, in_memory=False)
    yield made
    for site in made:
        site.close()


def table(name: str, **more: Any) -> dict[str, Any]:
    return {
        "TableName": name,
        "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "s", "KeyType": "RANGE"}],
        "AttributeDefinitions": [{"AttributeName": key, "AttributeType": type_} for key, type_ in ("pS", "sN")],
        "BillingMode": "PAY_PER_REQUEST",
        **more,
    }


TABLES = [table("plain"), table("log", StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"})]


def agree(sites: tuple[Site, Site], operation: str, asked: Any) -> bool:
    """Whether the short way has an answer. In any case both sites answer alike, and have the same items then."""
    short, long = sites
    answer = short.short(request(operation, asked))
    expected = long.long(request(operation, asked))
    is_short = answer is not None
    if answer is None:
        answer = short.long(request(operation, asked))
    assert seen(answer) == seen(expected)
    for name in ("plain", "log", "both"):
        scan = request("Scan", {"TableName": name})
        assert items(short.long(scan)) == items(long.long(scan))
    return is_short


def seen(response: Response) -> tuple[object, ...]:
    return response.status, response.body, without_id(response)


def items(response: Response) -> list[Any]:
    return sorted(orjson.loads(response.body)["Items"], key=lambda item: orjson.dumps([item["p"], item["s"]]))


ITEM = KEY | {"n": {"N": "5"}, "text": {"S": "x" * 2000}}
ONE = {":one": {"N": "1"}}
COUNT = {"UpdateExpression": "SET n = n + :one", "ExpressionAttributeValues": ONE}
UNLESS = {"ConditionExpression": "attribute_not_exists(p)"}
SHORT = [
    ("PutItem", {"TableName": "plain", "Item": ITEM}),
    ("PutItem", {"TableName": "log", "Item": ITEM, "ReturnValues": "ALL_OLD"}),
    ("PutItem", {"TableName": "log", "Item": ITEM, "ReturnConsumedCapacity": "INDEXES"}),
    ("PutItem", {"TableName": "log", "Item": ITEM, **UNLESS}),
    ("PutItem", {"TableName": "log", "Item": ITEM, **UNLESS, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}),
    ("UpdateItem", KEYED | COUNT),
    ("UpdateItem", KEYED | COUNT | {"ReturnValues": "UPDATED_NEW", "ConditionExpression": "n > :one"}),
    ("UpdateItem", KEYED | {"TableName": "plain", "ReturnConsumedCapacity": "TOTAL"}),
    ("DeleteItem", KEYED | {"ReturnValues": "ALL_OLD"}),
    ("DeleteItem", KEYED | {"TableName": "plain"}),
    ("DeleteItem", KEYED | {"TableName": "plain", "ReturnConsumedCapacity": None, "Unknown": 1}),
]


def test_single_writes_go_the_short_way(sites: tuple[Site, Site]) -> None:
    for operation, asked in SHORT:
        assert agree(sites, operation, asked), (operation, asked)


LONG = [
    ("PutItem", {"TableName": "both", "Item": ITEM}),
    ("PutItem", {"TableName": "unknown", "Item": ITEM}),
    ("PutItem", {"TableName": "plain", "Item": {"p": {"S": "a"}}}),
    ("PutItem", {"TableName": "plain"}),
    ("PutItem", {"TableName": "plain", "Item": ITEM, "ReturnValues": "ALL_NEW"}),
    ("UpdateItem", KEYED | {"UpdateExpression": "SET s = :one", "ExpressionAttributeValues": ONE}),
    ("DeleteItem", KEYED | {"ConditionExpression": "nonsense"}),
]


def test_what_is_refused_or_unusual_goes_the_long_way(sites: tuple[Site, Site]) -> None:
    for operation, asked in LONG:
        assert not agree(sites, operation, asked), (operation, asked)


def test_what_only_the_item_shows_to_be_wrong_is_refused_in_the_words_of_the_long_way(
    sites: tuple[Site, Site],
) -> None:
    agree(sites, "PutItem", {"TableName": "plain", "Item": KEY | {"n": {"S": "none"}}})
    agree(sites, "UpdateItem", KEYED | COUNT | {"TableName": "plain"})
    answer = sites[0].short(request("UpdateItem", KEYED | COUNT | {"TableName": "plain"}))
    assert answer is not None
    assert answer.status == 400


def test_a_client_that_is_alone_is_answered_in_the_step_in_which_its_request_comes(
    durable_sites: tuple[Site, Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not all: one after each new checkpoint goes to the committer.
    monkeypatch.setattr(at_once, "_LONG_SECONDS", 1000.0)
    short, long = durable_sites
    at_one_step = []
    for operation, asked in [*SHORT * 3, *(("TransactWriteItems", asked) for asked in TRANSACTIONS)]:
        answer, is_at_once = short.short_alone(request(operation, asked))
        expected = long.long(request(operation, asked))
        assert seen(answer) == seen(expected), (operation, asked)
        at_one_step.append(is_at_once)
    assert any(at_one_step[: -len(TRANSACTIONS)])
    assert any(at_one_step[-len(TRANSACTIONS) :])
    for name in ("plain", "log"):
        scan = request("Scan", {"TableName": name})
        assert items(short.long(scan)) == items(long.long(scan))


VALUES = st.sampled_from(
    [
        {"N": "1"},
        {"N": "1.50"},
        {"S": "x"},
        {"S": ""},
        {"N": "x"},
        {"SS": ["b", "a"]},
        {"L": [{"N": "01"}]},
        {"S": 1},
        None,
    ]
)
KEYS = st.fixed_dictionaries(
    {
        "p": st.sampled_from([{"S": "a"}, {"S": "é"}, {"S": ""}]),
        "s": st.sampled_from([{"N": "1"}, {"N": "1.0"}, {"S": "1"}]),
    }
)
MORE = {
    "ReturnValues": st.sampled_from(["NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW", "x", None]),
    "ReturnConsumedCapacity": st.sampled_from(["NONE", "TOTAL", "INDEXES", None]),
    "ReturnItemCollectionMetrics": st.sampled_from(["NONE", "SIZE"]),
    "ReturnValuesOnConditionCheckFailure": st.sampled_from(["NONE", "ALL_OLD"]),
    "ConditionExpression": st.sampled_from(
        ["attribute_exists(p)", "attribute_not_exists(p)", "n = :v", "n > :v", "size(n) > :v", "", "x y", None]
    ),
    "ExpressionAttributeValues": st.dictionaries(st.sampled_from([":v", ":w"]), VALUES, max_size=2),
    "Expected": st.just({"n": {"Exists": False}}),
}
TABLE_NAMES = st.sampled_from(["plain", "log", "both", "unknown", None])
WRITES = st.one_of(
    st.tuples(
        st.just("PutItem"),
        st.fixed_dictionaries(
            {"TableName": TABLE_NAMES, "Item": st.builds(lambda key, n: key | {"n": n}, KEYS, VALUES)}, optional=MORE
        ),
    ),
    st.tuples(
        st.just("UpdateItem"),
        st.fixed_dictionaries(
            {"TableName": TABLE_NAMES, "Key": KEYS},
            optional=MORE
            | {
                "UpdateExpression": st.sampled_from(
                    ["SET n = :v", "SET n = n + :v", "REMOVE n", "ADD n :v", "SET n.m = :v", "SET p = :v", "", None]
                )
            },
        ),
    ),
    st.tuples(st.just("DeleteItem"), st.fixed_dictionaries({"TableName": TABLE_NAMES, "Key": KEYS}, optional=MORE)),
)


@given(asked=WRITES)
@settings(max_examples=250)
def test_a_write_means_the_same_both_ways(sites: tuple[Site, Site], asked: tuple[str, Any]) -> None:
    agree(sites, *asked)


PUT = {"Put": {"TableName": "plain", "Item": ITEM}}
COUNTED = {"Update": KEYED | COUNT | {"ConditionExpression": "attribute_exists(p)"}}
CHECK = {"ConditionCheck": KEYED | {"Key": KEY | {"s": {"N": "7"}}, "ConditionExpression": "attribute_not_exists(p)"}}
DELETE = {"Delete": {"TableName": "plain", "Key": KEY | {"s": {"N": "8"}}}}


TRANSACTIONS = [
    {"TransactItems": [PUT, COUNTED, CHECK, DELETE], "ReturnConsumedCapacity": "INDEXES"},
    {"TransactItems": [PUT, COUNTED], "ClientRequestToken": "once"},
    {"TransactItems": [PUT, COUNTED], "ClientRequestToken": "once", "ReturnConsumedCapacity": "TOTAL"},
    {"TransactItems": [PUT], "ClientRequestToken": "once"},
    {
        "TransactItems": [PUT, {"Put": {"TableName": "log", "Item": ITEM, **UNLESS}}],
        "ReturnConsumedCapacity": "TOTAL",
    },
    {"TransactItems": [{"Delete": DELETE["Delete"] | {"ConditionExpression": "attribute_exists(p)"}}]},
    {"TransactItems": [{"Update": KEYED | COUNT | {"UpdateExpression": "SET n = p + :one"}}]},
]


def test_transactions_of_few_operations_go_the_short_way(sites: tuple[Site, Site]) -> None:
    agree(sites, "PutItem", {"TableName": "log", "Item": ITEM})
    for asked in TRANSACTIONS:
        assert agree(sites, "TransactWriteItems", asked), asked


@pytest.mark.parametrize(
    "asked",
    [
        {"TransactItems": [{"Put": {"TableName": "plain", "Item": KEY | {"s": {"N": str(n)}}}} for n in range(11)]},
        {"TransactItems": [COUNTED, {"Delete": KEYED}]},
        {"TransactItems": [PUT, {"Put": {"TableName": "both", "Item": ITEM}}]},
        {"TransactItems": [PUT, {"Put": {"TableName": "plain", "Item": {"p": {"S": "a"}}}}]},
        {"TransactItems": [PUT], "ReturnItemCollectionMetrics": "SIZE"},
        {"TransactItems": []},
        {"TransactItems": [{}]},
        {"TransactItems": [PUT | {"Delete": KEYED}]},
    ],
)
def test_other_transactions_go_the_long_way(sites: tuple[Site, Site], asked: Any) -> None:
    assert not agree(sites, "TransactWriteItems", asked)


@given(
    asked=st.fixed_dictionaries(
        {
            "TransactItems": st.lists(
                WRITES.map(lambda write: {write[0].removesuffix("Item"): write[1]}), min_size=1, max_size=3
            )
        },
        optional={
            "ReturnConsumedCapacity": st.sampled_from(["NONE", "TOTAL", "INDEXES"]),
            "ClientRequestToken": st.sampled_from(["a", "b", ""]),
        },
    )
)
@settings(max_examples=150)
def test_a_transaction_means_the_same_both_ways(sites: tuple[Site, Site], asked: Any) -> None:
    agree(sites, "TransactWriteItems", asked)


@pytest.mark.parametrize(
    ("operation", "asked"),
    [
        ("PutItem", {"TableName": "log", "Item": ITEM, **UNLESS}),
        ("UpdateItem", KEYED | COUNT),
        ("TransactWriteItems", {"TransactItems": [PUT, {"Put": {"TableName": "log", "Item": ITEM, **UNLESS}}]}),
        ("TransactWriteItems", {"TransactItems": [PUT, COUNTED]}),
    ],
)
def test_both_ways_charge_the_same(sites: tuple[Site, Site], operation: str, asked: Any) -> None:
    agree(sites, "PutItem", {"TableName": "log", "Item": ITEM})
    declared = OPERATIONS[operation]

    async def short(context: Context) -> None:
        assert declared.short is not None
        begun: Any = declared.short(context, orjson.loads(orjson.dumps(asked)))
        try:
            begun.answer(await begun.future)
        except ServiceError as error:
            begun.refusal(error)

    async def long(context: Context) -> None:
        with contextlib.suppress(ServiceError):
            await declared.handler(context, declared.validate(orjson.loads(orjson.dumps(asked))))

    def charges(context: Context) -> list[tuple[object, ...]]:
        return [(one.name, one.units, one.attempted, one.refusals) for one in context.meter.charges()]

    for site in sites:  # Afterwards they are alike, as other tests need them.
        contexts = [Context(site.region, "id", Caller("0" * 12, "p")) for _ in range(2)]
        site.loop.run(short(contexts[0]))
        site.loop.run(long(contexts[1]))
        assert charges(contexts[0]) == charges(contexts[1]) != []


def test_a_table_that_another_process_has_changed_is_looked_at_again(sites: tuple[Site, Site]) -> None:
    site = sites[0]
    known = site.region.known["plain"]
    asked = {"TableName": "plain", "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}}
    site.must("UpdateTable", asked)
    site.region.known["plain"] = known
    answer = site.short(request("PutItem", {"TableName": "plain", "Item": ITEM}))
    assert answer is not None
    assert (answer.status, answer.body) == (200, b"{}")
    assert site.region.known["plain"] is not known
    # The other stays alike.
    sites[1].must("UpdateTable", asked)
    sites[1].must("PutItem", {"TableName": "plain", "Item": ITEM})


def test_a_failed_commit_is_answered_as_on_the_long_way(
    sites: tuple[Site, Site], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(*given: object) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.set_exception(StorageError("the disk is full"))
        return future

    async def both() -> tuple[Response, Response]:
        asked = {"TableName": "plain", "Item": ITEM}
        short = sites[0].dispatcher.at_once(request("PutItem", asked))
        assert short is not None
        assert not isinstance(short, Response)
        return await short, await sites[0].dispatcher.handle(request("PutItem", asked))

    region = sites[0].region
    monkeypatch.setattr(region.engine, "mutate", failing)
    short, long = sites[0].loop.run(both())
    assert short.status == 500
    assert seen(short) == seen(long)
    assert [record.getMessage() for record in caplog.records] == ["fault: the disk is full"] * 2
    assert region.begun == region.ended
