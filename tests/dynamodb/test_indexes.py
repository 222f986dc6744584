"""Secondary indexes, over the wire: they follow the items, whichever operation writes them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from testing.dynamodb.definitions import attributes, create, describe, describe_index, index, key_schema
from testing.jedlik_process import Server

Item = dict[str, Any]


@pytest.fixture(scope="module")
def client(server: Server) -> Any:
    return server.client()


@pytest.fixture(scope="module")
def table(client: Any) -> str:
    """Key p, c; a local index by the number n; a global one by x, and one by x and y together, sorted by n and s."""
    return create(
        client,
        KeySchema=key_schema("p", "c"),
        AttributeDefinitions=attributes(p="S", c="S", n="N", s="S", x="S", y="S"),
        LocalSecondaryIndexes=[index("by-n", "p", "n")],
        GlobalSecondaryIndexes=[index("by-x", "x", include=["a"]), index("by-xy", ["x", "y"], "n", "s")],
    )


def text(**attributes: str) -> Item:
    return {name: {"S": value} for name, value in attributes.items()}


def entries(client: Any, table: str, name: str) -> list[Item]:
    found: list[Item] = client.scan(TableName=table, IndexName=name)["Items"]
    return found


def query(client: Any, table: str, name: str, condition: str, **values: Any) -> list[Item]:
    given = {f":{key}": value for key, value in values.items()}
    answer = client.query(
        TableName=table, IndexName=name, KeyConditionExpression=condition, ExpressionAttributeValues=given
    )
    found: list[Item] = answer["Items"]
    return found


def by_x(client: Any, table: str, x: str) -> list[Item]:
    return query(client, table, "by-x", "x = :x", x={"S": x})


def test_an_item_is_in_an_index_while_it_has_its_key(client: Any, table: str) -> None:
    key = text(p="sparse", c="c")
    client.put_item(TableName=table, Item=key)
    assert by_x(client, table, "one") == []

    set_x = {"UpdateExpression": "SET x = :x, a = :a, b = :a"}
    for x in ("one", "two"):
        values = {":x": {"S": x}, ":a": {"S": "a"}}
        client.update_item(TableName=table, Key=key, ExpressionAttributeValues=values, **set_x)
        assert by_x(client, table, x) == [key | text(x=x, a="a")]
    assert by_x(client, table, "one") == []

    client.update_item(TableName=table, Key=key, UpdateExpression="REMOVE x")
    assert by_x(client, table, "two") == []

    client.put_item(TableName=table, Item=key | text(x="three"))
    client.delete_item(TableName=table, Key=key)
    assert by_x(client, table, "three") == []


def test_a_local_index_sorts_by_its_own_key(client: Any, table: str) -> None:
    numbers = ["10", "-2.5", "9", "1e20", "0"]
    for c, n in enumerate(numbers):
        client.put_item(TableName=table, Item=text(p="sorted", c=str(c)) | {"n": {"N": n}})
    found = query(client, table, "by-n", "p = :p", p={"S": "sorted"})
    assert [item["n"]["N"] for item in found] == ["-2.5", "0", "9", "10", "100000000000000000000"]
    found = query(
        client, table, "by-n", "p = :p AND n BETWEEN :a AND :b", p={"S": "sorted"}, a={"N": "0"}, b={"N": "10"}
    )
    assert [item["n"]["N"] for item in found] == ["0", "9", "10"]


def test_an_index_with_several_key_attributes(client: Any, table: str) -> None:
    def made(c: str, x: str, y: str, n: int, s: str) -> Item:
        return text(p="several", c=c, x=x, y=y, s=s) | {"n": {"N": str(n)}}

    items = [
        made("1", "ab", "c", 2, "a"),
        made("2", "ab", "c", 1, "b"),
        made("3", "ab", "c", 1, "a"),
        made("4", "a", "bc", 1, "a"),
    ]
    for item in items:
        client.put_item(TableName=table, Item=item)
    client.put_item(TableName=table, Item=text(p="several", c="5", x="ab", y="c", s="has no n"))

    both = {"x": {"S": "ab"}, "y": {"S": "c"}}
    assert query(client, table, "by-xy", "x = :x AND y = :y", **both) == [items[2], items[1], items[0]]
    assert query(client, table, "by-xy", "x = :x AND y = :y AND n = :n", **both, n={"N": "1"}) == [items[2], items[1]]
    assert query(
        client, table, "by-xy", "x = :x AND y = :y AND n = :n AND s > :s", **both, n={"N": "1"}, s={"S": "a"}
    ) == [items[1]]
    assert query(client, table, "by-xy", "x = :x AND y = :y", x={"S": "a"}, y={"S": "bc"}) == [items[3]]


def test_batches_keep_indexes_too(client: Any, table: str) -> None:
    puts = [{"PutRequest": {"Item": text(p="batch", c=str(c), x=f"batch {c % 2}")}} for c in range(6)]
    client.batch_write_item(RequestItems={table: puts})
    assert {item["c"]["S"] for item in by_x(client, table, "batch 0")} == {"0", "2", "4"}
    deletes = [{"DeleteRequest": {"Key": text(p="batch", c=str(c))}} for c in range(4)]
    moves = [{"PutRequest": {"Item": text(p="batch", c="4", x="batch 1")}}]
    client.batch_write_item(RequestItems={table: deletes + moves})
    assert by_x(client, table, "batch 0") == []
    assert {item["c"]["S"] for item in by_x(client, table, "batch 1")} == {"4", "5"}


def test_a_refused_write_leaves_indexes_alone(client: Any, table: str) -> None:
    item = text(p="refused", c="c", x="refused")
    client.put_item(TableName=table, Item=item)
    with pytest.raises(client.exceptions.ConditionalCheckFailedException):
        client.put_item(
            TableName=table, Item=text(p="refused", c="c", x="other"), ConditionExpression="attribute_not_exists(p)"
        )
    assert by_x(client, table, "refused") == [item]
    assert by_x(client, table, "other") == []


def test_concurrent_writes_leave_indexes_as_the_items_are(client: Any, server: Server) -> None:
    table = create(client, AttributeDefinitions=attributes(p="S", x="S"), GlobalSecondaryIndexes=[index("by-x", "x")])

    def write(worker: int) -> None:
        own = server.client()
        for step in range(40):
            key = {"p": {"S": str((worker * 7 + step) % 5)}}
            if step % 4 == 3:
                own.delete_item(TableName=table, Key=key)
            else:
                own.put_item(TableName=table, Item=key | text(x=str((worker + step) % 3), writer=f"{worker}/{step}"))

    with ThreadPoolExecutor(8) as workers:
        list(workers.map(write, range(8)))

    def in_order(items: list[Item]) -> list[Item]:
        return sorted(items, key=lambda item: str(item["p"]["S"]))

    items = client.scan(TableName=table, ConsistentRead=True)["Items"]
    assert in_order(entries(client, table, "by-x")) == in_order(items)
    assert describe(client, table)["ItemCount"] == len(items)


def test_a_new_index_takes_valid_items_and_later_writes_must_fit_it(client: Any) -> None:
    table = create(client)
    fits, wrong_type, empty, without = (
        text(p="fits", x="x"),
        text(p="wrong type") | {"x": {"N": "1"}},
        text(p="empty", x=""),
        text(p="without"),
    )
    for item in (fits, wrong_type, empty, without):
        client.put_item(TableName=table, Item=item)
    client.update_table(
        TableName=table,
        AttributeDefinitions=attributes(p="S", x="S"),
        GlobalSecondaryIndexUpdates=[{"Create": index("by-x", "x")}],
    )
    wait_until_active(client, table, "by-x")
    assert entries(client, table, "by-x") == [fits]
    for name in ("wrong type", "empty"):
        client.update_item(
            TableName=table,
            Key=text(p=name),
            UpdateExpression="SET y = :y",
            ExpressionAttributeValues={":y": {"S": "an attribute that is no key"}},
        )
        client.delete_item(TableName=table, Key=text(p=name))
    assert entries(client, table, "by-x") == [fits]
    found = describe_index(client, table, "by-x")
    assert found is not None
    assert found["ItemCount"] == 1


def wait_until_active(client: Any, table: str, name: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while (describe_index(client, table, name) or {}).get("IndexStatus") != "ACTIVE":
        assert time.monotonic() < deadline, "the index did not become active in time"
        time.sleep(0.02)
