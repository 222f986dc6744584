"""Exchanges between regions: changes are pulled and applied once, even if regions die or logs are trimmed in
between."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import orjson
import pytest

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.errors import ResourceInUseException, ResourceNotFoundException
from jedlik.dynamodb.model import keys, replicas, versions
from jedlik.dynamodb.replication import membership, pull_positions, replicated, serving
from jedlik.dynamodb.replication.pull_positions import Copying, PositionMoved, PullPosition
from jedlik.dynamodb.streams.shard_upkeep import StreamPolicy
from jedlik.process.services import SERVICES
from jedlik.regions.peers import PeerUnreachable
from jedlik.regions.region import Region
from jedlik.upkeep.check import StoreCheck
from testing.dynamodb import schemas
from testing.global_tables.world import DAY, START, TABLE, A, B, C, Place, World, item, key, run
from testing.storage.memory import MemoryEngine, MemoryView

Scenario = Callable[[World], Awaitable[None]]


def between(*names: str) -> Callable[[Scenario], Callable[[], None]]:
    """A test in a world where these regions share a table."""

    def decorated(scenario: Scenario) -> Callable[[], None]:
        def test() -> None:
            run(scenario, *names)

        test.__doc__ = scenario.__doc__
        return test

    return decorated


# Pulling


@between(A, B)
async def test_writes_appear_in_the_other_region_with_their_versions(world: World) -> None:
    await world[A].put("one", x=1)
    await world[A].put("two", x=2)
    await world[A].delete("two")
    await world[B].pull(A)
    assert await world[B].items() == {"one": item("one", x=1)}
    assert await world[B].records() == await world[A].records()


@between(A, B)
async def test_pulled_changes_are_not_sent_back(world: World) -> None:
    await world[A].put("one", x=1)
    await world[B].pull(A)
    before = world[A].kept.copy()
    await world[A].pull(B)
    changed = {name for name, value in world[A].kept.items() if before.get(name) != value}
    checkpoint = keys.checkpoint_key((await world[A].table()).id, versions.region_id(B))
    assert changed <= {checkpoint}


@between(A, B, C)
async def test_three_regions_that_write_the_same_items_converge(world: World) -> None:
    for number, name in enumerate((C, A, B)):
        world[name].now += number
        await world[name].put("both", x=number)
    await world[A].delete("both")
    await world.settle()
    for name in (A, B, C):
        # A's deletion had seen only A's own put; B's put is later.
        assert await world[name].items() == {"both": item("both", x=2)}


@between(A, B)
async def test_an_applied_change_keeps_the_index_and_shows_in_the_stream(world: World) -> None:
    await world[A].put("one", x=1)
    await world[B].pull(A)
    found = await world[B].call(
        "Query",
        IndexName="by-x",
        KeyConditionExpression="x = :x",
        ExpressionAttributeValues={":x": {"N": "1"}},
    )
    assert found["Count"] == 1


@between(A, B)
async def test_a_puller_that_starts_again_applies_nothing_twice(world: World) -> None:
    await world[A].put("one", x=1)
    await world[B].pull(A)
    before = world[B].kept.copy()
    world[B].exchanges.clear()
    await world[B].pull(A)
    assert world[B].kept == before


@between(A, B)
async def test_one_of_two_concurrent_pullers_finds_that_the_checkpoint_has_moved(world: World) -> None:
    await world[A].put("one", x=1)
    await world[B].pull(A)
    other = world[B].exchanges.pop((A, 0))
    await world[A].put("two", x=2)
    await world[B].pull(A)
    world[B].exchanges[A, 0] = other
    await world[A].put("three", x=3)
    with pytest.raises(PositionMoved):
        await world[B].pull(A)
    other.forget()
    await world[B].pull(A)
    assert set(await world[B].items()) == {"one", "two", "three"}


@between(A, B)
async def test_more_changes_than_one_answer_holds_come_in_several(world: World) -> None:
    wide = {"t": {"S": "x" * 100_000}}
    for number in range(30):
        await world[A].call("PutItem", Item=key(f"{number}") | wide)
    await world[B].pull(A)
    assert 0 < len(await world[B].items()) < 30
    await world.settle()
    assert len(await world[B].items()) == 30


@between(A, B)
async def test_changes_are_pulled_in_order_over_shards_that_split(world: World) -> None:
    for number in range(40):
        if number % 10 == 5:
            world[A].now += 10
            await world[A].maintain(StreamPolicy(rotation=5, partition_size=0 if number < 20 else 1 << 40))
        for name in "abcdef":
            await world[A].put(name, x=number)
        if number % 7 == 0:
            await world[B].pull(A)
    opened = (await world[A].table()).descriptor.log
    assert opened is not None
    assert len(opened.shards) == 4
    await world.settle()
    assert await world[B].items() == await world[A].items()


@between(A, B)
async def test_a_pull_waits_for_a_change(world: World) -> None:
    await world[B].pull(A)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serving, "LONGEST_WAIT", 60.0)
        pulling = asyncio.create_task(world[B].pull(A, wait=60.0))
        await asyncio.sleep(0.1)
        assert not pulling.done()
        await world[A].put("one", x=1)
        async with asyncio.timeout(30):
            await pulling
    assert set(await world[B].items()) == {"one"}


@between(A, B)
async def test_a_pull_ends_when_nothing_comes(world: World) -> None:
    await world[B].pull(A)
    clock = asyncio.get_running_loop().time
    begun = clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serving, "LONGEST_WAIT", 60.0)
        async with asyncio.timeout(30):
            await world[B].pull(A, wait=0.2)
    assert clock() - begun >= 0.2


@between(A, B)
async def test_a_table_that_the_peer_does_not_have_rests_for_a_second(world: World) -> None:
    await world[A].change(lambda writes: writes.delete(keys.descriptor_key(TABLE)))
    assert await world[B].pull(A)
    assert not await world[B].pull(A)
    world[B].elapsed += 1
    assert await world[B].pull(A)


@between(A, B)
async def test_a_group_document_comes_with_a_pull_once(world: World) -> None:
    group = replicas.created((await world[A].table()).descriptor.shared_group, C, A, A, START)
    await world.become(A, group)
    await world[B].pull(A)
    table = await world[B].table()
    assert table.replica is not None
    assert set(table.replica.peers) == {A, C}
    request = {"TableName": TABLE, "GroupId": "group", "Position": 0, "SourceId": None}
    for digest, told in ((None, True), (replicas.version(group), False)):
        answer = await world[A].ask("Pull", Wait=0, Tables=[request | {"GroupVersion": digest}])
        assert ("Group" in answer["Tables"][0]) == told


@between(A, B)
async def test_a_table_created_again_at_the_peer_is_pulled_from_its_beginning(world: World) -> None:
    for number in range(5):
        await world[A].put(f"{number}", x=number)
    await world[B].pull(A)
    group = (await world[A].table()).descriptor.shared_group
    world.places[A] = Place(A, world[B].region.peers)
    await world.make_tables(A)
    await world.become(A, group)
    await world[A].put("new", x=1)
    await world[B].pull(A)
    assert (await world[B].items())["new"] == item("new", x=1)


@between(A, B)
async def test_only_a_possible_position_is_requested(world: World) -> None:
    for request in (
        {"Wait": 0},
        {"Wait": 0, "Tables": [{"TableName": TABLE}]},
        {"Wait": "0", "Tables": []},
        {
            "Wait": 0,
            "Tables": [{"TableName": TABLE, "GroupId": "", "Position": -1, "SourceId": None, "GroupVersion": None}],
        },
    ):
        with pytest.raises(ValidationException):
            await world[A].ask("Pull", **request)


@between(A, B)
async def test_peers_get_the_fault_of_their_request(world: World) -> None:
    table_id = (await world[A].table()).descriptor.id
    asked = {"TableName": TABLE, "GroupId": "group", "SourceId": table_id}
    for keys_asked, text in (
        ([5], "Keys[0] is not an object of at most 2 members"),
        ([{"p": {"S": "a"}}], "The provided key element does not match the schema"),
        ([{"p": {"X": "a"}, "s": {"N": "0"}}], "Supplied AttributeValue is empty"),
        ([key("a")] * 1001, "Keys is not a list of at most 1000 elements"),
    ):
        with pytest.raises(ValidationException) as refusal:
            await world[A].ask("Missing", **asked, Keys=keys_asked)
        assert refusal.value.message.startswith(text)
    with pytest.raises(ValidationException, match="TableName is not a string of 3 to 255 characters"):
        await world[A].ask("BeginCopy", TableName="x" * 256, GroupId="group")


@between(A, B)
async def test_latency_is_measured_from_the_write_to_its_application(world: World) -> None:
    await world[A].put("one", x=1)
    world[B].now += 0.25
    await world[B].pull(A)
    assert world[B].exchange(A).latency.summary() == {"Last": 250.0, "P50": 250.0, "P99": 250.0}


def test_an_unknown_region_cannot_be_reached() -> None:
    async def scenario() -> None:
        region = Region(A, "000000000000", MemoryEngine(), lambda: START, b"s" * 32)
        with pytest.raises(PeerUnreachable, match="eu-west-1: no such region is known here"):
            await region.peers.call(B, "Pull", {})

    asyncio.run(scenario())


# Copying


def joining(scenario: Scenario) -> Callable[[], None]:
    """A test in a world where A has a table with items from before the replication, and B is to copy it."""

    def test() -> None:
        async def in_world() -> None:
            world = World(A, B, C)
            await world.make_tables(A, B)
            for number in range(10):
                await world[A].put(f"old-{number}", x=number)
            await world.replicate(A, joining={B: A})
            await scenario(world)

        asyncio.run(in_world())

    return test


async def copy_all(world: World, name: str = B, source: str = A) -> None:
    for _ in range(50):
        await world[name].pull(source)
        checkpoint = await world[name].checkpoint(source)
        if checkpoint is not None and checkpoint.copying is None:
            return
    raise AssertionError("the copying does not end")


async def status(world: World, name: str) -> str:
    replica = (await world[name].table()).replica
    assert replica is not None
    return replica.status


@joining
async def test_a_new_replica_copies_all_items_and_becomes_active(world: World) -> None:
    assert await status(world, B) == "CREATING"
    await copy_all(world)
    assert await world[B].items() == await world[A].items()
    assert await status(world, B) == "ACTIVE"
    await world[A].pull(B)
    assert replicas.status((await world[A].table()).descriptor.shared_group, B)["Status"] == "ACTIVE"


@joining
async def test_items_from_before_the_replication_stay_without_a_version(world: World) -> None:
    await copy_all(world)
    assert await world[A].record("old-1") is None
    assert await world[B].record("old-1") is None


@joining
async def test_writes_during_the_copying_are_replicated_as_well(world: World) -> None:
    await world[A].delete("old-1")
    await world[B].pull(A)
    await world[A].put("old-2", x=100)
    await world[A].put("new", x=1)
    await world[A].delete("old-3")
    await copy_all(world)
    await world.settle()
    assert await world[B].items() == await world[A].items()
    assert await world[B].records() == await world[A].records()


@joining
async def test_an_interrupted_copying_continues_where_it_was(world: World) -> None:
    serving_page = serving.PAGE_ITEMS
    serving.PAGE_ITEMS = 3
    try:
        for _ in range(3):
            await world[B].pull(A)
            world[B].exchanges.clear()
        checkpoint = await world[B].checkpoint(A)
        assert checkpoint is not None
        assert checkpoint.copying is not None
        assert checkpoint.copying.cursor is not None
        assert 3 <= len(await world[B].items()) < 10
        await copy_all(world)
    finally:
        serving.PAGE_ITEMS = serving_page
    assert await world[B].items() == await world[A].items()


@joining
async def test_copying_starts_again_when_the_source_was_created_again(world: World) -> None:
    await world[B].pull(A)
    group = (await world[A].table()).descriptor.shared_group
    world.places[A] = Place(A, world[B].region.peers)
    await world.make_tables(A)
    await world.become(A, group)
    await world[A].put("new", x=1)
    await copy_all(world)
    assert (await world[B].items())["new"] == item("new", x=1)
    assert await status(world, B) == "ACTIVE"


@joining
async def test_copying_continues_when_the_settings_change(world: World) -> None:
    found = await replicated.all_of(world[B].region)
    exchange = world[B].exchange(A)
    assert await exchange.round(found, 0)
    await world.put_descriptor(B, replace((await world[B].table()).descriptor, protected=True))
    # The puller's description of the table is older than that.
    for _ in range(3):
        assert await exchange.round(found, 0)
    assert await status(world, B) == "ACTIVE"
    assert (await world[B].table()).descriptor.protected


@joining
async def test_tombstones_are_copied_so_that_no_older_write_comes_back(world: World) -> None:
    await world.make_tables(C)
    await world.replicate(A, C, joining={B: A})
    world[A].now += 10
    # C's write is older than A's deletion, and arrives at B only after B has copied from A.
    await world[C].put("ghost", x=1)
    await world[A].delete("ghost")
    await copy_all(world)
    await world[B].pull(C)
    await world.settle()
    for name in (A, B, C):
        assert "ghost" not in await world[name].items()


@joining
async def test_changes_of_third_regions_are_pulled_from_where_the_source_was(world: World) -> None:
    await world.make_tables(C)
    await world.replicate(A, C, joining={B: A})
    await world[C].put("seen", x=1)
    await world[A].pull(C)
    await world[C].put("unseen", x=1)
    # Before the copying begins, the position to pull from is unknown.
    assert not await world[B].pull(C)
    await copy_all(world)
    checkpoint = await world[B].checkpoint(C)
    assert checkpoint == await world[A].checkpoint(C)
    await world[B].pull(C)
    assert {"seen", "unseen"} <= set(await world[B].items())


@joining
async def test_a_replica_that_is_incomplete_is_not_copied_from(world: World) -> None:
    with pytest.raises(ResourceInUseException) as refusal:
        await world[B].ask("BeginCopy", TableName=TABLE, GroupId="group")
    assert refusal.value.message == "The replica of table Music in eu-west-1 is incomplete itself"


@joining
async def test_copying_rests_when_the_source_is_not_ready(world: World) -> None:
    copied_again = pull_positions.encode(PullPosition(B, copying=Copying(again=True)))
    key = pull_positions.key((await world[A].table()).id, B)
    await world[A].change(lambda writes: writes.put(key, copied_again))
    assert not await world[B].pull(A)
    assert await world[B].checkpoint(A) is None


@between(A, B)
async def test_only_the_intended_replica_is_copied(world: World) -> None:
    table_id = (await world[A].table()).descriptor.id
    asked = {"TableName": TABLE, "GroupId": "group", "SourceId": table_id, "Cursor": None}
    assert (await world[A].ask("CopyPage", **asked))["Changes"] == []
    for other in ({"SourceId": "another"}, {"GroupId": "another"}, {"TableName": "another"}):
        with pytest.raises(ResourceNotFoundException):
            await world[A].ask("CopyPage", **asked | other)
    for cursor in ("nothing", "28", "ff"):
        with pytest.raises(ValidationException, match="Cursor"):
            await world[A].ask("CopyPage", **asked | {"Cursor": cursor})


# After too long


async def be_apart(world: World, seconds: float) -> None:
    """Let time pass without an exchange; streams are trimmed."""
    for place in world.places.values():
        place.now += seconds
        place.elapsed += seconds
        await place.maintain()


@between(A, B)
async def test_after_almost_a_day_everything_is_still_pulled(world: World) -> None:
    await world[A].put("one", x=1)
    await be_apart(world, DAY - 60)
    await world.settle()
    assert set(await world[B].items()) == {"one"}


@between(A, B)
async def test_a_region_that_was_away_for_too_long_copies_again(world: World) -> None:
    for name in ("stays", "is deleted there", "is deleted here", "changes there", "changes here"):
        await world[A].put(name, x=1)
    await world.settle()
    await be_apart(world, 3600)
    await world.settle()
    await world[A].delete("is deleted there")
    await world[A].put("changes there", x=2)
    await world[A].put("is new there", x=2)
    await world[B].delete("is deleted here")
    await world[B].put("changes here", x=3)
    await world[B].put("is new here", x=3)
    await be_apart(world, 3 * DAY)
    assert await world[A].record("is deleted there") is None, "its tombstone is to be trimmed"
    await world.settle()
    expected = {
        "stays": item("stays", x=1),
        "changes there": item("changes there", x=2),
        "is new there": item("is new there", x=2),
        "changes here": item("changes here", x=3),
        "is new here": item("is new here", x=3),
    }
    assert await world[A].items() == expected
    assert await world[B].items() == expected


@between(A, B)
async def test_a_copy_of_a_table_whose_whole_log_was_trimmed_can_be_pulled_from(world: World) -> None:
    await world[A].put("one", x=1)
    world[A].now += 3 * DAY
    await world[A].maintain(StreamPolicy(rotation=10 * DAY))
    begun = await world[A].ask("BeginCopy", TableName=TABLE, GroupId="group")
    asked = {"TableName": TABLE, "GroupId": "group", "SourceId": begun["SourceId"], "Position": begun["Position"]}
    group = (await world[A].table()).descriptor.shared_group
    told = await world[A].ask("Pull", Wait=0, Tables=[asked | {"GroupVersion": replicas.version(group)}])
    assert told["Tables"] == [
        {"TableName": TABLE, "SourceId": begun["SourceId"], "Entries": [], "Position": begun["Position"], "More": False}
    ]


@between(A, B)
async def test_items_that_the_peer_may_not_have_seen_are_never_treated_as_deleted(world: World) -> None:
    """B goes on pulling from A, while A cannot reach B: it has never seen B's writes."""
    await world.settle()
    await be_apart(world, 3600)
    await world[B].put("unseen", x=1)
    for _ in range(3):
        await be_apart(world, DAY)
        await world[A].put("seen", x=1)
        await world[B].pull(A)
    # Now B is away for too long as well, and has to copy A's items again: everything but its own.
    await be_apart(world, 2 * DAY)
    await world[A].put("more", x=1)
    await be_apart(world, 2 * DAY)
    await world.settle()
    assert set(await world[A].items()) == set(await world[B].items()) == {"unseen", "seen", "more"}


@between(A, B, C)
async def test_a_restored_item_is_deleted_again_if_any_region_remembers_its_deletion(world: World) -> None:
    await world[B].put("ghost", x=1)
    await world.settle()
    # B is cut off. A deletes, and C receives the deletion only half a day later, so that it remembers it for longer.
    await world[B].put("other", x=1)
    await world[A].delete("ghost")
    await be_apart(world, DAY / 2)
    await world[C].pull(A)
    await be_apart(world, DAY * 3 / 4)
    assert await world[A].record("ghost") is None
    assert await world[C].record("ghost") is not None
    # The write came so shortly before A last heard of B that A cannot be certain to have seen it.
    await copy_all(world, A, B)
    assert set(await world[A].items()) == {"ghost", "other"}
    await world.settle()
    for place in world.places.values():
        assert set(await place.items()) == {"other"}


@between(A, B, C)
async def test_a_rediscovered_deletion_reaches_all_regions_that_have_the_item_by_then(world: World) -> None:
    world[A].now -= 10
    await world[A].put("ghost", x=1)
    await world[C].put("ghost", x=2)
    await world[B].pull(C)
    await world[C].delete("ghost")
    for _ in range(3):
        await be_apart(world, DAY)
        await world[A].put("other", x=1)
        await world[B].pull(A)
        await world[A].pull(B)
    assert await world[C].record("ghost") is None, "its tombstone is to be trimmed"
    # C cannot know whether it has seen A's write. So A sends it again, and B answers with C's deletion.
    await copy_all(world, A, C)
    await world[B].pull(A)
    await copy_all(world, B, C)
    await world[A].pull(B)
    await world.settle()
    for place in world.places.values():
        assert set(await place.items()) == {"other"}
    assert await world[A].records() == await world[B].records() == await world[C].records()


@between(A, B)
async def test_a_region_that_copies_again_replicates_the_deletions_that_it_discovers(world: World) -> None:
    await world[B].put("ghost", x=1)
    await world.settle()
    deleted_version = versions.of_record(await world[B].record("ghost"))
    await world[B].delete("ghost")
    await be_apart(world, 3 * DAY)
    await world[A].put("other", x=1)
    await be_apart(world, 3 * DAY)
    await copy_all(world, B, A)
    record = await world[B].record("ghost")
    assert record is not None
    assert record == versions.tombstone(versions.deletion(deleted_version), orjson.dumps(key("ghost")))
    # It is pulled like any change, also by a region that does not copy again.
    begun = await world[B].ask("BeginCopy", TableName=TABLE, GroupId="group")
    asked = {"TableName": TABLE, "GroupId": "group", "SourceId": begun["SourceId"], "Position": begun["Position"] - 4}
    told = await world[B].ask("Pull", Wait=0, Tables=[asked | {"GroupVersion": None}])
    assert record[: versions.SIZE].hex() in [entry["Version"] for entry in told["Tables"][0]["Entries"]]


@between(A, B)
async def test_an_unseen_write_wins_over_a_rediscovered_deletion(world: World) -> None:
    await world[B].put("one", x=1)
    await world.settle()
    await be_apart(world, 3600)
    await world.settle()
    await world[B].delete("one")
    await world[A].put("one", x=2)
    await be_apart(world, 3 * DAY)
    await world.settle()
    assert await world[A].items() == await world[B].items() == {"one": item("one", x=2)}


@between(A, B, C)
async def test_an_item_not_copied_yet_is_not_treated_as_deleted_when_another_has_it(world: World) -> None:
    await be_apart(world, 3 * DAY)
    for name in ("new", "newer"):
        await world[A].put(name, x=1)
        await world[C].pull(A)
        await be_apart(world, 3600)
    await world[C].put("other", x=1)
    await be_apart(world, 2 * DAY)
    await world[B].pull(A)
    checkpoint = await world[B].checkpoint(A)
    assert checkpoint is not None
    assert checkpoint.copying is not None
    assert checkpoint.covered < checkpoint.copying.covered
    await copy_all(world, B, C)
    assert set(await world[B].items()) == {"new", "newer", "other"}
    await copy_all(world, B, A)
    checkpoint = await world[B].checkpoint(A)
    assert checkpoint is not None
    assert checkpoint.covered == world[A].now
    await world.settle()
    for place in world.places.values():
        assert set(await place.items()) == {"new", "newer", "other"}


@joining
async def test_a_replica_that_is_being_created_copies_from_no_region_again(world: World) -> None:
    """It would treat items that it has not received yet as deleted."""
    await world.make_tables(C)
    await world.replicate(A, C, joining={B: A})
    await world[C].put("seen", x=1)
    await be_apart(world, 3600)
    await world[A].pull(C)
    await world[B].pull(A)
    await world[C].put("other", x=1)
    await be_apart(world, 2 * DAY)
    await world[C].put("another", x=1)
    await world[B].pull(C)
    checkpoint = await world[B].checkpoint(C)
    assert checkpoint is not None
    assert checkpoint.copying is None
    await copy_all(world)
    await world.settle()
    for place in world.places.values():
        assert {"seen", "other", "another"} <= set(await place.items())


@between(A, B)
async def test_a_tombstone_is_trimmed_with_the_entry_of_the_deletion_and_not_before(world: World) -> None:
    await world[A].put("one", x=1)
    await world[A].delete("one")
    await world.settle()
    await be_apart(world, DAY + 1800)
    assert await world[A].record("one") is not None
    await be_apart(world, 3600)
    assert await world[A].record("one") is None
    assert await world[B].record("one") is None


@between(A, B)
async def test_an_overwritten_tombstone_is_left_alone(world: World) -> None:
    await world[A].put("one", x=1)
    await world[A].delete("one")
    await be_apart(world, DAY)
    await world[A].put("one", x=2)
    await be_apart(world, 2 * 3600)
    record = await world[A].record("one")
    assert record is not None
    assert not versions.is_tombstone(record)


@between(A, B)
async def test_a_shard_is_trimmed_with_its_last_entry_even_if_the_clock_has_gone_back(world: World) -> None:
    world[A].now = START + 5
    await world[A].put("later", x=1)
    world[A].now = START + 1
    await world[A].maintain(StreamPolicy(rotation=0.5))
    log = keys.log_prefix((await world[A].table()).id)
    first = min(entry for entry in world[A].kept if entry.startswith(log))
    for horizon, left in ((START + 3, True), (START + 6, False)):
        world[A].now = horizon + DAY + 3600
        await world[A].maintain(StreamPolicy(rotation=10 * DAY))
        assert list(StoreCheck(MemoryView(world[A].kept), SERVICES).problems()) == []
        assert (first in world[A].kept) == left


def test_a_document_shows_when_a_copied_replica_is_active() -> None:
    group = replicas.created(replicas.make("group", A, {}, START), B, A, A, START)
    descriptor = replace(
        schemas.table().descriptor, arn=f"arn:aws:dynamodb:{B}:000000000000:table/{TABLE}", group=group
    )
    before = orjson.dumps(group)
    activated = membership.activated(descriptor, START + 1)
    assert replicas.status(activated.shared_group, B)["Status"] == "ACTIVE"
    assert orjson.dumps(descriptor.group) == before
