"""Tables as the tagging service sees them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson

from jedlik.dynamodb.model import keys, replicas
from jedlik.dynamodb.tables.tagged_tables import PAGE_ROWS, TaggedTables
from jedlik.storage.engine import Writes
from testing.dynamodb.handlers import Handlers, run

START = "arn:aws:dynamodb:us-east-1:000000000000:table/"
TABLES = TaggedTables()


def definition(name: str, *tags: str) -> dict[str, Any]:
    return {
        "TableName": name,
        "AttributeDefinitions": [{"AttributeName": "p", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
        "Tags": [{"Key": tag, "Value": name} for tag in tags],
    }


def test_only_tables_of_this_region_and_account_are_resources(tmp_path: Path) -> None:
    async def looked_at(handlers: Handlers) -> None:
        region = handlers.region
        assert TABLES.has(region, f"{START}Music")
        for other in (
            f"{START}Music/index/i",
            f"{START}ab",
            START,
            "arn:aws:dynamodb:eu-west-1:000000000000:table/Music",
            "arn:aws:dynamodb:us-east-1:111111111111:table/Music",
            "arn:aws:kms:us-east-1:000000000000:table/Music",
            "arn:aws-cn:dynamodb:us-east-1:000000000000:table/Music",
        ):
            assert not TABLES.has(region, other)

    run(tmp_path, looked_at)


def test_pages_of_more_tables_than_are_read_at_once(tmp_path: Path) -> None:
    async def listed(handlers: Handlers) -> None:
        count = 2 * PAGE_ROWS + 7
        for n in range(count):
            await handlers.call("CreateTable", **definition(f"table-{n:03}", *(["t"] if n % 2 else [])))
        expected = [f"{START}table-{n:03}" for n in range(1, count, 2)]
        found: list[str] = []
        while True:
            page = await TABLES.after(handlers.region, found[-1] if found else None, 20)
            found += [one.arn for one in page]
            if len(page) < 20:
                break
        assert found == expected
        assert await TABLES.after(handlers.region, expected[-1], 20) == []
        one = await TABLES.find(handlers.region, expected[0])
        assert one is not None
        assert one.tags == {"t": "table-001"}
        assert await TABLES.find(handlers.region, f"{START}table-000") is None
        assert await TABLES.find(handlers.region, f"{START}nowhere") is None

    run(tmp_path, listed)


def test_a_replica_is_no_resource_before_it_is_created(tmp_path: Path) -> None:
    async def listed(handlers: Handlers) -> None:
        region = handlers.region
        await handlers.call("CreateTable", **definition("Music", "t"))
        key = keys.descriptor_key("Music")

        def as_replica(values: Any) -> tuple[Writes, None]:
            document = orjson.loads(values[0])
            source = "eu-west-1"
            group = replicas.make("group", source, {}, 0.0)
            group = replicas.created(group, region.name, source, source, 0.0)
            writes = Writes()
            writes.put(key, orjson.dumps(document | {"Replication": group}))
            return writes, None

        await region.engine.mutate([key], as_replica)
        assert await TABLES.after(region, None, 10) == []
        assert await TABLES.find(region, f"{START}Music") is None

    run(tmp_path, listed)


def test_the_event_loop_runs_between_pages(tmp_path: Path) -> None:
    """A walk through thousands of tables must not delay other requests."""

    async def beside(handlers: Handlers) -> None:
        for n in range(PAGE_ROWS + 1):
            await handlers.call("CreateTable", **definition(f"table-{n:03}"))
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(others())
        await TABLES.after(handlers.region, None, 10)
        task.cancel()
        assert turns >= 2

    run(tmp_path, beside)
