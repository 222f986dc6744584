"""A store with a damaged page is refused when it is opened, by name, and nothing is written to it."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from jedlik.storage.engine import Engine, StorageError
from jedlik.storage.lmdb import coherence, lmdb_file
from jedlik.storage.lmdb.coherence import DamagedPages, Extent
from jedlik.storage.lmdb.environment import MAP_SIZE
from jedlik.storage.lmdb.journal import JOURNAL
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
from jedlik.storage.lmdb.lmdb_pages import DATA
from jedlik.storage.lmdb.page_checker import PageChecker
from jedlik.storage.lmdb.scrub_progress import PASS_SECONDS, Progress, read_progress, write_progress
from jedlik.storage.lmdb.store import open_store, shared
from testing.jedlik_process import PATIENCE
from testing.storage.engines import append, lmdb_durable, put, run

PAGE = 4096
NOW = 1_000_000.0
LOOKS = 10**6
KEY, ROW = b"row%04d" % 500, b"value%04d" % 500 * 9


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "store"

    async def fill(engine: Engine) -> None:
        await put(engine, {b"row%04d" % n: b"value%04d" % n * 9 for n in range(0, 2000, 2)} | {b"long": bytes(9000)})
        await append(engine, b"\xfflog", [b"entry"])

    run(lmdb_durable, path, fill)
    return path


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes each store a large one."""
    monkeypatch.setattr(coherence, "SMALL_PAGES", 1)


def page_with(store: Path, content: bytes) -> int:
    """Where the page in use begins that has some bytes."""
    data = (store / DATA).read_bytes()
    [page] = {at - at % PAGE for at in range(len(data)) if data.startswith(content, at)}
    return page


def change(store: Path, at: int, bit: int = 1) -> None:
    data = bytearray((store / DATA).read_bytes())
    data[at] ^= bit
    (store / DATA).write_bytes(bytes(data))


def damage_page(store: Path) -> None:
    """Spoil the flags of the page with ROW."""
    change(store, page_with(store, ROW) + 18)


def damaged(key: bytes) -> bytes:
    """A key with a flipped bit in its last byte. It stays between its neighbours."""
    return key[:-1] + bytes((key[-1] ^ 1,))


def damage_key(store: Path, key: bytes) -> None:
    """Flip that bit, in all versions of its page."""
    data = (store / DATA).read_bytes()
    assert key in data
    (store / DATA).write_bytes(data.replace(key, damaged(key)))


def open_and_close(store: Path) -> None:
    run(lmdb_durable, store, lambda engine: engine.get([KEY]))


def files(store: Path) -> dict[str, bytes]:
    return {name: (store / name).read_bytes() for name in (DATA, JOURNAL) if (store / name).exists()}


def refusal(store: Path, look: Callable[[Path], object] = open_and_close) -> DamagedPages:
    """How a store is refused, which leaves its files as they are."""
    before = files(store)
    with pytest.raises(DamagedPages) as refused:
        look(store)
    assert files(store) == before
    return refused.value


def view(store: Path) -> None:
    with lmdb_file.view(store):
        pass


@pytest.mark.parametrize("look", [open_and_close, view, lmdb_file.compact, lmdb_file.upgrade])
def test_a_damaged_page_is_named(store: Path, look: Callable[[Path], object]) -> None:
    damage_page(store)
    number = page_with(store, ROW) // PAGE
    said = str(refusal(store, look))
    assert said.startswith(
        f"{store / DATA} is damaged: page {number} of the rows: its flags are 3, at depth 2 of 2 (and "
    )
    assert said.endswith(
        "more problems). Nothing has been changed: put back a copy of the store. `jedlik check --pages` lists all that "
        "is wrong"
    )


def test_a_store_that_was_killed_is_refused_before_it_is_recovered(store: Path, tmp_path: Path) -> None:
    left = tmp_path / "left"

    async def kill(engine: Engine) -> None:
        await put(engine, {b"late": b"write"})
        shutil.copytree(store, left)

    run(lmdb_durable, store, kill)
    copy = shutil.copytree(left, tmp_path / "copy")
    damage_page(left)
    refusal(left)
    run(lmdb_durable, copy, lambda engine: engine.get([b"late"]))


@pytest.mark.parametrize("key", [KEY, b"long"])
def test_a_damaged_key_hides_its_row(store: Path, key: bytes) -> None:
    damage_key(store, key)
    refused = refusal(store)
    [problem] = refused.problems
    assert str(problem).endswith(f"of the rows: the key {damaged(key).hex()} is damaged: it was {key.hex()}")
    assert str(refused).endswith("or have `jedlik check --recover-damaged` put back the rows")


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (b"\x00position", "is damaged: it was 00706f736974696f6e"),
        (b"\x00journal", "is damaged, or not the file"),
        (b"\x00format", "holds a store of another storage format: none"),
    ],
)
def test_a_damaged_key_of_the_engine(store: Path, key: bytes, said: str) -> None:
    damage_key(store, key)
    with pytest.raises(StorageError, match=said):
        open_and_close(store)


def test_a_key_that_the_engine_does_not_have(store: Path) -> None:
    with closing(open_store(store, False, MAP_SIZE)) as opened, opened.environment.begin(write=True) as transaction:
        transaction.put(b"\x00other", b"value")
    assert "the key 006f74686572 is none of the engine's own" in str(refusal(store))


def test_a_damaged_value_harms_nobody_but_its_readers(store: Path) -> None:
    change(store, (store / DATA).read_bytes().index(ROW))

    async def scenario(engine: Engine) -> None:
        assert await engine.get([b"row0502"]) == [b"value0502" * 9]
        with pytest.raises(StorageError, match="its checksum is wrong"):
            await engine.get([KEY])

    run(lmdb_durable, store, scenario)


def test_a_page_that_cannot_be_read_is_named(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    number, read = page_with(store, ROW) // PAGE, os.pread

    def fail(file: int, size: int, offset: int) -> bytes:
        if offset == number * PAGE:
            raise OSError(5, "Input/output error")
        return read(file, size, offset)

    monkeypatch.setattr(os, "pread", fail)
    assert f"page {number} of the rows: what it leads to cannot be read: [Errno 5]" in str(refusal(store))


@pytest.mark.parametrize("compacted", [False, True])
def test_a_store_of_every_kind_of_page_is_whole(tmp_path: Path, compacted: bool) -> None:
    """Branches above branches, long keys, no keys, rows that went, values of all lengths."""

    for number in range(4):

        async def fill(engine: Engine, number: int = number) -> None:
            await put(engine, {b"%04d" % n + b"k" * 1500: bytes(n % 700) for n in range(number, 300, 3)})
            await put(engine, {b"long%d" % n: bytes(n) for n in range(4000, 8200, 137)})
            await put(engine, {b"%04d" % n + b"k" * 1500: None for n in range(number, 300, 7)})

        run(lmdb_durable, tmp_path, fill)
        assert list(lmdb_file.page_problems(tmp_path)) == []
    if compacted:
        lmdb_file.compact(tmp_path)
    assert list(lmdb_file.page_problems(tmp_path)) == []
    run(lmdb_durable, tmp_path, lambda engine: put(engine, {b"long%d" % n: None for n in range(9000)}))
    assert list(lmdb_file.page_problems(tmp_path)) == []


# A large store


def checked(engine: Engine) -> None:
    """Wait until the pages have been checked."""
    assert isinstance(engine, LmdbEngine)
    deadline = time.monotonic() + PATIENCE
    while read_progress_of(engine).unchecked:
        assert time.monotonic() < deadline
        assert engine.scrub(NOW).values == 0
        engine.look(LOOKS)
        time.sleep(0.01)


def read_progress_of(engine: Engine) -> Progress:
    assert isinstance(engine, LmdbEngine)
    return read_progress(engine._path)


def test_a_large_store_is_checked_while_it_is_used(store: Path, large: None) -> None:
    async def scenario(engine: Engine) -> None:
        assert read_progress(store).unchecked
        assert await engine.get([KEY]) == [ROW]
        assert engine.scrub_is_due(NOW)
        checked(engine)
        assert await engine.get([KEY]) == [ROW]
        assert read_progress(store).page_damage is None
        while engine.scrub(NOW).more:
            pass
        assert read_progress(store).finished == NOW

    run(lmdb_durable, store, scenario)
    run(lmdb_durable, store, again)


async def again(engine: Engine) -> None:
    """Demand that the pages are checked each time a store is opened, and the values once a day."""
    assert read_progress_of(engine).unchecked
    checked(engine)
    assert not engine.scrub_is_due(NOW)
    assert engine.scrub(NOW + PASS_SECONDS).values == 0, "a pass begins with a check of the pages"
    checked(engine)
    assert engine.scrub(NOW + PASS_SECONDS).values > 0


def test_a_large_store_with_a_damaged_page_is_used_no_more(
    store: Path, large: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = shutil.copytree(store, tmp_path / "whole")
    damage_page(store)

    async def find(engine: Engine) -> None:
        assert await engine.get([b"row0002"]) == [b"value0002" * 9]
        assert isinstance(engine, LmdbEngine)
        assert engine.trouble is None
        checked(engine)
        await refuses(engine)

    run(lmdb_durable, store, find)
    with shared(store, Extent.NONE):  # So that the next one is not the first, who would check it.
        run(lmdb_durable, store, refuses)
    assert caplog.text.count("The store is used no more") == 2
    refusal(store)  # Although it is large.
    (store / DATA).write_bytes((whole / DATA).read_bytes())
    open_and_close(store)
    assert read_progress(store).page_damage is None


def test_what_one_process_finds_another_heeds(store: Path, large: None) -> None:
    async def scenario(engine: Engine) -> None:
        assert await engine.get([KEY]) == [ROW]
        write_progress(store, replace(read_progress(store), page_damage="page 7 of the rows: its flags are 3"))
        assert isinstance(engine, LmdbEngine)
        engine.look(LOOKS)
        assert not engine.scrub_is_due(NOW)
        await refuses(engine)

    run(lmdb_durable, store, scenario)


async def refuses(engine: Engine) -> None:
    """Demand that a store is used no more."""
    said = rf"{DATA} is damaged: page \d+ of the rows: its flags are 3.* The store is used no more"
    with pytest.raises(StorageError, match=said):
        await engine.get([b"row0002"])
    with pytest.raises(StorageError, match=said):
        await engine.range(b"row", b"s", 1, 1)
    with pytest.raises(StorageError, match=said):
        await put(engine, {b"key": b"value"})
    assert isinstance(engine, LmdbEngine)
    assert "The store is used no more" in str(engine.trouble)


def test_the_scrub_finds_the_damaged_key_of_a_long_value(store: Path, large: None) -> None:
    damage_key(store, b"long")

    async def scenario(engine: Engine) -> None:
        checked(engine)
        assert read_progress(store).page_damage is None
        while engine.scrub(NOW).more:
            pass
        with pytest.raises(StorageError, match=rf"is damaged: the key \w+ is damaged: it was {b'long'.hex()}"):
            await engine.get([KEY])

    run(lmdb_durable, store, scenario)


def test_a_check_that_cannot_be_made_is_logged_and_made_the_next_time(
    store: Path, large: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere")
    run(lmdb_durable, store, scrubbed_once)
    assert "could not be checked: [Errno 2]" in caplog.text
    monkeypatch.setattr(sys, "executable", "/bin/false")
    run(lmdb_durable, store, lambda engine: scrubbed_once(engine, until=checked))
    assert "could not be checked: its process ended with 1" in caplog.text


async def scrubbed_once(engine: Engine, until: Callable[[Engine], None] = lambda engine: None) -> None:
    assert isinstance(engine, LmdbEngine)
    engine.look(LOOKS)
    until(engine)
    assert not read_progress_of(engine).unchecked


def test_the_process_ends_with_the_engine(store: Path, large: None) -> None:
    started: list[PageChecker] = []

    async def scenario(engine: Engine) -> None:
        assert isinstance(engine, LmdbEngine)
        engine.look(LOOKS)
        assert engine._scrub is not None
        assert engine._scrub._checker is not None
        started.append(engine._scrub._checker)

    run(lmdb_durable, store, scenario)
    assert started[0]._process.returncode == -9
    assert read_progress(store).unchecked
