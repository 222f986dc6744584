"""Reads of what is not in memory: threads make them first, and what they return is the same."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from random import Random

import pytest

from jedlik.storage.engine import StorageError, Writes
from jedlik.storage.lmdb import cold_reads
from jedlik.storage.lmdb.cold_reads import SMALLEST, THREADS, ColdReads
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
from jedlik.storage.sealed_engine import SealedEngine
from tests.storage.test_sealed import sealing

ROWS = 200
SPACE = b"("


def key_of(number: int) -> bytes:
    return SPACE + b"%04d" % number


def value_of(number: int) -> bytes:
    return b"%d" % number * (1 + number % 7 * 400)


async def filled(path: Path) -> LmdbEngine:
    engine = LmdbEngine.open(path, durable=False)
    writes = Writes()
    for number in range(0, ROWS, 2):
        writes.put(key_of(number), value_of(number))
    await engine.mutate([], lambda _: (writes, None))
    return engine


def threads() -> int:
    return sum("_work" in thread.name for thread in threading.enumerate())


def test_what_is_read_is_the_same(tmp_path: Path) -> None:
    """One after the other and many at once, forwards and backwards, with limits, and beside writes."""

    async def run() -> None:
        engine = await filled(tmp_path)
        random = Random(1)
        before = threads()

        async def compare() -> None:
            keys = [key_of(random.randrange(ROWS)) for _ in range(random.randrange(1, 4))]
            start, end = sorted(key_of(random.randrange(-1, ROWS + 2)) for _ in range(2))
            asked = start, end, random.randrange(1, 30), random.choice((1, 3000, 1 << 20)), random.random() < 0.5
            assert await engine.get(keys) == [value_of(int(key[1:])) if int(key[1:]) % 2 == 0 else None for key in keys]
            value, rows = await engine.get_and_range(keys[0], *asked)
            assert rows == await engine.range(*asked)
            assert value == engine.get_here(keys[:1])[0]

        engine._cold.are_expected = True
        assert engine.get_now([key_of(0), key_of(2)]) is None
        assert engine.get_and_range_now(key_of(2), key_of(0), key_of(9), 9, 9999) is None
        assert engine.get_now([]) == await engine.get([]) == []
        await asyncio.gather(*(compare() for _ in range(100)))
        for _ in range(20):
            await compare()
        assert threads() == before + THREADS
        written = Writes()
        written.put(key_of(1), b"new")
        await engine.mutate([], lambda _: (written, None))
        assert await engine.get([key_of(1)]) == [b"new"]
        engine._cold.are_expected = False
        assert engine.get_now([key_of(1)]) == [b"new"]
        await engine.close()
        assert threads() == before

    asyncio.run(run())


def test_what_was_read_lately_is_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cold_reads, "REMEMBERED", 10)

    async def run() -> None:
        engine = await filled(tmp_path)
        engine._cold.are_expected = True
        await engine.get([key_of(0), key_of(2)])
        assert engine.get_now([key_of(0), key_of(2)]) == [value_of(0), value_of(2)]
        assert engine.get_now([key_of(2), key_of(0)]) is None, "it begins with another key"
        await engine.get_and_range(key_of(2), key_of(4), key_of(7), 9, 9999)
        assert engine.get_and_range_now(key_of(2), key_of(4), key_of(9), 1, 9999) is not None
        for number in range(10, 40, 2):
            await engine.get([key_of(number)])
        assert engine.get_now([key_of(2)]) == [value_of(2)]
        for number in range(40, 60, 2):
            await engine.get([key_of(number)])
        assert engine.get_now([key_of(2)]) is None, "that was long ago"
        await engine.close()

    asyncio.run(run())


def test_a_client_that_is_alone_needs_no_thread(tmp_path: Path) -> None:
    async def run() -> None:
        engine = await filled(tmp_path)
        engine._cold.are_expected = True
        before = threads()
        for number in range(0, 20, 2):
            assert await engine.get([key_of(number)]) == [value_of(number)]
        assert threads() == before
        await asyncio.gather(*(engine.get([key_of(number)]) for number in range(20, 40, 2)))
        assert threads() == before + THREADS
        await engine.close()
        assert threads() == before

    asyncio.run(run())


def test_a_sealed_store_is_read_in_the_same_way(tmp_path: Path) -> None:
    async def run() -> None:
        inner = LmdbEngine.open(tmp_path, durable=False)
        engine = SealedEngine(inner, sealing())
        writes = Writes()
        writes.put(b"rA1", b"one")
        await engine.mutate([b"rA1"], lambda _: (writes, None))
        inner._cold.are_expected = True
        assert engine.get_now([b"rA1"]) is None
        assert engine.get_and_range_now(b"rA1", b"r", b"s", 9, 9999) is None
        assert await engine.get([b"rA1", b"rA2"]) == [b"one", None]
        assert await engine.get_and_range(b"rA1", b"r", b"s", 9, 9999) == (b"one", [(b"rA1", b"one")])
        await engine.close()

    asyncio.run(run())


def test_a_store_that_cannot_be_read_fails_the_read_and_no_thread(tmp_path: Path) -> None:
    async def run() -> None:
        engine = await filled(tmp_path)
        engine._cold.are_expected = True
        assert await engine.get([key_of(2)]) == [value_of(2)]
        good, engine._environment = engine._environment, Unreadable()  # type: ignore[assignment]
        found = await asyncio.gather(*(engine.get([key_of(number)]) for number in (4, 6, 8)), return_exceptions=True)
        assert [str(one) for one in found] == ["unreadable"] * 3
        engine._environment = good
        found = await asyncio.gather(*(engine.get([key_of(number)]) for number in (10, 12)))
        assert found == [[value_of(10)], [value_of(12)]]
        await engine.close()

    asyncio.run(run())


class Unreadable:
    def begin(self) -> None:
        raise StorageError("unreadable")


def test_a_reader_that_is_cancelled_disturbs_no_other(tmp_path: Path) -> None:
    async def run() -> None:
        engine = await filled(tmp_path)
        engine._cold.are_expected = True
        reads = [asyncio.ensure_future(engine.get([key_of(number)])) for number in range(0, 40, 2)]
        await asyncio.sleep(0)
        for read in reads[::2]:
            read.cancel()
        found = await asyncio.gather(*reads, return_exceptions=True)
        assert found[1::2] == [[value_of(number)] for number in range(2, 40, 4)]
        assert all(isinstance(one, asyncio.CancelledError) for one in found[::2])
        await engine.close()

    asyncio.run(run())


def test_when_reads_are_expected_to_be_cold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = [1000]
    monkeypatch.setattr(cold_reads, "faults", lambda: faults[0])
    data = tmp_path / "data.mdb"
    with data.open("wb") as file:
        file.truncate(SMALLEST)
    cold = ColdReads(data)
    cold.look(0)
    cold.are_expected = False  # The first look has counted from the start of the process.

    def looked(waits: int, reads: int) -> bool:
        faults[0] += waits
        cold.look(reads)
        return cold.are_expected

    assert not looked(50, 50), "too few to do anything"
    assert not looked(1000, 4000), "too few of the reads"
    assert looked(1001, 4000)
    cold._touched, cold._waited = 1000, 101
    assert looked(0, 1000)
    cold._touched, cold._waited = 1000, 100
    assert not looked(500, 1000), "the threads have not waited"
    assert looked(1000, 1000)
    assert not looked(1000, 1000), "nobody has read"
    with data.open("wb") as file:
        file.truncate(SMALLEST - 1)
    assert not looked(1000, 1000), "it is soon in memory as a whole"


def test_reads_are_counted_from_look_to_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        engine = await filled(tmp_path)
        counts: list[int] = []
        monkeypatch.setattr(engine._cold, "look", counts.append)
        engine.look(1)
        counts.clear()
        for reads in (3, 0, 5):
            for _ in range(reads):
                await engine.get([key_of(1)])
            await engine.mutate([], lambda _: (Writes(), None))
            await engine.range(SPACE, b")", 1, 1)
            engine.look(1)
        assert counts == [4, 1, 6]
        await engine.close()

    asyncio.run(run())
