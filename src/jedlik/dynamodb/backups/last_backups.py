"""Last backups: what remains of a table with recovery when it is deleted, for 35 days.

The deleted table is DELETING, and closed to everybody, until its backup of the type SYSTEM is made; then it goes
(`table_copies`). So the backup is of the table's last state. If the table is closed because its key cannot be used, the
backup has the items as they are sealed, like that of an archived table.

Source: "Point-in-time backups for DynamoDB" in the developer guide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jedlik.background import stretches
from jedlik.background.work import Duty
from jedlik.config import Settings
from jedlik.dynamodb import catalog
from jedlik.dynamodb.backups import (
    archiving,
    backup_records,
    backup_removal,
    kms_piece_keys,
    recovery_records,
    table_copies,
)
from jedlik.dynamodb.backups.backup_records import AVAILABLE, CREATING, SYSTEM, Backup
from jedlik.dynamodb.errors import DescriptorChanged, ResourceInUseException
from jedlik.dynamodb.model import keys, log_readers, spaces, streams
from jedlik.dynamodb.model.definitions import Descriptor
from jedlik.dynamodb.model.log_readers import Position
from jedlik.dynamodb.model.mutations import Mutation
from jedlik.storage.counters import counter
from jedlik.storage.engine import Writes

if TYPE_CHECKING:
    from jedlik.regions.region import Region

KEPT_SECONDS = 35 * 24 * 60 * 60.0
PERIOD = 60.0
"""Seconds between two looks at what has expired."""
_DIGITS = "00000000"
"""The last digits in the id of a SYSTEM backup."""


def reads(table_id: bytes) -> list[bytes]:
    """What a mutation that deletes a table reads for this."""
    counts = [keys.item_count_key(table_id, 0), keys.item_bytes_key(table_id, 0)]
    return [recovery_records.recovery_key(table_id), *counts]


def is_made(table: Descriptor, mutation: Mutation) -> bool:
    """Whether a table has recovery, and so leaves a last backup when it is deleted."""
    return mutation.found[reads(keys.table_id(table.id))[0]] is not None


def begin(table: Descriptor, stream: streams.Document | None, starts: Position, now: float, mutation: Mutation) -> bool:
    """Delete a table by its last backup; whether it has recovery, and so is deleted in this way.

    Raises ResourceInUseException while a table is restored from it or it is exported, and DescriptorChanged if the
    mutation has not read the keys that `reads` gives for this table: it was made for an earlier table of the name.
    """
    recovery_key, items_key, size_key = reads(keys.table_id(table.id))
    if recovery_key not in mutation.found:
        raise DescriptorChanged
    found, writes = mutation.found, mutation.writes
    stored = found[recovery_key]
    if stored is None:
        return False
    recovery = recovery_records.parse(stored)
    if recovery.restoring:
        raise ResourceInUseException(
            "Attempt to change a resource which is still in use: Table is being restored to another or exported: "
            f"{table.name}"
        )
    now = int(now * 1000) / 1000
    backup = Backup(
        id=backup_records.new_id(now, _DIGITS),
        name=f"{table.name}$DeletedTableBackup",
        type=SYSTEM,
        status=CREATING,
        created=now,
        items=counter(found[items_key]),
        size=counter(found[size_key]),
        table=table,
        expires=now + KEPT_SECONDS,
        follows_key=kms_piece_keys.follows_key(table) and not table.is_closed,
        was_closed=table.is_closed,
    )
    backup.put(writes)
    writes.put(_expiry_key(backup), b"")
    table_copies.submit(backup, now, writes)
    if stream is not None:
        table = streams.disable(table, stream, now, writes)
    table = archiving.end(table, recovery, writes)
    catalog.put(log_readers.added(table, table_copies.reader(backup), starts, writes), writes)
    return True


def _expiry_key(backup: Backup) -> bytes:
    assert backup.expires is not None
    return spaces.BACKUP_EXPIRIES.prefix + int(backup.expires * 1000).to_bytes(8, "big") + backup.key[1:]


async def remove_expired(region: Region) -> bool:
    """Remove the first SYSTEM backup that has expired; whether there may be another."""
    rows = await region.engine.range(*spaces.BACKUP_EXPIRIES.range, 1, 1)
    if not rows or region.clock.doubtful:
        return False
    [(key, _)] = rows
    if int.from_bytes(key[1:9], "big") / 1000 > region.clock.slowest():
        return False
    backup_key = spaces.BACKUPS.prefix + key[9:]

    def decide(found: Sequence[bytes | None]) -> tuple[Writes, bool]:
        writes = Writes()
        backup = None if found[0] is None else backup_records.parse(found[0])
        if backup is not None and backup.restoring:
            return writes, False
        writes.delete(key)
        if backup is not None and backup.status == AVAILABLE:
            writes.delete(backup.key)
            backup_removal.submit(backup.id, backup.folder, writes)
        return writes, True

    removed = await region.engine.mutate([backup_key], decide)
    region.jobs_wanted.set()
    return removed


def duty(settings: Settings) -> Duty:
    """Removing SYSTEM backups when they have expired."""
    return Duty("expired backups", PERIOD, remove_expired, _has_any)


async def _has_any(region: Region) -> bool:
    return await stretches.holds(region, spaces.BACKUP_EXPIRIES.range)
