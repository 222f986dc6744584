"""`python -m bench`: start the servers, measure them in turns, print the report.

The report goes to standard output, progress to standard error. The exit code is 1 if a row of Jedlik's could not be
reported, 2 if nothing could be measured.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bench import dax_hits, load
from bench.load import Unusable
from bench.measuring import MOST_SECONDS, Filled, Shape, measure, say
from bench.peers import FLOOR, NOT_SEALED, OURS, RIVALS, Peer, jedlik
from bench.process import Running, unwind_when_asked
from bench.report import report
from bench.results import Idle, Results
from bench.rows import SIZES, Row, rows
from bench.signing import Refused

FOLDER = Path(__file__).parent.parent / ".cache" / "bench"
"""The folder of the servers' data: on the disk that the checkout is on, so that a sync is a real one."""
IDLE_SECONDS = 1.0
"""Seconds that a server rests after its start."""
RUN_MORE_SECONDS = 0.3
"""Seconds that a run takes beyond its length: starting wrk, signing."""
OTHERS = (*RIVALS, NOT_SEALED, FLOOR)
"""What Jedlik can be compared with."""
ROW_MORE_SECONDS = 4.0
"""Seconds that a row takes for each server beyond its runs: filling a table, preparing, warming up."""


def main() -> int:
    """Run the benchmark with the options of the command line."""
    options = _options()
    unwind_when_asked()
    try:
        results = _measured(options)
    except Unusable as error:
        say(str(error))
        return 2
    if options.rows is None or dax_hits.NAME in options.rows:
        print(f"\n{dax_hits.section(options.rounds)}", flush=True)
    ours = {peer.name for peer in OURS}
    return 1 if any(peer in ours for _, peer in results.refused) else 0


def _measured(options: argparse.Namespace) -> Results:
    """Measure and report. Raises Unusable if wrk is missing or Jedlik does not start."""
    load.program()
    shape = Shape(options.connections, options.rounds, options.seconds, options.threads)
    wanted = [row for row in rows(options.sizes) if options.rows is None or row.name in options.rows]
    others = [peer for peer in OTHERS if peer.name in options.servers]
    if options.workers > 1:
        others.insert(0, jedlik(options.workers))
    results = Results()
    peers = [*OURS, *(peer for peer in others if _is_here(peer, results))]
    say(f"about {_minutes(len(wanted), len(peers), shape):.0f} minutes")
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, FOLDER, ignore_errors=True)
        servers = _start(peers, results, options.starts, stack)
        filled = Filled()
        for row in wanted:
            measure(row, servers, filled, results, shape)
        _print_report(results, [server.peer for server in servers], wanted, shape)
    return results


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m bench", description="Compare Jedlik's speed with other servers'.")
    parser.add_argument("--seconds", type=int, default=1, help="length of a run (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=20, help="runs of each server in a row (default: %(default)s)")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 16, 64], help="default: 1 16 64")
    parser.add_argument("--threads", type=int, default=1, help="of the load (default: %(default)s)")
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N", help="measure Jedlik with that many too, as a server of its own"
    )
    parser.add_argument(
        "--sizes",
        type=int,
        nargs="*",
        default=SIZES,
        metavar="BYTES",
        help=f"of larger items to get and put too (default: {' '.join(map(str, SIZES))})",
    )
    parser.add_argument(
        "--rows", nargs="+", metavar="ROW", help=f"of: {', '.join([*(row.name for row in rows()), dax_hits.NAME])}"
    )
    servers = [peer.name for peer in OTHERS]
    parser.add_argument(
        "--servers",
        nargs="*",
        choices=servers,
        default=servers,
        metavar="SERVER",
        help=f"to compare with, of: {', '.join(servers)}",
    )
    parser.add_argument(
        "--starts", type=int, default=5, help="starts of each server to see how long one takes (default: %(default)s)"
    )
    options = parser.parse_args()
    if not 1 <= options.seconds <= MOST_SECONDS:
        parser.error(f"--seconds must be from 1 to {MOST_SECONDS}")
    if min(options.rounds, options.threads, options.workers, options.starts, *options.connections) < 1:
        parser.error("--rounds, --connections, --threads, --workers and --starts must be at least 1")
    unknown = set(options.rows or ()) - {row.name for row in rows(options.sizes)} - {dax_hits.NAME}
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    return options


def _minutes(rows: int, peers: int, shape: Shape) -> float:
    """How long it will take."""
    runs = len(shape.connections) * shape.rounds
    return rows * peers * (runs * (shape.seconds + RUN_MORE_SECONDS) + ROW_MORE_SECONDS) / 60


def _is_here(peer: Peer, results: Results) -> bool:
    """Install a server if it is not installed yet. Returns whether that worked; if not, the results give the reason."""
    try:
        peer.install()
    except Unusable as error:
        _leave_out(peer, results, error)
        return False
    return True


def _leave_out(peer: Peer, results: Results, error: Exception) -> None:
    results.absent[peer.name] = " ".join(str(error).split())
    say(f"{peer.name} is absent: {error}")


def _start(peers: Sequence[Peer], results: Results, starts: int, stack: ExitStack) -> list[Running]:
    """Start each server several times, in turns. The last one of each stays, and ends with the stack.

    A server that does not start is left out. Raises Unusable if that is Jedlik.
    """
    times: dict[str, list[float]] = {peer.name: [] for peer in peers}
    servers: dict[str, Running] = {}
    for turn in range(starts):
        say(f"starting the servers, {turn + 1} of {starts}")
        for peer in peers:
            if peer.name in results.absent:
                continue
            if peer.name in servers:
                servers[peer.name].stop()
            try:
                servers[peer.name] = Running(peer, FOLDER / peer.name)
            except (Unusable, Refused, OSError) as error:
                if peer in OURS:
                    raise
                servers.pop(peer.name, None)
                _leave_out(peer, results, error)
                continue
            stack.callback(servers[peer.name].stop)
            times[peer.name].append(servers[peer.name].first_answer)
            time.sleep(IDLE_SECONDS if turn == starts - 1 else 0)
    for name, server in servers.items():
        results.idle[name] = Idle(times[name], server.memory().resident)
    return list(servers.values())


def _print_report(results: Results, peers: Sequence[Peer], wanted: Sequence[Row], shape: Shape) -> None:
    command = shlex.join(["python", "-m", "bench", *sys.argv[1:]])
    sent = (
        f"{load.version()}, threads: {shape.threads}; items of 200 bytes unless a row says otherwise; median of "
        f"{shape.rounds} alternating runs of {shape.seconds} s, with its interval of 95 % confidence (of fewer than "
        "six runs, least and most); requests signed beforehand"
    )
    print(report(results, peers, wanted, command, sent), flush=True)


if __name__ == "__main__":
    sys.exit(main())
