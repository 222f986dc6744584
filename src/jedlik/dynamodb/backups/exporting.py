"""Exporting: how a table's state at a time, or its changes within a window, are written into a bucket.

The job makes a plan as a restore to a point in time does (`recovery_plans`). Then it goes over the base copy, a piece
in each step, and writes one data file of what it decides; at the end come the items that the changes and segments of
the plan decide about. So that these fit into memory, the table is taken in ranges of its keys, one after the other
(`export_ranges`). A data file is stored first, and then noted with the job's place in one commit.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jedlik.aws.errors import ServiceError
from jedlik.background import job_records
from jedlik.background.job_records import Job, JobMoved, JobWaits
from jedlik.background.work import JobKind
from jedlik.dynamodb import catalog
from jedlik.dynamodb.backups import (
    backup_records,
    backup_removal,
    export_files,
    export_ranges,
    export_records,
    export_selections,
    old_transfers,
    piece_keys,
    recovery_plans,
    recovery_records,
    transfers,
)
from jedlik.dynamodb.backups.export_files import DataFile
from jedlik.dynamodb.backups.export_ranges import Range
from jedlik.dynamodb.backups.export_records import Export
from jedlik.dynamodb.backups.manifests import DamagedManifest
from jedlik.dynamodb.backups.pieces import DamagedPiece, Rows
from jedlik.dynamodb.backups.recovery_plans import Unplannable
from jedlik.dynamodb.backups.recovery_records import Recovery
from jedlik.dynamodb.backups.transfers import COMPLETED, FAILED
from jedlik.dynamodb.model.limits import MIB
from jedlik.dynamodb.tables import table_names
from jedlik.regions import keyspaces
from jedlik.regions.object_places import BucketOfOther, NoBucket
from jedlik.storage.engine import NoKey, Row, Writes
from jedlik.storage.object_store import ObjectMissing, ObjectStore, ObjectStoreError

if TYPE_CHECKING:
    from jedlik.regions.region import Region

KIND = "EXPORT"

WAIT_SECONDS = 5.0
FAULT = "The export failed. The log of the server has the reason."
"""For clients: the error names places of the server."""
PATIENCE_SECONDS = 60 * 60.0
"""An export fails that has not come on for so long."""
OPEN_RANGES = 2
TIDIED_AT_ONCE = 500

_log = logging.getLogger(__name__)


def submit(found: Export, recovery: Recovery, now: float, writes: Writes) -> None:
    """Begin an export, in the commit that makes its record."""
    state = {
        "TableName": found.table,
        "TableId": found.table_id,
        "Export": found.key.hex(),
        "Source": recovery.key.hex(),
        "History": recovery.history,
        "Until": round(found.at * 1e6) - (1 if found.is_incremental else 0),
        "Since": None if found.since is None else round(found.since * 1e6),
        "Folder": None,
        "Range": 0,
        "Piece": 0,
        "After": "",
        "Files": 0,
        "Items": 0,
        "Size": 0,
        "Moved": now,
        "Over": False,
    }
    writes.append(backup_records.mark_log(found.id), b"")
    job_records.submit(found.job, KIND, state, writes)


async def step(region: Region, job: Job) -> None:
    """Plan, write the next data file, or the manifests. Raises JobMoved and JobWaits."""
    assert region.places is not None, "a region with exports has buckets"
    [raw] = await region.engine.get([bytes.fromhex(job.state["Export"])])
    if raw is None:
        raise JobMoved
    found = export_records.parse(raw)
    if job.state["Over"]:
        await _tidy(region, job, found)
        return
    try:
        bucket = transfers.bucket(region, found.request)
        if job.state["Folder"] is None:
            await _plan(region, job, found, bucket, region.places.backups)
        else:
            await _write(region, job, found, bucket, region.places.backups)
    except (NoBucket, BucketOfOther) as error:
        await _end(region, job, found, transfers.failure_of(error))
    except (Unplannable, DamagedManifest, DamagedPiece, ObjectMissing) as error:
        _log.error("an export failed: %s", error, extra={"region": region.store, "table": found.table})
        await _end(region, job, found, ("InternalServerError", FAULT))
    except (ObjectStoreError, ServiceError, NoKey) as error:
        refused = transfers.refusal(region, found.request, error) if isinstance(error, ObjectStoreError) else None
        if refused is not None:
            await _end(region, job, found, refused)
            return
        if region.clock() - job.state["Moved"] > PATIENCE_SECONDS:
            unusable = transfers.UNUSABLE if isinstance(error, ObjectStoreError) else ("KMSAccessError", str(error))
            await _end(region, job, found, unusable)
            return
        _log.warning("an export waits: %s", error, extra={"region": region.store, "table": found.table})
        raise JobWaits(WAIT_SECONDS) from error


async def _plan(region: Region, job: Job, found: Export, bucket: ObjectStore, store: ObjectStore) -> None:
    await bucket.put(found.name("_started"), b"")
    folder = await recovery_plans.planned(region, job.state, found.id, store)
    if folder is not None:
        await _move(region, job, {"Folder": folder})


async def _move(region: Region, job: Job, changed: dict[str, object], more: Sequence[Row] = ()) -> None:
    """Move the job on, and write some rows with that."""
    after = job.state | changed | {"Moved": region.clock()}

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        job.check(values[0])
        writes = Writes()
        for key, value in more:
            writes.put(key, value)
        job.advance(after, writes)
        return writes, None

    await region.engine.mutate([job.key], decide)


_open: OrderedDict[str, Range] = OrderedDict()
"""By store and job, what this worker has read."""


async def _range(region: Region, job: Job, store: ObjectStore) -> Range:
    """The range that the job exports now. Raises ObjectStoreError, DamagedManifest and DamagedPiece."""
    name = f"{region.store}/{job.name}"
    known = _open.pop(name, None)
    if known is None or known.number != job.state["Range"]:
        known = await Range.of(
            store, piece_keys.of(region), job.state["Folder"], job.state["Range"], job.state.get("Since")
        )
    _open[name] = known
    while len(_open) > OPEN_RANGES:
        _open.popitem(last=False)
    return known


async def _write(region: Region, job: Job, found: Export, bucket: ObjectStore, store: ObjectStore) -> None:
    """Write the next data file, or the manifests."""
    state = job.state
    part = await _range(region, job, store)
    if part.number >= part.count:
        if state["Files"] == 0 and not found.is_incremental:
            await _store(region, job, found, bucket, (export_files.EMPTY, {}))
        else:
            await _write_manifests(region, job, found, bucket)
        return
    copied = part.manifest.of(Rows.ITEMS)
    after = state.get("After", "")
    rows: list[Row] | None = None
    behind: dict[str, object] = {"Piece": 0, "Range": part.number + 1, "After": ""}
    if state["Piece"] < len(copied):
        rows = await export_ranges.rows_of(store, piece_keys.of(region), copied[state["Piece"]].name)
        behind = {"Piece": state["Piece"] + 1, "After": rows[-1][0].hex() if rows else after}
    made = await asyncio.to_thread(_data_file, region.secret, found, part, rows, bytes.fromhex(after))
    if made is None:
        await _move(region, job, behind)
    else:
        await _store(region, job, found, bucket, (made, behind))


async def _store(
    region: Region, job: Job, found: Export, bucket: ObjectStore, of: tuple[DataFile, dict[str, object]]
) -> None:
    """Store a data file, and move the job on to where it then is."""
    made, behind = of
    state = job.state
    name = found.data_name(state["Files"], made.hexdigest, export_files.suffix(found))
    await bucket.put(name, made.content)
    counts = {
        "Files": state["Files"] + 1,
        "Items": state["Items"] + made.records,
        "Size": state["Size"] + made.size,
    }
    key = backup_records.piece_key(found.id, Rows.ITEMS, state["Files"])
    await _move(region, job, behind | counts, [(key, made.note(name))])


def _data_file(secret: bytes, found: Export, part: Range, rows: list[Row] | None, after: bytes) -> DataFile | None:
    """The data file of a copied piece, or of what no piece decides about."""
    table = catalog.table_of(part.manifest.backup.table)
    selection = export_selections.selection(found.request.get("FilterSpecification"), table, secret)
    if part.since is None:
        return export_files.of_items(found, selection, part.rest() if rows is None else part.copied(rows))
    changes = part.rest_of_changes(after) if rows is None else part.changes_of(rows, after)
    return export_files.of_changes(found, table, selection, changes)


async def _write_manifests(region: Region, job: Job, found: Export, bucket: ObjectStore) -> None:
    lines = []
    start, end = backup_records.pieces_range(found.id)
    while rows := await region.engine.range(start, end, TIDIED_AT_ONCE, MIB):
        lines += [raw + b"\n" for _, raw in rows]
        start = rows[-1][0] + b"\0"
    ended = region.clock()
    table_arn = table_names.arn(region.name, region.account, found.table)
    summary = export_files.summary(found, export_records.arn(region, found), table_arn, ended, job.state)
    for name, content in (("manifest-files", b"".join(lines)), ("manifest-summary", summary)):
        await bucket.put(found.name(f"{name}.md5"), export_files.checksum(content))
        await bucket.put(found.name(f"{name}.json"), content)
    await _end(region, job, found, None)


async def _end(region: Region, job: Job, found: Export, failure: tuple[str, str] | None) -> None:
    """Record what has become of an export; then tidy up."""
    state = job.state
    source = bytes.fromhex(state["Source"])
    marks = backup_records.mark_log(found.id)
    mark_rows = await region.engine.range(marks, keyspaces.prefix_end(marks), 1, 1)

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        job.check(values[0])
        writes = Writes()
        found.put(
            writes,
            status=COMPLETED if failure is None else FAILED,
            ended=region.clock(),
            items=state["Items"],
            size=state["Size"],
            failure=failure,
        )
        if values[1] is not None:
            recovery = recovery_records.parse(values[1])
            recovery.put(writes, restoring=tuple(one for one in recovery.restoring if one != found.id))
        if state["Folder"] is not None:
            backup_removal.submit(f"plan-{found.id}", state["Folder"], writes)
        for key, _ in mark_rows:
            writes.delete(key)
        job.advance(state | {"Over": True}, writes)
        return writes, None

    await region.engine.mutate([job.key, source], decide)
    region.jobs_wanted.set()
    _open.pop(f"{region.store}/{job.name}", None)


async def _tidy(region: Region, job: Job, found: Export) -> None:
    """Remove the notes of data files, and end the job."""
    start, end = backup_records.pieces_range(found.id)
    doomed = await region.engine.range(start, end, TIDIED_AT_ONCE, MIB)

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        job.check(values[0])
        writes = Writes()
        for key, _ in doomed:
            writes.delete(key)
        if len(doomed) < TIDIED_AT_ONCE:
            job.finish(writes)
        return writes, None

    await region.engine.mutate([job.key], decide)
    if len(doomed) < TIDIED_AT_ONCE:
        await old_transfers.remove(region)


def forget() -> None:
    """Forget what this worker has read: the next step reads it again."""
    _open.clear()


JOB = JobKind(
    KIND,
    step,
    state={"TableName": str, "TableId": str, "Export": str, "Source": str, "Range": int, "Piece": int},
)
