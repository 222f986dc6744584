"""Item collections: all items of one partition key in a table with local indexes, their entries there included.

A collection's size is a counter that the write path keeps. Source: "Item collections in local secondary indexes" in the
developer guide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jedlik.dynamodb.errors import ItemCollectionSizeLimitExceededException
from jedlik.dynamodb.model import indexes, items, keys
from jedlik.dynamodb.model.limits import GIB, ITEM_COLLECTION_SIZE
from jedlik.dynamodb.model.values import Item
from jedlik.dynamodb.model.writes import Change, Operation
from jedlik.regions.region import Region
from jedlik.storage.counters import counter


async def are_full(region: Region, operations: Sequence[Operation]) -> list[bool]:
    """Of each operation, whether the collection of its item has reached the limit."""
    return [size is not None and size >= ITEM_COLLECTION_SIZE for size in await _sizes(region, operations)]


def refuse_growth(change: Change) -> None:
    """Raises ItemCollectionSizeLimitExceededException when a change makes an item larger. For full collections."""
    if change.new is not None and (change.old is None or items.size(change.new) > items.size(change.old)):
        raise ItemCollectionSizeLimitExceededException("Collection size exceeded.")


async def metrics(region: Region, operations: Sequence[tuple[Operation, Item]]) -> list[dict[str, Any] | None]:
    """Of each operation and its item or key, the ItemCollectionMetrics; None where the table has no collections."""
    sizes = await _sizes(region, [operation for operation, _ in operations])
    return [
        None if size is None else _metrics(operation.table.partition_key[0].name, item, size)
        for (operation, item), size in zip(operations, sizes, strict=True)
    ]


async def _sizes(region: Region, operations: Sequence[Operation]) -> list[int | None]:
    """Of each operation, the size in bytes of the collection of its item; None where the table has none."""
    counters = [keys.collection_bytes_key(operation.table, operation.key) for operation in operations]
    counted = await region.engine.get(counters)
    return [
        counter(value) if indexes.has_collections(operation.table) else None
        for operation, value in zip(operations, counted, strict=True)
    ]


def _metrics(partition_key: str, item: Item, size: int) -> dict[str, Any]:
    gigabytes = float(size // GIB)
    return {
        "ItemCollectionKey": {partition_key: item[partition_key]},
        "SizeEstimateRangeGB": [gigabytes, gigabytes + 1.0],
    }
