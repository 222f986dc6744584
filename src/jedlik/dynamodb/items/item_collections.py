"""Item collections: all items of one partition key in a table with local indexes, including their entries there.

A collection's size is a counter that the write path keeps. Source: "Item collections in local secondary indexes" in the
developer guide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jedlik.dynamodb.model import indexes, keys
from jedlik.dynamodb.model.limits import GIB, ITEM_COLLECTION_SIZE
from jedlik.dynamodb.model.mutations import NONE_FULL
from jedlik.dynamodb.model.values import Item
from jedlik.dynamodb.model.writes import ItemWrite
from jedlik.regions.region import Region
from jedlik.storage.counters import counter


async def full(region: Region, operations: Sequence[ItemWrite]) -> frozenset[bytes]:
    """The keys of the items whose collection has reached the limit (`Mutation.full`)."""
    counted = [operation for operation in operations if indexes.has_collections(operation.table)]
    if not counted:
        return NONE_FULL
    sizes = await _sizes(region, counted)
    return frozenset(
        operation.key
        for operation, size in zip(counted, sizes, strict=True)
        if size is not None and size >= ITEM_COLLECTION_SIZE
    )


async def metrics(region: Region, operations: Sequence[tuple[ItemWrite, Item]]) -> list[dict[str, Any] | None]:
    """For each operation and its item or key, the ItemCollectionMetrics; None if the table has no collections."""
    sizes = await _sizes(region, [operation for operation, _ in operations])
    return [
        None if size is None else _metrics(operation.table.partition_key[0].name, item, size)
        for (operation, item), size in zip(operations, sizes, strict=True)
    ]


async def _sizes(region: Region, operations: Sequence[ItemWrite]) -> list[int | None]:
    """For each operation, the size in bytes of the collection of its item; None if the table has no collections."""
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
