"""The report of a run, in Markdown."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path

from bench.goals import goals_table
from bench.memory import MB
from bench.peers import JEDLIK, OURS, Peer
from bench.results import Results, Spread
from bench.rows import Row

ROOT = Path(__file__).parent.parent


def report(results: Results, peers: Sequence[Peer], rows: Sequence[Row], command: str, shape: str) -> str:
    """The whole report: a table for each way in which Jedlik was started, in which all others are compared with it."""
    parts = [_circumstances(results, peers, command, shape), _idle_table(results)]
    names = {ours.name for ours in OURS}
    for ours in (peer for peer in peers if peer.name in names):
        is_single = ours.name == JEDLIK.name
        others = [peer for peer in peers if peer.name not in names and (peer.is_rival or peer.is_floor or is_single)]
        parts += [_rows_table(results, ours, others, rows), _behind(results, ours, others, rows)]
    parts += [_refusals(results), goals_table(results)]
    title = f"# Jedlik beside other servers, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    return "\n\n".join(text for text in (title, *map("\n".join, parts)) if text)


def _circumstances(results: Results, peers: Sequence[Peer], command: str, shape: str) -> Iterator[str]:
    yield f"- Command: `{command}`"
    yield f"- Code: {_said('git', 'describe', '--always', '--dirty', '--abbrev=12') or 'not in a git checkout'}"
    yield f"- Load: {shape}"
    yield f"- Machine: {_machine()}"
    for peer in peers:
        yield f"- {peer.name} ({peer.version()}): {peer.about}"
    for name, reason in results.absent.items():
        yield f"- {name} is absent: {reason}"


def _machine() -> str:
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = models[0].split(":", 1)[1].strip() if models else platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cores = len(os.sched_getaffinity(0))
    load, _, _ = os.getloadavg()
    return (
        f"{cores} cores of {model}, {memory / 2**30:.0f} GiB, Linux {platform.release()}, "
        f"file system {_said('stat', '--file-system', '--format=%T', str(ROOT))}, load average at the end {load:.1f}"
    )


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=10, cwd=ROOT, check=False).stdout.strip()


def _idle_table(results: Results) -> Iterator[str]:
    yield "| server | start to first answer, ms | resident when idle, MB |"
    yield "|---|---|---|"
    for name, idle in results.idle.items():
        times = Spread.of(1000 * seconds for seconds in idle.first_answers)
        yield f"| {name} | {_spread(times, '.0f')} | {idle.resident / MB:.0f} |"


def _rows_table(results: Results, ours: Peer, others: Sequence[Peer], rows: Sequence[Row]) -> Iterator[str]:
    yield f"## {ours.name}" + ("" if ours.name != JEDLIK.name else ", one worker")
    yield ""
    yield "Its figures, how many times each other server's throughput its throughput is, and the other's p99 in ms:"
    yield ""
    yield f"| row | connections | {ours.name} | p50 ms | p99 ms |" + "".join(
        f" ÷ {peer.name}; p99 |" for peer in others
    )
    yield "|---" * (5 + len(others)) + "|"
    connections = sorted({place[1] for place in results.runs})
    for row in rows:
        for count in connections:
            cells = [row.name, str(count), *_ours(results, ours, row, count)]
            cells += [_compared(results, ours, row.name, count, peer.name) for peer in others]
            yield f"| {' | '.join(cells)} |"


def _ours(results: Results, ours: Peer, row: Row, connections: int) -> tuple[str, str, str]:
    place = (row.name, connections, ours.name)
    runs = results.runs.get(place)
    if not runs:
        return "refused", "", ""
    rates = Spread.of(run.per_second for run in runs)
    p50, p99 = results.figure(place, attrgetter("p50")), results.figure(place, attrgetter("p99"))
    return f"{_spread(rates, ',.0f')} {row.unit}", f"{p50:.3f}", f"{p99:.2f}"


def _compared(results: Results, ours: Peer, row: str, connections: int, peer: str) -> str:
    if (row, peer) in results.refused:
        return "refused"
    ahead = results.ahead(row, connections, peer, ours.name)
    p99 = results.figure((row, connections, peer), attrgetter("p99"))
    return f"{_spread(ahead, '.2f')}; {p99:.2f}" if ahead else ""


def _spread(spread: Spread, form: str) -> str:
    return f"{spread.median:{form}} ({spread.least:{form}} to {spread.most:{form}})"


def _refusals(results: Results) -> Iterator[str]:
    for (row, peer), reason in results.refused.items():
        yield f"- {peer} refused {row}: {' '.join(reason.split())}"


def _behind(results: Results, ours: Peer, others: Sequence[Peer], rows: Sequence[Row]) -> Iterator[str]:
    """The rows where another program was faster in the median."""
    places = [(row.name, count) for row in rows for count in sorted({place[1] for place in results.runs})]
    behind = [
        f"- {row} at {count}: {_spread(ahead, '.2f')} of {peer.name}"
        for row, count in places
        for peer in others
        if peer.is_rival and (ahead := results.ahead(row, count, peer.name, ours.name)) and ahead.median < 1
    ]
    if behind:
        yield f"{ours.name} is behind here:"
        yield ""
        yield from behind
    elif any(peer.is_rival for peer in others):
        yield f"{ours.name} is ahead everywhere."
    else:
        yield "No other program was measured."
