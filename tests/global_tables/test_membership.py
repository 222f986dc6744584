"""Joining and leaving: replicas become what the group document demands, whichever region is down meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from jedlik.aws.errors import ServiceError, ValidationException
from jedlik.background import job_records
from jedlik.background.job_records import JobMoved, JobWaits
from jedlik.dynamodb.errors import ResourceInUseException, ResourceNotFoundException
from jedlik.dynamodb.model import descriptors, keys, replicas
from jedlik.dynamodb.model.limits import MIB
from jedlik.dynamodb.model.replicas import ACTIVE, CREATING, DELETING
from jedlik.dynamodb.replication import membership, pull_positions
from jedlik.dynamodb.replication.pull_positions import Copying, PullPosition
from jedlik.regions.peers import Body, LocalPeers, Peers, PeerUnreachable
from testing import jobs
from testing.global_tables.world import DAY, A, B, C, Place, World, item, key

HOURS = 60 * 60.0
IN_USE = "The resource which you are attempting to change is in use."


class Net:
    """A world whose regions can be cut off from all others."""

    def __init__(self, *names: str) -> None:
        self.down: set[str] = set()
        self.world = World(*names, peers=self.peers)

    def peers(self, name: str) -> Peers:
        net, local = self, LocalPeers(lambda *call: self.world.serve(*call))

        class Reachable:
            async def call(self, region: str, operation: str, body: Body) -> Body:
                if net.down & {name, region}:
                    raise PeerUnreachable(f"{region}: down")
                return await local.call(region, operation, body)

            async def close(self) -> None:
                """It holds no connections."""

        return Reachable()

    async def settle(self) -> None:
        """Let a while pass in which jobs are done and regions pull."""
        for _ in range(8):
            for place in self.world.places.values():
                place.elapsed += 1
                await work(place)
                for peer in self.world.places:
                    if peer != place.name and not self.down & {peer, place.name}:
                        await place.pull(peer)


def run(test: Callable[[Net], Coroutine[Any, Any, None]], *names: str) -> None:
    asyncio.run(test(Net(*names)))


async def work(place: Place) -> dict[str, float]:
    """Do a step of each job of a region. Returns how long the jobs that cannot go on pause, by kind."""
    rests = {}
    for row in await place.region.engine.range(*job_records.job_range(), 100, MIB):
        job = job_records.parse(row)
        try:
            await jobs.step(place.region, job)
        except JobMoved:
            continue
        except JobWaits as waiting:
            rests[job.kind] = waiting.seconds
    return rests


async def statuses(place: Place) -> dict[str, str]:
    """The states of all replicas, as a region's group document has them."""
    group = (await place.table()).descriptor.group
    return {} if group is None else {r: replicas.status(group, r)["Status"] for r in replicas.regions(group)}


async def there(place: Place) -> bool:
    """Whether a region has the table."""
    [raw] = await place.region.engine.get([keys.descriptor_key("Music")])
    return raw is not None


async def update(place: Place, kind: str, region: str) -> None:
    await place.call("UpdateTable", ReplicaUpdates=[{kind: {"RegionName": region}}])


async def refused(call: Awaitable[Any], error: type[ServiceError]) -> str:
    with pytest.raises(error) as raised:
        await call
    return raised.value.message


# Joining


def test_a_region_that_is_down_joins_when_it_is_back() -> None:
    async def test(net: Net) -> None:
        here, other = net.world[A], net.world[B]
        await net.world.make_tables(A)
        await here.put("a")
        await update(here, "Create", B)
        net.down = {B}
        assert await work(here) == {membership.REPLICA: membership.UNREACHABLE_SECONDS}
        await net.settle()
        assert await statuses(here) == {A: ACTIVE, B: CREATING}
        assert not await there(other)
        net.down = set()
        await net.settle()
        assert await statuses(here) == await statuses(other) == {A: ACTIVE, B: ACTIVE}
        assert await other.items() == {"a": item("a")}

    run(test, A, B)


def test_a_new_replica_in_a_region_that_is_down_is_refused() -> None:
    async def test(net: Net) -> None:
        await net.world.make_tables(A)
        net.down = {B}
        call = net.world[A].call("UpdateTable", ReplicaUpdates=[{"Create": {"RegionName": B}}])
        assert await refused(call, ValidationException) == f"Failed to access the region: ‘{B}’. {B}: down"
        assert await statuses(net.world[A]) == {}

    run(test, A, B)


def test_a_replica_that_is_being_created_can_only_be_described() -> None:
    async def test(net: Net) -> None:
        here, other = net.world[A], net.world[B]
        await net.world.make_tables(A)
        await update(here, "Create", B)
        await work(here)
        described = (await other.call("DescribeTable"))["Table"]
        assert described["TableStatus"] == CREATING
        assert [(r["RegionName"], r["ReplicaStatus"]) for r in described["Replicas"]] == [(A, ACTIVE)]
        reads_and_writes: tuple[tuple[str, dict[str, Any]], ...] = (
            ("GetItem", {"Key": key("a")}),
            ("PutItem", {"Item": item("a")}),
            ("Scan", {}),
            ("DescribeTimeToLive", {}),
        )
        for operation, request in reads_and_writes:
            text = await refused(other.call(operation, **request), ResourceNotFoundException)
            assert text == "Requested resource not found"
        protection = other.call("UpdateTable", DeletionProtectionEnabled=True)
        not_found = "Requested resource not found: Table: Music not found"
        assert await refused(protection, ResourceNotFoundException) == not_found
        arn = f"arn:aws:dynamodb:{B}:000000000000:table/Music"
        tagging: tuple[tuple[str, dict[str, Any]], ...] = (
            ("TagResource", {"Tags": [{"Key": "k", "Value": "v"}]}),
            ("ListTagsOfResource", {}),
        )
        for operation, request in tagging:
            text = await refused(other.do(operation, ResourceArn=arn, **request), ResourceNotFoundException)
            assert text == f"Requested resource not found: ResourceArn: {arn} not found"
        assert await refused(other.call("DeleteTable"), ResourceInUseException) == (
            "Attempt to change a resource which is still in use: Table: Music is being used."
        )
        replica = other.call("UpdateTable", ReplicaUpdates=[{"Delete": {"RegionName": A}}])
        assert await refused(replica, ValidationException) == (
            "Create/Update/Delete of replica is not allowed while the replica is being added to table with name: Music "
            f"in region {B}"
        )

    run(test, A, B)


def test_nothing_else_is_changed_while_a_replica_is_being_created() -> None:
    async def test(net: Net) -> None:
        here = net.world[A]
        await net.world.make_tables(A)
        await update(here, "Create", B)
        assert (await here.call("DescribeTable"))["Table"]["TableStatus"] == "UPDATING"
        for changes in (
            {"ReplicaUpdates": [{"Create": {"RegionName": C}}]},
            {"ReplicaUpdates": [{"Create": {"RegionName": B}}]},
            {"DeletionProtectionEnabled": True},
        ):
            assert await refused(here.call("UpdateTable", **changes), ResourceInUseException) == IN_USE
        assert (await refused(here.call("DeleteTable"), ValidationException)).startswith("Replica cannot be deleted")
        await here.put("a")

    run(test, A, B, C)


def test_no_replica_is_created_where_another_table_exists_by_now() -> None:
    async def test(net: Net) -> None:
        here, other = net.world[A], net.world[B]
        await net.world.make_tables(A)
        await update(here, "Create", B)
        await net.world.make_tables(B)
        await other.put("theirs")
        await net.settle()
        assert await statuses(here) == await statuses(other) == {}
        assert await other.items() == {"theirs": item("theirs")}

    run(test, A, B)


def test_two_regions_that_create_a_replica_at_once_create_one() -> None:
    async def test(net: Net) -> None:
        here, other, third = (net.world[name] for name in (A, B, C))
        await net.world.make_tables(A, B)
        await net.world.replicate(A, B)
        await here.put("a")
        await net.settle()
        await update(here, "Create", C)
        other.now += 1
        await update(other, "Create", C)
        net.down = {B}
        await net.settle()
        assert await statuses(third) == {A: ACTIVE, B: ACTIVE, C: ACTIVE}
        net.down = set()
        await third.pull(B)
        assert await statuses(third) == {A: ACTIVE, B: ACTIVE, C: ACTIVE}
        await net.settle()
        for place in (here, other, third):
            assert await statuses(place) == {A: ACTIVE, B: ACTIVE, C: ACTIVE}
        assert await third.items() == {"a": item("a")}

    run(test, A, B, C)


def test_a_replica_that_joins_after_its_removal_is_deleted_again() -> None:
    async def test(net: Net) -> None:
        here, other = net.world[A], net.world[B]
        await net.world.make_tables(A)
        await update(here, "Create", B)
        descriptor = (await here.table()).descriptor
        await update(here, "Delete", B)
        await net.settle()
        assert await statuses(here) == {}
        document = descriptors.document(descriptor)
        late = {member: document[member] for member in ("TableName", "KeySchema", "AttributeDefinitions")}
        await other.ask("Join", **late, LocalSecondaryIndexes=[], Group=descriptor.group)
        assert await there(other)
        await net.settle()
        assert not await there(other)

    run(test, A, B)


def test_a_replica_that_is_copied_again_is_shown_as_such() -> None:
    async def test(net: Net) -> None:
        here = net.world[A]
        await net.world.make_tables(A, B)
        await net.world.replicate(A, B)
        table_id = (await here.table()).id
        again = PullPosition(B, copying=Copying(again=True, since=here.now))
        await here.change(lambda writes: writes.put(pull_positions.key(table_id, B), pull_positions.encode(again)))
        [shown] = (await here.call("DescribeTable"))["Table"]["Replicas"]
        assert shown["ReplicaStatus"] == "UPDATING"
        assert shown["ReplicaInaccessibleDateTime"] == here.now
        assert shown["ReplicaStatusDescription"] == (
            f"{A} was away from {B} for longer than changes are kept, and is copying what there is"
        )
        [other] = (await net.world[B].call("DescribeTable"))["Table"]["Replicas"]
        assert other["ReplicaStatus"] == ACTIVE

    run(test, A, B)


# Leaving


def test_a_deleted_replica_waits_until_the_others_have_its_changes() -> None:
    async def test(net: Net) -> None:
        here, other, third = (net.world[name] for name in (A, B, C))
        await net.world.make_tables(A, B, C)
        await net.world.replicate(A, B, C)
        await net.settle()
        net.down = {C}
        await other.put("last")
        await other.call("DeleteTable")
        assert await refused(other.put("later"), ResourceNotFoundException) == "Requested resource not found"
        await net.settle()
        assert (await here.items()).keys() == {"last"}
        assert await statuses(here) == {A: ACTIVE, B: DELETING, C: ACTIVE}
        assert await there(other)
        net.down = set()
        await net.settle()
        assert not await there(other)
        assert await here.items() == await third.items() == {"last": item("last")}
        assert await statuses(here) == await statuses(third) == {A: ACTIVE, C: ACTIVE}

    run(test, A, B, C)


def test_a_replica_has_left_for_the_regions_that_have_all_its_changes() -> None:
    async def test(net: Net) -> None:
        other = net.world[B]
        await net.world.make_tables(A, B)
        await net.world.replicate(A, B)
        await other.put("last")
        await other.call("DeleteTable")
        group = (await other.table()).descriptor.shared_group
        leave = {"TableName": "Music", "Group": group, "Region": A}
        assert await other.ask("Leave", **leave, Position=0) == {"Gone": False}
        assert await work(other) == {membership.DEPARTURE: membership.WAITING_SECONDS}
        told = await other.ask("Pull", Wait=0, Tables=[_asking(group["GroupId"])])
        position = told["Tables"][0]["Position"]
        assert await other.ask("Leave", **leave, Position=position) == {"Gone": False}
        assert await work(other) == {}
        assert not await there(other)
        assert await other.ask("Leave", **leave, Position=position) == {"Gone": True}

    run(test, A, B)


def _asking(group_id: str) -> dict[str, Any]:
    return {"TableName": "Music", "GroupId": group_id, "Position": 0, "SourceId": None, "GroupVersion": None}


def test_a_replica_does_not_wait_for_longer_than_its_changes_are_kept(caplog: pytest.LogCaptureFixture) -> None:
    async def test(net: Net) -> None:
        here, other = net.world[A], net.world[B]
        await net.world.make_tables(A, B)
        await net.world.replicate(A, B)
        await net.settle()
        net.down = {A}
        await other.put("lost")
        await other.call("DeleteTable")
        other.now += DAY - HOURS
        await net.settle()
        assert await there(other)
        other.now += HOURS
        await net.settle()
        assert not await there(other)
        assert f"a replica goes unseen by {A}" in caplog.text
        net.down = set()
        await update(here, "Delete", B)
        await net.settle()
        assert await statuses(here) == {}

    run(test, A, B)


def test_the_last_known_protection_of_a_region_that_is_down_counts() -> None:
    async def test(net: Net) -> None:
        here, other = net.world[A], net.world[B]
        await net.world.make_tables(A, B)
        await net.world.replicate(A, B)
        await other.call("UpdateTable", DeletionProtectionEnabled=True)
        await net.settle()
        net.down = {B}
        delete = here.call("UpdateTable", ReplicaUpdates=[{"Delete": {"RegionName": B}}])
        assert await refused(delete, ValidationException) == (
            f"Cannot delete table Music in region {B} because it has deletion protection enabled. "
            "Disable deletion protection first."
        )

    run(test, A, B)


def test_if_two_regions_delete_each_other_at_once_the_first_by_name_stays() -> None:
    async def test(net: Net) -> None:
        here, other = net.world[A], net.world[B]
        await net.world.make_tables(A, B)
        await net.world.replicate(A, B)
        await net.settle()
        net.down = {A, B}
        here.now = other.now = here.now + 25 * HOURS  # A has been the source of B.
        await here.put("a")
        await other.put("b")
        await update(here, "Delete", B)
        await update(other, "Delete", A)
        net.down = set()
        await net.settle()
        stays, goes = (here, other) if min(A, B) == A else (other, here)
        assert not await there(goes)
        assert await statuses(stays) == {}
        assert (await stays.items()).keys() == {"a", "b"}
        await stays.put("c")

    run(test, A, B)


def test_a_replica_that_is_being_deleted_is_neither_changed_nor_deleted_again() -> None:
    async def test(net: Net) -> None:
        here, other = net.world[A], net.world[B]
        await net.world.make_tables(A, B)
        await net.world.replicate(A, B)
        await other.call("DeleteTable")
        assert (await other.call("DescribeTable"))["Table"]["TableStatus"] == DELETING
        assert await refused(other.call("DeleteTable"), ResourceInUseException) == IN_USE
        protection = other.call("UpdateTable", DeletionProtectionEnabled=True)
        assert await refused(protection, ResourceInUseException) == IN_USE
        await here.pull(B)
        delete = here.call("UpdateTable", ReplicaUpdates=[{"Delete": {"RegionName": B}}])
        assert await refused(delete, ResourceInUseException) == IN_USE
        await here.call("UpdateTable", DeletionProtectionEnabled=True)

    run(test, A, B)


def test_the_last_replica_cannot_be_deleted_while_another_is_being_deleted() -> None:
    async def test(net: Net) -> None:
        here, other = net.world[A], net.world[B]
        await net.world.make_tables(A, B)
        await net.world.replicate(A, B)
        await other.call("DeleteTable")
        await here.pull(B)
        here.now += 25 * HOURS
        assert await refused(here.call("DeleteTable"), ResourceInUseException) == IN_USE
        await net.settle()
        await here.call("DeleteTable")
        assert not await there(here)

    run(test, A, B)


def test_versions_stay_known_when_a_table_has_replicas_again_at_once() -> None:
    async def test(net: Net) -> None:
        here, other = net.world[A], net.world[B]
        await net.world.make_tables(A, B)
        await net.world.replicate(A, B)
        await here.put("a")
        await net.settle()
        await other.call("DeleteTable")
        while await statuses(here):
            await work(other)
            await here.pull(B)
            with suppress(JobWaits):
                await membership.step(here.region, await _only_job(here))
        version = await here.record("a")
        await update(here, "Create", B)
        await net.settle()
        assert version is not None
        assert await here.record("a") == await other.record("a") == version

    run(test, A, B)


async def _only_job(place: Place) -> job_records.Job:
    rows = await place.region.engine.range(*job_records.job_range(), 100, MIB)
    [job] = [job for job in map(job_records.parse, rows) if job.kind == membership.REPLICA]
    return job
