"""The engine of a store that does not exist: there is nothing to read, and before a write it must be made."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from jedlik.clock import Clock, system_clock
from jedlik.storage.engine import Decide, Row, Scrubbed

T = TypeVar("T")


class NoStore(Exception):
    """A mutation has something to write, and nothing was written. Make the store, and start the request again."""


class EmptyEngine:
    """Reads find nothing; mutations that write nothing, or are refused, do as on any empty store."""

    def __init__(self) -> None:
        self.clock: Clock = system_clock

    async def get(self, keys: Sequence[bytes], consistent: bool = True) -> list[bytes | None]:
        """None for each key."""
        return [None] * len(keys)

    async def range(
        self,
        start: bytes,
        end: bytes,
        limit: int,
        max_bytes: int,
        reverse: bool = False,
        consistent: bool = True,
    ) -> list[Row]:
        """No rows."""
        return []

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
        """Nothing, and no rows."""
        return None, []

    async def last_position(self) -> int:
        """0: no log has an entry."""
        return 0

    async def last_time(self) -> float:
        """0, too."""
        return 0.0

    def get_now(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """None for each key."""
        return [None] * len(keys)

    def get_and_range_now(
        self, key: bytes, start: bytes, end: bytes, limit: int, max_bytes: int, reverse: bool = False
    ) -> tuple[bytes | None, list[Row]]:
        """Nothing, and no rows."""
        return None, []

    def mutate(self, keys: Sequence[bytes], decide: Decide[T]) -> asyncio.Future[T]:
        """Decide with every value absent. The future raises NoStore if there is something to write."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        try:
            writes, result = decide([None] * len(keys))
        except Exception as refusal:
            future.set_exception(refusal)
            return future
        if writes.puts or writes.adds or writes.appends:
            future.set_exception(NoStore())
        else:
            future.set_result(result)
        return future

    def scrub_is_due(self, now: float) -> bool:
        return False

    def scrub(self, now: float) -> Scrubbed:
        return Scrubbed(0, 0, (), False)

    async def close(self) -> None:
        """Nothing is held."""
