"""Views of a store, from inside and outside the server, and compaction."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

import lmdb
import pytest

from jedlik import __version__
from jedlik.storage.engine import Engine, StorageError, Writes, entry_content
from jedlik.storage.lmdb import lmdb_file
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
from testing.storage.engine_processes import other_process
from testing.storage.engines import append, everything, lmdb_durable, put, run

ROWS = {bytes((1, prefix, number)): b"value" for prefix in (1, 2, 0xFF) for number in range(3)}


def fill(path: Path) -> None:
    run(lmdb_durable, path, lambda engine: put(engine, ROWS))


def test_a_view_stays_as_it_was(tmp_path: Path) -> None:
    async def scenario(engine: Engine) -> None:
        assert isinstance(engine, LmdbEngine)
        await put(engine, {b"a": b"1"})
        with engine.view() as view:
            for number in range(5):
                await put(engine, {b"a": b"2", b"b%d" % number: b"3"})
            assert list(view.rows(b"a", b"c")) == [(b"a", b"1")]
            assert (view.get(b"a"), view.get(b"b1")) == (b"1", None)
        with engine.view() as view:
            assert view.count(b"a", b"c") == 6

    run(lmdb_durable, tmp_path, scenario)


def test_what_a_view_shows(tmp_path: Path) -> None:
    fill(tmp_path)
    with lmdb_file.view(tmp_path) as view:
        assert list(view.rows(b"\x01", b"\x02")) == sorted(ROWS.items())
        assert list(view.rows(b"\x01\x01\x01", b"\x01\x02\x01")) == sorted(ROWS.items())[1:4]
        assert list(view.rows(b"\x03", b"\x04")) == []
        assert view.count(b"\x01\x01\x01", b"\x01\x02\x01") == 3
        assert view.first(b"\x01\x01\x03", b"\x01\x03") == (b"\x01\x02\x00", b"value")
        assert view.first(b"\x01\x01\x03", b"\x01\x02") is None
        assert list(view.prefixes(b"\x01", b"\x02", 2)) == [b"\x01\x01", b"\x01\x02", b"\x01\xff"]
        assert list(view.prefixes(b"\x01", b"\x01\x01\x02", 4)) == [b"\x01\x01\x00", b"\x01\x01\x01"]
        assert view.pages.rows == len(ROWS) + 2  # and the format, and the journal's place
        assert (view.pages.used, view.pages.leaves) == (1, 1)


def test_the_last_position(tmp_path: Path) -> None:
    fill(tmp_path)
    with lmdb_file.view(tmp_path) as view:
        assert view.last_position == 0
    run(lmdb_durable, tmp_path, lambda engine: append(engine, b"log", [b"one", b"two"]))
    with lmdb_file.view(tmp_path) as view:
        assert view.last_position == 2


def test_a_view_from_outside_while_the_store_is_written(tmp_path: Path) -> None:
    with other_process(lmdb_durable, tmp_path) as server:
        server.put({b"a": b"1"})
        with lmdb_file.view(tmp_path) as view:
            for number in range(20):
                server.put({b"a": b"2", b"b%d" % number: bytes(10_000)})
            assert list(view.rows(b"a", b"c")) == [(b"a", b"1")]
        assert server.get([b"a"]) == [b"2"]


def test_a_view_writes_nothing(tmp_path: Path) -> None:
    fill(tmp_path)
    before = (tmp_path / "data.mdb").read_bytes()
    with lmdb_file.view(tmp_path) as view:
        assert view.count(b"\x01", b"\x02") == len(ROWS)
    assert (tmp_path / "data.mdb").read_bytes() == before


def test_a_view_that_is_overtaken_while_it_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that is overtaken by commits may have a root of another state; the first read shows it."""
    torn = lmdb.CorruptedError("mdb_get: MDB_CORRUPTED: Located page was wrong type")

    class Torn:
        def get(self, key: bytes) -> None:
            raise torn

        def abort(self) -> None:
            pass

    class Overtaken:
        def __init__(self, environment: lmdb.Environment, times: int) -> None:
            self.environment = environment
            self.times = times
            self.close = environment.close

        def begin(self) -> object:
            self.times -= 1
            return Torn() if self.times >= 0 else self.environment.begin()

    async def scenario(engine: Engine) -> None:
        assert isinstance(engine, LmdbEngine)
        await put(engine, {b"a": b"1"})
        environment = engine._environment
        monkeypatch.setattr(engine, "_environment", Overtaken(environment, 9))
        with engine.view() as view:
            assert view.get(b"a") == b"1"
        monkeypatch.setattr(engine, "_environment", Overtaken(environment, 10))
        with pytest.raises(StorageError, match=r"^mdb_get: MDB_CORRUPTED"), engine.view():
            pass
        monkeypatch.undo()

    run(lmdb_durable, tmp_path, scenario)


def test_a_damaged_page(tmp_path: Path) -> None:
    run(lmdb_durable, tmp_path, lambda engine: put(engine, {b"%06d" % n: bytes(1000) for n in range(1000)}))
    size = (tmp_path / "data.mdb").stat().st_size
    with lmdb_file.view(tmp_path) as view, (tmp_path / "data.mdb").open("r+b") as file:
        # Not the first pages, which give the places of the others, nor the last, the newest: the root is among them.
        file.seek(100 * 4096)
        file.write(b"\xff" * (size // 4096 - 150) * 4096)
        file.flush()
        with pytest.raises(StorageError):
            list(view.rows(b"0", b"9"))
        with pytest.raises(StorageError):
            view.count(b"0", b"9")


def test_there_must_be_a_store(tmp_path: Path) -> None:
    for look in (lmdb_file.view(tmp_path), lmdb_file.view(tmp_path / "nowhere")):
        with pytest.raises(StorageError, match=r"^cannot open the store in .*: .*No such file or directory"), look:
            pass
    assert not (tmp_path / "nowhere").exists()


def test_a_store_of_another_format(tmp_path: Path) -> None:
    with lmdb.open(str(tmp_path), lib_version=1) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"\x00format", b"4")
    said = rf"^{tmp_path} holds a store of another storage format: 4 where Jedlik {__version__} reads 3\. Use"
    with pytest.raises(StorageError, match=said), lmdb_file.view(tmp_path):
        pass


def test_a_store_without_a_journal_of_an_earlier_version_is_upgraded(tmp_path: Path) -> None:
    with lmdb.open(str(tmp_path), lib_version=1) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"\x00format", b"1")
        transaction.put(b"key", b"value")
    said = (
        rf"^{tmp_path} holds a store of storage format 1, and Jedlik {__version__} uses format 3: "
        "stop all servers, copy the folder, and run `jedlik upgrade`$"
    )
    with pytest.raises(StorageError, match=said), lmdb_file.view(tmp_path):
        pass
    with pytest.raises(StorageError, match=said):
        LmdbEngine.open(tmp_path, durable=True)
    assert not (tmp_path / "journal").exists()
    for _ in range(2):
        lmdb_file.upgrade(tmp_path)
        assert run(lmdb_durable, tmp_path, everything) == [(b"key", b"value")]
    assert (tmp_path / "journal").exists()


# Compaction


def test_compaction_keeps_everything_and_frees_the_rest(tmp_path: Path) -> None:
    many = {b"%06d" % number: bytes(1000) for number in range(2000)}

    async def fill_and_empty(engine: Engine) -> None:
        await put(engine, many)
        await append(engine, b"log", [b"one"])

        def decide(_: Sequence[bytes | None]) -> tuple[Writes, None]:
            writes = Writes()
            for key in list(many)[10:]:
                writes.delete(key)
            return writes, None

        await engine.mutate([], decide)

    run(lmdb_durable, tmp_path, fill_and_empty)
    rows = run(lmdb_durable, tmp_path, everything)
    before, after = lmdb_file.compact(tmp_path)
    assert before > 2_000_000
    assert after == (tmp_path / "data.mdb").stat().st_size < 100_000
    assert (tmp_path / "data.mdb").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.mdb", "journal", "lock.mdb", "opening.lock"]
    assert run(lmdb_durable, tmp_path, everything) == rows
    run(lmdb_durable, tmp_path, lambda engine: append(engine, b"log", [b"two"]))
    *before_it, (key, entry) = run(lmdb_durable, tmp_path, everything)
    assert before_it == rows
    assert (key, entry_content(entry)) == (b"log" + (2).to_bytes(8, "big"), b"two")


def test_remains_of_a_killed_attempt_are_no_obstacle(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "data.mdb.compact").write_bytes(b"half")
    lmdb_file.compact(tmp_path)
    assert run(lmdb_durable, tmp_path, everything) == sorted(ROWS.items())


def test_nothing_changes_when_the_copy_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path)
    before = (tmp_path / "data.mdb").read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    said = rf"^cannot compact the store in {tmp_path}: \[Errno 28\] No space left on device$"
    with pytest.raises(StorageError, match=said):
        lmdb_file.compact(tmp_path)
    assert (tmp_path / "data.mdb").read_bytes() == before
    assert not (tmp_path / "data.mdb.compact").exists()


def test_a_view_and_a_compaction_exclude_each_other(tmp_path: Path) -> None:
    fill(tmp_path)
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_SH)  # as another process would that reads it
        with pytest.raises(
            StorageError, match=rf"^the store in {tmp_path} is in use, or being looked at, by a check perhaps$"
        ):
            lmdb_file.compact(tmp_path)
        with lmdb_file.view(tmp_path) as view:
            assert view.count(b"\x01", b"\x02") == len(ROWS)
        fcntl.flock(directory, fcntl.LOCK_EX)
        said = rf"^the store in {tmp_path} is being compacted or upgraded$"
        with pytest.raises(StorageError, match=said), lmdb_file.view(tmp_path):
            pass
    finally:
        os.close(directory)
