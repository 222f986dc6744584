"""Remote changes: what other regions tell of the items of a replicated table, and the rule by which it is taken over.

A remote change is the whole item as a write has left it, or that it was deleted, with the version of that write. It is
applied if its version is later than that of the item here, and else it is nothing: so changes can be applied in any
order and any number of times, and every region that has heard of the same changes holds the same items. Conditions
have been tested where the write was made and play no part here. What is applied goes through the write path like any
write: indexes, counters, expiry notes and the change log follow, so that the stream of this region shows it.

Tombstones do not stay for ever, so a region that was cut off for longer may bring an item back that others know to be
deleted. Whatever it takes over then, it tells again, and so it does with what it finds to have been deleted; and who is
told again of something older than what is here, tells what is here. So all come to know the latest that anybody knows,
and come to the same.

On the wire between regions a change is JSON: Version (hexadecimal), At (seconds since the epoch), Keys (the key
attributes), Again (true where it is told again) and, unless the item was deleted, Item.
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
    """What a write in another region has made of an item."""

    version: bytes
    at: float
    """When the write was made, in seconds since the epoch by that region's clock; zero where nobody knows."""
    keys: Item
    item: Item | None
    """The item after the write; None if it was deleted."""
    again: bool = False
    """Whether it is told again."""

    @property
    def origin(self) -> bytes:
        """The `region_id` of the region in which the write was made."""
        return versions.origin(self.version)


def parse(told: dict[str, Any]) -> RemoteChange:
    """The change that a region tells. Raises ValueError or KeyError for what is none."""
    version = bytes.fromhex(told["Version"])
    versions.check(version)
    return RemoteChange(version, told["At"], told["Keys"], told.get("Item"), told.get("Again", False))


def checked(table: Table, change: RemoteChange) -> RemoteChange:
    """The change, its item and its keys normalised in place and checked as those of a client's PutItem are.

    Only the keys of indexes are not looked at: a region that has not heard of an index yet takes items that are not fit
    for it, which are then not in it. Raises what a client's would raise, a ServiceError.
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
    """A change log entry, as it is told to other regions."""
    told = {"Version": change.version.hex(), "At": change.at, "Keys": StoredItem(change.keys)}
    if change.kind is Kind.TOLD:
        told["Again"] = True
    return told | {"Item": items.whole(change.new)} if change.new else told


def of_item(table: Table, stored: bytes, record: bytes | None) -> dict[str, Any]:
    """An item and its version record, as they are told to a region that copies the table."""
    key = keys.key_of(table, None, items.decode(stored))
    return {"Version": versions.of_record(record).hex(), "At": 0.0, "Keys": key, "Item": items.whole(stored)}


def of_tombstone(record: bytes) -> dict[str, Any]:
    """A tombstone, as it is told to a region that copies the table."""
    key = StoredItem(versions.keys_of_tombstone(record))
    return {"Version": versions.of_record(record).hex(), "At": 0.0, "Keys": key}


def deletion(version: bytes, keys: Item) -> RemoteChange:
    """That an item has been deleted when it had that version, found out when its tombstone has gone."""
    return RemoteChange(versions.deletion(version), 0.0, keys, None, again=True)


def apply(table: Table, key: bytes, change: RemoteChange, mutation: Mutation) -> bytes | None:
    """Apply `change` to the item under `key`, which the mutation has read with its version.

    Returns the item as it is stored from now on, None if there is none. If nothing is written, the change was not later
    than what is here.
    """
    stored, record = mutation.stored(key), mutation.stored(keys.version_key(table, key))
    if not _is_later(change, stored, record):
        if change.again and change.version < versions.of_record(record):
            writes.tell_again(table, key, change.keys, stored, versions.of_record(record), mutation)
        return stored
    # What is from before the replication stays without a version, and so do its copies.
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
