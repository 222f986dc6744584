"""Changes of keys: what a table holds is sealed with its new key, while it is used.

From the commit that gives a table another key, everything is written with the new one: each write reads the descriptor,
which has the number of the key (`storage.sealed`). So one pass over the table's rows is enough. Each step seals some
values again that are sealed with other keys, in a mutation that reads them, and moves the job on. The old keys stay
until the last step, and then are idle: `key_watch` lets go of them.

A replica gets a key by its group document, where no caller asks. Then the job begins with the adoption of the key, in
the account's name.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from jedlik.aws.context import Context, own
from jedlik.aws.errors import ServiceError
from jedlik.background import job_records
from jedlik.background.job_records import Job, JobMoved, JobWaits
from jedlik.background.work import JobKind, Unfinished
from jedlik.dynamodb import catalog, mini_transaction
from jedlik.dynamodb.encryption import chosen_keys, open_keys
from jedlik.dynamodb.model import shared_settings
from jedlik.dynamodb.model.definitions import Descriptor
from jedlik.dynamodb.model.mutations import Mutation
from jedlik.dynamodb.model.tables import Table
from jedlik.regions import keyspaces, store_keys, table_keyring
from jedlik.storage.engine import NoKey, Row, Writes
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine

if TYPE_CHECKING:
    from jedlik.regions.region import Region
    from jedlik.storage.sealed_engine import SealedEngine

KIND = "TABLE_KEY"
STEP_ROWS = 100
STEP_BYTES = 256 * 1024
"""Rows that are looked at in one mutation, and bytes of their values."""
WAIT_SECONDS = 2.0
"""How long the job pauses while a key cannot be used, or the store itself is being sealed."""

_log = logging.getLogger(__name__)


def submit(table: Descriptor, writes: Writes, *, adopts: bool = False) -> None:
    """Begin to seal what a table holds with its new key, in the commit that gives it the key; or, if the job `adopts`
    the key, in the commit that asks for it."""
    state = {"TableName": table.name, "TableId": table.id, "Adopts": adopts, "Position": ""}
    job_records.submit(f"table-key/{table.id}", KIND, state, writes)


async def step(region: Region, job: Job) -> None:
    """Seal the next values, or finish. Raises JobMoved and JobWaits."""
    table = await catalog.find(region, job.state["TableName"])
    if table is None or table.descriptor.id != job.state["TableId"]:
        await _end(region, job)
    elif job.state["Adopts"]:
        await _adopt(region, job, table)
    else:
        await _seal(region, job, table)


async def _end(region: Region, job: Job) -> None:
    """End the job of a table that is gone."""

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        job.check(values[0])
        writes = Writes()
        job.finish(writes)
        return writes, None

    await region.engine.mutate([job.key], decide)


async def _adopt(region: Region, job: Job, table: Table) -> None:
    """Give a replica the key that its group document asks for."""
    descriptor = table.descriptor
    where = {"region": region.store, "table": table.name}
    wish = chosen_keys.as_of(descriptor.encryption)
    row = table_keyring.row(table.id)
    try:
        async with chosen_keys.chosen(Context(region, "of a replica", own(region)), table.name, wish) as key:

            def decide(mutation: Mutation) -> Descriptor:
                job.check(mutation.found[job.key])
                if mutation.found[table.descriptor_key] != table.raw:
                    raise JobMoved
                changed = key.of_changed(descriptor, mutation.found[row], mutation.writes)
                changed = shared_settings.noted(changed, region.clock())
                catalog.put(changed, mutation.writes)
                job.advance(job.state | {"Adopts": False}, mutation.writes)
                return changed

            changed = await mini_transaction.mutate_keys(region, [job.key, table.descriptor_key, row], decide)
            key.learn(region, changed)
    except ServiceError as error:
        _log.error("a replica does not get its key: %s", error.message, extra=where)
        raise JobWaits(WAIT_SECONDS) from error


async def _seal(region: Region, job: Job, table: Table) -> None:
    engine, descriptor = region.sealed, table.descriptor
    assert engine is not None, "only tables of sealed stores have keys"
    if descriptor.is_closed or await _is_being_sealed(engine):
        raise JobWaits(WAIT_SECONDS)
    try:
        await open_keys.ready(region, table.id)
    except ServiceError as error:
        raise JobWaits(WAIT_SECONDS) from error
    rows = await _rows_from(engine.inner, _ranges(engine, table.id), bytes.fromhex(job.state["Position"]))
    number = descriptor.key_number
    others = [key for key, stored in rows if engine.sealing.number(key, stored) != number]
    row = table_keyring.row(table.id)

    def decide(mutation: Mutation) -> None:
        found, writes = mutation.found, mutation.writes
        job.check(found[job.key])
        if found[table.descriptor_key] != table.raw:
            raise JobMoved
        for key in others:
            value = found[key]
            if value is not None:
                writes.put(key, value)
        if rows:
            job.advance(job.state | {"Position": (rows[-1][0] + b"\0").hex()}, writes)
            return
        record = found[row]
        if record is not None:
            writes.put(row, table_keyring.parse(record).settled.record)
        if descriptor.encryption is not None:
            done = replace(descriptor.encryption, status="ENABLED")
            catalog.put(replace(descriptor, encryption=done), writes)
        job.finish(writes)

    try:
        await mini_transaction.mutate_keys(region, [job.key, table.descriptor_key, row, *others], decide)
    except NoKey as error:
        raise JobWaits(WAIT_SECONDS) from error


async def _is_being_sealed(engine: SealedEngine) -> bool:
    """Whether what the store held before it was sealed is still being sealed: that seals with any of a table's keys."""
    [record] = await engine.get([store_keys.KEYSPACE.prefix])
    return record is not None and store_keys.parse(record).has_plain


def _ranges(engine: SealedEngine, table: bytes) -> list[tuple[bytes, bytes]]:
    """Where the sealed values of a table are, in the order of their keys."""
    spaces = engine.sealing.spaces
    prefixes = [space + table for space in sorted(spaces) if spaces[space].owner == len(space + table)]
    return [(prefix, keyspaces.prefix_end(prefix)) for prefix in prefixes]


async def _rows_from(engine: LmdbEngine, ranges: list[tuple[bytes, bytes]], position: bytes) -> list[Row]:
    """The next rows as they are stored."""
    for start, end in ranges:
        if position < end:
            rows = await engine.range(max(start, position), end, STEP_ROWS, STEP_BYTES)
            if rows:
                return rows
    return []


def _unfinished(table: Descriptor) -> Iterator[Unfinished]:
    """A table whose key is being changed."""
    if table.encryption is not None and table.encryption.status == "UPDATING":
        yield Unfinished("its key is being changed", {"TableId": table.id})


JOB = JobKind(
    KIND,
    step,
    state={"TableName": str, "TableId": str, "Adopts": bool, "Position": str},
    finishes=_unfinished,
)
