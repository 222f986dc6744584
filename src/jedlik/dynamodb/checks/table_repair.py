"""Restores the rows that follow from a table's items, so that they agree again after damaged rows were removed.

The items are trusted. Index entries, expiry notes, counters and versions are compared with what `model` computes from
the items, as in the check (`table_check`). Each difference is yielded as a change: a key and its new value, None for a
row to delete.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from jedlik.dynamodb.model import expiry, indexes, items, keys, versions
from jedlik.dynamodb.model.tables import Index, Table
from jedlik.dynamodb.model.values import Item
from jedlik.regions import keyspaces
from jedlik.storage.counters import counter, counter_value
from jedlik.storage.snapshot import Snapshot

Fix = tuple[bytes, bytes | None]

_LAST_TIME = (1 << 64) - 1


def fixes(snapshot: Snapshot, table: Table, secret: bytes) -> Iterator[Fix]:
    """The changes that make a table agree with its items. Raises one of `damage.DAMAGE` for an item that is as it was
    written but cannot be read; then nothing else can be done for its table."""
    return _Repair(snapshot, table, secret).fixes()


class _Repair:
    def __init__(self, snapshot: Snapshot, table: Table, secret: bytes) -> None:
        self._snapshot = snapshot
        self._table = table
        self._secret = secret
        self._entries: Counter[int] = Counter()
        """By an index's number, 0 for the table: the size that it must have."""
        self._bytes: Counter[int] = Counter()

    def fixes(self) -> Iterator[Fix]:
        yield from self._of_items()
        for index in self._table.indexes:
            yield from self._strays(index)
        yield from self._stray_notes()
        for number in (0, *(index.number for index in self._table.indexes)):
            yield from self._counted(keys.item_count_key(self._table.id, number), self._entries[number])
            yield from self._counted(keys.item_bytes_key(self._table.id, number), self._bytes[number])
        for key, _ in self._snapshot.rows(*keys.collections_range(self._table)):
            if self._snapshot.first(*keys.items_of_collection_key(self._table, key)) is None:
                yield key, None
        yield from self._stray_versions()

    def _of_items(self) -> Iterator[Fix]:
        """The entries and notes that items must have, and the counters of item collections."""
        table = self._table
        collections = indexes.has_collections(table)
        collection, size = b"", 0
        for key, stored in self._snapshot.rows(table.prefix, keyspaces.prefix_end(table.prefix)):
            if collections and (begun := keys.collection_bytes_key(table, key)) != collection:
                yield from self._counted(collection, size)
                collection, size = begun, 0
            item = items.decode(stored)
            self._entries[0] += 1
            self._bytes[0] += items.size(stored)
            size += items.size(stored)
            for index in table.indexes:
                required = self._required(index, key, item, stored)
                if required is None:
                    continue
                entry_key, entry = required
                self._entries[index.number] += 1
                self._bytes[index.number] += items.size(entry)
                size += 0 if index.is_global else items.size(entry)
                found = self._snapshot.get(entry_key)
                if found is None or items.json_of(found) != items.json_of(entry):
                    yield entry_key, entry
            at = self._expires_at(item)
            if at is not None and self._snapshot.get(note := keys.expiry_key(table, key, at)) is None:
                yield note, table.name.encode()
        yield from self._counted(collection, size)

    def _required(self, index: Index, key: bytes, item: Item, stored: bytes) -> tuple[bytes, bytes] | None:
        if index.number > items.generation(stored):
            return None  # The backfill has not reached it yet.
        return indexes.required_entry(self._table, index, key, item, stored, self._secret)

    def _expires_at(self, item: Item | None) -> int | None:
        attribute = self._table.ttl_attribute
        return None if attribute is None else expiry.expires_at(item, attribute)

    def _strays(self, index: Index) -> Iterator[Fix]:
        """The entries that no item has."""
        for key, value in self._snapshot.rows(index.prefix, keyspaces.prefix_end(index.prefix)):
            item_key = keys.item_key(self._table, items.decode(value), self._secret)
            stored = self._snapshot.get(item_key)
            required = None if stored is None else self._required(index, item_key, items.decode(stored), stored)
            if required is None or required[0] != key:
                yield key, None

    def _stray_notes(self) -> Iterator[Fix]:
        """The expiry notes that no item has."""
        for key, _ in self._snapshot.rows(*keys.expiry_range(self._table.id, 0, _LAST_TIME)):
            stored = self._snapshot.get(keys.item_of_expiry_key(self._table, key))
            item = None if stored is None else items.decode(stored)
            if item is None or self._expires_at(item) != keys.time_of_expiry_key(key):
                yield key, None

    def _stray_versions(self) -> Iterator[Fix]:
        """The versions of items that do not exist and were not deleted."""
        for key, record in self._snapshot.rows(*keys.version_range(self._table.id)):
            item_key = keys.item_of_version_key(self._table, key)
            if not versions.is_tombstone(record) and self._snapshot.get(item_key) is None:
                yield key, None

    def _counted(self, key: bytes, count: int) -> Iterator[Fix]:
        if key and counter(self._snapshot.get(key)) != count:
            yield key, counter_value(count)
