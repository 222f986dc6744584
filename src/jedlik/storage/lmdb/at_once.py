"""Commits that a worker makes itself, on its event loop, while nobody else is kept waiting by that.

To ask the committer takes two messages and two wake-ups, which is nothing beside many requests, but much of the time of
a request that is alone: on a machine with little to do, each wake-up takes as long as half a sync. So a worker whose
client writes one item after the other commits them at once. It leaves to its committer whatever others would notice:

- batches of several mutations, and large ones;
- those that come beside reads, for these would wait until it is synced;
- for a while all, after a commit that took long or failed: the disk is slow, or others hold LMDB's lock;
- what needs a checkpoint. Checkpoints and the pins on their pages (`checkpoints`) remain the committer's. The worker
  relies on what its committer knows to be on the disk, which is told with each answer (`Journal.trust`). When the
  journal has another checkpoint than that, or the committer's pin is not there, the committer has the next batch.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import lmdb

from jedlik.storage.lmdb.changes import packed
from jedlik.storage.lmdb.commits import Decided, commit, take_back
from jedlik.storage.lmdb.journal import Journal

if TYPE_CHECKING:
    from jedlik.storage.batch import Batch, Read

_LARGEST = 16 << 10
"""Bytes of a batch. With more, to write it takes longer than to ask for it."""
_READS = 1
"""Since the last batch, with which the worker seems to have one client only: one that reads before it writes."""
_LONG_SECONDS = 0.001
"""Of a commit: mostly it takes a tenth of that."""
_LEFT_AFTER_OTHERS = 8
"""Batches that are left to the committer after one that was not alone. With some clients, now and then one is."""
_LEFT_AFTER_A_LONG_ONE = 32
"""Batches that are left to the committer after a commit that took long, or failed: so a slow disk holds up the event
loop for a small part of the time."""


class CommitsAtOnce:
    """Those of one worker to one store."""

    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        self._journal = Journal(path)
        self._left = 0
        """Batches to be left to the committer."""

    def trust(self, checkpoint: int) -> None:
        """Rely on the disk having a checkpoint, as its committer says."""
        self._journal.trust(checkpoint)

    def takes(self, batch: Batch, waiting: int, reads: int) -> bool:
        """Whether a batch is to be committed at once. Asked of each, as what comes beside one tells of the next.

        `waiting` mutations were there to be decided, and since the batch before there have been `reads`.
        """
        if waiting > 1 or reads > _READS or batch.size > _LARGEST:
            self._left = max(self._left, _LEFT_AFTER_OTHERS)
        if self._left:
            self._left -= 1
            return False
        return True

    def commit(self, environment: lmdb.Environment, committer: int, batch: Batch) -> bool:
        """Commit a batch; False, having changed nothing, if the committer must, whose process id is `committer`.

        Raises StorageError, lmdb.Error and OSError, having changed nothing.
        """

        def decide_again(read: Read) -> bytes:
            batch.decide_again(read)
            return packed(batch.changes, batch.appends, batch.time)

        decided = Decided(batch.snapshot, batch.reads, packed(batch.changes, batch.appends, batch.time))
        began = time.perf_counter()
        self._left = _LEFT_AFTER_A_LONG_ONE
        done = commit(environment, self._journal, committer, decided, decide_again)
        if time.perf_counter() - began < _LONG_SECONDS:
            self._left = 0
        return done

    def take_back(self, environment: lmdb.Environment) -> None:
        """Take back the last record of the journal if LMDB has not committed it (`commits.take_back`)."""
        take_back(environment, self._journal)

    def close(self) -> None:
        """Release the journal."""
        self._journal.close()
