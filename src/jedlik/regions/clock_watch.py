"""The watch over a region's clock: each worker compares the clocks, and they share what they find.

The knowledge about the clocks (`timekeeping`) is one record of the store, and each worker reads it once a second. A
worker that finds that the clocks disagree, that they agree again, or that the record is old, writes the record and logs
that; the others adopt it. So the record shows within seconds when the store was last used.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jedlik import timekeeping
from jedlik.regions import keyspaces
from jedlik.storage.engine import StorageError, Writes
from jedlik.timekeeping import NOTE_SECONDS, Reading, Timekeeping

if TYPE_CHECKING:
    from jedlik.regions.region import Region

_log = logging.getLogger(__name__)


async def begin(region: Region) -> None:
    """Set a region's clock by the record in its store, before anything else is done. Raises StorageError."""
    [raw] = await region.engine.get([keyspaces.clock_key()])
    region.clock.know(timekeeping.started(None if raw is None else _parse(raw), region.clock.read()))
    region.clock.raw = raw


async def look(region: Region, note: bool = True) -> None:
    """Compare the clocks, and share what is new. Raises StorageError.

    The mere passing of time is shared only with `note`: nothing in the store depends on it.
    """
    clock = region.clock
    reading = clock.read()
    [raw] = await region.engine.get([keyspaces.clock_key()])
    before = None if raw is None else _parse(raw)
    if before is not None and raw != clock.raw:
        # Another worker has compared them. This is no start, however long ago that was: the machine may have slept.
        clock.know(before)
        clock.raw = raw
    after = timekeeping.advanced(clock.known, reading)
    clock.know(after)
    if not _is_news(before, after) or not (note or _paused(before) != _paused(after)):
        return
    encoded = timekeeping.encode(after)

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, bool]:
        writes = Writes()
        if values[0] != raw:
            return writes, False  # Another worker has written it.
        writes.put(keyspaces.clock_key(), encoded)
        return writes, True

    if await region.engine.mutate([keyspaces.clock_key()], decide):
        clock.raw = encoded
        _tell(region, before, after, reading)


def _parse(raw: bytes) -> Timekeeping:
    try:
        return timekeeping.parse(raw)
    except (ValueError, TypeError, KeyError) as error:
        raise StorageError(f"what the store knows of its clock cannot be read: {error}") from error


def _is_news(before: Timekeeping | None, after: Timekeeping) -> bool:
    """Whether others should know: the state has changed, or the record is old."""
    if before is None or before.boot != after.boot or before.pause != after.pause:
        return True
    return after.noted - before.noted >= NOTE_SECONDS


def _paused(known: Timekeeping | None) -> bool:
    return known is not None and known.pause is not None


def _tell(region: Region, before: Timekeeping | None, after: Timekeeping, reading: Reading) -> None:
    was = _paused(before)
    if after.pause is not None and not was:
        _log.warning(
            "the clock is doubted: nothing is expired or trimmed",
            extra={
                "region": region.store,
                "reason": after.pause.reason,
                "ahead_seconds": round(reading.wall - after.latest, 3),
            },
        )
    elif after.pause is None and was:
        _log.warning("the clock is trusted again: expiry and trimming go on", extra={"region": region.store})
