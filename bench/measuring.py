"""Measures one row after the other, all servers in turns: fills the row's table, prepares its requests, sends them.

A failure is noted in the results. It ends that row on that server, not the run.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice, repeat
from random import Random

from bench import load
from bench.load import Measurement
from bench.process import Running
from bench.results import Results
from bench.rows import Row
from bench.signing import Body, Client, Refused
from bench.tables import Table

SEED = 20121008
WARM_SECONDS = 1
LOADERS = 8
ACTIVE_SECONDS = 0.05
"""Seconds between two checks whether a table is ready."""
SIGNATURE_SECONDS = 600.0
"""Requests older than this are signed again before a run; they are valid for 900."""
MOST_SECONDS = 120
"""The longest run: it must end before its signatures do."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How each row is measured."""

    connections: Sequence[int]
    rounds: int
    """The runs of each server, for a row at a number of connections."""
    seconds: int
    """The length of a run."""
    threads: int
    """For the load."""


class Filled:
    """What tables the servers hold."""

    def __init__(self) -> None:
        self._done: set[tuple[str, str]] = set()

    def fill(self, server: Running, table: Table) -> None:
        """Create the table with its items, unless it exists. Raises Refused if the server refuses."""
        if (server.peer.name, table.name) in self._done:
            return
        started = time.perf_counter()
        client = server.client()
        made = make(client, table)
        client.close()
        if table.stream and "LatestStreamArn" not in made:
            raise Refused("CreateTable made a table without its stream")
        batches = list(table.batches())
        with ThreadPoolExecutor(LOADERS) as pool:
            list(pool.map(_put_batches, repeat(server), [batches[part::LOADERS] for part in range(LOADERS)]))
        self._done.add((server.peer.name, table.name))
        say(f"{table.items:,} items into {server.peer.name}: {time.perf_counter() - started:.1f} s")


def make(client: Client, table: Table) -> Body:
    """Create the table, and wait until it can be used. Returns its description."""
    client.call("CreateTable", table.creation())
    while True:
        made: Body = client.call("DescribeTable", {"TableName": table.name})["Table"]
        if made["TableStatus"] == "ACTIVE":
            return made
        time.sleep(ACTIVE_SECONDS)


def _put_batches(server: Running, batches: Iterable[Body]) -> None:
    client = server.client()
    for batch in batches:
        if client.call("BatchWriteItem", batch)["UnprocessedItems"]:
            raise Refused("BatchWriteItem left items unprocessed")
    client.close()


class Prepared:
    """A row's requests for one server, in a file in the server's folder, with recent signatures."""

    def __init__(self, row: Row, server: Running, asked: Running) -> None:
        self.row = row
        self.server = server
        self._amount = 1.0
        """The amount of the row's unit in one answer."""
        self._asked = asked
        """The server that a row's preparing questions go to: this one, if it holds items at all."""
        self.path = server.folder / f"{row.name} {row.table.name}"
        self._signed_at = float("-inf")
        self._sent = 0

    def run(self, connections: int, seconds: int, threads: int) -> Measurement:
        """Send the requests for `seconds`; `per_second` is in the row's unit.

        Raises Refused if an answer is wrong, OSError or subprocess.SubprocessError if no answer comes.
        """
        self._renew()
        measured = load.run(self.server.url, self.path, connections, threads, seconds, self._sent)
        self._sent += measured.answers + connections  # Requests that are unanswered at the end may have taken effect.
        if measured.errors:
            raise Refused(f"{measured.errors} errors in {seconds} s at {connections} connections")
        return replace(measured, per_second=measured.per_second * self._amount)

    def _renew(self) -> None:
        """If it is time, send the first request to check that its answer is right, and sign the requests again."""
        if time.monotonic() < self._signed_at + SIGNATURE_SECONDS:
            return
        client = Client(self._asked.signer)
        bodies = list(islice(self.row.bodies(self.row.table, client.call, Random(SEED)), self.row.requests))
        answer = client.call(self.row.operation, bodies[0])
        client.close()
        if not self._is_right(answer):
            raise Refused(f"{self.row.operation} answered {str(answer)[:300]}")
        self._amount = self.row.amount(answer)
        self._signed_at = time.monotonic()
        load.write((self.server.signer.sign(self.row.operation, body) for body in bodies), self.path)

    def _is_right(self, answer: Body) -> bool:
        try:
            return self.row.right(answer)
        except LookupError:  # The answer lacks a member.
            return False


def measure(row: Row, servers: Sequence[Running], filled: Filled, results: Results, shape: Shape) -> None:
    """Measure a row on every server."""
    say(f"{row.name}: preparing the requests")
    ours = servers[0]
    prepared = [
        Prepared(row, server, ours if server.peer.is_floor else server)
        for server in servers
        if server.peer.is_floor or _fill(row, server, filled, results)
    ]
    for requests in prepared:
        _run(requests, results, max(shape.connections), WARM_SECONDS, shape.threads, keep=False)
    for connections in shape.connections:
        for turn in range(shape.rounds):
            for requests in prepared:
                _run(requests, results, connections, shape.seconds, shape.threads, keep=True)
            rates = ", ".join(
                f"{requests.server.peer.name} {runs[-1].per_second:,.0f}"
                for requests in prepared
                if (runs := results.runs.get((row.name, connections, requests.server.peer.name)))
            )
            say(f"{row.name} at {connections}, run {turn + 1} of {shape.rounds}, {row.unit}: {rates}")
    for requests in prepared:
        requests.path.unlink(missing_ok=True)


def _fill(row: Row, server: Running, filled: Filled, results: Results) -> bool:
    """Whether the server holds what the row asks for."""
    try:
        filled.fill(server, row.table)
    except (Refused, OSError) as error:
        results.refuse(row.name, server.peer.name, str(error))
        return False
    return True


def _run(requests: Prepared, results: Results, connections: int, seconds: int, threads: int, keep: bool) -> None:
    """One run; a row with a wrong answer is not run again."""
    row, peer = requests.row.name, requests.server.peer.name
    if (row, peer) in results.refused:
        return
    try:
        measured = requests.run(connections, seconds, threads)
    except (Refused, OSError, subprocess.SubprocessError) as error:
        results.refuse(row, peer, str(error))
        return
    if keep:
        results.runs.setdefault((row, connections, peer), []).append(measured)


def say(text: str) -> None:
    """Report progress on standard error."""
    print(text, file=sys.stderr, flush=True)
