"""Held keys: keys that a table has no use for any more, but its backups and archives have.

A backup is opened by the key that its table had. A recovery needs every key that the table has had since the base copy
from which its archive goes back: the numbers of keys only grow. The backup of a table that nobody could open has items
as they were sealed, with any of its keys. The row of the table's keys stays as long (`key_watch`), and with it the
grants, also when the table is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jedlik.dynamodb.backups import backup_records
from jedlik.dynamodb.backups.backup_records import BASE
from jedlik.dynamodb.model import keys
from jedlik.dynamodb.model.limits import MIB
from jedlik.regions.table_keyring import TableKey

if TYPE_CHECKING:
    from jedlik.regions.region import Region

_PAGE = 100


async def not_held(region: Region, table: bytes, name: str, unused: Sequence[TableKey]) -> list[TableKey]:
    """Those of a table's keys that its backups and archives do not need either."""
    if not unused:
        return []
    numbers: set[int] = set()
    oldest: int | None = None
    start, end = backup_records.backup_range(name)
    while rows := await region.engine.range(start, end, _PAGE, MIB):
        for _, raw in rows:
            backup = backup_records.parse(raw)
            if keys.table_id(backup.table.id) != table:
                continue
            number = backup.table.key_number
            if backup.is_unopened:
                return []
            if backup.type == BASE:
                oldest = number if oldest is None else min(oldest, number)
            elif backup.follows_key:
                numbers.add(number)
        start = rows[-1][0] + b"\0"
    return [key for key in unused if key.number not in numbers and (oldest is None or key.number < oldest)]
