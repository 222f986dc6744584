"""CreateBackup, DescribeBackup, ListBackups, DeleteBackup, RestoreTableFromBackup and DescribeContinuousBackups."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from testing.dynamodb.definitions import attributes, index, key_schema
from testing.jedlik_process import Server, eventually, run_jedlik


@pytest.fixture(scope="module")
def client(server: Server) -> Any:
    return server.client()


@pytest.fixture
def table(client: Any) -> Iterator[str]:
    """A table with two indexes, a stream, time to live, tags and three items."""
    name = f"source-{uuid4().hex}"
    client.create_table(
        TableName=name,
        KeySchema=key_schema("p", "s"),
        AttributeDefinitions=attributes(p="S", s="N", x="N", y="S"),
        ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 6},
        GlobalSecondaryIndexes=[
            index("by-x", "x") | {"ProvisionedThroughput": {"ReadCapacityUnits": 7, "WriteCapacityUnits": 8}}
        ],
        LocalSecondaryIndexes=[index("by-y", "p", "y")],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
        DeletionProtectionEnabled=True,
        Tags=[{"Key": "stage", "Value": "test"}],
    )
    client.update_time_to_live(TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": "e"})
    for number in range(3):
        client.put_item(TableName=name, Item=item(number))
    yield name
    client.update_table(TableName=name, DeletionProtectionEnabled=False)
    client.delete_table(TableName=name)


def item(number: int) -> dict[str, Any]:
    return {"p": {"S": "a"}, "s": {"N": f"{number}"}, "x": {"N": "1"}, "y": {"S": f"y{number}"}}


def backed_up(client: Any, table: str, name: str = "one") -> str:
    """The ARN of a new backup that is AVAILABLE."""
    arn: str = client.create_backup(TableName=table, BackupName=name)["BackupDetails"]["BackupArn"]
    eventually(lambda: status(client, arn) == "AVAILABLE")
    return arn


def status(client: Any, arn: str) -> str:
    found: str = client.describe_backup(BackupArn=arn)["BackupDescription"]["BackupDetails"]["BackupStatus"]
    return found


def restored(client: Any, arn: str, name: str, **overrides: Any) -> dict[str, Any]:
    """The description of a table that has been restored."""
    client.restore_table_from_backup(TargetTableName=name, BackupArn=arn, **overrides)
    eventually(lambda: client.describe_table(TableName=name)["Table"]["TableStatus"] == "ACTIVE")
    shown: dict[str, Any] = client.describe_table(TableName=name)["Table"]
    return shown


def refusal(do: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        do()
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_backup_is_described_as_the_table_was(client: Any, table: str) -> None:
    details = client.create_backup(TableName=table, BackupName="my.first_backup")["BackupDetails"]
    arn = details["BackupArn"]
    assert re.fullmatch(
        rf"arn:aws:dynamodb:us-east-1:000000000000:table/{table}/backup/0[0-9]{{13}}-[0-9a-f]{{8}}", arn
    )
    assert details["BackupStatus"] in ("CREATING", "AVAILABLE")
    eventually(lambda: status(client, arn) == "AVAILABLE")
    description = client.describe_backup(BackupArn=arn)["BackupDescription"]
    shown = client.describe_table(TableName=table)["Table"]
    assert description["BackupDetails"] == {
        "BackupArn": arn,
        "BackupName": "my.first_backup",
        "BackupSizeBytes": shown["TableSizeBytes"],
        "BackupStatus": "AVAILABLE",
        "BackupType": "USER",
        "BackupCreationDateTime": details["BackupCreationDateTime"],
    }
    assert description["SourceTableDetails"] == {
        "TableName": table,
        "TableId": shown["TableId"],
        "TableArn": shown["TableArn"],
        "TableSizeBytes": shown["TableSizeBytes"],
        "KeySchema": shown["KeySchema"],
        "TableCreationDateTime": shown["CreationDateTime"],
        "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6},
        "ItemCount": 3,
        "BillingMode": "PROVISIONED",
    }
    assert description["SourceTableFeatureDetails"] == {
        "LocalSecondaryIndexes": [
            {"IndexName": "by-y", "KeySchema": key_schema("p", "y"), "Projection": {"ProjectionType": "ALL"}}
        ],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "by-x",
                "KeySchema": key_schema("x"),
                "Projection": {"ProjectionType": "ALL"},
                "ProvisionedThroughput": {"ReadCapacityUnits": 7, "WriteCapacityUnits": 8},
            }
        ],
        "StreamDescription": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
        "TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED", "AttributeName": "e"},
    }


def test_a_restored_table_has_items_and_indexes_and_no_other_settings(client: Any, table: str) -> None:
    arn = backed_up(client, table)
    client.delete_item(TableName=table, Key={"p": {"S": "a"}, "s": {"N": "0"}})
    name = f"target-{uuid4().hex}"
    answer = client.restore_table_from_backup(TargetTableName=name, BackupArn=arn)["TableDescription"]
    assert answer["TableStatus"] == "CREATING"
    summary = answer["RestoreSummary"]
    assert summary == {
        "SourceBackupArn": arn,
        "SourceTableArn": f"arn:aws:dynamodb:us-east-1:000000000000:table/{table}",
        "RestoreDateTime": summary["RestoreDateTime"],
        "RestoreInProgress": True,
    }
    eventually(lambda: client.describe_table(TableName=name)["Table"]["TableStatus"] == "ACTIVE")
    shown = client.describe_table(TableName=name)["Table"]
    assert shown["RestoreSummary"] == summary | {"RestoreInProgress": False}
    assert shown["ItemCount"] == 3
    assert shown["ProvisionedThroughput"]["WriteCapacityUnits"] == 6
    [global_index], [local_index] = shown["GlobalSecondaryIndexes"], shown["LocalSecondaryIndexes"]
    assert (global_index["IndexStatus"], global_index["ItemCount"], local_index["ItemCount"]) == ("ACTIVE", 3, 3)
    assert global_index["ProvisionedThroughput"]["ReadCapacityUnits"] == 7
    assert shown["DeletionProtectionEnabled"] is False
    assert "StreamSpecification" not in shown
    assert "LatestStreamArn" not in shown
    assert client.list_tags_of_resource(ResourceArn=shown["TableArn"])["Tags"] == []
    ttl = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    assert ttl == {"TimeToLiveStatus": "DISABLED"}
    wanted = [item(number) for number in range(3)]
    assert client.scan(TableName=name)["Items"] == wanted
    by_x = client.query(
        TableName=name,
        IndexName="by-x",
        KeyConditionExpression="x = :x",
        ExpressionAttributeValues={":x": {"N": "1"}},
    )
    assert sorted(by_x["Items"], key=lambda one: int(one["s"]["N"])) == wanted
    # It is a table like any other: written to, and with another index.
    client.put_item(TableName=name, Item=item(3))
    assert client.describe_table(TableName=name)["Table"]["ItemCount"] == 4
    client.delete_table(TableName=name)


def test_a_restore_may_leave_indexes_out_and_change_capacity(client: Any, table: str) -> None:
    arn = backed_up(client, table)
    name = f"target-{uuid4().hex}"
    shown = restored(
        client,
        arn,
        name,
        BillingModeOverride="PAY_PER_REQUEST",
        GlobalSecondaryIndexOverride=[],
        LocalSecondaryIndexOverride=[index("by-y", "p", "y")],
        OnDemandThroughputOverride={"MaxReadRequestUnits": 100},
        SSESpecificationOverride={"Enabled": True, "SSEType": "KMS"},
    )
    assert shown["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert shown["OnDemandThroughput"] == {"MaxReadRequestUnits": 100}
    assert shown["SSEDescription"]["SSEType"] == "KMS"
    assert "GlobalSecondaryIndexes" not in shown
    assert [one["IndexName"] for one in shown["LocalSecondaryIndexes"]] == ["by-y"]
    assert {one["AttributeName"] for one in shown["AttributeDefinitions"]} == {"p", "s", "y"}
    # An index that is made later is filled.
    client.update_table(
        TableName=name,
        AttributeDefinitions=attributes(p="S", s="N", x="N"),
        GlobalSecondaryIndexUpdates=[{"Create": index("late", "x")}],
    )
    eventually(
        lambda: client.describe_table(TableName=name)["Table"]["GlobalSecondaryIndexes"][0]["IndexStatus"] == "ACTIVE"
    )
    assert client.scan(TableName=name, IndexName="late")["Count"] == 3
    client.delete_table(TableName=name)

    wrong = index("by-x", "y")
    code, text = refusal(
        lambda: client.restore_table_from_backup(
            TargetTableName=name, BackupArn=arn, GlobalSecondaryIndexOverride=[wrong]
        )
    )
    assert code == "ValidationException"
    assert text.endswith("must name indexes of the source with their key schema and projection: by-x")


def test_backups_outlive_their_table(client: Any) -> None:
    name = f"source-{uuid4().hex}"
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=key_schema("p"),
        AttributeDefinitions=attributes(p="S"),
    )
    client.put_item(TableName=name, Item={"p": {"S": "a"}})
    arn = backed_up(client, name)
    client.delete_table(TableName=name)
    assert [one["BackupArn"] for one in client.list_backups(TableName=name)["BackupSummaries"]] == [arn]
    # Under the same name, for example.
    assert restored(client, arn, name)["ItemCount"] == 1
    assert client.scan(TableName=name)["Items"] == [{"p": {"S": "a"}}]
    client.delete_table(TableName=name)
    client.delete_backup(BackupArn=arn)


def test_backups_are_listed_by_table_time_and_type(client: Any, table: str) -> None:
    arns = [backed_up(client, table, f"number-{number}") for number in range(3)]
    listed = client.list_backups(TableName=table)["BackupSummaries"]
    assert [one["BackupArn"] for one in listed] == arns
    times = [one["BackupCreationDateTime"] for one in listed]
    assert listed[0] == {
        "TableName": table,
        "TableId": client.describe_table(TableName=table)["Table"]["TableId"],
        "TableArn": f"arn:aws:dynamodb:us-east-1:000000000000:table/{table}",
        "BackupArn": arns[0],
        "BackupName": "number-0",
        "BackupCreationDateTime": times[0],
        "BackupStatus": "AVAILABLE",
        "BackupType": "USER",
        "BackupSizeBytes": client.describe_table(TableName=table)["Table"]["TableSizeBytes"],
    }

    def found(**filters: Any) -> list[str]:
        return [one["BackupArn"] for one in client.list_backups(TableName=table, **filters)["BackupSummaries"]]

    assert found(TimeRangeLowerBound=times[1]) == arns[1:]
    assert found(TimeRangeUpperBound=times[1]) == arns[:1]
    assert found(TimeRangeLowerBound=datetime.now(UTC) + timedelta(hours=1)) == []
    assert found(BackupType="ALL") == found(BackupType="USER") == arns
    assert found(BackupType="SYSTEM") == found(BackupType="AWS_BACKUP") == []
    by_arn = client.list_backups(TableName=f"arn:aws:dynamodb:us-east-1:000000000000:table/{table}")
    assert [one["BackupArn"] for one in by_arn["BackupSummaries"]] == arns
    page = client.list_backups(TableName=table, Limit=2)
    assert [one["BackupArn"] for one in page["BackupSummaries"]] == arns[:2]
    assert page["LastEvaluatedBackupArn"] == arns[1]
    assert found(Limit=2, ExclusiveStartBackupArn=arns[1]) == arns[2:]
    assert set(arns) <= {one["BackupArn"] for one in client.list_backups()["BackupSummaries"]}


def test_a_deleted_backup_is_described_once_more(client: Any, table: str) -> None:
    arn = backed_up(client, table)
    description = client.delete_backup(BackupArn=arn)["BackupDescription"]
    assert description["BackupDetails"]["BackupStatus"] == "DELETED"
    assert description["SourceTableDetails"]["TableName"] == table
    assert client.list_backups(TableName=table)["BackupSummaries"] == []
    missing = ("BackupNotFoundException", f"Backup not found: {arn}")
    assert refusal(lambda: client.describe_backup(BackupArn=arn)) == missing
    assert refusal(lambda: client.delete_backup(BackupArn=arn)) == missing
    assert refusal(lambda: client.restore_table_from_backup(TargetTableName="target", BackupArn=arn)) == missing


def test_what_is_not_there_or_in_the_way_is_refused(client: Any, table: str) -> None:
    missing = f"missing-{uuid4().hex}"
    not_found = ("TableNotFoundException", f"Table not found: {missing}")
    assert refusal(lambda: client.create_backup(TableName=missing, BackupName="one")) == not_found
    assert refusal(lambda: client.describe_continuous_backups(TableName=missing)) == not_found
    assert client.list_backups(TableName=missing)["BackupSummaries"] == []
    arn = backed_up(client, table)
    assert refusal(lambda: client.restore_table_from_backup(TargetTableName=table, BackupArn=arn)) == (
        "TableAlreadyExistsException",
        f"Table already exists: {table}",
    )
    elsewhere = arn.replace("us-east-1", "eu-west-1")
    assert refusal(lambda: client.describe_backup(BackupArn=elsewhere)) == (
        "BackupNotFoundException",
        f"Backup not found: {elsewhere}",
    )
    foreign = arn.replace("000000000000", "111111111111")
    assert refusal(lambda: client.describe_backup(BackupArn=foreign))[0] == "AccessDeniedException"
    no_backup = f"arn:aws:dynamodb:us-east-1:000000000000:table/{table}"
    assert refusal(lambda: client.describe_backup(BackupArn=no_backup)) == (
        "ValidationException",
        f"Invalid backup ARN: {no_backup}",
    )
    code, text = refusal(
        lambda: client.restore_table_from_backup(
            TargetTableName=missing,
            BackupArn=arn,
            BillingModeOverride="PAY_PER_REQUEST",
            ProvisionedThroughputOverride={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
        )
    )
    assert (code, "Neither ReadCapacityUnits nor WriteCapacityUnits" in text) == ("ValidationException", True)


def test_a_table_has_continuous_backups_and_no_recovery(client: Any, table: str) -> None:
    shown = client.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    assert shown == {
        "ContinuousBackupsStatus": "ENABLED",
        "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "DISABLED"},
    }


def test_a_place_that_cannot_be_used_makes_no_backup(start_server: Callable[..., Server], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    server = start_server(backups=tmp_path / "file" / "backups", in_memory=True)
    client = server.client()
    client.create_table(
        TableName="source",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=key_schema("p"),
        AttributeDefinitions=attributes(p="S"),
    )
    code, text = refusal(lambda: client.create_backup(TableName="source", BackupName="one"))
    assert code == "ContinuousBackupsUnavailableException"
    assert text.startswith("The place of backups cannot be used: file://")
    assert client.list_backups()["BackupSummaries"] == []
    client.delete_table(TableName="source")


def test_backups_are_verified_where_they_are_kept(start_server: Callable[..., Server], tmp_path: Path) -> None:
    place = tmp_path / "kept"
    settings = tmp_path / "jedlik.toml"
    settings.write_text(f'backups = "bucket://mine/folder"\n[buckets.mine]\nurl = "{place.as_uri()}"\n')
    server = start_server(config=settings, in_memory=True)
    client = server.client()
    client.create_table(
        TableName="source",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=key_schema("p"),
        AttributeDefinitions=attributes(p="S"),
    )
    client.put_item(TableName="source", Item={"p": {"S": "a"}})
    arn = backed_up(client, "source")

    def backups(*words: str) -> tuple[int, list[str]]:
        done = run_jedlik("backups", *words, "--config", str(settings))
        return done.returncode, done.stdout.splitlines()

    code, lines = backups("list")
    assert (code, len(lines)) == (0, 1)
    assert re.fullmatch(rf"{arn} one \S+ 1 items 2 bytes", lines[0])
    assert backups("verify") == (0, [f"{arn}: 1 pieces are what was written"])
    [piece] = list(place.rglob("items-*"))
    assert piece.is_relative_to(place / "folder" / "000000000000" / "us-east-1" / "source")
    content = bytearray(piece.read_bytes())
    content[40] ^= 1
    piece.write_bytes(content)
    assert backups("verify", arn) == (1, [f"{arn}: {piece.name}: its checksum is wrong"])
    piece.unlink()
    code, lines = backups("verify")
    assert (code, "there is no" in lines[0]) == (1, True)
    # Nothing to verify is not the same as nothing wrong.
    (tmp_path / "empty").mkdir()
    done = run_jedlik("backups", "verify", "--backups", str(tmp_path / "empty"))
    reason = f"there are no backups in {(tmp_path / 'empty').as_uri()}"
    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"jedlik: {reason}\n")
    for command in ("list", "verify"):
        done = run_jedlik("backups", command, "--data-dir", str(tmp_path / "mistyped"))
        assert (done.returncode, "there is no data folder" in done.stderr) == (2, True)
    assert backups("verify", "arn:other") == (1, [f"arn:other: there is no such backup in {place.as_uri()}/folder"])
