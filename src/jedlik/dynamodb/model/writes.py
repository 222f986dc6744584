"""The write path: the one place through which an item changes.

A write is an `ItemWrite`: a Put, an Update, a Delete or a ConditionCheck of one item, under a condition. Single writes,
elements of batches and of transactions, PartiQL statements and expiries are all item writes. They are made, and checked
as far as the request allows, before the mutation begins. Inside it, `perform` does the part that depends on stored
data: it tests the condition, computes the new item and passes it to `record`, which writes the item, its index entries,
counters, expiry note and change log entry. An item write depends on its table's definition, so the mutation reads and
compares the descriptor as well (`dynamodb.mini_transaction`):

    change = await mini_transaction.mutate(
        region, [table], [(table, operation.key)], lambda mutation: perform(operation, mutation)
    )
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import orjson

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.errors import (
    ConditionalCheckFailedException,
    DescriptorChanged,
    ItemCollectionSizeLimitExceededException,
)
from jedlik.dynamodb.model import expiry, indexes, items, key_values, keys, limits, values, versions
from jedlik.dynamodb.model.changelog import Caller, Kind
from jedlik.dynamodb.model.expressions.updates import TOO_LARGE, BoundUpdate
from jedlik.dynamodb.model.indexes import EntryChange
from jedlik.dynamodb.model.mutations import Mutation, New, Old
from jedlik.dynamodb.model.quick_values import quick_value
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.model.values import Item
from jedlik.storage.engine import Writes

Condition: TypeAlias = Callable[[Item], bool]
"""Whether an item satisfies it; {} stands for a missing item."""


@quick_value
class Put:
    """Store an item, which replaces the present one."""

    table: Table
    key: bytes
    """Storage key of the item."""
    item: Item | None
    """None in a table that needs it in its stored form only (`Table.needs_attributes`)."""
    stored: bytes
    condition: Condition | None = None
    return_old_on_failure: bool = False
    """Whether a failed condition returns the present item."""


@quick_value
class Update:
    """Change the present item, or create it from its key."""

    table: Table
    key: bytes
    key_attributes: Item
    action: BoundUpdate | None
    """None changes nothing, but creates a missing item."""
    condition: Condition | None = None
    return_old_on_failure: bool = False


@quick_value
class Delete:
    """Delete the item, if it exists."""

    table: Table
    key: bytes
    key_attributes: Item
    condition: Condition | None = None
    return_old_on_failure: bool = False
    expired: bool = False
    """Whether the service deletes, because the item's time to live has passed."""


@quick_value
class ConditionCheck:
    """Change nothing, but demand a condition."""

    table: Table
    key: bytes
    condition: Condition
    return_old_on_failure: bool = False


ItemWrite: TypeAlias = Put | Update | Delete | ConditionCheck


@quick_value
class ItemChange:
    """What a write did to one item."""

    old: bytes | None
    """The item as it was stored; None if it did not exist."""
    new: bytes | None
    """The item as it is stored now; None if it does not exist."""
    entries: list[EntryChange]
    """The changes of its index entries."""


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
    """Raises ValidationException if the item of a put has more than 400 KB."""
    if size > limits.ITEM_SIZE:
        raise ValidationException("Item size has exceeded the maximum allowed size", bare=True)


def check_descriptor(table: Table, raw: bytes | None) -> None:
    """Raises DescriptorChanged unless `raw`, read by the mutation, is the descriptor that `table` was parsed from."""
    if raw != table.raw:
        raise DescriptorChanged


def perform(operation: ItemWrite, mutation: Mutation) -> ItemChange:
    """Do `operation` to the item under its key, which the mutation has read, with its version.

    Raises ConditionalCheckFailedException, with the Item if the operation wants it, ValidationException for an update
    that is impossible for this item, and ItemCollectionSizeLimitExceededException.
    """
    table = operation.table
    condition = operation.condition
    stored = mutation.stored(operation.key)
    item: Item | None = None
    if stored is not None and (
        condition is not None
        or table.indexes
        or table.ttl_attribute is not None
        or table.log is not None
        or type(operation) is Update
    ):
        item = items.decode(stored)
    if condition is not None and not condition(item or {}):
        told = {"Item": items.whole(stored)} if stored is not None and operation.return_old_on_failure else {}
        raise ConditionalCheckFailedException("The conditional request failed", **told)

    new_item: Item | None
    new_stored: bytes | None
    caller = Caller.CUSTOMER
    match operation:
        case Put():
            new_item, new_stored = operation.item, operation.stored
        case Update():
            new_item = _updated(operation, item)
            new_stored = _encode_update(operation, item, new_item, stored)
        case Delete():
            new_item = new_stored = None
            if operation.expired:
                caller = Caller.EXPIRY
        case ConditionCheck():
            return ItemChange(stored, stored, [])
    if operation.key in mutation.full:
        _refuse_growth(stored, new_stored)
    version = None if table.replica is None else _version(operation, caller, mutation)
    if new_stored != stored:
        new = New(new_stored, new_item, caller, version)
        return ItemChange(stored, new_stored, record(table, operation.key, Old(stored, item), new, mutation))
    if version is not None:
        touch(table, operation.key, _key_attributes(operation), New(stored, new_item, caller, version), mutation)
    return ItemChange(stored, stored, [])


def record(table: Table, key: bytes, old: Old, new: New, mutation: Mutation) -> list[EntryChange]:
    """Change the item under `key`, with everything that depends on it."""
    writes = mutation.writes
    if new.stored is None:
        writes.delete(key)
    else:
        writes.put(key, new.stored)
    items_added = (new.stored is not None) - (old.stored is not None)
    bytes_added = _size(new.stored) - _size(old.stored)
    if items_added or bytes_added:
        indexes.count(table, None, key, items_added, bytes_added, writes)
    entries = indexes.keep_entries(table, key, old, new, mutation) if table.indexes else []
    if table.ttl_attribute is not None:
        expiry.renew_note(table, key, old.item, new.item, writes)
    primary = None
    if new.version is not None:
        primary = keys.key_of(table, None, new.item or old.item or {})
        _keep_version(table, key, primary, new, writes)
    if table.log is not None:
        kind = _kind(old.item, new.item, new.caller)
        if kind is not Kind.SAME or new.version is not None:
            primary = primary or keys.key_of(table, None, new.item or old.item or {})
            _log(table, key, kind, primary, old.stored, new, writes)
    return entries


def touch(table: Table, key: bytes, key_attributes: Item, now: New, mutation: Mutation) -> None:
    """Give the item under `key` of a replicated table, or its absence, another version, and leave it as it is.

    A write that finds the item as it would leave it is a write all the same: it must win over an earlier one that has
    not arrived yet from another region, and be replicated to the others.
    """
    _keep_version(table, key, key_attributes, now, mutation.writes)
    _log(table, key, Kind.SAME, key_attributes, None, now, mutation.writes)


def send_again(
    table: Table, key: bytes, key_attributes: Item, stored: bytes | None, version: bytes, mutation: Mutation
) -> None:
    """Send the item under `key` of a replicated table, or its absence, to other regions with its present version.

    A region does so when it cannot be certain that all others know it, and they answer in the same way if they know
    better (`remote_changes`).
    """
    now = New(stored, None, Caller.REPLICATION, version)
    _log(table, key, Kind.SENT_AGAIN, key_attributes, None, now, mutation.writes)


def _version(operation: ItemWrite, caller: Caller, mutation: Mutation) -> bytes:
    """The version that a write to a replicated table, made in this region, gives its item."""
    replica = operation.table.replica
    assert replica is not None, "only items of replicated tables have versions"
    seen = mutation.stored(keys.version_key(operation.table, operation.key))
    if caller is Caller.EXPIRY:
        return versions.following(seen, replica.region)
    return versions.superseding(seen, mutation.at, replica.region)


def _keep_version(table: Table, key: bytes, key_attributes: Item, now: New, writes: Writes) -> None:
    assert now.version is not None, "items of a replicated table have versions"
    if now.stored is None:
        record = versions.tombstone(now.version, orjson.dumps(key_attributes))
    else:
        record = versions.record(now.version)
    writes.put(keys.version_key(table, key), record)


def _log(
    table: Table, key: bytes, kind: Kind, key_attributes: Item, old: bytes | None, new: New, writes: Writes
) -> None:
    log = table.log
    assert log is not None, "a replicated table has a change log"
    size, version = values.item_size(key_attributes), new.version or b""
    entry = log.entry(kind, orjson.dumps(key_attributes), size, old or b"", new.stored or b"", version, new.caller)
    writes.append(log.prefix_for(key[len(table.prefix) :]), entry)


def _refuse_growth(old: bytes | None, new: bytes | None) -> None:
    """Raises ItemCollectionSizeLimitExceededException when an item becomes larger."""
    if new is not None and (old is None or items.size(new) > items.size(old)):
        raise ItemCollectionSizeLimitExceededException("Collection size exceeded.")


def _key_attributes(operation: Put | Update | Delete) -> Item:
    attributes = operation.item or {} if isinstance(operation, Put) else operation.key_attributes
    return keys.key_of(operation.table, None, attributes)


def _updated(operation: Update, old: Item | None) -> Item | None:
    """The item after an update; None if it does not exist and the update, which only removes, does not create it."""
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
        # Only the changed parts are measured: an item may be large, and most changes are not.
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
