"""Pullers: one worker pulls, another takes over, and a lost peer is asked again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from jedlik.clock import TrustedClock
from jedlik.dynamodb.replication import pulling
from jedlik.regions.peers import Body, LocalPeers, PeerUnreachable
from testing.global_tables.world import START, A, B, World, item

SECONDS = 60.0
"""Longer than a lease and all other waits."""


class Way:
    """The way to the other regions, which can be closed. It counts the questions."""

    def __init__(self) -> None:
        self.is_open = True
        self.asked = 0
        self.local: LocalPeers | None = None

    async def call(self, region: str, operation: str, body: Body) -> Body:
        self.asked += 1
        if not self.is_open or self.local is None:
            raise PeerUnreachable(f"{region}: closed")
        return await self.local.call(region, operation, body)

    async def close(self) -> None:
        """It holds no connections."""


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(int(SECONDS * 100)):
        if await is_so():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"not after {SECONDS} seconds")


def scenario(test: Callable[[World, Way], Awaitable[None]]) -> None:
    async def in_world() -> None:
        way = Way()
        world = World(A, B, peers=lambda name: way)
        way.local = LocalPeers(world.serve)
        await world.make_tables(A, B)
        await world.replicate(A, B)
        # Leases and clocks of the real world.
        seconds = asyncio.get_running_loop().time
        for place in world.places.values():
            place.region.clock = place.region.engine.clock = TrustedClock(lambda: START + seconds())
        await test(world, way)

    asyncio.run(in_world())


@asynccontextmanager
async def worker(world: World, name: str) -> AsyncIterator[asyncio.Event]:
    """A worker that pulls for a region. On request it dies without a farewell; otherwise it stops in the end."""
    stop = asyncio.Event()
    task = asyncio.create_task(pulling.run(world[name].region, stop))
    try:
        yield stop
    finally:
        stop.set()
        async with asyncio.timeout(SECONDS):
            await task


def has(world: World, name: str) -> Callable[[], Awaitable[bool]]:
    async def is_there() -> bool:
        return name in await world[B].items()

    return is_there


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_changes_are_replicated_both_ways(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "jedlik")

    async def test(world: World, way: Way) -> None:
        async with worker(world, A), worker(world, B):
            await world[A].put("one", x=1)
            await until(has(world, "one"))
            await world[B].put("one", x=2)

            async def is_back() -> bool:
                return await world[A].items() == {"one": item("one", x=2)}

            await until(is_back)

    scenario(test)
    [report] = [record for record in caplog.records if record.getMessage() == "replication" and record.peer == A]  # type: ignore[attr-defined]
    told: Any = report
    assert (told.region, told.applied) == (B, 1)
    assert 0 <= told.latency_p50_ms <= told.latency_p99_ms < SECONDS * 1000


def test_one_of_two_workers_pulls_and_the_other_takes_over() -> None:
    async def test(world: World, way: Way) -> None:
        async with worker(world, B) as first:
            await world[A].put("one", x=1)
            await until(has(world, "one"))
            async with worker(world, B):
                await asyncio.sleep(pulling.LOOK_SECONDS)
                before, seconds = way.asked, asyncio.get_running_loop().time
                begun = seconds()
                await asyncio.sleep(pulling.LOOK_SECONDS)
                # A puller that waits a second at the peer asks about once a second, and one that does not wait, all the
                # time.
                assert way.asked - before <= 4 + (seconds() - begun)
                first.set()
                await world[A].put("two", x=2)
                await until(has(world, "two"))

    scenario(test)


def test_a_lost_peer_is_asked_again_and_its_loss_and_return_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "jedlik")

    async def test(world: World, way: Way) -> None:
        async with worker(world, B):
            await world[A].put("one", x=1)
            await until(has(world, "one"))
            way.is_open = False
            before, seconds = way.asked, asyncio.get_running_loop().time
            begun = seconds()
            await asyncio.sleep(1.5)

            async def is_lost() -> bool:
                return any(message.startswith("peer lost") for message in messages(caplog))

            await until(is_lost)
            # After 0.1, 0.2, 0.4 and 0.8 seconds, and once a second if it took longer than it should.
            assert way.asked - before <= 10 + (seconds() - begun)
            way.is_open = True
            await world[A].put("two", x=2)
            await until(has(world, "two"))

    scenario(test)
    told = [message for message in messages(caplog) if message.startswith("peer")]
    assert told == [f"peer lost: {A}: closed", "peer reached again"]


def test_a_puller_ends_when_no_table_is_shared_any_more() -> None:
    async def test(world: World, way: Way) -> None:
        async with worker(world, B):
            await world[A].put("one", x=1)
            await until(has(world, "one"))
            await world.put_descriptor(B, replace((await world[B].table()).descriptor, group=None))

            async def is_quiet() -> bool:
                before = way.asked
                await asyncio.sleep(1.5 * pulling.LOOK_SECONDS)
                return way.asked == before

            await until(is_quiet)

    scenario(test)
