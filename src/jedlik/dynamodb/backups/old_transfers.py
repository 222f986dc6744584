"""Old transfers: the records of imports, exports and bulk puts go when these are not listed any more, 90 days after
their start; and with an import's record the log of its errors, in the place of backups.

It happens when the next of them ends in the region, so nothing that is still shown ever goes, and what stays is bounded
by what has been begun.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from jedlik.background import job_records
from jedlik.dynamodb.backups import (
    backup_removal,
    bulk_records,
    export_records,
    import_logs,
    import_records,
    transfers,
)
from jedlik.dynamodb.backups.bulk_records import BulkOperation
from jedlik.dynamodb.backups.export_records import Export
from jedlik.dynamodb.backups.import_records import Import
from jedlik.dynamodb.model import spaces
from jedlik.dynamodb.model.limits import MIB
from jedlik.storage.engine import Writes

if TYPE_CHECKING:
    from jedlik.regions.region import Region

REMOVED_AT_ONCE = 500
"""The most that go at once, of each kind."""

Transfer = Import | Export | BulkOperation


class _Kind(NamedTuple):
    parse: Callable[[bytes], Transfer]
    beginning: Callable[[], tuple[bytes, bytes]]
    """Where all records stand."""
    of_table: Callable[[str], tuple[bytes, bytes]] | None
    """Where those of a table stand, from the oldest on; None if all stand together, from the latest on."""


_KINDS = (
    _Kind(import_records.parse, lambda: import_records.import_range(None), import_records.import_range),
    _Kind(export_records.parse, lambda: export_records.export_range(None), export_records.export_range),
    _Kind(bulk_records.parse, lambda: spaces.BULKS.range, None),
)


async def remove(region: Region) -> None:
    """Remove what is not listed any more."""
    if region.clock.doubtful:
        return
    oldest = region.clock.slowest() - transfers.LISTED_SECONDS
    for kind in _KINDS:
        old = await _old(region, kind, oldest)
        if old:
            await _remove(region, kind, old)


async def _old(region: Region, kind: _Kind, oldest: float) -> list[Transfer]:
    """Those that were begun before a time. One younger record of each table is read as well."""
    found: list[Transfer] = []
    start, end = kind.beginning()
    while len(found) < REMOVED_AT_ONCE:
        rows = await region.engine.range(start, end, 1, MIB, reverse=kind.of_table is None)
        if not rows:
            break
        [(key, raw)] = rows
        one = kind.parse(raw)
        is_old = one.started < oldest
        if is_old:
            found.append(one)
        if kind.of_table is not None:
            start = key + b"\0" if is_old else kind.of_table(one.table)[1]
        elif is_old:
            end = key
        else:
            break
    return found


async def _remove(region: Region, kind: _Kind, old: Sequence[Transfer]) -> None:
    keys = [key for one in old for key in (one.key, job_records.job_key(one.job))]

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        writes = Writes()
        for one, raw, job in zip(old, values[::2], values[1::2], strict=True):
            if raw is None or job is not None:
                continue  # It has gone, or goes on.
            writes.delete(one.key)
            found = kind.parse(raw)
            if isinstance(found, Import) and found.errors:
                place = import_logs.folder(region.account, region.name, found.table, found.id)
                backup_removal.submit(f"{found.id}-errors", place, writes)
        return writes, None

    await region.engine.mutate(keys, decide)
    region.jobs_wanted.set()
