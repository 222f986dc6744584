"""Requests of many elements take turns with others."""

from __future__ import annotations

import asyncio

import pytest

from jedlik.dynamodb.items import turns
from jedlik.dynamodb.items.turns import by_turns


def test_quick_elements_are_done_in_one_go() -> None:
    made = by_turns(range(1000), str)
    with pytest.raises(StopIteration) as end:
        made.send(None)
    assert end.value.value == [str(number) for number in range(1000)]


def test_others_have_their_turn_between_elements_that_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "TURN_SECONDS", 0.0)
    order: list[str] = []

    async def other() -> None:
        for _ in range(3):
            order.append("other")
            await asyncio.sleep(0)

    async def both() -> None:
        await asyncio.gather(by_turns(range(3), lambda number: order.append(str(number))), other())

    asyncio.run(both())
    assert order == ["0", "other", "1", "other", "2", "other"]


def test_an_error_of_an_element_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        asyncio.run(by_turns([1, 0], lambda number: 1 / number))
