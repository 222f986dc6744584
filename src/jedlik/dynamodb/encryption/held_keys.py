"""Held keys: keys that a table has no use for any more, but its backups and archives have.

A backup is opened by the key that its table had. A recovery needs every key that the table has had since the base copy
from which its archive goes back: the numbers of keys only grow. The backup of a table that nobody could open has items
as they were sealed, with any of its keys. The row of the table's keys stays as long (`key_watch`), and with it the
grants, also when the table is gone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jedlik.dynamodb.backups import backup_records
from jedlik.dynamodb.backups.backup_records import BASE
from jedlik.dynamodb.model import keys
from jedlik.dynamodb.model.limits import MIB
from jedlik.regions.table_keyring import TableKey

if TYPE_CHECKING:
    from jedlik.regions.region import Region

_PAGE = 100


@dataclass(slots=True)
class Held:
    """The keys of a table that its backups and archives need."""

    every: bool = False
    """Whether a backup has items that are sealed with the keys themselves."""
    numbers: set[int] = field(default_factory=set)
    """Those that open the pieces of backups."""
    oldest: int | None = None
    """From this number on all open the archive, if there is one."""

    def needs(self, key: TableKey) -> bool:
        """Whether a key is among them."""
        return self.every or key.number in self.numbers or (self.oldest is not None and key.number >= self.oldest)


async def held(region: Region, table: bytes, name: str) -> Held:
    """The keys of a table with this id and name that its backups and archives need."""
    found = Held()
    start, end = backup_records.backup_range(name)
    while rows := await region.engine.range(start, end, _PAGE, MIB):
        for _, raw in rows:
            backup = backup_records.parse(raw)
            if keys.table_id(backup.table.id) != table:
                continue
            number = backup.table.key_number
            if backup.is_unopened:
                found.every = True
            elif backup.type == BASE:
                found.oldest = number if found.oldest is None else min(found.oldest, number)
            elif backup.follows_key:
                found.numbers.add(number)
        start = rows[-1][0] + b"\0"
    return found
