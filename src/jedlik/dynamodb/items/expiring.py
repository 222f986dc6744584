"""Expiry: deletes items that are past their time to live, and keeps the notes by which it finds them.

A sweep visits the tables that have notes, one look-up each, and reads the notes of the past; it never reads items that
have not expired. Each batch of items is deleted in one mutation, which reads the items again and deletes those that are
still expired, so an item that was given more time in between stays. Each batch is logged with its lag: by how much the
first of its items had outlived its time. Nothing is deleted while the clock is doubted (`clock.TrustedClock`).

Writes keep the notes of the items that they touch (`model.expiry`). When time to live is switched on for a table that
has items already, a job adds notes for those; when it is switched off, a job removes the notes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from jedlik.aws.errors import ServiceError
from jedlik.background import job_records, stretches
from jedlik.background.job_records import Job
from jedlik.background.work import Duty, JobKind, Unfinished
from jedlik.config import Settings
from jedlik.dynamodb import catalog, mini_transaction
from jedlik.dynamodb.capacity import cloudwatch
from jedlik.dynamodb.errors import DescriptorChanged
from jedlik.dynamodb.model import expiry, items, keys
from jedlik.dynamodb.model.definitions import Descriptor
from jedlik.dynamodb.model.limits import EXPIRY_HORIZON_SECONDS, MIB
from jedlik.dynamodb.model.mutations import Mutation
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.model.writes import Delete, perform
from jedlik.regions import keyspaces
from jedlik.storage.engine import NoKey, Row, Writes

if TYPE_CHECKING:
    from jedlik.regions.region import Region

KIND = "EXPIRY_NOTES"

STEP_ITEMS = 100
"""Items noted, or deleted, in one mutation."""
STEP_BYTES = MIB // 2

_log = logging.getLogger(__name__)


def submit(table: Descriptor, writes: Writes) -> None:
    """Begin to write or remove a table's notes, in the commit that changes its time to live."""
    assert table.expiry is not None, "the setting has changed"
    state = {
        "TableName": table.name,
        "TableId": table.id,
        "UpdatedAt": table.expiry.updated_at,
        "Position": keys.index_prefix(keys.table_id(table.id), 0).hex(),
    }
    job_records.submit(f"expiry/{table.id}", KIND, state, writes)


async def step(region: Region, job: Job) -> None:
    """Note the next items, or remove the next notes; at the end, record that in the descriptor. Raises JobMoved."""
    state = job.state
    table_id = keys.table_id(state["TableId"])
    descriptor_key = catalog.key(state["TableName"])
    found_table = await catalog.find(region, state["TableName"])
    raw = None if found_table is None else found_table.raw
    table = _as_asked(found_table, state)
    noting = table is not None and table.ttl_attribute is not None
    if noting:
        start, end = bytes.fromhex(state["Position"]), keyspaces.prefix_end(keys.index_prefix(table_id, 0))
    else:
        start, end = keys.expiry_range(table_id, 0, expiry.LAST_SECOND)
    found = await stretches.first_keys(region, start, end, STEP_ITEMS, STEP_BYTES)

    def decide(mutation: Mutation) -> None:
        job.check(mutation.found[job.key])
        if mutation.found[descriptor_key] != raw:
            raise job_records.JobMoved
        writes = mutation.writes
        if table is None:
            job.finish(writes)
        elif not found:
            catalog.put(_finished(table.descriptor, noting), writes)
            job.finish(writes)
        elif noting:
            for key in found:
                stored = mutation.found[key]
                if stored is not None:
                    expiry.renew_note(table, key, None, items.decode(stored), writes)
            job.advance(state | {"Position": (found[-1] + b"\0").hex()}, writes)
        else:
            for key in found:
                writes.delete(key)

    await mini_transaction.mutate_keys(region, [job.key, descriptor_key, *(found if noting else ())], decide)


def _as_asked(table: Table | None, state: job_records.State) -> Table | None:
    """The table whose time to live this job is about, unless it was deleted or the setting has changed again."""
    if table is None or table.descriptor.expiry is None or table.descriptor.id != state["TableId"]:
        return None
    return table if table.descriptor.expiry.updated_at == state["UpdatedAt"] else None


def _finished(table: Descriptor, noting: bool) -> Descriptor:
    """The table when its notes have been written or removed."""
    assert table.expiry is not None
    return replace(table, expiry=replace(table.expiry, status="ENABLED" if noting else "DISABLED"))


def _unfinished(table: Descriptor) -> Iterator[Unfinished]:
    """A table's time to live, while it is being switched on or off."""
    if table.expiry is not None and table.expiry.status in ("ENABLING", "DISABLING"):
        yield Unfinished(f"its time to live is {table.expiry.status}", {"TableId": table.id})


JOB = JobKind(
    KIND,
    step,
    state={"TableName": str, "TableId": str, "UpdatedAt": float, "Position": str},
    finishes=_unfinished,
)


async def sweep(region: Region) -> bool:
    """Delete a batch of expired items in each table of the region. Returns whether there are more."""
    if region.clock.doubtful:
        return False
    more = False
    after: bytes | None = None
    while rows := await region.engine.range(*keys.expiring_tables_range(after), 1, STEP_BYTES):
        [(key, name)] = rows
        after = keys.table_of_key(key)
        more |= await _sweep_table(region, name.decode(), after)
    return more


async def _sweep_table(region: Region, name: str, table_id: bytes) -> bool:
    now = region.clock()
    horizon = max(0, int(now - EXPIRY_HORIZON_SECONDS))
    start, end = keys.expiry_range(table_id, horizon, int(now) + 1)
    notes = await region.engine.range(start, end, STEP_ITEMS, STEP_BYTES)
    if not notes:
        return False
    try:
        table = await catalog.current(region, name)
    except ServiceError:
        return False  # It has gone, or is closed because its key cannot be used.
    if table.id != table_id or table.ttl_attribute is None:
        # Another table has the name, or expiry is off: the notes wait for the job that removes them.
        return False
    try:
        deleted = await _expire(region, table, table.ttl_attribute, notes, now)
    except (DescriptorChanged, NoKey):
        return False
    cloudwatch.count_expired(region, name, deleted)
    lag = now - keys.time_of_expiry_key(notes[0][0])
    _log.info("expired", extra={"region": region.name, "table": name, "deleted": deleted, "lag_seconds": round(lag, 3)})
    return len(notes) == STEP_ITEMS


async def _expire(region: Region, table: Table, attribute: str, notes: Sequence[Row], now: float) -> int:
    """Delete those of the noted items that have expired. Returns how many."""
    item_keys = [keys.item_of_expiry_key(table, note) for note, _ in notes]

    def decide(mutation: Mutation) -> int:
        deleted = 0
        for (note, _), key in zip(notes, item_keys, strict=True):
            # Removed in any case: with its item, or because its item has another note by now.
            mutation.writes.delete(note)
            stored = mutation.stored(key)
            item = items.decode(stored) if stored is not None else None
            if item is not None and expiry.has_expired(item, attribute, now):
                perform(Delete(table, key, item, expired=True), mutation)
                deleted += 1
        return deleted

    return await mini_transaction.mutate(region, [table], ((table, key) for key in item_keys), decide)


def duty(settings: Settings) -> Duty:
    """The sweep, as often as the settings demand."""
    return Duty("expiry", settings.expiry_interval, sweep, _has_notes)


async def _has_notes(region: Region) -> bool:
    return await stretches.holds(region, keys.expiring_tables_range(None))
