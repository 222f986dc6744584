"""Purge: everything that a table or an index leaves behind is deleted, and nothing else."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from jedlik.aws.context import Context, own
from jedlik.background import job_records
from jedlik.dynamodb import catalog
from jedlik.dynamodb.model import keys, spaces
from jedlik.dynamodb.model.definitions import Descriptor
from jedlik.dynamodb.operations import OPERATIONS
from jedlik.dynamodb.tables import purge
from jedlik.regions.keyspaces import Keyspace, Owner
from jedlik.regions.region import Region
from jedlik.storage.engine import Writes
from testing import jobs
from testing.dynamodb import schemas
from testing.regions import SetClock, everything, run, write

INDEXES = (0, 1, 255, 256, 65535)
ROWS = 700
"""Rows of each index: more than one step deletes."""


def descriptor(table_id: int) -> Descriptor:
    return replace(schemas.table().descriptor, name=f"table{table_id}", id=str(uuid.UUID(int=table_id << 64)))


BEFORE, PURGED, AFTER = (descriptor(number) for number in (41, 42, 43))


def fill(writes: Writes) -> None:
    """Rows and counters of three tables, next to one another in the store."""
    for table in (BEFORE, PURGED, AFTER):
        table_id = keys.table_id(table.id)
        for number in INDEXES:
            for row in range(ROWS):
                writes.put(keys.index_prefix(table_id, number) + row.to_bytes(16, "big"), b"row")
            writes.add(keys.item_count_key(table_id, number), ROWS)
            writes.add(keys.item_bytes_key(table_id, number), ROWS)


async def done(region: Region) -> int:
    """Do all jobs, one after another. Returns the most rows that a step deleted."""
    most = 0
    while rows := await region.engine.range(*job_records.job_range(), 1, 1 << 20):
        job = job_records.parse(rows[0])
        before = len(await everything(region))
        await jobs.step(region, job)
        most = max(most, before - len(await everything(region)))
    return most


def of_table(key: bytes, table: Descriptor) -> bool:
    return key[1:9] == keys.table_id(table.id)


def test_a_table_leaves_nothing_behind(tmp_path: Path) -> None:
    async def scenario(region: Region, clock: SetClock) -> None:
        await write(region, fill)
        before = await everything(region)
        await write(region, lambda writes: purge.submit_table(PURGED, writes))
        assert await done(region) <= purge.STEP_ROWS
        assert await everything(region) == [row for row in before if not of_table(row[0], PURGED)]

    run(tmp_path, scenario)


@pytest.mark.parametrize("number", [1, 255, 256, 65535])
def test_an_index_leaves_nothing_behind(tmp_path: Path, number: int) -> None:
    async def scenario(region: Region, clock: SetClock) -> None:
        await write(region, fill)
        before = await everything(region)
        await write(region, lambda writes: purge.submit_index(PURGED, number, writes))
        await done(region)
        of_index = keys.table_id(PURGED.id) + number.to_bytes(2, "big")
        assert await everything(region) == [row for row in before if row[0][1:11] != of_index]

    run(tmp_path, scenario)


LEAVES = {
    purge.submit_table: {Owner.TABLE, Owner.INDEX, Owner.REPLICA},
    purge.submit_replication: {Owner.REPLICA},
    partial(purge.submit_index, index_number=7): {Owner.INDEX},
}
"""What is purged, and the owner of the rows that go with it."""


@pytest.mark.parametrize("submit", LEAVES, ids=["table", "replication", "index"])
def test_no_key_space_keeps_a_row(tmp_path: Path, submit: Callable[..., None]) -> None:
    """The first and the last key that a table, or an index of it, can have in each key space."""

    def rows(space: Keyspace, table: Descriptor) -> list[bytes]:
        owner = keys.table_id(table.id) + (b"\x00\x07" if space.owner.size == 10 else b"")
        return [space.prefix + owner + end * 20 for end in (b"\x00", b"\xff")]

    async def scenario(region: Region, clock: SetClock) -> None:
        tables = (BEFORE, PURGED, AFTER)
        every = [key for table in tables for space in spaces.KEYSPACES for key in rows(space, table)]
        gone = [key for space in spaces.KEYSPACES if space.owner in LEAVES[submit] for key in rows(space, PURGED)]

        def put(writes: Writes) -> None:
            for key in every:
                writes.put(key, b"row")

        await write(region, put)
        await write(region, lambda writes: submit(PURGED, writes=writes))
        await done(region)
        assert [key for key, _ in await everything(region)] == sorted(set(every) - set(gone))

    run(tmp_path, scenario)


def test_a_table_in_use_leaves_nothing_behind(tmp_path: Path) -> None:
    """With everything that the operations write: items, index entries, counters, tags, expiry notes."""

    async def ask(region: Region, operation: str, **request: Any) -> None:
        asked = OPERATIONS[operation]
        await asked.handler(Context(region, "request", own(region)), asked.validate({"TableName": "Music", **request}))

    def key_schema(partition: str, sort: str) -> list[dict[str, str]]:
        return [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]

    async def scenario(region: Region, clock: SetClock) -> None:
        everything_projected = {"ProjectionType": "ALL"}
        await ask(
            region,
            "CreateTable",
            KeySchema=key_schema("p", "s"),
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in "psx"],
            LocalSecondaryIndexes=[
                {"IndexName": "local", "KeySchema": key_schema("p", "x"), "Projection": everything_projected}
            ],
            GlobalSecondaryIndexes=[
                {"IndexName": "global", "KeySchema": key_schema("x", "p"), "Projection": everything_projected}
            ],
            BillingMode="PAY_PER_REQUEST",
            Tags=[{"Key": "a", "Value": "1"}],
        )
        expiry = {"Enabled": True, "AttributeName": "expires"}
        await ask(region, "UpdateTimeToLive", TimeToLiveSpecification=expiry)
        for number in range(10):
            item = {name: {"S": str(number)} for name in "psx"} | {"expires": {"N": "2000000000"}}
            await ask(region, "PutItem", Item=item)
        assert len(await everything(region)) > 40
        await ask(region, "DeleteTable")
        await done(region)
        # It counts changes of decisions by policies, which a deletion is, too.
        assert [key for key, _ in await everything(region)] == [catalog.POLICIES]

    run(tmp_path, scenario)


def test_a_step_is_done_once(tmp_path: Path) -> None:
    """Two workers both believe that they have the job: the second finds that it has moved."""

    async def scenario(region: Region, clock: SetClock) -> None:
        await write(region, lambda writes: purge.submit_table(PURGED, writes))
        [row] = await region.engine.range(*job_records.job_range(), 10, 1 << 20)
        job = job_records.parse(row)
        await purge.step(region, job)
        with pytest.raises(job_records.JobMoved):
            await purge.step(region, job)

    run(tmp_path, scenario)
