"""The scrub reads every value, names the damaged ones, continues after a restart, and writes nothing to the store."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from jedlik.storage.engine import Engine, Scrubbed
from jedlik.storage.lmdb import scrub
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
from jedlik.storage.lmdb.lmdb_pages import DATA
from jedlik.storage.lmdb.scrub_progress import NAME, PASS_SECONDS, Progress, read_progress
from testing.storage.engines import lmdb_durable, lmdb_forgetful, put, run

NOW = 1_000_000.0
VALUES = 400


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of some pieces, with two damaged values."""
    run(lmdb_durable, tmp_path, lambda engine: put(engine, {b"%03d" % n: b"%d" % n * 400 for n in range(VALUES)}))
    data = (tmp_path / DATA).read_bytes()
    for spoilt in (b"17", b"399"):
        assert spoilt * 400 in data
        data = data.replace(spoilt * 400, spoilt * 399 + b"?" * len(spoilt))
    (tmp_path / DATA).write_bytes(data)
    return tmp_path


def passed(engine: Engine, now: float = NOW, pieces: int = 1000) -> list[Scrubbed]:
    """The pieces of a pass."""
    found = []
    for _ in range(pieces):
        found.append(engine.scrub(now))
        if not found[-1].more:
            break
    return found


def damaged(pieces: list[Scrubbed]) -> list[bytes]:
    return [key for piece in pieces for key in piece.damaged]


def test_a_pass_reads_every_value_and_then_rests_for_a_day(store: Path) -> None:
    async def scenario(engine: Engine) -> None:
        assert engine.scrub_is_due(NOW)
        pieces = passed(engine)
        assert len(pieces) > 3
        assert all(piece.size < 2 * scrub.PIECE_BYTES for piece in pieces)
        assert sum(piece.values for piece in pieces) == VALUES
        assert damaged(pieces) == [b"017", b"399"]
        progress = read_progress(store)
        assert (progress.last_values, progress.last_damaged_values) == (VALUES, 2)
        assert progress.last_damaged == (b"017".hex(), b"399".hex())
        assert (progress.finished, progress.given_up, progress.position) == (NOW, None, None)
        assert not engine.scrub_is_due(NOW + PASS_SECONDS - 1)
        assert engine.scrub(NOW + 10) == Scrubbed(0, 0, (), False)
        assert engine.scrub_is_due(NOW + PASS_SECONDS)
        assert engine.scrub_is_due(NOW - 1000), "the clock has gone back"
        assert isinstance(engine, LmdbEngine)
        assert engine.committer is None

    run(lmdb_durable, store, scenario)


def test_after_a_restart_a_pass_goes_on(store: Path) -> None:
    async def begin(engine: Engine) -> list[Scrubbed]:
        return passed(engine, pieces=2)

    async def go_on(engine: Engine) -> list[Scrubbed]:
        assert engine.scrub_is_due(NOW)
        return passed(engine)

    first = run(lmdb_durable, store, begin)
    rest = run(lmdb_durable, store, go_on)
    assert sum(piece.values for piece in first + rest) == VALUES
    assert read_progress(store).last_values == VALUES
    assert read_progress(store).last_damaged_values == 2


def test_one_process_scrubs_at_a_time(store: Path) -> None:
    async def scenario(engine: Engine) -> None:
        with (store / f"{NAME}.lock").open("w") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            assert engine.scrub(NOW) == Scrubbed(0, 0, (), False)
            assert engine.scrub_is_due(NOW), "the store is to stay open"
        assert len(passed(engine)) > 1

    run(lmdb_durable, store, scenario)


READER = """
import os, sys
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
engine = LmdbEngine.open(sys.argv[1], durable=True)
engine.scrub(1.0)
os.kill(os.getpid(), 11)
"""


def test_a_stretch_that_keeps_ending_processes_is_skipped(store: Path, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(scrub.MOST_DEATHS):
        assert subprocess.run([sys.executable, "-c", READER, str(store)], check=False).returncode == -11

    async def scenario(engine: Engine) -> None:
        assert engine.scrub(NOW) == Scrubbed(0, 0, (), False)
        assert not engine.scrub_is_due(NOW)
        assert read_progress(store).given_up == "3 processes ended while they read from key 01 on"

    run(lmdb_durable, store, scenario)
    assert "was given up" in caplog.text


@pytest.mark.parametrize("found", [b"", b"{", b"[]", b"{}", b'{"damaged": [], "last_damaged": [], "x": 1}'])
def test_an_unreadable_progress_file_counts_as_empty(store: Path, found: bytes) -> None:
    (store / NAME).write_bytes(found)
    assert read_progress(store) == Progress()


def test_an_unwritable_progress_file_stops_nothing(store: Path, caplog: pytest.LogCaptureFixture) -> None:
    (store / f"{NAME}.lock").mkdir()

    async def scenario(engine: Engine) -> list[Scrubbed]:
        return passed(engine) + passed(engine)

    assert run(lmdb_durable, store, scenario) == [Scrubbed(0, 0, (), False)] * 2
    assert caplog.text.count("cannot be noted") == 1


def test_a_store_in_memory_is_never_due(tmp_path: Path) -> None:
    async def scenario(engine: Engine) -> None:
        assert not engine.scrub_is_due(NOW)

    run(lmdb_forgetful, tmp_path, scenario)


def test_progress_is_stored_unchanged(tmp_path: Path) -> None:
    progress = replace(Progress(), position="0102", damaged=("03",), last_damaged=("04", "05"), finished=1.5)
    (tmp_path / NAME).write_bytes(orjson.dumps(progress))
    assert read_progress(tmp_path) == progress
