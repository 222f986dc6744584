"""Backups as a region knows them: a record for each, which outlives its table.

A record has what DescribeBackup shows: the descriptor of the table as it was, what it held, and the state of the
backup. The items are elsewhere (`object_places`), in a folder that follows from the ARN. While a backup is being made,
each of its pieces has a record, too, written in the commit that moves the job on: a piece without one was written by a
worker that died or was late, and is removed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from jedlik.aws.errors import AccessDeniedException, ValidationException
from jedlik.dynamodb import catalog
from jedlik.dynamodb.backups.pieces import Packed, Rows
from jedlik.dynamodb.errors import BackupNotFoundException
from jedlik.dynamodb.model import spaces
from jedlik.dynamodb.model.definitions import Descriptor
from jedlik.regions import keyspaces
from jedlik.storage.engine import Row, Writes

if TYPE_CHECKING:
    from jedlik.regions.region import Region

CREATING = "CREATING"
AVAILABLE = "AVAILABLE"
DELETED = "DELETED"
USER = "USER"
BASE = "BASE"
"""The type of a backup from which recovery to a point in time begins. Nobody sees it."""
SYSTEM = "SYSTEM"

_ARN = re.compile(r"arn:[^:]*:dynamodb:([^:]*):([^:]*):table/([^/]+)/backup/([^/]+)")


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup. Equal backups are equal bytes: compare `raw`."""

    id: str
    """The milliseconds of its creation and a few random digits, so that backups of a table sort by time."""
    name: str
    type: str
    """USER, SYSTEM or BASE."""
    status: str
    created: float
    """Seconds since the epoch."""
    items: int
    """In the table, at the position of the backup."""
    size: int
    """Their bytes, as DynamoDB counts them."""
    table: Descriptor
    """The table, as it was."""
    restoring: tuple[str, ...] = ()
    """The ids of the tables that are being made of it."""
    expires: float | None = None
    """When a SYSTEM backup goes."""
    position: int | None = None
    """Its position in the logs, once it is AVAILABLE."""
    at: float | None = None
    """The time of the commit at that position, in seconds since the epoch."""
    follows_key: bool = False
    """Whether its pieces are sealed with the key that the table had (`kms_piece_keys`). No earlier version did that."""
    was_closed: bool = False
    """Whether the table was closed, because its key could not be used, when it was deleted."""
    raw: bytes = b""

    @property
    def arn(self) -> str:
        """Its ARN."""
        return f"{self.table.arn}/backup/{self.id}"

    @property
    def is_unopened(self) -> bool:
        """Whether its items are as the store has them, sealed with the table's keys, because nobody could open them."""
        return self.was_closed or self.table.archived is not None

    @property
    def key(self) -> bytes:
        """The key of its record."""
        return backup_key(self.table.name, self.id)

    @property
    def folder(self) -> str:
        """Where its objects are, in the place of backups."""
        return folder(self.table.account, self.table.region, self.table.name, self.id)

    def stored(self) -> bytes:
        """The record."""
        document = {
            "Id": self.id,
            "Name": self.name,
            "Type": self.type,
            "Status": self.status,
            "Created": self.created,
            "Items": self.items,
            "Size": self.size,
            "Table": catalog.document(self.table),
            "Restoring": self.restoring,
            "Expires": self.expires,
            "Position": self.position,
            "At": self.at,
        }
        marks = {"FollowsKey": self.follows_key, "WasClosed": self.was_closed}
        return orjson.dumps(document | {name: True for name, is_so in marks.items() if is_so})

    def put(self, writes: Writes, **changed: Any) -> None:
        """Write the record, with other values of some fields."""
        writes.put(self.key, replace(self, **changed).stored())


class BackupArn(NamedTuple):
    """The parts of a backup's ARN."""

    table: str
    """The table's name."""
    id: str
    region: str


def parse(raw: bytes) -> Backup:
    """The backup of a record."""
    record = orjson.loads(raw)
    return Backup(
        id=record["Id"],
        name=record["Name"],
        type=record["Type"],
        status=record["Status"],
        created=record["Created"],
        items=record["Items"],
        size=record["Size"],
        table=catalog.of_document(record["Table"]),
        restoring=tuple(record["Restoring"]),
        expires=record["Expires"],
        position=record.get("Position"),
        at=record.get("At"),
        follows_key=record.get("FollowsKey", False),
        was_closed=record.get("WasClosed", False),
        raw=raw,
    )


def found(raw: bytes | None, arn: str) -> Backup:
    """The backup whose record a read has found, for a customer. Raises BackupNotFoundException."""
    if raw is None or parse(raw).type == BASE:
        raise BackupNotFoundException(f"Backup not found: {arn}")
    return parse(raw)


async def find(region: Region, arn: str) -> Backup:
    """The backup that has an ARN.

    Raises BackupNotFoundException, and AccessDeniedException for a backup of another account.
    """
    parts = of_arn(region, arn)
    [raw] = await region.engine.get([backup_key(parts.table, parts.id)])
    return found(raw, arn)


def of_arn(region: Region, arn: str) -> BackupArn:
    """The parts of the ARN of a backup in this region. Raises as `find` does, and ValidationException."""
    parts = of_any_arn(region, arn)
    if parts.region != region.name:
        raise BackupNotFoundException(f"Backup not found: {arn}")
    return parts


def of_any_arn(region: Region, arn: str) -> BackupArn:
    """The same for a backup in any region of the account."""
    match = _ARN.fullmatch(arn)
    if match is None:
        raise ValidationException(f"Invalid backup ARN: {arn}", bare=True)
    if match[2] != region.account:
        raise AccessDeniedException("Access is denied")
    return BackupArn(match[3], match[4], match[1])


def new_id(now: float, digits: str) -> str:
    """The id of a backup that is made now. `digits` are eight hexadecimal ones; zeros are for SYSTEM backups."""
    return f"{int(now * 1000):014d}-{digits}"


def folder(account: str, region: str, table: str, backup: str) -> str:
    """Where the objects of a backup are."""
    return f"{account}/{region}/{table}/{backup}"


# Keys


def backup_key(table: str, backup: str) -> bytes:
    """The key of a backup's record."""
    return spaces.BACKUPS.prefix + table.encode() + b"\0" + backup.encode()


def backup_range(table: str | None) -> tuple[bytes, bytes]:
    """Where the records of all backups stand, or those of a table's name."""
    prefix = spaces.BACKUPS.prefix if table is None else backup_key(table, "")
    return prefix, keyspaces.prefix_end(prefix)


def mark_log(backup: str) -> bytes:
    """The log in which a backup's mark is: its position is that of the backup."""
    return spaces.MARKS.prefix + backup.encode() + b"\0"


def piece_key(backup: str, kind: Rows, number: int) -> bytes:
    """The key of a piece's record, while the backup is being made."""
    return spaces.PIECES.prefix + backup.encode() + b"\0" + bytes((kind,)) + number.to_bytes(4, "big")


def pieces_range(backup: str) -> tuple[bytes, bytes]:
    """Where the records of a backup's pieces stand."""
    prefix = spaces.PIECES.prefix + backup.encode() + b"\0"
    return prefix, keyspaces.prefix_end(prefix)


# Pieces


class Piece(NamedTuple):
    """A piece of a backup, as its record and the manifest have it."""

    kind: Rows
    name: str
    """In the backup's folder. It has the checksum in it, so two workers never write different pieces to one name."""
    rows: int
    size: int
    """Bytes of its keys and values."""
    stored: int
    """Bytes of the object."""


def piece(number: int, kind: Rows, packed: Packed) -> Piece:
    """The record of a packed piece."""
    return Piece(kind, piece_name(number, kind, packed.check), packed.rows, packed.size, len(packed.content))


def piece_name(number: int, kind: Rows, check: str) -> str:
    """The name of a piece in its folder."""
    return f"{kind.name.lower()}-{number:08d}-{check}"


def piece_record(piece: Piece) -> bytes:
    """A piece as it is stored."""
    return orjson.dumps(piece_document(piece))


def piece_document(piece: Piece) -> dict[str, Any]:
    """A piece as JSON has it."""
    return {
        "Kind": piece.kind.name,
        "Name": piece.name,
        "Rows": piece.rows,
        "Size": piece.size,
        "Stored": piece.stored,
    }


def piece_of(document: dict[str, Any]) -> Piece:
    """The piece in a JSON object. Raises KeyError."""
    return Piece(Rows[document["Kind"]], document["Name"], document["Rows"], document["Size"], document["Stored"])


def pieces_of(rows: Sequence[Row]) -> list[Piece]:
    """The pieces in records."""
    return [piece_of(orjson.loads(raw)) for _, raw in rows]
