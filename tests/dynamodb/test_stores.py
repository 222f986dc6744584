"""The stores of a process, and the tables that it knows."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from jedlik.aws.errors import InternalServerError, ValidationException
from jedlik.background import job_records, runner
from jedlik.config import Settings
from jedlik.dynamodb import catalog
from jedlik.dynamodb.catalog import DESCRIPTOR_ATTEMPTS
from jedlik.dynamodb.errors import DescriptorChanged, ResourceNotFoundException
from jedlik.dynamodb.model import keys
from jedlik.dynamodb.model.tables import Table
from jedlik.regions import keyspaces, stores
from jedlik.regions.region import Region, TooManyOpen
from jedlik.regions.stores import Stores
from jedlik.storage.engine import Writes
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
from testing import jobs
from testing.dynamodb import schemas

BUSY = partial(runner.has_work, work=jobs.WORK)


def settings(path: Path) -> Settings:
    return Settings(data_dir=path, in_memory=True)


async def define(region: Region, name: str, partition_key: str) -> None:
    """Create a table as another process would: this one does not know of it."""
    arn = f"arn:aws:dynamodb:us-east-1:000000000000:table/{name}"
    writes = Writes()
    catalog.put(replace(schemas.table(partition=(partition_key, "S")).descriptor, name=name, arn=arn), writes)
    await region.engine.mutate([], lambda _: (writes, None))


def test_each_region_has_its_own_store_which_keeps_its_secret(tmp_path: Path) -> None:
    async def secrets() -> list[bytes]:
        opened = Stores(settings(tmp_path))
        try:
            return [(await opened.region(name)).secret for name in ("us-east-1", "eu-west-1")]
        finally:
            await opened.close()

    first = asyncio.run(secrets())
    assert len(set(first)) == 2
    assert asyncio.run(secrets()) == first
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/*/*/*")) == [
        f"accounts/000000000000/regions/{name}" for name in ("eu-west-1", "us-east-1")
    ]


def test_a_store_is_opened_once(tmp_path: Path) -> None:
    seen: list[str] = []

    async def run() -> None:
        opened = Stores(settings(tmp_path), opened=lambda region: seen.append(region.name))
        try:
            regions = await asyncio.gather(*[opened.region("us-east-1") for _ in range(5)])
            assert all(region is regions[0] for region in regions)
        finally:
            await opened.close()

    asyncio.run(run())
    assert seen == ["us-east-1"]


def test_existing_stores_are_opened_at_the_start(tmp_path: Path) -> None:
    seen: list[str] = []

    async def run() -> None:
        first = Stores(settings(tmp_path))
        await first.open_existing()
        for name in ("us-east-1", "us-gov-west-1"):
            await first.region(name)
        await first.close()
        (tmp_path / "lost+found").mkdir()
        (tmp_path / "credentials.json").touch()
        again = Stores(settings(tmp_path), opened=lambda region: seen.append(region.name))
        await again.open_existing()
        await again.close()

    asyncio.run(run())
    assert seen == ["us-east-1", "us-gov-west-1"]


def test_there_is_a_limit_to_open_stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "OPEN_STORES", 1)

    async def run() -> None:
        opened = Stores(settings(tmp_path))
        try:
            await opened.region("us-east-1")
            with pytest.raises(TooManyOpen):
                await opened.region("us-east-2")
            await opened.region("us-east-1")
        finally:
            await opened.close()

    asyncio.run(run())


def test_a_quiet_store_makes_room_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "OPEN_STORES", 2)
    monkeypatch.setattr(stores, "QUIET_SECONDS", 0.0)
    ended: list[str] = []

    async def end(region: Region) -> None:
        ended.append(region.store)

    async def run() -> None:
        opened = Stores(Settings(data_dir=tmp_path), closing=end, busy=BUSY)

        async def refused() -> bool:
            """Whether no other store is opened."""
            try:
                await opened.use("us-west-1", partial(put_row, key=b"\x30row"))
            except TooManyOpen:
                return True
            return False

        first = await opened.region("us-east-1")
        second = await opened.region("111111111111/us-east-1")
        for region in (first, second):
            await put_row(region, b"\x30row")
        committer = engine_of(first).committer
        assert committer is not None
        assert await refused(), "nobody knows yet how long they have been quiet"

        async def during(region: Region) -> bool:
            return await refused()

        async def both(region: Region) -> bool:
            return await opened.use(second.store, during)

        assert await opened.use(first.store, both), "both are being answered"
        assert await opened.use(second.store, during) is False
        assert ended == [first.store]
        assert opened.opened(first.store) is None
        assert opened.opened(second.store) is second
        assert await eventually(lambda: not is_process(committer))
        again = await opened.region(first.store)
        assert await again.engine.get([b"\x30row"]) == [b"value"], "nothing of it is lost"
        await opened.close()

    asyncio.run(run())


def test_a_store_with_work_makes_room_too_and_has_its_turn_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "OPEN_STORES", 1)
    monkeypatch.setattr(stores, "QUIET_SECONDS", 0.0)
    monkeypatch.setattr(stores, "TURN_SECONDS", 0.0)

    async def run() -> None:
        opened = Stores(settings(tmp_path), busy=BUSY)
        await put_row(await opened.region("us-east-1"), job_records.job_key("job"))
        with pytest.raises(TooManyOpen):
            await opened.region("us-west-1")
        await opened.region("us-west-1")
        assert opened.opened("us-east-1") is None
        while opened.opened("us-east-1") is None:
            await opened.look_into_next()
        assert opened.opened("us-west-1") is None
        await opened.close()

    asyncio.run(run())


def engine_of(region: Region) -> LmdbEngine:
    assert isinstance(region.engine, LmdbEngine)
    return region.engine


def is_process(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


async def eventually(holds: Callable[[], bool]) -> bool:
    for _ in range(6000):
        if holds():
            return True
        await asyncio.sleep(0.01)
    return False


async def put_row(region: Region, key: bytes, value: bytes | None = b"value") -> None:
    writes = Writes()
    writes.puts[key] = value
    await region.engine.mutate([], lambda _: (writes, None))


def test_a_region_without_a_store_is_empty_and_gets_one_with_the_first_write(tmp_path: Path) -> None:
    data = tmp_path / "data"
    seen: list[str] = []

    async def listing(region: Region) -> int:
        return len(await region.engine.range(*keys.descriptor_range(None), 10, 1000))

    async def defining(region: Region) -> None:
        await define(region, "table", "p")

    async def refused(region: Region) -> None:
        def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
            raise ResourceNotFoundException("")

        await region.engine.mutate([b"key"], decide)

    async def run() -> None:
        opened = Stores(settings(data), opened=lambda region: seen.append(region.name))
        assert await opened.use("us-east-1", listing) == 0
        with pytest.raises(ResourceNotFoundException):
            await opened.use("us-east-1", refused)
        assert (await (await opened.find("us-east-1")).engine.get([b"key"])) == [None]
        assert not data.exists()
        assert not seen
        await opened.use("us-east-1", defining)
        assert seen == ["us-east-1"]
        assert await opened.use("us-east-1", listing) == 1
        assert await opened.find("us-east-1") is opened.opened("us-east-1")
        await opened.close()

    asyncio.run(run())


def test_a_region_whose_store_another_process_has_created_is_not_empty(tmp_path: Path) -> None:
    async def run() -> None:
        ours, theirs = Stores(settings(tmp_path)), Stores(settings(tmp_path))
        found = await ours.find("us-east-1")
        assert ours.opened("us-east-1") is None
        made = await theirs.region("us-east-1")
        await theirs.close()  # A process has a store open once.
        assert found.secret != made.secret
        assert (await ours.find("us-east-1")).secret == made.secret
        await ours.close()

    asyncio.run(run())


def test_a_store_that_is_only_read_has_no_committer(tmp_path: Path) -> None:
    async def run() -> None:
        first = Stores(Settings(data_dir=tmp_path))
        await first.region("us-east-1")
        await first.close()
        stop = asyncio.Event()
        running: list[asyncio.Task[None]] = []

        def begin(region: Region) -> None:
            running.append(asyncio.ensure_future(runner.run(region, stop, jobs.WORK)))

        again = Stores(Settings(data_dir=tmp_path), opened=begin)
        region = await again.find("us-east-1")
        await asyncio.sleep(0.1)  # A round of background work, which ends at once.
        assert isinstance(region.engine, LmdbEngine)
        assert region.engine.committer is None
        await put_row(region, b"\x30row")
        assert region.engine.committer is not None
        stop.set()
        await asyncio.gather(*running)
        await again.close()

    asyncio.run(run())


def test_an_idle_store_is_closed_and_opened_again_by_a_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "IDLE_SECONDS", 0.0)
    ended: list[str] = []

    async def end(region: Region) -> None:
        ended.append(region.name)

    async def run() -> None:
        opened = Stores(settings(tmp_path), closing=end, busy=partial(runner.has_work, work=jobs.WORK))

        async def idle() -> bool:
            for _ in range(2):  # The first check sees that there was a request.
                await opened.close_idle()
            return opened.opened("us-east-1") is None

        async def during(region: Region) -> bool:
            return await idle()

        secret = (await opened.region("us-east-1")).secret
        assert not await opened.use("us-east-1", during)
        assert await idle()
        assert ended == ["us-east-1"]
        region = await opened.find("us-east-1")
        assert region.secret == secret
        # Each of these needs the store again without a request.
        for key in (
            job_records.job_key("job"),
            keys.stream_key("table", "label"),
            keys.token_key(0, "token"),
            keys.expiring_tables_range(None)[0] + b"12345678",
        ):
            await put_row(region, key)
            assert not await idle(), key
            await put_row(region, key, None)
        assert await idle()
        await opened.close()

    asyncio.run(run())


def test_a_request_for_a_store_that_is_closing_gets_it_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "IDLE_SECONDS", 0.0)

    async def run() -> None:
        going_on = asyncio.Event()

        async def end(region: Region) -> None:
            await going_on.wait()

        opened = Stores(settings(tmp_path), closing=end, busy=partial(runner.has_work, work=jobs.WORK))
        first = await opened.region("us-east-1")
        await opened.close_idle()
        closing = asyncio.ensure_future(opened.close_idle())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        asking = asyncio.ensure_future(opened.find("us-east-1"))
        await asyncio.sleep(0.01)
        assert not asking.done()
        going_on.set()
        await closing
        assert await asking is not first
        assert (await (await asking).engine.get([keyspaces.secret_key()])) == [first.secret]
        await opened.close()

    asyncio.run(run())


# The tables that a region knows


def in_region(path: Path, test: Any) -> None:
    async def run() -> None:
        opened = Stores(settings(path))
        try:
            await test(await opened.region("us-east-1"))
        finally:
            await opened.close()

    asyncio.run(run())


def test_a_table_is_parsed_again_only_when_it_has_changed(tmp_path: Path) -> None:
    async def test(region: Region) -> None:
        await define(region, "table", "p")
        first = await catalog.current(region, "table")
        assert await catalog.current(region, "arn:aws:dynamodb:us-east-1:000000000000:table/table") is first
        await define(region, "table", "q")
        assert (await catalog.current(region, "table")).partition_key[0].name == "q"

    in_region(tmp_path, test)


def test_an_attempt_on_a_stale_table_is_made_again(tmp_path: Path) -> None:
    tried: list[str] = []

    async def attempt(table: Table) -> str:
        tried.append(table.partition_key[0].name)
        if tried == ["p"]:
            raise DescriptorChanged
        return "done"

    async def test(region: Region) -> None:
        await define(region, "table", "p")
        await catalog.current(region, "table")
        await define(region, "table", "q")
        assert await catalog.with_table(region, "table", attempt) == "done"

    in_region(tmp_path, test)
    assert tried == ["p", "q"]


def test_a_refusal_counts_only_if_the_table_is_still_the_same(tmp_path: Path) -> None:
    async def attempt(tables: Sequence[Table]) -> str:
        if tables[1].partition_key[0].name == "p":
            raise ValidationException("The provided key element does not match the schema")
        return "done"

    async def test(region: Region) -> None:
        for name in ("one", "two"):
            await define(region, name, "p")
            await catalog.current(region, name)
        with pytest.raises(ValidationException):
            await catalog.with_tables(region, ["one", "two"], attempt)
        await define(region, "two", "q")
        assert await catalog.with_tables(region, ["one", "two"], attempt) == "done"

    in_region(tmp_path, test)


def test_attempts_have_an_end(tmp_path: Path) -> None:
    tried = 0

    async def attempt(table: Table) -> None:
        nonlocal tried
        tried += 1
        raise DescriptorChanged

    async def test(region: Region) -> None:
        await define(region, "table", "p")
        with pytest.raises(InternalServerError):
            await catalog.with_table(region, "table", attempt)

    in_region(tmp_path, test)
    assert tried == DESCRIPTOR_ATTEMPTS


def test_a_deleted_table_is_not_found(tmp_path: Path) -> None:
    async def attempt(table: Table) -> None:
        raise DescriptorChanged

    async def test(region: Region) -> None:
        await define(region, "table", "p")
        await catalog.current(region, "table")
        writes = Writes()
        writes.delete(keys.descriptor_key("table"))
        await region.engine.mutate([], lambda _: (writes, None))
        with pytest.raises(ResourceNotFoundException) as refusal:
            await catalog.with_table(region, "table", attempt)
        assert refusal.value.message == "Requested resource not found"
        assert "table" not in region.known

    in_region(tmp_path, test)
