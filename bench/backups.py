"""`python -m bench.backups`: how fast backups, restores and archives are, and what other requests notice of them.

The report goes to standard output, progress to standard error. Short by default. The goals, each with whether it is
met, are measured in one run, which takes about 20 minutes and begins nothing more after 40; the exit code is then 1 if
one is not met or was not measured:

    python -m bench.backups --goals

The server has one worker. A backup and a restore are measured alone first. Then windows without and with one take
turns, while two loads, of GetItem and PutItem on another table, go on: the ratio of the medians of their p99 is what
others notice. The table of these windows is smaller, so each pair of them is close together; with --goals, one backup
of the large one is made beside the loads, too. Last, a table with recovery is written to at full speed while another is
backed up again and again: the store's file grows by what the copies hold up, and the archive by its segments.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bench import load
from bench.growth.loading import fill
from bench.growth.service import STORE, into_memory, serving
from bench.load import Measurement, Unusable
from bench.measuring import WARM_SECONDS, Prepared, say
from bench.memory import MB
from bench.process import Running, unwind_when_asked
from bench.rows import row_of
from bench.signing import Client
from bench.tables import Table
from jedlik.upkeep import stats
from testing.data_folders import store_in, stored

FOLDER = Path(__file__).parent.parent / ".cache" / "backups"
"""On the disk that the checkout is on, so that a sync is a real one."""
OTHERS = Table("others", items=10_000)
CONNECTIONS = 8
"""For each of the two loads."""
BACKUP_BYTES = 500
RESTORE_BYTES = 200
POLL_SECONDS = 0.2
MOST_SECONDS = 600.0
GET, PUT = "GetItem", "PutItem"
SECTIONS = ("alone", "beside", "growth")
MILLION = 1_000_000
GROWING_BACKUPS = 3
"""Backups beside writes at full speed, at the most."""

Window = dict[str, Measurement]
"""A measurement of each load, at the same time."""
Figures = dict[str, float]
"""What was measured, by the names of goals."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal, and the bound of its figure."""

    what: str
    bound: float
    at_least: bool = False

    def line(self, figure: float | None) -> str:
        """Its line in the report."""
        shown = "not measured" if figure is None else f"{figure:,.2f}"
        words = f"at {'least' if self.at_least else 'most'} {self.bound:,g}"
        return f"| {self.what} | {words} | {shown} | {'yes' if self.is_met(figure) else 'no'} |"

    def is_met(self, figure: float | None) -> bool:
        """Whether a figure meets it."""
        return figure is not None and (figure >= self.bound if self.at_least else figure <= self.bound)


GOALS = {
    "backup alone": Goal("seconds of a backup of a million items of 500 bytes", 30),
    "restore alone": Goal("items of 200 bytes restored in a second", 50_000, at_least=True),
    "backup beside": Goal("seconds of the same backup beside load", 120),
    "backup GetItem": Goal("p99 of GetItem beside a backup, over that without", 1.3),
    "backup PutItem": Goal("p99 of PutItem beside a backup, over that without", 1.3),
    "restore GetItem": Goal("p99 of GetItem beside a restore, over that without", 2),
    "restore PutItem": Goal("p99 of PutItem beside a restore, over that without", 2),
    "growth": Goal("MB by which the store's file grows beside writes at full speed", 1000),
}


def main() -> int:
    """Measure what the command line names. Returns the exit code."""
    options = _options()
    unwind_when_asked()
    try:
        load.program()
    except Unusable as error:
        say(str(error))
        return 2
    print(f"Command: `python -m bench.backups {' '.join(sys.argv[1:])}`\n")
    figures: Figures = {}
    try:
        for line in _report(options, figures):
            print(line, flush=True)
    finally:
        if not options.keep:
            shutil.rmtree(FOLDER, ignore_errors=True)
    if not options.goals:
        return 0
    print("\n## Goals\n\n| goal | bound | measured | met |\n|---|---|---|---|")
    for name, goal in GOALS.items():
        print(goal.line(figures.get(name)))
    return 0 if all(goal.is_met(figures.get(name)) for name, goal in GOALS.items()) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m bench.backups", description="Measure backups and restores.")
    parser.add_argument("--items", type=int, default=100_000, help="in a table (default: %(default)s)")
    parser.add_argument("--windows", type=int, default=3, help="pairs of windows (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=2, help="length of a window (default: %(default)s)")
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=SECTIONS, help="default: all")
    parser.add_argument("--window-items", type=int, help="in the table of windows (default: as many, at most 200,000)")
    parser.add_argument("--goals", action="store_true", help="measure the goals, with a million items and ten windows")
    parser.add_argument(
        "--minutes", type=float, default=40.0, help="begin nothing after so long (default: %(default)s)"
    )
    parser.add_argument("--keep", action="store_true", help="keep the loaded store for another run")
    options = parser.parse_args()
    if options.goals:
        options.items, options.windows, options.seconds, options.sections = MILLION, 10, 5, SECTIONS
    if options.window_items is None:
        options.window_items = min(options.items, 200_000)
    return options


def _report(options: argparse.Namespace, figures: Figures) -> Iterator[str]:
    sizes = sorted({BACKUP_BYTES, RESTORE_BYTES})
    tables = [Table(f"of-{size}", items=options.items, item_bytes=size) for size in sizes]
    small = [Table(f"windows-of-{size}", items=options.window_items, item_bytes=size) for size in sizes]
    deadline = Deadline(options.minutes)
    with serving(FOLDER, verify=False) as server:
        for table in (OTHERS, *tables, *small):
            fill(server, table)
    into_memory(FOLDER)
    with serving(FOLDER) as server:
        work = Work(server)
        if "alone" in options.sections:
            yield from _alone(work, tables, figures)
        if "beside" in options.sections:
            yield from _beside(work, small, options, figures, deadline)
            if options.goals and not deadline.is_over:
                yield from _large_beside(work, tables[-1], options, figures)
        if "growth" in options.sections and not deadline.is_over:
            yield from _growth(work, tables[-1], options, figures, deadline)


class Deadline:
    """When nothing more is begun."""

    def __init__(self, minutes: float) -> None:
        self._end = time.perf_counter() + 60 * minutes

    @property
    def is_over(self) -> bool:
        """Whether it has come."""
        return time.perf_counter() > self._end


class Work:
    """Backups and restores on a server, one at a time."""

    def __init__(self, server: Running) -> None:
        self.server = server
        self.client: Client = server.client()
        self._number = 0

    def back_up(self, table: str) -> str:
        """Begin a backup; its ARN."""
        made = self.client.call("CreateBackup", {"TableName": table, "BackupName": "bench"})
        arn: str = made["BackupDetails"]["BackupArn"]
        return arn

    def is_made(self, arn: str) -> bool:
        """Whether a backup is AVAILABLE."""
        found = self.client.call("DescribeBackup", {"BackupArn": arn})["BackupDescription"]["BackupDetails"]
        return bool(found["BackupStatus"] == "AVAILABLE")

    def restore(self, arn: str) -> str:
        """Begin to restore a backup; the table's name."""
        self._number += 1
        name = f"restored-{self._number}"
        self.client.call("RestoreTableFromBackup", {"BackupArn": arn, "TargetTableName": name})
        return name

    def is_restored(self, name: str) -> bool:
        """Whether a table is ACTIVE."""
        found = self.client.call("DescribeTable", {"TableName": name})["Table"]
        return bool(found["TableStatus"] == "ACTIVE")

    def until(self, holds: Callable[[], bool]) -> float:
        """Wait; the seconds that it took."""
        begun = time.perf_counter()
        while not holds():
            if time.perf_counter() - begun > MOST_SECONDS:
                raise TimeoutError(f"it took more than {MOST_SECONDS} s")
            time.sleep(POLL_SECONDS)
        return time.perf_counter() - begun

    def away(self, arn: str, *tables: str) -> None:
        """Delete a backup and tables."""
        self.client.call("DeleteBackup", {"BackupArn": arn})
        for table in tables:
            self.client.call("DeleteTable", {"TableName": table})


def _alone(work: Work, tables: list[Table], figures: Figures) -> Iterator[str]:
    yield "## Alone\n"
    yield "| what | items | bytes each | s | items/s |"
    yield "|---|---|---|---|---|"
    for table in tables:
        arn = work.back_up(table.name)
        made = work.until(lambda arn=arn: work.is_made(arn))  # type: ignore[misc]
        yield _speed("backup", table, made)
        name = work.restore(arn)
        restored = work.until(lambda name=name: work.is_restored(name))  # type: ignore[misc]
        yield _speed("restore", table, restored)
        if table.item_bytes == BACKUP_BYTES:
            figures["backup alone"] = made * MILLION / table.items
        if table.item_bytes == RESTORE_BYTES:
            figures["restore alone"] = table.items / restored
        work.away(arn, name)
    yield ""


def _speed(what: str, table: Table, seconds: float) -> str:
    return f"| {what} | {table.items:,} | {table.item_bytes} | {seconds:.1f} | {table.items / seconds:,.0f} |"


def _loads(work: Work) -> dict[str, Prepared]:
    loads = {name: Prepared(row_of(name, OTHERS), work.server, work.server) for name in (GET, PUT)}
    _window(loads, WARM_SECONDS)
    return loads


def _beside(
    work: Work, tables: list[Table], options: argparse.Namespace, figures: Figures, deadline: Deadline
) -> Iterator[str]:
    """Windows without and with a backup, and then without and with a restore, in turns."""
    small, large = tables[0], tables[-1]
    loads = _loads(work)
    yield "## Beside load\n"
    yield "| beside | of | windows | p99 without, ms | p99 with, ms | ratio of medians |"
    yield "|---|---|---|---|---|---|"
    arn = work.back_up(small.name)
    work.until(lambda: work.is_made(arn))
    for what in ("backup", "restore"):
        without: list[Window] = []
        beside: list[Window] = []
        took = 0.0
        while len(beside) < options.windows and not deadline.is_over:
            without.append(_window(loads, options.seconds))
            begun = time.perf_counter()
            made = work.back_up(large.name) if what == "backup" else work.restore(arn)
            goes_on = work.is_made if what == "backup" else work.is_restored
            beside.append(_window(loads, options.seconds))
            if goes_on(made):
                say(f"the {what} was over before the window of {options.seconds} s: take more --items")
            while not goes_on(made):
                _window(loads, options.seconds)
            took = max(took, time.perf_counter() - begun)
            work.away(made) if what == "backup" else work.client.call("DeleteTable", {"TableName": made})
            say(f"{what}: {len(beside)} of {options.windows} windows")
        for name in loads if beside else ():
            before = statistics.median(one[name].p99 for one in without)
            meanwhile = statistics.median(one[name].p99 for one in beside)
            yield f"| {what} | {name} | {len(beside)} | {before:.2f} | {meanwhile:.2f} | {meanwhile / before:.2f} |"
            if len(beside) == options.windows:
                figures[f"{what} {name}"] = meanwhile / before
        table = large if what == "backup" else small
        yield ""
        yield f"The longest {what} of {table.items:,} items of {table.item_bytes} bytes beside load: {took:.1f} s."
        yield ""
    work.away(arn)


def _large_beside(work: Work, table: Table, options: argparse.Namespace, figures: Figures) -> Iterator[str]:
    """A backup of the large table, with the same loads."""
    loads = _loads(work)
    begun = time.perf_counter()
    arn = work.back_up(table.name)
    while not work.is_made(arn) and time.perf_counter() - begun < MOST_SECONDS:
        _window(loads, options.seconds)
    took = time.perf_counter() - begun
    figures["backup beside"] = took * MILLION / table.items
    yield f"A backup of {table.items:,} items of {table.item_bytes} bytes beside load: {took:.1f} s."
    yield ""
    work.until(lambda: work.is_made(arn))
    work.away(arn)


def _window(loads: dict[str, Prepared], seconds: int) -> Window:
    with ThreadPoolExecutor(len(loads)) as pool:
        runs = {name: pool.submit(one.run, CONNECTIONS, seconds, 1) for name, one in loads.items()}
        return {name: run.result() for name, run in runs.items()}


def _growth(
    work: Work, table: Table, options: argparse.Namespace, figures: Figures, deadline: Deadline
) -> Iterator[str]:
    """The store's file and the archive while a table with recovery is written to at full speed and backed up."""
    file = work.server.folder / STORE
    on = {"PointInTimeRecoveryEnabled": True}
    work.client.call("UpdateContinuousBackups", {"TableName": OTHERS.name, "PointInTimeRecoverySpecification": on})
    puts = Prepared(row_of(PUT, OTHERS), work.server, work.server)
    before = file.stat().st_size
    writes = 0
    largest = before
    made = 0
    while made < min(options.windows, GROWING_BACKUPS) and not (made and deadline.is_over):
        made += 1
        arn = work.back_up(table.name)
        while True:
            writes += puts.run(2 * CONNECTIONS, options.seconds, 1).answers
            largest = max(largest, file.stat().st_size)
            if work.is_made(arn):
                break
        work.away(arn)

    def archived() -> stats.RecoveryStats | None:
        found = stats.of_store(stored(store_in(work.server.folder / "data")))
        [one] = [shown.recovery for shown in found.tables if shown.name == OTHERS.name]
        return one if one is not None and one.waiting == 0 else None

    say("waiting until all changes are archived: up to a minute")
    work.until(lambda: archived() is not None)
    recovery = archived()
    assert recovery is not None
    figures["growth"] = (largest - before) / MB
    yield "## Writes at full speed\n"
    yield f"{writes:,} puts of {OTHERS.item_bytes} bytes beside {made} backups of {table.items:,} items."
    yield f"The store's file had {before / MB:,.0f} MB, and {(largest - before) / MB:,.0f} MB more at the most."
    yield f"The archive has {recovery.stored / max(writes, 1):.0f} bytes for each change."


if __name__ == "__main__":
    sys.exit(main())
