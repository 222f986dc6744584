"""Loads: how many connections each worker of a server has, in memory that they share."""

from __future__ import annotations

import mmap

ABSENT = 2**63
"""The load of a worker that does not run: never the least."""


class Loads:
    """How many connections each worker has. Made before the workers are forked, and shared by them."""

    def __init__(self, workers: int) -> None:
        self._counts = memoryview(mmap.mmap(-1, 8 * workers)).cast("Q")
        for worker in range(workers):
            self.set(worker, ABSENT)

    def set(self, worker: int, connections: int) -> None:
        """Set the number of connections of a worker."""
        self._counts[worker] = connections

    def least(self) -> int:
        """How many the worker with the fewest has."""
        return min(self._counts)
