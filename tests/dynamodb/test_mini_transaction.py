"""The item mini-transaction: what a decision finds, and that it rests on the tables as they are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jedlik.dynamodb import mini_transaction
from jedlik.dynamodb.errors import DescriptorChanged
from jedlik.dynamodb.model import descriptors, keys, replicas, values, versions, writes
from jedlik.dynamodb.model.definitions import LogSetting, OpenShard
from jedlik.dynamodb.model.mutations import Mutation
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.model.values import Item
from jedlik.regions.region import Region
from jedlik.storage.counters import counter
from testing import regions
from testing.dynamodb.schemas import s, table

PLAIN = table()
ITEM: Item = {"p": s("a"), "x": s("b")}
ALSO = b"\x10also"


def replicated() -> Table:
    """A replica in us-east-1."""
    descriptor = replace(
        PLAIN.descriptor,
        log=LogSetting(True, True, (OpenShard(0, 0),)),
        group=replicas.make("group", "us-east-1", {}, 0.0),
    )
    return descriptors.parse(descriptors.serialize(descriptor))


def put(region: Region, of: Table) -> writes.Put:
    return writes.put(of, ITEM, values.item_size(ITEM), region.secret)


async def store(region: Region, rows: dict[bytes, bytes]) -> None:
    await regions.write(region, lambda into: into.puts.update(rows))


def mutate(
    region: Region, of: Table, decide: Callable[[Mutation], Any], also: tuple[bytes, ...] = ()
) -> asyncio.Future[Any]:
    return mini_transaction.mutate(region, [of], [(of, put(region, of).key)], decide, also)


def mutate_one(region: Region, of: Table, decide: Callable[[Mutation], Any]) -> asyncio.Future[Any]:
    return mini_transaction.mutate_one(region, of, put(region, of).key, decide)


def test_a_decision_finds_the_descriptor_the_item_its_version_and_what_else_it_asks_for(tmp_path: Path) -> None:
    async def scenario(region: Region, _: Any) -> None:
        of = replicated()
        item, version = put(region, of).key, keys.version_key(of, put(region, of).key)
        rows = {of.descriptor_key: of.raw, item: b"item", version: b"version", ALSO: b"also"}
        await store(region, rows)
        assert await mutate(region, of, lambda mutation: mutation.found, (ALSO, ALSO + b"absent")) == {
            **rows,
            ALSO + b"absent": None,
        }

    regions.run(tmp_path, scenario)


def test_a_decision_sees_its_own_writes(tmp_path: Path) -> None:
    async def scenario(region: Region, _: Any) -> None:
        await store(region, {PLAIN.descriptor_key: PLAIN.raw})
        operation = put(region, PLAIN)

        def put_and_delete(mutation: Mutation) -> list[writes.ItemChange]:
            return [
                writes.perform(operation, mutation),
                writes.perform(writes.Delete(PLAIN, operation.key, ITEM), mutation),
            ]

        made, deleted = await mutate(region, PLAIN, put_and_delete)
        assert (made.old, made.new) == (None, operation.stored)
        assert (deleted.old, deleted.new) == (operation.stored, None)
        [stored, count] = await region.engine.get([operation.key, keys.item_count_key(PLAIN.id, 0)])
        assert (stored, counter(count)) == (None, 0)

    regions.run(tmp_path, scenario)


@pytest.mark.parametrize("form", [mutate, mutate_one])
@pytest.mark.parametrize("raw", [None, PLAIN.raw + b" "])
def test_nothing_happens_to_a_table_that_has_changed(tmp_path: Path, form: Any, raw: bytes | None) -> None:
    async def scenario(region: Region, _: Any) -> None:
        await store(region, {} if raw is None else {PLAIN.descriptor_key: raw})
        before = await regions.everything(region)
        with pytest.raises(DescriptorChanged):
            await form(region, PLAIN, lambda mutation: writes.perform(put(region, PLAIN), mutation))
        assert await regions.everything(region) == before

    regions.run(tmp_path, scenario)


def test_one_item_is_written_in_either_form_alike(tmp_path: Path) -> None:
    def written(form: Any) -> Any:
        async def scenario(region: Region, _: Any) -> Any:
            await store(region, {PLAIN.descriptor_key: PLAIN.raw})
            change = await form(region, PLAIN, lambda mutation: writes.perform(put(region, PLAIN), mutation))
            return change, await regions.everything(region)

        return regions.run(tmp_path / form.__name__, scenario)

    assert written(mutate) == written(mutate_one)


def test_a_version_is_made_of_the_regions_time(tmp_path: Path) -> None:
    async def scenario(region: Region, clock: regions.SetClock) -> None:
        of = replicated()
        await store(region, {of.descriptor_key: of.raw})
        clock.now += 7.0
        await mutate(region, of, lambda mutation: writes.perform(put(region, of), mutation))
        [record] = await region.engine.get([keys.version_key(of, put(region, of).key)])
        assert versions.seconds(versions.of_record(record)) == region.clock()

    regions.run(tmp_path, scenario)
