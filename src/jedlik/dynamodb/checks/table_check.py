"""The check of one table: its items, and with each its index entries, its expiry note and its counters.

Each fault is reported once, at the item that it should agree with. So counters are compared with the sums of the items,
and not with entries that may themselves be wrong; and there is no guess about the entries of an unreadable item.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import orjson

from jedlik.aws.damage import DAMAGE, described
from jedlik.dynamodb.model import expiry, indexes, items, keys, values
from jedlik.dynamodb.model.tables import Index, Table
from jedlik.dynamodb.model.values import Item
from jedlik.regions import keyspaces
from jedlik.storage.counters import counter
from jedlik.storage.snapshot import Snapshot

_SHOWN = 200
"""Characters to show of an item's key."""
_LAST_TIME = (1 << 64) - 1


class TableCheck:
    """Finds the faults of a table, and counts on the way."""

    def __init__(self, snapshot: Snapshot, table: Table, secret: bytes) -> None:
        self._snapshot = snapshot
        self._table = table
        self._secret = secret
        self._expiry: str | None = None if table.descriptor.expiry is None else table.descriptor.expiry.status
        self.items = 0
        self._unreadable = 0
        """Items that cannot be read."""
        self._wanted: Counter[int] = Counter()
        """By an index's number: the entries that it must have."""
        self._found: Counter[int] = Counter()
        """By an index's number: the entries that it must have and has."""
        self._bytes: Counter[int] = Counter()
        """By an index's number, 0 for the table: the bytes that it must have, as DynamoDB counts them."""
        self._collection = 0
        """The bytes that the item collection must have whose items are being read."""
        self._notes = 0
        """Required expiry notes that exist."""

    @property
    def entries(self) -> int:
        """Index entries that were found in their places."""
        return self._found.total()

    def problems(self) -> Iterator[str]:
        """What is wrong, a line each."""
        yield from self._check_items()
        for index in self._table.indexes:
            if self._snapshot.count(index.prefix, keyspaces.prefix_end(index.prefix)) > self._found[index.number]:
                yield from self._strays(index)
        yield from self._check_counters()
        notes = keys.expiry_range(self._table.id, 0, _LAST_TIME)
        if self._expiry != "DISABLING" and self._snapshot.count(*notes) > self._notes:
            yield from self._stray_notes()

    # The items, and what each must have

    def _check_items(self) -> Iterator[str]:
        table = self._table
        collections = indexes.has_collections(table)
        collection: bytes | None = None
        for key, stored in self._snapshot.rows(table.prefix, keyspaces.prefix_end(table.prefix)):
            self.items += 1
            if collections and (begun := keys.collection_bytes_key(table, key)) != collection:
                yield from self._check_collection(collection)
                collection, self._collection = begun, 0
            try:
                item = self._read(key, stored)
            except DAMAGE as error:
                self._unreadable += 1
                yield f"item under {key.hex()}: {described(error)}"
                continue
            size = items.size(stored)
            self._bytes[0] += size
            self._collection += size
            for index in table.indexes:
                problem = self._check_entry(index, key, item, stored)
                if problem is not None:
                    yield f"item {self._shown(item)}: {problem}"
            problem = self._check_note(key, item)
            if problem is not None:
                yield f"item {self._shown(item)}: {problem}"
        yield from self._check_collection(collection)

    def _read(self, key: bytes, stored: bytes) -> Item:
        """The item that is stored under `key`. Raises one of DAMAGE."""
        if stored[0] != items.VERSION:
            raise ValueError(f"it is of the format {stored[0]}")
        item = items.decode(stored)
        _, size = values.normalise_item(items.decode(stored))
        if size != items.size(stored):
            raise ValueError(f"it has {size} bytes and is said to have {items.size(stored)}")
        if keys.item_key(self._table, item, self._secret) != key:
            raise ValueError(f"it is item {self._shown(item)}, which belongs under another key")
        return item

    def _check_entry(self, index: Index, key: bytes, item: Item, stored: bytes) -> str | None:
        """The faults of an item's entry in an index."""
        generation = items.generation(stored)
        if index.number > generation:
            if index.backfilling:
                return None
            return f"it is of generation {generation} and was never brought into index {index.name}"
        required = indexes.required_entry(self._table, index, key, item, stored, self._secret)
        if required is None:
            return None
        entry_key, entry = required
        size = items.size(entry)
        self._wanted[index.number] += 1
        self._bytes[index.number] += size
        if not index.is_global:
            self._collection += size
        found = self._snapshot.get(entry_key)
        if found is None:
            return f"its entry in index {index.name} is missing"
        self._found[index.number] += 1
        if found[0:1] != entry[0:1] or items.size(found) != size or items.json_of(found) != items.json_of(entry):
            return f"its entry in index {index.name} differs from it"
        return None

    def _check_note(self, key: bytes, item: Item) -> str | None:
        """The faults of an item's expiry note. While time to live is being enabled it may have none yet."""
        table = self._table
        if table.ttl_attribute is None:
            return None
        at = expiry.expires_at(item, table.ttl_attribute)
        if at is None:
            return None
        note = self._snapshot.get(keys.expiry_key(table, key, at))
        if note is None:
            return f"it expires at {at}, and the note of that is missing" if self._expiry == "ENABLED" else None
        self._notes += 1
        return None if note == table.name.encode() else "its expiry note is of another table"

    # Further rows

    def _strays(self, index: Index) -> Iterator[str]:
        """The entries of an index that no item has."""
        for key, value in self._snapshot.rows(index.prefix, keyspaces.prefix_end(index.prefix)):
            try:
                entry = items.decode(value)
                item_key = keys.item_key(self._table, entry, self._secret)
            except DAMAGE as error:
                yield f"index {index.name}: entry under {key.hex()}: {described(error)}"
                continue
            stored = self._snapshot.get(item_key)
            if stored is None:
                yield f"index {index.name}: it has an entry of item {self._shown(entry)}, which is not there"
                continue
            try:
                item = self._read(item_key, stored)
            except DAMAGE:
                continue  # Reported when the items were read.
            required = indexes.required_entry(self._table, index, item_key, item, stored, self._secret)
            if required is None or required[0] != key or index.number > items.generation(stored):
                yield f"index {index.name}: it has an entry of item {self._shown(entry)} where that belongs not"

    def _stray_notes(self) -> Iterator[str]:
        """The expiry notes that no item has."""
        table = self._table
        for key, _ in self._snapshot.rows(*keys.expiry_range(table.id, 0, _LAST_TIME)):
            at, item_key = keys.time_of_expiry_key(key), keys.item_of_expiry_key(table, key)
            if table.ttl_attribute is None:
                yield f"it has an expiry note for {at}, and no time to live"
                continue
            stored = self._snapshot.get(item_key)
            try:
                item = None if stored is None else self._read(item_key, stored)
            except DAMAGE:
                continue  # Reported when the items were read.
            if expiry.expires_at(item, table.ttl_attribute) != at:
                whose = f"item {self._shown(item)}, which expires not then" if item else "an item that is not there"
                yield f"it has an expiry note for {at} of {whose}"

    # Counters

    def _check_counters(self) -> Iterator[str]:
        table = self._table
        yield from self._check_counter(keys.item_count_key(table.id, 0), "items", self.items)
        for key, value in self._snapshot.rows(*keys.collections_range(table)):
            no_items = self._snapshot.first(*keys.items_of_collection_key(table, key)) is None
            if counter(value) and (no_items or not indexes.has_collections(table)):
                yield f"the counter of bytes in an item collection is at {counter(value)}, and it has no items"
        if self._unreadable:
            return
        yield from self._check_counter(keys.item_bytes_key(table.id, 0), "bytes", self._bytes[0])
        for index in table.indexes:
            number, of = index.number, f"in index {index.name}"
            yield from self._check_counter(keys.item_count_key(table.id, number), f"entries {of}", self._wanted[number])
            yield from self._check_counter(keys.item_bytes_key(table.id, number), f"bytes {of}", self._bytes[number])

    def _check_collection(self, key: bytes | None) -> Iterator[str]:
        """Compare the counter under `key` with the item collection whose last item has been read."""
        if key is not None and not self._unreadable:
            yield from self._check_counter(key, "bytes in an item collection", self._collection)

    def _check_counter(self, key: bytes, of: str, expected: int) -> Iterator[str]:
        count = counter(self._snapshot.get(key))
        if count != expected:
            yield f"the counter of {of} is at {count}, and there are {expected}"

    def _shown(self, item: Item) -> str:
        """An item's key, for a report."""
        text = orjson.dumps(keys.key_of(self._table, None, item)).decode()
        return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
