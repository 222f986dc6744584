"""Jedlik's goals, beyond being faster than every other program on every row."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter

from bench.peers import FLOOR, JEDLIK, jedlik
from bench.results import Place, Results

MB = 1_000_000
RATE, P50, P99 = attrgetter("per_second"), attrgetter("p50"), attrgetter("p99")
READS = ("GetItem", "BatchGetItem of 100", "Query of 10", "Query of 100", "Scan", "PartiQL SELECT by key")


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal. Exactly one bound is set."""

    text: str
    measured: Callable[[Results], float | None]
    """None if the run did not measure it."""
    at_least: float | None = None
    at_most: float | None = None

    def line(self, results: Results) -> str | None:
        """The goal's line in the report; None if it was not measured."""
        measured = self.measured(results)
        if measured is None:
            return None
        bound = f"at least {self.at_least:g}" if self.at_least is not None else f"at most {self.at_most:g}"
        low = float("-inf") if self.at_least is None else self.at_least
        high = float("inf") if self.at_most is None else self.at_most
        return f"| {self.text} | {bound} | {measured:.2f} | {'yes' if low <= measured <= high else 'no'} |"


def _over(
    read: Callable[..., float], place: Place, other: Place, read_other: Callable[..., float] | None = None
) -> Callable[[Results], float | None]:
    """The ratio of a figure at one place to that at another."""

    def ratio(results: Results) -> float | None:
        figure, other_figure = results.figure(place, read), results.figure(other, read_other or read)
        return figure / other_figure if figure is not None and other_figure else None

    return ratio


def _idle(read: Callable[..., float]) -> Callable[[Results], float | None]:
    """A figure of Jedlik just after its start."""
    return lambda results: read(idle) if (idle := results.idle.get(JEDLIK.name)) else None


def _even(row: str) -> Goal:
    place = (row, 16, JEDLIK.name)
    return Goal(f"{row} at 16: p99 over p50", _over(P99, place, place, P50), at_most=5)


def _doubled(row: str) -> Goal:
    two = (row, 64, jedlik(2).name)
    return Goal(f"{row} at 64: two workers over one", _over(RATE, two, (row, 64, JEDLIK.name)), at_least=1.7)


GOALS = (
    Goal(
        "GetItem at 16: answers/s over the floor's",
        _over(RATE, ("GetItem", 16, JEDLIK.name), ("GetItem", 16, FLOOR.name)),
        at_least=0.45,
    ),
    Goal(
        "GetItem at 1: p50 over the floor's",
        _over(P50, ("GetItem", 1, JEDLIK.name), ("GetItem", 1, FLOOR.name)),
        at_most=1.6,
    ),
    Goal(
        "PutItem with a stream at 16: answers/s over those without",
        _over(RATE, ("PutItem with a stream", 16, JEDLIK.name), ("PutItem", 16, JEDLIK.name)),
        at_least=0.67,
    ),
    *map(_even, READS),
    *map(_doubled, READS),
    Goal(
        "start to first answer, ms",
        _idle(lambda idle: 1000 * statistics.median(idle.first_answers)),
        at_most=600,
    ),
    Goal("resident when idle, MB", _idle(lambda idle: idle.resident / MB), at_most=80),
)


def goals_table(results: Results) -> Iterator[str]:
    """The table of the goals that the run measured."""
    yield "| goal | bound | measured | reached |"
    yield "|---|---|---|---|"
    lines = [goal.line(results) for goal in GOALS]
    yield from (line for line in lines if line is not None)
    yield ""
    yield f"Goals that this run did not measure: {lines.count(None)}."
