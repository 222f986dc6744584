"""Which committers end because they have nothing to do, and that a store goes on without."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from jedlik.storage.lmdb import idle_committers
from jedlik.storage.lmdb.idle_committers import KEPT, QUIET_LOOKS
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
from testing.storage.engines import everything, put


class Fake:
    """An engine without a store. It counts as the real one does."""

    def __init__(self, quiet_looks: int | None, started: int = 1) -> None:
        self.quiet_looks = quiet_looks
        self.committers_started = started
        self.ended = False

    def end_committer(self) -> None:
        self.ended = True


def ended(*engines: Fake) -> list[Fake]:
    idle_committers.end_most(engines)
    return [engine for engine in engines if engine.ended]


def test_a_few_idle_committers_stay() -> None:
    assert ended(*(Fake(1000) for _ in range(KEPT)), Fake(None)) == []


def test_those_that_were_idle_for_longest_end() -> None:
    idle = [Fake(QUIET_LOOKS + number) for number in range(KEPT + 3)]
    assert ended(*reversed(idle)) == idle[:-4:-1]


def test_the_caller_may_keep_fewer() -> None:
    first, second = Fake(50), Fake(40)
    idle_committers.end_most([first, second], kept=1)
    assert (first.ended, second.ended) == (True, False)


def test_committers_at_work_count_and_stay() -> None:
    busy, idle = [Fake(0) for _ in range(KEPT)], Fake(QUIET_LOOKS)
    assert ended(idle, *busy) == [idle]
    assert ended(*busy, *(Fake(QUIET_LOOKS - 1) for _ in range(100))) == []


def test_a_store_that_is_written_to_regularly_keeps_its_committer_in_the_end() -> None:
    others = [Fake(0) for _ in range(KEPT)]
    again = Fake(2 * QUIET_LOOKS - 1, started=2)
    assert ended(*others, again) == []
    again.quiet_looks = 2 * QUIET_LOOKS
    assert ended(*others, again) == [again]
    assert ended(*others, Fake(60, started=6), Fake(60, started=1000)) == []
    assert len(ended(*others, Fake(96, started=1000))) == 1


def test_a_store_goes_on_without_its_committer(tmp_path: Path) -> None:
    async def run() -> None:
        engine = LmdbEngine.open(tmp_path, durable=True)
        assert engine.quiet_looks is None
        engine.end_committer()
        await put(engine, {b"one": b"1"})
        first = engine.committer
        assert first is not None
        for looks in (0, 1, 2):
            engine.look(30)
            assert engine.quiet_looks == looks
        await put(engine, {b"two": b"2"})
        await asyncio.gather(*(put(engine, {b"three": b"3"}) for _ in range(2)))
        engine.look(30)
        assert engine.quiet_looks == 0, "it has been asked since the last look"
        engine.end_committer()
        assert engine.committer is None
        await put(engine, {b"four": b"4"})
        assert engine.committer not in (None, first)
        assert engine.committers_started == 2
        assert len(await everything(engine)) == 4
        engine.end_committer()
        await engine.close()
        assert not is_there(first), "closing waits for the committers that are ending"
        again = LmdbEngine.open(tmp_path, durable=True)
        assert len(await everything(again)) == 4
        await again.close()

    asyncio.run(run())


def test_a_committer_at_work_does_not_end(tmp_path: Path) -> None:
    async def run() -> None:
        engine = LmdbEngine.open(tmp_path, durable=True)
        await put(engine, {b"one": b"1"})
        writing = [asyncio.ensure_future(put(engine, {b"two": b"2"})) for _ in range(2)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert engine._batch is not None
        at_work = engine.committer
        engine.end_committer()
        assert engine.committer == at_work
        await asyncio.gather(*writing)
        await engine.close()

    asyncio.run(run())


def is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_committer_starts_without_what_only_the_worker_needs() -> None:
    """It is started often where many stores are written to: an event loop would double its time and its memory."""
    loaded = "import sys, jedlik.storage.lmdb.committer_process; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-P", "-c", loaded], check=True, capture_output=True, text=True).stdout
    assert not {"asyncio", "subprocess", "ssl", "botocore"} & set(modules.split())
