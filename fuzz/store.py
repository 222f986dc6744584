"""A storage engine in a dict, for thousands of inputs; between two of them it returns to a known state."""

from __future__ import annotations

from asyncio import AbstractEventLoop, Future
from bisect import bisect_left
from collections.abc import Sequence
from typing import TypeVar

from jedlik.clock import Clock, system_clock
from jedlik.storage.batch import POSITION_SIZE
from jedlik.storage.counters import counter, counter_value
from jedlik.storage.engine import Decide, Row, Scrubbed, stored_entry

T = TypeVar("T")


class DictEngine:
    """One mutation after the other, each done when `mutate` returns."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self.rows: dict[bytes, bytes] = {}
        self.clock: Clock = system_clock
        self._position = self._time = 0

    @property
    def state(self) -> tuple[dict[bytes, bytes], int, int]:
        """Everything that a mutation changes."""
        return dict(self.rows), self._position, self._time

    @state.setter
    def state(self, state: tuple[dict[bytes, bytes], int, int]) -> None:
        self.rows, self._position, self._time = state

    async def get(self, keys: Sequence[bytes], consistent: bool = True) -> list[bytes | None]:
        """As every engine's."""
        return [self.rows.get(key) for key in keys]

    async def range(
        self,
        start: bytes,
        end: bytes,
        limit: int,
        max_bytes: int,
        reverse: bool = False,
        consistent: bool = True,
    ) -> list[Row]:
        """As every engine's."""
        return self._rows(start, end, limit, max_bytes, reverse)

    def _rows(self, start: bytes, end: bytes, limit: int, max_bytes: int, reverse: bool) -> list[Row]:
        ordered = sorted(self.rows)
        found = ordered[bisect_left(ordered, start) : bisect_left(ordered, end)]
        taken: list[Row] = []
        size = 0
        for key in reversed(found) if reverse else found:
            if len(taken) >= limit or size >= max_bytes:
                break
            taken.append((key, self.rows[key]))
            size += len(self.rows[key])
        return taken

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
        """As every engine's."""
        [value] = await self.get((key,), consistent)
        return value, await self.range(start, end, limit, max_bytes, reverse, consistent)

    async def last_position(self) -> int:
        """As every engine's."""
        return self._position

    async def last_time(self) -> float:
        """As every engine's."""
        return self._time / 1e6

    def get_now(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """As every engine's that need not wait."""
        return [self.rows.get(key) for key in keys]

    def get_and_range_now(
        self, key: bytes, start: bytes, end: bytes, limit: int, max_bytes: int, reverse: bool = False
    ) -> tuple[bytes | None, list[Row]]:
        """As every engine's that need not wait."""
        return self.rows.get(key), self._rows(start, end, limit, max_bytes, reverse)

    def mutate(self, keys: Sequence[bytes], decide: Decide[T]) -> Future[T]:
        """As every engine's."""
        future: Future[T] = self._loop.create_future()
        try:
            writes, result = decide([self.rows.get(key) for key in keys])
        except Exception as error:  # Any exception of the callback belongs to the caller.
            future.set_exception(error)
            return future
        for key, value in writes.puts.items():
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value
        for key, amount in writes.adds.items():
            self.rows[key] = counter_value(counter(self.rows.get(key)) + amount)
        for log, entry in writes.appends:
            self._position += 1
            self._time = max(self._time, round(self.clock() * 1e6))
            self.rows[log + self._position.to_bytes(POSITION_SIZE, "big")] = stored_entry(entry, self._time)
        future.set_result(result)
        return future

    def scrub_is_due(self, now: float) -> bool:
        return False

    def scrub(self, now: float) -> Scrubbed:
        return Scrubbed(0, 0, (), False)

    async def close(self) -> None:
        """As every engine's."""
