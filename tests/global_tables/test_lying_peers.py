"""A peer that lies: none of it is applied, its table pauses, everything else goes on, and honesty brings it back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from jedlik.aws import stored_items
from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.model import descriptors, keys, versions
from jedlik.dynamodb.model.limits import TABLES
from jedlik.dynamodb.replication import peer_answers, pull_positions
from jedlik.dynamodb.replication.aside import LAST_REST_SECONDS, Aside, WrongAnswer
from jedlik.regions.peers import Body, LocalPeers
from jedlik.upkeep.stats import TableStats, of_tables
from testing.global_tables.world import DEFINITION, START, TABLE, A, B, World, item, key
from testing.storage.memory import MemoryView

Lie = Callable[[Body], Body]
"""Turns an honest answer into a lie."""
Scenario = Callable[[World, "Liars"], Awaitable[None]]


class Liars:
    """The way to all regions: their answers to some operations are replaced by lies."""

    def __init__(self) -> None:
        self.local: LocalPeers | None = None
        self.lies: dict[str, Lie] = {}
        """By operation."""
        self.asked: list[str] = []

    async def call(self, region: str, operation: str, body: Body) -> Body:
        assert self.local is not None
        self.asked.append(operation)
        answer = await self.local.call(region, operation, body)
        return self.lies[operation](answer) if operation in self.lies else answer

    async def close(self) -> None:
        """It holds no connections."""


def lying(scenario: Scenario) -> Callable[[], None]:
    """A test in a world where A and B share a table, and answers can be made lies."""

    def test() -> None:
        async def in_world() -> None:
            liars = Liars()
            world = World(A, B, peers=lambda name: liars)
            liars.local = LocalPeers(world.serve)
            await world.make_tables(A, B)
            await world.replicate(A, B)
            await scenario(world, liars)

        asyncio.run(in_world())

    test.__doc__ = scenario.__doc__
    return test


def entries(change: Callable[[list[Any]], Any]) -> Lie:
    """Answers of Pull with other entries."""

    def lie(answer: Body) -> Body:
        for table in answer["Tables"]:
            if table.get("Entries"):
                change(table["Entries"])
        return answer

    return lie


def stats(world: World, name: str) -> TableStats:
    [found] = of_tables(MemoryView(world[name].kept))
    return found


async def again(world: World) -> None:
    """B pulls from A after the longest rest."""
    world[B].elapsed += LAST_REST_SECONDS
    await world[B].pull(A)


# What must wait


@lying
async def test_a_version_far_ahead_is_held_and_neither_applied_nor_skipped(world: World, liars: Liars) -> None:
    await world[A].put("before", x=1)
    world[A].now += versions.FURTHEST_AHEAD_SECONDS + 5
    await world[A].put("ahead", x=2)
    world[A].now = START
    await world[A].put("after", x=3)
    for _ in range(3):
        await again(world)
        assert await world[B].items() == {"before": item("before", x=1)}
    reason = "a version is ahead of the clock here by more than ten minutes"
    assert stats(world, B).asides == (Aside(A, reason, START),)
    world[A].now = world[B].now = START + 6
    await again(world)
    assert await world[B].items() == await world[A].items()
    assert stats(world, B).asides == ()
    # It may be overwritten: the later write wins.
    world[A].now = world[B].now = START + versions.FURTHEST_AHEAD_SECONDS
    await world[B].put("ahead", x=4)
    await world.settle()
    assert (await world[A].items())["ahead"] == item("ahead", x=4)


@lying
async def test_a_table_pauses_longer_each_time(world: World, liars: Liars) -> None:
    await world[A].put("one", x=1)
    liars.lies["Pull"] = entries(lambda told: told[0].update(Version="junk"))
    asked_at = []
    for second in range(200):
        world[B].elapsed = second
        before = len(liars.asked)
        await world[B].pull(A)
        asked_at += [second] * (len(liars.asked) - before)
    assert asked_at == [0, 1, 3, 7, 15, 31, 63, 123, 183]


def test_putting_a_table_aside_and_its_return_are_logged_once_each(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "jedlik")

    @lying
    async def test(world: World, liars: Liars) -> None:
        await world[A].put("one", x=1)
        liars.lies["Pull"] = entries(lambda told: told[0].update(Version="junk"))
        for _ in range(3):
            await again(world)
        world[B].exchange(A).forget()  # Another worker goes on.
        await again(world)
        del liars.lies["Pull"]
        await again(world)
        assert await world[B].items() == {"one": item("one", x=1)}

    test()
    logged: Any = [record for record in caplog.records if "aside" in record.getMessage()]
    assert [record.getMessage().partition(":")[0] for record in logged] == [
        "a table is put aside",
        "a table is put aside no more",
    ]
    assert {(record.region, record.peer, record.table) for record in logged} == {(B, A, "Music")}


# Lies about changes


def a_change(**members: Any) -> Lie:
    """The first change of an answer with other members; None removes one."""

    def change(told: list[Any]) -> None:
        told[0].update(members)
        for name in [name for name, value in members.items() if value is None]:
            del told[0][name]

    return entries(change)


def nested(levels: int) -> Any:
    value: Any = {"S": "x"}
    for _ in range(levels):
        value = {"L": [value]}
    return value


KEY = key("one")
LIES = {
    "a number that is none": a_change(Item=KEY | {"x": {"N": "abc"}}),
    "a number of many digits": a_change(Item=KEY | {"x": {"N": "1e" + "1" * 4300}}),
    "200 levels": a_change(Item=KEY | {"deep": nested(200)}),
    "an item of 3 MB": a_change(Item=KEY | {"large": {"S": "x" * 3_000_000}}),
    "an item of 400 KB and a byte": a_change(Item=KEY | {"large": {"S": "x" * (400 * 1024 - 10)}}),
    "a long key": a_change(Keys=KEY | {"p": {"S": "k" * 5000}}, Item=KEY | {"p": {"S": "k" * 5000}}),
    "another item's keys": a_change(Item=key("another")),
    "a key of another type": a_change(Keys=KEY | {"s": {"S": "0"}}, Item=KEY | {"s": {"S": "0"}}),
    "an empty key": a_change(Keys=KEY | {"p": {"S": ""}}, Item=KEY | {"p": {"S": ""}}),
    "half a key": a_change(Keys={"p": {"S": "one"}}),
    "an item without its key": a_change(Item={"p": {"S": "one"}}),
    "no keys": a_change(Keys=None),
    "a value of no type": a_change(Item=KEY | {"x": {"Q": "1"}}),
    "a value of two types": a_change(Item=KEY | {"x": {"N": "1", "S": "1"}}),
    "a binary that is none": a_change(Item=KEY | {"x": {"B": "!"}}),
    "a set with a value twice": a_change(Item=KEY | {"x": {"SS": ["a", "a"]}}),
    "an item that is none": a_change(Item="item"),
    "a version that is none": a_change(Version="junk"),
    "a short version": a_change(Version="00"),
    "the last version": a_change(Version=f"{(1 << 63) - 1:016x}{'0' * 16}"),
    "a version beyond the last": a_change(Version="f" * 32),
    "a time that is none": a_change(At="now"),
    "a negative time": a_change(At=-1),
    "a member that is none": a_change(More=1),
    "a negative position": a_change(Position=-1),
    "a position in words": a_change(Position="one"),
    "a position that is true": a_change(Position=True),
    "a position too large": a_change(Position=1 << 63),
    "a position behind the end": a_change(Position=1 << 62),
    "a change that is none": entries(lambda told: told.__setitem__(0, 5)),
    "changes in no order": entries(lambda told: told.reverse()),
    "a change twice": entries(lambda told: told.append(told[-1])),
}


def of_table(**members: Any) -> Lie:
    """Answers of Pull with other members for each table."""

    def lie(answer: Body) -> Body:
        answer["Tables"] = [table | members for table in answer["Tables"]]
        return answer

    return lie


LIES |= {
    "a negative position to go on from": of_table(Position=-5),
    "a position to go on from in words": of_table(Position="end"),
    "a position to go on from that goes back": of_table(Position=0),
    "no entries": of_table(Entries=None),
    "a source that is none": of_table(SourceId=5),
    "a document that is none": of_table(Group=5),
    "the document of another group": of_table(
        Group={"GroupId": "other", "Statuses": {}, "Overrides": {}, "Settings": {}}
    ),
    "an unknown table": of_table(TableName="Unknown"),
    "a table whose name is an object": of_table(TableName={"S": TABLE}),
    "a table whose name is a list": of_table(TableName=[TABLE]),
    "a table whose name is a number": of_table(TableName=5),
    "a table without a name": of_table(TableName=None),
    "no tables": lambda answer: answer | {"Tables": None},
    "a table twice": lambda answer: answer | {"Tables": answer["Tables"] * 2},
    "a clock that is none": lambda answer: answer | {"Now": "now"},
    "a list": lambda answer: [answer],  # type: ignore[dict-item,return-value]
    "nothing": lambda answer: {},
}


@pytest.mark.parametrize("what", LIES)
def test_a_lie_is_not_applied_and_honesty_brings_the_table_back(what: str) -> None:
    @lying
    async def test(world: World, liars: Liars) -> None:
        await world[A].put("zero", x=0)
        await world[B].pull(A)
        await world[A].put("one", x=1)
        await world[A].put("two", x=2)
        liars.lies["Pull"] = LIES[what]
        before = await world[B].checkpoint(A)
        for _ in range(3):
            await again(world)
        assert (await world[B].items()).keys() <= {"zero", "two"}
        assert await world[B].checkpoint(A) == before
        [aside] = stats(world, B).asides
        assert aside.region == A
        assert aside.reason
        # Meanwhile both go on by themselves.
        await world[B].put("own", x=3)
        await world[A].pull(B)
        del liars.lies["Pull"]
        await again(world)
        await world.settle()
        assert await world[B].items() == await world[A].items()
        assert (await world[B].items()).keys() == {"zero", "one", "two", "own"}
        assert stats(world, B).asides == ()

    test()


@lying
async def test_one_table_whose_peer_lies_does_not_hold_up_another(world: World, liars: Liars) -> None:
    for place in (world[A], world[B]):
        await place.do("CreateTable", **(DEFINITION | {"TableName": "Other"}))
        [raw] = await place.region.engine.get([keys.descriptor_key("Other")])
        assert raw is not None
        group = (await place.table()).descriptor.shared_group | {"GroupId": "other"}
        other = descriptors.serialize(replace(descriptors.parse(raw).descriptor, group=group))
        await place.change(lambda writes, raw=other: writes.put(keys.descriptor_key("Other"), raw))  # type: ignore[misc]
    await world[A].put("one", x=1)
    await world[A].do("PutItem", TableName="Other", Item=item("one", x=1))

    # The first lie concerns only one table; the second makes the answer about that table invalid as a whole.
    def about_it(answer: Body) -> Body:
        for table in answer["Tables"]:
            if table["TableName"] == TABLE and table.get("Entries"):
                table["Entries"][0]["Version"] = "junk"
        return answer

    def about_all(answer: Body) -> Body:
        return answer | ({"Full": 5} if any(table["TableName"] == TABLE for table in answer["Tables"]) else {})

    for number, lie in enumerate((about_it, about_all)):
        liars.lies["Pull"] = lie
        await world[A].do("PutItem", TableName="Other", Item=item(f"more-{number}", x=1))
        for _ in range(4):
            await again(world)
        found = plain(await world[B].do("Scan", TableName="Other"))
        assert {i["p"]["S"] for i in found["Items"]} == {"one", *(f"more-{n}" for n in range(number + 1))}
        assert await world[B].items() == {}
    del liars.lies["Pull"]
    await again(world)
    await world.settle()
    assert await world[B].items() == {"one": item("one", x=1)}


def plain(fragment: Any) -> Any:
    return stored_items.plain(fragment)


# Positions that are kept


@pytest.mark.parametrize("position", [-1, "end", 1 << 62, True, None])
def test_replication_recovers_from_a_stored_bad_position(position: Any, caplog: pytest.LogCaptureFixture) -> None:
    @lying
    async def test(world: World, liars: Liars) -> None:
        await world[A].put("one", x=1)
        await world[B].pull(A)
        table = await world[B].table()
        kept = await world[B].checkpoint(A)
        assert kept is not None
        bad = pull_positions.encode(kept.moved(position=position))
        await world[B].change(lambda writes: writes.put(pull_positions.key(table.id, A), bad))
        world[B].exchanges.clear()
        await world[A].put("two", x=2)
        for _ in range(8):
            await again(world)
        assert await world[B].items() == await world[A].items()
        healed = await world[B].checkpoint(A)
        assert healed is not None
        assert 0 < healed.position < 1000
        assert healed.copying is None

    test()


# Lies about copies


COPY_LIES: dict[str, tuple[str, Lie]] = {
    "a position": ("BeginCopy", lambda answer: answer | {"Position": -1}),
    "a source": ("BeginCopy", lambda answer: answer | {"SourceId": None}),
    "checkpoints": ("BeginCopy", lambda answer: answer | {"Checkpoints": {"x": 1}}),
    "changes": ("CopyPage", lambda answer: answer | {"Changes": 1}),
    "an item": (
        "CopyPage",
        lambda answer: answer | {"Changes": [c | {"Item": c["Item"] | {"x": {"N": "x"}}} for c in answer["Changes"]]},
    ),
    "a cursor": ("CopyPage", lambda answer: answer | {"Cursor": "zz"}),
    "a cursor to nowhere": ("CopyPage", lambda answer: answer | {"Cursor": "28"}),
}


@pytest.mark.parametrize("what", COPY_LIES)
def test_copying_from_a_lying_peer_continues_when_it_is_honest(what: str) -> None:
    async def test() -> None:
        liars = Liars()
        world = World(A, B, peers=lambda name: liars)
        liars.local = LocalPeers(world.serve)
        await world.make_tables(A, B)
        for number in range(5):
            await world[A].put(f"old-{number}", x=number)
        await world.replicate(A, joining={B: A})
        operation, lie = COPY_LIES[what]
        liars.lies[operation] = lie
        for _ in range(4):
            await again(world)
        assert (await world[B].table()).replica.status == "CREATING"  # type: ignore[union-attr]
        # The peer itself refuses a cursor that it did not give, and the copying starts again.
        assert len(stats(world, B).asides) == (what != "a cursor to nowhere")
        del liars.lies[operation]
        for _ in range(6):
            await again(world)
        assert await world[B].items() == await world[A].items()
        assert stats(world, B).asides == ()
        assert (await world[B].table()).replica.status == "ACTIVE"  # type: ignore[union-attr]

    asyncio.run(test())


def test_a_cursor_goes_on() -> None:
    for before, after in ((None, "28"), ("28", "2801"), ("28", None)):
        peer_answers.check_cursor(before, after)
    for after in ("28", "27ff"):
        with pytest.raises(WrongAnswer, match="CopyPage: the cursor goes back"):
            peer_answers.check_cursor("28", after)


# Documents


def register(value: Any, clock: int = int(START * 1000) << 16) -> dict[str, Any]:
    return {"Version": [clock + 5, A], "Value": value}


INDEX = {
    "KeySchema": [{"AttributeName": "y", "KeyType": "HASH"}],
    "Projection": {"ProjectionType": "ALL"},
    "AttributeDefinitions": [{"AttributeName": "y", "AttributeType": "S"}],
}
THROUGHPUT = {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0, "Warm": {}}
DOCUMENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "an unknown setting": ("Settings", {"Colour": register("red")}),
    "throughput that is none": ("Settings", {"Throughput": register("much")}),
    "throughput taken away": ("Settings", {"Throughput": register(None)}),
    "an index without throughput": ("Settings", {"Index/y": register(INDEX)}),
    "an index of nothing": (
        "Settings",
        {"Index/yyy": register(INDEX | {"KeySchema": []}), "IndexThroughput/yyy": register(THROUGHPUT)},
    ),
    "an index of what is not defined": (
        "Settings",
        {"Index/yyy": register(INDEX | {"AttributeDefinitions": []}), "IndexThroughput/yyy": register(THROUGHPUT)},
    ),
    "time to live of no attribute": ("Settings", {"TimeToLive": register(5)}),
    "a version without a region": ("Settings", {"TimeToLive": {"Version": [1], "Value": "t"}}),
    "a version in words": ("Settings", {"TimeToLive": {"Version": ["x", A], "Value": "t"}}),
    "the last version": ("Settings", {"TimeToLive": register("t", (1 << 63) - 10)}),
    "a version ten minutes ahead": ("Settings", {"TimeToLive": register("t", int((START + 700) * 1000) << 16)}),
    "an unknown override": ("Overrides", {f"{A}/Colour": register("red")}),
    "an override of no region": ("Overrides", {"/TableClassOverride": register("STANDARD")}),
    "a status that is none": (
        "Statuses",
        {A: {"Version": [1 << 60, A, 1, START], "Value": {"Status": "GONE", "Since": START}}},
    ),
    "a status that is dated ten minutes ahead": (
        "Statuses",
        {A: {"Version": [int(START * 1000) << 16, A, 1, START + 700], "Value": {"Status": "ACTIVE", "Since": START}}},
    ),
    "a status of another stage": (
        "Statuses",
        {A: {"Version": [5, A, 1, START], "Value": {"Status": "DELETED", "Since": START}}},
    ),
    "a replica here that is gone": (
        "Statuses",
        {B: {"Version": [int(START * 1000 + 5) << 16, A, 3, START], "Value": {"Status": "DELETED", "Since": START}}},
    ),
    "a replica made of itself": (
        "Statuses",
        {A: {"Version": [5, A, 0, START], "Value": {"Status": "CREATING", "Since": START, "Source": A}}},
    ),
}


@pytest.mark.parametrize("what", DOCUMENTS)
def test_an_invalid_document_is_not_merged(what: str) -> None:
    kind, wrong = DOCUMENTS[what]

    def lie(answer: Body) -> Body:
        for table in answer["Tables"]:
            if "Group" in table:
                table["Group"][kind] |= wrong
        return answer

    @lying
    async def test(world: World, liars: Liars) -> None:
        await world[A].put("one", x=1)
        before = (await world[B].table()).raw
        group = (await world[A].table()).descriptor.shared_group
        liars.lies["Pull"] = lie
        for _ in range(3):
            await again(world)
        assert (await world[B].table()).raw == before
        assert await world[B].items() == {}
        assert len(stats(world, B).asides) == 1
        leave = {"TableName": TABLE, "Group": group | {kind: group[kind] | wrong}, "Region": A, "Position": 0}
        with pytest.raises(ValidationException):
            await world[B].ask("Leave", **leave)
        assert (await world[B].table()).raw == before
        del liars.lies["Pull"]
        await again(world)
        assert await world[B].items() == {"one": item("one", x=1)}

    test()


# Requests


@lying
async def test_a_pull_of_too_many_tables_is_refused_and_one_of_many_yields_to_others(
    world: World, liars: Liars
) -> None:
    def asked(count: int) -> list[Any]:
        rest = {"GroupId": "g", "Position": 0, "SourceId": None, "GroupVersion": None}
        return [{"TableName": f"table-{number}"} | rest for number in range(count)]

    with pytest.raises(ValidationException, match=f"Tables is not a list of at most {TABLES} elements"):
        await world[A].ask("Pull", Wait=0, Tables=asked(100_000))
    with pytest.raises(ValidationException, match="Tables names a table twice"):
        await world[A].ask("Pull", Wait=0, Tables=asked(1) * 2)
    with pytest.raises(ValidationException, match="is not a string like"):
        await world[A].ask("Pull", Wait=0, Tables=[asked(1)[0] | {"TableName": "a/b/c"}])
    assert len((await world[A].ask("Pull", Wait=0, Tables=asked(TABLES)))["Tables"]) == TABLES
