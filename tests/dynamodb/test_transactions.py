"""TransactWriteItems and TransactGetItems, one at a time. Concurrent ones are in `tests/transactions`."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from jedlik.dynamodb import catalog
from jedlik.dynamodb.errors import TransactionCanceledException
from jedlik.dynamodb.model import keys
from jedlik.dynamodb.model.limits import ITEM_COLLECTION_SIZE
from jedlik.regions.region import Region
from jedlik.storage.engine import Writes
from testing.dynamodb.definitions import attributes, create, definition, index, key_schema
from testing.dynamodb.handlers import Handlers, run
from testing.dynamodb.refusals import invalid, refusal
from testing.dynamodb.transaction_elements import (
    FAILED,
    NONE,
    ONE_ITEM_TWICE,
    Element,
    check,
    create_indexed,
    delete,
    fault,
    get,
    invalid_write,
    item,
    key,
    put,
    put_items,
    reasons,
    stored,
    update,
)
from testing.jedlik_process import Server


@pytest.fixture(scope="module")
def client(server: Server) -> Any:
    return server.client()


@pytest.fixture(scope="module")
def table(client: Any) -> str:
    """A table with the partition key `p`. Each test has keys of its own."""
    return create(client)


@pytest.fixture(scope="module")
def indexed(client: Any) -> str:
    return create_indexed(client)


@pytest.fixture
def p() -> str:
    """A partition key that no other test has."""
    return secrets.token_hex(8)


# Actions and conditions


def test_every_action_is_done(client: Any, table: str, p: str) -> None:
    put_items(client, table, item(p + "1", x=1, y=1), item(p + "2", x=2), item(p + "3", x=3), item(p + "4", x=4))
    answer = client.transact_write_items(
        TransactItems=[
            put(table, item(p + "1", x=10)),
            update(table, p + "2", "SET x = x + :one", one=1),
            delete(table, p + "3"),
            check(table, p + "4", "attribute_exists(x)"),
            put(table, item(p + "5", x=50)),
            update(table, p + "6", "ADD x :six", six=6),
            delete(table, p + "7"),
        ]
    )
    assert set(answer) == {"ResponseMetadata"}
    assert stored(client, table, *(p + str(n) for n in range(1, 8))) == [
        item(p + "1", x=10),
        item(p + "2", x=3),
        None,
        item(p + "4", x=4),
        item(p + "5", x=50),
        item(p + "6", x=6),
        None,
    ]


@pytest.mark.parametrize("action", ["Put", "Update", "Delete", "ConditionCheck"])
@pytest.mark.parametrize(
    ("there", "condition", "met"),
    [
        (True, "attribute_exists(p)", True),
        (True, "attribute_not_exists(p)", False),
        (False, "attribute_exists(p)", False),
        (False, "attribute_not_exists(p)", True),
    ],
)
def test_a_condition_decides(
    client: Any, table: str, p: str, action: str, there: bool, condition: str, met: bool
) -> None:
    before = item(p, x=1) if there else None
    if before is not None:
        put_items(client, table, before)
    element, after = {
        "Put": (put(table, item(p, x=2), condition), item(p, x=2)),
        "Update": (update(table, p, "SET x = :x", condition, x=2), item(p, x=2)),
        "Delete": (delete(table, p, condition), None),
        "ConditionCheck": (check(table, p, condition), before),
    }[action]
    if met:
        client.transact_write_items(TransactItems=[element])
        assert stored(client, table, p) == [after]
    else:
        assert reasons(client, element) == [FAILED]
        assert stored(client, table, p) == [before]


def test_an_operation_that_fails_undoes_those_beside_it(client: Any, table: str, p: str) -> None:
    put_items(client, table, item(p + "2", x=2), item(p + "3", x=3))
    elements = [
        put(table, item(p + "1")),
        update(table, p + "2", "SET x = :x", x=20),
        delete(table, p + "3"),
        check(table, p + "4", "attribute_exists(p)"),
        put(table, item(p + "5"), "attribute_not_exists(p)"),
    ]
    assert reasons(client, *elements) == [NONE, NONE, NONE, FAILED, NONE]
    assert stored(client, table, *(p + str(n) for n in range(1, 6))) == [
        None,
        item(p + "2", x=2),
        item(p + "3", x=3),
        None,
        None,
    ]


def test_every_failed_operation_has_its_reason_in_its_place(client: Any, table: str, p: str) -> None:
    put_items(client, table, item(p + "2", x=2), item(p + "4", x=4))
    elements = [
        put(table, item(p + "1"), "attribute_exists(p)"),
        update(table, p + "2", "SET y = :y", y=1),
        delete(table, p + "3", "attribute_exists(p)"),
        update(table, p + "4", "SET x = x + y"),
        check(table, p + "5", "attribute_not_exists(p)"),
    ]
    missing = fault("The provided expression refers to an attribute that does not exist in the item")
    assert reasons(client, *elements) == [FAILED, NONE, FAILED, missing, NONE]


def test_a_reason_shows_the_item_if_the_operation_asks_for_it(client: Any, table: str, p: str) -> None:
    there = item(p + "1", x=1, y=2)
    put_items(client, table, there, item(p + "2"))
    all_old = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    none = {"ReturnValuesOnConditionCheckFailure": "NONE"}
    assert reasons(
        client,
        check(table, p + "1", "attribute_not_exists(p)", **all_old),
        check(table, p + "2", "attribute_not_exists(p)", **none),
        check(table, p + "3", "attribute_exists(p)", **all_old),
        put(table, item(p + "4"), **all_old),
    ) == [FAILED | {"Item": there}, FAILED, FAILED, NONE]


def test_every_action_can_show_the_item(client: Any, table: str, p: str) -> None:
    there = [item(f"{p}{n}", x=n) for n in range(4)]
    put_items(client, table, *there)
    elements = [
        put(table, item(p + "0"), "x = y"),
        update(table, p + "1", "REMOVE x", "x = y"),
        delete(table, p + "2", "x = y"),
        check(table, p + "3", "x = y"),
    ]
    for element in elements:
        [members] = element.values()
        members["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    assert reasons(client, *elements) == [FAILED | {"Item": each} for each in there]


def test_several_tables(client: Any, table: str, p: str) -> None:
    other = create(client, KeySchema=key_schema("p", "s"), AttributeDefinitions=attributes(p="S", s="N"))
    there = item(p, s=1, x=1)
    client.transact_write_items(TransactItems=[put(table, item(p, x=1)), put(other, there)])
    assert stored(client, table, p) == [item(p, x=1)]
    read = client.transact_get_items(
        TransactItems=[{"Get": {"TableName": other, "Key": item(p, s=1)}}, get(table, p)],
        ReturnConsumedCapacity="TOTAL",
    )
    assert read["Responses"] == [{"Item": there}, {"Item": item(p, x=1)}]
    assert [told["TableName"] for told in read["ConsumedCapacity"]] == [other, table]


def test_a_table_by_its_arn(client: Any, table: str, p: str) -> None:
    arn = client.describe_table(TableName=table)["Table"]["TableArn"]
    client.transact_write_items(TransactItems=[put(arn, item(p, x=1))])
    assert client.transact_get_items(TransactItems=[get(arn, p)])["Responses"] == [{"Item": item(p, x=1)}]
    assert invalid_write(client, put(arn, item(p)), delete(table, p)) == ONE_ITEM_TWICE


def test_indexes_follow(client: Any, indexed: str, p: str) -> None:
    def found(name: str, attribute: str, value: str) -> list[Any]:
        condition = "g = :v" if name == "global" else "p = :p AND l = :v"
        values = {":v": {"S": value}} | ({":p": {"S": p}} if name == "local" else {})
        answer = client.query(
            TableName=indexed, IndexName=name, KeyConditionExpression=condition, ExpressionAttributeValues=values
        )
        return sorted(each["s"]["S"] for each in answer["Items"])

    def entry(s: str, l: str, g: str) -> dict[str, Any]:  # noqa: E741 - the name of the attribute
        return {"p": {"S": p}, "s": {"S": s}, "l": {"S": l}, "g": {"S": g}}

    client.transact_write_items(
        TransactItems=[put(indexed, entry("1", "a", f"{p}x")), put(indexed, entry("2", "a", f"{p}y"))]
    )
    assert found("local", "l", "a") == ["1", "2"]
    assert found("global", "g", f"{p}x") == ["1"]
    client.transact_write_items(
        TransactItems=[
            {"Delete": {"TableName": indexed, "Key": {"p": {"S": p}, "s": {"S": "1"}}}},
            put(indexed, entry("2", "b", f"{p}x")),
        ]
    )
    assert found("local", "l", "a") == []
    assert found("local", "l", "b") == ["2"]
    assert found("global", "g", f"{p}x") == ["2"]
    assert found("global", "g", f"{p}y") == []


# Client tokens. Their lifetime is in test_client_tokens.py


def test_the_same_token_does_it_once(client: Any, table: str, p: str) -> None:
    request = {"TransactItems": [update(table, p, "ADD x :one", one=1)], "ClientRequestToken": secrets.token_hex(18)}
    for _ in range(3):
        client.transact_write_items(**request)
    assert stored(client, table, p) == [item(p, x=1)]
    client.transact_write_items(**request | {"ClientRequestToken": secrets.token_hex(18)})
    assert stored(client, table, p) == [item(p, x=2)]


def test_a_replay_is_charged_as_reads(client: Any, table: str, p: str) -> None:
    large = key(p) | {"x": {"S": "x" * 1500}}
    request = {
        "TransactItems": [put(table, large), check(table, p + "1", "attribute_not_exists(p)")],
        "ClientRequestToken": secrets.token_hex(18),
        "ReturnConsumedCapacity": "TOTAL",
    }
    assert client.transact_write_items(**request)["ConsumedCapacity"] == [
        {"TableName": table, "CapacityUnits": 6.0, "WriteCapacityUnits": 6.0}
    ]
    told = {"TableName": table, "CapacityUnits": 4.0, "ReadCapacityUnits": 4.0}
    assert client.transact_write_items(**request)["ConsumedCapacity"] == [told]
    assert client.transact_write_items(**request | {"ReturnConsumedCapacity": "INDEXES"})["ConsumedCapacity"] == [
        told | {"Table": {"CapacityUnits": 4.0, "ReadCapacityUnits": 4.0}}
    ]
    assert "ConsumedCapacity" not in client.transact_write_items(**request | {"ReturnConsumedCapacity": "NONE"})


def test_the_same_token_for_something_else(client: Any, table: str, p: str) -> None:
    token = secrets.token_hex(18)
    client.transact_write_items(TransactItems=[put(table, item(p, x=1))], ClientRequestToken=token)
    other = {"TransactItems": [put(table, item(p, x=2))], "ClientRequestToken": token}
    assert refusal(client.transact_write_items, **other) == (
        "IdempotentParameterMismatchException",
        "The request was rejected because it was retried with the same client request token "
        "but with different parameters",
    )
    assert stored(client, table, p) == [item(p, x=1)]


def test_a_transaction_that_was_canceled_may_be_tried_again(client: Any, table: str, p: str) -> None:
    request = {
        "TransactItems": [
            put(table, item(p, x=1), "attribute_not_exists(p)"),
            delete(table, p + "1", "attribute_exists(x)"),
        ],
        "ClientRequestToken": secrets.token_hex(18),
    }
    assert refusal(client.transact_write_items, **request)[0] == "TransactionCanceledException"
    put_items(client, table, item(p + "1", x=1))
    client.transact_write_items(**request)
    client.transact_write_items(**request)
    assert stored(client, table, p, p + "1") == [item(p, x=1), None]


@pytest.mark.parametrize(
    ("length", "constraint"), [(0, "greater than or equal to 1"), (37, "less than or equal to 36")]
)
def test_the_length_of_a_token(client: Any, table: str, p: str, length: int, constraint: str) -> None:
    request = {"TransactItems": [put(table, item(p))], "ClientRequestToken": "t" * length}
    assert invalid(client.transact_write_items, **request) == (
        f"1 validation error detected: Value '{'t' * length}' at 'clientRequestToken' failed to satisfy constraint: "
        f"Member must have length {constraint}"
    )


# Capacity


def written(client: Any, detail: str, *elements: Element) -> list[dict[str, Any]]:
    answer = client.transact_write_items(TransactItems=list(elements), ReturnConsumedCapacity=detail)
    told: list[dict[str, Any]] = answer["ConsumedCapacity"]
    return told


def test_writes_cost_twice(client: Any, table: str, p: str) -> None:
    put_items(client, table, key(p + "2") | {"x": {"S": "x" * 2500}}, item(p + "3"))
    told = written(
        client,
        "TOTAL",
        put(table, item(p + "1")),
        delete(table, p + "2"),
        update(table, p + "3", "SET x = :x", "attribute_exists(p)", x=1),
        check(table, p + "4", "attribute_not_exists(p)"),
        delete(table, p + "5"),
    )
    assert told == [{"TableName": table, "CapacityUnits": 14.0, "WriteCapacityUnits": 14.0}]


def test_indexes_cost_what_they_always_do(client: Any, indexed: str, table: str, p: str) -> None:
    both = {"p": {"S": p}, "s": {"S": "1"}, "l": {"S": "a"}, "g": {"S": p}}
    assert written(client, "INDEXES", put(indexed, both), put(table, item(p))) == [
        {
            "TableName": indexed,
            "CapacityUnits": 4.0,
            "WriteCapacityUnits": 4.0,
            "Table": {"CapacityUnits": 2.0, "WriteCapacityUnits": 2.0},
            "LocalSecondaryIndexes": {"local": {"CapacityUnits": 1.0, "WriteCapacityUnits": 1.0}},
            "GlobalSecondaryIndexes": {"global": {"CapacityUnits": 1.0, "WriteCapacityUnits": 1.0}},
        },
        {
            "TableName": table,
            "CapacityUnits": 2.0,
            "WriteCapacityUnits": 2.0,
            "Table": {"CapacityUnits": 2.0, "WriteCapacityUnits": 2.0},
        },
    ]


def test_reads_cost_twice(client: Any, table: str, p: str) -> None:
    put_items(client, table, key(p + "1") | {"x": {"S": "x" * 5000}}, item(p + "2"))
    request = {"TransactItems": [get(table, p + "1"), get(table, p + "2"), get(table, p + "3")]}
    total = {"TableName": table, "CapacityUnits": 8.0, "ReadCapacityUnits": 8.0}
    answer = client.transact_get_items(**request, ReturnConsumedCapacity="TOTAL")
    assert answer["ConsumedCapacity"] == [total]
    answer = client.transact_get_items(**request, ReturnConsumedCapacity="INDEXES")
    assert answer["ConsumedCapacity"] == [total | {"Table": {"CapacityUnits": 8.0, "ReadCapacityUnits": 8.0}}]
    assert "ConsumedCapacity" not in client.transact_get_items(**request)


# Item collections


def test_item_collection_metrics(client: Any, indexed: str, table: str, p: str) -> None:
    one = {"p": {"S": p}, "s": {"S": "1"}}
    other = {"p": {"S": p + "x"}, "s": {"S": "1"}}
    answer = client.transact_write_items(
        TransactItems=[
            put(indexed, one),
            put(table, item(p)),
            {"Delete": {"TableName": indexed, "Key": other}},
            {
                "ConditionCheck": {
                    "TableName": indexed,
                    "Key": {"p": {"S": p + "y"}, "s": {"S": "1"}},
                    "ConditionExpression": "attribute_not_exists(p)",
                }
            },
        ],
        ReturnItemCollectionMetrics="SIZE",
    )
    assert answer["ItemCollectionMetrics"] == {
        indexed: [
            {"ItemCollectionKey": key(p), "SizeEstimateRangeGB": [0.0, 1.0]},
            {"ItemCollectionKey": key(p + "x"), "SizeEstimateRangeGB": [0.0, 1.0]},
        ]
    }


def test_no_item_collection_metrics(client: Any, indexed: str, table: str, p: str) -> None:
    without_local_index = [put(table, item(p))]
    answer = client.transact_write_items(TransactItems=without_local_index, ReturnItemCollectionMetrics="SIZE")
    assert "ItemCollectionMetrics" not in answer
    answer = client.transact_write_items(TransactItems=[put(indexed, {"p": {"S": p}, "s": {"S": "1"}})])
    assert "ItemCollectionMetrics" not in answer


def test_a_full_item_collection_does_not_grow(tmp_path: Path) -> None:
    async def test(handlers: Handlers) -> None:
        made = definition(
            KeySchema=key_schema("p", "s"),
            AttributeDefinitions=attributes(p="S", s="S", l="S"),
            LocalSecondaryIndexes=[index("local", "p", "l")],
        )
        await handlers.call("CreateTable", **made)
        full = {"p": {"S": "full"}, "s": {"S": "1"}}
        await handlers.call("PutItem", TableName=made["TableName"], Item=full)
        await fill(handlers.region, made["TableName"], full)
        elements = [put(made["TableName"], {"p": {"S": "other"}, "s": {"S": "1"}}), put(made["TableName"], full | x)]
        with pytest.raises(TransactionCanceledException) as raised:
            await handlers.call("TransactWriteItems", TransactItems=elements)
        too_large = {"Code": "ItemCollectionSizeLimitExceeded", "Message": "Collection size exceeded."}
        assert raised.value.fields == {"CancellationReasons": [NONE, too_large]}
        smaller = [{"Delete": {"TableName": made["TableName"], "Key": full}}]
        await handlers.call("TransactWriteItems", TransactItems=smaller)

    x = {"x": {"N": "1"}}
    run(tmp_path, test)


async def fill(region: Region, name: str, item: dict[str, Any]) -> None:
    """Make an item's collection count as full."""
    table = await catalog.current(region, name)
    counter = keys.collection_bytes_key(table, keys.item_key(table, item, region.secret))

    def decide(_: Sequence[bytes | None]) -> tuple[Writes, None]:
        writes = Writes()
        writes.add(counter, ITEM_COLLECTION_SIZE)
        return writes, None

    await region.engine.mutate([], decide)


# TransactGetItems


def test_items_in_the_order_of_the_request(client: Any, table: str, p: str) -> None:
    put_items(client, table, item(p + "1", x=1), item(p + "3", x=3))
    read = client.transact_get_items(TransactItems=[get(table, p + "3"), get(table, p + "2"), get(table, p + "1")])
    assert read["Responses"] == [{"Item": item(p + "3", x=3)}, {}, {"Item": item(p + "1", x=1)}]
    assert set(read) == {"Responses", "ResponseMetadata"}


def test_projections(client: Any, table: str, p: str) -> None:
    put_items(client, table, item(p + "1", x=1, y=2, z=3), item(p + "2", x=1, y=2), item(p + "3", y=2))
    read = client.transact_get_items(
        TransactItems=[
            get(table, p + "1", ProjectionExpression="x,z"),
            get(table, p + "2", ProjectionExpression="#y,p", ExpressionAttributeNames={"#y": "y"}),
            get(table, p + "3", ProjectionExpression="x"),
            get(table, p + "4", ProjectionExpression="x"),
        ]
    )
    assert read["Responses"] == [
        {"Item": {"x": {"N": "1"}, "z": {"N": "3"}}},
        {"Item": item(p + "2", y=2)},
        {"Item": {}},
        {},
    ]
