"""The overrides of RestoreTableFromBackup and RestoreTableToPointInTime: each takes effect, or refuses the restore.

A restored table keeps the rules of a new one, with the texts of CreateTable.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jedlik.aws.errors import ServiceError
from jedlik.clock import TrustedClock
from jedlik.regions.object_places import ObjectPlaces
from testing.dynamodb import handlers
from testing.dynamodb.definitions import attributes, definition, index, units
from testing.dynamodb.exports import all_jobs
from testing.dynamodb.handlers import Handlers
from testing.storage.objects import MemoryObjects

INVALID = "One or more parameter values were invalid: "
ON_DEMAND, PROVISIONED = {"BillingModeOverride": "PAY_PER_REQUEST"}, {"BillingModeOverride": "PROVISIONED"}
BY_X, BY_Y = index("by-x", "x"), index("by-y", "p", "y")


def table_units(read: int, write: int) -> dict[str, Any]:
    return {"ProvisionedThroughputOverride": units(read, write)}


def most(read: int) -> dict[str, Any]:
    return {"OnDemandThroughputOverride": {"MaxReadRequestUnits": read}}


def by_x(**settings: Any) -> dict[str, Any]:
    return {"GlobalSecondaryIndexOverride": [BY_X | settings]}


def index_units(read: int, write: int) -> dict[str, Any]:
    return by_x(ProvisionedThroughput=units(read, write))


async def with_sources(own: Handlers) -> dict[str, dict[str, dict[str, Any]]]:
    """Two tables with recovery and an index of each kind; by name, what restores each, by operation."""
    own.region.places = ObjectPlaces(MemoryObjects(), {})
    own.region.clock = own.region.engine.clock = TrustedClock(lambda: own.now, lambda: own.now)
    settings = {
        "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "s", "KeyType": "RANGE"}],
        "AttributeDefinitions": attributes(p="S", s="S", x="S", y="S"),
        "LocalSecondaryIndexes": [BY_Y],
    }
    on_demand = definition(TableName="on-demand", GlobalSecondaryIndexes=[BY_X], **settings)
    maximum = {"OnDemandThroughput": {"MaxReadRequestUnits": 70}}
    own_units = {"ProvisionedThroughput": units(5, 6)}
    provisioned = definition(TableName="provisioned", GlobalSecondaryIndexes=[BY_X | own_units], **settings)
    provisioned.pop("BillingMode")
    found = {}
    for name, created in (("on-demand", on_demand | maximum), ("provisioned", provisioned | own_units)):
        await own.call("CreateTable", **created)
        backup = await own.call("CreateBackup", TableName=name, BackupName="one")
        on = {"PointInTimeRecoveryEnabled": True}
        await own.call("UpdateContinuousBackups", TableName=name, PointInTimeRecoverySpecification=on)
        found[name] = {
            "RestoreTableFromBackup": {"BackupArn": backup["BackupDetails"]["BackupArn"]},
            "RestoreTableToPointInTime": {"SourceTableName": name, "UseLatestRestorableTime": True},
        }
    own.now += 5
    await all_jobs(own)
    return found


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    (
        "on-demand",
        table_units(1, 1),
        "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
    ),
    (
        "provisioned",
        ON_DEMAND | table_units(1, 1),
        "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
    ),
    (
        "on-demand",
        PROVISIONED,
        "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
    ),
    ("on-demand", PROVISIONED | table_units(1, 1), "ProvisionedThroughput is not specified for index: by-x"),
    (
        "on-demand",
        index_units(1, 1),
        "ProvisionedThroughput should not be specified for index: by-x when BillingMode is PAY_PER_REQUEST",
    ),
    (
        "provisioned",
        ON_DEMAND | index_units(1, 1),
        "ProvisionedThroughput should not be specified for index: by-x when BillingMode is PAY_PER_REQUEST",
    ),
    (
        "provisioned",
        most(5),
        "MaxReadRequestUnits for OnDemandThroughput cannot be specified when table BillingMode is PROVISIONED.",
    ),
    (
        "provisioned",
        by_x(OnDemandThroughput={"MaxReadRequestUnits": 5}),
        "MaxReadRequestUnits for OnDemandThroughput for index: by-x cannot be specified when table BillingMode is "
        "PROVISIONED.",
    ),
    ("on-demand", most(0), "Requested MaxReadRequestUnits for OnDemandThroughput for table is outside of valid range"),
    (
        "on-demand",
        by_x(OnDemandThroughput={"MaxReadRequestUnits": -1}),
        "Requested MaxReadRequestUnits for OnDemandThroughput for index : by-x is outside of valid range",
    ),
    (
        "on-demand",
        by_x(WarmThroughput={"ReadUnitsPerSecond": 20_000}),
        "WarmThroughput is not supported for index: by-x",
    ),
    ("on-demand", {"GlobalSecondaryIndexOverride": [BY_X, BY_X]}, "Duplicate index name: by-x"),
    ("on-demand", {"LocalSecondaryIndexOverride": [BY_Y, BY_Y]}, "Duplicate index name: by-y"),
]
"""Source, overrides and the reason of a refusal."""

TOO_MUCH: list[tuple[dict[str, Any], str]] = [
    (table_units(40_001, 1), "The requested ReadCapacityUnits, 40001, is above the per table maximum"),
    (index_units(1, 40_001), "The requested WriteCapacityUnits for index by-x, 40001, is above the per index maximum"),
]

ACCEPTED: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("on-demand", {}, {"mode": "PAY_PER_REQUEST", "most": 70, "indexes": {"by-x": (0, 0)}}),
    ("on-demand", most(9), {"mode": "PAY_PER_REQUEST", "most": 9, "indexes": {"by-x": (0, 0)}}),
    (
        "on-demand",
        PROVISIONED | table_units(1, 2) | index_units(3, 4),
        {"mode": "PROVISIONED", "units": (1, 2), "indexes": {"by-x": (3, 4)}},
    ),
    (
        "on-demand",
        PROVISIONED | table_units(1, 2) | {"GlobalSecondaryIndexOverride": []},
        {"mode": "PROVISIONED", "units": (1, 2), "indexes": {}},
    ),
    ("provisioned", {}, {"mode": "PROVISIONED", "units": (5, 6), "indexes": {"by-x": (5, 6)}}),
    ("provisioned", PROVISIONED, {"mode": "PROVISIONED", "units": (5, 6), "indexes": {"by-x": (5, 6)}}),
    (
        "provisioned",
        table_units(7, 8) | index_units(9, 10),
        {"mode": "PROVISIONED", "units": (7, 8), "indexes": {"by-x": (9, 10)}},
    ),
    ("provisioned", ON_DEMAND | most(9), {"mode": "PAY_PER_REQUEST", "most": 9, "indexes": {"by-x": (0, 0)}}),
]
"""Source, overrides and what the restored table has."""


@pytest.mark.parametrize("operation", ["RestoreTableFromBackup", "RestoreTableToPointInTime"])
def test_an_override_takes_effect_or_is_refused(tmp_path: Path, operation: str) -> None:
    async def test(own: Handlers) -> None:
        sources = await with_sources(own)

        async def refusal(source: str, overrides: dict[str, Any]) -> tuple[str, str]:
            with pytest.raises(ServiceError) as caught:
                await own.call(operation, TargetTableName="target", **sources[source][operation], **overrides)
            return type(caught.value).__name__, caught.value.message

        for source, overrides, reason in REFUSED:
            assert await refusal(source, overrides) == ("ValidationException", INVALID + reason)
        for overrides, reason in TOO_MUCH:
            code, text = await refusal("provisioned", overrides)
            assert (code, text.startswith(reason)) == ("LimitExceededException", True)
        for number, (source, overrides, wanted) in enumerate(ACCEPTED):
            name = f"target-{number}"
            answer = await own.call(operation, TargetTableName=name, **sources[source][operation], **overrides)
            # A restored table shows its billing mode also where it is PROVISIONED: so the AWS CLI's examples.
            assert answer["TableDescription"]["BillingModeSummary"]["BillingMode"] == wanted["mode"]
            await all_jobs(own)
            shown = (await own.call("DescribeTable", TableName=name))["Table"]
            assert shown["TableStatus"] == "ACTIVE"
            assert both(shown) == wanted.get("units", (0, 0))
            assert shown.get("OnDemandThroughput") == (
                {"MaxReadRequestUnits": wanted["most"]} if "most" in wanted else None
            )
            assert {one["IndexName"]: both(one) for one in shown.get("GlobalSecondaryIndexes", ())} == wanted["indexes"]

    handlers.run(tmp_path / "store", test)


def both(shown: dict[str, Any]) -> tuple[int, int]:
    read, write = (shown["ProvisionedThroughput"][unit] for unit in ("ReadCapacityUnits", "WriteCapacityUnits"))
    return read, write


def test_the_arn_of_a_source_is_no_bare_name(tmp_path: Path) -> None:
    async def test(own: Handlers) -> None:
        await with_sources(own)
        with pytest.raises(ServiceError) as caught:
            await own.call(
                "RestoreTableToPointInTime",
                SourceTableArn="on-demand",
                TargetTableName="target",
                UseLatestRestorableTime=True,
            )
        assert (type(caught.value).__name__, caught.value.message) == (
            "ValidationException",
            "1 validation error detected: Value 'on-demand' at 'sourceTableArn' failed to satisfy constraint: Valid "
            "ARN format is 'arn:<awsPartition>:<vendor>:<region>:<subscriber>:resourceType/resourceName', where "
            "Resource name must have length less than or equal to 255, Resource name must have length greater than or "
            "equal to 3, Resource name must satisfy regular expression pattern: [a-zA-Z0-9_.-]+",
        )

    handlers.run(tmp_path / "store", test)
