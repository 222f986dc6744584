"""The losses of a store that was salvaged (`lmdb.salvage`): the missing records, item by item."""

from __future__ import annotations

from collections.abc import Iterator

from jedlik.aws.damage import DAMAGE
from jedlik.dynamodb.model import descriptors, items, keys, spaces
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.model.values import Item
from jedlik.storage.lmdb.journal import Record
from jedlik.storage.lmdb.salvage import Attempt, changed_rows
from jedlik.storage.lmdb.view import View


def of(attempt: Attempt, view: View) -> Iterator[str]:
    """The losses, a line each: by the numbers of records that cannot be read, otherwise by the keys of items. `view`
    is the attempt's, with plain values."""
    for number in attempt.lost:
        yield f"all that was written with record {number}, which cannot be read"
    by_id = {table.id: table for table in _tables(view)}
    for record in attempt.left_out:
        yield from _changes(record, by_id, view)


def _tables(view: View) -> Iterator[Table]:
    for _, raw in view.rows(*keys.descriptor_range(None)):
        try:
            yield descriptors.parse(raw)
        except DAMAGE:
            continue  # The check reports it.


def _changes(record: Record, by_id: dict[bytes, Table], view: View) -> Iterator[str]:
    start, end = spaces.ROWS.range
    what = f"record {record.place.sequence}"
    others = 0
    for key, value in changed_rows(record).items():
        table = by_id.get(keys.table_of_key(key))
        if table is None or not start <= key < end or keys.index_of_key(key) != 0:
            others += 1
        elif value is None:
            yield f"{what}: the deletion of an item of table {table.name}"
        else:
            item = items.decode(view.opened(key, value))
            yield f"{what}: a write to the item of table {table.name} with the key {_key(table, item)}"
    yield f"{what}: {others} other changes that went with them"


def _key(table: Table, item: Item) -> Item:
    return keys.key_of(table, None, item)
