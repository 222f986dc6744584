"""Pages: rows of a table or an index, read in bounded pieces so that other requests get their turn.

A page may take several reads, each of its own snapshot. The snapshot of the last one shows whether the table is still
the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from jedlik.dynamodb.model import items, keys, reads
from jedlik.dynamodb.model.reads import Stretch
from jedlik.dynamodb.model.tables import Index, Table
from jedlik.dynamodb.model.writes import check_descriptor
from jedlik.regions.region import Region
from jedlik.storage.engine import Row

ROWS_AT_ONCE = 1000
"""Rows that are read before other requests get their turn."""
FETCHED_AT_ONCE = 20
"""Items that are fetched for the entries of a local index before other requests get their turn. They may be large."""


class Page:
    """The result of reading a stretch."""

    __slots__ = ("fetched", "full", "rows", "size", "stored")

    def __init__(self, fetched: list[bytes] | None) -> None:
        self.rows: list[Row] = []
        """The examined rows, in order."""
        self.stored: list[bytes] = []
        """The values of those rows."""
        self.fetched = fetched
        """The items of those rows, if they are entries of a local index that are not enough; else None."""
        self.size = 0
        """Bytes that count against the limit of the page."""
        self.full = False
        """Whether it ended by its limits, so that the answer must contain the position where to go on."""


async def read(
    region: Region,
    table: Table,
    index: Index | None,
    stretch: Stretch,
    limit: int,
    room: int,
    consistent: bool,
    fetches: bool,
) -> Page:
    """Examine rows until `limit` of them or `room` bytes are reached or the stretch ends. Raises DescriptorChanged.

    `fetches` means that items are wanted for the entries of a local index.
    """
    page = Page([] if fetches else None)
    most = FETCHED_AT_ONCE if fetches else ROWS_AT_ONCE
    engine = region.engine
    while True:
        asked = limit - len(page.rows)
        if asked > most:
            asked = most
        left = room - page.size
        raw, rows = await engine.get_and_range(
            table.descriptor_key, stretch.start, stretch.end, asked, left, stretch.reverse, consistent
        )
        stored = [one for _, one in rows]
        ended = len(rows) < asked and sum(map(len, stored)) < left
        if page.fetched is not None and index is not None:
            found = await _fetch(region, table, index, rows, consistent)
            count, size = reads.fitting(found, left)
            page.fetched += [item for item in found[:count] if item is not None]
        else:
            count, size = reads.fitting(stored, left)
        if count < len(rows):
            rows, stored = rows[:count], stored[:count]
        page.rows += rows
        page.stored += stored
        page.size += size
        page.full = len(page.rows) == limit or page.size >= room
        if page.full or ended:
            break
        stretch = stretch.after(rows[-1][0])
        await asyncio.sleep(0)
    if fetches:
        [raw] = await engine.get((table.descriptor_key,), consistent)
    check_descriptor(table, raw)
    return page


async def _fetch(
    region: Region, table: Table, index: Index, rows: Sequence[Row], consistent: bool
) -> list[bytes | None]:
    """The items of entries in a local index; None for one that has left its place there meanwhile."""
    wanted = [keys.item_key(table, items.decode(entry), region.secret) for _, entry in rows]
    found = await region.engine.get(wanted, consistent)
    return [
        stored
        if stored is not None
        and keys.index_key(table, index, items.decode(stored), region.secret, item_key) == entry_key
        else None
        for (entry_key, _), item_key, stored in zip(rows, wanted, found, strict=True)
    ]
