"""What others notice of background work: reads and writes of a small table, before it and while it goes on.

Two loads run side by side, in windows of some seconds: Get and Put of a table of 10 thousand items, on some connections
each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random

from bench import rows
from bench.growth.loading import Loader
from bench.growth.measuring import WARM_SECONDS, Request, Target, median
from bench.growth.options import Options
from bench.growth.service import make_table
from bench.load import Measurement
from bench.process import Running
from bench.signing import Body

TABLE = "others"
ITEMS = 10_000
CONNECTIONS = 8
"""Of each of the two loads."""
QUIET_WINDOWS = 4
MOST_WINDOWS = 12
"""While the work goes on. If it goes on for longer, others notice the same of it."""
_SEED = 8
_ALL_TAKEN = b'{"UnprocessedItems":{}}'

Window = dict[str, Measurement]
"""A measurement of each of the two loads, at the same time."""


def fill(server: Running) -> None:
    """Make the others' table. The server must not verify signatures."""
    make_table(server.client(), {**rows.CREATE_TABLE, "TableName": TABLE})
    batches = (rows.batch(first, table=TABLE) for first in range(0, ITEMS, rows.BATCH_ITEMS))
    Loader(server.signer).send(batches, lambda answer: answer == _ALL_TAKEN)


def _gets() -> Iterator[Body]:
    random = Random(_SEED)
    while True:
        yield {"TableName": TABLE, "Key": rows.key(random.randrange(ITEMS))}


def _puts() -> Iterator[Body]:
    numbers = Random(_SEED).sample(range(ITEMS), rows.REQUESTS // len(rows.VERSIONS))
    for version in rows.VERSIONS:
        for number in numbers:
            yield {"TableName": TABLE, "Item": rows.item(number, version)}


_REQUESTS = (
    Request("GetItem", _gets, lambda answer: "Item" in answer),
    Request("PutItem", _puts, lambda answer: not answer),
)


@dataclass(frozen=True, slots=True)
class Others:
    """The loads, made ready."""

    targets: dict[str, Target]
    seconds: int

    @classmethod
    def prepare(cls, server: Running, options: Options) -> Others:
        """Sign their requests."""
        folder: Path = options.folder
        prepared = {r.operation: Target.prepare(server, r, folder / f"others {r.operation}") for r in _REQUESTS}
        return cls(prepared, options.seconds)

    def window(self, seconds: int) -> Window:
        """Run both for some seconds."""
        with ThreadPoolExecutor(len(self.targets)) as pool:
            runs = {name: pool.submit(target.run, CONNECTIONS, seconds) for name, target in self.targets.items()}
            return {name: run.result() for name, run in runs.items()}

    def compare(self, begin: Callable[[], None], goes_on: Callable[[], bool]) -> Iterator[str]:
        """Lines of a table: quiet windows, then windows from `begin` on while it `goes_on`, up to `MOST_WINDOWS`."""
        self.window(WARM_SECONDS)
        before = [self.window(self.seconds) for _ in range(QUIET_WINDOWS)]
        begin()
        during = [self.window(self.seconds)]
        while goes_on() and len(during) < MOST_WINDOWS:
            during.append(self.window(self.seconds))
        yield "| others' | when | windows | answers/s | p50 ms | p99 ms | worst window's p99 | its ratio to before's |"
        yield "|---|---|---|---|---|---|---|---|"
        for name in self.targets:
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
