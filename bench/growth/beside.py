"""What other requests notice of background work: reads and writes of a small table, before the work and during it.

Two loads run side by side, in windows of a few seconds: Get and Put of a table of 10 thousand items, each on a few
connections.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from bench.growth.turns import median
from bench.load import Measurement
from bench.measuring import WARM_SECONDS, Prepared, Shape
from bench.process import Running
from bench.rows import row_of
from bench.tables import Table

TABLE = Table("others", items=10_000)
CONNECTIONS = 8
"""For each of the two loads."""
QUIET_WINDOWS = 4
MOST_WINDOWS = 12
"""The most windows during the work. If it goes on for longer, others notice the same of it."""

Window = dict[str, Measurement]
"""A measurement of each of the two loads, at the same time."""


class Others:
    """The loads, on a server that holds their table."""

    def __init__(self, server: Running, shape: Shape) -> None:
        self._loads = {name: Prepared(row_of(name, TABLE), server, server) for name in ("GetItem", "PutItem")}
        self._shape = shape

    def _window(self, seconds: int) -> Window:
        """Run both for some seconds."""
        with ThreadPoolExecutor(len(self._loads)) as pool:
            runs = {
                name: pool.submit(load.run, CONNECTIONS, seconds, self._shape.threads)
                for name, load in self._loads.items()
            }
            return {name: run.result() for name, run in runs.items()}

    def compare(self, begin: Callable[[], None], goes_on: Callable[[], bool]) -> Iterator[str]:
        """Lines of a table: windows before `begin`, then windows while the work `goes_on`, up to `MOST_WINDOWS`."""
        self._window(WARM_SECONDS)
        before = [self._window(self._shape.seconds) for _ in range(QUIET_WINDOWS)]
        begin()
        during = [self._window(self._shape.seconds)]
        while goes_on() and len(during) < MOST_WINDOWS:
            during.append(self._window(self._shape.seconds))
        yield "| others' | when | windows | answers/s | p50 ms | p99 ms | worst window's p99 | its ratio to before's |"
        yield "|---|---|---|---|---|---|---|---|"
        for name in self._loads:
            usual = max(window[name].p99 for window in before)
            for when, windows in (("before", before), ("meanwhile", during)):
                yield _line(name, when, [window[name] for window in windows], usual)


def _line(name: str, when: str, runs: Sequence[Measurement], usual: float) -> str:
    middle = median(runs)
    worst = max(run.p99 for run in runs)
    return (
        f"| {name} | {when} | {len(runs)} | {middle.per_second:,.0f} | {middle.p50:.2f} | {middle.p99:.2f} "
        f"| {worst:.2f} | {worst / usual:.2f} |"
    )
