"""Members of requests that no other test here sends with success, each with its effect.

docs/reference/coverage.md lists the members without a test.
"""

from __future__ import annotations

from typing import Any

import pytest

from testing.dynamodb.definitions import attributes, create, describe, describe_index, index, key_schema
from testing.dynamodb.refusals import refusal
from testing.dynamodb.replicated_tables import HERE, THERE, becomes, global_table, replica, replica_updates, statuses
from testing.jedlik_process import Server


@pytest.fixture(scope="module")
def client(server: Server) -> Any:
    return server.client()


@pytest.fixture
def plain(client: Any) -> str:
    """A table of its own with one item."""
    table = create(client)
    client.put_item(TableName=table, Item={"p": {"S": "x"}, "n": {"N": "5"}, "s": {"S": "text"}})
    return table


KEY = {"p": {"S": "x"}}
FAILED = ("ConditionalCheckFailedException", "The conditional request failed")


@pytest.mark.parametrize(
    ("expected", "operator", "holds"),
    [
        ({"n": {"Value": {"N": "5"}}}, None, True),
        ({"n": {"Value": {"N": "6"}}}, None, False),
        ({"n": {"Value": {"N": "5"}, "Exists": True}, "z": {"Exists": False}}, None, True),
        ({"n": {"ComparisonOperator": "BETWEEN", "AttributeValueList": [{"N": "1"}, {"N": "5"}]}}, None, True),
        ({"n": {"ComparisonOperator": "GT", "AttributeValueList": [{"N": "5"}]}}, None, False),
        ({"n": {"Value": {"N": "6"}}, "s": {"ComparisonOperator": "NOT_NULL"}}, "OR", True),
        ({"n": {"Value": {"N": "6"}}, "s": {"ComparisonOperator": "NOT_NULL"}}, "AND", False),
    ],
)
@pytest.mark.parametrize("operation", ["put_item", "update_item", "delete_item"])
def test_old_conditions(
    client: Any, plain: str, operation: str, expected: dict[str, Any], operator: str | None, holds: bool
) -> None:
    write: dict[str, Any] = {"TableName": plain, "Expected": expected}
    write |= {"ConditionalOperator": operator} if operator else {}
    write |= {"Item": KEY} if operation == "put_item" else {"Key": KEY}
    if operation == "update_item":
        write["AttributeUpdates"] = {"n": {"Action": "DELETE"}}
    if not holds:
        assert refusal(getattr(client, operation), **write) == FAILED
    else:
        getattr(client, operation)(**write)
    assert ("n" in client.get_item(TableName=plain, Key=KEY).get("Item", {})) is not holds


@pytest.mark.parametrize("operation", ["put_item", "update_item", "delete_item"])
def test_names_in_conditions(client: Any, plain: str, operation: str) -> None:
    write: dict[str, Any] = {"Item": KEY} if operation == "put_item" else {"Key": KEY}
    condition = {"ConditionExpression": "#n < :n", "ExpressionAttributeNames": {"#n": "n"}}
    call = getattr(client, operation)
    unmet = {"ExpressionAttributeValues": {":n": {"N": "5"}}}
    assert refusal(call, TableName=plain, **write, **condition, **unmet) == FAILED
    call(TableName=plain, **write, **condition, ExpressionAttributeValues={":n": {"N": "6"}})


def test_names_and_values_in_each_element_of_a_transaction(client: Any) -> None:
    table = create(client)
    for p in "abcd":
        client.put_item(TableName=table, Item={"p": {"S": p}, "n": {"N": "1"}})

    def element(p: str, **more: Any) -> dict[str, Any]:
        condition = {"ConditionExpression": "#n = :n", "ExpressionAttributeNames": {"#n": "n"}}
        return {"TableName": table, **condition, "ExpressionAttributeValues": {":n": {"N": "1"}}, **more}

    client.transact_write_items(
        TransactItems=[
            {"Put": element("a", Item={"p": {"S": "a"}, "put": {"BOOL": True}})},
            {"Update": element("b", Key={"p": {"S": "b"}}, UpdateExpression="SET u = #n")},
            {"Delete": element("c", Key={"p": {"S": "c"}})},
            {"ConditionCheck": element("d", Key={"p": {"S": "d"}})},
        ]
    )
    found = {item["p"]["S"]: item for item in client.scan(TableName=table)["Items"]}
    assert found == {
        "a": {"p": {"S": "a"}, "put": {"BOOL": True}},
        "b": {"p": {"S": "b"}, "n": {"N": "1"}, "u": {"N": "1"}},
        "d": {"p": {"S": "d"}, "n": {"N": "1"}},
    }


def test_old_filters_joined_by_or_and_names_in_filters(client: Any) -> None:
    table = create(client, KeySchema=key_schema("p", "c"), AttributeDefinitions=attributes(p="S", c="N"))
    for c in range(4):
        client.put_item(TableName=table, Item={"p": {"S": "x"}, "c": {"N": str(c)}, f"is{c}": {"BOOL": True}})
    either = {"is1": {"ComparisonOperator": "NOT_NULL"}, "is3": {"ComparisonOperator": "NOT_NULL"}}
    equal = {"p": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "x"}]}}
    old = {"TableName": table, "ConditionalOperator": "OR"}
    queried = client.query(**old, KeyConditions=equal, QueryFilter=either)
    assert [item["c"]["N"] for item in queried["Items"]] == ["1", "3"]
    assert client.scan(**old, ScanFilter=either)["Count"] == 2
    names = {"FilterExpression": "attribute_exists(#is)", "ExpressionAttributeNames": {"#is": "is2", "#p": "p"}}
    asked = client.query(
        TableName=table,
        KeyConditionExpression="#p = :p",
        ExpressionAttributeValues={":p": {"S": "x"}},
        **names,
    )
    assert [item["c"]["N"] for item in asked["Items"]] == ["2"]
    del names["ExpressionAttributeNames"]["#p"]  # type: ignore[attr-defined]
    assert client.scan(TableName=table, **names)["Count"] == 1


def test_old_projections_in_a_batch(client: Any, plain: str) -> None:
    asked = {plain: {"Keys": [KEY], "AttributesToGet": ["n"]}}
    assert client.batch_get_item(RequestItems=asked)["Responses"] == {plain: [{"n": {"N": "5"}}]}


# Indexes' throughput

MOST = {"MaxReadRequestUnits": 10, "MaxWriteRequestUnits": 20}
WARM = {"ReadUnitsPerSecond": 13_000, "WriteUnitsPerSecond": 5_000}


def shown(client: Any, table: str, name: str) -> dict[str, Any]:
    found = describe_index(client, table, name)
    assert found is not None
    return found


def test_an_index_is_created_with_its_throughput_and_changed(client: Any) -> None:
    table = create(
        client,
        AttributeDefinitions=attributes(p="S", g="S"),
        GlobalSecondaryIndexes=[index("one", "g", OnDemandThroughput=MOST, WarmThroughput=WARM)],
    )
    assert shown(client, table, "one")["OnDemandThroughput"] == MOST
    assert shown(client, table, "one")["WarmThroughput"] == WARM | {"Status": "ACTIVE"}
    added = index("two", "g", OnDemandThroughput=MOST, WarmThroughput=WARM)
    client.update_table(
        TableName=table, AttributeDefinitions=attributes(g="S"), GlobalSecondaryIndexUpdates=[{"Create": added}]
    )
    becomes(lambda: shown(client, table, "two")["IndexStatus"], "ACTIVE")
    assert shown(client, table, "two")["OnDemandThroughput"] == MOST
    assert shown(client, table, "two")["WarmThroughput"] == WARM | {"Status": "ACTIVE"}
    less = {"MaxReadRequestUnits": 5, "MaxWriteRequestUnits": 6}
    client.update_table(
        TableName=table, GlobalSecondaryIndexUpdates=[{"Update": {"IndexName": "one", "OnDemandThroughput": less}}]
    )
    assert shown(client, table, "one")["OnDemandThroughput"] == less
    more = {"ReadUnitsPerSecond": 14_000, "WriteUnitsPerSecond": 6_000}
    client.update_table(
        TableName=table, GlobalSecondaryIndexUpdates=[{"Update": {"IndexName": "two", "WarmThroughput": more}}]
    )
    assert shown(client, table, "two")["WarmThroughput"] == more | {"Status": "ACTIVE"}


def test_a_table_is_warmed_for_writes(client: Any) -> None:
    table = create(client)
    client.update_table(TableName=table, WarmThroughput={"WriteUnitsPerSecond": 5_000})
    assert describe(client, table)["WarmThroughput"]["WriteUnitsPerSecond"] == 5_000


# Replicas' own throughput


def test_a_replica_is_created_with_its_own_throughput_and_changed(here: Any) -> None:
    name = create(
        here,
        AttributeDefinitions=attributes(p="S", g="S"),
        GlobalSecondaryIndexes=[index("one", "g")],
    )
    most = {"OnDemandThroughputOverride": {"MaxReadRequestUnits": 30}}
    of_index = [{"IndexName": "one", "OnDemandThroughputOverride": {"MaxReadRequestUnits": 7}}]
    here.update_table(TableName=name, **replica_updates("Create", THERE, **most, GlobalSecondaryIndexes=of_index))
    becomes(lambda: statuses(here, name), {THERE: "ACTIVE"})
    found = replica(here, name, THERE)
    assert found["OnDemandThroughputOverride"] == {"MaxReadRequestUnits": 30}
    assert found["GlobalSecondaryIndexes"][0]["OnDemandThroughputOverride"] == {"MaxReadRequestUnits": 7}
    changed = [{"IndexName": "one", "OnDemandThroughputOverride": {"MaxReadRequestUnits": 8}}]
    update = {"OnDemandThroughputOverride": {"MaxReadRequestUnits": 31}, "GlobalSecondaryIndexes": changed}
    here.update_table(TableName=name, **replica_updates("Update", THERE, **update))
    found = replica(here, name, THERE)
    assert found["OnDemandThroughputOverride"] == {"MaxReadRequestUnits": 31}
    assert found["GlobalSecondaryIndexes"][0]["OnDemandThroughputOverride"] == {"MaxReadRequestUnits": 8}


def test_a_replica_gets_another_table_class(here: Any) -> None:
    name = global_table(here, THERE)
    here.update_table(
        TableName=name, **replica_updates("Update", THERE, TableClassOverride="STANDARD_INFREQUENT_ACCESS")
    )
    assert replica(here, name, THERE)["ReplicaTableClassSummary"] == {"TableClass": "STANDARD_INFREQUENT_ACCESS"}
    assert "TableClassSummary" not in describe(here, name)
    assert here.meta.region_name == HERE


# Streams


def test_streams_are_listed_page_by_page(server: Server, client: Any) -> None:
    specification = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    tables = {create(client, StreamSpecification=specification) for _ in range(3)}
    streams = server.client("dynamodbstreams")
    found: set[str] = set()
    more: dict[str, str] = {}
    while True:
        page = streams.list_streams(Limit=2, **more)
        assert len(page["Streams"]) <= 2
        found |= {stream["TableName"] for stream in page["Streams"]}
        if "LastEvaluatedStreamArn" not in page:
            break
        more = {"ExclusiveStartStreamArn": page["LastEvaluatedStreamArn"]}
    assert found >= tables


def test_a_shard_without_children_has_none(server: Server, client: Any) -> None:
    specification = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    table = create(client, StreamSpecification=specification)
    arn = describe(client, table)["LatestStreamArn"]
    streams = server.client("dynamodbstreams")
    [shard] = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    children = {"Type": "CHILD_SHARDS", "ShardId": shard["ShardId"]}
    assert streams.describe_stream(StreamArn=arn, ShardFilter=children)["StreamDescription"]["Shards"] == []


# Consumed capacity by index


def units(of: float) -> dict[str, float]:
    return {"CapacityUnits": of}


def test_each_operation_returns_capacity_by_index(client: Any) -> None:
    table = create(
        client,
        KeySchema=key_schema("p", "c"),
        AttributeDefinitions=attributes(p="S", c="S", l="S", g="S"),
        LocalSecondaryIndexes=[index("local", "p", "l")],
        GlobalSecondaryIndexes=[index("global", "g")],
    )
    key = {"p": {"S": "x"}, "c": {"S": "y"}}
    item = key | {"l": {"S": "l"}, "g": {"S": "g"}}
    told = {"TableName": table, "ReturnConsumedCapacity": "INDEXES"}
    written = {
        "TableName": table,
        "CapacityUnits": 3.0,
        "Table": units(1.0),
        "LocalSecondaryIndexes": {"local": units(1.0)},
        "GlobalSecondaryIndexes": {"global": units(1.0)},
    }
    read = {"TableName": table, "CapacityUnits": 0.5, "Table": units(0.5)}
    by_global = read | {"Table": units(0.0), "GlobalSecondaryIndexes": {"global": units(0.5)}}
    assert client.put_item(**told, Item=item)["ConsumedCapacity"] == written
    assert client.get_item(**told, Key=key)["ConsumedCapacity"] == read
    # A scan goes through the four partitions of a table on demand.
    scanned = read | {"CapacityUnits": 2.0}
    assert client.scan(**told)["ConsumedCapacity"] == scanned | {"Table": units(2.0)}
    for kind, name in (("GlobalSecondaryIndexes", "global"), ("LocalSecondaryIndexes", "local")):
        of_index = {"Table": units(0.0), kind: {name: units(2.0)}}
        assert client.scan(**told, IndexName=name)["ConsumedCapacity"] == scanned | of_index
    of_g = {"KeyConditionExpression": "g = :g", "ExpressionAttributeValues": {":g": {"S": "g"}}}
    assert client.query(**told, IndexName="global", **of_g)["ConsumedCapacity"] == by_global
    batch = client.batch_get_item(RequestItems={table: {"Keys": [key]}}, ReturnConsumedCapacity="INDEXES")
    assert batch["ConsumedCapacity"] == [read]
    assert client.delete_item(**told, Key=key)["ConsumedCapacity"] == written
