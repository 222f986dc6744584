"""Changes to replicas that DynamoDB refuses, and those that Jedlik does not support yet."""

from __future__ import annotations

from typing import Any

import pytest

from testing.dynamodb.definitions import attributes, create, describe, index, units, unused_name
from testing.dynamodb.kms_keys import new_key
from testing.dynamodb.refusals import INVALID, invalid, refusal
from testing.dynamodb.replicated_tables import (
    ELSEWHERE,
    HERE,
    THERE,
    add,
    becomes,
    global_table,
    replica_updates,
    statuses,
    table_status,
)
from testing.jedlik_process import Server

LOCAL = (
    "Cannot add or delete the local region through ReplicaUpdates. "
    "Use CreateTable, DeleteTable, or UpdateTable as required."
)
NO_ACTION = "There are no actions specified in the Replica Update Action of the request."
WAIT = {"DisassociationMode": "WAIT_FOR_REPLICATION"}
ONE_TYPE = "Update table operation with more than one type of replica actions not allowed."
ONE_ACTION = "Update table operation with more than one create or delete replica actions not allowed"
ALONE = f"{INVALID}Replica modification must be the only operation in the request"
KEY_MISSING = f"{INVALID}KMSMasterKeyId must be specified for each replica."
WAS_SOURCE = (
    "Replica cannot be deleted because it has acted as a source region for new replica(s) being added to the table in "
    "the last 24 hours."
)
STRONG = "global tables with MultiRegionConsistency set to STRONG"


def action(kind: str, region: str = THERE, **settings: Any) -> dict[str, Any]:
    return {kind: {"RegionName": region, **settings}}


def updates(*actions: dict[str, Any]) -> dict[str, Any]:
    return {"ReplicaUpdates": list(actions)}


def protected(name: str, region: str) -> str:
    return (
        f"Cannot delete table {name} in region {region} because it has deletion protection enabled. "
        "Disable deletion protection first."
    )


def not_part(region: str) -> str:
    return (
        "Update global table operation failed because one or more replicas were not part of the global table. "
        f"Please retry the request without these replicas: [{region}]."
    )


@pytest.fixture(scope="module")
def ordinary(here: Any) -> str:
    """A table without replicas."""
    return create(here)


@pytest.fixture(scope="module")
def replicated(here: Any) -> str:
    """A table with a replica, created here."""
    return global_table(here, THERE)


REQUESTS = [
    pytest.param(
        {"ReplicaUpdates": []},
        "1 validation error detected: Value '[]' at 'replicaUpdates' failed to satisfy constraint: "
        "Member must have length greater than or equal to 1",
        id="none",
    ),
    pytest.param(updates({}), NO_ACTION, id="no action"),
    pytest.param(updates(action("Update")), NO_ACTION, id="nothing to update"),
    pytest.param(
        updates(action("Update", GlobalSecondaryIndexes=[{"IndexName": "by-x"}])), NO_ACTION, id="nothing of an index"
    ),
    pytest.param(updates(action("Create") | action("Delete")), ONE_TYPE, id="two types in one"),
    pytest.param(updates(action("Create"), action("Delete", ELSEWHERE)), ONE_TYPE, id="two types"),
    pytest.param(updates(action("Create"), action("Create", ELSEWHERE)), ONE_ACTION, id="two creations"),
    pytest.param(updates(action("Delete"), action("Delete", ELSEWHERE)), ONE_ACTION, id="two deletions"),
    pytest.param(updates(action("Create", HERE)), LOCAL, id="a replica of the region itself"),
    pytest.param(updates(action("Delete", HERE)), LOCAL, id="deleting the region itself"),
    pytest.param(updates(action("Create")) | {"TableClass": "STANDARD"}, ALONE, id="with a table class"),
    pytest.param(
        updates(action("Create"), action("Create", ELSEWHERE)) | {"DeletionProtectionEnabled": True},
        ALONE,
        id="with deletion protection",
    ),
    pytest.param(
        updates(action("Create", TableClassOverride="GLACIER")),
        "Invalid table-class parameter provided. Please try again with a valid table-class value: "
        "[STANDARD, STANDARD_INFREQUENT_ACCESS].",
        id="no such table class",
    ),
    pytest.param(updates(action("Create", "EU-WEST-1")), "Region EU-WEST-1 is not supported.", id="upper case"),
    pytest.param(updates(action("Create", "us-fake-1")), "Region us-fake-1 is not supported.", id="no such region"),
    pytest.param(updates(action("Delete")), not_part(THERE), id="deleting what is no replica"),
    pytest.param(
        updates(action("Update", TableClassOverride="STANDARD")), not_part(THERE), id="updating what is no replica"
    ),
    pytest.param(updates(action("Create", KMSMasterKeyId="alias/mine")), KEY_MISSING, id="a key for the default key"),
    pytest.param(updates(action("Disassociate", HERE, **WAIT)), not_part(HERE), id="disassociating what is no replica"),
    pytest.param(
        updates(action("Disassociate", **WAIT)),
        f"A replica is disassociated in its own Region: RegionName {THERE} is not {HERE}",
        id="disassociating another region's replica",
    ),
    pytest.param(
        updates(action("Disassociate", HERE, **WAIT), action("Delete")), ONE_TYPE, id="disassociating and deleting"
    ),
    pytest.param(
        updates(action("Disassociate", HERE, **WAIT)) | {"TableClass": "STANDARD"}, ALONE, id="disassociating and more"
    ),
    pytest.param(
        {"DisassociationProtectionEnabled": False},
        f"{INVALID}DisassociationProtectionEnabled can only be specified for a replica of a global table",
        id="protecting what is no replica",
    ),
    pytest.param(
        {"DisassociationProtectionEnabled": False, "DeletionProtectionEnabled": False},
        f"{INVALID}DeletionProtection modification must be the only operation in the request",
        id="both protections",
    ),
    pytest.param(
        {"DisassociationProtectionEnabled": False, "StreamSpecification": {"StreamEnabled": False}},
        f"{INVALID}DisassociationProtection modification must be the only operation in the request",
        id="protection and more",
    ),
]


@pytest.mark.parametrize(("request_", "text"), REQUESTS)
def test_requests_that_are_refused(here: Any, ordinary: str, request_: dict[str, Any], text: str) -> None:
    assert invalid(here.update_table, TableName=ordinary, **request_) == text
    assert "Replicas" not in describe(here, ordinary)


def test_there_must_be_a_table(here: Any) -> None:
    name = unused_name()
    code, text = refusal(here.update_table, TableName=name, **replica_updates("Create", THERE))
    assert (code, text) == (
        "ResourceNotFoundException",
        f"Requested resource not found: Table: {name} not found",
    )


def test_the_same_creation_twice_creates_one_replica(here: Any) -> None:
    name = create(here)
    here.update_table(TableName=name, **updates(action("Create"), action("Create")))
    becomes(lambda: statuses(here, name), {THERE: "ACTIVE"})


def test_a_region_that_is_served_neither_here_nor_elsewhere_cannot_have_a_replica(start_server: Any) -> None:
    here = start_server(regions=HERE, in_memory=True).client(region=HERE)
    assert invalid(here.update_table, TableName=create(here), **replica_updates("Create", THERE)) == (
        f"Failed to access the region: ‘{THERE}’. Credential should be scoped to a valid region, not '{THERE}'. "
    )


# With replicas


def test_an_existing_replica_cannot_be_created(here: Any, there: Any, replicated: str) -> None:
    text = (
        f"Failed to create a the new replica of table with name: ‘{replicated}’ because one or more replicas already "
        "existed as tables."
    )
    assert invalid(here.update_table, TableName=replicated, **replica_updates("Create", THERE)) == text
    assert invalid(there.update_table, TableName=replicated, **replica_updates("Create", HERE)) == text


def test_the_stream_of_a_replica_stays(here: Any, there: Any, replicated: str) -> None:
    for client in (here, there):
        off = {"StreamEnabled": False}
        assert invalid(client.update_table, TableName=replicated, StreamSpecification=off) == (
            f"{INVALID}Disabling Stream is not allowed for a Global Table replica."
        )
        for view_type in ("KEYS_ONLY", "NEW_AND_OLD_IMAGES"):
            on = {"StreamEnabled": True, "StreamViewType": view_type}
            assert invalid(client.update_table, TableName=replicated, StreamSpecification=on) == (
                f"Table already has an enabled stream: TableName: {replicated}"
            )


def test_a_recent_source_stays_as_long_as_the_replica_made_from_it(here: Any, there: Any, replicated: str) -> None:
    assert invalid(here.delete_table, TableName=replicated) == WAS_SOURCE
    assert invalid(there.update_table, TableName=replicated, **replica_updates("Delete", HERE)) == WAS_SOURCE
    assert statuses(here, replicated) == {THERE: "ACTIVE"}


def test_replicas_are_removed_from_the_last_to_the_first(server: Server, here: Any, there: Any) -> None:
    name = global_table(here, THERE)
    add(there, name, ELSEWHERE)
    becomes(lambda: statuses(here, name), {THERE: "ACTIVE", ELSEWHERE: "ACTIVE"})
    assert invalid(here.update_table, TableName=name, **replica_updates("Delete", THERE)) == WAS_SOURCE
    here.update_table(TableName=name, **replica_updates("Delete", ELSEWHERE))
    becomes(lambda: (statuses(here, name), statuses(there, name)), ({THERE: "ACTIVE"}, {HERE: "ACTIVE"}))
    here.update_table(TableName=name, **replica_updates("Delete", THERE))
    becomes(lambda: statuses(here, name), {})


def test_a_protected_replica_cannot_be_deleted(here: Any, there: Any) -> None:
    name = global_table(here, THERE)
    there.update_table(TableName=name, DeletionProtectionEnabled=True)
    assert invalid(there.delete_table, TableName=name) == protected(name, THERE)
    assert invalid(here.update_table, TableName=name, **replica_updates("Delete", THERE)) == protected(name, THERE)
    assert describe(here, name)["DeletionProtectionEnabled"] is False
    there.update_table(TableName=name, DeletionProtectionEnabled=False)
    there.delete_table(TableName=name)
    becomes(lambda: table_status(there, name), None)


# Overrides


@pytest.fixture(scope="module")
def indexed(here: Any) -> str:
    """A table on demand with an index and a replica."""
    return global_table(
        here, THERE, AttributeDefinitions=attributes(p="S", x="S"), GlobalSecondaryIndexes=[index("by-x", "x")]
    )


def test_overrides_must_fit_the_billing_mode(here: Any, indexed: str) -> None:
    read = {"ProvisionedThroughputOverride": {"ReadCapacityUnits": 10}}
    for settings in (read, {"GlobalSecondaryIndexes": [{"IndexName": "by-x", **read}]}):
        assert invalid(here.update_table, TableName=indexed, **replica_updates("Update", THERE, **settings)) == (
            "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST"
        )
    provisioned = global_table(here, THERE, ProvisionedThroughput=units(5, 5))
    most = {"OnDemandThroughputOverride": {"MaxReadRequestUnits": 100}}
    assert invalid(here.update_table, TableName=provisioned, **replica_updates("Update", THERE, **most)) == (
        "MaxReadRequestUnits for OnDemandThroughput cannot be specified when the table BillingMode is PROVISIONED"
    )


def test_overrides_of_a_missing_index(here: Any, indexed: str) -> None:
    most = {"IndexName": "by-y", "OnDemandThroughputOverride": {"MaxReadRequestUnits": 100}}
    change = replica_updates("Update", THERE, GlobalSecondaryIndexes=[most])
    assert refusal(here.update_table, TableName=indexed, **change) == (
        "ResourceNotFoundException",
        f"Requested resource not found: Index by-y for table {indexed}",
    )


def test_the_key_of_a_replica_is_not_changed_from_another_region(here: Any, replicated: str) -> None:
    change = replica_updates("Update", THERE, KMSMasterKeyId="alias/mine")
    assert invalid(here.update_table, TableName=replicated, **change) == KEY_MISSING


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({}, KEY_MISSING),
        (
            {"KMSMasterKeyId": "alias/aws/dynamodb"},
            f"{INVALID}All replica keys must either be Customer Managed CMK or AWS Managed CMK.",
        ),
        (
            {"KMSMasterKeyId": "arn:aws:kms:us-east-1:000000000000:key/mine"},
            "KMS validation error for region eu-west-1: com.amazonaws.services.kms.model.NotFoundException: "
            "Invalid arn us-east-1",
        ),
    ],
)
def test_all_replicas_have_keys_of_the_customer_or_no_replica_has(
    here: Any, settings: dict[str, Any], text: str
) -> None:
    encrypted = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": new_key(here)}
    name = create(here, SSESpecification=encrypted)
    assert invalid(here.update_table, TableName=name, **replica_updates("Create", THERE, **settings)) == text


def test_a_customers_key_is_for_tables_whose_replicas_have_such_keys(here: Any, replicated: str) -> None:
    encrypted = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": "alias/mine"}
    assert invalid(here.update_table, TableName=replicated, SSESpecification=encrypted) == KEY_MISSING


# Multi-Region strong consistency


def witness(region: str) -> dict[str, Any]:
    return {"GlobalTableWitnessUpdates": [{"Create": {"RegionName": region}}]}


AT_LEAST_ONE = "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates, "

STRONG_REQUESTS = [
    pytest.param(
        {"MultiRegionConsistency": "STRONG"} | updates(action("Create", "us-east-2"), action("Create", "us-west-2")),
        "Jedlik does not support multi-Region strong consistency yet: MultiRegionConsistency STRONG",
        id="three replicas",
    ),
    pytest.param(
        {"MultiRegionConsistency": "STRONG"} | updates(action("Create", "us-east-2")) | witness("us-west-2"),
        "Jedlik does not support multi-Region strong consistency yet: MultiRegionConsistency STRONG",
        id="two replicas and a witness",
    ),
    pytest.param(
        {"MultiRegionConsistency": "STRONG"} | updates(action("Create", "us-east-2")),
        f"Unsupported replica count for {STRONG}.",
        id="two replicas",
    ),
    pytest.param(
        {"MultiRegionConsistency": "STRONG"} | updates(action("Create", "us-west-1")) | witness("us-west-1"),
        f"Unsupported Region(s) specified for {STRONG}: [us-west-1, us-west-1].",
        id="a region that has no such tables",
    ),
    pytest.param(
        {"MultiRegionConsistency": "STRONG"} | updates(action("Create", "us-east-2")) | witness(HERE),
        "Cannot add a witness in the same region as an existing replica when creating a global table with "
        "MultiRegionConsistency set to STRONG.",
        id="a witness here",
    ),
    pytest.param(
        {"MultiRegionConsistency": "STRONG"} | updates(action("Create", "us-east-2")) | witness("us-east-2"),
        "Cannot target multiple regions with the same action",
        id="a witness where a replica is",
    ),
    pytest.param(
        {"MultiRegionConsistency": "STRONG"} | updates(action("Delete", "us-east-2")),
        "Only Replica Create actions are supported when MultiRegionConsistency parameter is provided.",
        id="a deletion",
    ),
    pytest.param(
        updates(action("Create", "us-east-2")) | witness("us-west-2"),
        "MultiRegionConsistency must be set as STRONG when GlobalTableWitnessUpdates parameter is present.",
        id="a witness without strong consistency",
    ),
    pytest.param(
        {"MultiRegionConsistency": "STRONG", "DeletionProtectionEnabled": True}
        | updates(action("Create", "us-east-2")),
        "Requests that modify replicas or witnesses must not also modify other fields",
        id="and more",
    ),
    pytest.param(
        witness("us-west-2"),
        f"{AT_LEAST_ONE}SSESpecification, ReplicaUpdates, MultiAccountReplicaReady, ReplicaTransitRoleArn, "
        "MultiRegionConsistency, DeletionProtectionEnabled, OnDemandThroughput, WarmThroughput or TableClass is "
        "required",
        id="a witness alone",
    ),
    pytest.param(
        {"MultiRegionConsistency": "STRONG"},
        f"{AT_LEAST_ONE}SSESpecification, ReplicaUpdates, MultiAccountReplicaReady, ReplicaTransitRoleArn, "
        "DeletionProtectionEnabled, OnDemandThroughput, WarmThroughput or TableClass is required",
        id="the consistency alone",
    ),
]


@pytest.mark.parametrize(("request_", "text"), STRONG_REQUESTS)
def test_strong_consistency_is_checked_and_refused(
    here: Any, ordinary: str, request_: dict[str, Any], text: str
) -> None:
    assert invalid(here.update_table, TableName=ordinary, **request_) == text
    assert "Replicas" not in describe(here, ordinary)


def test_eventual_consistency_may_be_asked_for(here: Any) -> None:
    name = create(here)
    here.update_table(TableName=name, MultiRegionConsistency="EVENTUAL", **replica_updates("Create", THERE))
    becomes(lambda: statuses(here, name), {THERE: "ACTIVE"})
    assert "MultiRegionConsistency" not in describe(here, name)
