"""Recovery to a point in time as a region knows it: a record for each table with recovery, and one for each segment.

A recovery has a history that begins when it is enabled. Nothing is restored across the end of one. The segments of a
history are the entries of the change log, archived: each has those from the end of the one before it up to its own,
with nothing left out. Base copies are backups of the type BASE (`backup_records`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from jedlik.dynamodb.backups import backup_records
from jedlik.dynamodb.backups.backup_records import BASE, Backup
from jedlik.dynamodb.model import keys, spaces
from jedlik.dynamodb.model.definitions import Descriptor, LogReader
from jedlik.dynamodb.model.limits import MIB
from jedlik.regions import keyspaces
from jedlik.storage.engine import Writes

if TYPE_CHECKING:
    from jedlik.regions.region import Region

READER = "recovery"
"""The reader of the change log that archives it."""
LOG_SECONDS = 24 * 60 * 60.0
"""How long the log keeps what cannot be archived, because the place is away. Then recovery is suspended."""
DAY = 24 * 60 * 60.0


class Trouble(NamedTuple):
    """What keeps the log from being archived."""

    since: float
    """Seconds since the epoch."""
    reason: str


@dataclass(frozen=True, slots=True)
class Recovery:
    """The recovery of a table."""

    table: str
    """The table's name."""
    table_id: str
    history: int
    """When it was enabled, in milliseconds since the epoch."""
    days: int
    """For how long it goes back."""
    position: int
    """The position of the first entry that is not archived."""
    archived: int = 0
    """Bytes that have been archived since the last base copy began."""
    restoring: tuple[str, ...] = ()
    """The ids of the tables that are being made from it."""
    segments: int | None = None
    """How many have been archived, those that have been removed since included. None in records of earlier
    versions."""
    held_up: Trouble | None = None
    """Why nothing can be archived now."""
    until: float | None = None
    """While nothing can be archived: up to when the archive goes, in seconds since the epoch."""
    waiting: int = 0
    """While nothing can be archived: bytes of the log that wait for it, as far as they have been counted."""
    measured: int | None = None
    """The position up to which they have been counted."""
    suspended: bool = False
    """Whether the log has been let go, because too much waited (`suspensions`)."""
    begun_again: float | None = None
    """When this history took the place of one that was lost, because nothing could be archived for too long, in seconds
    since the epoch."""
    raw: bytes = b""

    @property
    def since(self) -> float:
        """When it was enabled, in seconds since the epoch."""
        return self.history / 1000

    def earliest(self, now: float) -> float:
        """The earliest time to which the table can be restored."""
        return max(self.since, now - self.days * DAY)

    @property
    def key(self) -> bytes:
        """The key of its record."""
        return recovery_key(keys.table_id(self.table_id))

    def folder(self, region: Region) -> str:
        """Where its segments are, in the place of backups."""
        return backup_records.folder(region.account, region.name, self.table, f"recovery-{self.history:014d}")

    def put(self, writes: Writes, **changed: Any) -> None:
        """Write the record, with other values of some fields."""
        new = replace(self, **changed)
        document = {
            "TableName": new.table,
            "TableId": new.table_id,
            "History": new.history,
            "Days": new.days,
            "Position": new.position,
            "Archived": new.archived,
            "Restoring": new.restoring,
            "Segments": new.segments,
            "HeldUp": None if new.held_up is None else list(new.held_up),
            "BegunAgain": new.begun_again,
        }
        if new.held_up is not None:
            document |= {
                "Until": new.until,
                "Waiting": new.waiting,
                "Measured": new.measured,
                "Suspended": new.suspended,
            }
        writes.put(new.key, orjson.dumps(document))


def parse(raw: bytes) -> Recovery:
    """The recovery of a record."""
    record = orjson.loads(raw)
    return Recovery(
        table=record["TableName"],
        table_id=record["TableId"],
        history=record["History"],
        days=record["Days"],
        position=record["Position"],
        archived=record["Archived"],
        restoring=tuple(record["Restoring"]),
        segments=record.get("Segments"),
        held_up=None if record.get("HeldUp") is None else Trouble(*record["HeldUp"]),
        begun_again=record.get("BegunAgain"),
        until=record.get("Until"),
        waiting=record.get("Waiting", 0),
        measured=record.get("Measured"),
        suspended=record.get("Suspended", False),
        raw=raw,
    )


def recovery_key(table_id: bytes) -> bytes:
    """The key of the record of a table's recovery."""
    return spaces.RECOVERIES.prefix + table_id


def all_range() -> tuple[bytes, bytes]:
    """Where the records of all recoveries stand."""
    return spaces.RECOVERIES.range


async def of_table(region: Region, table: Descriptor) -> Recovery | None:
    """The recovery of a table, if it is on."""
    [raw] = await region.engine.get([recovery_key(keys.table_id(table.id))])
    return None if raw is None else parse(raw)


def reader() -> LogReader:
    """The reader of the change log that archives it."""
    return LogReader(READER, old_images=False, new_images=True, seconds=LOG_SECONDS, temporary=False)


class Segment(NamedTuple):
    """A part of an archived log."""

    name: str
    """In the folder of the recovery."""
    first: int
    """The position at which it begins."""
    last: int
    """The position of its last entry."""
    rows: int
    size: int
    stored: int
    number: int | None = None
    """Its place among the segments of its history, from 0 on. None in records of earlier versions."""

    def put(self, recovery: Recovery, writes: Writes) -> None:
        """Write its record."""
        writes.put(segment_key(recovery, self.first), orjson.dumps(list(self)))


def segment_of(raw: bytes) -> Segment:
    """The segment of a record."""
    return Segment(*orjson.loads(raw))


def segment_key(recovery: Recovery, first: int) -> bytes:
    """The key of the record of the segment that begins at a position."""
    return segments_range(recovery)[0] + first.to_bytes(8, "big")


def segments_range(recovery: Recovery) -> tuple[bytes, bytes]:
    """Where the records of a recovery's segments stand, in the order of their positions."""
    prefix = spaces.SEGMENTS.prefix + keys.table_id(recovery.table_id) + recovery.history.to_bytes(8, "big")
    return prefix, keyspaces.prefix_end(prefix)


async def segments(region: Region, recovery: Recovery, limit: int | None = None) -> list[Segment]:
    """The segments of a recovery, all of them or the first ones."""
    found: list[Segment] = []
    start, end = segments_range(recovery)
    while limit is None or len(found) < limit:
        rows = await region.engine.range(start, end, 500, MIB)
        if not rows:
            break
        found += [segment_of(raw) for _, raw in rows]
        start = rows[-1][0] + b"\0"
    return found[:limit]


async def bases(region: Region, recovery: Recovery) -> list[Backup]:
    """The base copies of a recovery, the oldest first; the last may not be whole yet."""
    rows = await region.engine.range(*backup_records.backup_range(recovery.table), 1_000_000, 64 * MIB)
    return [
        backup
        for backup in (backup_records.parse(raw) for _, raw in rows)
        if backup.type == BASE and backup.table.id == recovery.table_id and backup.created >= recovery.since
    ]


def latest(found: Sequence[Backup], at: float) -> Backup | None:
    """The last base copy, whole or not, that is not later than a time."""
    return next((base for base in reversed(found) if (base.at if base.at is not None else base.created) <= at), None)
