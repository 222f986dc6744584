"""The reads of the embedded engine.

They are made on the event loop, and do not suspend as long as what they read is in memory. Where it often is not,
threads read it first (`cold_reads`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import lmdb

from jedlik.storage.engine import Row
from jedlik.storage.lmdb.checksums import read, read_all, read_rows
from jedlik.storage.lmdb.cold_reads import ColdReads
from jedlik.storage.lmdb.snapshots import Snapshot, read_in
from jedlik.storage.lmdb.view import View, rows_between, touch_rows


class LmdbReader:
    """What reads a store that another class opens, changes and closes."""

    def __init__(self, environment: lmdb.Environment, data: Path) -> None:
        """`data` is LMDB's file."""
        self._environment = environment
        self._cold = ColdReads(data)
        self._seen: dict[bytes, Row] = {}
        """Values found under keys with which many reads begin (`checksums.read_all`)."""
        self._reads = 0
        """Since the last batch."""
        self._reads_before = 0
        """From the last look to the last batch."""
        self.uncounted: Mapping[bytes, int] = {}
        """Bytes of each value that `max_bytes` does not count, by the first byte of a range."""
        self.opening: Callable[[list[Row], int], list[Row]] = _read_rows
        """What makes rows for `get_and_range` of those that LMDB has, with headers, given `max_bytes`. Raises
        DamagedValue."""

    async def get(self, keys: Sequence[bytes], consistent: bool = True) -> list[bytes | None]:
        """The values of `keys` in one snapshot. There are no replicas, so it is always consistent."""
        found = self.get_now(keys)
        if found is None:
            await self._cold.touched(self._environment, keys[-1], partial(_touch, keys))
            found = self.get_here(keys)
        return found

    def get_here(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The same on the event loop, although that may have to wait for the disk."""
        return read_in(self._environment, lambda snapshot: read_all(keys, snapshot.get, self._seen))

    def get_now(
        self, keys: Sequence[bytes], value_in: Callable[[bytes, bytes], bytes] | None = None
    ) -> list[bytes | None] | None:
        """The same, for a caller that cannot wait; None if the values are expected not to be in memory. `value_in` is
        for `checksums.read_all`."""
        self._reads += 1
        if self._cold.are_expected and keys and self._cold.must_be_touched(keys[-1]):
            return None
        try:
            snapshot = self._environment.begin()
            try:
                return read_all(keys, snapshot.get, self._seen, value_in)
            finally:
                snapshot.abort()  # As a `with` does, in half of its time.
        except lmdb.Error:
            # Another snapshot may succeed. The first one is tried without the loop, as most requests are reads.
            return read_in(self._environment, lambda snapshot: read_all(keys, snapshot.get, self._seen, value_in))

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
        self._reads += 1
        asked = start, end, limit, max_bytes, reverse, self.uncounted
        try:
            with self._environment.begin() as snapshot:
                rows = rows_between(snapshot, *asked)
        except lmdb.Error:  # As above.
            rows = read_in(self._environment, lambda state: rows_between(state, *asked))
        return read_rows(rows)

    async def get_and_range(
        self,
        key: bytes,
        start: bytes,
        end: bytes,
        limit: int,
        max_bytes: int,
        reverse: bool = False,
        consistent: bool = True,
    ) -> tuple[bytes | None, list[Row]]:
        """The value of `key`, and the rows of a range, in one snapshot. Always consistent."""
        found = self.get_and_range_now(key, start, end, limit, max_bytes, reverse)
        if found is None:
            touch = partial(touch_rows, start, end, limit, max_bytes, reverse)
            await self._cold.touched(self._environment, start, touch)
            found = self._get_and_range(key, start, end, limit, max_bytes, reverse)
        return found

    def get_and_range_now(
        self, key: bytes, start: bytes, end: bytes, limit: int, max_bytes: int, reverse: bool = False
    ) -> tuple[bytes | None, list[Row]] | None:
        """The same, for a caller that cannot wait; None if the rows are expected not to be in memory."""
        self._reads += 1
        if self._cold.are_expected and self._cold.must_be_touched(start):
            return None
        asked = start, end, limit, max_bytes, reverse, self.uncounted
        try:
            snapshot = self._environment.begin()
            try:
                value = read_all((key,), snapshot.get, self._seen)[0]
                rows = rows_between(snapshot, *asked)
            finally:
                snapshot.abort()
        except lmdb.Error:  # As above.
            return self._get_and_range(key, start, end, limit, max_bytes, reverse)
        return value, self.opening(rows, max_bytes)

    def _get_and_range(
        self, key: bytes, start: bytes, end: bytes, limit: int, max_bytes: int, reverse: bool
    ) -> tuple[bytes | None, list[Row]]:
        asked = start, end, limit, max_bytes, reverse, self.uncounted
        value, rows = read_in(self._environment, lambda state: (read(key, state.get(key)), rows_between(state, *asked)))
        return value, self.opening(rows, max_bytes)

    async def last_position(self) -> int:
        """The position of the last entry of all logs, in the newest state. Never suspends."""
        return read_in(self._environment, lambda snapshot: View(snapshot).last_position)

    async def last_time(self) -> float:
        """When that entry was committed. Never suspends."""
        return read_in(self._environment, lambda snapshot: View(snapshot).last_time)

    def _reads_since_batch(self) -> int:
        """How many reads there were since this was last called, which is for each batch."""
        reads, self._reads = self._reads, 0
        self._reads_before += reads
        return reads

    def _look_at_faults(self) -> None:
        """Once a second: find out whether reads are cold."""
        before, self._reads_before = self._reads_before, -self._reads
        self._cold.look(before + self._reads)


def _touch(keys: Sequence[bytes], snapshot: Snapshot) -> None:
    for key in keys:
        snapshot.get(key)


def _read_rows(rows: list[Row], max_bytes: int) -> list[Row]:
    return read_rows(rows)
