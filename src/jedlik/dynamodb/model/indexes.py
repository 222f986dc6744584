"""Secondary indexes: the entries that an item has in them, kept in the same commit as the item.

An entry's key is built from the item's index key and its primary key; its value is the part of the item that the
index projects, in the form of a stored item, so that a page of an index is read like a page of a table.

The entries of an item follow from the item alone. A stored item carries its *generation*: the highest index number of
the table when it was written. It has entries in those of the table's indexes whose number is not above that. So a new
index is filled by updating each item with `fill`, in any order and any number of times, while writes go on: a write
updates its item as well, and neither needs to know of the other.
"""

from __future__ import annotations

from jedlik.dynamodb.model import items, keys, values
from jedlik.dynamodb.model.mutations import Mutation, New, Old
from jedlik.dynamodb.model.quick_values import quick_value
from jedlik.dynamodb.model.tables import Index, Table
from jedlik.dynamodb.model.values import Item
from jedlik.storage.engine import Row, Writes

_NOTHING = Old(None, None)


@quick_value
class EntryChange:
    """The effect of a write on an item's entry in one index. An unchanged entry has no EntryChange."""

    of: Index
    deleted: int | None
    """Size in bytes of an entry that was deleted: the item left the index, or moved within it."""
    written: int | None
    """Size in bytes of an entry that was written; of one that was replaced in its place, the larger size."""


def has_collections(table: Table) -> bool:
    """Whether the items of a table are kept together, and counted, by partition key: whether it has local indexes."""
    return bool(table.indexes) and not table.indexes[0].is_global


def generation(table: Table) -> int:
    """The generation of an item that is written to `table` now."""
    return max([index.number for index in table.indexes]) if table.indexes else 0


def keep_entries(table: Table, key: bytes, old: Old, new: New, mutation: Mutation) -> list[EntryChange]:
    """Replace the entries of the item under `key`, from those of `old` to those of `new`, and update the counters."""
    had = items.generation(old.stored) if old.stored is not None else 0
    changes = []
    for index in table.indexes:
        change = _keep_entry(table, index, key, old if index.number <= had else _NOTHING, new, mutation)
        if change is not None:
            changes.append(change)
    return changes


def fill(table: Table, stored: bytes, mutation: Mutation) -> bytes | None:
    """Update a stored item: write the entries that it lacks, and return its new stored form.

    None if it lacks none. The caller, whose mutation read the item and the descriptor, stores the returned item in
    place of the other; only its generation differs.
    """
    current = generation(table)
    had = items.generation(stored)
    if had >= current:
        return None
    item = items.decode(stored)
    key = keys.item_key(table, item, mutation.secret)
    for index in table.indexes:
        if index.number > had:
            _keep_entry(table, index, key, _NOTHING, New(stored, item), mutation)
    return items.with_generation(stored, current)


def required_entry(table: Table, index: Index, key: bytes, item: Item, stored: bytes, secret: bytes) -> Row | None:
    """The entry that the item under `key` has in an index, if the item's generation includes that index.

    The value may differ from the stored one in its generation, which has no meaning in an entry.
    """
    entry_key = keys.index_key(table, index, item, secret, key)
    value = _entry(index, New(stored, item))
    return None if entry_key is None or value is None else (entry_key, value)


def _keep_entry(table: Table, index: Index, key: bytes, old: Old, new: New, mutation: Mutation) -> EntryChange | None:
    secret, writes = mutation.secret, mutation.writes
    old_key = keys.index_key(table, index, old.item, secret, key) if old.item is not None else None
    new_key = keys.index_key(table, index, new.item, secret, key) if new.item is not None else None
    old_entry = _entry(index, old) if old_key is not None else None
    new_entry = _entry(index, new) if new_key is not None else None
    old_size = items.size(old_entry) if old_entry is not None else 0
    new_size = items.size(new_entry) if new_entry is not None else 0
    deleted = written = None
    if old_entry is not None and new_entry is not None and old_key == new_key:
        if items.json_of(old_entry) == items.json_of(new_entry):
            return None
        written = max(old_size, new_size)
    else:
        if old_key is not None:
            writes.delete(old_key)
            deleted = old_size
        if new_key is not None:
            written = new_size
    if new_key is not None and new_entry is not None:
        writes.put(new_key, new_entry)
    count(table, index, key, (new_key is not None) - (old_key is not None), new_size - old_size, writes)
    if deleted is None and written is None:
        return None
    return EntryChange(index, deleted, written)


def _entry(index: Index, of: Old | New) -> bytes | None:
    """The entry of an item in an index: the projected part, in the form of a stored item."""
    if of.item is None or index.projected is None:
        return of.stored
    projected = {name: value for name, value in of.item.items() if name in index.projected}
    return items.encode(projected, values.item_size(projected))


def count(table: Table, index: Index | None, key: bytes, entries: int, size: int, writes: Writes) -> None:
    """Update the counters of a table or of one of its indexes for the change of the item under `key`.

    `size` is in bytes. An item collection, which only tables with local indexes have, is counted with both.
    """
    number = 0 if index is None else index.number
    if entries:
        writes.add(keys.item_count_key(table.id, number), entries)
    if size:
        writes.add(keys.item_bytes_key(table.id, number), size)
        if has_collections(table) and (index is None or not index.is_global):
            writes.add(keys.collection_bytes_key(table, key), size)
