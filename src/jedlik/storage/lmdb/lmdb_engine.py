"""The embedded engine: LMDB, one file that any number of processes of a machine share (`environment.py`).

Reads are in `lmdb_reader`. Mutations queue, and a batch of them (`batch.py`) goes like this:

    worker's event loop     decide all over a snapshot                            answer the callers, next batch
    committer's process                                lock, validate, journal, commit, unlock

If another worker has committed meanwhile, what was read is compared with what is there now, and if anything differs the
batch is decided again while the lock is held (`commits.py`). While a worker has one client only, it does without its
committer (`at_once.py`). A store that need not be durable has nothing to wait for: its batches are always decided and
committed on the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar, cast

import lmdb

from jedlik.clock import Clock, system_clock
from jedlik.storage.batch import Batch, Call
from jedlik.storage.engine import DamagedValue, Decide, Scrubbed, StorageError
from jedlik.storage.lmdb.at_once import CommitsAtOnce
from jedlik.storage.lmdb.changes import packed, write
from jedlik.storage.lmdb.checksums import is_damaged, reading
from jedlik.storage.lmdb.coherence import Extent
from jedlik.storage.lmdb.commit_troubles import CommitTroubles
from jedlik.storage.lmdb.commits import changed, has_panicked
from jedlik.storage.lmdb.committer import Committer
from jedlik.storage.lmdb.committer_messages import DONE, STALE, Message
from jedlik.storage.lmdb.environment import MAP_SIZE, NoEnvironment
from jedlik.storage.lmdb.lmdb_pages import DATA
from jedlik.storage.lmdb.lmdb_reader import LmdbReader
from jedlik.storage.lmdb.scrub import Scrub
from jedlik.storage.lmdb.scrub_progress import Progress
from jedlik.storage.lmdb.snapshots import Snapshot, read_in, storage_error
from jedlik.storage.lmdb.store import open_store, refuse_other_files
from jedlik.storage.lmdb.view import View, view_of

T = TypeVar("T")

_BATCH_MUTATIONS = 256
"""With more mutations, a batch gets no cheaper per mutation, and its decisions would block the event loop."""
_BATCH_BYTES = 4 << 20
"""Bytes of values in a batch; it ends with the mutation that reaches this."""
_TRIES = 100
"""Damaged values that one batch may do without. Each is found by a commit that fails."""
_LOOKS_OF_PATIENCE = 5
"""Checks at which a commit is still unanswered, before that counts as trouble."""

_log = logging.getLogger(__name__)


class LmdbEngine(LmdbReader):
    """A store in a directory. Made by `open`; a child of a fork must open its own."""

    def __init__(self, path: Path, durable: bool, map_size: int, extent: Extent) -> None:
        self._path = path
        self._map_size = map_size
        self._store = open_store(path, durable, map_size, extent)
        super().__init__(self._store.environment, path / DATA)
        self.clock: Clock = system_clock
        """What entries of logs are dated by."""
        self._longest_key = self._environment.max_key_size()
        self._queue: deque[Call] = deque()
        self._ended: str | None = None
        """Why no mutation is taken any more."""
        self._idle = asyncio.Event()
        """Set while no batch is due, being decided or being committed."""
        self._idle.set()
        self._batch: Batch | None = None
        """What is being committed."""
        self._committer: Committer | None = None
        """Started with the first batch, and again after it was ended."""
        self.committers_started = 0
        """How many there have been."""
        self._at_once: CommitsAtOnce | None = None
        self._troubles = CommitTroubles(self._path)
        self._ending: set[asyncio.Task[None]] = set()
        """Committers that are no longer needed."""
        self._damaged: set[bytes] = set()
        """Keys of values that commits could not read lately (`_try_without`)."""
        self._scrub = Scrub(path) if durable else None
        """None for a store that is not meant to last."""
        if self._scrub is not None:
            self._heed(self._scrub.progress())
        if durable:
            try:
                self._at_once = CommitsAtOnce(path)
            except OSError as error:
                self._store.close()
                raise storage_error(error) from error

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], durable: bool, map_size: int = MAP_SIZE, extent: Extent = Extent.SMALL
    ) -> LmdbEngine:
        """The store in the directory `path`, which is made if need be; `map_size` is the most bytes that it may take.

        Unless `durable`, nothing is synced: the store outlives the process, but not surely the machine. `extent` is
        which pages are checked first. Raises StorageError if the directory cannot be used, or holds something that is
        no store of this version, or a damaged one.
        """
        return cls(Path(path), durable, map_size, extent)

    def mutate(self, keys: Sequence[bytes], decide: Decide[T]) -> asyncio.Future[T]:
        """Run a mini-transaction, together with others that come in the same round of the event loop, or `at_once`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if self._ended is not None:
            future.set_exception(StorageError(self._ended))
            return future
        self._queue.append(Call(keys, decide, future))
        at_once = self._at_once
        if self._idle.is_set():
            self._idle.clear()
            if self._committer is not None and at_once is not None and at_once.expects_no_others(loop, self._reads):
                self._start_batch()
            else:
                loop.call_soon(self._start_batch)
        return future

    def scrub_is_due(self, now: float) -> bool:
        """Whether a pass over all values is to begin or to go on."""
        return self._scrub is not None and self._scrub.progress().is_due(now)

    def scrub(self, now: float) -> Scrubbed:
        """Read the values of a pass on for a piece (`scrub.Scrub`)."""
        if self._scrub is None:
            return Scrubbed(0, 0, (), False)
        try:
            found = self._scrub.read_piece(self._environment, now)
        except lmdb.Error as error:
            raise storage_error(error) from error
        self._heed(self._scrub.progress())
        return found

    @property
    def committer(self) -> int | None:
        """The process that commits, if one was needed so far."""
        return None if self._committer is None else self._committer.pid

    def _heed(self, progress: Progress) -> None:
        """Use the store no more if its pages were found damaged: every answer could be wrong."""
        if progress.page_damage is not None:
            self._give_up(
                f"{self._path / DATA} is damaged: {progress.page_damage}. The store is used no more: stop the server "
                "and put back a copy of the store. `jedlik check --pages` lists all that is wrong"
            )

    def _give_up(self, reason: str) -> None:
        """Use the store no more."""
        if self._ended is None:
            self._ended = reason
            _log.error("%s", reason)
            self._environment = cast("lmdb.Environment", NoEnvironment(reason))
            self.end_committer()

    def _look_at_files(self) -> None:
        """Give the store up if its files were moved or replaced: others who open it would not see our writes."""
        try:
            with contextlib.suppress(OSError):  # Where the disk does not answer, reads and commits find that out.
                refuse_other_files(self._path, self._store.files)
        except StorageError as error:
            self._give_up(str(error))

    @property
    def trouble(self) -> str | None:
        """The reason why writes fail, as far as is known."""
        if self._ended is not None:
            return self._ended
        if self._committer is not None and self._committer.unanswered_looks >= _LOOKS_OF_PATIENCE:
            return "commits are not answered"
        failure = self._troubles.failure
        return None if failure is None else f"commits fail: {failure}"

    def look(self, most: int) -> None:
        """Kill the committer if it has not answered the same question at more than `most` looks, one a second. Look
        after the files and the check of their pages, too."""
        self._look_at_faults()
        if self._at_once is not None:
            self._look_at_files()
        if self._committer is not None:
            self._committer.look()
            if self._committer.unanswered_looks >= most:
                _log.error("the process that commits to the store in %s does not answer and is killed", self._path)
                self._committer.kill()
        if self._scrub is not None:
            self._scrub.look()
            self._heed(self._scrub.progress())

    @property
    def quiet_looks(self) -> int | None:
        """For how many looks in a row the committer has had nothing to do; None without a committer."""
        return None if self._committer is None else self._committer.quiet_looks

    def end_committer(self) -> None:
        """Begin to end the committer, unless it has something to do. The next commit that needs one starts another."""
        if self._committer is not None and self._idle.is_set() and not self._committer.ended:
            task = asyncio.get_running_loop().create_task(self._committer.end())
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
            self._committer = None

    @contextlib.contextmanager
    def view(self) -> Iterator[View]:
        """The store as it is now, to be read at length (`lmdb.view`). Raises StorageError."""
        with view_of(self._environment) as view:
            yield view

    async def close(self) -> None:
        """Wait for the mutations in flight and release the store."""
        self._ended = f"the store in {self._path} is closed"
        await self._idle.wait()
        committer, self._committer = self._committer, None
        if committer is not None:
            await committer.end()
        await asyncio.gather(*self._ending)
        if self._at_once is not None:
            self._at_once.close()
        if self._scrub is not None:
            self._scrub.close()
        self._cold.end_threads()
        self._store.close()

    # On the event loop

    def _start_batch(self) -> None:
        """Decide queued mutations, up to the limits of a batch, and commit them."""
        waiting = len(self._queue)
        reads = self._reads_since_batch()
        try:
            batch = read_in(self._environment, self._decide_queue)
        except Exception as error:  # Also a MemoryError: others must not wait for ever behind it.
            self._refuse_queue(storage_error(error))
            return
        if not batch.members:
            self._end_batch(batch)
        elif not self._commit_here(batch, waiting, reads):
            self._commit(batch)

    def _decide_queue(self, snapshot: Snapshot) -> Batch:
        """Decide mutations and take them off the queue; none if the snapshot cannot be read."""
        if self._damaged:  # Somebody may have written it since.
            self._damaged = {key for key in self._damaged if is_damaged(key, snapshot.get(key))}
        batch = Batch(snapshot.id(), self._longest_key, round(self.clock() * 1e6), frozenset(self._damaged))
        read_value = reading(snapshot.get)
        decided = 0
        for mutation in self._queue:
            if len(batch.members) == _BATCH_MUTATIONS or batch.size >= _BATCH_BYTES:
                break
            if not mutation.future.done():
                batch.add(mutation, read_value)
            decided += 1
        for _ in range(decided):
            self._queue.popleft()
        return batch

    def _end_batch(self, batch: Batch, failure: Exception | None = None) -> None:
        """Resolve the callers' futures of a batch; but first keep the disk busy with the next one."""
        if isinstance(failure, DamagedValue) and self._try_without(failure.key, batch):
            return
        if self._queue:
            self._start_batch()
        else:
            self._idle.set()
        if batch.members:
            self._troubles.take_note(failure)
        for mutation in batch.members:
            if failure is not None:
                mutation.error = storage_error(failure)
            mutation.resolve()

    def _try_without(self, key: bytes, batch: Batch) -> bool:
        """Decide a batch once more whose commit found a damaged value, so that only those fail that need it.

        Commits read values that no mutation names: the counters that are added to, and the position of the last entry
        of any log. False if it has been tried before.
        """
        if key in batch.damaged or max(mutation.tries for mutation in batch.members) >= _TRIES:
            return False
        for mutation in batch.members:
            mutation.tries += 1
        _log.error("what needs a damaged value fails: %s", DamagedValue(key), extra={"store": str(self._path)})
        self._damaged.add(key)
        self._queue.extendleft(reversed(batch.members))
        self._start_batch()
        return True

    def _refuse_queue(self, reason: StorageError) -> None:
        """Fail all that is queued, because there is no snapshot to be had."""
        refused, self._queue = self._queue, deque()
        self._idle.set()
        if self._ended is None:
            _log.error("the store cannot be read", exc_info=reason)
            if has_panicked(self._environment):
                self._reopen()
        for mutation in refused:
            mutation.error = storage_error(reason)
            mutation.resolve()

    def _commit(self, batch: Batch) -> None:
        """Ask the committer to write and sync a batch."""
        self._batch = batch
        if self._committer is not None and self._committer.ended:
            self._committer.close()
            self._committer = None
        if self._committer is None:
            loop = asyncio.get_running_loop()
            try:
                self._committer = Committer(self._path, self._store.files, self._map_size, loop, self._take_answer)
                self.committers_started += 1
            except OSError as error:
                loop.call_soon(self._end_batch, batch, error)
                return
        changes = packed(batch.changes, batch.appends, batch.time)
        self._committer.ask((batch.snapshot, batch.reads, tuple(batch.overlaid), changes))

    def _take_answer(self, answer: Message) -> None:
        """Act on the committer's answer about the batch."""
        assert self._batch is not None
        assert self._committer is not None
        batch = self._batch
        if answer[0] == STALE:
            found = answer[1]
            batch.decide_again(found.__getitem__)
            self._committer.ask(packed(batch.changes, batch.appends, batch.time))
            return
        self._batch = None
        if answer[0] == DONE:
            _, checkpoint, failure = answer
            assert self._at_once is not None
            try:
                self._at_once.trust(checkpoint)
            except (OSError, StorageError) as error:
                # The batch is committed. But another version of Jedlik may have given the journal its own form.
                self._end_batch(batch, error)
                return
            self._troubles.take_note_of_checkpoints(failure)
            self._end_batch(batch)
        else:
            # A process that cannot be killed yet may hold the lock. Then the next commit does this instead.
            if self._committer.ended and not self._committer.lingers:
                self._take_back()
            self._end_batch(batch, DamagedValue(answer[3]) if answer[3] else StorageError(answer[1]))

    def _take_back(self) -> None:
        """Remove what a failed commit, or a dead committer, has left, so that it cannot appear later."""
        assert self._at_once is not None
        try:
            self._at_once.take_back(self._environment)
        except (lmdb.Error, OSError, StorageError):
            _log.exception("what was left of a commit to the store in %s could not be taken back", self._path)

    def _commit_here(self, batch: Batch, waiting: int, reads: int) -> bool:
        """Commit a batch on the event loop, and resolve the callers' futures. Returns False, having done nothing, if
        the committer must do it.

        `waiting` mutations were there to be decided, and since the batch before there have been `reads`.
        """
        at_once, committer = self._at_once, self._committer
        failure: Exception | None = None
        try:
            if at_once is None:
                self._write(batch)
            elif (
                not at_once.takes(batch, waiting, reads)
                or committer is None
                or committer.ended
                or not at_once.commit(self._environment, committer.pid, batch)
            ):
                return False
        except Exception as error:
            failure = error
            if has_panicked(self._environment):
                self._reopen()
                if at_once is not None:
                    self._take_back()
        if self._queue:
            asyncio.get_running_loop().call_soon(self._end_batch, batch, failure)
        else:
            self._end_batch(batch, failure)
        return True

    def _write(self, batch: Batch) -> None:
        """Write a batch without syncing it. Raises lmdb.Error."""
        with self._environment.begin(write=True) as transaction:
            if changed(batch.snapshot, batch.reads, transaction):
                batch.decide_again(reading(transaction.get))
            write(packed(batch.changes, batch.appends, batch.time), transaction)

    def _reopen(self) -> None:
        """Open the environment again, since LMDB refuses to go on with the open one."""
        try:
            self._cold.end_threads()
            self._environment.close()
            self._store.reopen(self._path, self._map_size)
            self._environment = self._store.environment
        except StorageError:
            # Mutations go on failing, and each tries this again.
            _log.exception("the store could not be opened again")
