"""Stretches: how background work reads what it is about to do.

The store is read on the event loop, and a page that is not in memory blocks all requests until the disk has delivered
it. So background work reads a handful of pages at a time and lets requests run in between. Its reads come from several
snapshots. That must not matter: it looks for keys, and reads their values again in its mutation, if it needs them at
all.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from jedlik.storage.engine import Engine

if TYPE_CHECKING:
    from jedlik.regions.region import Region

READ_ROWS = 25
"""Rows that are read at once: of small ones, three or four pages."""
READ_BYTES = 16 * 1024
"""Bytes of values after which a read ends."""


def _stored(region: Region) -> Engine:
    """The rows as they are stored: keys can be read of values that cannot be opened now."""
    return region.engine if region.sealed is None else region.sealed.inner


async def holds(region: Region, stretch: tuple[bytes, bytes]) -> bool:
    """Whether there is any row in a range."""
    return bool(await _stored(region).range(*stretch, 1, 1))


async def first_keys(region: Region, start: bytes, end: bytes, limit: int, max_bytes: int) -> list[bytes]:
    """The first keys of a range; stops after `limit` of them, or when their values have come to `max_bytes`."""
    found: list[bytes] = []
    size = 0
    while len(found) < limit and size < max_bytes:
        rows = await _stored(region).range(start, end, min(READ_ROWS, limit - len(found)), READ_BYTES)
        if not rows:
            break
        found += [key for key, _ in rows]
        size += sum(len(value) for _, value in rows)
        start = found[-1] + b"\x00"
        await asyncio.sleep(0)
    return found
