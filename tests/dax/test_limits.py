"""What strangers cannot make a node hold: requests at work, answers that nobody takes, those who have asked."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pytest

from fuzz.dax_requests import SHORT, NodeOfOne, Socket
from jedlik.dax.client_connection import ClientConnection
from jedlik.dax.counting import NodeCounts
from jedlik.dax.listener import Listener
from jedlik.dax.node import MOST_KNOWN
from jedlik.memory import LARGE, Memory, Share
from testing.dax import raw_client
from testing.dax.connections import at_rest
from testing.dax.raw_client import AnswerReader, authorization, preamble, request, values

ROOM = 100
UNTAKEN = 60
THROTTLED = [4, 37, 38, 39, 50]
GET = request(raw_client.GET_ITEM, b"p-s", b"k", None)


@pytest.fixture
def node() -> Iterator[NodeOfOne]:
    made = NodeOfOne()
    yield made
    made.loop.close()


def _connected(listener: Listener, network: Socket) -> ClientConnection:
    connection = ClientConnection(listener)
    connection.connection_made(cast(asyncio.Transport, network))
    connection.data_received(preamble() + authorization())
    return connection


def test_requests_beyond_those_that_may_be_at_work_are_throttled(
    node: NodeOfOne, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = Listener(node.node, replace(SHORT, requests=1), node.memory)
    first, second = Socket(), Socket()

    async def use() -> None:
        held = asyncio.Event()
        answer = node.node.answer

        async def slow(*asked: Any) -> bytes:
            await held.wait()
            return await answer(*asked)

        monkeypatch.setattr(node.node, "answer", slow)
        at_work, refused = _connected(listener, first), _connected(listener, second)
        at_work.data_received(GET)
        refused.data_received(GET)
        codes = AnswerReader(b"".join(second.written)).value()
        assert (codes, first.written) == (THROTTLED, [])
        held.set()
        await at_rest(at_work)
        assert first.written
        second.written.clear()
        refused.data_received(GET)
        await at_rest(refused)
        assert second.written == first.written

    node.loop.run_until_complete(use())


def test_who_does_not_take_an_answer_for_longest_makes_room(node: NodeOfOne) -> None:
    memory = Memory(answers=Share(ROOM))
    listener = Listener(node.node, SHORT, memory)
    first, second = Socket(), Socket()
    first.untaken = second.untaken = UNTAKEN
    one, other = _connected(listener, first), _connected(listener, second)
    one.pause_writing()
    assert memory.answers.free == ROOM - UNTAKEN
    other.pause_writing()
    assert (first.closing, second.closing) == (True, False)
    assert memory.answers.free == ROOM - UNTAKEN
    one.connection_lost(None)
    other.resume_writing()
    assert memory.answers.free == ROOM
    other.pause_writing()
    other.connection_lost(None)
    assert memory.answers.free == ROOM
    assert not listener.stalled


def test_who_has_asked_is_forgotten(node: NodeOfOne) -> None:
    listener = Listener(node.node, SHORT, node.memory)
    connection = _connected(listener, Socket())
    for number in range(MOST_KNOWN + 500):
        connection.data_received(authorization(access_key=f"{number + 1:012}"))
    gc.collect()
    assert sum(isinstance(one, NodeCounts) for one in gc.get_objects()) <= MOST_KNOWN + 1


@pytest.mark.parametrize("count", [1, 4])
def test_others_come_between_the_large_items_of_a_batch(node: NodeOfOne, count: int) -> None:
    """An item of many small values takes a tenth of a second, and a batch has 25."""
    network = Socket()
    connection = _connected(Listener(node.node, SHORT, node.memory), network)
    numbers = [1] * (LARGE + 1)
    turns: list[int] = []

    async def answered(asked: bytes) -> None:
        network.written.clear()
        connection.data_received(asked)
        turn = 0
        while not network.written:
            await asyncio.sleep(0)
            turn += 1
        turns.append(turn)

    async def use() -> None:
        await answered(request(raw_client.DEFINE_LIST_ID, ["v"]))
        number = AnswerReader(b"".join(network.written)[1:]).value()
        for size in (1, len(numbers)):
            item = values(number, numbers[:size])
            writes = [part for place in range(count) for part in (b"%d" % place, item)]
            await answered(request(raw_client.BATCH_WRITE, {"p-s": writes}, None))
            assert network.written == [b"\x80\xa0\x80\xa0"]

    node.loop.run_until_complete(use())
    _, small, large = turns
    assert large >= small + 2 * count, "once when an item is read, and once when it is read again"
