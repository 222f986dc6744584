"""Purge: removes what a deleted table or index leaves behind.

A table is deleted by deleting its descriptor: from that commit on no write can reach it, and its keys hold an
id that is never given again. So its rows can go at leisure, a bounded number at a time, and nobody waits for
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jedlik.background import job_records, stretches
from jedlik.background.job_records import Job, State
from jedlik.background.work import JobKind, Range
from jedlik.dynamodb import catalog
from jedlik.dynamodb.model import keys, log_readers, spaces, streams
from jedlik.dynamodb.model.definitions import Descriptor
from jedlik.dynamodb.model.limits import MIB
from jedlik.regions.keyspaces import Owner
from jedlik.storage.engine import Writes

if TYPE_CHECKING:
    from jedlik.regions.region import Region

KIND = "PURGE"

STEP_ROWS = 200
"""Rows that are removed in one commit. Whoever else writes waits for it, at two microseconds a row and a sync."""
STEP_BYTES = 4 * MIB
"""Bytes of values after which a step ends."""


def delete_table(table: Descriptor, stream: streams.Document | None, now: float, writes: Writes) -> None:
    """Delete a table and, if it has one, its enabled stream; the rest follows in the background."""
    catalog.remove(table, writes)
    submit_table(table, writes)
    log_readers.ended(table, writes)
    if stream is not None:
        streams.end(stream, now, writes)


def submit_table(table: Descriptor, writes: Writes) -> None:
    """Have a table's rows removed, in the commit that deletes its descriptor."""
    ranges = _rows_of(keys.table_id(table.id), Owner.TABLE, Owner.INDEX, Owner.REPLICA)
    _submit(f"purge/{table.id}", ranges, writes)


def submit_replication(table: Descriptor, writes: Writes) -> None:
    """Have what a table knows of its replicas removed, in the commit that makes it an ordinary one again."""
    ranges = _rows_of(keys.table_id(table.id), Owner.REPLICA)
    _submit(_replication_job(table), ranges, writes)


def keep_replication(table: Descriptor, writes: Writes) -> None:
    """Stop the removal of what a table knows of former replicas, in the commit that begins to give it new ones.

    What it still knows is as true as it was: versions of items, and positions in tables that are not asked any more.
    """
    job_records.cancel(_replication_job(table), writes)


def submit_index(table: Descriptor, index_number: int, writes: Writes) -> None:
    """Have an index's entries removed, in the commit that takes it out of the table's descriptor."""
    table_id = keys.table_id(table.id)
    ranges = _rows_of(table_id + index_number.to_bytes(2, "big"), Owner.INDEX)
    _submit(f"purge/{table.id}/{index_number}", ranges, writes)


async def step(region: Region, job: Job) -> None:
    """Remove the next rows. Raises JobMoved."""
    ranges = job.state["Ranges"]
    start, end = (bytes.fromhex(bound) for bound in ranges[0])
    doomed = await stretches.first_keys(region, start, end, STEP_ROWS, STEP_BYTES)

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


def _replication_job(table: Descriptor) -> str:
    return f"purge/{table.id}/replication"


def _rows_of(owner: bytes, *owners: Owner) -> list[Range]:
    """Where everything stands that belongs to a table, or to a part of it."""
    return [space.of(owner) for space in spaces.KEYSPACES if space.owner in owners]


def _ranges(state: State) -> list[Range]:
    """What a job in this state is going to remove."""
    return [(bytes.fromhex(start), bytes.fromhex(end)) for start, end in state["Ranges"]]


JOB = JobKind(KIND, step, state={"Ranges": list}, removes=_ranges)


def _submit(name: str, ranges: list[Range], writes: Writes) -> None:
    state = {"Ranges": [[start.hex(), end.hex()] for start, end in ranges]}
    job_records.submit(name, KIND, state, writes)
