"""Archiving: the change log of a table with recovery is copied into segments, and base copies are made now and then.

The archiver is a reader of the change log. A segment is stored first; then one commit writes its record, moves the
archive's position, and compares both with what the archiver has read. So segments follow each other without a gap,
whatever workers die and however many archive at once. What is not archived stays in the log, up to a limit
(`suspensions`). When more than that could not be archived, recovery begins again, with a new history, and that is
logged.

A base copy is a backup of the type BASE. The next is due when as much has been archived as the table is large, so a
restore never replays more than about that. Segments and base copies go that no time within the period needs.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import orjson

from jedlik.aws.errors import ServiceError
from jedlik.background import job_records, stretches
from jedlik.background.job_records import Job, JobWaits
from jedlik.background.work import Duty, JobKind
from jedlik.config import Settings
from jedlik.dynamodb import catalog
from jedlik.dynamodb.backups import (
    backup_records,
    backup_removal,
    kms_piece_keys,
    piece_keys,
    recovery_records,
    suspensions,
    table_copies,
)
from jedlik.dynamodb.backups.backup_records import AVAILABLE, BASE, CREATING, Backup
from jedlik.dynamodb.backups.pieces import ABSENT, STAMP, Packer, Rows
from jedlik.dynamodb.backups.recovery_records import Recovery, Segment
from jedlik.dynamodb.changes import log_entries, readers
from jedlik.dynamodb.changes.readers import ReaderGone
from jedlik.dynamodb.model import keys, log_readers, spaces
from jedlik.dynamodb.model.changelog import Change, Kind
from jedlik.dynamodb.model.definitions import Descriptor
from jedlik.dynamodb.model.limits import KIB, MIB
from jedlik.dynamodb.model.log_readers import Position
from jedlik.dynamodb.model.tables import Table
from jedlik.storage.counters import counter
from jedlik.storage.engine import NoKey, Row, Writes
from jedlik.storage.object_store import ObjectStore, ObjectStoreError

if TYPE_CHECKING:
    from jedlik.regions.region import Region

REMOVAL = "RECOVERY_REMOVAL"

PERIOD = 5.0
"""Seconds between two looks at what is to be archived."""
SEGMENT_SECONDS = 60.0
"""How long the first entry of a segment waits for others."""
SEGMENT_BYTES = 8 * MIB
SEGMENT_ENTRIES = 5000
"""Entries of all logs of the store after which a segment is written at once."""
READ_BYTES = 256 * KIB
LEAST_BETWEEN_BASES = 64 * MIB
"""Bytes that are archived at the least before the next base copy."""
REMOVED_AT_ONCE = 100

_CHANGE_NOTHING = (Kind.OPEN, Kind.CLOSE, Kind.SAME, Kind.SENT_AGAIN)

_log = logging.getLogger(__name__)


def begin(
    table: Descriptor,
    days: int,
    starts: Position,
    counts: Sequence[bytes | None],
    now: float,
    writes: Writes,
    again: bool = False,
) -> None:
    """Begin a history of a table, in a commit of its own: its log is archived from `starts` on.

    `counts` are the stored counters of its items and bytes; `again` is whether the history before it was lost.
    """
    recovery = Recovery(table.name, table.id, int(now * 1000), days, starts.number, segments=0)
    recovery.put(writes, begun_again=now if again else None)
    with_reader = log_readers.added(table, recovery_records.reader(), starts, writes)
    catalog.put(_with_base(with_reader, starts, counts, now, writes), writes)


def _with_base(
    table: Descriptor, starts: Position, counts: Sequence[bytes | None], now: float, writes: Writes
) -> Descriptor:
    """Begin a base copy of a table; the table, with the reader that it needs."""
    items, size = (counter(stored) for stored in counts)
    now = int(now * 1000) / 1000
    name = backup_records.new_id(now, secrets.token_hex(4))
    base = Backup(name, "base", BASE, CREATING, now, items, size, table, follows_key=kms_piece_keys.follows_key(table))
    base.put(writes)
    table_copies.submit(base, now, writes)
    return log_readers.added(table, table_copies.reader(base), starts, writes)


def end(table: Descriptor, recovery: Recovery, writes: Writes) -> Descriptor:
    """End a history, in the commit that writes the returned table: the archive is removed in the background."""
    remove(recovery, writes)
    return log_readers.removed(table, suspensions.reader_names(table), writes)


def remove(recovery: Recovery, writes: Writes) -> None:
    """Remove the record of a recovery, and begin to remove its archive."""
    writes.delete(recovery.key)
    state = {"TableName": recovery.table, "TableId": recovery.table_id, "History": recovery.history}
    job_records.submit(f"recovery-removal/{recovery.table_id}/{recovery.history}", REMOVAL, state, writes)


# The duty


async def archive(region: Region, limit: int = suspensions.LIMIT_MB * MIB) -> bool:
    """Look after the recovery of each table, once; whether there is more to do at once.

    `limit` is of bytes that may wait in all logs while nothing can be archived.
    """
    assert region.places is not None, "a region with recovery has a place for it"
    start, end_ = recovery_records.all_range()
    more, held_up = False, False
    while rows := await region.engine.range(start, end_, 1, MIB):
        start = rows[0][0] + b"\0"
        recovery = recovery_records.parse(rows[0][1])
        if recovery.suspended:
            await _resume(region, recovery, region.places.backups)
            continue
        try:
            more |= await _look_after(region, recovery)
        except (NoKey, ServiceError):
            continue  # The table is closed, or about to be: its changes stay in the log.
        except ObjectStoreError as error:
            _log.warning(
                "changes cannot be archived, and stay in the log: %s",
                error,
                extra={"region": region.store, "table": recovery.table},
            )
            await suspensions.note(region, recovery, str(error))
            held_up = True
    if held_up:
        await suspensions.keep_to_limit(region, limit)
    return more


async def _resume(region: Region, recovery: Recovery, store: ObjectStore) -> None:
    """Begin again with a recovery that is suspended, if its archive takes objects again."""
    table = await catalog.find(region, recovery.table)
    if table is None or table.descriptor.id != recovery.table_id:
        await _without_table(region, recovery)
    elif not recovery.restoring and await suspensions.is_back(region, store):
        await _begin_again(region, recovery)


async def _look_after(region: Region, recovery: Recovery) -> bool:
    table = await catalog.find(region, recovery.table)
    if table is None or table.descriptor.id != recovery.table_id:
        await _without_table(region, recovery)
        return False
    try:
        place = await readers.place_of(region, table.id, recovery_records.READER)
        more = False
        if await _is_due(region, table, recovery):
            more = not await flush(region, table, recovery)
            current = await recovery_records.of_table(region, table.descriptor)
            if current is None:
                return False
            recovery = current
        if place.position < recovery.position:
            await readers.advance(region, replace(place, position=recovery.position))
    except ReaderGone:
        if recovery.until is None:
            await _begin_again(region, recovery)
        else:
            await suspensions.suspend(region, recovery, "they have waited for a day")
        return True
    if not more:
        await _make_base_if_due(region, table, recovery)
        await _remove_old(region, recovery)
    return more


async def _is_due(region: Region, table: Table, recovery: Recovery) -> bool:
    last = await region.engine.last_position()
    if recovery.position > last:
        return False
    if last - recovery.position > SEGMENT_ENTRIES:
        return True
    first = await log_entries.first_time(region, table.id, recovery.position)
    # An entry may be dated by a clock that was ahead, and would wait until this one has caught up.
    return first is None or abs(region.clock() - first) > SEGMENT_SECONDS


async def earliest(region: Region, recovery: Recovery, now: float) -> float:
    """The earliest time to which a table can be restored: that of its first base copy, or when its period begins."""
    found = await recovery_records.bases(region, recovery)
    begins = recovery.since
    if found:
        begins = found[0].at or (await table_copies.marked(region, found[0].id))[1]
    return max(begins, now - recovery.days * recovery_records.DAY)


async def flush(region: Region, table: Table, recovery: Recovery) -> bool:
    """Archive the next entries of a table's log; whether all are archived that there were.

    Raises ObjectStoreError, ReaderGone, and what refuses a request if the table's key cannot be used.
    """
    assert region.places is not None, "a region with recovery has a place for it"
    last = await region.engine.last_position()
    logs = await log_entries.shard_logs(region, table.id)
    position, end_ = recovery.position, 0
    rows = Packer(Rows.SEGMENT)
    while position <= last and rows.size < SEGMENT_BYTES:
        changes, position = await log_entries.between(region, logs, position, last, READ_BYTES, log_entries.size)
        found = [(at, change) for at, change in changes if change.kind not in _CHANGE_NOTHING]
        if found:
            rows.add([_row(region, table, at, change) for at, change in found])
            end_ = found[-1][0]
        await asyncio.sleep(0)
    segment = None
    if rows:
        where = f"{recovery.folder(region)}/segment-{recovery.position:016x}"
        followed = table.descriptor if kms_piece_keys.follows_key(table.descriptor) else None
        key = await piece_keys.kept(region, region.places.backups, followed)
        packed = await asyncio.to_thread(rows.packed, key, where)
        name = f"segment-{recovery.position:016x}-{packed.check}"
        await region.places.backups.put(f"{recovery.folder(region)}/{name}", packed.content)
        sizes = packed.rows, packed.size, len(packed.content)
        segment = Segment(name, recovery.position, end_, *sizes, number=recovery.segments)
    place = await readers.place_of(region, table.id, recovery_records.READER)

    def decide(found: Sequence[bytes | None]) -> tuple[Writes, None]:
        writes = Writes()
        # If another worker has archived the same, there is nothing to do. If the reader is gone, so may be entries.
        if found[0] == recovery.raw and found[1] is not None and not Position.unpack(found[1]).lost:
            made = recovery.segments
            if segment is not None:
                segment.put(recovery, writes)
                made = None if made is None else made + 1
            archived = recovery.archived + rows.size
            recovery.put(writes, position=position, archived=archived, segments=made, held_up=None)
        return writes, None

    await region.engine.mutate([recovery.key, place.key], decide)
    return position > last


def _row(region: Region, table: Table, position: int, change: Change) -> Row:
    key = keys.item_key(table, orjson.loads(change.keys), region.secret)[keys.INDEX_PREFIX :]
    return STAMP.pack(position, round(change.at * 1e6)) + key, change.new or ABSENT + change.keys


async def _without_table(region: Region, recovery: Recovery) -> None:
    """The table is gone: so is its recovery. A table that is being made from it has what it needs only once its plan is
    written, so a table is not deleted before (`busy_tables`)."""

    def decide(found: Sequence[bytes | None]) -> tuple[Writes, None]:
        writes = Writes()
        if found[0] == recovery.raw:
            remove(recovery, writes)
        return writes, None

    await region.engine.mutate([recovery.key], decide)
    region.jobs_wanted.set()


async def _begin_again(region: Region, recovery: Recovery) -> None:
    """Entries have been trimmed that were not archived: what is archived is of no use for later times."""
    starts = await readers.starting(region)
    now = region.clock()
    table_id = keys.table_id(recovery.table_id)
    counts = [keys.item_count_key(table_id, 0), keys.item_bytes_key(table_id, 0)]

    def decide(found: Sequence[bytes | None]) -> tuple[Writes, None]:
        writes = Writes()
        table = catalog.stored(found[1])
        if found[0] == recovery.raw and table is not None and table.descriptor.id == recovery.table_id:
            begin(end(table.descriptor, recovery, writes), recovery.days, starts, found[2:], now, writes, again=True)
        return writes, None

    await region.engine.mutate([recovery.key, catalog.key(recovery.table), *counts], decide)
    region.jobs_wanted.set()
    _log.error(
        "changes could not be archived for too long: recovery of the table begins again, and what was before is lost",
        extra={"region": region.store, "table": recovery.table},
    )


async def _make_base_if_due(region: Region, table: Table, recovery: Recovery) -> None:
    """Begin the next base copy, if as much has been archived as the table is large. None is made beside another."""
    counts = [keys.item_count_key(table.id, 0), keys.item_bytes_key(table.id, 0)]
    [size] = await region.engine.get(counts[1:])
    found = await recovery_records.bases(region, recovery)
    if found and (found[-1].status != AVAILABLE or recovery.archived < max(LEAST_BETWEEN_BASES, counter(size))):
        return
    starts = await readers.starting(region)
    now = region.clock()

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        writes = Writes()
        if values[0] == recovery.raw and values[1] == table.raw:
            recovery.put(writes, archived=0)
            catalog.put(_with_base(table.descriptor, starts, values[2:], now, writes), writes)
        return writes, None

    await region.engine.mutate([recovery.key, table.descriptor_key, *counts], decide)
    region.jobs_wanted.set()


async def _remove_old(region: Region, recovery: Recovery) -> None:
    """Remove base copies and segments that no time within the period needs."""
    assert region.places is not None, "a region with recovery has a place for it"
    if recovery.restoring or region.clock.doubtful:
        return
    whole = [base for base in await recovery_records.bases(region, recovery) if base.status == AVAILABLE]
    needed = recovery_records.latest(whole, recovery.earliest(region.clock.slowest()))
    if needed is None or needed.position is None:
        return
    old = [base for base in whole if base.created < needed.created]
    doomed = [
        segment
        for segment in await recovery_records.segments(region, recovery, REMOVED_AT_ONCE)
        if segment.last <= needed.position
    ]
    if not old and not doomed:
        return

    def decide(found: Sequence[bytes | None]) -> tuple[Writes, bool]:
        writes = Writes()
        if found[0] != recovery.raw:
            return writes, False
        for base in old:
            writes.delete(base.key)
            backup_removal.submit(base.id, base.folder, writes)
        for segment in doomed:
            writes.delete(recovery_records.segment_key(recovery, segment.first))
        return writes, True

    if await region.engine.mutate([recovery.key], decide):
        folder = recovery.folder(region)
        await region.places.backups.delete([f"{folder}/{segment.name}" for segment in doomed])
        region.jobs_wanted.set()


def duty(settings: Settings) -> Duty:
    """Archiving the change logs of all tables with recovery."""
    return Duty("archiving", PERIOD, partial(archive, limit=settings.recovery_log * MIB), _has_recoveries)


async def _has_recoveries(region: Region) -> bool:
    return await stretches.holds(region, spaces.RECOVERIES.range)


# The removal of a history


async def removal_step(region: Region, job: Job) -> None:
    """Remove the next base copies and segments of a history that has ended. Raises JobMoved and JobWaits."""
    assert region.places is not None, "a region with recovery has a place for it"
    ended = Recovery(job.state["TableName"], job.state["TableId"], job.state["History"], 0, 0)
    found = await recovery_records.bases(region, ended)
    # Those of a history that has begun meanwhile are its own.
    current = await region.engine.get([ended.key])
    later = float("inf") if current[0] is None else recovery_records.parse(current[0]).since
    old = [base for base in found if base.created < later]
    if any(base.status != AVAILABLE for base in old):
        raise JobWaits(1.0)  # Its own job finds that its reader is gone, and removes it.
    rows = await region.engine.range(*recovery_records.segments_range(ended), 500, MIB)

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        job.check(values[0])
        writes = Writes()
        for base in old:
            writes.delete(base.key)
            backup_removal.submit(base.id, base.folder, writes)
        for key, _ in rows:
            writes.delete(key)
        if not rows:
            backup_removal.submit(f"recovery-{job.state['TableId']}-{ended.history}", ended.folder(region), writes)
            job.finish(writes)
        return writes, None

    await region.engine.mutate([job.key], decide)
    region.jobs_wanted.set()


REMOVAL_JOB = JobKind(REMOVAL, removal_step, state={"TableName": str, "TableId": str, "History": int})
