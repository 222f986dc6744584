"""Verifying backups where they are kept, without a server and without its store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import NamedTuple

from jedlik.dynamodb.backups import manifests, pieces
from jedlik.dynamodb.backups.backup_records import Piece
from jedlik.dynamodb.backups.manifests import DamagedManifest, Manifest
from jedlik.dynamodb.backups.piece_keys import PieceKeys, PieceOfKms
from jedlik.dynamodb.backups.pieces import DamagedPiece, PieceRows, Rows
from jedlik.root_key import ABSENT
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


@dataclass(slots=True)
class Verified:
    """The pieces of a backup, as far as they have been looked at."""

    unopened: int = 0
    """Sealed ones whose checksum is right, and that were not opened because there is no root key."""
    of_kms: int = 0
    """The same of those that only KMS opens."""


async def problems(
    store: ObjectStore, folder: str, manifest: Manifest, keys: PieceKeys | None, verified: Verified
) -> AsyncIterator[str]:
    """What is wrong with the pieces of a backup, a line for each piece. Without `keys`, sealed ones are not opened.
    Raises ObjectStoreError."""
    for piece in manifest.pieces:
        name = f"{folder}/{piece.name}"
        try:
            if keys is None and pieces.key_number(content := await store.get(name)):
                _check_name(piece, content)
                verified.unopened += 1
            else:
                await _check_opened(store, name, piece, keys or PieceKeys(ABSENT), verified)
        except (DamagedPiece, ObjectMissing) as error:
            yield f"{piece.name}: {error}"


async def _check_opened(store: ObjectStore, name: str, piece: Piece, keys: PieceKeys, verified: Verified) -> None:
    try:
        _check(piece, *await keys.rows(store, name))
    except PieceOfKms:
        content = await store.get(name)
        pieces.key_number(content)
        _check_name(piece, content)
        verified.of_kms += 1


def _check_name(piece: Piece, content: bytes) -> None:
    if not piece.name.endswith(pieces.checksum(content)):
        raise DamagedPiece("it is another piece than the manifest lists")


def _check(piece: Piece, content: bytes, kind: Rows, rows: PieceRows) -> None:
    _check_name(piece, content)
    count = sum(1 for _ in rows)
    if (kind, count) != (piece.kind, piece.rows):
        raise DamagedPiece(f"it has {count} rows of {kind.name}, and not {piece.rows} of {piece.kind.name}")
