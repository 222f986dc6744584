"""Manifests: the object that makes a backup whole. It is written last, and lists the pieces that belong to it.

    line 1    JSON: the format, the backup's record, the position of the log at which the table was as it is kept, a
              fingerprint of the store's secret, and the pieces in the order in which they are applied
    line 2    XXH3 of line 1, in hexadecimal

A reader applies the pieces of ITEMS in any order, and then the pieces of CHANGES from the last to the first, each from
its last row to its first. The items were copied after the position, while the table was written to, and each change
takes an item back to what it was before. The first change of an item after the position is applied last, so each item
ends as it was at the position. In a plan, segments follow, from the first to the last: of each, the changes behind the
position and up to a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson
import xxhash

from jedlik.dynamodb.backups import backup_records
from jedlik.dynamodb.backups.backup_records import Backup, Piece
from jedlik.dynamodb.backups.pieces import Rows
from jedlik.storage.object_store import ObjectStore

NAME = "manifest"
"""In a backup's folder."""
PLAN = "plan"
"""The same of a restore to a point in time, whose pieces are in other folders (`recovery_plans`)."""
FORMAT = 1


class DamagedManifest(Exception):
    """A manifest cannot be read, or is not what was written. The message has the reason."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup consists of."""

    backup: Backup
    position: int
    """A place in the store's logs: a change with a higher one is not in the backup."""
    secret: str
    """`fingerprint` of the secret with which the keys of its rows were made."""
    pieces: tuple[Piece, ...]
    until: int | None = None
    """Changes in segments are taken up to this time, in microseconds since the epoch."""

    def of(self, kind: Rows) -> list[Piece]:
        """The pieces of a kind, in order."""
        return [piece for piece in self.pieces if piece.kind is kind]


def fingerprint(secret: bytes) -> str:
    """What two stores have in common if they have the same secret, and what nobody finds the secret by."""
    return blake2b(b"backup", key=secret, digest_size=16).hexdigest()


def serialized(manifest: Manifest) -> bytes:
    """The object."""
    document = {
        "Format": FORMAT,
        "Arn": manifest.backup.arn,
        "Backup": orjson.Fragment(manifest.backup.stored()),
        "Position": manifest.position,
        "Secret": manifest.secret,
        "Until": manifest.until,
        "Pieces": [backup_records.piece_document(piece) for piece in manifest.pieces],
    }
    line = orjson.dumps(document)
    return line + b"\n" + xxhash.xxh3_128_hexdigest(line).encode() + b"\n"


def parse(content: bytes) -> Manifest:
    """The manifest in an object. Raises DamagedManifest."""
    line, _, check = content.partition(b"\n")
    if xxhash.xxh3_128_hexdigest(line).encode() != check.strip():
        raise DamagedManifest("its checksum is wrong")
    document: dict[str, Any] = orjson.loads(line)
    if document["Format"] != FORMAT:
        raise DamagedManifest(f"its format is {document['Format']}, which this version does not know")
    return Manifest(
        backup_records.parse(orjson.dumps(document["Backup"])),
        document["Position"],
        document["Secret"],
        tuple(backup_records.piece_of(piece) for piece in document["Pieces"]),
        document.get("Until"),
    )


async def read(store: ObjectStore, folder: str, name: str = NAME) -> Manifest:
    """The manifest of the backup in a folder. Raises ObjectStoreError and DamagedManifest."""
    return parse(await store.get(f"{folder}/{name}"))
