"""Disassociating a replica: it exchanges the earlier writes with the others, and becomes a table of its own.

Sources: "Disassociating a global table replica" in the developer guide, and the service model of 2026-11. They do not
define which writes made meanwhile reach the others; here none do.
"""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.errors import ResourceInUseException
from jedlik.dynamodb.model import keys
from jedlik.dynamodb.model.replicas import ACTIVE
from jedlik.dynamodb.replication import membership, pull_positions
from jedlik.dynamodb.replication.pull_positions import Copying, PullPosition
from testing.global_tables.world import DAY, A, B, C, Place, item
from testing.storage.memory import MemoryEngine
from tests.global_tables.test_membership import HOURS, IN_USE, Net, refused, run, statuses, there, update, work


async def disassociate(place: Place) -> dict[str, Any]:
    """Disassociate it, with the protection off. Returns the description in the answer."""
    await place.call("UpdateTable", DisassociationProtectionEnabled=False)
    action = {"RegionName": place.name, "DisassociationMode": "WAIT_FOR_REPLICATION"}
    answer = await place.call("UpdateTable", ReplicaUpdates=[{"Disassociate": action}])
    description: dict[str, Any] = answer["TableDescription"]
    return description


async def described(place: Place) -> dict[str, Any]:
    found: dict[str, Any] = (await place.call("DescribeTable"))["Table"]
    return found


async def make(net: Net, *names: str) -> list[Place]:
    """Replicas whose exchanges are complete."""
    await net.world.make_tables(*names)
    await net.world.replicate(*names)
    await net.settle()
    return [net.world[name] for name in names]


def test_earlier_writes_are_exchanged_and_the_table_stays() -> None:
    async def test(net: Net) -> None:
        here, other, third = await make(net, A, B, C)
        await here.put("a", x=1)
        await other.put("b", x=2)
        await third.put("c", x=3)
        answer = await disassociate(other)
        assert answer["TableStatus"] == "UPDATING"
        assert {r["RegionName"]: r["ReplicaStatus"] for r in answer["Replicas"]} == {A: ACTIVE, C: ACTIVE}
        await net.settle()
        for place in (here, other, third):
            assert (await place.items()).keys() == {"a", "b", "c"}
        assert await statuses(here) == await statuses(third) == {A: ACTIVE, C: ACTIVE}
        alone = await described(other)
        assert alone["TableStatus"] == ACTIVE
        assert not alone.keys() & {"Replicas", "GlobalTableVersion", "DisassociationProtectionEnabled"}
        assert alone["GlobalSecondaryIndexes"][0]["ItemCount"] == 3
        assert alone["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
        # From now on nothing is replicated in either direction.
        await other.put("b", x=4)
        await here.put("a", x=5)
        await net.settle()
        assert await other.items() == {"a": item("a", x=1), "b": item("b", x=4), "c": item("c", x=3)}
        for place in (here, third):
            assert await place.items() == {"a": item("a", x=5), "b": item("b", x=2), "c": item("c", x=3)}

    run(test, A, B, C)


def test_the_last_two_replicas_both_become_tables_of_their_own() -> None:
    async def test(net: Net) -> None:
        here, other = await make(net, A, B)
        await here.put("a")
        await disassociate(other)
        await net.settle()
        assert await statuses(here) == await statuses(other) == {}
        assert (await here.items()).keys() == (await other.items()).keys() == {"a"}
        for place in (here, other):
            table_id = (await place.table()).id
            while await work(place):
                pass
            assert not await pull_positions.of_table(place.region, table_id)
            assert not await place.region.engine.range(*keys.version_range(table_id), 1, 1000)

    run(test, A, B)


def test_the_replica_serves_all_the_while_and_does_not_replicate_new_writes() -> None:
    async def test(net: Net) -> None:
        here, other, third = await make(net, A, B, C)
        net.down = {C}
        await other.put("before")
        await disassociate(other)
        await other.put("after")
        await other.delete("before")
        await here.put("elsewhere")
        await net.settle()
        # C lacks some of the earlier writes, so it is waited for.
        assert (await described(other))["TableStatus"] == "UPDATING"
        [shown] = [r for r in (await described(here))["Replicas"] if r["RegionName"] == B]
        assert shown["ReplicaStatus"] == "UPDATING"
        assert (await here.items()).keys() == {"before", "elsewhere"}
        assert (await other.items()).keys() == {"after", "elsewhere"}
        net.down = set()
        await net.settle()
        assert "Replicas" not in await described(other)
        assert await here.items() == await third.items()
        assert (await third.items()).keys() == {"before", "elsewhere"}
        assert (await other.items()).keys() == {"after", "elsewhere"}

    run(test, A, B, C)


def test_it_waits_for_the_earlier_writes_of_others_and_for_no_more() -> None:
    async def test(net: Net) -> None:
        here, other = await make(net, A, B)
        for number in range(5):
            await here.put("a", x=number)
        await disassociate(other)
        await here.pull(B)
        await work(here)
        await work(other)
        # The end of A's log is known now: later writes are not waited for, and do not delay it.
        await here.put("later")
        for _ in range(3):
            await work(other)
            await work(here)
        assert (await described(other))["TableStatus"] == "UPDATING"
        await other.pull(A)
        await here.put("last")
        for _ in range(3):
            await work(other)
            await work(here)
        assert await statuses(here) == await statuses(other) == {}
        assert (await other.items())["a"] == item("a", x=4)
        assert "last" not in await other.items()

    run(test, A, B)


def test_it_continues_after_crashes_at_any_point() -> None:
    async def test(net: Net) -> None:
        here, other, third = await make(net, A, B, C)
        await here.put("a")
        await other.put("b")
        await disassociate(other)
        await other.put("own")

        async def crash() -> None:
            for place in net.world.places.values():
                place.exchanges.clear()
                place.region.engine = MemoryEngine(place.kept, place.region.clock)
                place.region.known.clear()

        for _ in range(12):
            for place in (here, other, third):
                place.elapsed += 1
                await work(place)
                await crash()
                for peer in {A, B, C} - {place.name}:
                    await place.pull(peer)
                    await crash()
        assert await statuses(here) == await statuses(third) == {A: ACTIVE, C: ACTIVE}
        assert "Replicas" not in await described(other)
        assert (await here.items()).keys() == (await third.items()).keys() == {"a", "b"}
        assert (await other.items()).keys() == {"a", "b", "own"}

    run(test, A, B, C)


def test_settings_of_its_own_stay() -> None:
    async def test(net: Net) -> None:
        here, other = await make(net, A, B)
        override = {"RegionName": B, "OnDemandThroughputOverride": {"MaxReadRequestUnits": 20}}
        await here.call("UpdateTable", ReplicaUpdates=[{"Update": override}])
        await net.settle()
        before = await described(other)
        await disassociate(other)
        await net.settle()
        after = await described(other)
        changed = {member for member in before.keys() | after.keys() if before.get(member) != after.get(member)}
        assert changed == {
            "DisassociationProtectionEnabled",
            "GlobalTableSettingsReplicationMode",
            "GlobalTableVersion",
            "Replicas",
        }
        assert after["OnDemandThroughput"]["MaxReadRequestUnits"] == 20

    run(test, A, B)


def test_two_that_disassociate_at_once_both_stay() -> None:
    async def test(net: Net) -> None:
        here, other = await make(net, A, B)
        await here.put("a")
        await other.put("b")
        net.down = {A, B}
        await disassociate(here)
        await disassociate(other)
        await net.settle()
        net.down = set()
        await net.settle()
        assert await statuses(here) == await statuses(other) == {}
        assert (await here.items()).keys() >= {"a", "b"}
        assert (await other.items()).keys() >= {"a", "b"}
        for place in (here, other):
            await place.put("c")

    run(test, A, B)


def test_a_region_absent_for_a_day_is_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    async def test(net: Net) -> None:
        here, other = await make(net, A, B)
        net.down = {A}
        await disassociate(other)
        other.now += DAY - HOURS
        assert (await work(other))[membership.DEPARTURE] > membership.WAITING_SECONDS
        assert (await described(other))["TableStatus"] == "UPDATING"
        other.now += HOURS
        await net.settle()
        assert "Replicas" not in await described(other)
        assert f"a replica goes unseen by {A}" in caplog.text
        net.down = set()
        await update(here, "Delete", B)
        await net.settle()
        assert await statuses(here) == {}
        assert await there(other)

    run(test, A, B)


def test_writes_after_the_log_was_read_are_not_replicated() -> None:
    """A pull that has looked at the table before it began to disassociate reads its log afterwards."""

    async def test(net: Net) -> None:
        _, other = await make(net, A, B)
        engine = other.region.engine
        find = engine.range
        reading: list[bool] = []

        async def late(*arguments: Any, **options: Any) -> Any:
            if not reading:
                reading.append(True)
                await other.put("before")
                await disassociate(other)
                await other.put("after")
            return await find(*arguments, **options)

        asked = {"TableName": "Music", "Position": 0, "SourceId": None, "GroupVersion": None}
        asked["GroupId"] = (await other.table()).descriptor.shared_group["GroupId"]
        engine.range = late  # type: ignore[method-assign]
        answer = await other.ask("Pull", Wait=0, Tables=[asked])
        assert reading
        [told] = answer["Tables"]
        assert [entry["Keys"]["p"]["S"] for entry in _plain(told["Entries"])] == ["before"]

    run(test, A, B)


def _plain(told: Any) -> Any:
    return orjson.loads(orjson.dumps(told))


def test_a_disassociating_replica_is_not_copied_from() -> None:
    async def test(net: Net) -> None:
        _, other = await make(net, A, B)
        group = (await other.table()).descriptor.shared_group["GroupId"]
        asking = {"TableName": "Music", "GroupId": group}
        source = (await other.ask("BeginCopy", **asking))["SourceId"]
        await disassociate(other)
        text = f"The replica of table Music in {B} is being disassociated"
        assert await refused(other.ask("BeginCopy", **asking), ResourceInUseException) == text
        page = other.ask("CopyPage", **asking, SourceId=source, Cursor=None)
        assert await refused(page, ResourceInUseException) == text

    run(test, A, B)


def test_requests_that_a_disassociating_replica_refuses() -> None:
    async def test(net: Net) -> None:
        here, other = await make(net, A, B)
        net.down = {A}
        await disassociate(other)
        for call in (
            other.call("DeleteTable"),
            other.call("UpdateTable", DeletionProtectionEnabled=True),
            other.call("UpdateTable", ReplicaUpdates=[{"Create": {"RegionName": C}}]),
            other.call("UpdateTimeToLive", TimeToLiveSpecification={"AttributeName": "x", "Enabled": True}),
        ):
            assert await refused(call, ResourceInUseException) == IN_USE
        net.down = set()
        await here.pull(B)
        assert await refused(update(here, "Delete", B), ResourceInUseException) == IN_USE
        here.now += 25 * HOURS  # It has been a source.
        assert await refused(disassociate(here), ResourceInUseException) == IN_USE

    run(test, A, B, C)


def test_a_replica_that_is_copied_again_cannot_be_disassociated() -> None:
    async def test(net: Net) -> None:
        here, _ = await make(net, A, B)
        table_id = (await here.table()).id
        again = PullPosition(B, copying=Copying(again=True, since=here.now))
        await here.change(lambda writes: writes.put(pull_positions.key(table_id, B), pull_positions.encode(again)))
        assert await refused(disassociate(here), ResourceInUseException) == IN_USE

    run(test, A, B)


def test_the_protection_is_on_by_default() -> None:
    async def test(net: Net) -> None:
        here, other = await make(net, A, B)
        assert (await described(other))["DisassociationProtectionEnabled"] is True
        action = {"Disassociate": {"RegionName": B, "DisassociationMode": "WAIT_FOR_REPLICATION"}}
        assert await refused(other.call("UpdateTable", ReplicaUpdates=[action]), ValidationException) == (
            f"Cannot disassociate table Music in region {B} because it has disassociation protection enabled. "
            "Disable disassociation protection first."
        )
        answer = await other.call("UpdateTable", DisassociationProtectionEnabled=False)
        assert answer["TableDescription"]["DisassociationProtectionEnabled"] is False
        await other.call("UpdateTable", DeletionProtectionEnabled=True)
        await net.settle()
        assert (await described(other))["DisassociationProtectionEnabled"] is False
        assert (await described(here))["DisassociationProtectionEnabled"] is True
        await other.call("UpdateTable", ReplicaUpdates=[action])
        await net.settle()
        assert (await described(other))["DeletionProtectionEnabled"] is True

    run(test, A, B)
