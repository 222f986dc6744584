"""A world of regions in the test's own process: stores in memory, clocks that the test sets, and a table in some
regions.

Replicas are made by writing their descriptors, so these tests need no operation on tables.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import orjson

from jedlik.aws import stored_items
from jedlik.aws.context import Context, own
from jedlik.dynamodb.model import descriptors, items, keys, replicas, shared_settings, versions
from jedlik.dynamodb.model.definitions import Descriptor
from jedlik.dynamodb.model.replicas import Group
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.model.values import Item
from jedlik.dynamodb.operations import OPERATIONS, PEER_OPERATIONS
from jedlik.dynamodb.replication import pull_positions, replicated
from jedlik.dynamodb.replication.exchange import Exchange
from jedlik.dynamodb.replication.pull_positions import PullPosition
from jedlik.dynamodb.streams import shard_upkeep
from jedlik.dynamodb.streams.shard_upkeep import StreamPolicy
from jedlik.regions import keyspaces
from jedlik.regions.peers import Body, LocalPeers, Peers
from jedlik.regions.region import Region
from jedlik.storage.engine import Writes
from testing.dynamodb.definitions import attributes, definition, index, key_schema
from testing.storage.memory import MemoryEngine

A, B, C = "us-east-1", "eu-west-1", "ap-south-1"
TABLE = "Music"
START = 1_800_000_000.0
"""When the clocks start, in seconds since the epoch."""
DAY = 24 * 60 * 60.0

_parsed = lru_cache(descriptors.parse)
_QUIET_ROUNDS = 2
"""Seconds without a change after which no more will come: a wait of a second has had its turn."""

DEFINITION = definition(
    TableName=TABLE,
    KeySchema=key_schema("p", "s"),
    AttributeDefinitions=attributes(p="S", s="N", x="N"),
    GlobalSecondaryIndexes=[index("by-x", "x")],
    StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
)


class Place:
    """A region of the world."""

    def __init__(self, name: str, peers: Peers) -> None:
        self.now = START
        self.wrong = 0.0
        """By how much the wall clock is ahead because of a jump."""
        self.elapsed = 0.0
        """Seconds that have passed, whatever the clock shows."""
        self.kept: dict[bytes, bytes] = {}
        """What its store holds."""
        # Secrets differ between stores, so the same items have another order in each.
        secret = name.encode().ljust(32)
        self.region = Region(
            name,
            "000000000000",
            MemoryEngine(self.kept),
            lambda: self.now + self.wrong,
            secret,
            peers,
            steady=lambda: self.now,
        )
        self.kept[keyspaces.secret_key()] = secret
        self.exchanges: dict[tuple[str, int], Exchange] = {}
        """By peer and number."""

    @property
    def name(self) -> str:
        return self.region.name

    async def do(self, operation: str, **request: Any) -> Any:
        """Do an operation."""
        served = OPERATIONS[operation]
        context = Context(self.region, "request", own(self.region), b"localhost")
        return stored_items.plain(await served.handler(context, served.validate(request)))

    async def call(self, operation: str, **request: Any) -> Any:
        """Do an operation on the table."""
        return await self.do(operation, **{"TableName": TABLE, **request})

    async def ask(self, operation: str, **request: Any) -> Any:
        """Do an operation as a peer requests it."""
        served = PEER_OPERATIONS[operation]
        context = Context(self.region, "request", own(self.region), b"localhost")
        return stored_items.plain(await served.handler(context, served.validate(request)))

    async def put(self, name: str, **more: int) -> None:
        numbers = {attribute: {"N": str(number)} for attribute, number in more.items()}
        await self.call("PutItem", Item=key(name) | numbers)

    async def delete(self, name: str) -> None:
        await self.call("DeleteItem", Key=key(name))

    async def table(self) -> Table:
        [raw] = await self.region.engine.get([keys.descriptor_key(TABLE)])
        assert raw is not None
        return _parsed(raw)

    async def items(self) -> dict[str, Item]:
        """The items by the names in their keys."""
        table = await self.table()
        rows = await self.region.engine.range(table.prefix, keyspaces.prefix_end(table.prefix), 10_000, 1 << 30)
        return {item["p"]["S"]: item for item in (items.decode(stored) for _, stored in rows)}

    async def record(self, name: str) -> bytes | None:
        """The version record of an item."""
        table = await self.table()
        item_key = keys.item_key(table, key(name), self.region.secret)
        [found] = await self.region.engine.get([keys.version_key(table, item_key)])
        return found

    async def records(self) -> dict[str, tuple[bytes, bool]]:
        """By the names in their keys: the versions of items, and whether the items are there."""
        found = {}
        for name in await self.items():
            found[name] = (versions.of_record(await self.record(name)), True)
        for _, record in await self.region.engine.range(*keys.version_range((await self.table()).id), 10_000, 1 << 30):
            if versions.is_tombstone(record):
                name = orjson.loads(versions.keys_of_tombstone(record))["p"]["S"]
                found[name] = (versions.of_record(record), False)
        return found

    async def checkpoint(self, peer: str) -> PullPosition | None:
        return await pull_positions.read(self.region, (await self.table()).id, peer)

    def exchange(self, peer: str, number: int = 0) -> Exchange:
        """One of the regions that pull from a peer."""
        return self.exchanges.setdefault((peer, number), Exchange(self.region, peer, lambda: self.elapsed))

    async def pull(self, peer: str, wait: float = 0.0, exchange: Exchange | None = None) -> bool:
        """One exchange with a peer."""
        exchange = exchange or self.exchange(peer)
        found = [table for table in await replicated.all_of(self.region) if peer in table.replica.peers]
        return await exchange.round(found, wait)

    async def maintain(self, policy: StreamPolicy | None = None) -> None:
        """Roll and trim the stream."""
        await shard_upkeep.maintain(self.region, policy or StreamPolicy())

    async def change(self, fill: Callable[[Writes], None]) -> None:
        """Commit what `fill` writes."""

        def decide(_: Sequence[bytes | None]) -> tuple[Writes, None]:
            writes = Writes()
            fill(writes)
            return writes, None

        await self.region.engine.mutate([], decide)


class World:
    """Regions that can ask each other, and their tables."""

    def __init__(self, *names: str, peers: Callable[[str], Peers] | None = None) -> None:
        local = LocalPeers(self.serve)
        self.places = {name: Place(name, peers(name) if peers else local) for name in names}

    def __getitem__(self, name: str) -> Place:
        return self.places[name]

    async def serve(self, region: str, operation: str, body: Body) -> Body:
        """Let a region answer a peer."""
        answer: Body = await self.places[region].ask(operation, **body)
        return answer

    async def make_tables(self, *names: str) -> None:
        """The ordinary table, in each of some regions."""
        for name in names:
            await self[name].call("CreateTable", **DEFINITION)

    async def replicate(self, *names: str, joining: dict[str, str] | None = None) -> None:
        """Make the tables of these regions replicas; those in `joining` must be copied from another."""
        joining = joining or {}
        settings = shared_settings.shared((await self[names[0]].table()).descriptor)
        group = _group(names, joining, settings, min(place.now for place in self.places.values()))
        for name in (*names, *joining):
            await self.become(name, group)

    async def become(self, name: str, group: Group) -> None:
        """Make a table a replica of a group, or give it another group document."""
        await self.put_descriptor(name, replace((await self[name].table()).descriptor, group=group))

    async def put_descriptor(self, name: str, descriptor: Descriptor) -> None:
        """Give a table another descriptor."""
        raw = descriptors.serialize(descriptor)
        await self[name].change(lambda writes: writes.put(keys.descriptor_key(TABLE), raw))

    async def settle(self, rounds: int = 30) -> None:
        """Let all regions pull from each other, once a second, until nothing changes any more."""
        unchanged = 0
        for _ in range(rounds):
            before = [place.kept.copy() for place in self.places.values()]
            for place in self.places.values():
                place.elapsed += 1
                for peer in self.places:
                    if peer != place.name:
                        await place.pull(peer)
            unchanged = unchanged + 1 if before == [place.kept for place in self.places.values()] else 0
            if unchanged == _QUIET_ROUNDS:
                return
        raise AssertionError(f"still changing after {rounds} rounds")


def _group(names: Sequence[str], joining: dict[str, str], settings: dict[str, Any], now: float) -> Group:
    group = replicas.make("group", names[0], settings, now)
    for name in names[1:]:
        group = replicas.moved(replicas.created(group, name, names[0], names[0], now), name, replicas.ACTIVE, now)
    for name, source in joining.items():
        group = replicas.created(group, name, source, source, now)
    return group


def key(name: str) -> Item:
    return {"p": {"S": name}, "s": {"N": "0"}}


def item(name: str, **numbers: int) -> Item:
    return key(name) | {attribute: {"N": str(number)} for attribute, number in numbers.items()}


def run(test: Callable[[World], Awaitable[None]], *names: str) -> None:
    """Run a test in a world with these regions, all of which have replicas of the table."""

    async def in_world() -> None:
        world = World(*names)
        await world.make_tables(*names)
        await world.replicate(*names)
        await test(world)

    asyncio.run(in_world())
