"""The memory in which the workers of a server count (`aws.slabs`), as the parent keeps it.

It is memory without a file: nothing of it is written to a disk, which could hold up a worker that counts (as a mapped
file does while its pages are written), and it goes with the last process of the server, however that ends, so counting
begins at zero when a server starts. Commands find it as an open file of the parent's, by its name.

The parent gives each new worker a slab, and adds what it has counted to the first slab when it has gone. It grows by a
slab when none is free, which is when more workers are there than ever before: old ones that finish count as well.
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
        """What the processes have counted that have gone."""
        self._free: list[Slab] = []
        self._head[0] = MAGIC

    def give(self) -> Slab:
        """A clean slab for a new process."""
        return self._free.pop() if self._free else self._grown()

    def take_back(self, slab: Slab) -> None:
        """Keep what a process has counted that has gone, and its slab for another."""
        self._head[FOLDS] += 1
        metrics.fold(slab, self._gone)
        if self._gone.crowded:
            self._gone.sweep()
        self._head[FOLDS] += 1
        self._free.append(slab)

    def contents(self) -> Contents:
        """What all processes have counted, those included that have gone. Raises Unreadable."""
        return slabs.read(self._file)

    def _grown(self) -> Slab:
        number = self._head[SLABS]
        start = HEAD_BYTES + number * SLAB_BYTES
        os.ftruncate(self._file, start + SLAB_BYTES)
        slab = slabs.Slab(memoryview(mmap.mmap(self._file, SLAB_BYTES, offset=start)))
        self._head[SLABS] = number + 1
        return slab
