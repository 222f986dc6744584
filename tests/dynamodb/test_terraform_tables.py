"""Sequences of calls as the AWS provider of Terraform makes them for `aws_dynamodb_table` with recovery, restores and
imports: made, waited for, read as a refresh does, changed and destroyed.

The provider needs Terraform's own registry, so the calls are made here by boto3, in its order and with its members.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from testing.dynamodb.definitions import attributes, key_schema
from testing.jedlik_process import Server, eventually

TAG = {"Key": "team", "Value": "red"}
INDEX = {
    "IndexName": "by-x",
    "KeySchema": [{"AttributeName": "x", "KeyType": "HASH"}],
    "Projection": {"ProjectionType": "ALL"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("terraform")


@pytest.fixture(scope="module")
def regions(start_shared_server: Callable[..., Server], folder: Path) -> Server:
    (folder / "bucket").mkdir()
    settings = folder / "jedlik.toml"
    settings.write_text(f'[buckets.my-data]\nurl = "{(folder / "bucket").as_uri()}"\n')
    return start_shared_server(config=settings, regions="us-east-1,eu-west-1")


def wait_active(client: Any, name: str) -> dict[str, Any]:
    """The provider's wait for a table: its status is CREATING or UPDATING, and then ACTIVE."""

    def shown() -> dict[str, Any]:
        found: dict[str, Any] = client.describe_table(TableName=name)["Table"]
        assert found["TableStatus"] in ("CREATING", "UPDATING", "ACTIVE")
        return found

    eventually(lambda: shown()["TableStatus"] == "ACTIVE")
    return shown()


def update_recovery(client: Any, name: str, **settings: Any) -> None:
    """point_in_time_recovery: the change, and the wait for its status."""
    client.update_continuous_backups(TableName=name, PointInTimeRecoverySpecification=settings)
    wanted = "ENABLED" if settings["PointInTimeRecoveryEnabled"] else "DISABLED"
    eventually(lambda: recovery(client, name)["PointInTimeRecoveryStatus"] == wanted)


def recovery(client: Any, name: str) -> dict[str, Any]:
    found = client.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    assert found["ContinuousBackupsStatus"] == "ENABLED"
    shown: dict[str, Any] = found["PointInTimeRecoveryDescription"]
    return shown


def refresh(client: Any, name: str) -> dict[str, Any]:
    """What a refresh reads: the table, its recovery, time to live and tags."""
    table: dict[str, Any] = client.describe_table(TableName=name)["Table"]
    table["pitr"] = recovery(client, name)
    table["ttl"] = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    table["tags"] = client.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"]
    return table


def destroy(client: Any, name: str) -> None:
    client.delete_table(TableName=name)

    def is_gone() -> bool:
        try:
            return client.describe_table(TableName=name)["Table"]["TableStatus"] not in ("ACTIVE", "DELETING")
        except client.exceptions.ResourceNotFoundException as error:
            # The provider looks for this text.
            return "Requested resource not found: Table: " in error.response["Error"]["Message"]

    eventually(is_gone)


@pytest.fixture(scope="module")
def source(regions: Server) -> str:
    """`aws_dynamodb_table.source` with point_in_time_recovery { enabled = true, recovery_period_in_days = 7 }."""
    client = regions.client()
    client.create_table(
        TableName="source",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=key_schema("p"),
        AttributeDefinitions=attributes(p="S", x="S"),
        GlobalSecondaryIndexes=[INDEX],
        TableClass="STANDARD",
        DeletionProtectionEnabled=False,
        Tags=[TAG],
    )
    wait_active(client, "source")
    update_recovery(client, "source", PointInTimeRecoveryEnabled=True, RecoveryPeriodInDays=7)
    for number in range(5):
        client.put_item(TableName="source", Item={"p": {"S": f"{number}"}, "x": {"S": "same"}})
    shown = refresh(client, "source")
    assert (shown["pitr"]["PointInTimeRecoveryStatus"], shown["pitr"]["RecoveryPeriodInDays"]) == ("ENABLED", 7)
    assert (shown["ttl"], shown["tags"]) == ({"TimeToLiveStatus": "DISABLED"}, [TAG])
    arn: str = shown["TableArn"]
    return arn


def test_restore_source_name_and_restore_to_latest_time(regions: Server, source: str) -> None:
    client = regions.client()
    written = time.time()
    eventually(lambda: recovery(client, "source")["LatestRestorableDateTime"].timestamp() > written)
    client.restore_table_to_point_in_time(
        SourceTableName="source",
        TargetTableName="latest",
        UseLatestRestorableTime=True,
        BillingModeOverride="PAY_PER_REQUEST",
        GlobalSecondaryIndexOverride=[INDEX],
    )
    wait_active(client, "latest")
    # What a restore does not bring is made afterwards.
    update_recovery(client, "latest", PointInTimeRecoveryEnabled=True)
    client.tag_resource(ResourceArn=client.describe_table(TableName="latest")["Table"]["TableArn"], Tags=[TAG])
    shown = refresh(client, "latest")
    assert [index["IndexName"] for index in shown["GlobalSecondaryIndexes"]] == ["by-x"]
    assert (shown["pitr"]["RecoveryPeriodInDays"], shown["tags"]) == (35, [TAG])
    assert client.scan(TableName="latest", IndexName="by-x")["Count"] == 5
    update_recovery(client, "latest", PointInTimeRecoveryEnabled=False)
    destroy(client, "latest")


def test_restore_source_table_arn_in_another_region(regions: Server, source: str) -> None:
    there, here = regions.client(), regions.client(region="eu-west-1")
    at = math.ceil(time.time())
    eventually(lambda: recovery(there, "source")["LatestRestorableDateTime"].timestamp() > at)
    here.restore_table_to_point_in_time(
        SourceTableArn=source,
        TargetTableName="moved",
        RestoreDateTime=datetime.fromtimestamp(at, UTC),
        BillingModeOverride="PAY_PER_REQUEST",
        SSESpecificationOverride={"Enabled": False},
    )
    wait_active(here, "moved")
    shown = refresh(here, "moved")
    assert shown["RestoreSummary"]["SourceTableArn"] == source
    assert shown["pitr"]["PointInTimeRecoveryStatus"] == "DISABLED"
    assert here.scan(TableName="moved")["Count"] == 5
    destroy(here, "moved")


def test_restore_backup_arn(regions: Server, source: str) -> None:
    client = regions.client()
    arn = client.create_backup(TableName="source", BackupName="by-terraform")["BackupDetails"]["BackupArn"]
    eventually(
        lambda: (
            client.describe_backup(BackupArn=arn)["BackupDescription"]["BackupDetails"]["BackupStatus"] == "AVAILABLE"
        )
    )
    client.restore_table_from_backup(
        BackupArn=arn, TargetTableName="from-backup", BillingModeOverride="PAY_PER_REQUEST"
    )
    assert wait_active(client, "from-backup")["RestoreSummary"]["SourceBackupArn"] == arn
    destroy(client, "from-backup")
    client.delete_backup(BackupArn=arn)


def test_import_table(regions: Server, folder: Path) -> None:
    client = regions.client()
    source = folder / "bucket" / "prefix"
    source.mkdir()
    items = [{"p": {"S": f"{number}"}, "x": {"S": "same"}} for number in range(3)]
    (source / "part.json").write_bytes(b"".join(orjson.dumps({"Item": item}) + b"\n" for item in items))
    answer = client.import_table(
        InputFormat="DYNAMODB_JSON",
        InputCompressionType="NONE",
        S3BucketSource={"S3Bucket": "my-data", "S3KeyPrefix": "prefix"},
        TableCreationParameters={
            "TableName": "imported",
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": key_schema("p"),
            "AttributeDefinitions": attributes(p="S"),
        },
    )["ImportTableDescription"]
    assert answer["ImportStatus"] in ("IN_PROGRESS", "COMPLETED")

    def status() -> str:
        shown: str = client.describe_import(ImportArn=answer["ImportArn"])["ImportTableDescription"]["ImportStatus"]
        assert shown in ("IN_PROGRESS", "COMPLETED")
        return shown

    eventually(lambda: status() == "COMPLETED")
    wait_active(client, "imported")
    update_recovery(client, "imported", PointInTimeRecoveryEnabled=True)
    assert refresh(client, "imported")["pitr"]["PointInTimeRecoveryStatus"] == "ENABLED"
    assert client.scan(TableName="imported")["Count"] == 3
    destroy(client, "imported")
    # With recovery, it has left its last backup.
    [left] = client.list_backups(TableName="imported", BackupType="SYSTEM")["BackupSummaries"]
    assert left["BackupName"] == "imported$DeletedTableBackup"
