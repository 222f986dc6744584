"""The parts that are LMDB's own: its file, its limits, its failures, and the savings of group commit."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import lmdb
import pytest
import uvloop

from jedlik import __version__
from jedlik.storage.batch import Batch
from jedlik.storage.engine import Engine, StorageError, Writes, entry_content
from jedlik.storage.lmdb.at_once import CommitsAtOnce
from jedlik.storage.lmdb.checksums import read
from jedlik.storage.lmdb.journal import JOURNAL
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
from testing.storage.engine_processes import finish, other_process, pipe, start
from testing.storage.engines import append, everything, increment, lmdb_durable, lmdb_forgetful, put, put_twice, run

MIB = 1 << 20

Values = Sequence[bytes | None]


def last_transaction(path: Path) -> int:
    """The number of commits that the file has seen."""
    with lmdb.open(str(path), lib_version=1) as environment:
        return environment.info()["last_txnid"]


# Opening


def test_open_creates_a_directory_that_no_other_user_can_read(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    run(lmdb_durable, path, everything)
    assert path.stat().st_mode & 0o777 == 0o700
    assert (path / "data.mdb").stat().st_mode & 0o777 == 0o600


def test_a_file_where_the_directory_should_be(tmp_path: Path) -> None:
    path = tmp_path / "store"
    path.write_bytes(b"")
    with pytest.raises(StorageError, match=rf"^cannot open the store in {path}: .*File exists"):
        LmdbEngine.open(path, durable=True)


@pytest.mark.parametrize("content", [b"not a store" * 10_000, bytes(100)], ids=["other", "short"])
def test_a_file_that_is_no_store(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data.mdb").write_bytes(content)
    with pytest.raises(StorageError, match=rf"^{tmp_path} holds no store that this version reads, or a damaged one: "):
        LmdbEngine.open(tmp_path, durable=True)


def test_a_damaged_store(tmp_path: Path) -> None:
    run(lmdb_durable, tmp_path, lambda engine: put(engine, {b"%d" % n: bytes(100) for n in range(1000)}))
    with (tmp_path / "data.mdb").open("r+b") as file:
        file.seek(2 * 4096)
        file.write(b"\xff" * 40 * 4096)
    said = rf"^{tmp_path / 'data.mdb'} is damaged, or not the file that the journal beside it belongs to \(page "
    with pytest.raises(StorageError, match=said):
        LmdbEngine.open(tmp_path, durable=True)


def test_a_file_of_the_older_lmdb(tmp_path: Path) -> None:
    lmdb.open(str(tmp_path), lib_version=0).close()
    with pytest.raises(StorageError, match=rf"^{tmp_path} holds no store that this version reads, or a damaged one: "):
        LmdbEngine.open(tmp_path, durable=True)


@pytest.mark.parametrize("row", [(b"\x00format", b"4"), (b"key", b"value")], ids=["later format", "no format"])
def test_a_store_of_another_format(tmp_path: Path, row: tuple[bytes, bytes]) -> None:
    with lmdb.open(str(tmp_path), lib_version=1) as environment, environment.begin(write=True) as transaction:
        transaction.put(*row)
    said = rf"^{tmp_path} holds a store of another storage format: (4|none) where Jedlik {__version__} reads 3\. Use"
    with pytest.raises(StorageError, match=said):
        LmdbEngine.open(tmp_path, durable=True)


def test_a_process_opens_a_store_once(tmp_path: Path) -> None:
    async def scenario(engine: Engine) -> None:
        with pytest.raises(StorageError, match=r"^cannot open .* is already open in this process"):
            LmdbEngine.open(tmp_path, durable=True)

    run(lmdb_durable, tmp_path, scenario)


# Commits


def test_mutations_that_wait_together_are_committed_together(tmp_path: Path) -> None:
    async def scenario(engine: Engine) -> None:
        await asyncio.gather(*(increment(engine, b"%d" % n) for n in range(200)))

    run(lmdb_durable, tmp_path, everything)
    before = last_transaction(tmp_path)
    run(lmdb_durable, tmp_path, scenario)
    assert last_transaction(tmp_path) == before + 1


@pytest.mark.parametrize(
    ("value_size", "mutations", "commits"), [(10, 256, 1), (10, 257, 2), (MIB, 4, 1), (MIB, 9, 3), (5 * MIB, 2, 2)]
)
def test_a_commit_is_bounded(tmp_path: Path, value_size: int, mutations: int, commits: int) -> None:
    async def scenario(engine: Engine) -> None:
        await asyncio.gather(*(put(engine, {b"%d" % n: bytes(value_size)}) for n in range(mutations)))

    run(lmdb_durable, tmp_path, everything)
    before = last_transaction(tmp_path)
    run(lmdb_durable, tmp_path, scenario)
    assert last_transaction(tmp_path) == before + commits


def test_a_mutation_that_writes_nothing_is_not_committed(tmp_path: Path) -> None:
    def refuse(values: Values) -> tuple[Writes, None]:
        raise ValueError("refused")

    async def scenario(engine: Engine) -> None:
        assert await engine.mutate([b"a"], lambda values: (Writes(), values)) == [None]
        with pytest.raises(ValueError, match=r"^refused$"):
            await engine.mutate([b"a"], refuse)

    run(lmdb_durable, tmp_path, everything)
    before = last_transaction(tmp_path)
    run(lmdb_durable, tmp_path, scenario)
    assert last_transaction(tmp_path) == before


def test_commits_of_others_to_other_keys_cause_no_second_decision(tmp_path: Path) -> None:
    decisions = 0

    async def scenario(engine: Engine) -> None:
        with other_process(lmdb_durable, tmp_path) as other:

            def decide(values: Values) -> tuple[Writes, None]:
                nonlocal decisions
                decisions += 1
                other.put({b"theirs": b"value"})
                writes = Writes()
                writes.put(b"ours", b"value")
                return writes, None

            await engine.mutate([b"ours"], decide)

    run(lmdb_durable, tmp_path, scenario)
    assert decisions == 1


def test_the_engines_own_keys_are_not_in_a_range(tmp_path: Path) -> None:
    async def scenario(engine: Engine) -> None:
        await append(engine, b"log", [b"entry"])
        assert [entry_content(entry) for _, entry in await engine.range(b"", b"\xff", 10, 1000)] == [b"entry"]
        assert [entry_content(entry) for _, entry in await engine.range(b"", b"\xff", 10, 1000, reverse=True)] == [
            b"entry"
        ]

    run(lmdb_durable, tmp_path, scenario)


class Overtaken:
    """An environment whose first readers are overtaken by commits while they begin."""

    def __init__(self, environment: lmdb.Environment, readers: int) -> None:
        self._environment = environment
        self._readers = readers
        self.close = environment.close

    def begin(self, write: bool = False) -> lmdb.Transaction[bytes] | TornSnapshot:
        self._readers -= not write
        return TornSnapshot() if self._readers >= 0 else self._environment.begin(write=write)

    def reader_check(self) -> int:
        return self._environment.reader_check()


class TornSnapshot:
    """Such a reader's situation: its pages are newer than its state."""

    def __enter__(self) -> TornSnapshot:
        return self

    def __exit__(self, *details: object) -> None:
        pass

    def abort(self) -> None:
        pass

    def id(self) -> int:
        return 1

    def get(self, key: bytes) -> bytes | None:
        raise lmdb.CorruptedError("mdb_get: MDB_CORRUPTED: Located page was wrong type")

    def cursor(self) -> None:
        raise lmdb.PageNotFoundError("mdb_cursor_get: MDB_PAGE_NOTFOUND: Requested page not found")


def test_a_reader_that_was_overtaken_begins_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(engine: Engine) -> None:
        assert isinstance(engine, LmdbEngine)
        await put(engine, {b"n": b"1"})

        def overtake(readers: int) -> None:
            monkeypatch.setattr(engine, "_environment", Overtaken(environment, readers))

        environment = engine._environment
        overtake(readers=10)
        assert await engine.get([b"n"]) == [b"1"]
        overtake(readers=9)
        assert await everything(engine) == [(b"n", b"1")]
        overtake(readers=9)
        assert await asyncio.gather(*(increment(engine, b"n") for _ in range(3))) == [2, 3, 4]
        overtake(readers=11)
        with pytest.raises(StorageError, match=r"^mdb_get: MDB_CORRUPTED: Located page was wrong type$"):
            await engine.get([b"n"])

    run(lmdb_durable, tmp_path, scenario)


# Space


OVERWRITTEN = 64 * MIB


async def overwrite(engine: Engine) -> None:
    """Store 64 KiB under the same key, again and again."""
    for _ in range(OVERWRITTEN // 65536):
        await put(engine, {b"key": bytes(65536)})


def test_a_process_that_has_read_keeps_no_old_pages(tmp_path: Path) -> None:
    async def scenario(engine: Engine) -> None:
        with other_process(lmdb_durable, tmp_path) as other:
            await put(engine, {b"key": b"value"})
            assert other.get([b"key"]) == [b"value"]
            await overwrite(engine)

    run(lmdb_durable, tmp_path, scenario)
    assert (tmp_path / "data.mdb").stat().st_size < OVERWRITTEN * 3 / 4


def test_a_process_that_was_killed_while_it_read_keeps_old_pages_for_a_while_only(tmp_path: Path) -> None:
    async def scenario(engine: Engine) -> None:
        await put(engine, {b"key": b"value"})
        reading, ready = pipe()
        process = start(read_until_killed, tmp_path, ready)
        assert reading.recv() == b"value"
        process.kill()
        process.join()
        await overwrite(engine)

    run(lmdb_durable, tmp_path, scenario)
    assert (tmp_path / "data.mdb").stat().st_size < OVERWRITTEN * 3 / 4


def read_until_killed(path: Path, ready: Connection) -> None:
    environment = lmdb.open(str(path), lib_version=1)
    with environment.begin() as transaction:
        ready.send(read(b"key", transaction.get(b"key")))
        signal.pause()


# Failing commits


@pytest.mark.parametrize("durable", [True, False])
def test_a_full_store_refuses_and_goes_on(tmp_path: Path, durable: bool) -> None:
    async def scenario() -> None:
        engine = LmdbEngine.open(tmp_path, durable, map_size=MIB)
        await put_twice(engine, {b"before": b"value"})
        outcomes = await asyncio.gather(
            put(engine, {b"small": b"value"}), put(engine, {b"large": bytes(2 * MIB)}), return_exceptions=True
        )
        for outcome in outcomes:
            assert isinstance(outcome, StorageError)
            assert str(outcome).startswith("mdb_cursor_put() element #1: MDB_MAP_FULL")
        assert await everything(engine) == [(b"before", b"value")]
        await put(engine, {b"after": b"value"})
        assert await everything(engine) == [(b"after", b"value"), (b"before", b"value")]
        await engine.close()

    asyncio.run(scenario())


def test_a_full_disk_refuses_and_the_engine_goes_on(tmp_path: Path) -> None:
    outcome, sender = pipe()
    process = start(fill_the_disk, tmp_path, sender)
    full = "StorageError: [Errno 27] File too large"
    assert outcome.recv() == ["stored", full, "stored"]
    finish(process)
    assert [key for key, _ in run(lmdb_durable, tmp_path, everything)] == [b"after", b"before"]


def fill_the_disk(path: Path, outcomes: Connection) -> None:
    """Stand in for a full disk with a limit on the size of files."""

    async def attempt(engine: Engine, key: bytes, size: int) -> str:
        try:
            await put(engine, {key: bytes(size)})
        except StorageError as error:
            return f"{type(error).__name__}: {error}"
        return "stored"

    async def scenario(engine: Engine) -> list[str]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, MIB))
        sizes = {b"before": 10, b"large": 4 * MIB, b"after": 10}
        return [await attempt(engine, key, size) for key, size in sizes.items()]

    outcomes.send(run(lmdb_durable, path, scenario))


class Refusing:
    """An environment after LMDB failed to write a meta page: it refuses every transaction until it is opened again."""

    def __init__(self, environment: lmdb.Environment) -> None:
        self.close = environment.close

    def begin(self, write: bool = False) -> None:
        raise lmdb.PanicError("mdb_txn_begin: MDB_PANIC: Update of meta page failed or environment had fatal error")


@pytest.mark.parametrize("when", ["before", "during"])
def test_a_store_that_panics_is_opened_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    async def scenario(engine: Engine) -> None:
        assert isinstance(engine, LmdbEngine)

        def panic() -> None:
            monkeypatch.setattr(engine, "_environment", Refusing(engine._environment))

        def decide(values: Values) -> tuple[Writes, None]:
            panic()
            writes = Writes()
            writes.put(b"lost", b"value")
            return writes, None

        await put(engine, {b"before": b"value"})
        if when == "before":
            panic()
            failing = engine.mutate([], lambda values: (Writes(), None))
        else:
            failing = engine.mutate([], decide)
        with pytest.raises(StorageError, match="mdb_txn_begin: MDB_PANIC"):
            await failing
        await put(engine, {b"after": b"value"})
        assert [key for key, _ in await everything(engine)] == [b"after", b"before"]

    run(lmdb_forgetful, tmp_path, scenario)


def test_the_failure_of_commits_and_their_recovery_are_logged_once_each(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        engine = LmdbEngine.open(tmp_path, durable=True, map_size=MIB)
        for _ in range(3):
            with pytest.raises(StorageError):
                await put(engine, {b"large": bytes(2 * MIB)})
        for _ in range(3):
            await put(engine, {b"small": b"value"})
        await engine.close()

    asyncio.run(scenario())
    failing, succeeding = ((record.levelname, record.message) for record in caplog.records)
    assert failing[0] == "ERROR"
    assert failing[1].startswith(f"commits to the store in {tmp_path} fail: mdb_cursor_put() element #0: MDB_MAP_FULL")
    assert succeeding == ("WARNING", f"commits to the store in {tmp_path} succeed again")


# The process that commits


def committer_of(engine: Engine) -> subprocess.Popen[bytes]:
    assert isinstance(engine, LmdbEngine)
    assert engine._committer is not None
    return engine._committer._process


def test_a_journal_that_only_the_committer_can_read_refuses_writes_and_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: CommitsAtOnce, checkpoint: int) -> None:
        raise StorageError("the journal has a later form")

    async def scenario(engine: Engine) -> None:
        monkeypatch.setattr(CommitsAtOnce, "trust", refuse)
        for _ in range(2):
            with pytest.raises(StorageError, match="the journal has a later form"):
                await asyncio.wait_for(put_twice(engine, {b"key": b"value"}), 60)
        assert committer_of(engine).poll() is None

    run(lmdb_durable, tmp_path, scenario)


@pytest.mark.parametrize("where", [(CommitsAtOnce, "commit"), (Batch, "add")])
def test_no_write_waits_behind_one_that_failed_in_an_unknown_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: tuple[type, str]
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError("no room")

    async def scenario(engine: Engine) -> None:
        await put_twice(engine, {b"key": b"value"})
        with monkeypatch.context() as failing:
            failing.setattr(CommitsAtOnce, "takes", lambda *_: True)  # However long the last commit took.
            failing.setattr(*where, fail)
            with pytest.raises(StorageError, match="no room"):
                await asyncio.wait_for(put(engine, {b"key": b"failed"}), 60)
        await asyncio.wait_for(put(engine, {b"later": b"value"}), 60)
        assert await everything(engine) == [(b"key", b"value"), (b"later", b"value")]

    run(lmdb_durable, tmp_path, scenario)


def replace_by_a_copy(path: Path) -> None:
    shutil.copytree(path, path.with_name("copy"))
    path.rename(path.with_name("moved"))
    path.with_name("copy").rename(path)


def replace_the_journal(path: Path) -> None:
    shutil.copy(path / JOURNAL, path / "copy")
    (path / "copy").replace(path / JOURNAL)


def move(path: Path) -> None:
    path.rename(path.with_name("moved"))


AWAY = "have been moved, removed or replaced while the server was running"


@pytest.mark.parametrize("change", [move, replace_by_a_copy, replace_the_journal, shutil.rmtree])
def test_a_store_whose_files_are_others_is_used_no_more(tmp_path: Path, change: Callable[[Path], None]) -> None:
    path = tmp_path / "store"

    async def scenario() -> None:
        engine = LmdbEngine.open(path, durable=True)
        await put_twice(engine, {b"key": b"value"})
        engine.look(10)
        assert engine.trouble is None
        change(path)
        engine.look(10)
        assert engine.trouble is not None
        assert AWAY in engine.trouble
        with pytest.raises(StorageError, match=AWAY):
            await put(engine, {b"key": b"lost"})
        with pytest.raises(StorageError, match=AWAY):
            await engine.get([b"key"])
        await engine.close()

    asyncio.run(scenario())
    for left in (path, path.with_name("moved")):
        if left.exists():
            assert run(lmdb_durable, left, everything) == [(b"key", b"value")]


@pytest.mark.parametrize("change", [move, replace_by_a_copy])
def test_a_committer_takes_no_other_store_than_its_workers(tmp_path: Path, change: Callable[[Path], None]) -> None:
    path = tmp_path / "store"

    async def scenario() -> None:
        engine = LmdbEngine.open(path, durable=True)
        await put_twice(engine, {b"key": b"value"})
        committer_of(engine).kill()
        committer_of(engine).wait()
        change(path)
        with contextlib.suppress(StorageError):  # The killed one's.
            await put(engine, {b"key": b"lost"})
        with pytest.raises(StorageError, match=AWAY):
            await put(engine, {b"key": b"lost"})
        assert path.exists() == (change is not move)
        await engine.close()

    asyncio.run(scenario())
    assert run(lmdb_durable, path.with_name("moved"), everything) == [(b"key", b"value")]


def test_it_ends_with_its_engine(tmp_path: Path) -> None:
    async def scenario(engine: Engine) -> subprocess.Popen[bytes]:
        await put(engine, {b"key": b"value"})
        return committer_of(engine)

    assert run(lmdb_durable, tmp_path, scenario).returncode == 0


def test_a_committer_ends_when_its_worker_is_killed(tmp_path: Path) -> None:
    committer, told = pipe()
    process = start(write_until_killed, tmp_path, told)
    pid = committer.recv()
    process.kill()
    process.join()
    deadline = time.monotonic() + 60
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not Path(f"/proc/{pid}").exists()


def write_until_killed(path: Path, told: Connection) -> None:
    async def scenario(engine: Engine) -> None:
        await put(engine, {b"key": b"value"})
        told.send(committer_of(engine).pid)
        signal.pause()

    run(lmdb_durable, path, scenario)


def test_a_committer_that_died_at_rest_is_replaced(tmp_path: Path) -> None:
    async def scenario(engine: Engine) -> None:
        await put(engine, {b"before": b"value"})
        committer_of(engine).kill()
        committer_of(engine).wait()
        await asyncio.sleep(0.01)
        await put(engine, {b"after": b"value"})
        assert [key for key, _ in await everything(engine)] == [b"after", b"before"]

    run(lmdb_durable, tmp_path, scenario)


def test_a_batch_is_refused_when_its_committer_dies(tmp_path: Path) -> None:
    async def scenario(engine: Engine) -> None:
        await put_twice(engine, {b"before": b"value"})
        committer_of(engine).send_signal(signal.SIGSTOP)
        failing = [asyncio.ensure_future(put(engine, {key: b"value"})) for key in (b"lost", b"too")]
        await asyncio.sleep(0.01)
        committer_of(engine).kill()
        for put_of_two in failing:
            with pytest.raises(StorageError, match=r"^the process that commits has ended, perhaps after a commit$"):
                await put_of_two
        await put(engine, {b"after": b"value"})
        assert [key for key, _ in await everything(engine)] == [b"after", b"before"]

    run(lmdb_durable, tmp_path, scenario)


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_batch_that_is_larger_than_a_socket_takes_at_once(
    tmp_path: Path, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def scenario() -> None:
        engine = LmdbEngine.open(tmp_path, durable=True)
        async with asyncio.timeout(60):
            await put(engine, {b"large": bytes(8 * MIB)})
            assert await engine.get([b"large"]) == [bytes(8 * MIB)]
        await engine.close()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(scenario())


# Speed

MOST_READS = 500_000
"""The most reads beside 60 commits: fifteen seconds of reading. Mostly a hundredth is enough."""


def test_writes_go_on_beside_readers_that_keep_the_event_loop_busy(tmp_path: Path) -> None:
    async def scenario(engine: Engine) -> int:
        commits = reads = 0

        async def read() -> None:
            nonlocal reads
            while commits < 60 and reads < MOST_READS:
                reads += 1
                await engine.get([b"n"])
                busy = time.perf_counter() + 30e-6
                while time.perf_counter() < busy:
                    pass
                await asyncio.sleep(0)

        async def write() -> None:
            nonlocal commits
            while commits < 60 and reads < MOST_READS:
                commits = await increment(engine, b"n")

        await asyncio.gather(write(), *(read() for _ in range(16)))
        return reads

    assert run(lmdb_durable, tmp_path, scenario) < MOST_READS
