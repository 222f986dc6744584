"""Metrics: counters, gauges and histograms that all workers of a server count together.

A service declares its metrics, each as a `Metric`, and asks for the `Series` that it needs: one for each combination of
dimension values. Each process has its counts in a slab (`slabs`), so counting is an addition to one cell: no lock, and
nothing is lost when a worker dies. Counts begin at zero when the server starts, and survive a restart of its workers. A
gauge is the sum of the values that the living processes have set.

A slab has room for 4,032 counters and gauges and 1,984 histograms. When it is full, a new series counts in the metric's
*rest*, a series without dimensions, so the totals of a metric are always right; the number of such cases is counted,
too. Once a minute, while there is no room, series without a count in that time (those of deleted tables will be among
them) are added to the rest and free their places.

`prometheus_client` has a mode for several processes. In measurements, counting took 760 ns and a histogram 2,300 ns (36
and 210 here) under a lock, its series and the files of dead workers only ever grew in number, and none of its series
could free their places. So it is not used; the counts here can be published in its format.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import orjson

from jedlik.aws import histograms, slabs
from jedlik.aws.slabs import AREAS, KEY_BYTES, LARGE, RESERVED, SMALL, Area, Slab

Kind = Literal["counter", "gauge", "histogram"]

SWEEP_LOOKS = 60
"""Ticks, one a second, from one sweep for unused series to the next."""


@dataclass(frozen=True, slots=True)
class Metric:
    """What a service counts."""

    name: str
    """As CloudWatch names it, where it has it."""
    kind: Kind
    unit: str
    """CloudWatch's: Count, Milliseconds, Bytes..."""
    dimensions: tuple[str, ...]
    """Their names. A series may leave some out."""
    meaning: str
    """A sentence."""


class Series:
    """The count of one metric with one combination of dimension values."""

    __slots__ = ("at", "cells")

    def __init__(self, cells: memoryview[float], at: int) -> None:
        self.cells = cells
        self.at = at
        """The first of its cells. Becomes the rest's when the series makes room."""

    def add(self, amount: float) -> None:
        """Count more, of a counter."""
        self.cells[self.at] += amount

    def set(self, value: float) -> None:
        """Set the value that a gauge shows."""
        self.cells[self.at] = value

    def observe(self, value: float) -> None:
        """Count a value in a histogram."""
        at = self.at
        self.cells[at] += value
        self.cells[at + histograms.cell_of(value)] += 1.0


class Counts:
    """The counts of a process, in its slab."""

    def __init__(self, slab: Slab) -> None:
        self._slab = slab
        self._places: dict[bytes, tuple[Area, int, Series]] = {}
        self._free = {area: list(range(area.slots - RESERVED - 1, -1, -1)) for area in AREAS}
        self._rests: dict[bytes, Series] = {}
        self._rests_free = {area: list(range(area.slots - 1, area.slots - RESERVED - 1, -1)) for area in AREAS}
        self._swept: dict[bytes, float] = {}
        """The count of each series at the last sweep."""
        self.crowded = False
        """Whether a series has found no room since the last sweep."""
        self._looks = 0
        self._forget: list[Callable[[], None]] = []

    def when_moved(self, forget: Callable[[], None]) -> None:
        """Call `forget` when series have moved. Code that remembers series must then ask for them again."""
        self._forget.append(forget)

    def series(self, metric: Metric, account: str, region: str, *values: str | None) -> Series:
        """The series of a metric with these values of its dimensions, None for those that it does not have.

        Takes a microsecond: code that counts often remembers it, until it is moved.
        """
        named = {name: value for name, value in zip(metric.dimensions, values, strict=True) if value is not None}
        return self.placed(orjson.dumps([metric.name, metric.kind, metric.unit, account, region, named]))

    def placed(self, key: bytes) -> Series:
        """The series of a key, or the rest of its metric if there is no room."""
        place = self._places.get(key)
        if place is not None:
            return place[2]
        name, kind, unit, *dimensions = orjson.loads(key)
        area = LARGE if kind == "histogram" else SMALL
        if not dimensions:
            return self._rest(key, area)
        if not self._free[area] or len(key) > KEY_BYTES:
            self._slab.words[slabs.REFUSED] += 1
            self.crowded = True
            return self._rest(orjson.dumps([name, kind, unit]), area)
        number = self._free[area].pop()
        self._slab.take(area, number, key)
        series = Series(self._slab.cells, area.cell_at(number))
        self._places[key] = area, number, series
        return series

    def _rest(self, key: bytes, area: Area) -> Series:
        rest = self._rests.get(key)
        if rest is None:
            number = self._rests_free[area].pop()
            self._slab.take(area, number, key)
            rest = self._rests[key] = Series(self._slab.cells, area.cell_at(number))
        return rest

    def add_refusals(self, refused: int, dropped: int) -> None:
        """Count how often series of another process found no room, and how many have made it."""
        self._slab.words[slabs.REFUSED] += refused
        self._slab.words[slabs.DROPPED] += dropped

    def look(self) -> None:
        """Make room, if some was needed in the last minute. To be called once a second."""
        self._looks += 1
        if self.crowded and self._looks >= SWEEP_LOOKS:
            self.sweep()

    def sweep(self) -> None:
        """Add the series in which nothing was counted since the last sweep to the rest, and note the counts of the
        others."""
        self._looks = 0
        self.crowded = False
        words = self._slab.words
        counted: dict[bytes, float] = {}
        words[slabs.CHANGES] += 1
        for key, (area, number, series) in list(self._places.items()):
            cells = self._slab.counted(area, number)
            counted[key] = sum(cells[histograms.LOW :]) if area is LARGE else cells[0]
            if self._swept.get(key) == counted[key]:
                self._drop(key, area, number, series)
        self._swept = counted
        words[slabs.CHANGES] += 1
        for forget in self._forget:
            forget()

    def _drop(self, key: bytes, area: Area, number: int, series: Series) -> None:
        name, kind, unit, *_ = orjson.loads(key)
        rest = self._rest(orjson.dumps([name, kind, unit]), area)
        if kind != "gauge":
            for cell in range(area.cells):
                if self._slab.cells[series.at + cell]:
                    self._slab.move(series.at + cell, rest.at + cell)
        self._slab.free(area, number)
        del self._places[key]
        series.at = rest.at
        self._free[area].append(number)
        self._slab.words[slabs.DROPPED] += 1


def fold(gone: Slab, into: Counts) -> None:
    """Add the counts of an ended process to those of earlier ones, and clean its slab."""
    gone.finish_move()
    for area, number, key in gone.slots():
        if orjson.loads(key)[1] == "gauge":
            continue
        cells = gone.counted(area, number)
        at = into.placed(key)
        for cell, amount in enumerate(cells):
            if amount:
                at.cells[at.at + cell] += amount
    into.add_refusals(gone.words[slabs.REFUSED], gone.words[slabs.DROPPED])
    gone.clean()


_current = Counts(slabs.private())


def current() -> Counts:
    """What this process counts."""
    return _current


def use(slab: Slab) -> None:
    """From now on, count in this process's part of a server's memory. Called once, when the process begins."""
    global _current
    _current = Counts(slab)
