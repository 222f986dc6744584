"""A store that contains one of everything, written by the operations themselves, for checks to go through."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

from jedlik.background import job_records
from jedlik.dynamodb.errors import ConditionalCheckFailedException
from jedlik.dynamodb.items import expiring
from jedlik.dynamodb.streams import shard_upkeep
from jedlik.dynamodb.streams.shard_upkeep import StreamPolicy
from jedlik.process.services import SERVICES
from jedlik.regions import keyspaces
from jedlik.storage.engine import Writes
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
from jedlik.upkeep.check import StoreCheck
from testing import jobs
from testing.dynamodb import handlers
from testing.dynamodb.definitions import attributes, definition, index, key_schema
from testing.dynamodb.handlers import START, Handlers

TABLE = "songs"
ITEMS = 60
"""Different keys that are written to."""
EXPIRES = int(START) + 1_000_000
"""The expiry of most expiring items; others have expired when the clock starts."""

DEFINITION = definition(
    TableName=TABLE,
    KeySchema=key_schema("p", "s"),
    AttributeDefinitions=attributes(p="S", s="N", a="S", b="N", c="S"),
    LocalSecondaryIndexes=[index("local", "p", "a", include=[])],
    GlobalSecondaryIndexes=[index("whole", "a", "b"), index("several", ["a", "c"], "b", include=["text"])],
    StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
)

Item = dict[str, Any]

KNOWN: Item = {
    "p": {"S": "known"},
    "s": {"N": "1"},
    "a": {"S": "a0"},
    "b": {"N": "1"},
    "c": {"S": "c"},
    "expires": {"N": str(EXPIRES)},
}
"""The only item of its partition. It is in every index, and expires."""


def run(folder: Path, test: Callable[[Handlers], Awaitable[None]]) -> None:
    """Run a test over a new store, which contains only its secret."""

    async def with_secret(store: Handlers) -> None:
        await change(store, lambda writes: writes.put(keyspaces.secret_key(), store.region.secret))
        await test(store)

    handlers.run(folder, with_secret)


def check(store: Handlers) -> StoreCheck:
    """A check of the store as it is now that has found nothing."""
    checked, found = problems(store)
    assert found == []
    return checked


def problems(store: Handlers) -> tuple[StoreCheck, list[str]]:
    """A check of the store as it is now, and its findings."""
    engine = store.region.engine
    assert isinstance(engine, LmdbEngine)
    with engine.view() as view:
        checked = StoreCheck(view, SERVICES)
        return checked, list(checked.problems())


async def change(store: Handlers, fill: Callable[[Writes], None]) -> None:
    """Commit the writes of `fill`."""

    def decide(_: Sequence[bytes | None]) -> tuple[Writes, None]:
        writes = Writes()
        fill(writes)
        return writes, None

    await store.region.engine.mutate([], decide)


async def step_jobs(store: Handlers) -> bool:
    """Do a step of each job. Returns whether there was a job."""
    rows = await store.region.engine.range(*job_records.job_range(), 100, 1 << 20)
    for row in rows:
        job = job_records.parse(row)
        await jobs.step(store.region, job)
    return bool(rows)


async def finish_jobs(store: Handlers) -> None:
    """Do all jobs to their ends."""
    while await step_jobs(store):
        pass


def key(number: int) -> Item:
    return {"p": {"S": f"p{number % 7}"}, "s": {"N": str(number)}}


def item(number: int, random: Random) -> Item:
    """An item that is in some of the indexes, and may expire."""
    optional = {
        "a": {"S": f"a{random.randrange(5)}"},
        "b": {"N": str(random.randrange(100))},
        "c": {"S": "c"},
        "expires": {"N": str(random.choice([int(START) - 5, EXPIRES]))},
        "text": {"S": "x" * random.randrange(50)},
    }
    return key(number) | {name: value for name, value in optional.items() if random.random() < 0.7}


async def load(store: Handlers, random: Random, writes: int = 100) -> None:
    """Write to the table in every possible way."""

    def some() -> int:
        return random.randrange(ITEMS)

    def put() -> tuple[str, Item]:
        return "PutItem", {"TableName": TABLE, "Item": item(some(), random)}

    def update() -> tuple[str, Item]:
        expression = random.choice(["SET a = :text ADD b :one", "SET expires = :later REMOVE a", "REMOVE b, expires"])
        values = {":text": {"S": "a1"}, ":one": {"N": "1"}, ":later": {"N": str(EXPIRES + 1)}}
        used = {name: value for name, value in values.items() if name in expression}
        request = {"TableName": TABLE, "Key": key(some()), "UpdateExpression": expression}
        return "UpdateItem", request | ({"ExpressionAttributeValues": used} if used else {})

    def delete() -> tuple[str, Item]:
        return "DeleteItem", {"TableName": TABLE, "Key": key(some())}

    def batch() -> tuple[str, Item]:
        puts = [{"PutRequest": {"Item": item(number, random)}} for number in random.sample(range(ITEMS), 5)]
        return "BatchWriteItem", {"RequestItems": {TABLE: puts}}

    def transact() -> tuple[str, Item]:
        first, second = random.sample(range(ITEMS), 2)
        actions = [
            {"Put": {"TableName": TABLE, "Item": item(first, random)}},
            {"Delete": {"TableName": TABLE, "Key": key(second)}},
        ]
        return "TransactWriteItems", {"TransactItems": actions, "ClientRequestToken": f"token {random.random()}"}

    def statement() -> tuple[str, Item]:
        text = f"UPDATE {TABLE} SET b=1 SET a='a2' WHERE p=? AND s=?"
        return "ExecuteStatement", {"Statement": text, "Parameters": list(key(some()).values())}

    for _ in range(writes):
        operation, request = random.choice([put, update, delete, batch, transact, statement])()
        try:
            await store.call(operation, **request)
        except ConditionalCheckFailedException:
            assert operation == "ExecuteStatement"  # There is no such item.


async def roll(store: Handlers, split: bool) -> None:
    """Close the stream's shards and open new ones."""
    store.now += 10
    await shard_upkeep.maintain(store.region, StreamPolicy(rotation=5, partition_size=0 if split else 1 << 30))


async def expire(store: Handlers) -> None:
    """Delete what has expired."""
    while await expiring.sweep(store.region):
        pass


async def full(store: Handlers) -> None:
    """Fill the store: a table with everything switched on, and remains of other tables."""
    random = Random(1)
    created = await store.call("CreateTable", **DEFINITION)
    tags = [{"Key": "k", "Value": "v"}]
    await store.call("TagResource", ResourceArn=created["TableDescription"]["TableArn"], Tags=tags)
    await load(store, random)
    setting = {"Enabled": True, "AttributeName": "expires"}
    await store.call("UpdateTimeToLive", TableName=TABLE, TimeToLiveSpecification=setting)
    await finish_jobs(store)
    await roll(store, split=True)
    await load(store, random)
    await store.call("PutItem", TableName=TABLE, Item=KNOWN)
