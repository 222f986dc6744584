"""Which processes may use a store at the same time, and the state of a store that no process uses."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from jedlik.storage.engine import Engine, StorageError
from jedlik.storage.lmdb import store as store_module
from jedlik.storage.lmdb.coherence import Extent
from jedlik.storage.lmdb.environment import MAP_SIZE
from jedlik.storage.lmdb.journal import JOURNAL
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
from jedlik.storage.lmdb.recovery import recover
from jedlik.storage.lmdb.store import alone, open_store, shared
from testing.storage.committing import left_by_a_kill, records, rows, write_record
from testing.storage.engine_processes import other_process
from testing.storage.engines import everything, lmdb_durable, lmdb_forgetful, put, run


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """A store with one row, as a kill has left it."""

    async def scenario(engine: Engine) -> None:
        await put(engine, {b"key": b"1"})
        left_by_a_kill(tmp_path / "store", tmp_path / "left")

    run(lmdb_durable, tmp_path / "store", scenario)
    return tmp_path / "left"


def test_the_first_process_recovers_and_others_join(left: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert records(left)
    recovered: list[Path] = []

    def note(path: Path, formats: frozenset[bytes], extent: Extent) -> bool:
        recovered.append(path)
        return recover(path, formats, extent)

    with other_process(lmdb_durable, left) as other:
        assert records(left) == []
        monkeypatch.setattr(store_module, "recover", note)
        assert other.get([b"key"]) == [b"1"]
        assert rows(left) == {b"key": b"1"}
        assert recovered == []
    rows(left)
    assert recovered == [left]


def test_a_joining_process_takes_back_the_record_of_a_dead_committer(tmp_path: Path) -> None:
    with other_process(lmdb_durable, tmp_path) as other:
        other.put({b"key": b"1"})
        ghost = write_record(tmp_path, {b"ghost": b"1"})
        assert ghost in records(tmp_path)
        assert rows(tmp_path) == {b"key": b"1"}
        assert ghost not in records(tmp_path)


def test_a_store_is_synced_by_all_its_users_or_by_none(tmp_path: Path) -> None:
    with (
        other_process(lmdb_durable, tmp_path),
        pytest.raises(StorageError, match=rf"^the store in {tmp_path} is in use by others who sync$"),
    ):
        LmdbEngine.open(tmp_path, durable=False)
    with (
        other_process(lmdb_forgetful, tmp_path),
        pytest.raises(StorageError, match=rf"^the store in {tmp_path} is in use by others who do not sync$"),
    ):
        LmdbEngine.open(tmp_path, durable=True)


def test_a_store_that_is_no_longer_synced_keeps_its_content(left: Path) -> None:
    assert run(lmdb_forgetful, left, everything) == [(b"key", b"1")]
    assert not (left / JOURNAL).exists()
    run(lmdb_forgetful, left, lambda engine: put(engine, {b"key": b"2"}))
    assert run(lmdb_durable, left, everything) == [(b"key", b"2")]


def test_exclusive_use_of_a_store_is_granted_when_no_process_uses_it(tmp_path: Path) -> None:
    run(lmdb_durable, tmp_path, everything)
    in_use = rf"^the store in {tmp_path} is in use, or being looked at, by a check perhaps$"
    with other_process(lmdb_durable, tmp_path), pytest.raises(StorageError, match=in_use), alone(tmp_path):
        pass
    with shared(tmp_path), shared(tmp_path), pytest.raises(StorageError, match=in_use), alone(tmp_path):
        pass
    taken = rf"^the store in {tmp_path} is being compacted or upgraded$"
    with alone(tmp_path), pytest.raises(StorageError, match=taken), shared(tmp_path):
        pass
    with alone(tmp_path), pytest.raises(StorageError, match=taken):
        open_store(tmp_path, True, MAP_SIZE)
    assert run(lmdb_durable, tmp_path, everything) == []


def test_a_store_that_could_not_be_opened_can_be_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, map_size: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as failing:
        failing.setattr(store_module, "open_environment", fail)
        with pytest.raises(
            StorageError, match=rf"^cannot open the store in {tmp_path}: \[Errno 5\] Input/output error$"
        ):
            open_store(tmp_path, True, MAP_SIZE)
    with alone(tmp_path):
        pass
    assert rows(tmp_path) == {}


def test_a_closed_engine_no_longer_uses_its_store(tmp_path: Path) -> None:
    async def scenario() -> None:
        engine = LmdbEngine.open(tmp_path, durable=True)
        await put(engine, {b"key": b"1"})
        with pytest.raises(StorageError, match="is in use"), alone(tmp_path):
            pass
        await engine.close()
        with alone(tmp_path):
            pass

    asyncio.run(scenario())
