"""The measurements, and the figures that follow from them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import inf

from bench.load import Measurement
from bench.peers import JEDLIK

Place = tuple[str, int, str]
"""A row, a number of connections and a server: the key of comparable runs."""


@dataclass(frozen=True, slots=True)
class Idle:
    """A server that has just started: times in seconds, memory in bytes, of all its processes."""

    first_answers: list[float]
    resident: int


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some figures, and their spread."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, figures: Iterable[float]) -> Spread:
        """From at least one figure."""
        ordered = sorted(figures)
        return cls(statistics.median(ordered), ordered[0], ordered[-1])


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

    def ahead(self, row: str, connections: int, peer: str) -> Spread | None:
        """Jedlik's throughput as a multiple of this server's, from pairs of runs; None if one has no runs.

        Infinite if the other answered nothing in a run.
        """
        ours, theirs = self.runs.get((row, connections, JEDLIK.name)), self.runs.get((row, connections, peer))
        if not ours or not theirs:
            return None
        pairs = zip(ours, theirs, strict=True)
        return Spread.of(mine.per_second / other.per_second if other.per_second else inf for mine, other in pairs)
