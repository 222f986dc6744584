"""One memory budget for the work of a process: its shares, and the order of those that wait for them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from jedlik.memory import Exhausted, Memory, Share

SIZE = 100


def most_at_once(sizes: Sequence[int]) -> tuple[int, list[int]]:
    """The most of a share that these hold at once, and the order in which they were admitted."""
    at_work = most = 0
    order = []

    async def one(number: int, share: Share) -> None:
        nonlocal at_work, most
        await share.take(sizes[number])
        order.append(number)
        at_work += sizes[number]
        most = max(most, at_work)
        await asyncio.sleep(0.001)
        at_work -= sizes[number]
        share.give_back(sizes[number])

    async def all_of_them() -> None:
        share = Share(SIZE)
        await asyncio.gather(*(one(number, share) for number in range(len(sizes))))
        assert share.free == SIZE

    asyncio.run(all_of_them())
    return most, order


@pytest.mark.parametrize("sizes", [[10] * 30, [SIZE] * 5, [60, 60, 1, 60, 40, 1], [1] * 99 + [SIZE, 1]])
def test_work_keeps_within_the_room_and_is_admitted_in_order(sizes: list[int]) -> None:
    most, order = most_at_once(sizes)
    assert most <= SIZE
    assert order == sorted(order)


def test_one_at_most_is_admitted_in_each_turn_of_the_event_loop() -> None:
    let_in = 0

    async def one(share: Share) -> None:
        nonlocal let_in
        await share.take(1)
        let_in += 1

    async def test() -> None:
        share = Share(SIZE)
        everyone = asyncio.gather(*(one(share) for _ in range(10)))
        seen = []
        while let_in < 10:
            seen.append(let_in)
            await asyncio.sleep(0)
        await everyone
        assert set(range(10)) == set(seen)

    asyncio.run(test())


def test_a_smaller_request_does_not_overtake_a_waiting_one() -> None:
    async def test() -> None:
        share = Share(SIZE)
        assert share.try_hold(60)
        assert not share.short
        first = asyncio.ensure_future(share.take(50))
        await asyncio.sleep(0)
        assert share.short
        assert not share.try_hold(1)
        share.give_back(60)
        await first
        assert share.try_hold(1)
        assert share.free == SIZE - 51

    asyncio.run(test())


def test_waiting_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jedlik.memory.WAIT_SECONDS", 0.01)

    async def test() -> None:
        share = Share(SIZE)
        await share.take(SIZE)
        with pytest.raises(Exhausted):
            await share.take(1)
        assert not share.short
        share.give_back(SIZE)
        await share.take(SIZE)
        assert share.free == 0

    asyncio.run(test())


@pytest.mark.parametrize("rounds", range(4))
def test_a_cancelled_wait_keeps_nothing_and_delays_no_other(rounds: int) -> None:
    async def test() -> None:
        share = Share(SIZE)
        await share.take(60)
        impatient = asyncio.ensure_future(share.take(60))
        patient = asyncio.ensure_future(share.take(30))
        await asyncio.sleep(0)
        if rounds > 1:
            share.give_back(60)
        for _ in range(rounds):
            await asyncio.sleep(0)
        impatient.cancel()
        await patient
        done = impatient.done() and not impatient.cancelled()
        assert share.free == SIZE - 30 - 60 * (rounds <= 1) - 60 * done

    asyncio.run(test())


def test_memory_in_use_counts_even_beyond_the_limit() -> None:
    share = Share(SIZE)
    share.hold(150)
    assert share.short
    assert not share.try_hold(0)
    share.give_back(150)
    assert share.free == SIZE


def test_a_holding_releases_all_that_it_has_grown_to() -> None:
    share = Share(SIZE)
    with share.holding() as held:
        held.grow(60)
        held.grow(40)
        assert share.free == 0
        with pytest.raises(Exhausted):
            held.grow(1)
        assert share.free == 0
    assert share.free == SIZE


def test_one_kind_of_work_takes_no_share_of_another() -> None:
    memory = Memory()
    assert memory.bodies.try_hold(memory.bodies.size)
    assert memory.answers.free == memory.answers.size
    assert Memory().bodies.free == memory.bodies.size
