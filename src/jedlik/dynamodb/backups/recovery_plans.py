"""Recovery plans: what a table is made of that is restored to a point in time.

The job archives the log up to the commit of the request, so that every change up to the time is in a segment. Then it
writes a plan, in the form of a manifest: the pieces of the base copy before the time, and the segments behind it. The
restore goes on from there as from a backup (`restores`). It takes what was committed up to the time, by the times in
the log's entries, which never go back: so a transaction is in the table as a whole or not at all.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jedlik.aws.errors import ServiceError
from jedlik.background import job_records
from jedlik.background.job_records import Job, JobMoved, JobWaits, State
from jedlik.background.work import JobKind
from jedlik.dynamodb import catalog
from jedlik.dynamodb.backups import (
    archiving,
    backup_records,
    manifests,
    recovery_records,
    restores,
    sources_elsewhere,
    table_copies,
)
from jedlik.dynamodb.backups.backup_records import AVAILABLE, Backup, Piece
from jedlik.dynamodb.backups.manifests import DamagedManifest, Manifest
from jedlik.dynamodb.backups.pieces import Rows
from jedlik.dynamodb.backups.recovery_records import Recovery
from jedlik.dynamodb.backups.restores import HERE, Elsewhere, Place
from jedlik.dynamodb.backups.sources_elsewhere import SourceGone
from jedlik.dynamodb.changes.readers import ReaderGone
from jedlik.dynamodb.encryption.kms_refusals import KeyGone
from jedlik.dynamodb.model.definitions import Descriptor
from jedlik.regions import keyspaces
from jedlik.regions.region import NotServed, TooManyOpen
from jedlik.storage.engine import Writes
from jedlik.storage.object_store import ObjectMissing, ObjectStore, ObjectStoreError

if TYPE_CHECKING:
    from jedlik.regions.region import Region

KIND = "RECOVERY"
WAIT_SECONDS = 1.0
"""While the base copy is being made, or the place of backups is away."""

_log = logging.getLogger(__name__)


def submit(recovery: Recovery, table: Descriptor, until: float, writes: Writes, elsewhere: Elsewhere = HERE) -> None:
    """Begin to fill a table with what another held at a time, in the commit that makes it. `elsewhere` has the other
    one's region, if it is not the table's (`sources_elsewhere`)."""
    state = {
        **elsewhere,
        "TableName": table.name,
        "TableId": table.id,
        "Source": recovery.key.hex(),
        "History": recovery.history,
        "Until": round(until * 1e6),
    }
    if not elsewhere:
        writes.append(backup_records.mark_log(table.id), b"")
    job_records.submit(f"recovery/{table.id}", KIND, state, writes)


class Unplannable(Exception):
    """What was asked for cannot be had any more. The message has the reason."""


async def step(region: Region, job: Job) -> None:
    """Archive the log, or write the plan. Raises JobMoved and JobWaits."""
    assert region.places is not None, "a region with recovery has a place for it"
    state = job.state
    try:
        folder = await _planned(region, job, region.places.backups)
    except (Unplannable, SourceGone) as error:
        await _fail(region, job, str(error))
        return
    except ServiceError as error:
        _log.warning(
            "a restore waits for the key of its source: %s",
            error.message,
            extra={"region": region.store, "table": state["TableName"]},
        )
        raise JobWaits(restores.WAIT_SECONDS) from error
    except ObjectStoreError as error:
        await restores.wait(region, job, error)
        await _fail(region, job, str(error))
        return
    if folder is None:
        return
    marks = backup_records.mark_log(state["TableId"])
    mark_rows = await region.engine.range(marks, keyspaces.prefix_end(marks), 1, 1)

    def decide(found: Sequence[bytes | None]) -> tuple[Writes, None]:
        job.check(found[0])
        writes = Writes()
        for key, _ in mark_rows:
            writes.delete(key)
        job.finish(writes)
        elsewhere: Elsewhere = {member: state[member] for member in ("Region", "Held") if member in state}
        place = Place(folder, manifests.PLAN)
        restores.submit(state["TableName"], state["TableId"], place, state["Source"], writes, elsewhere)
        return writes, None

    await region.engine.mutate([job.key], decide)
    region.jobs_wanted.set()


async def _planned(region: Region, job: Job, store: ObjectStore) -> str | None:
    """The same as `planned`, with the region of the source. Raises SourceGone, too."""
    state = job.state
    if "Region" not in state:
        return await planned(region, state, state["TableId"], store)
    if not state.get("Held"):
        await sources_elsewhere.hold(region, job)
        return None

    async def work(source: Region) -> str | None:
        try:
            return await planned(source, state, state["TableId"], store)
        except JobMoved:
            if not await sources_elsewhere.is_held(source, state["TableId"]):
                raise SourceGone("the source was released, because this region was not served for too long") from None
            raise

    try:
        return await region.elsewhere.use(state["Region"], work)
    except NotServed as error:
        raise SourceGone(f"its region {error} is not served here") from error
    except TooManyOpen as error:
        raise JobWaits(sources_elsewhere.WAIT_SECONDS) from error


async def planned(region: Region, state: State, name: str, store: ObjectStore) -> str | None:
    """The folder of the plan for a job in this state, once it is written; until then, None.

    `name` is that of the mark, and of the plan. Raises Unplannable, JobWaits, JobMoved and ObjectStoreError.
    """
    [raw] = await region.engine.get([bytes.fromhex(state["Source"])])
    recovery = None if raw is None else recovery_records.parse(raw)
    if recovery is None or recovery.history != state["History"]:
        raise Unplannable("the recovery of the source has ended")
    position, _ = await table_copies.marked(region, name)
    try:
        if recovery.suspended:
            if recovery.until is None or state["Until"] > recovery.until * 1e6:
                raise Unplannable("the changes up to that time could not be archived")
        elif recovery.position <= position:
            await _flush(region, recovery)
            return None
        return await _write(region, recovery, state, name, store)
    except (ReaderGone, DamagedManifest, ObjectMissing, KeyGone) as error:
        raise Unplannable(f"the archive cannot be read: {error}") from error


async def _flush(region: Region, recovery: Recovery) -> None:
    source = await catalog.find(region, recovery.table)
    if source is None or source.descriptor.id != recovery.table_id:
        raise Unplannable("the source is gone")
    await archiving.flush(region, source, recovery)


async def _write(region: Region, recovery: Recovery, state: State, name: str, store: ObjectStore) -> str:
    until: int = state["Until"]
    since: int | None = state.get("Since")
    bases = await recovery_records.bases(region, recovery)
    base = None
    if since is not None:
        # A base of the same microsecond as the window's beginning may have changes in it that belong to the window.
        base = recovery_records.latest(bases, (since - 1) / 1e6)
    if base is None:
        base = recovery_records.latest(bases, (until if since is None else since) / 1e6)
    if base is None:
        raise Unplannable("there is no base copy before that time")
    if base.status != AVAILABLE:
        raise JobWaits(WAIT_SECONDS)
    plan = await _manifest(region, recovery, base, until, store)
    folder = backup_records.folder(region.account, region.name, recovery.table, f"plan-{name}")
    await store.put(f"{folder}/{manifests.PLAN}", manifests.serialized(plan))
    return folder


async def _manifest(region: Region, recovery: Recovery, base: Backup, until: int, store: ObjectStore) -> Manifest:
    """The plan: with the names of objects as they are in the place of backups."""
    of_base = await manifests.read(store, base.folder)
    folder = recovery.folder(region)
    later = [
        Piece(Rows.SEGMENT, f"{folder}/{segment.name}", segment.rows, segment.size, segment.stored)
        for segment in await recovery_records.segments(region, recovery)
        if segment.last > of_base.position
    ]
    pieces = [piece._replace(name=f"{base.folder}/{piece.name}") for piece in of_base.pieces]
    return Manifest(of_base.backup, of_base.position, of_base.secret, (*pieces, *later), until)


async def _fail(region: Region, job: Job, reason: str) -> None:
    marks = backup_records.mark_log(job.state["TableId"])
    rows = await region.engine.range(marks, keyspaces.prefix_end(marks), 1, 1)
    await restores.cancel(region, job, [key for key, _ in rows])
    _log.error(
        "a table could not be restored to a point in time, and has been removed: %s",
        reason,
        extra={"region": region.store, "table": job.state["TableName"]},
    )


JOB = JobKind(
    KIND,
    step,
    state={"TableName": str, "TableId": str, "Source": str, "History": int, "Until": int},
)
