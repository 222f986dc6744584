"""The operations of 2017 on global tables, over the same replicas as UpdateTable's."""

from __future__ import annotations

from typing import Any

import pytest

from testing.dynamodb.definitions import attributes, create, describe, describe_index, index, units, unused_name
from testing.dynamodb.refusals import INVALID, invalid, refusal
from testing.dynamodb.replicated_tables import (
    ELSEWHERE,
    HERE,
    THERE,
    becomes,
    global_table,
    item,
    keys_in,
    put,
    replica_updates,
    statuses,
    table_status,
)

BOTH_IMAGES = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}


def in_both(here: Any, there: Any, **definition: Any) -> str:
    """Create the same table with a stream in two regions. Returns its name."""
    name = create(here, StreamSpecification=BOTH_IMAGES, **definition)
    create(there, TableName=name, StreamSpecification=BOTH_IMAGES, **definition)
    return name


def regions(*names: str) -> list[dict[str, str]]:
    return [{"RegionName": name} for name in names]


def shown(client: Any, name: str) -> dict[str, str]:
    group = client.describe_global_table(GlobalTableName=name)["GlobalTableDescription"]["ReplicationGroup"]
    return {replica["RegionName"]: replica["ReplicaStatus"] for replica in group}


# Making


def test_a_global_table_is_made_of_existing_tables(here: Any, there: Any) -> None:
    name = in_both(here, there)
    table_id = describe(there, name)["TableId"]
    answer = here.create_global_table(GlobalTableName=name, ReplicationGroup=regions(HERE, THERE))
    made = answer["GlobalTableDescription"]
    assert made["GlobalTableArn"] == f"arn:aws:dynamodb::000000000000:global-table/{name}"
    assert (made["GlobalTableName"], made["GlobalTableStatus"]) == (name, "CREATING")
    becomes(lambda: shown(here, name), {HERE: "ACTIVE", THERE: "ACTIVE"})
    assert describe(there, name)["TableId"] == table_id
    put(here, name, "a")
    put(there, name, "b")
    becomes(lambda: (keys_in(here, name), keys_in(there, name)), ({"a", "b"}, {"a", "b"}))


def test_both_regions_describe_it_and_what_update_table_made(here: Any, there: Any) -> None:
    name = global_table(here, THERE)
    for client in (here, there):
        described = client.describe_global_table(GlobalTableName=name)["GlobalTableDescription"]
        assert [replica["RegionName"] for replica in described["ReplicationGroup"]] == [HERE, THERE]
        assert described["GlobalTableStatus"] == "ACTIVE"
        assert abs((described["CreationDateTime"] - describe(here, name)["CreationDateTime"]).total_seconds()) < 60


def test_global_tables_are_listed_by_name_and_region(start_server: Any) -> None:
    server = start_server(in_memory=True)
    here = server.client(region=HERE)
    for name in ("global-b", "global-a", "global-c"):
        global_table(here, THERE, TableName=name)
    create(here, TableName="ordinary")
    listed = here.list_global_tables()
    assert [table["GlobalTableName"] for table in listed["GlobalTables"]] == ["global-a", "global-b", "global-c"]
    assert listed["GlobalTables"][0]["ReplicationGroup"] == regions(HERE, THERE)
    assert "LastEvaluatedGlobalTableName" not in listed
    page = here.list_global_tables(Limit=2)
    assert page["LastEvaluatedGlobalTableName"] == "global-b"
    rest = here.list_global_tables(Limit=2, ExclusiveStartGlobalTableName="global-b")
    assert [table["GlobalTableName"] for table in rest["GlobalTables"]] == ["global-c"]
    assert len(here.list_global_tables(RegionName=THERE)["GlobalTables"]) == 3
    assert here.list_global_tables(RegionName=ELSEWHERE)["GlobalTables"] == []


def test_requirements_of_a_new_global_table(here: Any, there: Any) -> None:
    def refused(name: str, *where: str) -> tuple[str, str]:
        return refusal(here.create_global_table, GlobalTableName=name, ReplicationGroup=regions(*where))

    name = unused_name()
    assert refused(name, HERE) == ("TableNotFoundException", f"Table not found: {name}")
    assert refused(name) == ("ValidationException", f"{INVALID}Global table must have atleast one replica")
    assert refused(name, THERE) == (
        "ValidationException",
        f"{INVALID}ReplicationGroup must contain the region of the request: {HERE}",
    )
    create(here, TableName=name)
    assert refused(name, HERE, THERE) == ("TableNotFoundException", f"Table not found: {name} in region {THERE}")
    create(there, TableName=name)
    stream = f"{INVALID}Table {name} in region {HERE} must have a stream with NEW_AND_OLD_IMAGES"
    assert refused(name, HERE, THERE) == ("ValidationException", stream)
    here.update_table(TableName=name, StreamSpecification=BOTH_IMAGES)
    put(there, name, "a")
    assert refused(name, HERE, THERE) == (
        "ValidationException",
        f"{INVALID}Table {name} in region {THERE} is not empty",
    )
    there.delete_table(TableName=name)
    create(
        there,
        TableName=name,
        AttributeDefinitions=attributes(q="S"),
        KeySchema=[{"AttributeName": "q", "KeyType": "HASH"}],
    )
    assert refused(name, HERE, THERE) == (
        "ValidationException",
        f"{INVALID}Table {name} in region {THERE} has another key schema",
    )
    assert "GlobalTableVersion" not in describe(here, name)


def test_a_second_global_table_of_the_same_name_is_refused(here: Any) -> None:
    name = global_table(here, THERE)
    assert refusal(here.create_global_table, GlobalTableName=name, ReplicationGroup=regions(HERE)) == (
        "GlobalTableAlreadyExistsException",
        f"Global table with name: '{name}' already exists",
    )


# Changing


def test_an_existing_table_becomes_a_replica_and_stays_when_the_replica_is_removed(
    here: Any, there: Any, elsewhere: Any
) -> None:
    name = in_both(here, there)
    here.create_global_table(GlobalTableName=name, ReplicationGroup=regions(HERE, THERE))
    becomes(lambda: statuses(there, name), {HERE: "ACTIVE"})
    put(here, name, "a")
    create(elsewhere, TableName=name, StreamSpecification=BOTH_IMAGES)
    there.update_global_table(GlobalTableName=name, ReplicaUpdates=[{"Create": {"RegionName": ELSEWHERE}}])
    becomes(lambda: shown(here, name).get(ELSEWHERE), "ACTIVE")
    # The region that the copy was made from may not have had it.
    becomes(lambda: keys_in(elsewhere, name), {"a"})

    put(elsewhere, name, "b")
    here.update_global_table(GlobalTableName=name, ReplicaUpdates=[{"Delete": {"RegionName": ELSEWHERE}}])
    becomes(lambda: shown(here, name), {HERE: "ACTIVE", THERE: "ACTIVE"})
    becomes(lambda: "Replicas" in describe(elsewhere, name), False)
    assert keys_in(here, name) == keys_in(elsewhere, name) == {"a", "b"}
    put(elsewhere, name, "c")
    elsewhere.get_item(TableName=name, Key=item("c"))
    assert table_status(elsewhere, name) == "ACTIVE"
    assert keys_in(here, name) == {"a", "b"}


def test_changes_that_are_refused(here: Any) -> None:
    name = global_table(here, THERE)

    def refused(*updates: dict[str, Any], name: str = name) -> tuple[str, str]:
        return refusal(here.update_global_table, GlobalTableName=name, ReplicaUpdates=list(updates))

    there, elsewhere = {"RegionName": THERE}, {"RegionName": ELSEWHERE}
    assert refused({"Delete": there}, name="no-such-table") == (
        "GlobalTableNotFoundException",
        "Global table not found: Global table with name: 'no-such-table' does not exist.",
    )
    assert refused() == refused({}) == ("ValidationException", "One or more parameter values were invalid")
    assert refused({"Create": there, "Delete": there}) == (
        "ValidationException",
        f"{INVALID}A ReplicaUpdate structure cannot contain both a create replica action and a delete replica action",
    )
    assert refused({"Create": there}) == (
        "ReplicaAlreadyExistsException",
        f"Failed to add: {THERE} already has a replica of '{name}'",
    )
    assert refused({"Delete": elsewhere}) == (
        "ReplicaNotFoundException",
        f"Failed to remove: {ELSEWHERE} has no replica of '{name}'",
    )
    assert refused({"Create": elsewhere}) == (
        "TableNotFoundException",
        f"Table not found: {name} in region {ELSEWHERE}",
    )
    assert refused({"Delete": there}, {"Delete": {"RegionName": HERE}}) == (
        "ValidationException",
        f"{INVALID}Global table must have atleast one replica",
    )


def test_an_ordinary_table_is_no_global_table(here: Any) -> None:
    name = create(here)
    text = f"Global table with name: '{name}' does not exist."
    assert refusal(here.describe_global_table, GlobalTableName=name) == (
        "GlobalTableNotFoundException",
        f"Global table not found: {text}",
    )
    for operation in (here.describe_global_table_settings, here.update_global_table_settings):
        assert refusal(operation, GlobalTableName=name) == ("GlobalTableNotFoundException", text)


# Settings

WITH_INDEX = {
    "AttributeDefinitions": attributes(p="S", x="S"),
    "GlobalSecondaryIndexes": [index("by-x", "x", ProvisionedThroughput=units(3, 3))],
    "ProvisionedThroughput": units(5, 5),
}
NOT_SCALED = {"AutoScalingDisabled": True}


@pytest.fixture(scope="module")
def provisioned(here: Any) -> str:
    return global_table(here, THERE, **WITH_INDEX)


def capacity(of: Any) -> tuple[int, int]:
    shown = of["ProvisionedThroughput"]
    return shown["ReadCapacityUnits"], shown["WriteCapacityUnits"]


def test_settings_are_shown_for_each_replica(here: Any) -> None:
    name = global_table(here, THERE, **WITH_INDEX)
    here.update_table(
        TableName=name, **replica_updates("Update", THERE, ProvisionedThroughputOverride={"ReadCapacityUnits": 9})
    )
    [mine, other] = here.describe_global_table_settings(GlobalTableName=name)["ReplicaSettings"]
    assert mine == {
        "RegionName": HERE,
        "ReplicaStatus": "ACTIVE",
        "ReplicaBillingModeSummary": {"BillingMode": "PROVISIONED"},
        "ReplicaProvisionedReadCapacityUnits": 5,
        "ReplicaProvisionedReadCapacityAutoScalingSettings": NOT_SCALED,
        "ReplicaProvisionedWriteCapacityUnits": 5,
        "ReplicaProvisionedWriteCapacityAutoScalingSettings": NOT_SCALED,
        "ReplicaGlobalSecondaryIndexSettings": [
            {
                "IndexName": "by-x",
                "IndexStatus": "ACTIVE",
                "ProvisionedReadCapacityUnits": 3,
                "ProvisionedReadCapacityAutoScalingSettings": NOT_SCALED,
                "ProvisionedWriteCapacityUnits": 3,
                "ProvisionedWriteCapacityAutoScalingSettings": NOT_SCALED,
            }
        ],
    }
    assert other["ReplicaProvisionedReadCapacityUnits"] == 9


def test_write_capacity_is_one_for_all_and_read_capacity_is_each_replicas_own(
    here: Any, there: Any, provisioned: str
) -> None:
    of_there = {
        "RegionName": THERE,
        "ReplicaProvisionedReadCapacityUnits": 11,
        "ReplicaTableClass": "STANDARD_INFREQUENT_ACCESS",
        "ReplicaGlobalSecondaryIndexSettingsUpdate": [{"IndexName": "by-x", "ProvisionedReadCapacityUnits": 12}],
    }
    here.update_global_table_settings(
        GlobalTableName=provisioned,
        GlobalTableProvisionedWriteCapacityUnits=13,
        GlobalTableGlobalSecondaryIndexSettingsUpdate=[{"IndexName": "by-x", "ProvisionedWriteCapacityUnits": 14}],
        ReplicaSettingsUpdate=[of_there],
    )
    assert capacity(describe(here, provisioned)) == (5, 13)
    becomes(lambda: capacity(describe(there, provisioned)), (11, 13))
    assert capacity(describe_index(here, provisioned, "by-x")) == (3, 14)
    assert capacity(describe_index(there, provisioned, "by-x")) == (12, 14)
    assert describe(there, provisioned)["TableClassSummary"]["TableClass"] == "STANDARD_INFREQUENT_ACCESS"
    assert "TableClassSummary" not in describe(here, provisioned)


def test_the_billing_mode_is_one_for_all(here: Any, there: Any) -> None:
    name = global_table(here, THERE, **WITH_INDEX)
    here.update_global_table_settings(GlobalTableName=name, GlobalTableBillingMode="PAY_PER_REQUEST")
    becomes(lambda: describe(there, name).get("BillingModeSummary", {}).get("BillingMode"), "PAY_PER_REQUEST")
    assert capacity(describe(there, name)) == capacity(describe_index(there, name, "by-x")) == (0, 0)
    assert invalid(here.update_global_table_settings, GlobalTableName=name, GlobalTableBillingMode="PROVISIONED") == (
        f"{INVALID}ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED"
    )
    here.update_global_table_settings(
        GlobalTableName=name,
        GlobalTableBillingMode="PROVISIONED",
        GlobalTableProvisionedWriteCapacityUnits=4,
        GlobalTableGlobalSecondaryIndexSettingsUpdate=[{"IndexName": "by-x", "ProvisionedWriteCapacityUnits": 2}],
    )
    becomes(lambda: capacity(describe(there, name)), (1, 4))
    assert capacity(describe_index(there, name, "by-x")) == (1, 2)


def test_a_global_table_of_one_region_is_changed_and_stays_one(here: Any) -> None:
    name = create(here, StreamSpecification=BOTH_IMAGES, **WITH_INDEX)
    here.create_global_table(GlobalTableName=name, ReplicationGroup=regions(HERE))
    [mine] = here.update_global_table_settings(
        GlobalTableName=name,
        GlobalTableProvisionedWriteCapacityUnits=13,
        ReplicaSettingsUpdate=[{"RegionName": HERE, "ReplicaProvisionedReadCapacityUnits": 11}],
    )["ReplicaSettings"]
    assert (mine["RegionName"], mine["ReplicaStatus"]) == (HERE, "ACTIVE")
    assert (mine["ReplicaProvisionedReadCapacityUnits"], mine["ReplicaProvisionedWriteCapacityUnits"]) == (11, 13)
    assert capacity(describe(here, name)) == (11, 13)
    here.update_table(TableName=name, ProvisionedThroughput=units(11, 14))
    assert capacity(describe(here, name)) == (11, 14)
    assert shown(here, name) == {HERE: "ACTIVE"}


def test_settings_that_are_refused(here: Any, provisioned: str) -> None:
    def refused(**settings: Any) -> tuple[str, str]:
        return refusal(here.update_global_table_settings, GlobalTableName=provisioned, **settings)

    assert refused() == ("ValidationException", "One or more parameter values were invalid")
    elsewhere = [{"RegionName": ELSEWHERE, "ReplicaProvisionedReadCapacityUnits": 1}]
    assert refused(ReplicaSettingsUpdate=elsewhere) == (
        "ReplicaNotFoundException",
        f"{ELSEWHERE} has no replica of '{provisioned}'",
    )
    unknown = [{"IndexName": "by-y", "ProvisionedWriteCapacityUnits": 1}]
    assert refused(GlobalTableGlobalSecondaryIndexSettingsUpdate=unknown) == (
        "IndexNotFoundException",
        f"Index not found: by-y of '{provisioned}'",
    )
    scaled = {"MinimumUnits": 1, "MaximumUnits": 10}
    assert refused(GlobalTableProvisionedWriteCapacityAutoScalingSettingsUpdate=scaled) == (
        "ValidationException",
        "Jedlik does not support auto scaling yet: GlobalTableProvisionedWriteCapacityAutoScalingSettingsUpdate",
    )
