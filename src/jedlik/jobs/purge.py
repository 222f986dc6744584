"""Purge: removes what a deleted table or index leaves behind.

A table is deleted by deleting its descriptor: from that commit on no write can reach it, and its keys hold an
id that is never given again. So its rows can go at leisure, a bounded number at a time, and nobody waits for
them. For the same reason it does not matter whether the rows of a step are read from one snapshot: they are read
a few at a time, and requests are answered between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jedlik.jobs import records
from jedlik.jobs.records import Job
from jedlik.model import keys
from jedlik.model.limits import MIB
from jedlik.model.tables import Document
from jedlik.storage.engine import Writes

if TYPE_CHECKING:
    from jedlik.api.context import Region

KIND = "PURGE"

STEP_ROWS = 100
"""Rows that are removed in one commit. Whoever else writes waits for it, at ten microseconds a row on a busy worker."""
STEP_BYTES = 4 * MIB
"""Bytes of values after which a step ends."""
READ_ROWS = 25
"""Rows that are read at once: a handful of pages. Where they are not in memory, all requests wait for the disk."""
READ_BYTES = 16 * 1024
"""Bytes of values after which a read ends."""

_LAST_INDEX = (1 << 16) - 1
_LAST_TIME = (1 << 64) - 1


def submit_table(document: Document, writes: Writes) -> None:
    """Have a table's rows removed, in the commit that deletes its descriptor."""
    table_id = keys.table_id(document["TableId"])
    ranges = [
        (keys.index_prefix(table_id, 0), keys.prefix_end(keys.index_prefix(table_id, _LAST_INDEX))),
        (keys.item_count_key(table_id, 0), keys.prefix_end(keys.item_bytes_key(table_id, _LAST_INDEX))),
        keys.expiry_range(table_id, 0, _LAST_TIME),
    ]
    _submit(f"purge/{document['TableId']}", ranges, writes)


def submit_index(document: Document, index_number: int, writes: Writes) -> None:
    """Have an index's entries removed, in the commit that takes it out of the table's descriptor."""
    table_id = keys.table_id(document["TableId"])
    entries = keys.index_prefix(table_id, index_number)
    ranges = [
        (entries, keys.prefix_end(entries)),
        (
            keys.item_count_key(table_id, index_number),
            keys.prefix_end(keys.item_bytes_key(table_id, index_number)),
        ),
    ]
    _submit(f"purge/{document['TableId']}/{index_number}", ranges, writes)


async def step(region: Region, job: Job) -> None:
    """Remove the next rows. Raises JobMoved."""
    ranges = job.state["Ranges"]
    start, end = (bytes.fromhex(bound) for bound in ranges[0])
    doomed = await _keys(region, start, end)

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        job.check(values[0])
        writes = Writes()
        for key in doomed:
            writes.delete(key)
        if not doomed:
            if len(ranges) > 1:
                job.advance({"Ranges": ranges[1:]}, writes)
            else:
                job.finish(writes)
        return writes, None

    await region.engine.mutate([job.key], decide)


async def _keys(region: Region, start: bytes, end: bytes) -> list[bytes]:
    """The first keys of a range, so many as go in one step."""
    found: list[bytes] = []
    size = 0
    while len(found) < STEP_ROWS and size < STEP_BYTES:
        rows = await region.engine.range(start, end, min(READ_ROWS, STEP_ROWS - len(found)), READ_BYTES)
        if not rows:
            break
        found += [key for key, _ in rows]
        size += sum(len(value) for _, value in rows)
        start = found[-1] + b"\x00"
        await asyncio.sleep(0)
    return found


def _submit(name: str, ranges: list[tuple[bytes, bytes]], writes: Writes) -> None:
    state = {"Ranges": [[start.hex(), end.hex()] for start, end in ranges]}
    records.submit(name, KIND, state, writes)
