"""The watch over a region's clock: workers share what they find, and writes are dated by the trusted clock."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from jedlik import timekeeping
from jedlik.regions import clock_watch, keyspaces
from jedlik.regions.region import Region
from jedlik.storage.engine import StorageError, Writes
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine

START = 1_800_000_000.0
HOUR, DAY = 3600.0, 86_400.0


class Machine:
    """Its clocks, and workers on one store."""

    def __init__(self, engine: LmdbEngine) -> None:
        self.engine = engine
        self.wall, self.steady = START, 1000.0

    async def worker(self) -> Region:
        """A worker that has just started."""
        region = Region(
            "us-east-1", "000000000000", self.engine, lambda: self.wall, b"s" * 32, steady=lambda: self.steady
        )
        await clock_watch.begin(region)
        return region

    def go(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds

    async def record(self) -> bytes | None:
        [raw] = await self.engine.get([keyspaces.clock_key()])
        return raw


def run(folder: Path, test: Callable[[Machine], Awaitable[None]]) -> None:
    async def over_store() -> None:
        engine = LmdbEngine.open(folder, durable=False)
        try:
            await test(Machine(engine))
        finally:
            await engine.close()

    asyncio.run(over_store())


def test_the_time_does_not_follow_a_jump_from_its_first_moment(tmp_path: Path) -> None:
    async def test(machine: Machine) -> None:
        region = await machine.worker()
        for jump in (DAY, -DAY, 61.0, -61.0):
            machine.wall += jump
            assert region.clock.doubtful
            assert region.clock() == pytest.approx(START)
            machine.wall -= jump
            assert not region.clock.doubtful

    run(tmp_path, test)


def test_workers_share_what_one_has_found(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def test(machine: Machine) -> None:
        first, second = await machine.worker(), await machine.worker()
        await clock_watch.look(first)
        machine.wall += 2 * HOUR
        for _ in range(31):
            await clock_watch.look(first)
            machine.go(10)
        assert second.clock() == pytest.approx(machine.wall - 2 * HOUR)
        await clock_watch.look(second)
        for region in (first, second, await machine.worker()):
            assert not region.clock.doubtful
            assert region.clock() == machine.wall

    run(tmp_path, test)
    assert [record.message for record in caplog.records] == [
        "the clock is doubted: nothing is expired or trimmed",
        "the clock is trusted again: expiry and trimming go on",
    ]


def test_a_worker_that_has_slept_does_not_prolong_a_pause(tmp_path: Path) -> None:
    async def test(machine: Machine) -> None:
        await clock_watch.look(await machine.worker())
        machine.go(2 * DAY)
        first, second = await machine.worker(), await machine.worker()
        await clock_watch.look(first)
        machine.go(590)
        await clock_watch.look(second)
        assert second.clock.doubtful
        machine.go(10)
        await clock_watch.look(second)
        assert not second.clock.doubtful

    run(tmp_path, test)


def test_the_record_is_renewed_every_ten_seconds(tmp_path: Path) -> None:
    async def test(machine: Machine) -> None:
        region = await machine.worker()
        records = set()
        for _ in range(100):
            await clock_watch.look(region)
            records.add(await machine.record())
            machine.go(1)
        assert len(records) == 10

    run(tmp_path, test)


def test_opening_a_store_writes_nothing(tmp_path: Path) -> None:
    async def test(machine: Machine) -> None:
        await machine.worker()
        assert await machine.record() is None

    run(tmp_path, test)


def test_a_record_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    async def test(machine: Machine) -> None:
        def decide(values: object) -> tuple[Writes, None]:
            writes = Writes()
            writes.put(keyspaces.clock_key(), b"{}")
            return writes, None

        await machine.engine.mutate([], decide)
        with pytest.raises(StorageError, match="what the store knows of its clock cannot be read"):
            await machine.worker()

    run(tmp_path, test)


def test_the_record_names_the_latest_time(tmp_path: Path) -> None:
    async def test(machine: Machine) -> None:
        region = await machine.worker()
        machine.go(HOUR)
        await clock_watch.look(region)
        raw = await machine.record()
        assert raw is not None
        assert timekeeping.parse(raw).latest == START + HOUR

    run(tmp_path, test)
