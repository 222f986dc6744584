"""Purge: removes the rows that a deleted table or index leaves behind.

To delete a table is to delete its descriptor: from that commit on no write can reach it, and its keys contain an id
that is never used again. So its rows can be removed at leisure, a bounded number at a time, and nobody waits for that.
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
"""Rows that are removed in one commit. Other writers wait for it, two microseconds a row and a sync."""
STEP_BYTES = 4 * MIB
"""Bytes of values after which a step ends."""


def delete_table(table: Descriptor, stream: streams.Document | None, now: float, writes: Writes) -> None:
    """Delete a table and its enabled stream, if it has one; the rest follows in the background."""
    catalog.remove(table, writes)
    submit_table(table, writes)
    log_readers.ended(table, writes)
    if stream is not None:
        streams.end(stream, now, writes)


def submit_table(table: Descriptor, writes: Writes) -> None:
    """Begin to remove a table's rows, in the commit that deletes its descriptor."""
    ranges = _rows_of(keys.table_id(table.id), Owner.TABLE, Owner.INDEX, Owner.REPLICA)
    _submit(f"purge/{table.id}", ranges, writes)


def submit_replication(table: Descriptor, writes: Writes) -> None:
    """Begin to remove a table's records of its replicas, in the commit that makes it an ordinary table again."""
    ranges = _rows_of(keys.table_id(table.id), Owner.REPLICA)
    _submit(_replication_job(table), ranges, writes)


def keep_replication(table: Descriptor, writes: Writes) -> None:
    """Stop the removal of a table's records of former replicas, in the commit that begins to give it new ones.

    The remaining records are still true: versions of items, and positions in tables that are no longer read.
    """
    job_records.cancel(_replication_job(table), writes)


def submit_index(table: Descriptor, index_number: int, writes: Writes) -> None:
    """Begin to remove an index's entries, in the commit that removes the index from the table's descriptor."""
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
    """The key ranges of everything that belongs to a table, or to a part of it."""
    return [space.of(owner) for space in spaces.KEYSPACES if space.owner in owners]


def _ranges(state: State) -> list[Range]:
    """The key ranges that a job in this state will remove."""
    return [(bytes.fromhex(start), bytes.fromhex(end)) for start, end in state["Ranges"]]


JOB = JobKind(KIND, step, state={"Ranges": list}, removes=_ranges)


def _submit(name: str, ranges: list[Range], writes: Writes) -> None:
    state = {"Ranges": [[start.hex(), end.hex()] for start, end in ranges]}
    job_records.submit(name, KIND, state, writes)
