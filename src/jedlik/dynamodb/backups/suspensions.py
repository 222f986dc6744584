"""Suspensions: how recovery goes on while the place of its archive is away or full.

The log keeps what is not archived, up to a number of bytes for all tables of a region, and for at most a day. Then the
table with the most is suspended: its log goes, its archive stays, and can be restored up to the last change in it.
When the place takes objects again, recovery begins again with a new history.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jedlik.dynamodb import catalog
from jedlik.dynamodb.backups import recovery_records, table_copies
from jedlik.dynamodb.backups.backup_records import BASE
from jedlik.dynamodb.backups.recovery_records import Recovery, Trouble
from jedlik.dynamodb.changes import log_entries
from jedlik.dynamodb.model import log_readers
from jedlik.dynamodb.model.definitions import Descriptor
from jedlik.dynamodb.model.limits import KIB, MIB
from jedlik.dynamodb.model.tables import Table
from jedlik.storage.engine import Writes
from jedlik.storage.object_store import ObjectStore, ObjectStoreError

if TYPE_CHECKING:
    from jedlik.regions.region import Region

LIMIT_MB = 4096
"""The default of --recovery-log."""
READ_BYTES = 256 * KIB
MEASURED_AT_ONCE = 64 * MIB
TRY_SECONDS = 30.0
"""Between two attempts to write to a place that is away, while recovery is suspended."""
TRIED_BYTES = 8 * MIB
"""What is written then: as much as a segment has, so that a full disk is not taken for one with room."""
_TRIED = "recovery-probe"

_log = logging.getLogger(__name__)


def reader_names(table: Descriptor) -> list[str]:
    """The readers of a table's log that its recovery has."""
    bases = table_copies.READERS[BASE]
    names = [reader.name for reader in log_readers.listed(table)]
    return [name for name in names if name == recovery_records.READER or name.startswith(bases)]


async def note(region: Region, recovery: Recovery, reason: str) -> None:
    """Note why nothing can be archived, up to when the archive goes, and how much waits."""
    table = await catalog.find(region, recovery.table)
    if table is None or table.descriptor.id != recovery.table_id:
        return
    [raw] = await region.engine.get([recovery.key])
    current = None if raw is None else recovery_records.parse(raw)
    if current is None or current.history != recovery.history:
        return
    recovery, now = current, region.clock()
    start = recovery.position if recovery.measured is None else max(recovery.measured, recovery.position)
    size, measured, first = await _measure(region, table, start)
    waiting = size if recovery.held_up is None else recovery.waiting + size
    until = recovery.until
    if until is None:
        # What is committed at the time of the first entry may be in the archive in part.
        until = now if first is None else first - 1e-6

    def decide(found: Sequence[bytes | None]) -> tuple[Writes, None]:
        writes = Writes()
        if found[0] == recovery.raw:
            trouble = recovery.held_up or Trouble(now, reason)
            recovery.put(writes, held_up=trouble, until=until, waiting=waiting, measured=measured)
        return writes, None

    if recovery.held_up is None or size:
        await region.engine.mutate([recovery.key], decide)


async def _measure(region: Region, table: Table, position: int) -> tuple[int, int, float | None]:
    """Bytes of a table's log from a position on, where to go on measuring, and the time of the first entry."""
    last = await region.engine.last_position()
    logs = await log_entries.shard_logs(region, table.id)
    size, first = 0, None
    while position <= last and size < MEASURED_AT_ONCE:
        changes, position = await log_entries.between(region, logs, position, last, READ_BYTES, log_entries.size)
        size += sum(log_entries.size(change) for _, change in changes)
        if changes and first is None:
            first = changes[0][1].at
        await asyncio.sleep(0)
    return size, position, first


async def keep_to_limit(region: Region, limit: int) -> None:
    """Suspend the recoveries whose logs keep most, until all keep no more than `limit` bytes that wait."""
    start, end = recovery_records.all_range()
    waiting: list[Recovery] = []
    while rows := await region.engine.range(start, end, 500, MIB):
        found = [recovery_records.parse(raw) for _, raw in rows]
        waiting += [one for one in found if one.waiting and not one.suspended]
        start = rows[-1][0] + b"\0"
    total = sum(one.waiting for one in waiting)
    for recovery in sorted(waiting, key=lambda one: one.waiting, reverse=True):
        if total <= limit:
            return
        if await suspend(region, recovery, f"{total} bytes of changes wait, and {limit} may"):
            total -= recovery.waiting


async def suspend(region: Region, recovery: Recovery, why: str) -> bool:
    """Let a table's log go whose changes cannot be archived; whether that was done. The archive stays as it is."""

    def decide(found: Sequence[bytes | None]) -> tuple[Writes, bool]:
        writes = Writes()
        table = catalog.stored(found[1])
        if found[0] != recovery.raw or table is None or table.descriptor.id != recovery.table_id:
            return writes, False
        names = reader_names(table.descriptor)
        catalog.put(log_readers.removed(table.descriptor, names, writes), writes)
        recovery.put(writes, suspended=True, waiting=0)
        return writes, True

    done = await region.engine.mutate([recovery.key, catalog.key(recovery.table)], decide)
    if done:
        _log.error(
            "recovery of a table is suspended: nothing is archived until the place of backups takes objects again: %s",
            why,
            extra={"region": region.store, "table": recovery.table},
        )
    return done


_tried: dict[str, float] = {}
"""By store, when this worker has last tried to write to the place of backups, by the region's clock."""


async def is_back(region: Region, store: ObjectStore) -> bool:
    """Whether the place takes objects again. It is asked now and then; in between, the answer is no."""
    now = region.clock()
    if abs(now - _tried.get(region.store, float("-inf"))) < TRY_SECONDS:
        return False
    _tried[region.store] = now
    name = f"{region.account}/{region.name}/{_TRIED}"
    try:
        await store.put(name, await asyncio.to_thread(secrets.token_bytes, TRIED_BYTES))
        await store.delete([name])
    except ObjectStoreError as error:
        _log.warning("the place of backups is still away: %s", error, extra={"region": region.store})
        return False
    del _tried[region.store]
    return True
