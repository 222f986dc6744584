"""Sources elsewhere: backups and archives of another region, of which a table is restored here.

The record of the source is in the store of its own region, so no commit covers it and the table. The job of the restore
notes in the record, as its first step, that the source is needed; and before its last one, that it is not. Both may be
done twice. What the job reads is in the place of backups, which all regions of a server have in common. `holds`
releases a source whose job cannot note that any more.

A backup whose region is not served here can be restored if it is in the same place: nobody then keeps it from being
deleted meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from jedlik.background.job_records import Job, JobWaits
from jedlik.dynamodb.backups import backup_records, holds, kms_piece_keys, manifests, readable_sources
from jedlik.dynamodb.backups.backup_records import AVAILABLE, Backup, BackupArn
from jedlik.dynamodb.backups.holds import Hold
from jedlik.dynamodb.backups.manifests import DamagedManifest
from jedlik.dynamodb.backups.recovery_records import Recovery
from jedlik.dynamodb.errors import BackupNotFoundException
from jedlik.dynamodb.model import spaces
from jedlik.regions.region import NotServed, TooManyOpen
from jedlik.storage.engine import Writes
from jedlik.storage.object_store import ObjectMissing, ObjectStore

if TYPE_CHECKING:
    from jedlik.regions.region import Region

WAIT_SECONDS = 5.0
"""While no further store can be opened."""


class SourceGone(Exception):
    """The source is not there any more. The message has the reason."""


async def backup(region: Region, parts: BackupArn, arn: str, store: ObjectStore) -> Backup:
    """A backup of another region, which opens here.

    Raises BackupNotFoundException, ValidationException, ContinuousBackupsUnavailableException and ObjectStoreError.
    """
    key = backup_records.backup_key(parts.table, parts.id)

    async def read(source: Region) -> Backup:
        found = backup_records.found((await source.engine.get([key]))[0], arn)
        if found.follows_key:
            await kms_piece_keys.check(source, found.table)
        if found.status == AVAILABLE:
            await readable_sources.check_backup(region, store, found.folder)
        return found

    try:
        return await region.elsewhere.use(parts.region, read)
    except NotServed:
        folder = backup_records.folder(region.account, parts.region, parts.table, parts.id)
    try:
        manifest = await manifests.read(store, folder)
    except (ObjectMissing, DamagedManifest) as error:
        raise BackupNotFoundException(f"Backup not found: {arn}") from error
    await readable_sources.check_backup(region, store, folder, manifest)
    return backup_records.found(replace(manifest.backup, status=AVAILABLE).stored(), arn)


async def hold(region: Region, job: Job) -> None:
    """Keep the source of a job until it is released, and mark up to where its log is needed. Raises SourceGone."""
    key, table_id = bytes.fromhex(job.state["Source"]), job.state["TableId"]

    async def work(source: Region) -> None:
        await source.engine.mutate([key], decide)

    def decide(found: Sequence[bytes | None]) -> tuple[Writes, None]:
        writes = Writes()
        if found[0] is None:
            raise SourceGone("it is gone")
        record = holds.record_of(key, found[0])
        if isinstance(record, Recovery) and record.history != job.state["History"]:
            raise SourceGone("the recovery of the source has ended")
        if table_id not in record.restoring:
            record.put(writes, restoring=(*record.restoring, table_id))
            Hold(table_id, region.name, job.state["Source"]).put(writes)
            if isinstance(record, Recovery):
                writes.append(backup_records.mark_log(table_id), b"")
        return writes, None

    try:
        await region.elsewhere.use(job.state["Region"], work)
    except TooManyOpen as error:
        raise JobWaits(WAIT_SECONDS) from error
    except NotServed as error:
        if key.startswith(spaces.RECOVERIES.prefix):
            raise SourceGone(f"its region {error} is not served here") from error

    def note(found: Sequence[bytes | None]) -> tuple[Writes, None]:
        job.check(found[0])
        writes = Writes()
        job.advance(job.state | {"Held": True}, writes)
        return writes, None

    await region.engine.mutate([job.key], note)


async def release(region: Region, job: Job) -> None:
    """The source of a job, which is about to end, is not needed for it any more."""
    key, table_id = bytes.fromhex(job.state["Source"]), job.state["TableId"]

    async def work(source: Region) -> None:
        await holds.release(source, key, table_id)

    try:
        await region.elsewhere.use(job.state["Region"], work)
    except TooManyOpen as error:
        raise JobWaits(WAIT_SECONDS) from error
    except NotServed:
        return  # Nothing was held, or the settings have lost the region: it lets go when it is there again.


async def is_held(source: Region, table_id: str) -> bool:
    """Whether a source here is held for a table of another region."""
    return (await source.engine.get([holds.hold_key(table_id)]))[0] is not None
