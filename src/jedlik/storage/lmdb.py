"""The embedded engine: LMDB 1.0, one file that any number of processes of a machine share.

LMDB is a copy-on-write B+tree in a memory map (Chu, "MDB: A Memory-Mapped Database", 2011): a reader holds a snapshot
and never waits, one writer at a time holds a lock that all processes honour, a commit is one sync of the new pages and
one of the page that points to them, and after a crash there is nothing to recover.

Reads are done on the event loop and never suspend. Mutations queue, and a batch of them (`batch.py`) goes like this:

    event loop      decide all over a snapshot                                     tell the callers, next batch
    commit thread                              lock, validate, write, sync, unlock

If another process has committed meanwhile, what was read is compared with what is there now, and if anything differs
the batch is decided again under the lock, so a batch never needs a third attempt. LMDB numbers its states: when the
write transaction's number follows the snapshot's, nothing has been committed between and nothing is compared.

The commit thread needs the interpreter lock between its calls, and a busy event loop starves it: the loop lets go of
the lock for a microsecond at each read and each poll, which the thread is too slow to use but which starts its wait
anew, so that it never comes to demand the lock. Beside 16 busy readers a write took 50 ms, and takes 4 with the switch
interval and the timer slack below. A store that need not be durable needs no thread: it commits on the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import TypeAlias, TypeVar

import lmdb

from jedlik.storage.batch import POSITION_SIZE, Batch, Mutation, counter, counter_value
from jedlik.storage.engine import Decide, Row, StorageError
from jedlik.storage.view import POSITION_KEY, View, view_of

T = TypeVar("T")
Snapshot: TypeAlias = "lmdb.Transaction[bytes]"

MAP_SIZE = 1 << 40
"""Bytes to which a store may grow. Address space only: the file is as large as its content."""

MAX_READERS = 1024
"""Processes that may share a store: each has one read transaction, open for the time of a call."""
_BATCH_MUTATIONS = 256
"""Beyond this a batch gets no cheaper by the mutation, and its decisions would hold up the event loop."""
_BATCH_BYTES = 4 << 20
"""Of values in a batch; it ends with the mutation that reaches this."""
_COMMITS_BETWEEN_READER_CHECKS = 1024
_SNAPSHOTS = 10
"""How many are tried for a read. In a hundred thousand reads beside writers that never rest, one needs a second."""

_SWITCH_INTERVAL = 10e-6
"""Seconds that the commit thread waits for the interpreter lock before it demands it: less than passes between two
reads on the event loop. At 20 and more it starves, at 5 and less it wakes so often that it delays the loop. It holds
for all threads of the process."""
_TIMER_SLACK = "1"
"""Nanoseconds by which the kernel may prolong that wait; 50,000 where nothing is said."""

FORMAT_KEY = b"\x00format"
FORMAT = b"1"
"""Of what this module keeps in a store."""
_FIRST_KEY = b"\x01"
"""Where the keys begin that are not the engine's own."""

_log = logging.getLogger(__name__)


class LmdbEngine:
    """A store in a directory. Made by `open`; a child of a fork must open its own."""

    def __init__(self, path: Path, durable: bool, map_size: int) -> None:
        self._path = path
        self._durable = durable
        self._map_size = map_size
        self._environment = _open_environment(path, durable, map_size)
        self._longest_key = self._environment.max_key_size()
        self._queue: deque[Mutation] = deque()
        self._closing = False
        self._idle = asyncio.Event()
        """Set while no batch is due, being decided or being committed."""
        self._idle.set()
        self._commits = 0
        self._batches: SimpleQueue[Batch | None] = SimpleQueue()
        """Decided batches for the commit thread; None ends it."""
        self._thread: threading.Thread | None = None
        if durable:
            sys.setswitchinterval(_SWITCH_INTERVAL)
            self._thread = threading.Thread(target=self._commit_batches, name="commit", daemon=True)
            self._thread.start()

    @classmethod
    def open(cls, path: str | os.PathLike[str], durable: bool, map_size: int = MAP_SIZE) -> LmdbEngine:
        """The store in the directory `path`, which is made if need be.

        Unless `durable`, nothing is synced: the store outlives the process, but not surely the machine. `map_size` is
        the most bytes that it may take. Raises StorageError if the directory cannot be used, or holds something else
        than a store that this version reads.
        """
        return cls(Path(path), durable, map_size)

    async def get(self, keys: Sequence[bytes], consistent: bool = True) -> list[bytes | None]:
        """The values of `keys` in one snapshot. Never suspends; there are no replicas, so it is always consistent."""
        return self._read(lambda snapshot: list(map(snapshot.get, keys)))

    async def range(
        self,
        start: bytes,
        end: bytes,
        limit: int,
        max_bytes: int,
        reverse: bool = False,
        consistent: bool = True,
    ) -> list[Row]:
        """The rows with start <= key < end in one snapshot. Never suspends, and is always consistent."""
        start = max(start, _FIRST_KEY)
        if start >= end or limit <= 0:
            return []
        return self._read(lambda snapshot: _rows(snapshot, start, end, limit, max_bytes, reverse))

    def mutate(self, keys: Sequence[bytes], decide: Decide[T]) -> asyncio.Future[T]:
        """Run a mini-transaction, together with the others that are called before the event loop comes round."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if self._closing:
            future.set_exception(StorageError(f"the store in {self._path} is closed"))
            return future
        self._queue.append(Mutation(keys, decide, future))
        if self._idle.is_set():
            self._idle.clear()
            loop.call_soon(self._start_batch)
        return future

    @contextlib.contextmanager
    def view(self) -> Iterator[View]:
        """The store as it is now, to be read at length (`storage.view`). Raises StorageError."""
        with view_of(self._environment) as view:
            yield view

    async def close(self) -> None:
        """Wait for the mutations in flight and release the store."""
        self._closing = True
        await self._idle.wait()
        if self._thread is not None:
            self._batches.put(None)
            self._thread.join()
            self._thread = None
        self._environment.close()

    def _read(self, query: Callable[[Snapshot], T]) -> T:
        """What `query` finds in a snapshot.

        LMDB gives a reader the number of the last state first and the root of the tree after it. If the reader is held
        up in between, two commits long, the root is a later one, and the pages then look too new for the number.
        Nothing is damaged: another snapshot will do.
        """
        for _ in range(_SNAPSHOTS):
            try:
                with self._environment.begin() as snapshot:
                    return query(snapshot)
            except (lmdb.CorruptedError, lmdb.PageNotFoundError) as error:
                reason: lmdb.Error = error
            except lmdb.Error as error:
                reason = error
                break
        raise _storage_error(reason)

    # On the event loop

    def _start_batch(self) -> None:
        """Decide what is queued, up to the limits of a batch, and have it committed."""
        try:
            batch = self._read(self._decide_queue)
        except StorageError as error:
            self._refuse_queue(error)
            return
        if not batch.members:
            self._end_batch(batch)
        elif self._durable:
            self._batches.put(batch)
        else:
            self._commit(batch)
            batch.loop.call_soon(self._end_batch, batch)

    def _decide_queue(self, snapshot: Snapshot) -> Batch:
        """Decide mutations and take them off the queue; none if the snapshot cannot be read."""
        batch = Batch(asyncio.get_running_loop(), snapshot.id(), self._longest_key)
        decided = 0
        for mutation in self._queue:
            if len(batch.members) == _BATCH_MUTATIONS or batch.size >= _BATCH_BYTES:
                break
            if not mutation.future.done():
                batch.add(mutation, snapshot.get)
            decided += 1
        for _ in range(decided):
            self._queue.popleft()
        return batch

    def _end_batch(self, batch: Batch) -> None:
        """Tell the callers what became of a batch; but first keep the disk busy with the next one."""
        if batch.failure is not None:
            _log.error("a commit failed", exc_info=batch.failure)
            self._recover()
        if self._queue:
            self._start_batch()
        else:
            self._idle.set()
        for mutation in batch.members:
            if batch.failure is not None:
                mutation.error = _storage_error(batch.failure)
            mutation.resolve()

    def _refuse_queue(self, reason: StorageError) -> None:
        """Fail all that is queued, because there is no snapshot to be had."""
        _log.error("the store cannot be read", exc_info=reason)
        refused, self._queue = self._queue, deque()
        self._idle.set()
        self._recover()
        for mutation in refused:
            mutation.error = _storage_error(reason)
            mutation.resolve()

    def _recover(self) -> None:
        """Open the store anew if it refuses to be read.

        LMDB does so after it failed to write the page that makes a commit valid, until it is opened anew.
        """
        try:
            self._environment.begin().abort()
        except lmdb.Error:
            self._environment.close()
            try:
                self._environment = _open_environment(self._path, self._durable, self._map_size)
            except StorageError:
                # Mutations go on failing, and each tries this again.
                _log.exception("the store could not be opened again")

    # In the commit thread, or on the event loop if the store is not durable

    def _commit_batches(self) -> None:
        # Where this file is missing (it is Linux's) commits wait longer for the interpreter lock.
        with contextlib.suppress(OSError):
            Path(f"/proc/{threading.get_native_id()}/timerslack_ns").write_text(_TIMER_SLACK)
        while (batch := self._batches.get()) is not None:
            self._commit(batch)
            batch.loop.call_soon_threadsafe(self._end_batch, batch)

    def _commit(self, batch: Batch) -> None:
        """Validate a batch, write it and sync."""
        try:
            if self._commits % _COMMITS_BETWEEN_READER_CHECKS == 0:
                # Processes that were killed in the middle of a read keep old pages from being used again.
                self._environment.reader_check()
            self._commits += 1
            with self._environment.begin(write=True) as transaction:
                if transaction.id() != batch.snapshot + 1 and batch.is_stale(transaction.get):
                    batch.decide_again(transaction.get)
                _write(batch, transaction)
        except Exception as error:
            batch.failure = error


def _rows(snapshot: Snapshot, start: bytes, end: bytes, limit: int, max_bytes: int, reverse: bool) -> list[Row]:
    """The rows of a range that is not empty; `limit` is positive."""
    rows: list[Row] = []
    size = 0
    with snapshot.cursor() as cursor:
        if not reverse:
            found = cursor.set_range(start)
        elif cursor.set_range(end):
            found = cursor.prev()
        else:
            found = cursor.last()
        # An iterator begins at an end of the store if the cursor is nowhere.
        if not found:
            return rows
        for row in cursor.iterprev() if reverse else cursor.iternext():
            key, value = row
            if not start <= key < end:
                break
            rows.append(row)
            size += len(value)
            if len(rows) == limit or size >= max_bytes:
                break
    return rows


def _write(batch: Batch, transaction: lmdb.Transaction[bytes]) -> None:
    """Put what a batch writes into a transaction."""
    puts: list[Row] = []
    for key, change in batch.changes.items():
        if change is None:
            transaction.delete(key)
        elif isinstance(change, int):
            puts.append((key, counter_value(counter(transaction.get(key)) + change)))
        else:
            puts.append((key, change))
    if batch.appends:
        position = int.from_bytes(transaction.get(POSITION_KEY) or b"", "big")
        for log, entry in batch.appends:
            position += 1
            puts.append((log + position.to_bytes(POSITION_SIZE, "big"), entry))
        puts.append((POSITION_KEY, position.to_bytes(POSITION_SIZE, "big")))
    transaction.cursor().putmulti(puts)


def _open_environment(path: Path, durable: bool, map_size: int) -> lmdb.Environment:
    """The LMDB environment in the directory `path`, made if need be, with its format checked."""
    try:
        new = [directory for directory in (path, *path.parents) if not directory.exists()]
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        environment = lmdb.open(
            str(path),
            map_size=map_size,
            mode=0o700,
            sync=durable,
            metasync=durable,
            # Keys are hashed: the page after the one that is read is rarely wanted.
            readahead=False,
            max_readers=MAX_READERS,
            # A read transaction keeps its place in the reader table, whose lock all processes share, for the next one.
            max_spare_txns=1,
            lib_version=1,
        )
        try:
            _check_format(environment)
            if durable:
                sync_directories([path, *(directory.parent for directory in new)])
        except BaseException:
            environment.close()
            raise
    except (lmdb.InvalidError, lmdb.VersionMismatchError, lmdb.CorruptedError, lmdb.PageNotFoundError) as error:
        raise StorageError(f"{path} holds no store that this version reads, or a damaged one: {error}") from error
    except (lmdb.Error, OSError) as error:
        raise StorageError(f"cannot open the store in {path}: {error}") from error
    return environment


def _check_format(environment: lmdb.Environment) -> None:
    """Mark a new store with the format of what this module keeps in it; refuse another's."""
    with environment.begin() as snapshot:
        found = snapshot.get(FORMAT_KEY)
    if found is None:
        with environment.begin(write=True) as transaction:
            found = transaction.get(FORMAT_KEY)
            if found is None and transaction.stat()["entries"] == 0:
                transaction.put(FORMAT_KEY, FORMAT)
                found = FORMAT
    refuse_other_format(environment.path(), found)


def refuse_other_format(path: str, found: bytes | None) -> None:
    """Raises StorageError unless `found`, read under `FORMAT_KEY`, is the format that this version reads."""
    if found != FORMAT:
        raise StorageError(f"{path} holds a store of another format: {found!r} where {FORMAT!r} is read")


def sync_directories(directories: list[Path]) -> None:
    """See to it that what was made in `directories` is still there after a power failure."""
    for directory in directories:
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _storage_error(cause: Exception) -> StorageError:
    """What callers get for what went wrong beneath. One for each caller, as raising an exception changes it."""
    error = StorageError(str(cause))
    error.__cause__ = cause
    return error
