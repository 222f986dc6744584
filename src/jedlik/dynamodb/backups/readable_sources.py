"""Readable sources: whether what a restore needs can be read, before the request makes its table.

The manifest is read, and one object of each kind: all that have one key and one place fail together. What is damaged
further on is found by the job, which then takes the table away again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.backups import manifests, piece_keys, recovery_records
from jedlik.dynamodb.backups.backup_records import AVAILABLE
from jedlik.dynamodb.backups.manifests import DamagedManifest, Manifest
from jedlik.dynamodb.backups.pieces import DamagedPiece
from jedlik.dynamodb.backups.recovery_records import Recovery
from jedlik.dynamodb.errors import ContinuousBackupsUnavailableException, PointInTimeRecoveryUnavailableException
from jedlik.dynamodb.model.limits import MIB
from jedlik.storage.object_store import ObjectMissing, ObjectStore, ObjectStoreError

if TYPE_CHECKING:
    from jedlik.regions.region import Region


async def check_backup(region: Region, store: ObjectStore, folder: str, manifest: Manifest | None = None) -> None:
    """Whether a backup opens in a region, by its manifest unless that has been read.

    Raises ValidationException and ContinuousBackupsUnavailableException, and what refuses a request if KMS does.
    """
    try:
        if manifest is None:
            manifest = await manifests.read(store, folder)
        await _open_first(region, store, folder, manifest)
    except (DamagedManifest, DamagedPiece, ObjectMissing) as error:
        raise ValidationException(f"The backup cannot be restored here: {error}") from error
    except ObjectStoreError as error:
        raise ContinuousBackupsUnavailableException(f"The place of backups cannot be used: {error}") from error


async def check_recovery(region: Region, source: Region, recovery: Recovery, at: float) -> None:
    """Whether what `source` has archived of a table for a time opens in a region.

    Raises PointInTimeRecoveryUnavailableException, and what refuses a request if KMS does.
    """
    assert source.places is not None, "a region with recovery has a place for it"
    base = recovery_records.latest(await recovery_records.bases(source, recovery), at)
    if base is None or base.status != AVAILABLE:
        return  # It is being made, and the restore waits for it.
    start = recovery_records.segment_key(recovery, base.position or 0)
    rows = await source.engine.range(start, recovery_records.segments_range(recovery)[1], 1, MIB)
    store, folder = source.places.backups, recovery.folder(source)
    try:
        await _open_first(region, store, base.folder, await manifests.read(store, base.folder))
        for _, raw in rows:
            await piece_keys.of(region).rows(store, f"{folder}/{recovery_records.segment_of(raw).name}")
    except (DamagedManifest, DamagedPiece, ObjectStoreError) as error:
        raise PointInTimeRecoveryUnavailableException(
            f"The archive of table '{recovery.table}' cannot be read: {error}"
        ) from error


async def _open_first(region: Region, store: ObjectStore, folder: str, manifest: Manifest) -> None:
    for piece in manifest.pieces[:1]:
        await piece_keys.of(region).rows(store, piece.name if "/" in piece.name else f"{folder}/{piece.name}")
