"""Backups and archives of tables whose key is a customer's: they open with that key, and with nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from jedlik.aws.errors import ServiceError
from jedlik.background import job_records
from jedlik.background.job_records import JobWaits
from jedlik.dynamodb.backups import archiving, piece_keys, pieces, restores
from jedlik.dynamodb.streams import shard_upkeep
from jedlik.dynamodb.streams.shard_upkeep import StreamPolicy
from testing import jobs
from testing.dynamodb.definitions import create, describe, unused_name
from testing.dynamodb.refusals import refusal
from testing.dynamodb.sealed_place import CLOSED, DAY, Place, item, run
from testing.jedlik_process import Server, eventually, run_jedlik
from testing.kms_operations import call
from testing.storage.objects import MemoryObjects

ITEMS = [item(number) for number in range(30)]
BY_DEFAULT = {"SSESpecificationOverride": {"Enabled": False}}
DISABLED = "KMS key disabled error"


def by(key: str) -> dict[str, Any]:
    return {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}


async def new_key(place: Place) -> str:
    arn: str = (await call(place.region, "CreateKey"))["KeyMetadata"]["Arn"]
    return arn


async def backed_up(place: Place) -> str:
    made = await place.do("CreateBackup", TableName="music", BackupName="one")
    await place.work()
    arn: str = made["BackupDetails"]["BackupArn"]
    return arn


async def held(place: Place, name: str) -> list[dict[str, Any]]:
    items = (await place.do("Scan", TableName=name))["Items"]
    return sorted(items, key=lambda one: str(one["p"]["S"]))


def objects(place: Place) -> dict[str, bytes]:
    assert place.region.places is not None
    store = place.region.places.backups
    assert isinstance(store, MemoryObjects)
    return store.kept


def copies(place: Place) -> dict[int, Any]:
    """The copies of piece keys, by number."""
    found = {name: content for name, content in objects(place).items() if name.startswith(f"{piece_keys.FOLDER}/")}
    return {int(name.rpartition("/")[2], 16): orjson.loads(content) for name, content in found.items()}


def keys_of_pieces(place: Place, part: str) -> set[str | None]:
    """The keys of KMS that open the pieces with a part in their name; None for the store's own."""
    numbers = {
        pieces.key_number(content)
        for name, content in objects(place).items()
        if part in name and name.rpartition("/")[2].split("-")[0] in {"items", "changes", "segment"}
    }
    return {copies(place)[number].get("KeyArn") for number in numbers}


async def grants(place: Place, key: str) -> list[str]:
    shown = (await call(place.region, "ListGrants", KeyId=key))["Grants"]
    return [one["Constraints"]["EncryptionContextSubset"]["aws:dynamodb:tableName"] for one in shown]


async def settle(place: Place) -> None:
    """Do what looks after keys and logs, until nothing is left to let go of."""
    await shard_upkeep.maintain(place.region, StreamPolicy())
    for _ in range(3):
        await place.passes(61)


def test_a_backup_opens_with_the_key_that_its_table_had(tmp_path: Path) -> None:
    async def scenario(place: Place) -> None:
        arn = await backed_up(place)
        assert keys_of_pieces(place, arn.rpartition("/")[2]) == {place.key}
        other = await new_key(place)
        await place.do("UpdateTable", TableName="music", SSESpecification=by(other))
        await place.work()
        second = await backed_up(place)
        assert keys_of_pieces(place, second.rpartition("/")[2]) == {other}
        await settle(place)
        assert (await grants(place, place.key), await grants(place, other)) == (["music"], ["music"])
        await call(place.region, "DisableKey", KeyId=place.key)
        await settle(place)
        assert await place.status() == "ACTIVE"
        with pytest.raises(ServiceError, match=DISABLED):
            await place.do("RestoreTableFromBackup", TargetTableName="again", BackupArn=arn, **BY_DEFAULT)
        await place.do("RestoreTableFromBackup", TargetTableName="second", BackupArn=second)
        await place.work()
        assert await held(place, "second") == ITEMS
        await place.do("DeleteTable", TableName="music")
        await place.work()
        await settle(place)
        await place.do("DeleteBackup", BackupArn=second)
        await place.work()
        await settle(place)
        assert await grants(place, other) == ["second"], "its backup is gone"
        asked = place.keys.opened
        await place.passes(1)
        assert place.keys.opened == asked, "nobody opens the key of a table that is gone"
        await call(place.region, "EnableKey", KeyId=place.key)
        await place.do("RestoreTableFromBackup", TargetTableName="again", BackupArn=arn, **BY_DEFAULT)
        await place.work()
        assert await held(place, "again") == ITEMS
        await place.do("DeleteBackup", BackupArn=arn)
        await place.work()
        await settle(place)
        assert await grants(place, place.key) == [], "nothing needs the key any more"

    run(tmp_path, scenario)


def test_an_archive_opens_with_all_keys_that_the_table_has_had(tmp_path: Path) -> None:
    async def scenario(place: Place) -> None:
        on = {"PointInTimeRecoveryEnabled": True}
        await place.do("UpdateContinuousBackups", TableName="music", PointInTimeRecoverySpecification=on)
        await place.work()
        other = await new_key(place)
        for key in (None, other):
            if key is not None:
                await place.do("UpdateTable", TableName="music", SSESpecification=by(key))
                await place.work()
            await place.do("PutItem", TableName="music", Item=item(30 if key is None else 31))
            await place.passes(61)
            while await archiving.archive(place.region):
                pass
        assert keys_of_pieces(place, "/items-") == {place.key}
        assert keys_of_pieces(place, "/segment-") == {place.key, other}
        await settle(place)
        assert await grants(place, place.key) == ["music"], "the base copy needs it"
        latest = {"SourceTableName": "music", "UseLatestRestorableTime": True, **BY_DEFAULT}
        for key in (place.key, other):
            await call(place.region, "DisableKey", KeyId=key)
            with pytest.raises(ServiceError, match=DISABLED):
                await place.do("RestoreTableToPointInTime", TargetTableName="again", **latest)
            await call(place.region, "EnableKey", KeyId=key)
        await place.do("RestoreTableToPointInTime", TargetTableName="again", **latest)
        await place.work()
        assert await held(place, "again") == [*ITEMS, item(30), item(31)]
        await place.do(
            "UpdateContinuousBackups",
            TableName="music",
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False},
        )
        await place.work()
        await settle(place)
        assert await grants(place, place.key) == []

    run(tmp_path, scenario)


def test_a_closed_table_that_is_deleted_leaves_its_last_backup(tmp_path: Path) -> None:
    async def scenario(place: Place) -> None:
        on = {"PointInTimeRecoveryEnabled": True}
        await place.do("UpdateContinuousBackups", TableName="music", PointInTimeRecoverySpecification=on)
        await place.work()
        await call(place.region, "DisableKey", KeyId=place.key)
        await place.passes(31)
        assert await place.status() == CLOSED
        await place.do("DeleteTable", TableName="music")
        await place.work()
        assert (await place.do("ListTables"))["TableNames"] == []
        [last] = (await place.do("ListBackups", BackupType="SYSTEM"))["BackupSummaries"]
        arn = last["BackupArn"]
        assert (last["BackupStatus"], last["BackupSizeBytes"] > 0) == ("AVAILABLE", True)
        with pytest.raises(ServiceError, match=DISABLED):
            await place.do("RestoreTableFromBackup", TargetTableName="again", BackupArn=arn, **BY_DEFAULT)
        await place.passes(2 * DAY)
        await settle(place)
        await call(place.region, "EnableKey", KeyId=place.key)
        await place.do("RestoreTableFromBackup", TargetTableName="again", BackupArn=arn, **BY_DEFAULT)
        await place.work()
        assert await held(place, "again") == ITEMS

    run(tmp_path, scenario)


async def the_restore(place: Place) -> job_records.Job:
    rows = await place.region.engine.range(*job_records.job_range(), 10, 1 << 20)
    [job] = [job for job in map(job_records.parse, rows) if job.kind == restores.KIND]
    return job


def test_a_restore_waits_for_a_key_and_ends_with_one_that_is_deleted(tmp_path: Path) -> None:
    async def scenario(place: Place) -> None:
        arn = await backed_up(place)
        for name in ("first", "second"):
            await place.do("RestoreTableFromBackup", TargetTableName=name, BackupArn=arn, **BY_DEFAULT)
            restores._open.clear()
            await call(place.region, "DisableKey", KeyId=place.key)
            for _ in range(3):
                with pytest.raises(JobWaits):
                    await jobs.step(place.region, await the_restore(place))
            if name == "first":
                await call(place.region, "EnableKey", KeyId=place.key)
            else:
                await call(place.region, "ScheduleKeyDeletion", KeyId=place.key, PendingWindowInDays=7)
                await place.delete_due_keys(8 * DAY)
            await place.work()
        assert await held(place, "first") == ITEMS
        assert "second" not in (await place.do("ListTables"))["TableNames"]
        with pytest.raises(ServiceError, match=r"KMS validation error: .*NotFoundException"):
            await place.do("RestoreTableFromBackup", TargetTableName="third", BackupArn=arn, **BY_DEFAULT)

    run(tmp_path, scenario)


def test_dynamodb_s_own_key_does_not_close_backups(tmp_path: Path) -> None:
    async def scenario(place: Place) -> None:
        await place.do("UpdateTable", TableName="music", SSESpecification={"Enabled": True, "SSEType": "KMS"})
        await place.work()
        arn = await backed_up(place)
        assert keys_of_pieces(place, arn.rpartition("/")[2]) == {None}

    run(tmp_path, scenario)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(
        tmp_path / "log", data_dir=tmp_path / "data", seal_tables=True, workers=2, regions="us-east-1,eu-west-1"
    )
    yield made
    made.kill()


def status(client: Any, arn: str) -> str:
    shown: str = client.describe_backup(BackupArn=arn)["BackupDescription"]["BackupDetails"]["BackupStatus"]
    return shown


def scanned(client: Any, name: str) -> list[dict[str, Any]]:
    eventually(lambda: describe(client, name)["TableStatus"] == "ACTIVE")
    return sorted(client.scan(TableName=name)["Items"], key=lambda one: str(one["p"]["S"]))


def test_kills_rotations_and_regions(server: Server, tmp_path: Path) -> None:
    data = tmp_path / "data"
    client, kms = server.client(), server.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    name = create(client, TableName=unused_name(), SSESpecification=by(key))
    for one in ITEMS:
        client.put_item(TableName=name, Item=one)
    arn = client.create_backup(TableName=name, BackupName="one")["BackupDetails"]["BackupArn"]
    eventually(lambda: status(client, arn) == "AVAILABLE")
    shown = client.describe_backup(BackupArn=arn)["BackupDescription"]["SourceTableFeatureDetails"]["SSEDescription"]
    assert shown["KMSMasterKeyArn"] == key
    assert run_jedlik("root-key", "rotate", "--data-dir", str(data)).returncode == 0
    verified = run_jedlik("backups", "verify", "--data-dir", str(data), arn)
    text = f"{arn}: 1 pieces are what was written; 1 are sealed by a key of KMS, and were not opened"
    assert (verified.returncode, verified.stdout.strip()) == (0, text), verified
    kms.disable_key(KeyId=key)
    there = server.client(region="eu-west-1")
    requests: dict[str, Callable[..., Any]] = {
        "here": client.restore_table_from_backup,
        "there": there.restore_table_from_backup,
    }
    for target, restore in requests.items():
        code, message = refusal(restore, TargetTableName=target, BackupArn=arn, **BY_DEFAULT)
        assert (code, DISABLED in message) == ("ValidationException", True)
    kms.enable_key(KeyId=key)
    for target, restore in requests.items():
        restore(TargetTableName=target, BackupArn=arn, **BY_DEFAULT)
    other = client.create_backup(TableName=name, BackupName="two")["BackupDetails"]["BackupArn"]
    server.kill()
    server.restart()
    eventually(lambda: status(server.client(), other) == "AVAILABLE")
    assert scanned(server.client(), "here") == ITEMS
    assert scanned(server.client(region="eu-west-1"), "there") == ITEMS
    server.stop()
    assert run_jedlik("check", "--data-dir", str(data)).returncode == 0
