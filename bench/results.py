"""What was measured, and the report of it in Markdown."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bench.load import Measurement, version
from bench.peers import JEDLIK, Peer

MB = 1_000_000
ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Idle:
    """A server that has just started: times in seconds, memory in bytes."""

    first_answers: list[float]
    resident: int


@dataclass(slots=True)
class Results:
    """All of a run's figures."""

    idle: dict[str, Idle] = field(default_factory=dict)
    """By server."""
    runs: dict[tuple[str, int, str], list[Measurement]] = field(default_factory=dict)
    """By row, connections and server."""
    refused: dict[tuple[str, str], str] = field(default_factory=dict)
    """Why a row is not reported, by row and server."""

    def refuse(self, row: str, peer: str, reason: str) -> None:
        """Report nothing of this row for this server."""
        self.refused[row, peer] = reason
        self.runs = {place: runs for place, runs in self.runs.items() if (place[0], place[2]) != (row, peer)}

    def per_second(self, row: str, connections: int, peer: str) -> float | None:
        """The median of the runs' answers a second; None when there are no runs."""
        runs = self.runs.get((row, connections, peer))
        return statistics.median(run.per_second for run in runs) if runs else None

    def p50(self, row: str, connections: int, peer: str) -> float | None:
        """The median of the runs' median latencies, in milliseconds."""
        runs = self.runs.get((row, connections, peer))
        return statistics.median(run.p50 for run in runs) if runs else None


@dataclass(frozen=True, slots=True)
class Goal:
    """Something to reach: a figure of Jedlik's over another, mostly the same of another server's."""

    row: str
    connections: int
    peer: str
    bound: float
    latency: bool = False
    """Compare the median latency, which must be at most `bound` times the other's; else the throughput, at least."""
    other_row: str | None = None
    """The row of the other figure, if it is not the same."""


FIRST_ANSWER_SECONDS = 0.6
RESIDENT_BYTES = 80 * MB
GOALS = (
    Goal("GetItem", 16, "floor", bound=0.15),
    Goal("GetItem", 16, "dynalite", bound=1.0),
    Goal("PutItem", 64, "dynalite", bound=1.5),
    Goal("GetItem", 1, "floor", latency=True, bound=1.6),
    Goal("PutItem with a stream", 16, "Jedlik", other_row="PutItem", bound=1 / 1.5),
)


def report(results: Results, peers: tuple[Peer, ...], command: str, shape: str) -> str:
    """The whole report."""
    return "\n".join(
        [
            f"# Jedlik beside other servers, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            "",
            *_circumstances(peers, command, shape),
            "",
            *_idle_table(results),
            "",
            *_runs_table(results),
            "",
            *_refusals(results),
            *_goals_table(results),
        ]
    )


def _circumstances(peers: tuple[Peer, ...], command: str, shape: str) -> Iterator[str]:
    yield f"- Command: `{command}`"
    yield f"- Load: {version()}; {shape}"
    yield f"- Machine: {_machine()}"
    for peer in peers:
        yield f"- {peer.name} ({peer.version()}): {peer.about}"


def _machine() -> str:
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = models[0].split(":", 1)[1].strip() if models else platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    kind = subprocess.run(
        ["stat", "--file-system", "--format=%T", str(ROOT)], capture_output=True, text=True, timeout=10, check=True
    )
    cores = len(os.sched_getaffinity(0))
    load, _, _ = os.getloadavg()
    return (
        f"{cores} cores of {model}, {memory / 2**30:.0f} GiB, Linux {platform.release()}, "
        f"file system {kind.stdout.strip()}, load average at the end {load:.1f}"
    )


def _idle_table(results: Results) -> Iterator[str]:
    yield "| server | start to first answer, ms | resident when idle, MB |"
    yield "|---|---|---|"
    for name, idle in results.idle.items():
        times = sorted(1000 * seconds for seconds in idle.first_answers)
        spread = f"{statistics.median(times):.0f} ({times[0]:.0f} to {times[-1]:.0f})"
        yield f"| {name} | {spread} | {idle.resident / MB:.0f} |"


def _runs_table(results: Results) -> Iterator[str]:
    yield (
        "| row | connections | server | answers/s | spread of runs | p50 ms | p99 ms "
        "| Jedlik's answers/s ÷ this | Jedlik's p50 ÷ this |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for (row, connections, peer), runs in results.runs.items():
        rates = sorted(run.per_second for run in runs)
        p99 = statistics.median(run.p99 for run in runs)
        per_second, p50 = statistics.median(rates), statistics.median(run.p50 for run in runs)
        ours = results.per_second(row, connections, JEDLIK.name)
        our_p50 = results.p50(row, connections, JEDLIK.name)
        yield (
            f"| {row} | {connections} | {peer} | {per_second:,.0f} | {rates[0]:,.0f} to {rates[-1]:,.0f} "
            f"| {p50:.3f} | {p99:.2f} | {_ratio(ours, per_second)} | {_ratio(our_p50, p50)} |"
        )


def _refusals(results: Results) -> Iterator[str]:
    for (row, peer), reason in results.refused.items():
        yield f"- Not reported: {row} on {peer}: {reason}"
    if results.refused:
        yield ""


def _goals_table(results: Results) -> Iterator[str]:
    yield "| goal | measured | reached |"
    yield "|---|---|---|"
    for goal in GOALS:
        read = results.p50 if goal.latency else results.per_second
        ours = read(goal.row, goal.connections, JEDLIK.name)
        theirs = read(goal.other_row or goal.row, goal.connections, goal.peer)
        what = "p50, at most" if goal.latency else "answers/s, at least"
        text = (
            f"{goal.row} at {goal.connections}: {what} {goal.bound:.2f} of {goal.peer}'s {goal.other_row or ''}".strip()
        )
        if ours is None or theirs is None:
            yield f"| {text} | not measured | |"
        else:
            ratio = ours / theirs
            yield f"| {text} | {ratio:.2f} | {_yes(ratio <= goal.bound if goal.latency else ratio >= goal.bound)} |"
    if idle := results.idle.get(JEDLIK.name):
        first = statistics.median(idle.first_answers)
        yield (
            f"| start to first answer under {1000 * FIRST_ANSWER_SECONDS:.0f} ms "
            f"| {1000 * first:.0f} ms | {_yes(first < FIRST_ANSWER_SECONDS)} |"
        )
        yield (
            f"| resident when idle under {RESIDENT_BYTES / MB:.0f} MB "
            f"| {idle.resident / MB:.0f} MB | {_yes(idle.resident < RESIDENT_BYTES)} |"
        )


def _ratio(ours: float | None, theirs: float) -> str:
    return f"{ours / theirs:.2f}" if ours is not None and theirs else "–"


def _yes(reached: bool) -> str:
    return "yes" if reached else "**no**"
