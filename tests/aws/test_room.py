"""Room for large requests: how much of them is at work at one time."""

from __future__ import annotations

import asyncio
import gc

import pytest

from jedlik.aws.room import PARSED_FACTOR, Room, weight
from jedlik.memory import LARGE, MIB, Share
from jedlik.wire.messages import Request

SIZE = 100


def test_the_collector_pauses_while_large_requests_are_at_work() -> None:
    async def test() -> None:
        room = Room(Share(SIZE))
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


def test_the_collector_does_not_pause_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jedlik.aws.room.LONGEST_REST", 0.0)
    collections: list[str] = []
    monkeypatch.setattr(gc, "collect", lambda: collections.append("all"))

    async def test() -> None:
        room = Room(Share(SIZE))
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
    for size, headers, most, weighs in (
        (LARGE + 1, {}, 16 * MIB, LARGE + 1),
        (LARGE + 1, {}, LARGE, LARGE),
        (100, {"content_encoding": b"gzip"}, 16 * MIB, 100 * 1032),
        (LARGE, {"content_encoding": b"gzip"}, 16 * MIB, 16 * MIB),
    ):
        assert weight(request(size, **headers), most) == PARSED_FACTOR * weighs
