"""What takes longer than a test may: a KMS that does not answer for minutes, and a key that is away for a week."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jedlik.aws.errors import ServiceError
from jedlik.dynamodb.backups import archiving, last_backups
from jedlik.dynamodb.model import keys, spaces
from jedlik.dynamodb.streams import shard_upkeep
from jedlik.dynamodb.streams.shard_upkeep import StreamPolicy
from testing.dynamodb.sealed_place import CLOSED, DAY, START, Place, item, run
from testing.kms_operations import call


async def read(place: Place) -> Any:
    return (await place.do("GetItem", TableName="music", Key={"p": {"S": "01"}}))["Item"]


def test_a_table_goes_on_for_five_minutes_without_kms(tmp_path: Path) -> None:
    async def scenario(place: Place) -> None:
        await place.passes(0)
        place.keys.is_away = True
        for _ in range(9):
            await place.passes(31)
            assert (await place.status(), await read(place)) == ("ACTIVE", item(1))
        place.keys.is_away = False
        await place.passes(31)
        place.keys.is_away = True
        await place.passes(290)
        assert (await place.status(), await read(place)) == ("ACTIVE", item(1)), "it has answered meanwhile"
        await place.passes(11)
        assert await place.status() == CLOSED
        with pytest.raises(ServiceError, match="KMS internal error") as refused:
            await read(place)
        assert refused.value.name == "InternalServerError"
        for _ in range(10):
            await place.passes(DAY)
        assert await place.status() == CLOSED, "nothing is known about the key: nothing is archived"
        place.keys.is_away = False
        await place.passes(31)
        assert (await place.status(), await read(place)) == ("ACTIVE", item(1))

    run(tmp_path, scenario)


def test_a_key_that_is_away_for_a_week_leaves_a_backup(tmp_path: Path) -> None:
    async def scenario(place: Place) -> None:
        await place.passes(0)
        await call(place.region, "DisableKey", KeyId=place.key)
        await place.passes(1)
        closed = place.now
        await place.passes(7 * DAY - 60)
        assert await place.status() == CLOSED
        await place.passes(60)
        assert await place.status() == "ARCHIVING"
        await place.work()
        await place.passes(1)
        assert await place.status() == "ARCHIVED"
        shown = (await place.do("DescribeTable", TableName="music"))["Table"]
        summary = shown["ArchivalSummary"]
        assert (summary["ArchivalReason"], summary["ArchivalDateTime"]) == (CLOSED, closed + 7 * DAY)
        assert shown["SSEDescription"]["InaccessibleEncryptionDateTime"] == closed
        arn = summary["ArchivalBackupArn"]
        [found] = (await place.do("ListBackups", TableName="music"))["BackupSummaries"]
        assert (found["BackupArn"], found["BackupStatus"], found["BackupType"]) == (arn, "AVAILABLE", "USER")
        by_default = {"SSESpecificationOverride": {"Enabled": False}}
        with pytest.raises(ServiceError, match="KMS key disabled error"):
            await place.do("RestoreTableFromBackup", TargetTableName="again", BackupArn=arn, **by_default)
        await place.do("DeleteTable", TableName="music")
        await place.work()
        for _ in range(3):
            await place.passes(61)
        await call(place.region, "EnableKey", KeyId=place.key)
        await place.do("RestoreTableFromBackup", TargetTableName="again", BackupArn=arn)
        await place.work()
        shown = (await place.do("DescribeTable", TableName="again"))["Table"]
        assert (shown["TableStatus"], shown["SSEDescription"]["KMSMasterKeyArn"]) == ("ACTIVE", place.key)
        assert "ArchivalSummary" not in shown
        items = (await place.do("Scan", TableName="again"))["Items"]
        assert sorted(items, key=lambda one: str(one["p"]["S"])) == [item(number) for number in range(30)]
        await place.do("DeleteBackup", BackupArn=arn)
        await place.work()
        await shard_upkeep.maintain(place.region, StreamPolicy())
        for _ in range(3):
            await place.passes(61)
        [grant] = (await call(place.region, "ListGrants", KeyId=place.key))["Grants"]
        assert "again" in str(grant), "nothing needs the key of the archived table any more"

    run(tmp_path, scenario)


def test_an_archived_table_stays_so_when_its_key_is_back(tmp_path: Path) -> None:
    async def scenario(place: Place) -> None:
        await call(place.region, "DisableKey", KeyId=place.key)
        await place.passes(31)
        await place.passes(7 * DAY)
        await call(place.region, "EnableKey", KeyId=place.key)
        await place.passes(31)
        await place.work()
        await place.passes(31)
        assert await place.status() == "ARCHIVED"
        with pytest.raises(ServiceError):
            await read(place)

    run(tmp_path, scenario)


async def entries(place: Place) -> int:
    """The entries of all logs of tables."""
    assert place.region.sealed is not None
    return len(await place.region.sealed.inner.range(*spaces.LOGS.range, 1000, 1 << 20))


async def look_after_logs(place: Place) -> None:
    await shard_upkeep.maintain(place.region, StreamPolicy())


def test_what_a_stream_has_lives_for_a_day_whether_its_key_can_be_used_or_not(tmp_path: Path) -> None:
    async def scenario(place: Place) -> None:
        view = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
        await place.do("UpdateTable", TableName="music", StreamSpecification=view)
        for number in range(30, 40):
            await place.do("PutItem", TableName="music", Item=item(number))
        await call(place.region, "DisableKey", KeyId=place.key)
        await place.passes(31)
        assert await place.status() == CLOSED
        await place.passes(DAY - 60)
        await look_after_logs(place)
        assert await entries(place) == 11
        await place.passes(60)
        await look_after_logs(place)
        assert await entries(place) == 1, "the shard is still open"
        await place.do("DeleteTable", TableName="music")
        await place.work()
        await look_after_logs(place)
        assert await entries(place) == 2, "it has been closed now"
        await place.passes(DAY + 60)
        for _ in range(2):
            await look_after_logs(place)
            await place.passes(1)
        assert await entries(place) == 0
        assert await place.region.engine.range(*keys.stream_range(None), 1, 1) == []
        assert (await call(place.region, "ListGrants", KeyId=place.key))["Grants"] == []

    run(tmp_path, scenario)


def test_an_archive_loses_nothing_while_the_key_cannot_be_used(tmp_path: Path) -> None:
    async def scenario(place: Place) -> None:
        on = {"PointInTimeRecoveryEnabled": True}
        await place.do("UpdateContinuousBackups", TableName="music", PointInTimeRecoverySpecification=on)
        await place.work()
        first = await place.do("DescribeContinuousBackups", TableName="music")
        await place.do("PutItem", TableName="music", Item=item(30))
        await call(place.region, "DisableKey", KeyId=place.key)
        await place.passes(31)
        for _ in range(3):
            await place.passes(DAY)
            await look_after_logs(place)
            await archiving.archive(place.region)
        shown = await place.do("DescribeContinuousBackups", TableName="music")
        recovery = shown["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
        assert recovery["LatestRestorableDateTime"] == START, "then nothing was archived any more"
        await call(place.region, "EnableKey", KeyId=place.key)
        await place.passes(31)
        await look_after_logs(place)
        while await archiving.archive(place.region):
            pass
        shown = await place.do("DescribeContinuousBackups", TableName="music")
        earliest = [
            one["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]["EarliestRestorableDateTime"]
            for one in (first, shown)
        ]
        assert earliest[0] == earliest[1], "it is the same history"
        await place.do(
            "RestoreTableToPointInTime",
            SourceTableName="music",
            TargetTableName="again",
            UseLatestRestorableTime=True,
        )
        await place.work()
        assert len((await place.do("Scan", TableName="again"))["Items"]) == 31

    run(tmp_path, scenario)


def test_the_log_of_a_closed_table_without_a_stream_goes_with_it(tmp_path: Path) -> None:
    async def scenario(place: Place) -> None:
        on = {"PointInTimeRecoveryEnabled": True}
        await place.do("UpdateContinuousBackups", TableName="music", PointInTimeRecoverySpecification=on)
        await place.do("PutItem", TableName="music", Item=item(30))
        await place.work()
        await call(place.region, "DisableKey", KeyId=place.key)
        await place.passes(31)
        await place.do("DeleteTable", TableName="music")
        await place.work()
        [last] = (await place.do("ListBackups", BackupType="SYSTEM"))["BackupSummaries"]
        await look_after_logs(place)
        assert await entries(place) == 0
        await place.passes(36 * DAY)
        while await last_backups.remove_expired(place.region):
            pass
        await place.work()
        for _ in range(3):
            await place.passes(61)
        assert (await place.do("ListBackups", BackupType="ALL"))["BackupSummaries"] == [], last
        assert (await call(place.region, "ListGrants", KeyId=place.key))["Grants"] == []

    run(tmp_path, scenario)
