"""Sources that are held for restores in other regions, when one of the regions leaves the settings."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from jedlik.aws.errors import ServiceError
from jedlik.background import job_records
from jedlik.background.job_records import Job, JobMoved, JobWaits
from jedlik.dynamodb.backups import holds, recovery_plans, restores
from jedlik.dynamodb.errors import BackupInUseException, PointInTimeRecoveryUnavailableException
from jedlik.dynamodb.model import spaces
from jedlik.dynamodb.model.limits import MIB
from jedlik.regions.object_places import ObjectPlaces
from jedlik.regions.region import NotServed, Region
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
from jedlik.storage.object_store import ObjectStoreError
from jedlik.upkeep import stats
from testing import jobs
from testing.dynamodb.definitions import attributes, key_schema
from testing.dynamodb.handlers import Handlers
from testing.storage.objects import MemoryObjects

T = TypeVar("T")
TABLE = {"KeySchema": key_schema("p"), "AttributeDefinitions": attributes(p="S"), "BillingMode": "PAY_PER_REQUEST"}
DEFAULT_KEY = {"SSESpecificationOverride": {"Enabled": False}}


class Served:
    """The regions of the settings, by name."""

    def __init__(self) -> None:
        self.regions: dict[str, Region] = {}

    async def use(self, name: str, work: Callable[[Region], Awaitable[T]]) -> T:
        if name not in self.regions:
            raise NotServed(name)
        return await work(self.regions[name])

    def requests(self) -> int:
        return 0


class Both:
    """Two regions of a deployment, with a place of backups."""

    def __init__(self, here: Handlers, there: Handlers) -> None:
        self.here, self.there = here, there
        self.objects = MemoryObjects()
        self.served = Served()
        for own, name in ((here, "eu-west-1"), (there, "us-east-1")):
            own.region.name = name
            own.region.places = ObjectPlaces(self.objects, {})
            own.region.elsewhere = self.served
            self.served.regions[name] = own.region

    def later(self, seconds: float) -> None:
        self.here.now += seconds
        self.there.now += seconds

    async def jobs_of(self, own: Handlers) -> list[Job]:
        return [job_records.parse(row) for row in await own.region.engine.range(*job_records.job_range(), 100, MIB)]

    async def step(self, own: Handlers) -> None:
        for job in await self.jobs_of(own):
            try:
                await jobs.step(own.region, job)
            except JobMoved:
                pass
            except JobWaits:
                self.later(1)

    async def all_jobs(self, own: Handlers) -> None:
        while await self.jobs_of(own):
            await self.step(own)

    async def held(self) -> list[stats.HeldSource]:
        engine = self.there.region.engine
        assert isinstance(engine, LmdbEngine)
        with engine.view() as view:
            return list(stats.held_in(view))

    async def statuses(self) -> dict[str, str]:
        names = (await self.here.call("ListTables"))["TableNames"]
        return {name: (await self.here.call("DescribeTable", TableName=name))["Table"]["TableStatus"] for name in names}


def run(folder: Path, test: Callable[[Both], Awaitable[None]]) -> None:
    async def over_stores() -> None:
        engines = [LmdbEngine.open(folder / name, durable=False) for name in ("here", "there")]
        try:
            await test(Both(*map(Handlers, engines)))
        finally:
            for engine in engines:
                await engine.close()

    asyncio.run(over_stores())


async def begun(both: Both, kind: str) -> dict[str, Any]:
    """Begin a restore, up to the step in which it holds its source; the source, for requests."""
    there = both.there
    await there.call("CreateTable", TableName="source", **TABLE)
    await there.call("PutItem", TableName="source", Item={"p": {"S": "a"}})
    arn = (await there.call("DescribeTable", TableName="source"))["Table"]["TableArn"]
    if kind == restores.KIND:
        made = await there.call("CreateBackup", TableName="source", BackupName="one")
        await both.all_jobs(there)
        source = {"BackupArn": made["BackupDetails"]["BackupArn"]}
        await both.here.call("RestoreTableFromBackup", TargetTableName="target", **source, **DEFAULT_KEY)
    else:
        on = {"PointInTimeRecoveryEnabled": True}
        await there.call("UpdateContinuousBackups", TableName="source", PointInTimeRecoverySpecification=on)
        await both.all_jobs(there)
        both.later(100)
        source = {"TableName": "source"}
        latest = {"SourceTableArn": arn, "UseLatestRestorableTime": True}
        await both.here.call("RestoreTableToPointInTime", TargetTableName="target", **latest, **DEFAULT_KEY)
    await both.step(both.here)
    [held] = await both.held()
    assert (held.table, held.hold.region, held.hold.missed) == ("source", "eu-west-1", None)
    return source


async def is_deleted(both: Both, source: dict[str, Any]) -> bool:
    try:
        await both.there.call("DeleteBackup" if "BackupArn" in source else "DeleteTable", **source)
    except ServiceError:
        return False
    return True


@pytest.mark.parametrize("kind", [restores.KIND, recovery_plans.KIND])
def test_a_region_that_leaves_the_settings_holds_its_sources_for_a_day(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(both: Both) -> None:
        source = await begun(both, kind)
        there = both.there.region
        await holds.look(there)
        here = both.served.regions.pop("eu-west-1")
        caplog.clear()
        for _ in range(3):
            await holds.look(there)
        [shown] = [held.document() for held in await both.held()]
        assert shown["region_missed_since"] == both.there.now
        assert caplog.text.count("its region is not in the settings") == 1
        assert not await is_deleted(both, source)
        # If it comes back, nothing has happened.
        both.later(holds.MISSED_SECONDS - 1)
        await holds.look(there)
        both.served.regions["eu-west-1"] = here
        await holds.look(there)
        [held] = await both.held()
        assert held.hold.missed is None
        # If it does not, the source is released.
        del both.served.regions["eu-west-1"]
        await holds.look(there)
        both.later(holds.MISSED_SECONDS + 1)
        await holds.look(there)
        assert await both.held() == []
        assert "the source is released" in caplog.text
        assert await is_deleted(both, source)
        await both.all_jobs(both.there)
        # Should it come back after all, its restore fails, and leaves no table.
        both.served.regions["eu-west-1"] = here
        await both.all_jobs(both.here)
        assert await both.statuses() == {}
        assert await both.held() == []

    caplog.set_level(logging.WARNING)
    run(tmp_path, test)


@pytest.mark.parametrize("kind", [restores.KIND, recovery_plans.KIND])
def test_a_restore_goes_on_after_its_source_was_released_if_all_is_there(tmp_path: Path, kind: str) -> None:
    async def test(both: Both) -> None:
        await begun(both, kind)
        for _ in range(10):
            if any(job.kind == restores.KIND for job in await both.jobs_of(both.here)):
                break
            await both.step(both.here)
        here = both.served.regions.pop("eu-west-1")
        await holds.look(both.there.region)
        both.later(holds.MISSED_SECONDS + 1)
        await holds.look(both.there.region)
        assert await both.held() == []
        both.served.regions["eu-west-1"] = here
        await both.all_jobs(both.here)
        assert await both.statuses() == {"target": "ACTIVE"}
        assert (await both.here.call("Scan", TableName="target"))["Items"] == [{"p": {"S": "a"}}]

    run(tmp_path, test)


def test_a_source_whose_region_was_not_served_when_the_restore_ended_is_released(tmp_path: Path) -> None:
    async def test(both: Both) -> None:
        source = await begun(both, restores.KIND)
        there = both.served.regions.pop("us-east-1")
        await both.all_jobs(both.here)
        assert await both.statuses() == {"target": "ACTIVE"}
        both.served.regions["us-east-1"] = there
        with pytest.raises(BackupInUseException):
            await both.there.call("DeleteBackup", **source)
        await holds.look(there)
        assert await both.held() == []
        await both.there.call("DeleteBackup", **source)
        assert await there.engine.range(*spaces.HOLDS.range, 1, 1) == []

    run(tmp_path, test)


@pytest.mark.parametrize("here", [True, False])
def test_an_archive_that_cannot_be_read_is_found_by_the_request(
    tmp_path: Path, here: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(both: Both) -> None:
        there = both.there
        await there.call("CreateTable", TableName="source", **TABLE)
        await there.call("PutItem", TableName="source", Item={"p": {"S": "a"}})
        arn = (await there.call("DescribeTable", TableName="source"))["Table"]["TableArn"]
        on = {"PointInTimeRecoveryEnabled": True}
        await there.call("UpdateContinuousBackups", TableName="source", PointInTimeRecoverySpecification=on)
        await both.all_jobs(there)
        both.later(100)
        request = {"SourceTableArn": arn, "TargetTableName": "target", "UseLatestRestorableTime": True} | DEFAULT_KEY
        own = both.here if here else there
        whole = dict(both.objects.kept)

        async def refused(reason: str) -> None:
            with pytest.raises(PointInTimeRecoveryUnavailableException, match=reason):
                await own.call("RestoreTableToPointInTime", **request)
            assert (await own.call("ListTables"))["TableNames"] == ([] if here else ["source"])

        for part in ("/items-", "/manifest"):
            [name] = [name for name in whole if part in name]
            both.objects.kept[name] = whole[name][:-1] + b"!"
            await refused("checksum is wrong")
            del both.objects.kept[name]
            await refused("cannot be read")
            both.objects.kept[name] = whole[name]

        async def away(name: str) -> bytes:
            raise ObjectStoreError("it is away")

        with monkeypatch.context() as patched:
            patched.setattr(both.objects, "get", away)
            await refused("it is away")
        await own.call("RestoreTableToPointInTime", **request)
        # A place that is away later is waited for, but not for ever.
        with monkeypatch.context() as patched:
            patched.setattr(both.objects, "get", away)
            for _ in range(3):
                await both.step(own)
                await both.step(there)
            assert "target" in (await own.call("ListTables"))["TableNames"]
            both.later(restores.PATIENCE_SECONDS + 1)
            for _ in range(20):
                await both.step(own)
                await both.step(there)
        assert "target" not in (await own.call("ListTables"))["TableNames"]
        assert await both.held() == []

    run(tmp_path, test)
