"""Verifying backups where they are kept, without a server and without its store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

from jedlik.dynamodb.backups import manifests, pieces
from jedlik.dynamodb.backups.backup_records import Piece
from jedlik.dynamodb.backups.manifests import DamagedManifest, Manifest
from jedlik.dynamodb.backups.pieces import DamagedPiece
from jedlik.storage.object_store import ObjectMissing, ObjectStore


class Kept(NamedTuple):
    """A backup as it is found in the place of backups."""

    folder: str
    manifest: Manifest | None
    problem: str | None
    """What is wrong with its manifest, if it has one that cannot be used."""


async def kept(store: ObjectStore) -> AsyncIterator[Kept]:
    """The backups in a place, by folder: those that are whole, and those that cannot be read.

    A folder without a manifest is of a backup that is being made or removed. Raises ObjectStoreError.
    """
    folders = [
        found.name.rpartition("/")[0]
        async for found in store.list("")
        if found.name.rpartition("/")[2] == manifests.NAME
    ]
    for folder in sorted(folders):
        try:
            yield Kept(folder, await manifests.read(store, folder), None)
        except (DamagedManifest, ObjectMissing) as error:
            yield Kept(folder, None, str(error))


async def problems(store: ObjectStore, folder: str, manifest: Manifest) -> AsyncIterator[str]:
    """What is wrong with the pieces of a backup, a line for each piece. Raises ObjectStoreError."""
    for piece in manifest.pieces:
        try:
            _check(piece, await store.get(f"{folder}/{piece.name}"))
        except (DamagedPiece, ObjectMissing) as error:
            yield f"{piece.name}: {error}"


def _check(piece: Piece, content: bytes) -> None:
    kind, rows = pieces.unpacked(content)
    if not piece.name.endswith(pieces.checksum(content)):
        raise DamagedPiece("it is another piece than the manifest lists")
    if (kind, len(rows)) != (piece.kind, piece.rows):
        raise DamagedPiece(f"it has {len(rows)} rows of {kind.name}, and not {piece.rows} of {piece.kind.name}")
