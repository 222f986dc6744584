"""Removal of backups: the objects of a deleted backup go in the background.

The manifest goes first, so what is left of a backup is never taken for a whole one.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jedlik.background import job_records
from jedlik.background.job_records import Job, JobWaits
from jedlik.background.work import JobKind
from jedlik.dynamodb.backups import manifests
from jedlik.storage.engine import Writes
from jedlik.storage.object_store import ObjectStoreError

if TYPE_CHECKING:
    from jedlik.regions.region import Region

KIND = "BACKUP_REMOVAL"
REMOVED_AT_ONCE = 500
WAIT_SECONDS = 60.0
"""After a failure of the place of backups."""

_log = logging.getLogger(__name__)


def submit(backup: str, folder: str, writes: Writes) -> None:
    """Remove the objects of a backup, in the commit that deletes its record."""
    job_records.submit(f"backup-removal/{backup}", KIND, {"Folder": folder}, writes)


async def step(region: Region, job: Job) -> None:
    """Remove the next objects. Raises JobMoved and JobWaits."""
    assert region.places is not None, "a region with backups has a place for them"
    store, folder = region.places.backups, job.state["Folder"]
    try:
        await store.delete([f"{folder}/{manifests.NAME}"])
        doomed = []
        async for found in store.list(folder):
            doomed.append(found.name)
            if len(doomed) == REMOVED_AT_ONCE:
                break
        await store.delete(doomed)
    except ObjectStoreError as error:
        _log.warning("a deleted backup stays for now: %s", error, extra={"region": region.store})
        raise JobWaits(WAIT_SECONDS) from error

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        job.check(values[0])
        writes = Writes()
        if not doomed:
            job.finish(writes)
        return writes, None

    await region.engine.mutate([job.key], decide)


JOB = JobKind(KIND, step, state={"Folder": str})
