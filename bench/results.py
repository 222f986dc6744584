"""The measurements, and the figures that follow from them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from math import comb, inf

from bench.load import Measurement
from bench.peers import JEDLIK

UNSURE = 0.05
"""How often an interval may be wrong."""
Place = tuple[str, int, str]
"""A row, a number of connections and a server: the key of comparable runs."""


@dataclass(frozen=True, slots=True)
class Idle:
    """A server that has just started: times in seconds, memory in bytes, of all its processes."""

    first_answers: list[float]
    resident: int


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some figures, and the interval in which that of many more would be, with 95 % confidence."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, figures: Iterable[float]) -> Spread:
        """From at least one figure. The interval is from one of the figures to another, and supposes nothing of how
        they are distributed; fewer than six are all in it."""
        ordered = sorted(figures)
        count = len(ordered)
        # That so few figures are below the median is as likely as so few heads of as many tosses of a coin.
        chances = accumulate(comb(count, few) / 2**count for few in range(count))
        left_out = max(sum(chance <= UNSURE / 2 for chance in chances) - 1, 0)
        return cls(statistics.median(ordered), ordered[left_out], ordered[-1 - left_out])


@dataclass(slots=True)
class Results:
    """All of a run's figures."""

    idle: dict[str, Idle] = field(default_factory=dict)
    """By server."""
    runs: dict[Place, list[Measurement]] = field(default_factory=dict)
    refused: dict[tuple[str, str], str] = field(default_factory=dict)
    """Why a row is not reported, by row and server."""
    absent: dict[str, str] = field(default_factory=dict)
    """Why a server was not measured at all, by its name."""

    def refuse(self, row: str, peer: str, reason: str) -> None:
        """Report nothing of this row for this server."""
        self.refused[row, peer] = reason
        self.runs = {place: runs for place, runs in self.runs.items() if (place[0], place[2]) != (row, peer)}

    def figure(self, place: Place, read: Callable[[Measurement], float]) -> float | None:
        """The median of a figure of the runs; None without runs."""
        runs = self.runs.get(place)
        return statistics.median(read(run) for run in runs) if runs else None

    def ahead(self, row: str, connections: int, peer: str, ours: str = JEDLIK.name) -> Spread | None:
        """Throughput of one of our servers as a multiple of this server's, from pairs of runs; None if one has no runs.

        Infinite if the other answered nothing in a run.
        """
        first, second = self.runs.get((row, connections, ours)), self.runs.get((row, connections, peer))
        if not first or not second:
            return None
        pairs = zip(first, second, strict=True)
        return Spread.of(mine.per_second / other.per_second if other.per_second else inf for mine, other in pairs)
