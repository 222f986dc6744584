"""The stores of a process, and the tables that it knows."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from jedlik.api import stores
from jedlik.api.context import DESCRIPTOR_ATTEMPTS, Region
from jedlik.api.stores import Stores
from jedlik.config import Settings
from jedlik.model import keys
from jedlik.model.errors import (
    DescriptorChanged,
    InternalServerError,
    LimitExceededException,
    ResourceNotFoundException,
    ValidationException,
)
from jedlik.model.tables import Table
from jedlik.storage.engine import Writes


def settings(path: Path) -> Settings:
    return Settings(data_dir=path, in_memory=True)


async def define(region: Region, name: str, partition_key: str) -> None:
    """Make a table, as another process would: without this one's knowing."""
    document = {
        "TableName": name,
        "TableId": "01234567-89ab-cdef-0123-456789abcdef",
        "TableArn": f"arn:aws:dynamodb:us-east-1:000000000000:table/{name}",
        "KeySchema": [{"AttributeName": partition_key, "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": partition_key, "AttributeType": "S"}],
    }
    writes = Writes()
    writes.put(keys.descriptor_key(name), orjson.dumps(document))
    await region.engine.mutate([], lambda _: (writes, None))


def test_each_region_has_its_own_store_which_keeps_its_secret(tmp_path: Path) -> None:
    async def secrets() -> list[bytes]:
        opened = Stores(settings(tmp_path))
        try:
            return [(await opened.region(name)).secret for name in ("us-east-1", "eu-west-1")]
        finally:
            await opened.close()

    first = asyncio.run(secrets())
    assert len(set(first)) == 2
    assert asyncio.run(secrets()) == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["eu-west-1", "us-east-1"]


def test_a_store_is_opened_once(tmp_path: Path) -> None:
    seen: list[str] = []

    async def run() -> None:
        opened = Stores(settings(tmp_path), opened=lambda region: seen.append(region.name))
        try:
            regions = await asyncio.gather(*[opened.region("us-east-1") for _ in range(5)])
            assert all(region is regions[0] for region in regions)
        finally:
            await opened.close()

    asyncio.run(run())
    assert seen == ["us-east-1"]


def test_the_stores_that_are_there_are_opened_at_the_start(tmp_path: Path) -> None:
    seen: list[str] = []

    async def run() -> None:
        first = Stores(settings(tmp_path))
        await first.open_existing()
        for name in ("us-east-1", "us-gov-west-1"):
            await first.region(name)
        await first.close()
        (tmp_path / "lost+found").mkdir()
        (tmp_path / "credentials.json").touch()
        again = Stores(settings(tmp_path), opened=lambda region: seen.append(region.name))
        await again.open_existing()
        await again.close()

    asyncio.run(run())
    assert seen == ["us-east-1", "us-gov-west-1"]


def test_there_is_a_limit_to_open_stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "REGIONS", 1)

    async def run() -> None:
        opened = Stores(settings(tmp_path))
        try:
            await opened.region("us-east-1")
            with pytest.raises(LimitExceededException):
                await opened.region("us-east-2")
            await opened.region("us-east-1")
        finally:
            await opened.close()

    asyncio.run(run())


# The tables that a region knows


def in_region(path: Path, test: Any) -> None:
    async def run() -> None:
        opened = Stores(settings(path))
        try:
            await test(await opened.region("us-east-1"))
        finally:
            await opened.close()

    asyncio.run(run())


def test_a_table_is_parsed_again_only_when_it_has_changed(tmp_path: Path) -> None:
    async def test(region: Region) -> None:
        await define(region, "table", "p")
        first = await region.table("table")
        assert await region.table("arn:aws:dynamodb:us-east-1:000000000000:table/table") is first
        await define(region, "table", "q")
        assert (await region.table("table")).partition_key[0].name == "q"

    in_region(tmp_path, test)


def test_an_attempt_on_a_stale_table_is_made_again(tmp_path: Path) -> None:
    tried: list[str] = []

    async def attempt(table: Table) -> str:
        tried.append(table.partition_key[0].name)
        if tried == ["p"]:
            raise DescriptorChanged
        return "done"

    async def test(region: Region) -> None:
        await define(region, "table", "p")
        await region.table("table")
        await define(region, "table", "q")
        assert await region.with_table("table", attempt) == "done"

    in_region(tmp_path, test)
    assert tried == ["p", "q"]


def test_a_refusal_counts_only_if_the_table_is_still_the_same(tmp_path: Path) -> None:
    async def attempt(tables: Sequence[Table]) -> str:
        if tables[1].partition_key[0].name == "p":
            raise ValidationException("The provided key element does not match the schema")
        return "done"

    async def test(region: Region) -> None:
        for name in ("one", "two"):
            await define(region, name, "p")
            await region.table(name)
        with pytest.raises(ValidationException):
            await region.with_tables(["one", "two"], attempt)
        await define(region, "two", "q")
        assert await region.with_tables(["one", "two"], attempt) == "done"

    in_region(tmp_path, test)


def test_attempts_have_an_end(tmp_path: Path) -> None:
    tried = 0

    async def attempt(table: Table) -> None:
        nonlocal tried
        tried += 1
        raise DescriptorChanged

    async def test(region: Region) -> None:
        await define(region, "table", "p")
        with pytest.raises(InternalServerError):
            await region.with_table("table", attempt)

    in_region(tmp_path, test)
    assert tried == DESCRIPTOR_ATTEMPTS


def test_a_table_that_is_gone_is_not_found(tmp_path: Path) -> None:
    async def attempt(table: Table) -> None:
        raise DescriptorChanged

    async def test(region: Region) -> None:
        await define(region, "table", "p")
        await region.table("table")
        writes = Writes()
        writes.delete(keys.descriptor_key("table"))
        await region.engine.mutate([], lambda _: (writes, None))
        with pytest.raises(ResourceNotFoundException) as refusal:
            await region.with_table("table", attempt)
        assert refusal.value.message == "Requested resource not found"
        assert "table" not in region.known

    in_region(tmp_path, test)
