"""An engine in memory, for tests that need many stores for a short time. It promises what every engine does, except to
keep anything."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from typing import TypeVar

from jedlik.clock import Clock, system_clock
from jedlik.storage.batch import POSITION_SIZE, Batch, Call
from jedlik.storage.counters import counter, counter_value
from jedlik.storage.engine import Decide, Row, Scrubbed, StorageError, stored_entry
from jedlik.storage.lmdb.last_entry import POSITION_KEY, LastEntry
from jedlik.storage.lmdb.view import View

T = TypeVar("T")

_LONGEST_KEY = 1978
_FIRST_KEY = b"\x01"


class MemoryView(View):
    """The content of such a store, as checks see it."""

    def __init__(self, values: dict[bytes, bytes]) -> None:
        self._values = values
        self._keys = sorted(values)

    def get(self, key: bytes) -> bytes | None:
        return self._values.get(key)

    def rows(self, start: bytes, end: bytes) -> Iterator[Row]:
        for index in range(bisect_left(self._keys, start), bisect_left(self._keys, end)):
            yield self._keys[index], self._values[self._keys[index]]

    def first_key(self, start: bytes, end: bytes) -> bytes | None:
        return next((key for key, _ in self.rows(start, end)), None)

    def damaged(self, start: bytes = _FIRST_KEY) -> Iterator[bytes]:
        return iter(())

    def count(self, start: bytes, end: bytes) -> int:
        return max(0, bisect_left(self._keys, end) - bisect_left(self._keys, start))


class MemoryEngine:
    """Over a dict, which may be opened again. The calls until the event loop's next turn are a batch."""

    def __init__(self, values: dict[bytes, bytes] | None = None, clock: Clock = system_clock) -> None:
        self._values: dict[bytes, bytes] = {} if values is None else values
        self._keys = sorted(self._values)
        self.clock = clock
        self._queue: list[Call] = []
        self._closed = False

    async def get(self, keys: Sequence[bytes], consistent: bool = True) -> list[bytes | None]:
        self._check_open()
        return [self._values.get(key) for key in keys]

    async def range(
        self,
        start: bytes,
        end: bytes,
        limit: int,
        max_bytes: int,
        reverse: bool = False,
        consistent: bool = True,
    ) -> list[Row]:
        self._check_open()
        first = bisect_left(self._keys, max(start, _FIRST_KEY))
        last = max(first, bisect_left(self._keys, end))
        rows: list[Row] = []
        size = 0
        for index in reversed(range(first, last)) if reverse else range(first, last):
            if len(rows) >= limit or (rows and size >= max_bytes):
                break
            key = self._keys[index]
            rows.append((key, self._values[key]))
            size += len(self._values[key])
        return rows

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
        [value] = await self.get((key,), consistent)
        return value, await self.range(start, end, limit, max_bytes, reverse, consistent)

    async def last_position(self) -> int:
        self._check_open()
        return LastEntry.unpack(self._values.get(POSITION_KEY)).position

    async def last_time(self) -> float:
        self._check_open()
        return LastEntry.unpack(self._values.get(POSITION_KEY)).time / 1e6

    def get_now(self, keys: Sequence[bytes]) -> None:
        """This engine takes waiting."""

    def get_and_range_now(
        self, key: bytes, start: bytes, end: bytes, limit: int, max_bytes: int, reverse: bool = False
    ) -> None:
        """This engine takes waiting."""

    def mutate(self, keys: Sequence[bytes], decide: Decide[T]) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if self._closed:
            future.set_exception(StorageError("the store in memory is closed"))
            return future
        if not self._queue:
            loop.call_soon(self._commit)
        self._queue.append(Call(keys, decide, future))
        return future

    def scrub_is_due(self, now: float) -> bool:
        return False

    def scrub(self, now: float) -> Scrubbed:
        return Scrubbed(0, 0, (), False)

    async def close(self) -> None:
        self._closed = True
        if self._queue:
            self._commit()

    def _check_open(self) -> None:
        if self._closed:
            raise StorageError("the store in memory is closed")

    def _commit(self) -> None:
        batch = Batch(0, _LONGEST_KEY, round(self.clock() * 1e6))
        for mutation in self._queue:
            if not mutation.future.done():
                batch.add(mutation, self._values.get)
        self._queue.clear()
        self._write(batch)
        for mutation in batch.members:
            mutation.resolve()

    def _write(self, batch: Batch) -> None:
        for key, change in batch.changes.items():
            if isinstance(change, int):
                self._put(key, counter_value(counter(self._values.get(key)) + change))
            elif change is not None:
                self._put(key, change)
            elif key in self._values:
                del self._values[key]
                del self._keys[bisect_left(self._keys, key)]
        if batch.appends:
            last = LastEntry.unpack(self._values.get(POSITION_KEY))
            position, time = last.position, max(last.time, batch.time)
            for log, entry in batch.appends:
                position += 1
                self._put(log + position.to_bytes(POSITION_SIZE, "big"), stored_entry(entry, time))
            self._put(POSITION_KEY, LastEntry(position, time).pack())

    def _put(self, key: bytes, value: bytes) -> None:
        if key not in self._values:
            insort(self._keys, key)
        self._values[key] = value
