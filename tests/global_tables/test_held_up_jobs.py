"""Jobs that a peer holds up, by a lie or by a refusal: the log reports that once, `jedlik stats` for as long as it
lasts."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from jedlik.background import job_records
from jedlik.background.job_records import JobMoved, JobWaits
from jedlik.dynamodb.model.limits import MIB
from jedlik.dynamodb.replication import aside
from jedlik.dynamodb.replication.aside import Aside
from jedlik.regions.peers import Body, LocalPeers, PeerRefuses
from jedlik.upkeep.stats import of_tables
from testing import jobs
from testing.global_tables.world import TABLE, A, B, Place, World, item
from testing.storage.memory import MemoryView


class Holding:
    """The way to all regions: their answers to some operations are replaced, by another answer or a refusal."""

    def __init__(self) -> None:
        self.instead: dict[str, Body | Exception] = {}
        """By operation."""
        self.world = World(A, B, peers=lambda _: self)
        self._local = LocalPeers(self.world.serve)

    async def call(self, region: str, operation: str, body: Body) -> Body:
        instead = self.instead.get(operation)
        if isinstance(instead, Exception):
            raise instead
        return await self._local.call(region, operation, body) if instead is None else instead

    async def close(self) -> None:
        """It holds no connections."""


async def work(place: Place) -> None:
    """Do a step of each job of a region."""
    for row in await place.region.engine.range(*job_records.job_range(), 100, MIB):
        try:
            await jobs.step(place.region, job_records.parse(row))
        except (JobMoved, JobWaits):
            continue


def asides(place: Place) -> tuple[Aside, ...]:
    [found] = of_tables(MemoryView(place.kept))
    return found.asides


REFUSES = PeerRefuses(f"{B} refuses this region: AccessDeniedException: The request is signed with another peer_secret")


@pytest.mark.parametrize(
    ("instead", "reason"),
    [({"Joined": True}, "Join: "), (REFUSES, str(REFUSES))],
)
def test_a_join(instead: Body | Exception, reason: str, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        ways = Holding()
        here = ways.world[A]
        await ways.world.make_tables(A)
        ways.instead["Join"] = instead
        await here.call("UpdateTable", ReplicaUpdates=[{"Create": {"RegionName": B}}])
        since = here.now
        for _ in range(3):
            await work(here)
            here.now += 60
            [held] = asides(here)
            assert (held.region, held.since) == (B, since)
            assert held.reason.startswith(reason)
        del ways.instead["Join"]
        for _ in range(3):
            await work(here)
            await ways.world[B].pull(A)
            await here.pull(B)
        assert asides(here) == ()
        assert (await ways.world[B].table()).replica is not None

    with caplog.at_level(logging.WARNING, "jedlik"):
        asyncio.run(test())
    assert len([record for record in caplog.records if "a peer cannot be asked" in record.message]) == 1


def test_a_leave() -> None:
    async def test() -> None:
        ways = Holding()
        here, other = ways.world[A], ways.world[B]
        await ways.world.make_tables(A, B)
        await ways.world.replicate(A, B)
        ways.instead["Leave"] = {"Gone": "yes"}
        await here.call("UpdateTable", ReplicaUpdates=[{"Delete": {"RegionName": B}}])
        await work(here)
        [held] = asides(here)
        assert held.reason.startswith("Leave: Gone")
        # It waits for the other, which is no fault.
        ways.instead["Leave"] = {"Gone": False}
        await work(here)
        assert asides(here) == ()
        del ways.instead["Leave"]
        for _ in range(4):
            await other.pull(A)
            await work(here)
            await work(other)
        assert (await here.table()).replica is None

    asyncio.run(test())


def test_a_disassociation(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        ways = Holding()
        here, other = ways.world[A], ways.world[B]
        await ways.world.make_tables(A, B)
        await ways.world.replicate(A, B)
        await here.put("one", x=1)
        await other.call("UpdateTable", DisassociationProtectionEnabled=False)
        action: dict[str, Any] = {"RegionName": B, "DisassociationMode": "WAIT_FOR_REPLICATION"}
        await other.call("UpdateTable", ReplicaUpdates=[{"Disassociate": action}])
        ways.instead["BeginCopy"] = {"Now": 0.0, "SourceId": "x", "Position": -1, "Checkpoints": {}}
        for _ in range(3):
            await work(other)
            assert [held.reason[:20] for held in asides(other)] == ["BeginCopy: Position "]
        ways.instead["BeginCopy"] = REFUSES
        await work(other)
        assert [held.reason for held in asides(other)] == [str(REFUSES)]
        del ways.instead["BeginCopy"]
        await work(other)
        assert asides(other) == ()
        ways.instead["Pull"] = {"Now": 0.0, "Full": False, "Tables": [{"TableName": TABLE, "SourceId": 5}]}
        await work(other)
        assert [held.reason[:6] for held in asides(other)] == ["Pull: "]
        del ways.instead["Pull"]
        for _ in range(6):
            await other.pull(A)
            await here.pull(B)
            await work(here)
            await work(other)
        assert await other.items() == {"one": item("one", x=1)}
        assert (await other.table()).replica is None
        assert asides(other) == ()

    with caplog.at_level(logging.WARNING, "jedlik"):
        asyncio.run(test())
    said = [record.message for record in caplog.records if "cannot disassociate yet" in record.message]
    assert len(said) == 3


def test_what_holds_up_a_job_is_in_its_state_once() -> None:
    state = {"TableName": TABLE}
    held = aside.held_up(state, {A: ValueError("why"), B: None}, 5.0)
    assert [*aside.of_state(held)] == [Aside(A, "why", 5.0)]
    assert aside.held_up(held, {A: ValueError("why")}, 6.0) is held
    assert [*aside.of_state(aside.held_up(held, {A: ValueError("else")}, 6.0))] == [Aside(A, "else", 5.0)]
    assert aside.held_up(held, {A: None}, 6.0) == state
    assert aside.held_up(state, {A: None}, 6.0) is state
