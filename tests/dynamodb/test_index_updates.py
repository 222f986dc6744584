"""Global indexes that UpdateTable adds and removes: the permitted requests, and the descriptions.

`test_backfill` is about the content of a new index.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from jedlik.dynamodb.tables import backfill
from testing.dynamodb.definitions import (
    attributes,
    create,
    definition,
    describe,
    describe_index,
    index,
    key_schema,
    units,
)
from testing.dynamodb.refusals import INVALID, invalid, refusal
from testing.jedlik_process import Server

SOME = 25

ONE_AT_A_TIME = (
    "LimitExceededException",
    "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table",
)


@pytest.fixture
def client(server: Server) -> Any:
    return server.client()


def add(client: Any, table: str, new: dict[str, Any], **types: str) -> Any:
    """Add an index whose key attributes are strings, except those in `types`."""
    names = [element["AttributeName"] for element in new["KeySchema"]]
    answer = client.update_table(
        TableName=table,
        AttributeDefinitions=attributes(**(dict.fromkeys(names, "S") | types)),
        GlobalSecondaryIndexUpdates=[{"Create": new}],
    )
    return answer["TableDescription"]


def remove(client: Any, table: str, name: str) -> Any:
    changes = [{"Delete": {"IndexName": name}}]
    return client.update_table(TableName=table, GlobalSecondaryIndexUpdates=changes)["TableDescription"]


def changed(table: str, *changes: dict[str, Any], **types: str) -> dict[str, Any]:
    """A case of a refusal: a request that makes these changes."""
    request: dict[str, Any] = {"TableName": table, "GlobalSecondaryIndexUpdates": list(changes)}
    return request | ({"AttributeDefinitions": attributes(**types)} if types else {})


def wait_until_active(client: Any, table: str, name: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        shown = describe_index(client, table, name)
        if shown is None or shown["IndexStatus"] == "ACTIVE":
            return
        assert time.monotonic() < deadline, "the index was not filled in time"
        time.sleep(0.01)


def full_table(client: Any) -> str:
    """A table of some items with the attribute x."""
    name = create(client)
    requests = [{"PutRequest": {"Item": {"p": {"S": str(n)}, "x": {"S": str(n % 10)}}}} for n in range(SOME)]
    client.batch_write_item(RequestItems={name: requests})
    return name


def test_a_new_index_is_creating_and_then_active(client: Any) -> None:
    name = create(client)
    answer = add(client, name, index("by-x", "x", include=["b", "a"]))
    assert answer["TableStatus"] == "UPDATING"
    assert answer["AttributeDefinitions"] == attributes(p="S", x="S")
    [shown] = answer["GlobalSecondaryIndexes"]
    assert shown["IndexStatus"] == "CREATING"
    assert shown["Backfilling"] is False
    assert shown["KeySchema"] == key_schema("x")
    assert shown["Projection"] == {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["a", "b"]}
    assert shown["IndexArn"] == f"{answer['TableArn']}/index/by-x"
    wait_until_active(client, name, "by-x")
    made = describe_index(client, name, "by-x")
    assert made is not None
    assert "Backfilling" not in made
    assert describe(client, name)["TableStatus"] == "ACTIVE"


def test_a_removed_index_is_deleting_and_then_gone(client: Any) -> None:
    name = create(client, AttributeDefinitions=attributes(p="S", x="S"), GlobalSecondaryIndexes=[index("by-x", "x")])
    answer = remove(client, name, "by-x")
    assert answer["TableStatus"] == "UPDATING"
    assert answer["AttributeDefinitions"] == attributes(p="S")
    assert [i["IndexStatus"] for i in answer["GlobalSecondaryIndexes"]] == ["DELETING"]
    described = describe(client, name)
    assert "GlobalSecondaryIndexes" not in described
    assert described["AttributeDefinitions"] == attributes(p="S")
    assert invalid(client.scan, TableName=name, IndexName="by-x") == (
        "The table does not have the specified index: by-x"
    )


def test_an_attribute_stays_defined_as_long_as_it_is_in_a_key(client: Any) -> None:
    name = create(
        client,
        AttributeDefinitions=attributes(p="S", x="S"),
        GlobalSecondaryIndexes=[index("by-x", "x"), index("by-px", "p", "x")],
    )
    remove(client, name, "by-x")
    assert describe(client, name)["AttributeDefinitions"] == attributes(p="S", x="S")
    remove(client, name, "by-px")
    assert describe(client, name)["AttributeDefinitions"] == attributes(p="S")


def test_an_index_may_be_created_again_with_the_same_name(client: Any) -> None:
    name = create(client)
    client.put_item(TableName=name, Item={"p": {"S": "a"}, "x": {"S": "1"}, "y": {"N": "2"}})
    for attribute, kind in (("x", "S"), ("y", "N"), ("x", "S")):
        add(client, name, index("again", attribute), **{attribute: kind})
        wait_until_active(client, name, "again")
        found = client.scan(TableName=name, IndexName="again")["Items"]
        assert [item["p"] for item in found] == [{"S": "a"}]
        remove(client, name, "again")


# One at a time


def test_two_indexes_in_one_request(client: Any) -> None:
    name = create(client)
    changes = [{"Create": index(f"by-{x}", x)} for x in ("x", "y")]
    assert refusal(client.update_table, **changed(name, *changes, x="S", y="S")) == ONE_AT_A_TIME


def test_an_index_while_another_is_being_created(server: Server, client: Any) -> None:
    name = full_table(client)
    with server.holding(backfill.KIND):
        add(client, name, index("by-x", "x"))
        more = {"Create": index("by-y", "y")}
        assert refusal(client.update_table, **changed(name, more, y="S")) == ONE_AT_A_TIME
    wait_until_active(client, name, "by-x")
    add(client, name, index("by-y", "y"))


def test_an_index_that_is_being_created_may_be_deleted(server: Server, client: Any) -> None:
    name = full_table(client)
    with server.holding(backfill.KIND):
        add(client, name, index("by-x", "x"))
        remove(client, name, "by-x")
        assert describe_index(client, name, "by-x") is None
        add(client, name, index("by-x", "x"))
    wait_until_active(client, name, "by-x")
    made = describe_index(client, name, "by-x")
    assert made is not None
    assert made["ItemCount"] == SOME


def test_an_index_that_is_being_created_is_not_changed_nor_its_table_deleted(server: Server, client: Any) -> None:
    name = full_table(client)
    with server.holding(backfill.KIND):
        add(client, name, index("by-x", "x"))
        more = {"Update": {"IndexName": "by-x", "OnDemandThroughput": {"MaxReadRequestUnits": 5}}}
        assert refusal(client.update_table, **changed(name, more)) == (
            "ResourceInUseException",
            f"Attempt to change a resource which is still in use: Index is being created. Table: {name} Index: by-x",
        )
        assert refusal(client.delete_table, TableName=name) == (
            "ResourceInUseException",
            "Attempt to change a resource which is still in use: Cannot delete table while indexes are being created, "
            "updated, or deleted.",
        )
    wait_until_active(client, name, "by-x")
    client.delete_table(TableName=name)


def test_an_index_that_is_being_created_is_read_later(server: Server, client: Any) -> None:
    name = full_table(client)
    with server.holding(backfill.KIND):
        add(client, name, index("by-x", "x"))
        assert invalid(client.scan, TableName=name, IndexName="by-x", Limit=1) == (
            "Cannot read from backfilling global secondary index: by-x"
        )
    wait_until_active(client, name, "by-x")
    assert client.scan(TableName=name, IndexName="by-x", Select="COUNT")["Count"] == SOME


# What is refused

FOUR = ["a", "b", "c", "d"]

CHANGES_REFUSED = [
    pytest.param(
        [{}],
        {},
        f"{INVALID}One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, "
        "GlobalSecondaryIndexUpdate.Delete must not be null",
        id="a change of nothing",
    ),
    pytest.param(
        [{"Create": index("by-y", "y"), "Delete": {"IndexName": "by-x"}}],
        {"y": "S"},
        f"{INVALID}Only one global secondary index action is allowed per GlobalSecondaryIndexUpdate object",
        id="two changes in one",
    ),
    pytest.param(
        [{"Delete": {"IndexName": "by-x"}}, {"Delete": {"IndexName": "by-x"}}],
        {},
        f"{INVALID}Only one global secondary index update per index is allowed simultaneously. Index: by-x",
        id="two changes of one index",
    ),
    pytest.param(
        [{"Create": index("by-y", "y")}],
        {},
        f"{INVALID}AttributeDefinitions is not specified for index: by-y",
        id="nothing defined",
    ),
    pytest.param(
        [{"Create": index("by-y", "y")}],
        {"x": "S"},
        f"{INVALID}Some index key attributes are not defined in AttributeDefinitions. "
        "Keys: [y], AttributeDefinitions: [x]",
        id="key not defined",
    ),
    pytest.param(
        [{"Create": index("by-x", "y")}],
        {"y": "S"},
        "Attempting to create an index which already exists",
        id="a name that is given",
    ),
    pytest.param(
        [{"Create": index("local", "y")}],
        {"y": "S"},
        "Attempting to create an index which already exists",
        id="the name of a local index",
    ),
    pytest.param(
        [{"Create": index("more", "x")}],
        {"x": "N"},
        f"{INVALID}Attributes cannot be redefined. Please check that your attribute has the same type as previously "
        "defined. Existing schema: Schema:[SchemaElement: key{x:S:HASH}] New schema: Schema:[SchemaElement: "
        "key{x:N:HASH}]",
        id="another type of a key",
    ),
    pytest.param(
        [{"Create": index("more", [*FOUR, "e"])}],
        dict.fromkeys([*FOUR, "e"], "S"),
        f"{INVALID}The KeySchema exceeds the maximum allowed number of HASH key attributes",
        id="five attributes to hash",
    ),
    pytest.param(
        [{"Create": index("more", "y", Projection={"ProjectionType": "INCLUDE"})}],
        {"y": "S"},
        f"{INVALID}ProjectionType is INCLUDE, but NonKeyAttributes is not specified",
        id="nothing included",
    ),
    pytest.param(
        [{"Create": index("more", "y", ProvisionedThroughput=units(1, 1))}],
        {"y": "S"},
        f"{INVALID}Neither ReadCapacityUnits nor WriteCapacityUnits can be specified for index: more when "
        "BillingMode is PAY_PER_REQUEST",
        id="throughput on demand",
    ),
    pytest.param(
        [{"Update": {"IndexName": "by-x", "ProvisionedThroughput": units(1, 1)}}],
        {},
        f"{INVALID}The only Updates for index: by-x when TableThroughputMode is PAY_PER_REQUEST can be to "
        "OnDemandThroughput, WarmThroughput",
        id="new throughput on demand",
    ),
    pytest.param(
        [{"Update": {"IndexName": "local", "OnDemandThroughput": {"MaxReadRequestUnits": 5}}}],
        {},
        "Cannot update an index that is not a GlobalSecondaryIndex: local",
        id="update of a local index",
    ),
    pytest.param(
        [{"Delete": {"IndexName": "local"}}],
        {},
        "Cannot delete an index that is not a GlobalSecondaryIndex: local",
        id="deletion of a local index",
    ),
]


@pytest.mark.parametrize(("changes", "types", "text"), CHANGES_REFUSED)
def test_changes_that_are_refused(client: Any, changes: list[Any], types: dict[str, str], text: str) -> None:
    name = create(
        client,
        KeySchema=key_schema("p", "s"),
        AttributeDefinitions=attributes(p="S", s="S", x="S"),
        LocalSecondaryIndexes=[index("local", "p", "x")],
        GlobalSecondaryIndexes=[index("by-x", "x")],
    )
    before = describe(client, name)
    assert invalid(client.update_table, **changed(name, *changes, **types)) == text
    assert describe(client, name) == before


@pytest.mark.parametrize("change", ["Delete", "Update"])
def test_there_is_no_such_index(client: Any, change: str) -> None:
    name = create(client)
    more = {"OnDemandThroughput": {"MaxReadRequestUnits": 5}} if change == "Update" else {}
    request = changed(name, {change: {"IndexName": "by-x", **more}})
    assert refusal(client.update_table, **request) == (
        "ResourceNotFoundException",
        f"Requested resource not found: Index by-x for table {name}",
    )


def test_a_provisioned_index_must_be_given_throughput(client: Any) -> None:
    name = create(client, ProvisionedThroughput=units(1, 1))
    request = changed(name, {"Create": index("by-x", "x")}, x="S")
    assert invalid(client.update_table, **request) == (
        f"{INVALID}Both ReadCapacityUnits and WriteCapacityUnits must be specified for index: by-x"
    )
    add(client, name, index("by-x", "x", ProvisionedThroughput=units(2, 3)))
    made = describe_index(client, name, "by-x")
    assert made is not None
    assert made["ProvisionedThroughput"] == {"NumberOfDecreasesToday": 0, **units(2, 3)}


def test_twenty_indexes_at_the_most(client: Any) -> None:
    made = definition(
        AttributeDefinitions=attributes(p="S", x="S"),
        GlobalSecondaryIndexes=[index(f"by-x-{n}", "x") for n in range(20)],
    )
    client.create_table(**made)
    request = changed(made["TableName"], {"Create": index("more", "x")}, x="S")
    assert refusal(client.update_table, **request) == (
        "LimitExceededException",
        "Subscriber limit exceeded: Number of global secondary indexes exceeds per-table limit of 20",
    )


def test_a_change_of_throughput_with_a_new_index_is_refused(client: Any) -> None:
    name = create(client, ProvisionedThroughput=units(1, 1))
    new = {"Create": index("by-x", "x", ProvisionedThroughput=units(1, 1))}
    request = changed(name, new, x="S") | {"ProvisionedThroughput": units(2, 2)}
    assert invalid(client.update_table, **request) == (
        f"{INVALID}You cannot create or delete index while updating table IOPS"
    )
