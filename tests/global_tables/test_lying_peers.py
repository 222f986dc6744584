"""A peer that lies: nothing of it is taken over, its table rests, all else goes on, and honesty brings it back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from memory import MemoryView
from world import START, A, B, World, item

from jedlik.maintenance.stats import TableStats, of_tables
from jedlik.model import versions
from jedlik.replication.aside import LAST_REST_SECONDS, Aside
from jedlik.replication.peers import Body, LocalPeers

Lie = Callable[[Body], Body]
"""Makes an answer of an honest one."""
Scenario = Callable[[World, "Liars"], Awaitable[None]]


class Liars:
    """The way to all regions: what they answer to some operations is made another answer."""

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
        """There is nothing to let go of."""


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
    # It may be written over: the later write wins.
    world[A].now = world[B].now = START + versions.FURTHEST_AHEAD_SECONDS
    await world[B].put("ahead", x=4)
    await world.settle()
    assert (await world[A].items())["ahead"] == item("ahead", x=4)


@lying
async def test_a_table_rests_longer_each_time(world: World, liars: Liars) -> None:
    await world[A].put("one", x=1)
    liars.lies["Pull"] = entries(lambda told: told[0].update(Version="junk"))
    asked_at = []
    for second in range(200):
        world[B].elapsed = second
        before = len(liars.asked)
        await world[B].pull(A)
        asked_at += [second] * (len(liars.asked) - before)
    assert asked_at == [0, 1, 3, 7, 15, 31, 63, 123, 183]


def test_it_is_logged_once_that_a_table_is_put_aside_and_once_that_it_is_back(caplog: pytest.LogCaptureFixture) -> None:
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
