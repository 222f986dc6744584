"""The read path: the rows that a page of a Query or Scan reads, and the parts of them that it shows.

A page examines rows in the order of their keys until it has examined `Limit` of them or 1 MB by DynamoDB's count, and
only then filters and projects. Entries of an index are stored like items, so both are read alike, and those that are
shown whole are never parsed. Source: "Querying tables" and "Scanning tables" in the developer guide.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.model import items, keys
from jedlik.dynamodb.model.expressions.key_conditions import KeyCondition
from jedlik.dynamodb.model.expressions.projections import Projection
from jedlik.dynamodb.model.tables import Index, Table
from jedlik.dynamodb.model.values import Item
from jedlik.storage.engine import Row

Filter = Callable[[Item], bool]

_PLACE = 8
"""Bytes of a partition key's hash that determine its partition."""
_CANNOT_RESTART = "The query can return at most one row and cannot be restarted"


class Stretch(NamedTuple):
    """Rows with start <= key < end, in ascending or descending order."""

    start: bytes
    end: bytes
    reverse: bool = False

    def after(self, key: bytes) -> Stretch:
        """The rest when the row under `key`, or the place where it would be, has been passed."""
        if self.reverse:
            return Stretch(self.start, min(self.end, key), True)
        return Stretch(max(self.start, key + b"\x00"), self.end)


def fitting(stored: Sequence[bytes | None], room: int) -> tuple[int, int]:
    """How many stored items a page takes that has `room` bytes left, and their size.

    The page takes items up to and including the one that fills it. None stands for a missing item.
    """
    size = items.total_size(filter(None, stored))
    if size < room:
        return len(stored), size
    size = 0
    for count, one in enumerate(stored, 1):
        if one is not None:
            size += items.size(one)
            if size >= room:
                return count, size
    return len(stored), size


def passing(stored: Sequence[bytes], keep: Filter | None) -> int:
    """How many stored items pass a filter."""
    return len(stored) if keep is None else sum([keep(items.decode(one)) for one in stored])


def shown(stored: Sequence[bytes], keep: Filter | None, projection: Projection | None) -> tuple[int, Any]:
    """How many stored items pass a filter, and those as an array for the response."""
    if projection is not None:
        parsed = [items.decode(one) for one in stored]
        if keep is not None:
            parsed = [item for item in parsed if keep(item)]
        return len(parsed), [projection.apply(item) for item in parsed]
    if keep is not None:
        stored = [one for one in stored if keep(items.decode(one))]
    return len(stored), items.array(stored)


def sizes_by_partition(rows: Sequence[Row], stretch: Stretch, ended: bool, prefix: bytes, partitions: int) -> list[int]:
    """Bytes that a page examined in each of the partitions that it visited.

    `rows` are the rows examined in `stretch`, which is ascending if there are several partitions, and `ended` is
    whether these are all. `prefix` begins the keys of the table or the index. Its partitions divide its space of hashes
    evenly.
    """
    if partitions == 1:
        return [items.total_size([stored for _, stored in rows])]

    def partition(key: bytes, before: int = 0) -> int:
        place = int.from_bytes(key[len(prefix) : len(prefix) + _PLACE].ljust(_PLACE, b"\x00"), "big") - before
        return place * partitions >> 8 * _PLACE

    if not ended:
        last = partition(rows[-1][0])
    elif stretch.end.startswith(prefix):
        last = partition(stretch.end, 1)
    else:
        last = partitions - 1
    sizes = []
    begin = 0
    for number in range(partition(stretch.start), last + 1):
        end = begin if begin == len(rows) else bisect_right(rows, number, begin, key=lambda row: partition(row[0]))
        sizes.append(items.total_size([stored for _, stored in rows[begin:end]]))
        begin = end
    return sizes


def selects_one_item(table: Table, index: Index | None, condition: KeyCondition) -> bool:
    """Whether a Query gives the whole key of a table, so that it returns at most one item and cannot be restarted."""
    return index is None and (not table.sort_key or bool(condition.equal_sort_values))


def queried(
    table: Table, index: Index | None, condition: KeyCondition, start_key: Item | None, reverse: bool, secret: bytes
) -> Stretch:
    """The stretch that a Query reads. `start_key` is its ExclusiveStartKey, if it has one, already checked against the
    schema.

    Raises ValidationException if the condition does not select the start key.
    """
    of = table if index is None else index
    partition_values, equal, operator, operands = condition
    partition = keys.partition_prefix(of, partition_values, secret)
    start, end = keys.sort_bounds(partition, of.sort_key, equal, operator, operands)
    stretch = Stretch(start, end, reverse)
    if start_key is None:
        return stretch
    place = _place(table, index, start_key, secret)
    own_partition = place[: len(partition)]
    if condition.equal_sort_values or condition.operator is not None:
        start, end = keys.sort_bounds(own_partition, of.sort_key, equal, operator, operands)
        if not start <= place < end:
            raise ValidationException("The provided starting key does not match the range key predicate")
        if own_partition != partition or selects_one_item(table, index, condition):
            raise ValidationException(_CANNOT_RESTART)
    elif own_partition != partition:
        raise ValidationException("The provided starting key is outside query boundaries based on provided conditions")
    elif selects_one_item(table, index, condition):
        raise ValidationException(
            f"The provided exclusive start key is invalid: ExclusiveStartKey: {_in_java(start_key)}"
        )
    return stretch.after(place)


def scanned(
    table: Table, index: Index | None, segment: int, segments: int, start_key: Item | None, secret: bytes
) -> Stretch:
    """The stretch that a Scan of one of `segments` segments reads, after its ExclusiveStartKey if it has one.

    Raises ValidationException if the start key is in another segment.
    """
    prefix = table.prefix if index is None else index.prefix
    stretch = Stretch(*keys.segment_range(prefix, segment, segments))
    if start_key is None:
        return stretch
    place = _place(table, index, start_key, secret)
    if not stretch.start <= place < stretch.end:
        raise ValidationException(
            "The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey with "
            f"correct Segment. TotalSegments: {segments} Segment: {segment}"
        )
    return stretch.after(place)


def _place(table: Table, index: Index | None, start_key: Item, secret: bytes) -> bytes:
    """The storage key of the item or entry after which to go on; it need not exist."""
    if index is None:
        return keys.item_key(table, start_key, secret)
    place = keys.index_key(table, index, start_key, secret)
    if place is None:
        raise ValidationException("The provided starting key is invalid")
    return place


def _in_java(key: Item) -> str:
    """A key in the form that DynamoDB's messages have."""
    shown = (f"{name}=AttributeValue: {{{type_}:{v}}}" for name, value in key.items() for type_, v in value.items())
    return "{" + ", ".join(shown) + "}"
