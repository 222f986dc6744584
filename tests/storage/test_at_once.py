"""Which commits a worker makes itself and which it leaves to its committer, and that the results are the same."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from jedlik.storage.engine import Engine, StorageError, Writes
from jedlik.storage.lmdb import at_once
from jedlik.storage.lmdb.committer import Committer
from jedlik.storage.lmdb.journal import Journal
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
from testing.storage.committing import FullEnvironment, left_by_a_kill, records, rows
from testing.storage.engine_processes import other_process
from testing.storage.engines import everything, lmdb_durable, put, run

Values = Sequence[bytes | None]
SLOW = 1000.0


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The batches that went to committers. No commit takes long."""
    questions: list[object] = []
    ask = Committer.ask

    def take_note(committer: Committer, question: object) -> None:
        questions.append(question)
        ask(committer, question)

    monkeypatch.setattr(Committer, "ask", take_note)
    monkeypatch.setattr(at_once, "_LONG_SECONDS", SLOW)
    return questions


@contextmanager
def stopped_committer(engine: Engine) -> Iterator[None]:
    """Let the committer do nothing, and make no checkpoint."""
    assert isinstance(engine, LmdbEngine)
    assert engine._committer is not None
    process = engine._committer._process
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def kill_committer(engine: LmdbEngine) -> None:
    assert engine._committer is not None
    engine._committer._process.kill()
    engine._committer._process.wait()


async def put_alone(engine: Engine, key: bytes, value: bytes) -> None:
    """A put of a client that then waits for its answer."""
    await put(engine, {key: value})
    await asyncio.sleep(0)


async def is_at_once(engine: Engine, asked: list[object]) -> bool:
    """Whether a small put of one client is committed at once."""
    before = len(asked)
    await put_alone(engine, b"key", os.urandom(8))
    return len(asked) == before


def begun(engine: Engine, seen: list[bytes]) -> asyncio.Future[None]:
    """A mutation that writes, and notes that it is decided."""

    def decide(values: Values) -> tuple[Writes, None]:
        writes = Writes()
        writes.put(b"key", os.urandom(8))
        seen.append(b"")
        return writes, None

    return engine.mutate([b"key"], decide)


async def soon_at_once(engine: Engine, asked: list[object]) -> bool:
    """The same for one of three clients: with a new checkpoint, one is left to the committer."""
    for _ in range(3):
        if await is_at_once(engine, asked):
            return True
    return False


def test_the_writes_of_a_single_client_are_committed_at_once(tmp_path: Path, asked: list[object]) -> None:
    path = tmp_path / "store"

    async def scenario(engine: Engine) -> None:
        await put(engine, {b"first": b"0"})
        with stopped_committer(engine):
            for number in range(100):
                await engine.get([b"key"])
                await put_alone(engine, b"key", b"%d" % number)
            assert await everything(engine) == [(b"first", b"0"), (b"key", b"99")]
            left_by_a_kill(path, tmp_path / "left")

    run(lmdb_durable, path, scenario)
    assert len(asked) == 1
    assert len(records(tmp_path / "left")) == 101
    assert rows(tmp_path / "left") == {b"first": b"0", b"key": b"99"}


@pytest.mark.parametrize(("reads", "puts", "size"), [(0, 2, 10), (2, 1, 10), (0, 1, 16 << 10)])
def test_commits_that_would_delay_others_are_left_to_the_committer(
    tmp_path: Path, asked: list[object], reads: int, puts: int, size: int
) -> None:
    async def scenario(engine: Engine) -> None:
        await put(engine, {b"first": b"0"})
        with stopped_committer(engine):
            assert await is_at_once(engine, asked)
            for _ in range(reads):
                await engine.range(b"a", b"z", 1, 1)
            waiting = [asyncio.ensure_future(put(engine, {b"%d" % n: bytes(size)})) for n in range(puts)]
            await asyncio.sleep(0.01)
            assert not waiting[-1].done()  # The first one did not know of the second.
        await asyncio.gather(*waiting)
        assert not any([await is_at_once(engine, asked) for _ in range(7)])
        assert await soon_at_once(engine, asked)

    run(lmdb_durable, tmp_path, scenario)


def test_the_mutation_of_a_single_client_is_committed_in_the_step_in_which_it_comes(
    tmp_path: Path, asked: list[object]
) -> None:
    async def scenario(engine: Engine) -> None:
        await put(engine, {b"first": b"0"})
        seen: list[bytes] = []
        with stopped_committer(engine):
            for number in range(1, 4):
                assert begun(engine, seen).done()
                assert len(seen) == number
                await asyncio.sleep(0)

    run(lmdb_durable, tmp_path, scenario)
    assert len(asked) == 1


def test_mutations_that_come_together_wait_for_each_other(tmp_path: Path, asked: list[object]) -> None:
    async def scenario(engine: Engine) -> None:
        await put(engine, {b"first": b"0"})
        assert await soon_at_once(engine, asked)
        seen: list[bytes] = []
        first, *others = [begun(engine, seen) for _ in range(3)]
        assert first.done()
        assert not any(one.done() for one in others)
        assert len(seen) == 1
        await asyncio.gather(*others)
        asked.clear()
        assert not any([await is_at_once(engine, asked) for _ in range(7)])
        assert len(asked) == 7
        assert await soon_at_once(engine, asked)

    run(lmdb_durable, tmp_path, scenario)


def test_after_each_further_slow_commit_the_committer_makes_more_of_the_next(
    tmp_path: Path, asked: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(engine: Engine) -> None:
        await put(engine, {b"first": b"0"})
        for left in (4, 8, 16, 32, 32):
            with monkeypatch.context() as slow:
                slow.setattr(at_once, "_LONG_SECONDS", 0.0)
                assert await soon_at_once(engine, asked)
            assert not any([await is_at_once(engine, asked) for _ in range(left)])
        assert await soon_at_once(engine, asked)
        with monkeypatch.context() as slow:
            slow.setattr(at_once, "_LONG_SECONDS", 0.0)
            assert await soon_at_once(engine, asked)
        assert not any([await is_at_once(engine, asked) for _ in range(4)])
        assert await soon_at_once(engine, asked)

    run(lmdb_durable, tmp_path, scenario)


def test_after_an_unknown_checkpoint_the_committer_makes_the_next(tmp_path: Path, asked: list[object]) -> None:
    async def scenario(engine: Engine) -> None:
        await put(engine, {b"first": b"0"})
        assert await soon_at_once(engine, asked)
        journal = Journal(tmp_path)
        told = journal.checkpoint()
        for _ in range(6000):
            if journal.checkpoint() != told:
                break
            await asyncio.sleep(0.01)
        assert journal.checkpoint() != told
        journal.close()
        assert not await is_at_once(engine, asked)
        assert await soon_at_once(engine, asked)

    run(lmdb_durable, tmp_path, scenario)


def test_without_a_committer_another_one_is_started_first(tmp_path: Path, asked: list[object]) -> None:
    async def scenario(engine: Engine) -> None:
        assert isinstance(engine, LmdbEngine)
        await put(engine, {b"first": b"0"})
        kill_committer(engine)
        await asyncio.sleep(0.01)
        assert not await is_at_once(engine, asked)
        assert await soon_at_once(engine, asked)

    run(lmdb_durable, tmp_path, scenario)


def test_nothing_is_committed_at_once_without_the_committers_pin(tmp_path: Path, asked: list[object]) -> None:
    async def scenario(engine: Engine) -> None:
        assert isinstance(engine, LmdbEngine)
        await put(engine, {b"first": b"0"})
        assert await soon_at_once(engine, asked)
        kill_committer(engine)
        assert engine._environment.reader_check() == 1
        with pytest.raises(StorageError, match=r"^the process that commits has ended, perhaps after a commit$"):
            await put(engine, {b"lost": b"1"})
        assert await engine.get([b"lost"]) == [None]

    run(lmdb_durable, tmp_path, scenario)


def test_a_commit_at_once_is_decided_again_when_its_reads_have_changed(tmp_path: Path, asked: list[object]) -> None:
    async def scenario(engine: Engine) -> None:
        with other_process(lmdb_durable, tmp_path) as other:
            other.put({b"theirs": b"0"})
            await put(engine, {b"first": b"0"})
            seen: list[bytes | None] = []

            def decide(values: Values) -> tuple[Writes, None]:
                seen.append(values[0])
                if len(seen) == 1:
                    other.put({b"theirs": b"1"})
                writes = Writes()
                writes.put(b"ours", values[0] or b"")
                return writes, None

            with stopped_committer(engine):
                await engine.mutate([b"theirs"], decide)
            assert seen == [b"0", b"1"]
            assert await engine.get([b"ours"]) == [b"1"]

    run(lmdb_durable, tmp_path, scenario)


def test_a_failing_disk_refuses_a_commit_at_once(
    tmp_path: Path, asked: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*details: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    async def scenario(engine: Engine) -> None:
        await put(engine, {b"first": b"0"})
        with stopped_committer(engine), monkeypatch.context() as failing:
            failing.setattr(Journal, "append", fail)
            with pytest.raises(StorageError, match=r"^\[Errno 5\] Input/output error$"):
                await put(engine, {b"lost": b"1"})
            assert await everything(engine) == [(b"first", b"0")]
            await asyncio.sleep(0)
        assert not any([await is_at_once(engine, asked) for _ in range(4)])
        assert await soon_at_once(engine, asked)

    run(lmdb_durable, tmp_path, scenario)


@pytest.mark.parametrize("panics", [False, True])
def test_a_commit_at_once_that_lmdb_refused_does_not_appear_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, panics: bool
) -> None:
    path = tmp_path / "store"

    async def scenario(engine: Engine) -> None:
        assert isinstance(engine, LmdbEngine)
        await put(engine, {b"first": b"0"})
        with stopped_committer(engine):
            monkeypatch.setattr(engine, "_environment", FullEnvironment(engine._environment, panics=panics))
            with pytest.raises(StorageError, match="No space left on device"):
                await put(engine, {b"ghost": b"1"})
            assert await everything(engine) == [(b"first", b"0")]
            left_by_a_kill(path, tmp_path / "left")

    run(lmdb_durable, path, scenario)
    assert len(records(tmp_path / "left")) == 1
    assert rows(tmp_path / "left") == rows(path) == {b"first": b"0"}
