"""A peer that lies: its answers and its questions are honest messages in which a part has been replaced.

These must hold: after any answer, a round ends with the table put aside, the answer applied, or the peer unreachable or
refusing. Any question is answered, or refused in DynamoDB's words. Nothing invalid is stored. Changes from other peers
go on, and when the peer is honest again, its new writes arrive, too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson

from fuzz.choices import Choices
from fuzz.service import Finding, watch
from fuzz.store import DictEngine
from jedlik.aws import stored_items
from jedlik.aws.context import Context, own
from jedlik.aws.errors import ServiceError
from jedlik.clock import TrustedClock
from jedlik.dynamodb.errors import DescriptorChanged
from jedlik.dynamodb.model import descriptors, keys, replicas, shared_settings, tables
from jedlik.dynamodb.operations import OPERATIONS, PEER_OPERATIONS
from jedlik.dynamodb.replication import replicated
from jedlik.dynamodb.replication.aside import LAST_REST_SECONDS
from jedlik.dynamodb.replication.exchange import Exchange
from jedlik.dynamodb.replication.pull_positions import PositionMoved
from jedlik.process.services import SERVICES
from jedlik.regions import keyspaces
from jedlik.regions.peers import Body, LocalPeers, PeerUnreachable
from jedlik.regions.region import Region
from jedlik.storage.engine import Row
from jedlik.storage.lmdb.view import View
from jedlik.upkeep.check import StoreCheck

NOW = 1_800_000_000.0
HERE, LIAR, HONEST = "us-east-1", "eu-west-1", "ap-south-1"
TABLE = "Music"
LATER = "later"
ROUNDS = 12
"""The number of honest answers after which everything is well again."""
FAULTS = watch()
LOOP = asyncio.new_event_loop()
logging.getLogger("jedlik").setLevel(logging.ERROR)


class Store(View):
    """What a region holds, as the check reads it."""

    def __init__(self, rows: dict[bytes, bytes]) -> None:
        self._rows = rows

    def get(self, key: bytes) -> bytes | None:
        """As every view's."""
        return self._rows.get(key)

    def rows(self, start: bytes, end: bytes) -> Any:
        """As every view's."""
        found: list[Row] = sorted((key, value) for key, value in self._rows.items() if start <= key < end)
        return iter(found)

    def count(self, start: bytes, end: bytes) -> int:
        """As every view's."""
        return sum(start <= key < end for key in self._rows)

    def first_key(self, start: bytes, end: bytes) -> bytes | None:
        """As every view's."""
        return next((key for key, _ in self.rows(start, end)), None)

    def damaged(self, start: bytes = b"") -> Any:
        """No damage: a value in a dict is as it was written."""
        return iter(())

    @property
    def last_position(self) -> int:
        """The greatest possible number: a store in a dict does not keep it with its rows."""
        return (1 << 64) - 1


class Place:
    """A region."""

    def __init__(self, name: str, peers: Any) -> None:
        self.engine = DictEngine(LOOP)
        clock = TrustedClock(lambda: NOW)
        self.region = Region(name, "000000000000", self.engine, clock, name.encode().ljust(32), peers)
        self.engine.rows[keyspaces.secret_key()] = self.region.secret

    async def do(self, operations: Any, operation: str, request: Body) -> Any:
        """The region's answer to a client, or to a peer."""
        served = operations[operation]
        context = Context(self.region, "request", own(self.region), b"localhost")
        return stored_items.plain(await served.handler(context, served.validate(request)))


class Way:
    """The way to the regions. One of them lies."""

    def __init__(self) -> None:
        self.local: LocalPeers | None = None
        self.lies: Choices | None = None
        """The choices that its lies are made from; None while it is honest."""

    async def call(self, region: str, operation: str, body: Body) -> Body:
        """An answer, perhaps of a lie."""
        assert self.local is not None
        answer = await self.local.call(region, operation, body)
        if region == LIAR and self.lies is not None:
            answer = changed(self.lies, answer)
        return answer

    async def close(self) -> None:
        """It holds no connections."""


class World:
    """Three regions that share a table, each with an item in it."""

    def __init__(self) -> None:
        self.way = Way()
        self.places = {name: Place(name, self.way) for name in (HERE, LIAR, HONEST)}
        self.way.local = LocalPeers(self._serve)
        LOOP.run_until_complete(self._make())
        self._kept = {name: dict(place.engine.rows) for name, place in self.places.items()}

    def reset(self) -> None:
        """As it was made."""
        self.way.lies = None
        for name, place in self.places.items():
            place.engine.rows = dict(self._kept[name])
            place.region.known.clear()

    async def _serve(self, region: str, operation: str, body: Body) -> Body:
        answer: Body = await self.places[region].do(PEER_OPERATIONS, operation, body) or {}
        return answer

    async def _make(self) -> None:
        definition = {
            "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}],
            "AttributeDefinitions": [
                {"AttributeName": "p", "AttributeType": "S"},
                {"AttributeName": "x", "AttributeType": "N"},
            ],
            "GlobalSecondaryIndexes": [
                {
                    "IndexName": "by-x",
                    "KeySchema": [{"AttributeName": "x", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
            "BillingMode": "PAY_PER_REQUEST",
            "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        }
        for name, place in self.places.items():
            await place.do(OPERATIONS, "CreateTable", {"TableName": TABLE} | definition)
            item = {"p": {"S": name}, "x": {"N": "1"}, "deep": {"M": {"a": {"L": [{"BOOL": True}, {"SS": ["a"]}]}}}}
            if name == HERE:
                descriptor = (await self._table(place)).descriptor
                group = replicas.make("group", HERE, shared_settings.shared(descriptor), NOW)
                for other in (LIAR, HONEST):
                    group = replicas.moved(replicas.created(group, other, HERE, HERE, NOW), other, "ACTIVE", NOW)
            replica = replace((await self._table(place)).descriptor, group=group)
            place.engine.rows[keys.descriptor_key(TABLE)] = descriptors.serialize(replica)
            place.region.known.clear()
            await place.do(OPERATIONS, "PutItem", {"TableName": TABLE, "Item": item})
            await place.do(OPERATIONS, "DeleteItem", {"TableName": TABLE, "Key": {"p": {"S": "gone"}}})

    async def _table(self, place: Place) -> tables.Table:
        [raw] = await place.region.engine.get([keys.descriptor_key(TABLE)])
        assert raw is not None
        return descriptors.parse(raw)


def changed(choices: Choices, message: Any) -> Any:
    """A message in which one part, or several, have been replaced."""
    for _ in range(choices.below(3)):
        message = _changed(choices, message, 0)
    return message


def _changed(choices: Choices, part: Any, depth: int) -> Any:
    how = choices.below(8)
    if how == 0 or depth > 12 or not isinstance(part, dict | list) or not part:
        return choices.one_of(VALUES)
    if isinstance(part, dict):
        name = choices.one_of(list(part))
        if how == 1:
            return {member: value for member, value in part.items() if member != name}
        if how == 2:
            return part | {choices.one_of(NAMES): choices.one_of(VALUES)}
        return part | {name: _changed(choices, part[name], depth + 1)}
    place = choices.below(len(part))
    if how == 1:
        return part[:place] + part[place + 1 :]
    if how == 2:
        return [*part, part[place]]
    return [*part[:place], _changed(choices, part[place], depth + 1), *part[place + 1 :]]


def deep(levels: int) -> Any:
    """A value nested this deeply."""
    value: Any = {"S": "x"}
    for _ in range(levels):
        value = {"L": [value]}
    return value


VALUES: Sequence[Any] = (
    *(None, True, False, 0, 1, -1, 1.5, 1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, 1e300, "", "a", "0", "-1"),
    *([], {}, [None], {"S": "a"}, {"N": "abc"}, {"N": "1e" + "0" * 500 + "1"}, {"N": "9" * 39}, {"B": "!"}, {"X": "a"}),
    *({"S": ""}, {"S": "k" * 5000}, {"S": "x" * 410_000}, {"SS": ["a", "a"]}, {"NS": []}, {"NULL": False}, deep(40)),
    *(
        deep(31),
        {"p": {"S": "another"}},
        {"x": {"S": "no number"}},
        "0" * 32,
        "f" * 32,
        f"{(1 << 63) - 1:016x}{'0' * 16}",
    ),
    *(int(NOW * 1000) << 16, (int(NOW * 1000) << 16) + 9, NOW, NOW + 599, NOW + 601, -NOW, HERE, LIAR, HONEST, TABLE),
    *("CREATING", "ACTIVE", "DELETING", "DELETED", 2, 3, "28", "68", "group", "HASH", "RANGE", "ALL", "PROVISIONED"),
)
NAMES = (
    *("p", "x", "S", "N", "Item", "Again", "Group", "Gone", "CopyAgain", "Entries", "Position", "Source", "Kept", HERE),
    *("Index/other", "IndexThroughput/other", "TimeToLive", f"{HERE}/TableClassOverride", "Disassociated", "__type"),
)


def _requests(group: Body) -> list[tuple[str, Body]]:
    """What a peer may ask."""
    of_table = {"TableName": TABLE, "GroupId": "group"}
    asked = of_table | {"Position": 0, "SourceId": None, "GroupVersion": None}
    schema = [{"AttributeName": "p", "KeyType": "HASH"}]
    definitions = [{"AttributeName": "p", "AttributeType": "S"}]
    join = {"Group": group, "KeySchema": schema, "LocalSecondaryIndexes": [], "AttributeDefinitions": definitions}
    return [
        ("Pull", {"Wait": 0, "Tables": [asked]}),
        ("BeginCopy", of_table),
        ("CopyPage", of_table | {"SourceId": "?", "Cursor": None}),
        ("Missing", of_table | {"SourceId": "?", "Keys": [{"p": {"S": "a"}}]}),
        ("LookUp", {"TableName": TABLE}),
        ("Join", {"TableName": TABLE} | join),
        ("Join", {"TableName": "Unknown"} | join),
        ("Leave", {"TableName": TABLE, "Group": group, "Region": LIAR, "Position": 0}),
    ]


async def _exchange(exchange: Exchange, region: Region, peer: str) -> None:
    """A round, as a puller does it."""
    found = [table for table in await replicated.all_of(region) if peer in table.replica.peers]
    try:
        await exchange.round(found, 0.0)
    except (PositionMoved, DescriptorChanged):
        exchange.forget()
    except (PeerUnreachable, ServiceError):
        pass  # It is tried again.


async def _lie(world: World, choices: Choices) -> None:
    here, elapsed = world.places[HERE], 0.0
    exchange = Exchange(here.region, LIAR, lambda: elapsed)
    other = Exchange(here.region, HONEST, lambda: elapsed)
    group = (await replicated.find(here.region, TABLE)).group  # type: ignore[union-attr]
    world.way.lies = choices
    while choices:
        if choices.below(2):
            operation, request = choices.one_of(_requests(orjson.loads(orjson.dumps(group))))
            table = await replicated.find(here.region, TABLE)
            if request.get("SourceId") == "?" and table is not None:
                request["SourceId"] = table.table_id
            request = changed(choices, request)
            try:
                if isinstance(request, dict) and request.get("Wait", 0) == 0:
                    await here.do(PEER_OPERATIONS, operation, request)
            except ServiceError as refusal:
                refusal.message.encode()
        else:
            elapsed += LAST_REST_SECONDS
            await _exchange(exchange, here.region, LIAR)
    world.way.lies = None
    FAULTS.check()
    problems = list(StoreCheck(Store(here.engine.rows), SERVICES).problems())
    if problems:
        raise Finding(f"the store: {problems}")
    # Nobody can know of a write that a liar has kept to itself, but the writes that it makes from now on arrive.
    await world.places[LIAR].do(OPERATIONS, "PutItem", {"TableName": TABLE, "Item": {"p": {"S": LATER}}})
    for _ in range(ROUNDS):
        elapsed += LAST_REST_SECONDS
        await _exchange(exchange, here.region, LIAR)
        await _exchange(other, here.region, HONEST)
    FAULTS.check()
    current = await replicated.find(here.region, TABLE)
    if current is None or current.replica.status != "ACTIVE" or set(current.replica.peers) != {LIAR, HONEST}:
        return  # A peer may have removed a replica, or created another one; it has just reported so.
    rows = await here.region.engine.range(*keys.aside_range(current.table.id), 10, 1 << 20)
    if rows:
        raise Finding(f"still put aside: {rows}")
    for name in (LATER, HONEST):
        answer = await here.do(OPERATIONS, "GetItem", {"TableName": TABLE, "Key": {"p": {"S": name}}})
        if "Item" not in answer:
            raise Finding(f"the item {name} has not come")


WORLD = World()


def attempt(data: bytes) -> None:
    """A peer that lies as long as the input lasts, and then stops."""
    WORLD.reset()
    LOOP.run_until_complete(_lie(WORLD, Choices(data)))


SEEDS = [
    b"",
    *(bytes((0, 1, *path, value)) for path in ((0,), (3, 2, 0), (3, 2, 3, 0, 3, 3, 0)) for value in range(len(VALUES))),
    *(
        bytes((0, 1, 3, 2, 3, 0, 3, member, 3, entry, 3, what, 0, value))
        for member in (2, 3)
        for entry in (0, 1)
        for what in range(5)
        for value in range(0, len(VALUES), 4)
    ),
    *(
        bytes((1, request, 1, 3, member, 0, value))
        for request in range(8)
        for member in range(5)
        for value in range(0, 80, 9)
    ),
]
