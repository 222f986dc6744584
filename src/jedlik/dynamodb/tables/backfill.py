"""Backfill: brings the items that were there before a global secondary index into it, while writes go on.

Each step reads a stretch of the table and, in one mutation, brings those of its items up to date that are not
(`model.indexes.fill`) and moves the job on. Writes that come between bring their items up to date themselves,
so it does not matter in which order things happen, nor how often a step is tried. The last step makes the
index ACTIVE.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from jedlik.background import job_records, stretches
from jedlik.background.job_records import Job
from jedlik.background.work import JobKind, Unfinished
from jedlik.dynamodb.model import descriptors, indexes, keys
from jedlik.dynamodb.model.limits import MIB
from jedlik.dynamodb.model.tables import Document, Table
from jedlik.regions import keyspaces
from jedlik.storage.engine import Writes

if TYPE_CHECKING:
    from jedlik.regions.region import Region

KIND = "BACKFILL"

STEP_ITEMS = 100
STEP_BYTES = MIB // 2
"""Bytes of items after which a step ends: a table of large items must not stall others' writes."""


def submit(document: Document, index_number: int, writes: Writes) -> None:
    """Have the index with this number filled, in the commit that adds it to the table's descriptor."""
    state = {
        "TableName": document["TableName"],
        "TableId": document["TableId"],
        "IndexNumber": index_number,
        "Position": keys.index_prefix(keys.table_id(document["TableId"]), 0).hex(),
    }
    job_records.submit(f"backfill/{document['TableId']}/{index_number}", KIND, state, writes)


async def step(region: Region, job: Job) -> None:
    """Bring the next items into the index; when there are none, make it ACTIVE. Raises JobMoved."""
    state = job.state
    end = keyspaces.prefix_end(keys.index_prefix(keys.table_id(state["TableId"]), 0))
    item_keys = await stretches.first_keys(region, bytes.fromhex(state["Position"]), end, STEP_ITEMS, STEP_BYTES)
    descriptor_key = keys.descriptor_key(state["TableName"])

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        job.check(values[0])
        writes = Writes()
        table = _table_with_index(values[1], state["TableId"], state["IndexNumber"])
        if table is None:
            job.finish(writes)
        elif item_keys:
            for key, stored in zip(item_keys, values[2:], strict=True):
                filled = None if stored is None else indexes.fill(table, stored, writes, region.secret)
                if filled is not None:
                    writes.put(key, filled)
            job.advance(state | {"Position": (item_keys[-1] + b"\x00").hex()}, writes)
        else:
            writes.put(descriptor_key, descriptors.serialize(_activated(table.document, state["IndexNumber"])))
            job.finish(writes)
        return writes, None

    await region.engine.mutate([job.key, descriptor_key, *item_keys], decide)


def _table_with_index(raw: bytes | None, table_id: str, index_number: int) -> Table | None:
    """The table, if it is still the same one and has still the index; either may have been deleted meanwhile."""
    if raw is None:
        return None
    table = descriptors.parse(raw)
    if table.document["TableId"] != table_id or all(i.number != index_number for i in table.indexes):
        return None
    return table


def _activated(document: Document, index_number: int) -> Document:
    """The table's document with an index that has been filled."""

    def activated(index: Document) -> Document:
        if index["IndexNumber"] != index_number:
            return index
        return {name: value for name, value in index.items() if name != "Backfilling"} | {"IndexStatus": "ACTIVE"}

    return document | {"GlobalSecondaryIndexes": [activated(i) for i in document["GlobalSecondaryIndexes"]]}


def _unfinished(document: Document) -> Iterator[Unfinished]:
    """The indexes of a table that are being filled."""
    for index in document.get("GlobalSecondaryIndexes", ()):
        if index.get("Backfilling"):
            state = {"TableId": document["TableId"], "IndexNumber": index["IndexNumber"]}
            yield Unfinished(f"index {index['IndexName']}: it is being filled", state)


JOB = JobKind(
    KIND,
    step,
    state={"TableName": str, "TableId": str, "IndexNumber": int, "Position": str},
    finishes=_unfinished,
)
