"""`python -m bench.dax_hits`: a hit of DAX beside a GetItem over HTTP and a bare echo, at 1 and 64 connections.

The echo is of as many bytes, on the same event loop: what a hit would cost if it were nothing but the loop and the
sockets. The three are asked in turns by a client in C (`raw_load.c`), with requests that were made beforehand. The CPU
of an answer is that of all processes of the server, so it hardly depends on what else the machine does.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import select
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from glob import iglob
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import uvloop

from bench.load import Unusable
from bench.measuring import say
from testing.dax import raw_client
from testing.dax.raw_client import authorization, preamble, request
from testing.jedlik_process import Server

NAME = "DAX hit"
"""The row of `make bench`."""
TABLE, KEY = "bench", "k"
ITEM = {"p": {"S": KEY}, "a": {"S": "x" * 40}, "b": {"N": "12"}, "c": {"S": "y" * 40}}
REQUESTS = {1: 2_000, 64: 10_000}
"""In each turn, by the number of connections."""
ROUNDS = 30
NO_COMPILER = "the client that sends DAX's requests is in C, and there is no C compiler: apt-get install gcc"


class _Echo(asyncio.Protocol):
    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(self._answer)


def _serve_echo(answer: bytes, ready: Connection) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(lambda: _Echo(answer), "127.0.0.1", 0)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(serve())


def _http_request(server: Server) -> bytes:
    """A GetItem that is signed by nobody."""
    body = b'{"TableName":"%b","Key":{"p":{"S":"%b"}}}' % (TABLE.encode(), KEY.encode())
    lines = (
        b"POST / HTTP/1.1",
        b"Host: 127.0.0.1:%d" % server.port,
        b"Content-Type: application/x-amz-json-1.0",
        b"X-Amz-Target: DynamoDB_20120810.GetItem",
        b"Content-Length: %d" % len(body),
        b"",
        body,
    )
    return b"\r\n".join(lines)


class Way(NamedTuple):
    """Something to ask."""

    port: int
    first: bytes
    """What a connection sends first. It has no answer."""
    asked: bytes
    answer: int
    """Bytes of the answer."""
    processes: Sequence[int]
    """Those that answer, and their kin."""


class Load(NamedTuple):
    """What was measured in one turn; times are microseconds."""

    rate: float
    median: float
    slowest: float
    """The 99th percentile."""
    cpu: float
    """The microseconds that all processes of the server run for one answer."""


def _cpu(processes: Sequence[int]) -> float:
    """The microseconds that all threads of these processes have run (proc_pid_schedstat)."""
    total = 0
    for process in processes:
        for path in iglob(f"/proc/{process}/task/*/schedstat"):
            total += int(Path(path).read_text().split()[0])
    return total / 1000


def _load(client: Path, way: Way, connections: int) -> Load:
    blobs = b"".join(len(one).to_bytes(4, "big") + one for one in (way.first, way.asked))
    requests = REQUESTS[connections]
    arguments = map(str, (way.port, connections, requests, way.answer))
    with subprocess.Popen([client, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        running.stdin.write(blobs)
        running.stdin.flush()
        running.stdout.readline()
        before = _cpu(way.processes)
        running.stdin.write(b"\n")
        running.stdin.flush()
        rate, median, slowest = map(float, running.stdout.read().split())
        return Load(rate, median, slowest, (_cpu(way.processes) - before) / requests)


def _answer_size(way: Way) -> int:
    with socket.create_connection(("127.0.0.1", way.port)) as connection:
        connection.sendall(way.first + way.asked)
        size, again = 0, True
        while again:
            size += len(connection.recv(1 << 16))
            again = bool(select.select([connection], [], [], 0.2)[0])
        return size


def measured(rounds: int = ROUNDS) -> str:
    """A table for each number of connections. Raises Unusable if there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise Unusable(NO_COMPILER)
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder) / "log", in_memory=True, data_dir=Path(folder) / "data", dax=True, dax_port=0)
        try:
            client = Path(folder) / "raw_load"
            source = Path(__file__).parent / "raw_load.c"
            subprocess.run([compiler, "-O2", "-o", client, source], check=True)
            return "\n\n".join(_measured(server, client, rounds))
        finally:
            server.kill()


def _measured(server: Server, client: Path, rounds: int) -> Iterator[str]:
    tables = server.client()
    tables.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    tables.put_item(TableName=TABLE, Item=ITEM)
    get = request(raw_client.GET_ITEM, TABLE.encode(), KEY.encode(), None)
    port = urlsplit(server.dax_url).port
    assert port is not None
    processes = [server.pid, *server.workers()]
    dax = Way(port, preamble() + authorization(), get, 0, processes)
    _answer_size(dax)  # From now on it is a hit.
    dax = dax._replace(answer=_answer_size(dax))
    http = Way(server.port, b"", _http_request(server), 0, processes)
    http = http._replace(answer=_answer_size(http))
    ours, theirs = multiprocessing.Pipe()
    echo = multiprocessing.get_context("spawn").Process(
        target=_serve_echo, args=(b"x" * dax.answer, theirs), daemon=True
    )
    echo.start()
    assert echo.pid is not None
    try:
        ways = {
            "a hit of DAX": dax,
            f"an echo of {dax.answer} bytes": Way(ours.recv(), b"", get, dax.answer, [echo.pid]),
            "GetItem over HTTP": http,
        }
        for connections in REQUESTS:
            found: dict[str, list[Load]] = {name: [] for name in ways}
            for _ in range(rounds):
                for name, way in ways.items():
                    found[name].append(_load(client, way, connections))
            yield "\n".join(_table(connections, found))
    finally:
        echo.terminate()
        echo.join()


def _table(connections: int, found: Mapping[str, Sequence[Load]]) -> Iterator[str]:
    hits, *_ = found.values()
    columns = "p50, µs", "p99, µs", "p99 ÷ p50", "CPU, µs", "answers/s", "a hit's p50 ÷", "its rate ÷"
    yield f"| connections: {connections} | {' | '.join(columns)} |"
    yield "|---" * (1 + len(columns)) + "|"
    for name, loads in found.items():
        rate, median, slowest, cpu = (statistics.median(column) for column in zip(*loads, strict=True))
        tail = statistics.median([load.slowest / load.median for load in loads])
        pairs = list(zip(hits, loads, strict=True))
        medians = statistics.median([hit.median / other.median for hit, other in pairs])
        rates = statistics.median([hit.rate / other.rate for hit, other in pairs])
        cells = f"{median:.1f}", f"{slowest:.1f}", f"{tail:.1f}", f"{cpu:.1f}", f"{rate:,.0f}", f"{medians:.2f}"
        yield f"| {name} | {' | '.join(cells)} | {rates:.2f} |"


def section(rounds: int) -> str:
    """The part of the report of `make bench`."""
    say(f"{NAME}: {rounds} rounds")
    try:
        tables = measured(rounds)
    except Unusable as error:
        say(f"{NAME} is absent: {error}")
        return f"- {NAME} is absent: {error}"
    about = "The item cache's answers beside the table's own and a bare echo of as many bytes on the same event loop."
    return f"## {NAME}\n\n{about} A client in C asks the three in turns; nothing is signed.\n\n{tables}"


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="bench.dax_hits", description="Measure a hit of DAX.")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="turns of each (default: %(default)s)")
    try:
        print(measured(parser.parse_args().rounds))
    except Unusable as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
