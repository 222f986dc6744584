"""Stretches: how background work reads what it is about to do.

A read of the store is done on the event loop, and a page that is not in memory holds up all requests until the disk has
brought it. So work in the background reads a handful of pages at a time and lets requests be answered between. What it
reads is from several snapshots, which must not matter to it: it wants keys, and what these hold it reads again in its
mutation, if at all.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jedlik.regions.region import Region

READ_ROWS = 25
"""Rows that are read at once: of small ones, three or four pages."""
READ_BYTES = 16 * 1024
"""Bytes of values after which a read ends."""


async def holds(region: Region, stretch: tuple[bytes, bytes]) -> bool:
    """Whether there is any row in a range."""
    return bool(await region.engine.range(*stretch, 1, 1))


async def first_keys(region: Region, start: bytes, end: bytes, limit: int, max_bytes: int) -> list[bytes]:
    """The first keys of a range; stops after `limit` of them, or when their values have come to `max_bytes`."""
    found: list[bytes] = []
    size = 0
    while len(found) < limit and size < max_bytes:
        rows = await region.engine.range(start, end, min(READ_ROWS, limit - len(found)), READ_BYTES)
        if not rows:
            break
        found += [key for key, _ in rows]
        size += sum(len(value) for _, value in rows)
        start = found[-1] + b"\x00"
        await asyncio.sleep(0)
    return found
