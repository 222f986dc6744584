"""Restores from another region: backups and points in time of one region, restored in another."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from jedlik.dynamodb.backups import recovery_plans, restores
from testing.dynamodb.definitions import attributes, index, key_schema
from testing.jedlik_process import Server, eventually, run_jedlik

HERE, THERE = "eu-west-1", "us-east-1"
DEFAULT_KEY = {"SSESpecificationOverride": {"Enabled": False}}


@pytest.fixture(scope="module")
def regions(start_shared_server: Callable[..., Server]) -> Server:
    """A server of two regions, with a table with recovery in one of them."""
    server = start_shared_server(holdable_jobs=True, seal_tables=True, regions=f"{HERE},{THERE}")
    there = server.client(region=THERE)
    there.create_table(
        TableName="source",
        KeySchema=key_schema("p"),
        AttributeDefinitions=attributes(p="S", x="N"),
        BillingMode="PAY_PER_REQUEST",
        GlobalSecondaryIndexes=[index("by-x", "x")],
    )
    on = {"PointInTimeRecoveryEnabled": True}
    there.update_continuous_backups(TableName="source", PointInTimeRecoverySpecification=on)
    for number in range(20):
        there.put_item(TableName="source", Item=item(number))
    return server


def item(number: int) -> dict[str, Any]:
    return {"p": {"S": f"{number:02}"}, "x": {"N": "1"}}


def arn_of(client: Any, table: str) -> str:
    arn: str = client.describe_table(TableName=table)["Table"]["TableArn"]
    return arn


def backed_up(client: Any, table: str) -> str:
    arn: str = client.create_backup(TableName=table, BackupName="one")["BackupDetails"]["BackupArn"]
    eventually(lambda: backup_of(client, arn)["BackupStatus"] == "AVAILABLE")
    return arn


def backup_of(client: Any, arn: str) -> dict[str, Any]:
    details: dict[str, Any] = client.describe_backup(BackupArn=arn)["BackupDescription"]["BackupDetails"]
    return details


def active(client: Any, table: str) -> dict[str, Any]:
    def shown() -> dict[str, Any]:
        found: dict[str, Any] = client.describe_table(TableName=table)["Table"]
        return found

    eventually(lambda: shown()["TableStatus"] == "ACTIVE")
    return shown()


def held(client: Any, table: str, **more: Any) -> list[dict[str, Any]]:
    return sorted(client.scan(TableName=table, **more)["Items"], key=lambda one: str(one["p"]))


def refusal(do: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        do()
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_backup_is_restored_in_another_region(regions: Server) -> None:
    here, there = regions.client(region=HERE), regions.client(region=THERE)
    key = regions.client("kms", region=HERE).create_key()["KeyMetadata"]
    arn = backed_up(there, "source")
    override = {"SSESpecificationOverride": {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key["KeyId"]}}
    with regions.holding(restores.KIND, after=1):
        answer = here.restore_table_from_backup(TargetTableName="from-backup", BackupArn=arn, **override)
        eventually(lambda: bool(regions.held_by(restores.KIND)))
        assert refusal(lambda: there.delete_backup(BackupArn=arn))[0] == "BackupInUseException"
    assert answer["TableDescription"]["TableArn"] == arn_of(here, "from-backup")
    shown = active(here, "from-backup")
    assert shown["TableArn"].split(":")[3] == HERE
    assert shown["SSEDescription"] == {"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": key["Arn"]}
    assert (shown["RestoreSummary"]["SourceBackupArn"], shown["RestoreSummary"]["RestoreInProgress"]) == (arn, False)
    assert held(here, "from-backup") == [item(number) for number in range(20)]
    assert len(held(here, "from-backup", IndexName="by-x")) == 20
    # It is not needed any more, and each region still has only its own backups.
    there.delete_backup(BackupArn=arn)
    assert here.list_backups(BackupType="ALL")["BackupSummaries"] == []
    again = refusal(lambda: here.restore_table_from_backup(TargetTableName="again", BackupArn=arn, **DEFAULT_KEY))
    assert again == ("BackupNotFoundException", f"Backup not found: {arn}")


def test_a_second_is_restored_in_another_region_whatever_is_killed(regions: Server) -> None:
    here, there = regions.client(region=HERE), regions.client(region=THERE)
    there.put_item(TableName="source", Item={"p": {"S": "at"}})
    at = math.ceil(time.time())  # Clients send whole seconds.
    eventually(lambda: latest(there).timestamp() > at)
    there.put_item(TableName="source", Item={"p": {"S": "later"}})
    with regions.holding(recovery_plans.KIND, after=1):
        here.restore_table_to_point_in_time(
            SourceTableArn=arn_of(there, "source"), TargetTableName="from-a-second", RestoreDateTime=at, **DEFAULT_KEY
        )
        eventually(lambda: bool(regions.held_by(recovery_plans.KIND)))
        assert refusal(lambda: there.delete_table(TableName="source"))[0] == "ResourceInUseException"
        regions.kill()
        regions.restart()
    here, there = regions.client(region=HERE), regions.client(region=THERE)
    shown = active(here, "from-a-second")
    assert "SSEDescription" not in shown
    assert shown["RestoreSummary"]["SourceTableArn"] == arn_of(there, "source")
    assert [one["p"]["S"] for one in held(here, "from-a-second")] == [*(f"{n:02}" for n in range(20)), "at"]
    there.delete_item(TableName="source", Key={"p": {"S": "at"}})
    there.delete_item(TableName="source", Key={"p": {"S": "later"}})


def latest(client: Any) -> datetime:
    shown = client.describe_continuous_backups(TableName="source")["ContinuousBackupsDescription"]
    found: datetime = shown["PointInTimeRecoveryDescription"]["LatestRestorableDateTime"]
    return found


def test_what_cannot_be_restored_from_elsewhere_is_refused(regions: Server) -> None:
    here, there = regions.client(region=HERE), regions.client(region=THERE)
    arn = arn_of(there, "source")
    latest_time = {"TargetTableName": "target", "UseLatestRestorableTime": True}

    def restore(arn: str, **more: Any) -> tuple[str, str]:
        request = {"SourceTableArn": arn, **latest_time, **more}
        return refusal(lambda: here.restore_table_to_point_in_time(**request))

    missing = "SSESpecificationOverride must be provided for a restore from another region"
    assert restore(arn) == ("ValidationException", missing)
    not_served = arn.replace(THERE, "ap-south-1")
    assert restore(not_served, **DEFAULT_KEY) == (
        "ValidationException",
        f"1 validation error detected: Invalid AWS region in '{not_served}'",
    )
    assert restore(f"{arn}-2", **DEFAULT_KEY) == ("TableNotFoundException", "Table not found: source-2")
    early = {"UseLatestRestorableTime": False, "RestoreDateTime": time.time() - 1000}
    assert restore(arn, **DEFAULT_KEY, **early)[0] == "InvalidRestoreTimeException"
    there.create_table(
        TableName="plain", KeySchema=key_schema("p"), AttributeDefinitions=attributes(p="S"),
        BillingMode="PAY_PER_REQUEST",
    )  # fmt: skip
    assert restore(arn_of(there, "plain"), **DEFAULT_KEY) == (
        "PointInTimeRecoveryUnavailableException",
        "Point in time recovery is not enabled for table 'plain'",
    )
    backup = backed_up(there, "plain")
    assert refusal(lambda: here.restore_table_from_backup(TargetTableName="target", BackupArn=backup)) == (
        "ValidationException",
        missing,
    )
    assert refusal(lambda: here.describe_backup(BackupArn=backup))[0] == "BackupNotFoundException"


def test_the_last_backup_of_a_deleted_table_is_restored_in_another_region(regions: Server) -> None:
    here, there = regions.client(region=HERE), regions.client(region=THERE)
    there.create_table(
        TableName="gone", KeySchema=key_schema("p"), AttributeDefinitions=attributes(p="S"),
        BillingMode="PAY_PER_REQUEST",
    )  # fmt: skip
    on = {"PointInTimeRecoveryEnabled": True}
    there.update_continuous_backups(TableName="gone", PointInTimeRecoverySpecification=on)
    there.put_item(TableName="gone", Item={"p": {"S": "a"}})
    there.delete_table(TableName="gone")
    eventually(lambda: there.list_backups(TableName="gone", BackupType="SYSTEM")["BackupSummaries"])
    [backup] = there.list_backups(TableName="gone", BackupType="SYSTEM")["BackupSummaries"]
    eventually(lambda: backup_of(there, backup["BackupArn"])["BackupStatus"] == "AVAILABLE")
    here.restore_table_from_backup(TargetTableName="gone", BackupArn=backup["BackupArn"], **DEFAULT_KEY)
    active(here, "gone")
    assert held(here, "gone") == [{"p": {"S": "a"}}]


def test_a_backup_of_a_region_that_is_served_elsewhere_is_in_the_same_place(
    regions: Server, start_server: Callable[..., Server], tmp_path: Path
) -> None:
    arn = backed_up(regions.client(region=THERE), "source")
    folder = str(regions.options["data_dir"])
    # A backup of a sealed store opens with its root key.
    other = start_server(regions="ap-south-1", backups=f"{folder}/backups", root_key_file=f"{folder}.root-key")
    client = other.client(region="ap-south-1")
    client.restore_table_from_backup(TargetTableName="moved", BackupArn=arn, **DEFAULT_KEY)
    active(client, "moved")
    assert held(client, "moved") == [item(number) for number in range(20)]
    missing = arn[:-8] + "12345678"
    assert refusal(
        lambda: client.restore_table_from_backup(TargetTableName="again", BackupArn=missing, **DEFAULT_KEY)
    ) == ("BackupNotFoundException", f"Backup not found: {missing}")
    # With another root key, the request fails and names what is missing.
    third = start_server(regions="ap-south-1", backups=f"{folder}/backups", data_dir=tmp_path / "third")
    client = third.client(region="ap-south-1")
    code, message = refusal(
        lambda: client.restore_table_from_backup(TargetTableName="moved", BackupArn=arn, **DEFAULT_KEY)
    )
    assert (code, message.startswith("The backup cannot be restored here: it is sealed, and ")) == (
        "ValidationException",
        True,
    ), message
    assert client.list_tables()["TableNames"] == []


def test_nothing_stays_behind(regions: Server) -> None:
    regions.stop()
    checked = run_jedlik("check", "--data-dir", str(regions.options["data_dir"]))
    regions.restart()
    assert checked.returncode == 0, checked.stdout
