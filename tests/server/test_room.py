"""Room for large requests: how much of them is at work at one time."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence

import pytest

from jedlik.server.messages import MIB, Request
from jedlik.server.room import LARGE, Room, weight

SIZE = 100


def most_at_once(sizes: Sequence[int]) -> tuple[int, list[int]]:
    """The most that these take of the room together, and the order in which they were let in."""
    at_work = most = 0
    order = []

    async def one(number: int, room: Room) -> None:
        nonlocal at_work, most
        await room.take(sizes[number])
        order.append(number)
        at_work += sizes[number]
        most = max(most, at_work)
        await asyncio.sleep(0.001)
        at_work -= sizes[number]
        room.give_back(sizes[number])

    async def all_of_them() -> None:
        room = Room(SIZE)
        await asyncio.gather(*(one(number, room) for number in range(len(sizes))))
        await room.take(SIZE)  # All of it had been given back.
        room.give_back(SIZE)
        await asyncio.sleep(0)

    asyncio.run(all_of_them())
    return most, order


@pytest.mark.parametrize("sizes", [[10] * 30, [SIZE] * 5, [60, 60, 1, 60, 40, 1], [1] * 99 + [SIZE, 1]])
def test_no_more_is_at_work_than_there_is_room_for_and_nobody_is_passed(sizes: list[int]) -> None:
    most, order = most_at_once(sizes)
    assert most <= SIZE
    assert order == sorted(order)


def test_only_one_is_let_in_in_a_round_of_the_event_loop() -> None:
    let_in = 0

    async def one(room: Room) -> None:
        nonlocal let_in
        await room.take(1)
        let_in += 1

    async def test() -> None:
        room = Room(SIZE)
        everyone = asyncio.gather(*(one(room) for _ in range(10)))
        seen = []
        while let_in < 10:
            seen.append(let_in)
            await asyncio.sleep(0)
        await everyone
        room.give_back(10)
        await asyncio.sleep(0)
        assert set(range(10)) == set(seen)

    asyncio.run(test())


def test_the_collector_rests_as_long_as_there_is_something_at_work() -> None:
    async def test() -> None:
        room = Room(SIZE)
        assert gc.isenabled()
        await room.take(60)
        assert not gc.isenabled()
        await room.take(40)
        last = asyncio.ensure_future(room.take(1))
        await asyncio.sleep(0)
        room.give_back(60)
        room.give_back(40)
        await last
        assert not gc.isenabled()
        room.give_back(1)
        await asyncio.sleep(0)
        assert gc.isenabled()

    asyncio.run(test())


def test_the_collector_does_not_rest_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jedlik.server.room.LONGEST_REST", 0.0)
    collections: list[str] = []
    monkeypatch.setattr(gc, "collect", lambda: collections.append("all"))

    async def test() -> None:
        room = Room(SIZE)
        for _ in range(3):
            await room.take(1)
        room.give_back(3)
        await asyncio.sleep(0)

    asyncio.run(test())
    assert collections == ["all", "all"]


def request(size: int, **headers: bytes) -> Request:
    made = Request(b"POST", b"/", {name.replace("_", "-").encode(): value for name, value in headers.items()})
    made.body = bytes(size)
    return made


def test_a_request_weighs_what_its_body_may_be() -> None:
    assert weight(request(LARGE + 1), 16 * MIB) == LARGE + 1
    assert weight(request(LARGE + 1), LARGE) == LARGE
    assert weight(request(100, content_encoding=b"gzip"), 16 * MIB) == 100 * 1032
    assert weight(request(LARGE, content_encoding=b"gzip"), 16 * MIB) == 16 * MIB
