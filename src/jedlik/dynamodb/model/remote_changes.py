"""Remote changes: the writes of other regions to the items of a replicated table, and the rule by which they are
applied.

A remote change is the whole item as a write has left it, or its deletion, with the version of that write. It is applied
if its version is later than that of the item here, and ignored otherwise. So changes can be applied in any order and
any number of times, and every region that has received the same changes holds the same items. Conditions were tested
where the write was made and play no part here. An applied change goes through the write path like any write: indexes,
counters, expiry notes and the change log follow, so the stream of this region shows it.

Tombstones do not stay for ever, so a region that was cut off for longer may bring back an item that others know to be
deleted. It sends every change that it applies then once more to the others, and so it does with the deletions that it
discovers. A region that receives something older than its own version in this way answers with its own. So all regions
finally receive the latest version that any region has, and become equal.

On the wire between regions a change is JSON: Version (hexadecimal), At (seconds since the epoch), Keys (the key
attributes), Again (true if it is sent again) and, unless the item was deleted, Item.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jedlik.aws.errors import ValidationException
from jedlik.aws.stored_items import StoredItem
from jedlik.dynamodb.model import indexes, items, key_values, keys, values, versions, writes
from jedlik.dynamodb.model.changelog import Caller, Change, Kind
from jedlik.dynamodb.model.mutations import Mutation, New, Old
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.model.values import Item


@dataclass(frozen=True, slots=True)
class RemoteChange:
    """The effect of a write in another region on an item."""

    version: bytes
    at: float
    """When the write was made, in seconds since the epoch by that region's clock; zero if that is unknown."""
    keys: Item
    item: Item | None
    """The item after the write; None if it was deleted."""
    again: bool = False
    """Whether it is sent again."""

    @property
    def origin(self) -> bytes:
        """The `region_id` of the region in which the write was made."""
        return versions.origin(self.version)


def parse(message: dict[str, Any]) -> RemoteChange:
    """The change in a region's message. Raises ValueError or KeyError if it is malformed."""
    version = bytes.fromhex(message["Version"])
    versions.check(version)
    return RemoteChange(version, message["At"], message["Keys"], message.get("Item"), message.get("Again", False))


def checked(table: Table, change: RemoteChange) -> RemoteChange:
    """The change, its item and its keys normalised in place and checked as those of a client's PutItem are.

    Only the keys of indexes are not checked: a region that does not know an index yet accepts items that are invalid
    for it, which then have no entry. Raises the errors of a client's item, a ServiceError.
    """
    values.normalise_item(change.keys)
    key_values.check_key(table, change.keys)
    if change.item is not None:
        item, size = values.normalise_item(change.item)
        writes.check_item_size(size)
        if any(item.get(name) != value for name, value in change.keys.items()):
            raise ValidationException("The keys are not those of the item")
    return change


def of_entry(change: Change) -> dict[str, Any]:
    """A change log entry, in the form for other regions."""
    message = {"Version": change.version.hex(), "At": change.at, "Keys": StoredItem(change.keys)}
    if change.kind is Kind.SENT_AGAIN:
        message["Again"] = True
    return message | {"Item": items.whole(change.new)} if change.new else message


def of_item(table: Table, stored: bytes, record: bytes | None) -> dict[str, Any]:
    """An item and its version record, in the form for a region that copies the table."""
    key = keys.key_of(table, None, items.decode(stored))
    return {"Version": versions.of_record(record).hex(), "At": 0.0, "Keys": key, "Item": items.whole(stored)}


def of_tombstone(record: bytes) -> dict[str, Any]:
    """A tombstone, in the form for a region that copies the table."""
    key = StoredItem(versions.keys_of_tombstone(record))
    return {"Version": versions.of_record(record).hex(), "At": 0.0, "Keys": key}


def deletion(version: bytes, keys: Item) -> RemoteChange:
    """The deletion of an item that had this version, discovered after its tombstone was removed."""
    return RemoteChange(versions.deletion(version), 0.0, keys, None, again=True)


def apply(table: Table, key: bytes, change: RemoteChange, mutation: Mutation) -> bytes | None:
    """Apply `change` to the item under `key`, which the mutation has read with its version.

    Returns the stored form of the item from now on, None without an item. If nothing is written, the change was not
    later than the version here.
    """
    stored, record = mutation.stored(key), mutation.stored(keys.version_key(table, key))
    if not _is_later(change, stored, record):
        if change.again and change.version < versions.of_record(record):
            writes.send_again(table, key, change.keys, stored, versions.of_record(record), mutation)
        return stored
    # An item from before the replication stays without a version, and so do its copies.
    version = None if change.version == versions.ZERO else change.version
    new_stored = None
    if change.item is not None:
        new_stored = items.encode(change.item, values.item_size(change.item), indexes.generation(table))
    new = New(new_stored, change.item, Caller.REPLICATION, version)
    if new_stored == stored:
        if version is not None:
            writes.touch(table, key, change.keys, new, mutation)
    else:
        old = Old(stored, None if stored is None else items.decode(stored))
        writes.record(table, key, old, new, mutation)
    return new_stored


def _is_later(change: RemoteChange, stored: bytes | None, record: bytes | None) -> bool:
    if change.version == versions.ZERO:
        return stored is None and record is None
    return change.version > versions.of_record(record)
