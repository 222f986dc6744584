"""Threads read from the disk what is not in memory, so that the event loop does not stand still meanwhile.

Whether a page is in memory shows only when it is read. So nothing is asked of the reads of a store that is in memory:
once a second it is counted how often the event loop has waited for the disk (its major page faults). Where that is
more than every fourth read, reads are expected to be cold: a thread makes each first, whose pages are then in memory,
and the loop makes it again. What a thread finds it drops, because only the loop's read has a meaning. A key that was
read lately is not cold, so those who ask for it do not wait behind others. Once the threads seldom wait, reads are made
on the loop alone again.

The reads of one turn of the loop go to the threads together. That costs 10 microseconds of processor time for each, and
30 to 50 where each is handed over by itself. With more threads the loop is interrupted more often and no faster.
"""

from __future__ import annotations

import asyncio
import resource
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import TypeAlias

import lmdb

from jedlik.storage.engine import StorageError
from jedlik.storage.lmdb.snapshots import Snapshot

Touch: TypeAlias = Callable[[Snapshot], object]
"""Reads what another read is going to, so that it is in memory then."""
Group: TypeAlias = list[tuple[Touch, asyncio.Future[None]]]

_OF_THIS_THREAD = getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)
"""Only Linux counts threads apart."""

THREADS = 4
SMALLEST = 64 << 20
"""Bytes of a store below which nothing is expected to be cold: one that small is soon in memory as a whole."""
MOST_FAULTS = 50
"""Waits for the disk in a second that are too few to do anything: 10 milliseconds, at most."""
REMEMBERED = 1 << 15
"""Keys, of some 60 bytes each; twice as many are known at most."""
MANY = 0.25
FEW = 0.1
"""Shares of the reads that wait for the disk, from which on and down to which they are expected to be cold."""


def faults() -> int:
    """How often this thread has waited for a page from the disk."""
    return resource.getrusage(_OF_THIS_THREAD).ru_majflt


class ColdReads:
    """Those of one store, in one process."""

    def __init__(self, data: Path) -> None:
        self.are_expected = False
        """Whether reads go to the threads first."""
        self._data = data
        self._faults = 0
        """Those of the event loop, when they were last looked at."""
        self._environment: lmdb.Environment | None = None
        self._queue: SimpleQueue[Group | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._waiting: Group = []
        """The reads of this turn of the loop."""
        self._under_way = 0
        """Reads that the threads have."""
        self._recent: set[bytes] = set()
        self._before: set[bytes] = set()
        """Keys with which the last reads of the threads begin: what they read is in memory."""
        self._touched = 0
        self._waited = 0
        """The reads of the threads since the last look, and how often these waited for the disk."""

    def look(self, reads: int) -> None:
        """Once a second, on the event loop: find out whether reads are cold, given how many there have been."""
        before, self._faults = self._faults, faults()
        touched, self._touched = self._touched, 0
        waited, self._waited = self._waited, 0
        if self.are_expected:
            self.are_expected = waited > touched * FEW
            if not self.are_expected:
                self._recent, self._before = set(), set()
        elif self._faults - before > max(MOST_FAULTS, reads * MANY):
            self.are_expected = self._data.stat().st_size >= SMALLEST

    def must_be_touched(self, key: bytes) -> bool:
        """Whether a read that begins with a key is to be made by a thread first. Asked only where cold reads are
        expected."""
        return key not in self._recent and key not in self._before

    async def touched(self, environment: lmdb.Environment, key: bytes, touch: Touch) -> None:
        """Wait until a thread has made a read that begins with a key."""
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._hand_over)
        self._waiting.append((touch, done))
        self._environment = environment
        await done
        self._recent.add(key)
        if len(self._recent) >= REMEMBERED:
            self._recent, self._before = set(), self._recent

    def _hand_over(self) -> None:
        """Give the reads of a turn to the threads, to each about as many."""
        waiting, self._waiting = self._waiting, []
        if len(waiting) == 1 and not self._under_way:  # Nobody else waits: the loop may do it.
            self._are_done(waiting, None)
            return
        self._under_way += len(waiting)
        if not self._threads:
            loop = asyncio.get_running_loop()
            self._threads = [
                threading.Thread(target=self._work, args=(loop, self._queue), daemon=True) for _ in range(THREADS)
            ]
            for thread in self._threads:
                thread.start()
        groups = min(THREADS, len(waiting))
        for number in range(groups):
            self._queue.put(waiting[number::groups])

    def end_threads(self) -> None:
        """Wait until no thread uses the store. The next cold read starts others."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
        self._threads = []

    def _work(self, loop: asyncio.AbstractEventLoop, queue: SimpleQueue[Group | None]) -> None:
        """A thread: make reads until there are no more."""
        seen = faults()
        while (group := queue.get()) is not None:
            environment = self._environment
            # Whatever is wrong with the store or with the state that it was in, the loop's own read meets it, too.
            with suppress(lmdb.Error, StorageError):
                if environment is not None:
                    with environment.begin() as snapshot:
                        for touch, _ in group:
                            touch(snapshot)
            before, seen = seen, faults()
            loop.call_soon_threadsafe(self._are_done, group, seen - before)

    def _are_done(self, group: Group, waited: int | None) -> None:
        """Let the loop make these reads. The threads have waited for the disk so often; None if they had none."""
        if waited is not None:
            self._under_way -= len(group)
            self._touched += len(group)
            self._waited += waited
        for _, done in group:
            if not done.done():
                done.set_result(None)
