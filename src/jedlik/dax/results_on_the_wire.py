"""Results of DynamoDB's operations as DAX's clients read them, behind the empty array that means success.

Where a client takes only one of CBOR's forms, it is used for all (`wire_values`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jedlik.dax import wire_values
from jedlik.dax.expression_texts import Steps
from jedlik.dax.wire_keys import KeySchema
from jedlik.dax.wire_values import BREAK, NULL, STREAM, Attribute, Item

SUCCESS = b"\x80"
ITEM, CONSUMED_CAPACITY, ATTRIBUTES, COLLECTION_METRICS = 0, 1, 2, 3
ITEMS, COUNT, LAST_EVALUATED_KEY, SCANNED_COUNT = 7, 8, 9, 10
"""The members of results."""
NOTHING_FOUND = SUCCESS + STREAM + BREAK
_ITEM_BEGINS = len(SUCCESS + STREAM) + 1
_FLOAT = struct.Struct(">Bd")
_DOUBLE = 0xFB

UNITS = (("CapacityUnits", 1), ("ReadCapacityUnits", 2), ("WriteCapacityUnits", 3))
INDEX_FAMILIES = ("GlobalSecondaryIndexes", "LocalSecondaryIndexes")


def plain_item(item: Any) -> Item:
    """An item of a result, parsed if it is as it was stored."""
    plain: Item = item if type(item) is dict else item.value
    return plain


def found(item: bytes | None, capacity: bytes | None = None) -> bytes:
    """The answer to a GetItem that has found this, as CBOR, or nothing."""
    if capacity is None:
        return NOTHING_FOUND if item is None else SUCCESS + STREAM + b"\x00" + item + BREAK
    rest = b"" if item is None else b"\x00" + item
    return SUCCESS + STREAM + b"\x01" + capacity + rest + BREAK


def item_in(answer: bytes) -> bytes | None:
    """The item's CBOR in such an answer without capacity."""
    return None if answer == NOTHING_FOUND else answer[_ITEM_BEGINS:-1]


def attribute_names(item: Item, schema: KeySchema) -> tuple[str, ...]:
    """The names in an item's attribute list."""
    return tuple(sorted(item.keys() - set(schema.names)))


def values(number: int, names: Iterable[str], item: Item) -> bytes:
    """An item without its key, as CBOR: the number of its attribute list, and its values in that order, in bytes."""
    content = bytearray()
    wire_values.integer(number, content)
    for name in names:
        wire_values.attribute(item[name], content)
    into = bytearray()
    wire_values.binary(content, into)
    return bytes(into)


def changed(number: int, names: Sequence[str], attributes: Mapping[str, Attribute]) -> bytes:
    """The attributes that an update has changed, as CBOR: by their places in an attribute list, in bytes."""
    content = bytearray()
    wire_values.integer(number, content)
    content += STREAM
    for place, name in enumerate(names):
        wire_values.integer(place, content)
        wire_values.attribute(attributes[name], content)
    content += BREAK
    into = bytearray()
    wire_values.binary(content, into)
    return bytes(into)


def chosen(paths: Sequence[Steps], item: Item) -> bytes:
    """What the paths of a projection lead to in an item, as CBOR: by their places in the projection."""
    pairs = [(place, value) for place, path in enumerate(paths) if (value := _at(path, item)) is not None]
    into = bytearray()
    wire_values.pairs(len(pairs), into)
    for place, value in pairs:
        wire_values.integer(place, into)
        wire_values.attribute(value, into)
    return bytes(into)


def _at(path: Steps, item: Item) -> Attribute | None:
    members: Any = item
    value: Attribute | None = None
    for step in path:
        if type(step) is int:
            elements = (value or {}).get("L", ())
            value = elements[step] if step < len(elements) else None
        else:
            if value is not None:
                members = value.get("M", {})
            value = members.get(step)
        if value is None:
            return None
    return value


def decimal(number: float, into: bytearray) -> None:
    """Write a number as clients want those that are no attribute's."""
    into += _FLOAT.pack(_DOUBLE, number)


def consumed(capacity: Mapping[str, Any]) -> bytes:
    """A ConsumedCapacity, in bytes, as CBOR."""
    content = bytearray()
    wire_values.text(capacity["TableName"], content)
    decimal(capacity["CapacityUnits"], content)
    if "Table" in capacity:
        decimal(capacity["Table"]["CapacityUnits"], content)
    else:
        content += NULL
    for family in INDEX_FAMILIES:
        indexes = capacity.get(family)
        if indexes is None:
            content += NULL
            continue
        wire_values.pairs(len(indexes), content)
        for name, units in indexes.items():
            wire_values.text(name, content)
            decimal(units["CapacityUnits"], content)
    into = bytearray()
    wire_values.binary(content, into)
    return bytes(into)


def consumed_by_transaction(capacity: Mapping[str, Any], into: bytearray) -> None:
    """Write a ConsumedCapacity of a transaction."""
    into += STREAM
    _units(capacity, into)
    wire_values.integer(4, into)
    wire_values.text(capacity["TableName"], into)
    if "Table" in capacity:
        wire_values.integer(5, into)
        into += STREAM
        _units(capacity["Table"], into)
        into += BREAK
    for number, family in enumerate(INDEX_FAMILIES, 6):
        indexes = capacity.get(family)
        if indexes is None:
            continue
        wire_values.integer(number, into)
        wire_values.pairs(len(indexes), into)
        for name, units in indexes.items():
            wire_values.text(name, into)
            into += STREAM
            _units(units, into)
            into += BREAK
    into += BREAK


def _units(units: Mapping[str, Any], into: bytearray) -> None:
    for name, number in UNITS:
        if name in units:
            wire_values.integer(number, into)
            decimal(units[name], into)


def collection_metrics(metrics: Mapping[str, Any]) -> bytes:
    """An ItemCollectionMetrics, in bytes, as CBOR."""
    content = bytearray()
    [key] = metrics["ItemCollectionKey"].values()
    wire_values.attribute(key, content)
    low, high = metrics["SizeEstimateRangeGB"]
    decimal(low, content)
    decimal(high, content)
    into = bytearray()
    wire_values.binary(content, into)
    return bytes(into)


def collection_metrics_by_table(by_table: Mapping[str, Sequence[Mapping[str, Any]]], into: bytearray) -> None:
    """Write the ItemCollectionMetrics of several tables."""
    wire_values.pairs(len(by_table), into)
    for name, every in by_table.items():
        wire_values.text(name, into)
        wire_values.array(len(every), into)
        for metrics in every:
            into += collection_metrics(metrics)
