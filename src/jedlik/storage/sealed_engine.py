"""An engine whose values are sealed (`storage.sealed`) in another, and a view of what that keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TypeVar

from jedlik.clock import Clock
from jedlik.storage.engine import Decide, NoKey, Row, Scrubbed, Writes
from jedlik.storage.lmdb.checksums import HEADER, read_rows, value_of
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
from jedlik.storage.lmdb.view import FIRST_KEY, View
from jedlik.storage.sealed import OVERHEAD, NotOpened, Sealing

T = TypeVar("T")


class SealedEngine:
    """An engine whose values are sealed in another."""

    def __init__(self, inner: LmdbEngine, sealing: Sealing) -> None:
        self.inner = inner
        self.sealing = sealing
        self._spaces = sealing.spaces
        self._numbered = None if sealing.numbers is None else sealing.numbers.prefix
        inner.uncounted = dict.fromkeys(sealing.spaces, OVERHEAD)
        inner.opening = self._opened_rows
        self._value_in = sealing.value_behind(HEADER, value_of)
        self._get_now = inner.get_now
        self._get_and_range_now = inner.get_and_range_now

    @property
    def clock(self) -> Clock:
        """The clock that dates log entries."""
        return self.inner.clock

    @clock.setter
    def clock(self, clock: Clock) -> None:
        self.inner.clock = clock

    async def get(self, keys: Sequence[bytes], consistent: bool = True) -> list[bytes | None]:
        """The values of `keys` in one snapshot."""
        return self._opened(keys, await self.inner.get(keys, consistent))

    def get_now(self, keys: Sequence[bytes]) -> list[bytes | None] | None:
        """The same, for a caller that cannot wait; None if that takes waiting."""
        found = self._get_now(keys, self._value_in)
        if found is None:
            return None
        if len(keys) != 2:
            return self._opened(keys, found)
        first = keys[0]
        if first[:1] in self._spaces and (stored := found[0]) is not None:
            found[0] = self.sealing.opened(first, stored)
        return found

    def _opened(self, keys: Sequence[bytes], found: list[bytes | None]) -> list[bytes | None]:
        spaces = self._spaces
        for place, key in enumerate(keys):
            if key[:1] in spaces and (stored := found[place]) is not None:
                found[place] = self.sealing.opened(key, stored)
        return found

    async def range(
        self,
        start: bytes,
        end: bytes,
        limit: int,
        max_bytes: int,
        reverse: bool = False,
        consistent: bool = True,
    ) -> list[Row]:
        """The rows with start <= key < end in one snapshot."""
        rows = await self.inner.range(start, end, limit, max_bytes, reverse, consistent)
        return self.sealing.opened_rows(rows, max_bytes)

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
        """The value of `key`, and the rows of a range, in one snapshot."""
        found = await self.inner.get_and_range(key, start, end, limit, max_bytes, reverse, consistent)
        return self._opened_range(key, found)

    def get_and_range_now(
        self, key: bytes, start: bytes, end: bytes, limit: int, max_bytes: int, reverse: bool = False
    ) -> tuple[bytes | None, list[Row]] | None:
        """The same, for a caller that cannot wait; None if that takes waiting."""
        found = self._get_and_range_now(key, start, end, limit, max_bytes, reverse)
        return None if found is None else self._opened_range(key, found)

    def _opened_range(self, key: bytes, found: tuple[bytes | None, list[Row]]) -> tuple[bytes | None, list[Row]]:
        value, rows = found
        if value is not None and key[:1] in self._spaces:
            value = self.sealing.opened(key, value)
        return value, rows

    def _opened_rows(self, rows: list[Row], max_bytes: int) -> list[Row]:
        """The rows with plain values, of those that LMDB has. What opens is as it was written, so its checksum is
        computed only where something does not."""
        opened = self.sealing.opened_behind(HEADER, rows)
        return self.sealing.opened_rows(read_rows(rows), max_bytes) if opened is None else opened

    async def last_position(self) -> int:
        """The position of the last entry of all logs."""
        return await self.inner.last_position()

    async def last_time(self) -> float:
        """When that entry was committed."""
        return await self.inner.last_time()

    def mutate(self, keys: Sequence[bytes], decide: Decide[T]) -> asyncio.Future[T]:
        """Run a mini-transaction. What `decide` writes is sealed as often as it is decided."""
        sealing, spaces, numbered = self.sealing, self._spaces, self._numbered
        sealed_places = []
        noted_places = []
        for place, key in enumerate(keys):
            space = key[:1]
            if space in spaces:
                sealed_places.append(place)
            elif space == numbered:
                noted_places.append(place)

        def decide_sealed(found: Sequence[bytes | None]) -> tuple[Writes, T]:
            for place in noted_places:
                sealing.note(keys[place], found[place])
            if sealed_places:
                found = list(found)
                for place in sealed_places:
                    stored = found[place]
                    if stored is not None:
                        found[place] = sealing.opened(keys[place], stored)
            plain, result = decide(found)
            writes = Writes()
            writes.adds = plain.adds
            writes.puts = {
                key: value if value is None or key[:1] not in spaces else sealing.seal(key, value)
                for key, value in plain.puts.items()
            }
            if plain.appends:
                writes.appends = [(log, sealing.seal_entry(log, entry)) for log, entry in plain.appends]
            return writes, result

        return self.inner.mutate(keys, decide_sealed)

    def scrub_is_due(self, now: float) -> bool:
        """Whether this engine reads all values now and then, and is to begin or go on."""
        return self.inner.scrub_is_due(now)

    def scrub(self, now: float) -> Scrubbed:
        """Read some values on, as they are stored."""
        return self.inner.scrub(now)

    @contextmanager
    def view(self) -> Iterator[SealedView]:
        """The store as it is now, to be read at length. Raises StorageError."""
        with self.inner.view() as view:
            yield SealedView(view, self.sealing)

    async def close(self) -> None:
        """Wait for the mutations in flight and release the store."""
        await self.inner.close()


class SealedView(View):
    """A view of a store with sealed values."""

    def __init__(self, view: View, sealing: Sealing) -> None:
        super().__init__(view.transaction)
        self._sealing = sealing

    def get(self, key: bytes) -> bytes | None:
        """The value of `key`; None where absent."""
        stored = super().get(key)
        return None if stored is None else self._sealing.opened(key, stored)

    def opened(self, key: bytes, stored: bytes) -> bytes:
        """The value of which this is what is stored under `key`."""
        return self._sealing.opened(key, stored)

    def rows(self, start: bytes, end: bytes) -> Iterator[Row]:
        """The rows with start <= key < end, in key order."""
        for key, stored in super().rows(start, end):
            yield key, self._sealing.opened(key, stored)

    def damaged(self, start: bytes = FIRST_KEY) -> Iterator[bytes]:
        """The keys of damaged values, and of those that cannot be opened with their keys."""
        yield from super().damaged(start)
        for space in self._sealing.spaces:
            for key, stored in super().whole_rows(max(start, space), bytes((space[0] + 1,))):
                with suppress(NoKey):  # Whether it is whole cannot be known.
                    if self._whole(key, stored) is None:
                        yield key

    def whole_rows(self, start: bytes, end: bytes) -> Iterator[Row]:
        """The rows of a range that are as they were written."""
        for key, stored in super().whole_rows(start, end):
            opened = self._whole(key, stored)
            if opened is not None:
                yield key, opened

    def _whole(self, key: bytes, stored: bytes) -> bytes | None:
        try:
            return self._sealing.opened(key, stored)
        except NotOpened:
            return None
