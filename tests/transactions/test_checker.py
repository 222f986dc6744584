"""The checker itself, on histories that are known to be good or bad."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testing.serializability import NotSerializable, Seen, Transaction, replay, serial_order


def does(number: int, start: float, end: float = math.inf, appends: str = "", **reads: Seen) -> Transaction:
    """A transaction. `appends` are the one-letter names of items."""
    return Transaction(number, start, end, reads, frozenset(appends))


GOOD = {
    "nothing": [],
    "one after the other": [
        does(1, 0, 1, "xy"),
        does(2, 2, 3, "x", x=(1,)),
        does(3, 4, 5, x=(1, 2), y=(1,)),
    ],
    "a reader beside a writer sees all of it": [does(1, 0, 3, "xy"), does(2, 1, 2, x=(1,), y=(1,))],
    "a reader beside a writer sees nothing of it": [does(1, 0, 3, "xy"), does(2, 1, 2, x=(), y=())],
    "writers at once": [does(1, 0, 9, "xy"), does(2, 0, 9, "xy"), does(3, 9.5, 10, x=(2, 1), y=(2, 1))],
    "two that read what they write": [
        does(1, 0, 9, "x", x=()),
        does(2, 0, 9, "x", x=(1,)),
        does(3, 9.5, 10, x=(1, 2)),
    ],
    "an end at the moment of a start leaves the order open": [does(1, 0, 1, "x"), does(2, 1, 2, x=())],
    "a write that nobody has seen": [does(1, 0, 1, "x"), does(2, 0, 1, x=())],
    "a write of unknown fate, not seen": [does(1, 0, math.inf, "x"), does(2, 1, 2, x=())],
    "a write of unknown fate, seen late": [
        does(1, 0, math.inf, "xy"),
        does(2, 1, 2, x=()),
        does(3, 3, 4, x=(1,), y=(1,)),
    ],
}

BAD = {
    "a torn read": ([does(1, 0, 9, "xy"), does(2, 1, 2, x=(1,), y=())], "before"),
    "a lost update": (
        [does(1, 0, 9, "x", x=()), does(2, 0, 9, "x", x=()), does(3, 10, 11, x=(1, 2))],
        "before",
    ),
    "write skew": ([does(1, 0, 9, "x", x=(), y=()), does(2, 0, 9, "y", x=(), y=())], "before"),
    "a stale read": ([does(1, 0, 1, "x"), does(2, 2, 3, x=())], "before"),
    "a read that goes back": ([does(1, 0, 9, "x"), does(2, 1, 2, x=(1,)), does(3, 3, 4, x=())], "before"),
    "a read of the future": ([does(1, 2, 3, "x"), does(2, 0, 1, x=(1,))], "before"),
    "readers that see two writes in two orders": (
        [does(1, 0, 9, "x"), does(2, 0, 9, "y"), does(3, 0, 9, x=(1,), y=()), does(4, 0, 9, x=(), y=(2,))],
        "before",
    ),
    "two items written in two orders": (
        [does(1, 0, 9, "xy"), does(2, 0, 9, "xy"), does(3, 10, 11, x=(1, 2), y=(2, 1))],
        "before",
    ),
    "a write that is lost": ([does(1, 0, 1, "x"), does(2, 2, 3, "x"), does(3, 4, 5, x=(2,))], "before"),
    "writes against real time": ([does(1, 0, 1, "x"), does(2, 2, 3, "x"), does(3, 4, 5, x=(2, 1))], "before"),
    "half of a write of unknown fate": (
        [does(1, 0, math.inf, "xy"), does(2, 1, 2, x=(1,)), does(3, 3, 4, y=())],
        "before",
    ),
    "a write that was refused": ([does(2, 0, 1, x=(1,))], "seen, but not done"),
    "a write that was done twice": ([does(1, 0, 1, "x"), does(2, 2, 3, x=(1, 1))], "done twice"),
    "contents that do not fit": (
        [does(1, 0, 9, "x"), does(2, 0, 9, "x"), does(3, 0, 9, x=(1,)), does(4, 0, 9, x=(2, 1))],
        "written in two orders",
    ),
    "a long circle": (
        [
            does(1, 0, 9, "a", b=()),
            does(2, 0, 9, "b", c=()),
            does(3, 0, 9, "c", d=()),
            does(4, 0, 9, "d", a=()),
        ],
        "before",
    ),
}


@pytest.mark.parametrize("history", GOOD.values(), ids=GOOD)
def test_a_good_history_has_a_serial_order(history: Sequence[Transaction]) -> None:
    replay(serial_order(history), history)


@pytest.mark.parametrize(("history", "reason"), BAD.values(), ids=BAD)
def test_a_bad_history_has_none(history: Sequence[Transaction], reason: str) -> None:
    with pytest.raises(NotSerializable, match=reason):
        serial_order(history)


def test_replay_finds_a_wrong_order() -> None:
    history = [does(1, 0, 9, "x"), does(2, 0, 9, x=(1,))]
    replay([1, 2], history)
    with pytest.raises(NotSerializable, match=r"x holds \(\)"):
        replay([2, 1], history)


def executed(seed: int, count: int) -> list[Transaction]:
    """The observations of transactions that really run one after the other, each at some moment of its time."""
    chance = random.Random(seed)
    items: dict[str, Seen] = {"x": (), "y": (), "z": ()}
    history = []
    for moment in range(count):
        reads = {item: items[item] for item in chance.sample("xyz", chance.randint(0, 3))}
        appends = frozenset(chance.sample("xyz", chance.randint(0, 2)))
        for item in appends:
            items[item] += (moment,)
        start = moment - chance.uniform(0, 4)
        history.append(Transaction(moment, start, moment + chance.uniform(0, 4), reads, appends))
    chance.shuffle(history)
    return history


@given(st.integers(), st.integers(0, 40))
def test_a_serial_execution_is_accepted(seed: int, count: int) -> None:
    history = executed(seed, count)
    replay(serial_order(history), history)


@given(st.integers(), st.integers(5, 40))
def test_a_read_of_another_moment_is_refused_unless_it_is_explained(seed: int, count: int) -> None:
    """If the checker accepts a history, its order explains the history."""
    history = executed(seed, count)
    chance = random.Random(seed)
    wrong = chance.randrange(count)
    transaction = history[wrong]
    reads = {item: content[:-1] for item, content in transaction.reads.items()}
    history[wrong] = Transaction(transaction.number, transaction.start, transaction.end, reads, transaction.appends)
    try:
        order = serial_order(history)
    except NotSerializable:
        return
    replay(order, history)
