"""Recovery to a point in time: every second is exact, whatever archives and whatever dies."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from botocore.exceptions import ClientError

from jedlik.aws.errors import ServiceError
from jedlik.background import job_records
from jedlik.background.job_records import Job, JobMoved, JobWaits
from jedlik.clock import TrustedClock
from jedlik.dynamodb import catalog
from jedlik.dynamodb.backups import (
    archiving,
    backup_records,
    backup_removal,
    exporting,
    last_backups,
    recovery_operations,
    recovery_plans,
    recovery_records,
    restores,
    suspensions,
    table_copies,
)
from jedlik.dynamodb.backups.recovery_records import Recovery, Segment
from jedlik.dynamodb.model import keys, spaces
from jedlik.dynamodb.model.limits import MIB
from jedlik.dynamodb.model.log_readers import Position
from jedlik.dynamodb.streams import shard_upkeep
from jedlik.dynamodb.streams.shard_upkeep import StreamPolicy
from jedlik.dynamodb.tables import purge
from jedlik.regions.keyspaces import Keyspace
from jedlik.regions.object_places import ObjectPlaces
from jedlik.storage.engine import Writes
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
from jedlik.storage.object_store import ObjectStore, ObjectStoreError
from jedlik.upkeep import stats
from testing import full_store, jobs
from testing.dynamodb import handlers
from testing.dynamodb.definitions import attributes, definition, index, key_schema
from testing.dynamodb.handlers import Handlers
from testing.dynamodb.histories import History
from testing.jedlik_process import Server, eventually, run_jedlik
from testing.storage.objects import MemoryObjects

KINDS = {
    table_copies.KIND,
    restores.KIND,
    recovery_plans.KIND,
    archiving.REMOVAL,
    backup_removal.KIND,
    purge.KIND,
    exporting.KIND,
}


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments and pieces of a few rows, and base copies after a few segments."""
    monkeypatch.setattr(table_copies, "PIECE_BYTES", 600)
    monkeypatch.setattr(restores, "ROWS_AT_ONCE", 3)
    monkeypatch.setattr(archiving, "SEGMENT_BYTES", 500)
    monkeypatch.setattr(archiving, "READ_BYTES", 300)
    monkeypatch.setattr(archiving, "LEAST_BETWEEN_BASES", 2000)


async def with_table(own: Handlers, place: ObjectStore | None = None) -> MemoryObjects:
    objects = MemoryObjects()
    own.region.places = ObjectPlaces(place or objects, {})
    # Time passes; no clock jumps.
    own.region.clock = own.region.engine.clock = TrustedClock(lambda: own.now, lambda: own.now)
    settings = definition(
        TableName="source",
        KeySchema=key_schema("p"),
        AttributeDefinitions=attributes(p="S", x="N"),
        GlobalSecondaryIndexes=[index("by-x", "x")],
    )
    await own.call("CreateTable", **settings)
    return objects


async def switch(own: Handlers, enabled: bool, **more: int) -> dict[str, Any]:
    wanted = {"PointInTimeRecoveryEnabled": enabled, **more}
    answer = await own.call("UpdateContinuousBackups", TableName="source", PointInTimeRecoverySpecification=wanted)
    return shown(answer)


def shown(answer: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = answer["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    return found


async def current_jobs(own: Handlers) -> list[Job]:
    rows = await own.region.engine.range(*job_records.job_range(), 100, MIB)
    return [job for row in rows if (job := job_records.parse(row)).kind in KINDS]


async def step(own: Handlers, job: Job) -> None:
    with suppress(JobMoved, JobWaits):
        await jobs.step(own.region, job)


async def all_jobs(own: Handlers) -> None:
    for _ in range(3000):
        found = await current_jobs(own)
        if not found:
            return
        for job in found:
            await step(own, job)
    raise AssertionError("jobs are still in progress")


class Away(MemoryObjects):
    """A place that can be away, and that may have room for a number of bytes only."""

    away = False
    room: int | None = None

    async def put(self, name: str, content: bytes) -> None:
        if self.away:
            raise ObjectStoreError("the bucket is away")
        if self.room is not None and sum(map(len, self.kept.values())) + len(content) > self.room:
            raise ObjectStoreError("there is no room")
        await super().put(name, content)


async def restore(own: Handlers, target: str, at: float) -> None:
    await own.call("RestoreTableToPointInTime", SourceTableName="source", TargetTableName=target, RestoreDateTime=at)


@pytest.mark.parametrize("seed", range(4))
def test_each_second_can_be_restored(tmp_path: Path, seed: int) -> None:
    random = Random(seed)

    async def test(own: Handlers) -> None:
        objects = await with_table(own)
        history = History(own, "source", random)
        for _ in range(20):
            await history.write()
        own.now += 1
        await switch(own, True)
        enabled = own.now
        times = [0.0] * len(history.states)
        late: list[Job] = []
        for _ in range(250):
            own.now += random.choice((0.0, 0.1, 0.4, 5.0))
            await history.write()
            times.append(own.now)
            if random.random() < 0.1:
                await asyncio.gather(*(archived(own) for _ in range(random.randrange(1, 3))))
            if random.random() < 0.3 and (found := await current_jobs(own)):
                late += found
                await asyncio.gather(*(step(own, job) for job in (found[0], random.choice(late))))
            if random.random() < 0.05:
                await shard_upkeep.maintain(own.region, StreamPolicy())
        own.now += 2
        [recovery] = [recovery_records.parse(raw) for _, raw in await rows_of(own, spaces.RECOVERIES)]
        assert len(await recovery_records.bases(own.region, recovery)) > 1
        targets = []
        for number in range(12):
            at = random.uniform(enabled + 0.001, own.now - 1) if number else own.now - 1
            await restore(own, f"target-{number}", at)
            targets.append((f"target-{number}", at))
            await history.write()
        await all_jobs(own)
        for name, at in targets:
            last = max(number for number, when in enumerate(times) if when <= at)
            assert await history.held(name) == history.states[last], (name, at)
        assert not any("/plan-" in name for name in objects.kept)
        assert await rows_of(own, spaces.MARKS) == []

    handlers.run(tmp_path / "store", test)


def test_the_latest_time_has_everything_when_a_clock_has_been_ahead(tmp_path: Path) -> None:
    """Entries are dated ahead until the clock has caught up, and no second before that has what they wrote."""

    async def test(own: Handlers) -> None:
        objects = await with_table(own)
        await switch(own, True)
        history = History(own, "source", Random(1))
        await history.write()
        await all_jobs(own)
        own.now += 100
        await archived(own)
        segments = [name for name in objects.kept if "/segment-" in name]
        own.now += 7200
        for _ in range(5):  # Some delete what is not there.
            await history.write()
        ahead = own.now
        own.now -= 7190
        for _ in range(5):
            await history.write()
        await archived(own)
        later = [name for name in objects.kept if "/segment-" in name]
        assert len(later) > len(segments), "the archive does not wait for two hours"
        for _ in range(5):
            await history.write()
        latest = shown(await own.call("DescribeContinuousBackups", TableName="source"))["LatestRestorableDateTime"]
        assert latest == pytest.approx(ahead, abs=1e-5)
        await own.call(
            "RestoreTableToPointInTime",
            SourceTableName="source",
            TargetTableName="target",
            UseLatestRestorableTime=True,
        )
        await restore(own, "same", latest)
        await all_jobs(own)
        for name in ("target", "same"):
            assert await history.held(name) == history.states[-1]
        own.now += 10_000
        latest = shown(await own.call("DescribeContinuousBackups", TableName="source"))["LatestRestorableDateTime"]
        assert latest == pytest.approx(ahead, abs=1e-5) or latest == own.now - 1

    handlers.run(tmp_path / "store", test)


async def rows_of(own: Handlers, space: Keyspace) -> list[tuple[bytes, bytes]]:
    start, end = space.range
    return await own.region.engine.range(start, end, 1000, MIB)


def test_what_is_older_than_the_period_goes(tmp_path: Path) -> None:
    async def test(own: Handlers) -> None:
        objects = await with_table(own)
        await switch(own, True, RecoveryPeriodInDays=1)
        history = History(own, "source", Random(1))
        written = []
        for _ in range(8):
            for _ in range(30):
                await history.write()
            written.append(own.now)
            own.now += 6 * 60 * 60
            await archived(own)
            await all_jobs(own)
        await archived(own)
        await all_jobs(own)
        [recovery] = [recovery_records.parse(raw) for _, raw in await rows_of(own, spaces.RECOVERIES)]
        [first, *_] = await recovery_records.bases(own.region, recovery)
        assert own.now - 36 * 60 * 60 < first.created <= own.now - 24 * 60 * 60
        segments = await recovery_records.segments(own.region, recovery)
        kept = {name.rpartition("/")[2] for name in objects.kept if "/segment-" in name}
        assert kept == {segment.name for segment in segments}
        # The oldest time that can be restored is still exact.
        earliest = shown(await own.call("DescribeContinuousBackups", TableName="source"))["EarliestRestorableDateTime"]
        assert earliest == own.now - 24 * 60 * 60
        await restore(own, "target", earliest)
        await all_jobs(own)
        states = sum(at <= earliest for at in written) * 30
        assert await history.held("target") == history.states[states]

    handlers.run(tmp_path / "store", test)


async def archived(own: Handlers) -> None:
    while await archiving.archive(own.region):
        pass


def test_recovery_is_described_and_refused_as_on_aws(tmp_path: Path) -> None:
    async def refusal(own: Handlers, operation: str, **request: Any) -> tuple[str, str]:
        with pytest.raises(ServiceError) as caught:
            await own.call(operation, **request)
        return caught.value.name, caught.value.message

    async def test(own: Handlers) -> None:
        await with_table(own)
        off = {"PointInTimeRecoveryStatus": "DISABLED"}
        assert shown(await own.call("DescribeContinuousBackups", TableName="source")) == off
        to = {"SourceTableName": "source", "TargetTableName": "target"}
        assert await refusal(own, "RestoreTableToPointInTime", UseLatestRestorableTime=True, **to) == (
            "PointInTimeRecoveryUnavailableException",
            "Point in time recovery is not enabled for table 'source'",
        )
        enabled = own.now
        assert await switch(own, True) == {
            "PointInTimeRecoveryStatus": "ENABLED",
            "RecoveryPeriodInDays": 35,
            "EarliestRestorableDateTime": enabled,
            "LatestRestorableDateTime": enabled,
        }
        own.now += 100
        assert (await switch(own, True, RecoveryPeriodInDays=7))["RecoveryPeriodInDays"] == 7
        now = shown(await own.call("DescribeContinuousBackups", TableName="source"))
        assert now["EarliestRestorableDateTime"] == enabled
        assert now["LatestRestorableDateTime"] == own.now - 1
        for at in (enabled - 1, own.now):
            code, _ = await refusal(own, "RestoreTableToPointInTime", RestoreDateTime=at, **to)
            assert code == "InvalidRestoreTimeException"
        assert await refusal(own, "RestoreTableToPointInTime", **to) == (
            "ValidationException",
            "Either RestoreDateTime or UseLatestRestorableTime must be provided",
        )
        both = {"RestoreDateTime": own.now, "UseLatestRestorableTime": True}
        assert (await refusal(own, "RestoreTableToPointInTime", **both, **to))[0] == "ValidationException"
        nothing = {"TargetTableName": "target", "UseLatestRestorableTime": True}
        assert (await refusal(own, "RestoreTableToPointInTime", **nothing))[0] == "ValidationException"
        missing = {"SourceTableName": "missing", **nothing}
        assert await refusal(own, "RestoreTableToPointInTime", **missing) == (
            "TableNotFoundException",
            "Table not found: missing",
        )
        # A base copy is nobody's backup.
        await all_jobs(own)
        assert (await own.call("ListBackups", BackupType="ALL"))["BackupSummaries"] == []
        [base] = [raw for _, raw in await rows_of(own, spaces.BACKUPS)]
        arn = backup_records.parse(base).arn
        assert await refusal(own, "DescribeBackup", BackupArn=arn) == (
            "BackupNotFoundException",
            f"Backup not found: {arn}",
        )
        assert await switch(own, False) == off

    handlers.run(tmp_path / "store", test)


@pytest.mark.parametrize("use", ["restore", "export"])
def test_an_archive_in_use_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, use: str) -> None:
    """What a restore or an export has been promised stays until it is done."""

    async def test(own: Handlers) -> None:
        await with_table(own)
        bucket = MemoryObjects()
        assert own.region.places is not None
        monkeypatch.setattr(own.region.places, "bucket_with", lambda name, options: bucket)
        await switch(own, True)
        await own.call("PutItem", TableName="source", Item={"p": {"S": "a"}})
        own.now += 5
        if use == "restore":
            await restore(own, "target", own.now - 2)
        else:
            arn = "arn:aws:dynamodb:us-east-1:000000000000:table/source"
            begun = await own.call("ExportTableToPointInTime", TableArn=arn, S3Bucket="bucket")
        with pytest.raises(ServiceError) as caught:
            await switch(own, False)
        assert (type(caught.value).__name__, caught.value.message) == (
            "ContinuousBackupsUnavailableException",
            "Point in time recovery cannot be disabled while table 'source' is being restored or exported",
        )
        with pytest.raises(ServiceError) as caught:
            await own.call("DeleteTable", TableName="source")
        assert (type(caught.value).__name__, caught.value.message) == (
            "ResourceInUseException",
            "Attempt to change a resource which is still in use: Table is being restored to another or exported: "
            "source",
        )
        await all_jobs(own)
        if use == "restore":
            assert (await own.call("Scan", TableName="target"))["Count"] == 1
        else:
            done = await own.call("DescribeExport", ExportArn=begun["ExportDescription"]["ExportArn"])
            assert done["ExportDescription"]["ExportStatus"] == "COMPLETED"
        assert await switch(own, False) == {"PointInTimeRecoveryStatus": "DISABLED"}

    handlers.run(tmp_path / "store", test)


def test_switching_off_removes_the_archive_and_on_again_begins_a_history(tmp_path: Path) -> None:
    async def test(own: Handlers) -> None:
        objects = await with_table(own)
        history = History(own, "source", Random(1))
        await switch(own, True)
        for _ in range(40):
            await history.write()
        own.now += 100
        await archived(own)
        await switch(own, False)
        own.now += 1
        again = await switch(own, True)
        assert again["EarliestRestorableDateTime"] == own.now
        old = dict(objects.kept)
        await history.write()
        own.now += 2
        await all_jobs(own)
        assert not any("/segment-" in name for name in old.keys() & objects.kept.keys())
        await own.call(
            "RestoreTableToPointInTime",
            SourceTableName="source",
            TargetTableName="target",
            UseLatestRestorableTime=True,
        )
        await all_jobs(own)
        assert await history.held("target") == history.states[-1]
        await switch(own, False)
        await all_jobs(own)
        assert objects.kept == {}
        for space in (spaces.RECOVERIES, spaces.SEGMENTS, spaces.BACKUPS, spaces.PIECES, spaces.MARKS):
            assert await rows_of(own, space) == []

    handlers.run(tmp_path / "store", test)


def test_an_archive_that_is_away_stops_no_write_and_after_a_day_begins_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(own: Handlers) -> None:
        objects = Away()
        await with_table(own, objects)
        history = History(own, "source", Random(1))
        await switch(own, True)
        await all_jobs(own)
        objects.away = True
        await several(history)
        written = own.now
        own.now += recovery_operations.BEHIND_SECONDS + 1
        await archived(own)
        behind = shown(await own.call("DescribeContinuousBackups", TableName="source"))
        assert behind["LatestRestorableDateTime"] == written
        held_up = recovery_of(own)
        assert held_up.waiting >= 1
        assert held_up.record.held_up == (own.now, "the bucket is away")
        own.now += 5
        await archived(own)
        assert recovery_of(own).record.held_up == held_up.record.held_up
        # It is back: nothing is missing.
        objects.away = False
        await archived(own)
        caught_up = shown(await own.call("DescribeContinuousBackups", TableName="source"))
        assert caught_up["LatestRestorableDateTime"] == own.now - 1
        assert (recovery_of(own).waiting, recovery_of(own).record.held_up) == (0, None)
        objects.away = True
        await several(history)
        for _ in range(2):
            own.now += recovery_records.LOG_SECONDS
            await archived(own)
            await shard_upkeep.maintain(own.region, StreamPolicy())
        await archived(own)
        assert recovery_of(own).record.suspended
        await several(history)
        objects.away = False
        own.now += suspensions.TRY_SECONDS
        await archived(own)
        again = shown(await own.call("DescribeContinuousBackups", TableName="source"))
        assert again["EarliestRestorableDateTime"] > own.now - 10
        assert recovery_of(own).record.begun_again == recovery_of(own).record.since
        assert problems_of(own) == []
        own.now += 10
        await restore(own, "target", own.now - 1)
        await all_jobs(own)
        assert await history.held("target") == history.states[-1]

    full_store.run(tmp_path / "store", test)
    assert "the bucket is away" in caplog.text
    assert "recovery of the table begins again" in caplog.text


async def suspended(own: Handlers, objects: Away, history: History, limit: int = 100) -> float:
    """Let more wait than the log may keep; the time of the last change that is in the archive."""
    for _ in range(3):
        await several(history)
        own.now += 100
        await archived(own)
    await all_jobs(own)
    archived_at = own.now
    own.now += 1
    objects.away = True
    await several(history)
    own.now += 100
    await archiving.archive(own.region, limit)
    assert recovery_of(own).record.suspended
    return archived_at


def test_what_may_wait_for_the_archive_has_a_limit(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test(own: Handlers) -> None:
        objects = Away()
        await with_table(own, objects)
        history = History(own, "source", Random(2))
        enabled = (await switch(own, True))["EarliestRestorableDateTime"]
        archived_at = await suspended(own, objects, history)
        states = len(history.states)
        # Nothing keeps the log any more, and writes go on without one.
        table = await catalog.find(own.region, "source")
        assert table is not None
        assert table.descriptor.log is None
        for _ in range(20):
            await history.write()
        own.now += 100
        await archived(own)
        assert problems_of(own) == []
        found = shown(await own.call("DescribeContinuousBackups", TableName="source"))
        assert found["PointInTimeRecoveryStatus"] == "ENABLED"
        assert found["EarliestRestorableDateTime"] == enabled
        latest = found["LatestRestorableDateTime"]
        assert archived_at <= latest < archived_at + 1
        document = recovery_of(own).document()
        assert (document["suspended"], document["archive_ends"]) == (True, latest)
        # What is in the archive can be restored, and no more.
        with pytest.raises(ServiceError) as caught:
            await restore(own, "later", own.now - 1)
        assert caught.value.name == "InvalidRestoreTimeException"
        objects.away = False
        await own.call(
            "RestoreTableToPointInTime",
            SourceTableName="source",
            TargetTableName="target",
            UseLatestRestorableTime=True,
        )
        own.now += suspensions.TRY_SECONDS
        await archived(own)
        assert recovery_of(own).record.suspended  # It is being restored from.
        await all_jobs(own)
        assert await history.held("target") in history.states[: states - 1]
        # The archive is back: a new history begins.
        before = {name for name in objects.kept if "/segment-" in name}
        own.now += suspensions.TRY_SECONDS
        await archived(own)
        await all_jobs(own)
        assert not before & objects.kept.keys()
        again = shown(await own.call("DescribeContinuousBackups", TableName="source"))
        assert again["EarliestRestorableDateTime"] == own.now
        assert recovery_of(own).record.begun_again == own.now
        await history.write()
        own.now += 10
        await restore(own, "again", own.now - 1)
        await all_jobs(own)
        assert await history.held("again") == history.states[-1]
        assert problems_of(own) == []
        assert not any(name.endswith("probe") for name in objects.kept)

    full_store.run(tmp_path / "store", test)
    assert "recovery of a table is suspended" in caplog.text


def test_a_place_that_has_no_room_for_a_segment_is_not_back(tmp_path: Path) -> None:
    async def test(own: Handlers) -> None:
        objects = Away()
        await with_table(own, objects)
        await switch(own, True)
        history = History(own, "source", Random(3))
        await suspended(own, objects, history)
        objects.away, objects.room = False, suspensions.TRIED_BYTES - 1
        for _ in range(3):
            own.now += suspensions.TRY_SECONDS
            await archived(own)
            assert recovery_of(own).record.suspended
        objects.room = None
        own.now += suspensions.TRY_SECONDS
        await archived(own)
        assert not recovery_of(own).record.suspended
        await all_jobs(own)

    full_store.run(tmp_path / "store", test)


def test_within_the_limit_the_log_keeps_everything(tmp_path: Path) -> None:
    async def test(own: Handlers) -> None:
        objects = Away()
        await with_table(own, objects)
        await switch(own, True)
        await all_jobs(own)
        history = History(own, "source", Random(4))
        objects.away = True
        waiting = 0
        for _ in range(3):
            await several(history)
            own.now += 100
            await archiving.archive(own.region, 1_000_000)
            assert recovery_of(own).record.waiting > waiting
            waiting = recovery_of(own).record.waiting
        await archiving.archive(own.region, 1_000_000)
        assert recovery_of(own).document()["bytes_waiting"] == waiting
        at = own.now - 150
        objects.away = False
        await archived(own)
        assert recovery_of(own).document()["bytes_waiting"] == 0
        await restore(own, "target", at)
        await all_jobs(own)
        assert await history.held("target") in history.states

    full_store.run(tmp_path / "store", test)


@pytest.mark.parametrize("how", ["disabled", "deleted", "older than the period"])
def test_a_suspended_recovery_ends_like_any_other(tmp_path: Path, how: str) -> None:
    async def test(own: Handlers) -> None:
        place = tmp_path / "place"
        await with_table(own, ObjectStore(place.as_uri(), {}))
        await switch(own, True, RecoveryPeriodInDays=1)
        await all_jobs(own)
        history = History(own, "source", Random(5))
        place.rename(tmp_path / "away")
        place.write_text("not a folder")
        await several(history)
        own.now += 100
        await archiving.archive(own.region, 1)
        assert recovery_of(own).record.suspended
        if how == "older than the period":
            own.now += 2 * recovery_records.DAY
            found = shown(await own.call("DescribeContinuousBackups", TableName="source"))
            assert found == {"PointInTimeRecoveryStatus": "DISABLED"}
            return
        place.unlink()
        (tmp_path / "away").rename(place)
        if how == "disabled":
            assert await switch(own, False) == {"PointInTimeRecoveryStatus": "DISABLED"}
            await archived(own)
            await all_jobs(own)
            assert [path for path in place.rglob("*") if path.is_file()] == []
        else:
            await own.call("DeleteTable", TableName="source")
            await all_jobs(own)
            [backup] = (await own.call("ListBackups", BackupType="SYSTEM"))["BackupSummaries"]
            await own.call("RestoreTableFromBackup", TargetTableName="again", BackupArn=backup["BackupArn"])
            await all_jobs(own)
            assert await history.held("again") == history.states[-1]
        assert await rows_of(own, spaces.RECOVERIES) == []

    full_store.run(tmp_path / "store", test)


def recovery_of(own: Handlers) -> stats.RecoveryStats:
    """The recovery of the table as `jedlik stats` shows it."""
    engine = own.region.engine
    assert isinstance(engine, LmdbEngine)
    with engine.view() as view:
        [found] = [table.recovery for table in stats.of_tables(view) if table.name == "source"]
    assert found is not None
    return found


def problems_of(own: Handlers) -> list[str]:
    """What `jedlik check` finds."""
    return full_store.problems(own)[1]


def without(segment: Segment, recovery: Recovery) -> Writes:
    writes = Writes()
    writes.delete(recovery_records.segment_key(recovery, segment.first))
    return writes


def changed(**members: Any) -> Callable[[list[Segment], Recovery], Writes]:
    def change(segments: list[Segment], recovery: Recovery) -> Writes:
        writes = Writes()
        recovery.put(writes, **members)
        return writes

    return change


def read_to(position: int) -> Callable[[list[Segment], Recovery], Writes]:
    def change(segments: list[Segment], recovery: Recovery) -> Writes:
        writes = Writes()
        key = keys.reader_key(keys.table_id(recovery.table_id), recovery_records.READER)
        writes.put(key, Position(position, 0.0).pack())
        return writes

    return change


BREAKS: list[tuple[Callable[[list[Segment], Recovery], Writes], str]] = [
    (lambda segments, recovery: without(segments[2], recovery), "segments are missing between"),
    (lambda segments, recovery: without(segments[-1], recovery), "segments are missing behind"),
    (changed(position=3), "ends behind the archive"),
    (read_to(1_000_000), "the log is kept from 1000000 on only"),
]


@pytest.mark.parametrize(("break_it", "problem"), BREAKS)
def test_a_check_finds_where_archive_and_log_do_not_join(
    tmp_path: Path, break_it: Callable[[list[Segment], Recovery], Writes], problem: str
) -> None:
    async def test(own: Handlers) -> None:
        await with_table(own, MemoryObjects())
        history = History(own, "source", Random(1))
        await switch(own, True)
        for _ in range(3):
            await several(history)
            own.now += 100
            await archived(own)
        await all_jobs(own)
        assert problems_of(own) == []
        table = await catalog.find(own.region, "source")
        assert table is not None
        recovery = await recovery_records.of_table(own.region, table.descriptor)
        assert recovery is not None
        segments = await recovery_records.segments(own.region, recovery)
        assert len(segments) > 4
        assert [segment.number for segment in segments] == list(range(len(segments)))
        assert recovery.segments == len(segments)
        writes = break_it(segments, recovery)
        await own.region.engine.mutate([], lambda _: (writes, None))
        found = [one for one in problems_of(own) if problem in one]
        assert [one.partition(": ")[0] for one in found] == ["recovery of table source"]

    full_store.run(tmp_path / "store", test)


async def several(history: History) -> None:
    """Some writes, of which at least one changes something."""
    for _ in range(10):
        await history.write()


def test_a_server_that_is_killed_restores_what_was_acknowledged(
    start_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start_server()
    client = server.client()
    client.create_table(
        TableName="source",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=key_schema("p"),
        AttributeDefinitions=attributes(p="S"),
    )
    client.update_continuous_backups(
        TableName="source", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    for number in range(50):
        client.put_item(TableName="source", Item={"p": {"S": f"{number}"}})
    time.sleep(1.1)  # boto3 sends whole seconds.
    at = datetime.now(UTC)
    time.sleep(1.1)
    for number in range(25, 75):
        client.put_item(TableName="source", Item={"p": {"S": f"{number}"}, "later": {"BOOL": True}})
    written = datetime.now(UTC)
    server.kill()
    server.restart()
    client = server.client()

    def restored(name: str, **to: Any) -> list[dict[str, Any]]:
        client.restore_table_to_point_in_time(SourceTableName="source", TargetTableName=name, **to)
        eventually(lambda: client.describe_table(TableName=name)["Table"]["TableStatus"] == "ACTIVE")
        found: list[dict[str, Any]] = client.scan(TableName=name)["Items"]
        return found

    eventually(lambda: is_restorable(client, at))
    found = restored("before", RestoreDateTime=at)
    assert sorted(int(item["p"]["S"]) for item in found) == list(range(50))
    assert not any("later" in item for item in found)
    eventually(lambda: is_restorable(client, written))
    found = restored("after", UseLatestRestorableTime=True)
    assert sum("later" in item for item in found) == 50
    assert len(found) == 75
    table = client.describe_table(TableName="after")["Table"]
    assert table["RestoreSummary"]["SourceTableArn"].endswith(":table/source")
    assert "SourceBackupArn" not in table["RestoreSummary"]


def is_restorable(client: Any, at: datetime) -> bool:
    try:
        recovery = client.describe_continuous_backups(TableName="source")["ContinuousBackupsDescription"]
    except ClientError:
        return False
    latest: datetime = recovery["PointInTimeRecoveryDescription"]["LatestRestorableDateTime"]
    return latest > at


def test_of_a_deleted_table_with_recovery_a_backup_stays_for_35_days(tmp_path: Path) -> None:
    async def test(own: Handlers) -> None:
        objects = await with_table(own)
        history = History(own, "source", Random(1))
        stream = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
        await own.call("UpdateTable", TableName="source", StreamSpecification=stream)
        await switch(own, True)
        for _ in range(40):
            await history.write()
        await own.call("DeleteTable", TableName="source")
        assert (await own.call("DescribeTable", TableName="source"))["Table"]["TableStatus"] == "DELETING"
        for operation in ("DeleteTable", "Scan", "DescribeContinuousBackups"):
            with pytest.raises(ServiceError):
                await own.call(operation, TableName="source")
        await all_jobs(own)
        assert (await own.call("ListTables"))["TableNames"] == []
        assert (await own.call("ListBackups"))["BackupSummaries"] == []
        [backup] = (await own.call("ListBackups", BackupType="SYSTEM"))["BackupSummaries"]
        assert backup["BackupName"] == "source$DeletedTableBackup"
        assert backup["BackupArn"].endswith("-00000000")
        assert backup["BackupExpiryDateTime"] == own.now + 35 * 24 * 60 * 60
        await own.call("RestoreTableFromBackup", TargetTableName="source", BackupArn=backup["BackupArn"])
        await all_jobs(own)
        assert await history.held("source") == history.states[-1]
        # Nothing else stays, and this only for its time.
        assert {name.split("/")[3] for name in objects.kept} == {backup["BackupArn"].rpartition("/")[2]}
        own.now += 35 * 24 * 60 * 60 - 1
        assert not await last_backups.remove_expired(own.region)
        own.now += 2
        assert await last_backups.remove_expired(own.region)
        await all_jobs(own)
        assert objects.kept == {}
        assert (await own.call("ListBackups", BackupType="ALL"))["BackupSummaries"] == []

    handlers.run(tmp_path / "store", test)


def test_a_deleted_replica_leaves_its_last_backup(start_server: Callable[..., Server]) -> None:
    server = start_server(regions="eu-west-1,us-east-1")
    here, there = server.client(region="us-east-1"), server.client(region="eu-west-1")
    here.create_table(
        TableName="shared", KeySchema=key_schema("p"), AttributeDefinitions=attributes(p="S"),
        BillingMode="PAY_PER_REQUEST",
    )  # fmt: skip
    here.update_table(TableName="shared", ReplicaUpdates=[{"Create": {"RegionName": "eu-west-1"}}])

    def status(client: Any, name: str) -> str | None:
        try:
            found: str = client.describe_table(TableName=name)["Table"]["TableStatus"]
        except client.exceptions.ResourceNotFoundException:
            return None
        return found

    eventually(lambda: status(there, "shared") == "ACTIVE")
    on = {"PointInTimeRecoveryEnabled": True}
    there.update_continuous_backups(TableName="shared", PointInTimeRecoverySpecification=on)
    items = [{"p": {"S": f"{number:02}"}} for number in range(30)]
    for item in items:
        here.put_item(TableName="shared", Item=item)
    eventually(lambda: there.scan(TableName="shared")["Count"] == len(items))
    here.update_table(TableName="shared", ReplicaUpdates=[{"Delete": {"RegionName": "eu-west-1"}}])
    eventually(lambda: status(there, "shared") is None)
    [backup] = there.list_backups(TableName="shared", BackupType="SYSTEM")["BackupSummaries"]
    assert (backup["BackupName"], backup["BackupStatus"]) == ("shared$DeletedTableBackup", "AVAILABLE")
    assert here.list_backups(BackupType="ALL")["BackupSummaries"] == []
    there.restore_table_from_backup(TargetTableName="restored", BackupArn=backup["BackupArn"])
    eventually(lambda: status(there, "restored") == "ACTIVE")
    assert sorted(there.scan(TableName="restored")["Items"], key=lambda item: str(item["p"])) == items
    assert "Replicas" not in there.describe_table(TableName="restored")["Table"]
    # The name is free again.
    eventually(lambda: "Replicas" not in here.describe_table(TableName="shared")["Table"])
    here.update_table(TableName="shared", ReplicaUpdates=[{"Create": {"RegionName": "eu-west-1"}}])
    eventually(lambda: status(there, "shared") == "ACTIVE")
    assert there.scan(TableName="shared")["Count"] == 30
    server.stop()
    checked = run_jedlik("check", "--data-dir", str(server.options["data_dir"]))
    assert checked.returncode == 0, checked.stdout
