"""Archival: what is left of a table whose key could not be used for seven days is a backup.

The backup is made while nobody can read the table: it has the items as they are sealed. Who restores it needs the key,
by the row of the table's keys, which stays as long as such a backup (`held_keys`). The table itself is ARCHIVED from
then on, and never opens again; DeleteTable removes it.

Source: "DynamoDB encryption at rest usage notes" in the developer guide; ArchivalSummary in the API reference.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from jedlik.dynamodb import catalog, mini_transaction
from jedlik.dynamodb.backups import backup_records, table_copies
from jedlik.dynamodb.backups.backup_records import CREATING, USER, Backup
from jedlik.dynamodb.changes import readers
from jedlik.dynamodb.model import keys, log_readers
from jedlik.dynamodb.model.definitions import Archived
from jedlik.dynamodb.model.mutations import Mutation
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.tables import busy_tables
from jedlik.storage.counters import counter

if TYPE_CHECKING:
    from jedlik.regions.region import Region

AFTER_SECONDS = 7 * 24 * 60 * 60.0
_NAME = "$InaccessibleEncryptionCredentials"
"""What the name of such a backup ends with."""
_LONGEST_NAME = 255

_log = logging.getLogger(__name__)


def is_due(region: Region, table: Table) -> bool:
    """Whether a table has been closed for so long."""
    encryption = table.descriptor.encryption
    if encryption is None or encryption.inaccessible_since is None or region.clock.doubtful or region.places is None:
        return False
    return region.clock.slowest() - encryption.inaccessible_since >= AFTER_SECONDS


async def begin(region: Region, table: Table) -> None:
    """Begin to make the backup of a table that is closed."""
    descriptor, now = table.descriptor, int(region.clock() * 1000) / 1000
    if busy_tables.is_backed_up(descriptor) or descriptor.is_being_made or descriptor.is_going:
        return
    starts = await readers.starting(region)
    new_id = backup_records.new_id(now, secrets.token_hex(4))
    counters = [keys.item_count_key(table.id, 0), keys.item_bytes_key(table.id, 0)]

    def decide(mutation: Mutation) -> bool:
        found, writes = mutation.found, mutation.writes
        if found[table.descriptor_key] != table.raw:
            return False
        name = descriptor.name[: _LONGEST_NAME - len(_NAME)] + _NAME
        items, size = (counter(found[key]) for key in counters)
        backup = Backup(new_id, name, USER, CREATING, now, items, size, descriptor)
        archived = replace(descriptor, archived=Archived(now, backup.arn))
        backup = replace(backup, table=archived)
        backup.put(writes)
        table_copies.submit(backup, now, writes)
        catalog.put(log_readers.added(archived, table_copies.reader(backup), starts, writes), writes)
        return True

    if await mini_transaction.mutate_keys(region, [table.descriptor_key, *counters], decide):
        _log.warning(
            "the key of a table could not be used for seven days: it is being archived",
            extra={"region": region.store, "table": table.name},
        )
        region.jobs_wanted.set()
