"""Settings of global tables: replicas share some of them, from any region, and own the others."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from testing.dynamodb.definitions import attributes, create, describe, describe_index, index, units
from testing.dynamodb.kms_keys import key_of_aws, new_key
from testing.dynamodb.replicated_tables import (
    HERE,
    THERE,
    becomes,
    global_table,
    item,
    put,
    replica,
    replica_updates,
)
from testing.jedlik_process import Server, eventually

WITH_INDEX = {
    "AttributeDefinitions": attributes(p="S", x="S"),
    "GlobalSecondaryIndexes": [index("by-x", "x", ProvisionedThroughput=units(3, 3))],
    "ProvisionedThroughput": units(5, 5),
}


@pytest.fixture(scope="module")
def clients(server: Server) -> tuple[Any, Any]:
    return server.client(region=HERE), server.client(region=THERE)


@pytest.fixture(params=["from the first region", "from the second region"])
def pair(request: pytest.FixtureRequest, clients: tuple[Any, Any]) -> tuple[Any, Any]:
    """The region of the change, and the other one."""
    return clients if request.param == "from the first region" else clients[::-1]


@pytest.fixture(scope="module")
def provisioned(clients: tuple[Any, Any]) -> str:
    """A table with provisioned throughput, an index and a replica."""
    return global_table(clients[0], THERE, **WITH_INDEX)


def capacity(of: Any) -> dict[str, int]:
    shown = of["ProvisionedThroughput"]
    return {unit: shown[unit] for unit in units(0, 0)}


def index_names(client: Any, name: str) -> set[str]:
    return {found["IndexName"] for found in describe(client, name).get("GlobalSecondaryIndexes", [])}


def index_status(client: Any, table: str, name: str) -> str | None:
    found = describe_index(client, table, name)
    return None if found is None else found["IndexStatus"]


def entries(client: Any, table: str, name: str, value: str) -> int:
    count: int = client.query(
        TableName=table,
        IndexName=name,
        KeyConditionExpression="x = :x",
        ExpressionAttributeValues={":x": {"S": value}},
    )["Count"]
    return count


# Shared


def test_a_replica_has_the_settings_of_the_table(clients: tuple[Any, Any]) -> None:
    here, there = clients
    name = create(
        here,
        **WITH_INDEX,
        TableClass="STANDARD_INFREQUENT_ACCESS",
        SSESpecification={"Enabled": True, "SSEType": "KMS"},
        WarmThroughput={"ReadUnitsPerSecond": 50, "WriteUnitsPerSecond": 60},
    )
    expiry = {"TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": True}}
    here.update_time_to_live(TableName=name, **expiry)
    here.update_table(TableName=name, **replica_updates("Create", THERE))
    becomes(lambda: describe(here, name)["TableStatus"], "ACTIVE")
    for member in ("ProvisionedThroughput", "WarmThroughput", "AttributeDefinitions"):
        assert describe(there, name)[member] == describe(here, name)[member]
    assert describe(there, name)["TableClassSummary"]["TableClass"] == "STANDARD_INFREQUENT_ACCESS"
    assert capacity(describe_index(there, name, "by-x")) == units(3, 3)
    becomes(lambda: describe(there, name).get("SSEDescription", {}).get("Status"), "ENABLED")
    assert describe(there, name)["SSEDescription"]["KMSMasterKeyArn"] == key_of_aws(there)
    assert replica(here, name, THERE)["KMSMasterKeyId"] == f"arn:aws:kms:{THERE}:000000000000:alias/aws/dynamodb"
    assert there.describe_time_to_live(TableName=name)["TimeToLiveDescription"] == {
        "TimeToLiveStatus": "ENABLED",
        "AttributeName": "expires",
    }


def test_throughput_follows(pair: tuple[Any, Any], provisioned: str) -> None:
    changed, other = pair
    read = capacity(describe(changed, provisioned))["ReadCapacityUnits"] + 1
    changed.update_table(TableName=provisioned, ProvisionedThroughput=units(read, 7 + read))
    becomes(lambda: capacity(describe(other, provisioned)), units(read, 7 + read))
    assert "ProvisionedThroughputOverride" not in replica(changed, provisioned, other.meta.region_name)
    update = {"Update": {"IndexName": "by-x", "ProvisionedThroughput": units(read + 2, 9)}}
    changed.update_table(TableName=provisioned, GlobalSecondaryIndexUpdates=[update])
    becomes(lambda: capacity(describe_index(other, provisioned, "by-x")), units(read + 2, 9))
    assert describe(other, provisioned)["WarmThroughput"] == describe(changed, provisioned)["WarmThroughput"]


def test_the_billing_mode_follows(pair: tuple[Any, Any]) -> None:
    changed, other = pair
    name = global_table(changed, other.meta.region_name, **WITH_INDEX)
    changed.update_table(TableName=name, BillingMode="PAY_PER_REQUEST")
    becomes(lambda: describe(other, name).get("BillingModeSummary", {}).get("BillingMode"), "PAY_PER_REQUEST")
    assert capacity(describe(other, name)) == capacity(describe_index(other, name, "by-x")) == units(0, 0)
    other.update_table(TableName=name, OnDemandThroughput={"MaxReadRequestUnits": 20})
    becomes(lambda: describe(changed, name).get("OnDemandThroughput"), {"MaxReadRequestUnits": 20})
    back = [{"Update": {"IndexName": "by-x", "ProvisionedThroughput": units(1, 2)}}]
    other.update_table(
        TableName=name,
        BillingMode="PROVISIONED",
        ProvisionedThroughput=units(3, 4),
        GlobalSecondaryIndexUpdates=back,
    )
    becomes(lambda: capacity(describe(changed, name)), units(3, 4))
    assert capacity(describe_index(changed, name, "by-x")) == units(1, 2)
    assert "OnDemandThroughput" not in describe(changed, name)


def test_an_index_is_created_and_removed_in_every_region(pair: tuple[Any, Any]) -> None:
    changed, other = pair
    name = global_table(changed, other.meta.region_name)
    put(changed, name, *(str(number) for number in range(50)), x="v")
    new = {"Create": index("by-x", "x")}
    changed.update_table(TableName=name, AttributeDefinitions=attributes(x="S"), GlobalSecondaryIndexUpdates=[new])
    for client in pair:
        becomes(partial(index_status, client, name, "by-x"), "ACTIVE")
        becomes(partial(entries, client, name, "by-x", "v"), 50)
    [shown] = replica(changed, name, other.meta.region_name)["GlobalSecondaryIndexes"]
    assert shown == {"IndexName": "by-x", "WarmThroughput": describe(changed, name)["WarmThroughput"]}
    other.update_table(TableName=name, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "by-x"}}])
    becomes(lambda: index_names(changed, name), set())
    assert describe(changed, name)["AttributeDefinitions"] == attributes(p="S")


def creates_index(client: Any, name: str, attribute: str) -> bool:
    """Whether the index could be created: not while the region already makes the one of the other."""
    new = {"Create": index(f"by-{attribute}", attribute)}
    try:
        client.update_table(
            TableName=name, AttributeDefinitions=attributes(**{attribute: "S"}), GlobalSecondaryIndexUpdates=[new]
        )
    except client.exceptions.LimitExceededException:
        return False
    return True


def test_indexes_created_in_two_regions_at_once_both_exist(clients: tuple[Any, Any]) -> None:
    name = global_table(clients[0], THERE)
    for client, attribute in zip(clients, "xy", strict=True):
        eventually(partial(creates_index, client, name, attribute))
    for client in clients:
        becomes(partial(index_names, client, name), {"by-x", "by-y"})


def test_time_to_live_follows(pair: tuple[Any, Any]) -> None:
    changed, other = pair
    name = global_table(changed, other.meta.region_name)
    put(changed, name, "a")
    expiry = {"AttributeName": "expires", "Enabled": True}
    changed.update_time_to_live(TableName=name, TimeToLiveSpecification=expiry)
    becomes(
        lambda: other.describe_time_to_live(TableName=name)["TimeToLiveDescription"],
        {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"},
    )


def test_encryption_is_shared_with_a_key_of_each_region(pair: tuple[Any, Any]) -> None:
    changed, other = pair
    region = other.meta.region_name
    name = global_table(changed, region)
    changed.update_table(TableName=name, SSESpecification={"Enabled": True})
    becomes(lambda: describe(other, name).get("SSEDescription", {}).get("Status"), "ENABLED")
    assert describe(other, name)["SSEDescription"]["KMSMasterKeyArn"] == key_of_aws(other)
    other.update_table(TableName=name, SSESpecification={"Enabled": False})
    becomes(lambda: "SSEDescription" in describe(changed, name), False)


def test_the_table_class_follows(pair: tuple[Any, Any]) -> None:
    changed, other = pair
    name = global_table(changed, other.meta.region_name)
    changed.update_table(TableName=name, TableClass="STANDARD_INFREQUENT_ACCESS")
    becomes(lambda: describe(other, name).get("TableClassSummary", {}).get("TableClass"), "STANDARD_INFREQUENT_ACCESS")


# Each replica's own


def test_deletion_protection_and_tags_belong_to_each_replica(clients: tuple[Any, Any]) -> None:
    here, there = clients
    name = global_table(here, THERE, Tags=[{"Key": "team", "Value": "music"}])
    here.update_table(TableName=name, DeletionProtectionEnabled=True)
    # What follows comes after it.
    here.update_table(TableName=name, TableClass="STANDARD_INFREQUENT_ACCESS")
    becomes(lambda: "TableClassSummary" in describe(there, name), True)
    assert describe(there, name)["DeletionProtectionEnabled"] is False
    assert there.list_tags_of_resource(ResourceArn=describe(there, name)["TableArn"])["Tags"] == []


def test_a_customers_key_belongs_to_each_replica(clients: tuple[Any, Any]) -> None:
    here, there = clients
    keys = {HERE: new_key(here), THERE: new_key(there)}
    encrypted = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": keys[HERE]}
    name = create(here, SSESpecification=encrypted)
    here.update_table(TableName=name, **replica_updates("Create", THERE, KMSMasterKeyId=keys[THERE].rpartition("/")[2]))
    becomes(lambda: describe(here, name)["TableStatus"], "ACTIVE")
    becomes(lambda: describe(there, name).get("SSEDescription", {}).get("KMSMasterKeyArn"), keys[THERE])
    assert replica(here, name, THERE)["KMSMasterKeyId"] == keys[THERE]
    assert replica(there, name, HERE)["KMSMasterKeyId"] == keys[HERE]
    another = new_key(there)
    there.update_table(TableName=name, SSESpecification=encrypted | {"KMSMasterKeyId": another})
    becomes(lambda: replica(here, name, THERE)["KMSMasterKeyId"], another)
    assert describe(here, name)["SSEDescription"]["KMSMasterKeyArn"] == keys[HERE]


def test_a_replica_may_be_created_with_overrides(clients: tuple[Any, Any]) -> None:
    here, there = clients
    name = create(here, **WITH_INDEX)
    read = {"ProvisionedThroughputOverride": {"ReadCapacityUnits": 20}}
    overrides = {**read, "TableClassOverride": "STANDARD_INFREQUENT_ACCESS"}
    # As on AWS, an override of a missing index has no effect.
    indexes = [{"IndexName": "by-x", **read}, {"IndexName": "no-such-index", **read}]
    here.update_table(TableName=name, **replica_updates("Create", THERE, **overrides, GlobalSecondaryIndexes=indexes))
    becomes(lambda: describe(here, name)["TableStatus"], "ACTIVE")
    shown = replica(here, name, THERE)
    assert shown["ProvisionedThroughputOverride"] == {"ReadCapacityUnits": 20}
    assert shown["ReplicaTableClassSummary"] == {"TableClass": "STANDARD_INFREQUENT_ACCESS"}
    assert [i.get("ProvisionedThroughputOverride") for i in shown["GlobalSecondaryIndexes"]] == [
        {"ReadCapacityUnits": 20}
    ]
    assert capacity(describe(there, name)) == units(20, 5)
    assert capacity(describe_index(there, name, "by-x")) == units(20, 3)
    assert describe(there, name)["TableClassSummary"] == {"TableClass": "STANDARD_INFREQUENT_ACCESS"}
    assert capacity(describe(here, name)) == units(5, 5)
    assert "TableClassSummary" not in describe(here, name)


def test_an_override_stays_when_what_it_overrides_changes_and_goes_when_it_is_the_same(
    clients: tuple[Any, Any], provisioned: str
) -> None:
    here, there = clients
    changes = replica_updates("Update", THERE, ProvisionedThroughputOverride={"ReadCapacityUnits": 100})
    answer = here.update_table(TableName=provisioned, **changes)["TableDescription"]
    assert (answer["TableStatus"], answer["Replicas"][0]["ReplicaStatus"]) == ("UPDATING", "UPDATING")
    assert replica(here, provisioned, THERE)["ReplicaStatus"] == "ACTIVE"
    becomes(lambda: capacity(describe(there, provisioned))["ReadCapacityUnits"], 100)
    here.update_table(TableName=provisioned, ProvisionedThroughput=units(31, 32))
    becomes(lambda: capacity(describe(there, provisioned)), units(100, 32))
    here.update_table(
        TableName=provisioned,
        **replica_updates("Update", THERE, ProvisionedThroughputOverride={"ReadCapacityUnits": 31}),
    )
    assert "ProvisionedThroughputOverride" not in replica(here, provisioned, THERE)
    becomes(lambda: capacity(describe(there, provisioned)), units(31, 32))


def test_throughput_set_in_a_region_replaces_its_override(clients: tuple[Any, Any], provisioned: str) -> None:
    here, there = clients
    changes = replica_updates("Update", THERE, ProvisionedThroughputOverride={"ReadCapacityUnits": 200})
    here.update_table(TableName=provisioned, **changes)
    becomes(lambda: capacity(describe(there, provisioned))["ReadCapacityUnits"], 200)
    there.update_table(TableName=provisioned, ProvisionedThroughput=units(41, 42))
    assert capacity(describe(there, provisioned)) == units(41, 42)
    becomes(lambda: capacity(describe(here, provisioned)), units(41, 42))
    assert "ProvisionedThroughputOverride" not in replica(here, provisioned, THERE)


def test_an_ordinary_table_again_keeps_its_settings(clients: tuple[Any, Any]) -> None:
    here, there = clients
    name = global_table(here, THERE, StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"})
    there.update_table(TableName=name, TableClass="STANDARD_INFREQUENT_ACCESS")
    becomes(lambda: "TableClassSummary" in describe(here, name), True)
    here.update_table(TableName=name, **replica_updates("Delete", THERE))
    becomes(lambda: "Replicas" in describe(here, name), False)
    assert describe(here, name)["TableClassSummary"]["TableClass"] == "STANDARD_INFREQUENT_ACCESS"
    here.update_table(TableName=name, StreamSpecification={"StreamEnabled": False})
    here.put_item(TableName=name, Item=item("a"))
