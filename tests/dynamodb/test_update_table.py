"""UpdateTable: throughput, billing mode and settings. Indexes are in `test_index_updates`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from testing.dynamodb.definitions import attributes, create, describe, index, units
from testing.dynamodb.kms_keys import new_key
from testing.dynamodb.refusals import INVALID, invalid, refusal
from testing.jedlik_process import PATIENCE, Server, eventually

REFER = "Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits."
NO_UNITS = (
    f"{INVALID}Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST"
)
WITH_INDEX = {
    "AttributeDefinitions": attributes(p="S", x="S"),
    "GlobalSecondaryIndexes": [index("by-x", "x", ProvisionedThroughput=units(3, 4))],
}


@pytest.fixture
def client(server: Server) -> Any:
    return server.client()


def update(client: Any, name: str, **changes: Any) -> Any:
    return client.update_table(TableName=name, **changes)["TableDescription"]


def updated_index(name: str, **settings: Any) -> dict[str, Any]:
    return {"Update": {"IndexName": name, **settings}}


# Provisioned throughput


def has_time_before_midnight() -> bool:
    """Whether a test will have ended before midnight, UTC, at which the count of decreases begins again."""
    now = datetime.now(UTC)
    return (now + timedelta(seconds=PATIENCE / 2)).date() == now.date()


def test_throughput_is_updating_and_then_changed(client: Any) -> None:
    eventually(has_time_before_midnight)
    name = create(client, ProvisionedThroughput=units(5, 5))
    answer = update(client, name, ProvisionedThroughput=units(7, 4))
    assert answer["TableStatus"] == "UPDATING"
    shown = answer["ProvisionedThroughput"]
    assert {unit: shown[unit] for unit in units(0, 0)} == units(5, 5)
    assert shown["NumberOfDecreasesToday"] == 0
    described = describe(client, name)
    assert described["TableStatus"] == "ACTIVE"
    changed = described["ProvisionedThroughput"]
    assert {unit: changed[unit] for unit in units(0, 0)} == units(7, 4)
    assert changed["NumberOfDecreasesToday"] == 1
    assert changed["LastIncreaseDateTime"] == changed["LastDecreaseDateTime"] == shown["LastDecreaseDateTime"]


def test_warm_throughput_follows_provisioned_throughput_upwards(client: Any) -> None:
    name = create(client, ProvisionedThroughput=units(5, 5))
    update(client, name, ProvisionedThroughput=units(9, 2))
    warm = describe(client, name)["WarmThroughput"]
    assert warm == {"ReadUnitsPerSecond": 9, "WriteUnitsPerSecond": 5, "Status": "ACTIVE"}


def test_unchanged_throughput_is_refused(client: Any) -> None:
    name = create(client, ProvisionedThroughput=units(5, 6))
    assert invalid(client.update_table, TableName=name, ProvisionedThroughput=units(5, 6)) == (
        "The provisioned throughput for the table will not change. The requested value equals the current value. "
        "Current ReadCapacityUnits provisioned for the table: 5. Requested ReadCapacityUnits: 5. "
        "Current WriteCapacityUnits provisioned for the table: 6. Requested WriteCapacityUnits: 6. "
        f"{REFER}"
    )


def test_throughput_of_an_index(client: Any) -> None:
    name = create(client, ProvisionedThroughput=units(1, 1), **WITH_INDEX)
    change = updated_index("by-x", ProvisionedThroughput=units(8, 8))
    [shown] = update(client, name, GlobalSecondaryIndexUpdates=[change])["GlobalSecondaryIndexes"]
    assert shown["IndexStatus"] == "UPDATING"
    assert shown["ProvisionedThroughput"]["ReadCapacityUnits"] == 3
    described = describe(client, name)
    [changed] = described["GlobalSecondaryIndexes"]
    assert changed["IndexStatus"] == "ACTIVE"
    assert changed["ProvisionedThroughput"]["ReadCapacityUnits"] == 8
    assert described["ProvisionedThroughput"]["ReadCapacityUnits"] == 1
    assert invalid(client.update_table, TableName=name, GlobalSecondaryIndexUpdates=[change]) == (
        "The provisioned throughput for the index by-x will not change. The requested value equals the current "
        "value. Current ReadCapacityUnits provisioned for index by-x: 8. Requested ReadCapacityUnits: 8. "
        "Current WriteCapacityUnits provisioned for index by-x: 8. Requested WriteCapacityUnits: 8. "
        f"{REFER}"
    )


def test_four_decreases_a_day_and_then_one_an_hour(client: Any) -> None:
    eventually(has_time_before_midnight)
    name = create(client, ProvisionedThroughput=units(10, 10))
    for read in (9, 8, 7, 6):
        update(client, name, ProvisionedThroughput=units(read, 10))
    error, text = refusal(client.update_table, TableName=name, ProvisionedThroughput=units(5, 10))
    assert error == "LimitExceededException"
    assert text.startswith(
        "Subscriber limit exceeded: Provisioned throughput decreases are limited within a given UTC day. After the "
        "first 4 decreases, each subsequent decrease in the same UTC day can be performed at most once every 3600 "
        "seconds. Number of decreases today: 4. Last decrease at "
    )
    update(client, name, ProvisionedThroughput=units(7, 10))
    assert describe(client, name)["ProvisionedThroughput"]["NumberOfDecreasesToday"] == 4


# Billing mode


def test_from_provisioned_to_on_demand(client: Any) -> None:
    name = create(client, ProvisionedThroughput=units(5, 6), **WITH_INDEX)
    assert "BillingModeSummary" not in describe(client, name)
    answer = update(client, name, BillingMode="PAY_PER_REQUEST")
    assert answer["TableStatus"] == "UPDATING"
    assert answer["BillingModeSummary"] == {"BillingMode": "PAY_PER_REQUEST"}
    assert answer["GlobalSecondaryIndexes"][0]["IndexStatus"] == "UPDATING"
    described = describe(client, name)
    assert described["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert described["BillingModeSummary"]["LastUpdateToPayPerRequestDateTime"]
    for shown in (described, *described["GlobalSecondaryIndexes"]):
        assert shown["ProvisionedThroughput"]["ReadCapacityUnits"] == 0
        assert shown["WarmThroughput"]["ReadUnitsPerSecond"] == 12000


def test_from_on_demand_to_provisioned(client: Any) -> None:
    name = create(client, AttributeDefinitions=attributes(p="S", x="S"), GlobalSecondaryIndexes=[index("by-x", "x")])
    provisioned = {"BillingMode": "PROVISIONED", "ProvisionedThroughput": units(5, 6)}
    assert invalid(client.update_table, TableName=name, **provisioned) == (
        f"{INVALID}ProvisionedThroughput must be specified for index: by-x"
    )
    change = updated_index("by-x", ProvisionedThroughput=units(7, 8))
    update(client, name, GlobalSecondaryIndexUpdates=[change], **provisioned)
    described = describe(client, name)
    assert described["BillingModeSummary"]["BillingMode"] == "PROVISIONED"
    assert described["ProvisionedThroughput"] == {"NumberOfDecreasesToday": 0, **units(5, 6)}
    [changed] = described["GlobalSecondaryIndexes"]
    assert changed["ProvisionedThroughput"] == {"NumberOfDecreasesToday": 0, **units(7, 8)}
    assert described["WarmThroughput"]["ReadUnitsPerSecond"] == 12000


NO_PROVISIONED = f"{INVALID}ProvisionedThroughput must be specified when BillingMode is PROVISIONED"

BILLING_REFUSED = [
    ({"BillingMode": "PROVISIONED"}, NO_PROVISIONED),
    ({"BillingMode": "PAY_PER_REQUEST", "ProvisionedThroughput": units(1, 1)}, NO_UNITS),
    ({"ProvisionedThroughput": units(1, 1)}, NO_UNITS),
]


@pytest.mark.parametrize(("changes", "text"), BILLING_REFUSED)
def test_throughput_and_billing_mode_go_together(client: Any, changes: dict[str, Any], text: str) -> None:
    assert invalid(client.update_table, TableName=create(client), **changes) == text


# On-demand and warm throughput


def test_on_demand_throughput_changes_by_the_member(client: Any) -> None:
    name = create(client, OnDemandThroughput={"MaxReadRequestUnits": 10})
    update(client, name, OnDemandThroughput={"MaxWriteRequestUnits": 20})
    assert describe(client, name)["OnDemandThroughput"] == {"MaxReadRequestUnits": 10, "MaxWriteRequestUnits": 20}
    update(client, name, OnDemandThroughput={"MaxReadRequestUnits": -1})
    assert describe(client, name)["OnDemandThroughput"] == {"MaxWriteRequestUnits": 20}


def test_on_demand_throughput_is_for_tables_on_demand(client: Any) -> None:
    name = create(client, ProvisionedThroughput=units(1, 1))
    assert invalid(client.update_table, TableName=name, OnDemandThroughput={"MaxReadRequestUnits": 10}) == (
        f"{INVALID}MaxReadRequestUnits for OnDemandThroughput cannot be specified when the table BillingMode is "
        "PROVISIONED"
    )


def test_warm_throughput_only_grows(client: Any) -> None:
    name = create(client)
    answer = update(client, name, WarmThroughput={"ReadUnitsPerSecond": 13000})
    assert answer["WarmThroughput"] == {
        "ReadUnitsPerSecond": 12000,
        "WriteUnitsPerSecond": 4000,
        "Status": "UPDATING",
    }
    assert describe(client, name)["WarmThroughput"]["ReadUnitsPerSecond"] == 13000
    assert invalid(client.update_table, TableName=name, WarmThroughput={"ReadUnitsPerSecond": 12999}) == (
        f"{INVALID}Requested ReadUnitsPerSecond for WarmThroughput for table is lower than current WarmThroughput, "
        "decreasing WarmThroughput is not supported"
    )


# Other settings


def test_deletion_protection_is_switched(client: Any) -> None:
    name = create(client)
    for wanted in (True, True, False):
        assert update(client, name, DeletionProtectionEnabled=wanted)["DeletionProtectionEnabled"] is wanted
        assert describe(client, name)["DeletionProtectionEnabled"] is wanted


def test_the_table_class_is_changed(client: Any) -> None:
    name = create(client)
    assert update(client, name, TableClass="STANDARD_INFREQUENT_ACCESS")["TableStatus"] == "UPDATING"
    summary = describe(client, name)["TableClassSummary"]
    assert summary["TableClass"] == "STANDARD_INFREQUENT_ACCESS"
    update(client, name, TableClass="STANDARD_INFREQUENT_ACCESS")
    assert describe(client, name)["TableClassSummary"] == summary


def test_encryption_is_changed(client: Any) -> None:
    name = create(client)
    assert invalid(client.update_table, TableName=name, SSESpecification={"Enabled": False}) == (
        f"{INVALID}Table is already encrypted by default"
    )
    key = new_key(client)
    wanted = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key.rpartition("/")[2]}
    answer = update(client, name, SSESpecification=wanted)
    assert answer["SSEDescription"] == {"Status": "UPDATING"}
    shown = {"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": key}
    eventually(lambda: bool(describe(client, name)["SSEDescription"] == shown))
    again = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}
    assert invalid(client.update_table, TableName=name, SSESpecification=again) == (
        f"{INVALID}Table is already encrypted with given KMSMasterKeyId. "
        "Use KMSMasterKeyId parameter if you want to change Master Key"
    )
    update(client, name, SSESpecification={"Enabled": False})
    assert "SSEDescription" not in describe(client, name)


# What an update may not be

ALONE = "must be the only operation in the request"

NOTHING = (
    "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates, "
    "SSESpecification, ReplicaUpdates, MultiAccountReplicaReady, ReplicaTransitRoleArn, MultiRegionConsistency, "
    "DeletionProtectionEnabled, OnDemandThroughput, WarmThroughput or TableClass is required"
)

REFUSED = [
    pytest.param({}, NOTHING, id="nothing"),
    pytest.param({"GlobalSecondaryIndexUpdates": []}, NOTHING, id="no change of indexes"),
    pytest.param(
        {"GlobalSecondaryIndexUpdates": [], "BillingMode": "PAY_PER_REQUEST"},
        f"{INVALID}List of GlobalSecondaryIndexUpdates is empty",
        id="no change of indexes, and more",
    ),
    pytest.param(
        {"TableClass": "COLD"},
        "Invalid table-class parameter provided. Please try again with a valid table-class value: "
        "[STANDARD, STANDARD_INFREQUENT_ACCESS].",
        id="no table class",
    ),
    pytest.param(
        {"DeletionProtectionEnabled": True, "TableClass": "STANDARD"},
        f"{INVALID}TableClass modification {ALONE}",
        id="table class and more",
    ),
    pytest.param(
        {"DeletionProtectionEnabled": True, "BillingMode": "PAY_PER_REQUEST"},
        f"{INVALID}DeletionProtection modification {ALONE}",
        id="deletion protection and more",
    ),
    pytest.param(
        {"SSESpecification": {"Enabled": True}, "TableClass": "STANDARD"},
        f"{INVALID}Server-Side Encryption modification {ALONE}",
        id="encryption and more",
    ),
    pytest.param(
        {"OnDemandThroughput": {"MaxReadRequestUnits": 5}, "StreamSpecification": {"StreamEnabled": False}},
        f"{INVALID}OnDemandThroughput can only be combined with BillingMode in an UpdateTable request",
        id="on-demand throughput and more",
    ),
    pytest.param(
        {"StreamSpecification": {"StreamEnabled": False}, "ProvisionedThroughput": units(1, 1)},
        f"{INVALID}You cannot modify stream status while updating table IOPS",
        id="stream and throughput",
    ),
    pytest.param(
        {"StreamSpecification": {"StreamEnabled": True}},
        f"{INVALID}If stream is being enabled then UpdateViewType is required",
        id="a stream without a view type",
    ),
]


@pytest.mark.parametrize(("changes", "text"), REFUSED)
def test_updates_that_are_refused(client: Any, changes: dict[str, Any], text: str) -> None:
    name = create(client)
    before = describe(client, name)
    assert invalid(client.update_table, TableName=name, **changes) == text
    assert describe(client, name) == before
