"""Backfill: adds existing items to a new global secondary index, while writes go on.

Each step reads a stretch of the table. In one mutation it updates those of its items that need it
(`model.indexes.fill`) and moves the job on. Writes in between update their items themselves, so neither the order of
events nor the number of attempts matters. The last step makes the index ACTIVE.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from jedlik.background import job_records, stretches
from jedlik.background.job_records import Job
from jedlik.background.work import JobKind, Unfinished
from jedlik.dynamodb import catalog, mini_transaction
from jedlik.dynamodb.model import indexes, keys
from jedlik.dynamodb.model.definitions import Descriptor, filled
from jedlik.dynamodb.model.limits import MIB
from jedlik.dynamodb.model.mutations import Mutation
from jedlik.dynamodb.model.tables import Table
from jedlik.regions import keyspaces
from jedlik.storage.engine import Writes

if TYPE_CHECKING:
    from jedlik.regions.region import Region

KIND = "BACKFILL"

STEP_ITEMS = 100
STEP_BYTES = MIB // 2
"""Bytes of items after which a step ends: a table of large items must not stall others' writes."""


def submit(table: Descriptor, index_number: int, writes: Writes) -> None:
    """Begin to fill the index with this number, in the commit that adds it to the table's descriptor."""
    state = {
        "TableName": table.name,
        "TableId": table.id,
        "IndexNumber": index_number,
        "Position": keys.index_prefix(keys.table_id(table.id), 0).hex(),
    }
    job_records.submit(f"backfill/{table.id}/{index_number}", KIND, state, writes)


async def step(region: Region, job: Job) -> None:
    """Add the next items to the index; after the last, make it ACTIVE. Raises JobMoved."""
    state = job.state
    end = keyspaces.prefix_end(keys.index_prefix(keys.table_id(state["TableId"]), 0))
    item_keys = await stretches.first_keys(region, bytes.fromhex(state["Position"]), end, STEP_ITEMS, STEP_BYTES)
    descriptor_key = catalog.key(state["TableName"])

    def decide(mutation: Mutation) -> None:
        job.check(mutation.found[job.key])
        writes = mutation.writes
        table = _table_with_index(mutation.found[descriptor_key], state["TableId"], state["IndexNumber"])
        if table is None:
            job.finish(writes)
        elif item_keys:
            for key in item_keys:
                stored = mutation.found[key]
                brought = None if stored is None else indexes.fill(table, stored, mutation)
                if brought is not None:
                    writes.put(key, brought)
            job.advance(state | {"Position": (item_keys[-1] + b"\x00").hex()}, writes)
        else:
            catalog.put(_activated(table.descriptor, state["IndexNumber"]), writes)
            job.finish(writes)

    await mini_transaction.mutate_keys(region, [job.key, descriptor_key, *item_keys], decide)


def _table_with_index(raw: bytes | None, table_id: str, index_number: int) -> Table | None:
    """The table, if it is still the same one and still has the index; either may have been deleted meanwhile."""
    table = catalog.stored(raw)
    if table is None or table.descriptor.id != table_id or all(i.number != index_number for i in table.indexes):
        return None
    return table


def _activated(table: Descriptor, index_number: int) -> Descriptor:
    """The table with an index that has been filled."""
    indexes = (filled(index) if index.number == index_number else index for index in table.global_indexes)
    return replace(table, global_indexes=tuple(indexes))


def _unfinished(table: Descriptor) -> Iterator[Unfinished]:
    """The indexes of a table that are being filled."""
    for index in table.global_indexes:
        if index.backfilling:
            state = {"TableId": table.id, "IndexNumber": index.number}
            yield Unfinished(f"index {index.name}: it is being filled", state)


JOB = JobKind(
    KIND,
    step,
    state={"TableName": str, "TableId": str, "IndexNumber": int, "Position": str},
    finishes=_unfinished,
)
