"""The write path: the one place through which an item changes.

A write is an `Operation`: a Put, an Update, a Delete or a ConditionCheck of one item, under a condition. Single
writes, elements of batches and of transactions, PartiQL statements and expiries are all operations. They are made, and
checked as far as the request allows, before the mutation begins; inside it `perform` does what depends on what is
stored: it tests the condition, works out the new item and hands it to `record`, which writes the item, its index
entries, counters, expiry note and change log entry. An operation rests on its table's definition, so the mutation
reads the descriptor as well and begins with `check_descriptor`:

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, Change]:
        check_descriptor(operation.table, values[0])
        writes = Writes()
        return writes, perform(operation, values[1], writes, secret, at, *values[2:])

    read = [operation.table.descriptor_key, operation.key, *version_keys([operation])]
    change = await engine.mutate(read, decide)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import orjson

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.errors import ConditionalCheckFailedException, DescriptorChanged
from jedlik.dynamodb.model import expiry, indexes, items, key_values, keys, limits, values, versions
from jedlik.dynamodb.model.changelog import Caller, Kind
from jedlik.dynamodb.model.expressions.updates import TOO_LARGE
from jedlik.dynamodb.model.expressions.updates import Update as UpdateAction
from jedlik.dynamodb.model.indexes import EntryChange
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.model.values import Item
from jedlik.storage.engine import Writes

Condition: TypeAlias = Callable[[Item], bool]
"""Tells whether an item satisfies it; {} stands for no item."""

# Operations are named tuples because one is made for every write: making a frozen dataclass takes three times as long.


class Put(NamedTuple):
    """Store an item in place of what is there."""

    table: Table
    key: bytes
    """Storage key of the item."""
    item: Item
    stored: bytes
    condition: Condition | None = None
    return_old_on_failure: bool = False
    """Whether a failed condition tells what was there."""


class Update(NamedTuple):
    """Change what is there, or make it from its key."""

    table: Table
    key: bytes
    key_attributes: Item
    action: UpdateAction | None
    """None changes nothing, but makes the item if there is none."""
    condition: Condition | None = None
    return_old_on_failure: bool = False


class Delete(NamedTuple):
    """Delete what is there, if anything."""

    table: Table
    key: bytes
    key_attributes: Item
    condition: Condition | None = None
    return_old_on_failure: bool = False
    expired: bool = False
    """Whether it is the service that deletes, for the item's time to live has passed."""


class ConditionCheck(NamedTuple):
    """Change nothing, but only under a condition."""

    table: Table
    key: bytes
    condition: Condition
    return_old_on_failure: bool = False


Operation: TypeAlias = Put | Update | Delete | ConditionCheck


class Change(NamedTuple):
    """What a write did to one item."""

    old: bytes | None
    """The item as it was stored; None if there was none."""
    new: bytes | None
    """The item as it is stored now; None if there is none."""
    entries: list[EntryChange]
    """What became of its index entries, where something did."""


def put(
    table: Table,
    item: Item,
    size: int,
    secret: bytes,
    condition: Condition | None = None,
    return_old_on_failure: bool = False,
) -> Put:
    """A Put of a normalised item of `size` bytes whose keys have been checked."""
    stored = items.encode(item, size, indexes.generation(table))
    return Put(table, keys.item_key(table, item, secret), item, stored, condition, return_old_on_failure)


def check_item_size(size: int) -> None:
    """Raises ValidationException for an item of more than 400 KB that is put."""
    if size > limits.ITEM_SIZE:
        raise ValidationException("Item size has exceeded the maximum allowed size", bare=True)


def check_descriptor(table: Table, raw: bytes | None) -> None:
    """Raises DescriptorChanged unless `raw`, read by the mutation, is what `table` was parsed from."""
    if raw != table.raw:
        raise DescriptorChanged


def version_keys(operations: Sequence[Operation]) -> list[bytes]:
    """What a mutation of these operations reads besides their items: the versions of those in replicated tables."""
    return [keys.version_key(o.table, o.key) for o in operations if o.table.replica is not None]


def versions_of(operations: Sequence[Operation], found: Sequence[bytes | None]) -> list[bytes | None]:
    """For each operation its item's version record, from what was found under `version_keys`."""
    records = iter(found)
    return [None if o.table.replica is None else next(records) for o in operations]


def perform(
    operation: Operation,
    stored: bytes | None,
    writes: Writes,
    secret: bytes,
    at: float,
    version_record: bytes | None = None,
) -> Change:
    """Do `operation` to what is stored under its key, adding to `writes`. `at` is now, in seconds since the epoch.

    `version_record` is what was found under the item's `version_keys`, if the table is replicated.

    Raises ConditionalCheckFailedException, with the Item if the operation wants it told, and ValidationException for
    an update that cannot be made of this item.
    """
    table = operation.table
    condition = operation.condition
    old: Item | None = None
    if stored is not None and (
        condition is not None
        or table.indexes
        or table.ttl_attribute is not None
        or table.log is not None
        or type(operation) is Update
    ):
        old = items.decode(stored)
    if condition is not None and not condition(old or {}):
        told = {"Item": items.whole(stored)} if stored is not None and operation.return_old_on_failure else {}
        raise ConditionalCheckFailedException("The conditional request failed", **told)

    new: Item | None
    new_stored: bytes | None
    expired = False
    match operation:
        case Put():
            new, new_stored = operation.item, operation.stored
        case Update():
            new = _updated(operation, old)
            new_stored = _encode_update(operation, old, new, stored)
        case Delete():
            new = new_stored = None
            expired = operation.expired
        case ConditionCheck():
            return Change(stored, stored, [])
    version = None
    if table.replica is not None:
        region = table.replica.region
        if expired:
            version = versions.following(version_record, region)
        else:
            version = versions.superseding(version_record, at, region)
    if new_stored == stored:
        if version is not None:
            touch(table, operation.key, _key_attributes(operation), stored, version, writes, Caller.CUSTOMER)
        return Change(stored, stored, [])
    caller = Caller.EXPIRY if expired else Caller.CUSTOMER
    entries = record(table, operation.key, old, new, stored, new_stored, writes, secret, caller, version)
    return Change(stored, new_stored, entries)


def record(
    table: Table,
    key: bytes,
    old: Item | None,
    new: Item | None,
    old_stored: bytes | None,
    new_stored: bytes | None,
    writes: Writes,
    secret: bytes,
    caller: Caller,
    version: bytes | None = None,
) -> list[EntryChange]:
    """Change the item under `key`, with everything that hangs on it.

    `old_stored` and `new_stored` are the item before and after as it is stored, None where there is none; `old` and
    `new` are the same parsed. For a table without indexes, time to live and change log, `old` may be left out. In a
    replicated table, `version` is the one that the item has from now on.
    """
    if new_stored is None:
        writes.delete(key)
    else:
        writes.put(key, new_stored)
    items_added = (new_stored is not None) - (old_stored is not None)
    bytes_added = _size(new_stored) - _size(old_stored)
    indexes.count(table, None, key, items_added, bytes_added, writes)
    entries = (
        indexes.keep_entries(table, key, old, new, old_stored, new_stored, writes, secret) if table.indexes else []
    )
    expiry.renew_note(table, key, old, new, writes)
    primary = None
    if version is not None:
        primary = keys.key_of(table, None, new or old or {})
        _keep_version(table, key, primary, new_stored, version, writes)
    if table.log is not None:
        kind = _kind(old, new, caller)
        if kind is not Kind.SAME or version is not None:
            primary = primary or keys.key_of(table, None, new or old or {})
            _log(table, key, kind, primary, old_stored, new_stored, version, writes, caller)
    return entries


def touch(
    table: Table,
    key: bytes,
    key_attributes: Item,
    stored: bytes | None,
    version: bytes,
    writes: Writes,
    caller: Caller,
) -> None:
    """Give the item under `key` of a replicated table, or its absence, another version, and leave it as it is.

    A write that finds what it would have written is a write all the same: it must win over an earlier one that has
    not arrived yet from another region, and be told to the others.
    """
    _keep_version(table, key, key_attributes, stored, version, writes)
    _log(table, key, Kind.SAME, key_attributes, None, stored, version, writes, caller)


def tell_again(
    table: Table, key: bytes, key_attributes: Item, stored: bytes | None, version: bytes, writes: Writes
) -> None:
    """Have the item under `key` of a replicated table, or its absence, told to other regions with the version it has.

    A region does so when it cannot be certain that all others know, and they answer in the same way if they know
    better (`remote_changes`).
    """
    _log(table, key, Kind.TOLD, key_attributes, None, stored, version, writes, Caller.REPLICATION)


def _keep_version(
    table: Table, key: bytes, key_attributes: Item, stored: bytes | None, version: bytes, writes: Writes
) -> None:
    is_there = stored is not None
    record = versions.record(version) if is_there else versions.tombstone(version, orjson.dumps(key_attributes))
    writes.put(keys.version_key(table, key), record)


def _log(
    table: Table,
    key: bytes,
    kind: Kind,
    key_attributes: Item,
    old: bytes | None,
    new: bytes | None,
    version: bytes | None,
    writes: Writes,
    caller: Caller,
) -> None:
    log = table.log
    assert log is not None, "a replicated table has a change log"
    size = values.item_size(key_attributes)
    entry = log.entry(kind, orjson.dumps(key_attributes), size, old or b"", new or b"", version or b"", caller)
    writes.append(log.prefix_for(key[len(table.prefix) :]), entry)


def _key_attributes(operation: Put | Update | Delete) -> Item:
    attributes = operation.item if isinstance(operation, Put) else operation.key_attributes
    return keys.key_of(operation.table, None, attributes)


def _updated(operation: Update, old: Item | None) -> Item | None:
    """The item after an update; None if there was none and the update, only removing, makes none."""
    if operation.action is None:
        return operation.key_attributes if old is None else old
    if old is not None:
        return operation.action.apply(old)
    new = operation.action.apply(operation.key_attributes, exists=False)
    return new if len(new) > len(operation.key_attributes) else None


def _encode_update(operation: Update, old: Item | None, new: Item | None, stored: bytes | None) -> bytes | None:
    if new is None:
        return None
    table, action = operation.table, operation.action
    if old is None or stored is None or action is None:
        size = values.item_size(new)
    else:
        # Only what has changed is measured: an item may be large, and most changes are not.
        names = action.top_level_names
        size = items.size(stored) + values.size_of(new, names) - values.size_of(old, names)
    if size > limits.ITEM_SIZE:
        raise ValidationException(TOO_LARGE)
    if table.indexes and action is not None:
        key_values.check_updated_keys(table, new, action.top_level_names)
    return items.encode(new, size, indexes.generation(table))


def _size(stored: bytes | None) -> int:
    return 0 if stored is None else items.size(stored)


def _kind(old: Item | None, new: Item | None, caller: Caller) -> Kind:
    if new is None:
        return Kind.EXPIRE if caller is Caller.EXPIRY else Kind.REMOVE
    if old is None:
        return Kind.INSERT
    return Kind.SAME if values.equal({"M": old}, {"M": new}) else Kind.MODIFY
