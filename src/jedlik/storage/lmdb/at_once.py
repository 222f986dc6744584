"""Commits that a worker makes itself, on its event loop, as long as no other request has to wait for that.

Asking the committer takes two messages and two wake-ups. Among many requests that is nothing, but it is much of the
time of a single one: on a machine with little to do, each wake-up takes as long as half a sync. So a worker whose
client writes one item after the other commits them at once, in the very step of the event loop in which each comes:
nobody else's mutation is there to be waited for. It leaves to its committer every commit that other requests would
notice:

- batches of several mutations, and large ones;
- batches that arrive together with reads, which would have to wait for the sync;
- for a while every batch, after a commit that took long or failed: the disk is slow, or another process holds LMDB's
  lock;
- batches that need a checkpoint. Only the committer makes checkpoints and pins their pages (`checkpoints`). With each
  answer, it reports the last checkpoint that it knows to be on the disk, and the worker relies on that
  (`Journal.trust`). If the journal has another checkpoint, or the committer's pin is missing, the committer gets the
  next batch.
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
    from asyncio import AbstractEventLoop

    from jedlik.storage.batch import Batch, Read

_LARGEST = 16 << 10
"""Bytes of a batch. Writing a larger one takes longer than asking the committer."""
_READS = 1
"""Reads since the last batch, with which the worker still seems to have one client only. It reads before it writes."""
_LONG_SECONDS = 0.002
"""Seconds of a commit that took long. Most take a tenth of that."""
_LEFT_AFTER_OTHERS = 8
"""Batches that are left to the committer after one that was not alone: even with several clients, a batch is alone now
and then."""
_LEFT_AFTER_A_LONG_ONE = 4
_LEFT_AFTER_MANY = 32
"""Batches that are left to the committer after a commit that took long, or failed: more after each further one, up to
the second number. So a slow disk holds up the event loop for a small part of the time, and a rare hiccup of a fast one
costs little."""


class CommitsAtOnce:
    """Those of one worker to one store."""

    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        self._journal = Journal(path)
        self._left = 0
        """Batches to be left to the committer."""
        self._left_after_next = _LEFT_AFTER_A_LONG_ONE
        """How many if the next commit takes long."""
        self._had_turn = False
        """A mutation has not waited for others in this round of the event loop."""

    def trust(self, checkpoint: int) -> None:
        """Rely on the committer's report that a checkpoint is on the disk."""
        self._journal.trust(checkpoint)

    def expects_no_others(self, loop: AbstractEventLoop, reads: int) -> bool:
        """Whether a mutation that finds nothing queued is decided and committed in this very step, without a round of
        the event loop to gather others. `reads` as for `takes`.

        If another one comes in the same round, the client is not alone.
        """
        if self._had_turn:
            self._left = max(self._left, _LEFT_AFTER_OTHERS)
            return False
        if self._left or reads > _READS:
            return False
        self._had_turn = True
        loop.call_soon(self._end_round)
        return True

    def _end_round(self) -> None:
        self._had_turn = False

    def takes(self, batch: Batch, waiting: int, reads: int) -> bool:
        """Whether to commit a batch at once. Call it for every batch: what arrives with one predicts the next.

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
        before, self._left = self._left_after_next, self._left_after_next
        self._left_after_next = min(before * 2, _LEFT_AFTER_MANY)
        done = commit(environment, self._journal, committer, decided, decide_again)
        if time.perf_counter() - began < _LONG_SECONDS:
            self._left = 0
            self._left_after_next = _LEFT_AFTER_A_LONG_ONE
        return done

    def take_back(self, environment: lmdb.Environment) -> None:
        """Take back the last record of the journal if LMDB has not committed it (`commits.take_back`)."""
        take_back(environment, self._journal)

    def close(self) -> None:
        """Release the journal."""
        self._journal.close()
