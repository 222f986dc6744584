"""`python -m bench`: start the servers, load them, measure them in turns, print the report.

The report goes to standard output, what is going on to standard error. The exit code is 1 when a row of a server could
not be reported.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import islice, repeat
from pathlib import Path
from random import Random

from bench import load, rows
from bench.peers import PEERS, Peer
from bench.process import Running
from bench.results import Idle, Results, report
from bench.rows import ROWS, Row
from bench.signing import Client, Refused

FOLDER = Path(__file__).parent.parent / ".cache" / "bench"
"""Where the servers keep their data: on the disk that the checkout is on, so that a sync is a real one."""
SEED = 20121008
STARTS = 5
"""How often each server is started to see how long that takes."""
IDLE_SECONDS = 1.0
"""Until a server that has started has come to rest."""
WARM_SECONDS = 1
LOADERS = 8
SIGNATURE_SECONDS = 600.0
"""Requests older than this are signed again before a run; they hold for 900."""
MOST_SECONDS = 120
"""The longest run: it must end before its signatures do."""


def main() -> int:
    """Run the benchmark as the command line says."""
    options = _options()
    peers = tuple(peer for peer in PEERS if peer.name in options.servers)
    wanted = tuple(row for row in ROWS if not options.rows or row.name in options.rows)
    runs = len(wanted) * len(options.connections) * options.rounds * len(peers)
    _say(f"{runs} runs of {options.seconds} s: about {runs * (options.seconds + 1) / 60 + 1:.0f} minutes")
    try:
        load.program()
        for peer in peers:
            peer.install()
    except load.Unusable as error:
        _say(str(error))
        return 2
    results = Results()
    shape = (
        f"{rows.ITEMS:,} items of 200 bytes; median of {options.rounds} alternating runs of {options.seconds} s "
        "on one wrk thread; requests signed beforehand"
    )
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, FOLDER, ignore_errors=True)
        servers = _start(peers, results, stack)
        _load([server for server in servers if not server.peer.is_floor])
        for row in wanted:
            _measure(row, servers, results, options.connections, options.rounds, options.seconds)
        command = " ".join(["python -m bench", *sys.argv[1:]])
        print(report(results, peers, command, shape), flush=True)
    return 1 if results.refused else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m bench", description="Compare Jedlik's speed with other servers'.")
    parser.add_argument("--seconds", type=int, default=5, help="length of a run (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each server in a row (default: %(default)s)")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 16, 64], help="default: 1 16 64")
    names = [row.name for row in ROWS]
    parser.add_argument("--rows", nargs="+", choices=names, metavar="ROW", help=f"of: {', '.join(names)}")
    servers = [peer.name for peer in PEERS]
    parser.add_argument(
        "--servers", nargs="+", choices=servers, default=servers, metavar="SERVER", help=f"of: {', '.join(servers)}"
    )
    options = parser.parse_args()
    if not 1 <= options.seconds <= MOST_SECONDS:
        parser.error(f"--seconds must be from 1 to {MOST_SECONDS}")
    return options


def _start(peers: Sequence[Peer], results: Results, stack: ExitStack) -> list[Running]:
    """Start each server several times, in turns; the last of each stays, and ends with the stack."""
    times: dict[str, list[float]] = {peer.name: [] for peer in peers}
    for turn in range(STARTS - 1):
        _say(f"starting the servers, {turn + 1} of {STARTS}")
        for peer in peers:
            server = Running(peer, FOLDER / peer.name)
            times[peer.name].append(server.first_answer)
            server.stop()
    servers = []
    for peer in peers:
        server = Running(peer, FOLDER / peer.name)
        stack.callback(server.stop)
        times[peer.name].append(server.first_answer)
        time.sleep(IDLE_SECONDS)
        results.idle[peer.name] = Idle(times[peer.name], server.resident())
        servers.append(server)
    return servers


def _load(servers: Sequence[Running]) -> None:
    """Put the items into each server."""
    for server in servers:
        started = time.perf_counter()
        client = server.client()
        client.call("CreateTable", rows.CREATE_TABLE)
        while client.call("DescribeTable", {"TableName": rows.TABLE})["Table"]["TableStatus"] != "ACTIVE":
            time.sleep(0.05)
        client.close()
        with ThreadPoolExecutor(LOADERS) as pool:
            list(pool.map(_put_part, repeat(server), range(LOADERS)))
        _say(f"{rows.ITEMS:,} items into {server.peer.name}: {time.perf_counter() - started:.1f} s")


def _put_part(server: Running, part: int) -> None:
    client = server.client()
    for first in range(part * rows.BATCH_ITEMS, rows.ITEMS, LOADERS * rows.BATCH_ITEMS):
        answer = client.call("BatchWriteItem", rows.batch(first))
        if answer["UnprocessedItems"]:
            raise Refused(f"{server.peer.name} did not take all of a batch")
    client.close()


class Prepared:
    """A row's requests for one server, in a file, signed not too long ago."""

    def __init__(self, row: Row, server: Running, asked: Running) -> None:
        self.row = row
        self.server = server
        self._asked = asked
        """Who is asked for what the row needs first: the server itself, if it holds items at all."""
        self.path = FOLDER / f"{row.operation} {server.peer.name}"
        self._signed_at = float("-inf")

    def renew(self) -> None:
        """Sign the requests again if it is time, having asked the first one to see that its answer is right."""
        if time.monotonic() < self._signed_at + SIGNATURE_SECONDS:
            return
        client = Client(self._asked.signer)
        bodies = list(islice(self.row.bodies(client.call, Random(SEED)), self.row.requests))
        answer = client.call(self.row.operation, bodies[0])
        client.close()
        if not self.row.right(answer):
            raise Refused(f"{self.row.operation} answered {str(answer)[:500]}")
        self._signed_at = time.monotonic()
        load.write((self.server.signer.sign(self.row.operation, body) for body in bodies), self.path)


def _measure(
    row: Row,
    servers: Sequence[Running],
    results: Results,
    connections: Sequence[int],
    rounds: int,
    seconds: int,
) -> None:
    """Measure a row on every server that can do it."""
    able = [server for server in servers if server.peer.is_floor or row.needs <= server.peer.offers]
    holder = next(server for server in able if not server.peer.is_floor)
    prepared = [Prepared(row, server, holder if server.peer.is_floor else server) for server in able]
    _say(f"{row.name}: preparing the requests")
    for requests in prepared:
        _run(requests, results, max(connections), WARM_SECONDS, keep=False)
    for count in connections:
        for turn in range(rounds):
            for requests in prepared:
                _run(requests, results, count, seconds, keep=True)
            rates = ", ".join(
                f"{requests.server.peer.name} {runs[-1].per_second:,.0f}"
                for requests in prepared
                if (runs := results.runs.get((row.name, count, requests.server.peer.name)))
            )
            _say(f"{row.name} at {count}, run {turn + 1} of {rounds}: {rates}")


def _run(requests: Prepared, results: Results, connections: int, seconds: int, keep: bool) -> None:
    """One run; a row with a wrong answer is not run again."""
    row, peer = requests.row.name, requests.server.peer.name
    if (row, peer) in results.refused:
        return
    try:
        requests.renew()
    except Refused as error:
        results.refuse(row, peer, str(error))
        return
    measured = load.run(requests.server.url, requests.path, connections, seconds)
    if measured.errors:
        results.refuse(row, peer, f"{measured.errors} answers at {connections} connections were errors")
    elif keep:
        results.runs.setdefault((row, connections, peer), []).append(measured)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
