"""ReturnConsumedCapacity and ReturnItemCollectionMetrics, over the wire."""

from __future__ import annotations

from typing import Any

import pytest

from testing.dynamodb.definitions import attributes, create, index, key_schema, units
from testing.jedlik_process import Server

KB = 1024


@pytest.fixture(scope="module")
def client(server: Server) -> Any:
    return server.client()


@pytest.fixture(scope="module")
def plain(client: Any) -> str:
    return create(client)


@pytest.fixture(scope="module")
def indexed(client: Any) -> str:
    return create(
        client,
        KeySchema=key_schema("p", "c"),
        AttributeDefinitions=attributes(p="S", c="S", x="S"),
        LocalSecondaryIndexes=[index("local", "p", "x", include=[])],
        GlobalSecondaryIndexes=[index("global", "x")],
    )


def item(name: str, size: int) -> dict[str, Any]:
    """An item of `size` bytes, as DynamoDB counts them."""
    return {"p": {"S": name}, "v": {"S": "x" * (size - len("p") - len(name) - len("v"))}}


def told(answer: dict[str, Any]) -> Any:
    return answer["ConsumedCapacity"]


def total(units: float, table: str) -> dict[str, Any]:
    return {"TableName": table, "CapacityUnits": units}


def test_capacity_is_returned_only_on_request(client: Any, plain: str) -> None:
    assert "ConsumedCapacity" not in client.put_item(TableName=plain, Item=item("a", 10))
    answer = client.get_item(TableName=plain, Key={"p": {"S": "a"}}, ReturnConsumedCapacity="NONE")
    assert "ConsumedCapacity" not in answer


@pytest.mark.parametrize(
    ("size", "put_units", "strong", "eventual"),
    [(KB, 1, 1, 0.5), (KB + 1, 2, 1, 0.5), (4 * KB, 4, 1, 0.5), (4 * KB + 1, 5, 2, 1.0)],
)
def test_puts_and_gets(client: Any, plain: str, size: int, put_units: float, strong: float, eventual: float) -> None:
    name = f"size {size}"
    where = {"TableName": plain, "ReturnConsumedCapacity": "TOTAL"}
    assert told(client.put_item(Item=item(name, size), **where)) == total(put_units, plain)
    key = {"p": {"S": name}}
    assert told(client.get_item(Key=key, ConsistentRead=True, **where)) == total(strong, plain)
    assert told(client.get_item(Key=key, **where)) == total(eventual, plain)
    assert told(client.get_item(Key=key, ProjectionExpression="p", **where)) == total(eventual, plain)


def test_a_missing_item_costs_as_much_as_a_small_one(client: Any, plain: str) -> None:
    where = {"TableName": plain, "Key": {"p": {"S": "absent"}}, "ReturnConsumedCapacity": "TOTAL"}
    assert told(client.get_item(**where)) == total(0.5, plain)
    assert told(client.delete_item(**where)) == total(1, plain)
    assert told(client.update_item(UpdateExpression="REMOVE x", **where)) == total(1, plain)


def test_a_write_costs_the_larger_of_before_and_after(client: Any, plain: str) -> None:
    where = {"TableName": plain, "ReturnConsumedCapacity": "TOTAL"}
    client.put_item(TableName=plain, Item=item("shrinks", 3 * KB))
    assert told(client.put_item(Item=item("shrinks", KB), **where)) == total(3, plain)
    client.put_item(TableName=plain, Item=item("shrinks", 3 * KB))
    key = {"p": {"S": "shrinks"}}
    assert told(client.update_item(Key=key, UpdateExpression="REMOVE v", **where)) == total(3, plain)
    client.put_item(TableName=plain, Item=item("shrinks", 3 * KB))
    assert told(client.delete_item(Key=key, **where)) == total(3, plain)


@pytest.mark.parametrize(
    ("update", "table", "local", "global_"),
    [
        pytest.param("SET a = :v", 1, 0, 1, id="only the global index projects it"),
        pytest.param("SET x = :v", 1, 2, 2, id="an index key: one entry goes, one comes"),
        pytest.param("REMOVE x", 1, 1, 1, id="the entries go"),
        pytest.param("SET x = x, b = b", 1, 0, 0, id="nothing changes"),
    ],
)
def test_indexes_cost_only_where_entries_change(
    client: Any, indexed: str, update: str, table: int, local: int, global_: int
) -> None:
    key = {"p": {"S": "p"}, "c": {"S": "c"}}
    client.put_item(TableName=indexed, Item=key | {"x": {"S": "old"}, "a": {"S": "old"}, "b": {"S": "b"}})
    values = {"ExpressionAttributeValues": {":v": {"S": "new"}}} if ":v" in update else {}
    answer = client.update_item(
        TableName=indexed, Key=key, UpdateExpression=update, ReturnConsumedCapacity="INDEXES", **values
    )
    expected = total(table + local + global_, indexed) | {"Table": {"CapacityUnits": table}}
    if local:
        expected["LocalSecondaryIndexes"] = {"local": {"CapacityUnits": local}}
    if global_:
        expected["GlobalSecondaryIndexes"] = {"global": {"CapacityUnits": global_}}
    assert told(answer) == expected


def test_a_query_costs_what_it_reads_rounded_up_once(client: Any, indexed: str) -> None:
    for number in range(10):
        made = {"p": {"S": "query"}, "c": {"S": str(number)}, "x": {"S": "query"}, "v": {"S": "x" * KB}}
        client.put_item(TableName=indexed, Item=made)
    request = {
        "TableName": indexed,
        "KeyConditionExpression": "p = :p",
        "ExpressionAttributeValues": {":p": {"S": "query"}},
        "ReturnConsumedCapacity": "INDEXES",
    }
    assert told(client.query(**request)) == total(1.5, indexed) | {"Table": {"CapacityUnits": 1.5}}
    assert told(client.query(**request, ConsistentRead=True)) == total(3, indexed) | {"Table": {"CapacityUnits": 3}}
    assert told(client.query(**request, Limit=4, Select="COUNT"))["CapacityUnits"] == 1
    absent = request | {"ExpressionAttributeValues": {":p": {"S": "absent"}}}
    assert told(client.query(**absent))["CapacityUnits"] == 0.5


def test_a_query_of_an_index_costs_the_index_and_the_fetched_items(client: Any, indexed: str) -> None:
    for number in range(3):
        made = {"p": {"S": "fetch"}, "c": {"S": str(number)}, "x": {"S": "fetch"}, "v": {"S": "x" * (5 * KB)}}
        client.put_item(TableName=indexed, Item=made)
    request = {
        "TableName": indexed,
        "IndexName": "local",
        "KeyConditionExpression": "p = :p",
        "ExpressionAttributeValues": {":p": {"S": "fetch"}},
        "ReturnConsumedCapacity": "INDEXES",
    }
    assert told(client.query(**request)) == total(0.5, indexed) | {
        "Table": {"CapacityUnits": 0},
        "LocalSecondaryIndexes": {"local": {"CapacityUnits": 0.5}},
    }
    # Each fetched item is rounded up by itself: 2 strongly consistent units, 1 eventual one.
    assert told(client.query(**request, Select="ALL_ATTRIBUTES")) == total(3.5, indexed) | {
        "Table": {"CapacityUnits": 3},
        "LocalSecondaryIndexes": {"local": {"CapacityUnits": 0.5}},
    }


def test_a_scan_has_a_cost_in_each_partition(client: Any) -> None:
    on_demand, provisioned = create(client), create(client, ProvisionedThroughput=units(5, 5))
    for table, strong in ((on_demand, 4), (provisioned, 1)):
        client.put_item(TableName=table, Item=item("a", 10))
        request = {"TableName": table, "ReturnConsumedCapacity": "TOTAL"}
        assert told(client.scan(**request, ConsistentRead=True)) == total(strong, table)
        assert told(client.scan(**request)) == total(strong / 2, table)
    by_segment = [
        told(client.scan(TableName=on_demand, Segment=s, TotalSegments=4, ReturnConsumedCapacity="TOTAL"))
        for s in range(4)
    ]
    assert by_segment == [total(0.5, on_demand)] * 4


def test_a_batch_costs_what_its_elements_would(client: Any, plain: str, indexed: str) -> None:
    puts = {
        plain: [{"PutRequest": {"Item": item(f"batch {n}", 10 + n * KB)}} for n in range(3)],
        indexed: [{"PutRequest": {"Item": {"p": {"S": "batch"}, "c": {"S": "c"}, "x": {"S": "x"}}}}],
    }
    answer = client.batch_write_item(RequestItems=puts, ReturnConsumedCapacity="INDEXES")
    assert told(answer) == [
        total(6, plain) | {"Table": {"CapacityUnits": 6}},
        total(3, indexed)
        | {
            "Table": {"CapacityUnits": 1},
            "LocalSecondaryIndexes": {"local": {"CapacityUnits": 1}},
            "GlobalSecondaryIndexes": {"global": {"CapacityUnits": 1}},
        },
    ]
    gets = {
        plain: {"Keys": [{"p": {"S": f"batch {n}"}} for n in range(4)], "ConsistentRead": True},
        indexed: {"Keys": [{"p": {"S": "batch"}, "c": {"S": "c"}}]},
    }
    answer = client.batch_get_item(RequestItems=gets, ReturnConsumedCapacity="TOTAL")
    assert told(answer) == [total(4, plain), total(0.5, indexed)]


def test_a_table_named_by_its_arn_is_returned_by_its_arn(client: Any, plain: str) -> None:
    arn = client.describe_table(TableName=plain)["Table"]["TableArn"]
    answer = client.get_item(TableName=arn, Key={"p": {"S": "a"}}, ReturnConsumedCapacity="TOTAL")
    assert told(answer) == total(0.5, arn)


# Item collections


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("put_item", {"Item": {"p": {"S": "p"}, "c": {"S": "c"}, "x": {"S": "x"}}}),
        ("update_item", {"Key": {"p": {"S": "p"}, "c": {"S": "c"}}}),
        ("delete_item", {"Key": {"p": {"S": "p"}, "c": {"S": "c"}}}),
    ],
)
def test_the_size_of_an_item_collection_is_returned(
    client: Any, plain: str, indexed: str, operation: str, request_: dict[str, Any]
) -> None:
    call = getattr(client, operation)
    answer = call(TableName=indexed, ReturnItemCollectionMetrics="SIZE", **request_)
    assert answer["ItemCollectionMetrics"] == {
        "ItemCollectionKey": {"p": {"S": "p"}},
        "SizeEstimateRangeGB": [0.0, 1.0],
    }
    assert "ItemCollectionMetrics" not in call(TableName=indexed, **request_)
    simple = {member: {"p": {"S": "p"}} for member in request_}
    assert "ItemCollectionMetrics" not in call(TableName=plain, ReturnItemCollectionMetrics="SIZE", **simple)


def test_a_batch_returns_the_collections_that_it_changed(client: Any, plain: str, indexed: str) -> None:
    answer = client.batch_write_item(
        RequestItems={
            indexed: [
                {"PutRequest": {"Item": {"p": {"S": "put"}, "c": {"S": "c"}}}},
                {"DeleteRequest": {"Key": {"p": {"S": "delete"}, "c": {"S": "c"}}}},
            ],
            plain: [{"PutRequest": {"Item": {"p": {"S": "p"}}}}],
        },
        ReturnItemCollectionMetrics="SIZE",
    )
    assert answer["ItemCollectionMetrics"] == {
        indexed: [
            {"ItemCollectionKey": {"p": {"S": name}}, "SizeEstimateRangeGB": [0.0, 1.0]} for name in ("put", "delete")
        ]
    }
