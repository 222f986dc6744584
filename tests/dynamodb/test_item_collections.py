"""The limit of an item collection. No test can fill one, so these write its counter."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from jedlik.aws.context import Context, own
from jedlik.clock import system_clock
from jedlik.dynamodb import catalog
from jedlik.dynamodb.errors import ItemCollectionSizeLimitExceededException
from jedlik.dynamodb.items import batches, single_items
from jedlik.dynamodb.model import keys, limits
from jedlik.dynamodb.tables import table_operations
from jedlik.regions.region import Region
from jedlik.storage.engine import Writes
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine

Test = Callable[[Context], Coroutine[Any, Any, None]]
KEY = {"p": {"S": "full"}, "c": {"S": "c"}}


def run(path: Path, test: Test) -> None:
    """Run a test with its own store, in which the item KEY is in a collection that has reached the limit."""

    async def run() -> None:
        engine = LmdbEngine.open(path, durable=False)
        try:
            region = Region("us-east-1", "000000000000", engine, system_clock, b"secret")
            context = Context(region, "request", own(region))
            await table_operations.create_table(context, _definition())
            await single_items.put_item(context, {"TableName": "table", "Item": KEY | {"v": {"S": "v"}}})
            table = await catalog.current(region, "table")
            counter = keys.collection_bytes_key(table, keys.item_key(table, KEY, region.secret))
            writes = Writes()
            writes.add(counter, limits.ITEM_COLLECTION_SIZE)
            await engine.mutate([], lambda _: (writes, None))
            await test(context)
        finally:
            await engine.close()

    asyncio.run(run())


def _definition() -> dict[str, Any]:
    partition = {"AttributeName": "p", "KeyType": "HASH"}
    return {
        "TableName": "table",
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [partition, {"AttributeName": "c", "KeyType": "RANGE"}],
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in "pcx"],
        "LocalSecondaryIndexes": [
            {
                "IndexName": "local",
                "KeySchema": [partition, {"AttributeName": "x", "KeyType": "RANGE"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    }


def test_a_full_collection_refuses_growth(tmp_path: Path) -> None:
    async def test(context: Context) -> None:
        larger, another = KEY | {"v": {"S": "larger"}}, KEY | {"c": {"S": "another"}}
        for item in (larger, another):
            with pytest.raises(ItemCollectionSizeLimitExceededException) as refusal:
                await single_items.put_item(context, {"TableName": "table", "Item": item})
            assert refusal.value.message == "Collection size exceeded."
            elements = [{"PutRequest": {"Item": item}}]
            with pytest.raises(ItemCollectionSizeLimitExceededException):
                await batches.batch_write_item(context, {"RequestItems": {"table": elements}})

    run(tmp_path, test)


def test_a_full_collection_may_shrink(tmp_path: Path) -> None:
    async def test(context: Context) -> None:
        await single_items.put_item(context, {"TableName": "table", "Item": KEY})
        await single_items.delete_item(context, {"TableName": "table", "Key": KEY})

    run(tmp_path, test)


def test_other_collections_are_not_affected(tmp_path: Path) -> None:
    async def test(context: Context) -> None:
        await single_items.put_item(context, {"TableName": "table", "Item": KEY | {"p": {"S": "other"}}})

    run(tmp_path, test)


def test_a_collection_of_10_gb_gets_its_error(tmp_path: Path) -> None:
    async def test(context: Context) -> None:
        request = {"TableName": "table", "Key": KEY, "ReturnItemCollectionMetrics": "SIZE"}
        answer = await single_items.delete_item(context, request)
        assert answer["ItemCollectionMetrics"]["SizeEstimateRangeGB"] == [10.0, 11.0]

    run(tmp_path, test)
