"""The shared memory in which a server's workers count (`aws.slabs`), as the parent manages it.

No file is behind it. Writing a mapped file's pages to the disk would block a worker that counts. The memory disappears
with the server's last process, however that ends, so every server starts counting at zero. Commands find it as an open
file of the parent's, by its name.

The parent gives each new worker a slab. When the worker has ended, its counts are added to the first slab. The memory
grows by a slab when none is free, that is, when there are more workers than ever before, those that are finishing
included.
"""

from __future__ import annotations

import mmap
import os
import time

from jedlik.aws import metrics, slabs
from jedlik.aws.metrics import Counts
from jedlik.aws.slabs import FOLDS, HEAD_BYTES, MAGIC, MEMORY_NAME, SLAB_BYTES, SLABS, STARTED, Contents, Slab


class MetricsMemory:
    """The slabs of a server's processes."""

    def __init__(self) -> None:
        self._file = os.memfd_create(MEMORY_NAME)
        os.ftruncate(self._file, HEAD_BYTES)
        self._head = memoryview(mmap.mmap(self._file, HEAD_BYTES)).cast("Q")
        self._head[STARTED] = time.time_ns() // 1_000_000
        self._gone = Counts(self._grown())
        """The counts of all processes that have ended."""
        self._free: list[Slab] = []
        self._head[0] = MAGIC

    def give(self) -> Slab:
        """A clean slab for a new process."""
        return self._free.pop() if self._free else self._grown()

    def take_back(self, slab: Slab) -> None:
        """Keep the counts of a process that has ended, and free its slab."""
        self._head[FOLDS] += 1
        metrics.fold(slab, self._gone)
        if self._gone.crowded:
            self._gone.sweep()
        self._head[FOLDS] += 1
        self._free.append(slab)

    def contents(self) -> Contents:
        """The counts of all processes, ended ones included. Raises Unreadable."""
        return slabs.read(self._file)

    def _grown(self) -> Slab:
        number = self._head[SLABS]
        start = HEAD_BYTES + number * SLAB_BYTES
        os.ftruncate(self._file, start + SLAB_BYTES)
        slab = slabs.Slab(memoryview(mmap.mmap(self._file, SLAB_BYTES, offset=start)))
        self._head[SLABS] = number + 1
        return slab
