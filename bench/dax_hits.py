"""`python -m bench.dax_hits`: a hit of DAX beside a GetItem over HTTP and a bare echo, at 1 and 64 connections.

The echo is of as many bytes, on the same event loop: what a hit would cost if it were nothing but the loop and the
sockets. The three are asked in turns by a client in C (`raw_load.c`), with requests that were made beforehand.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import select
import socket
import statistics
import subprocess
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import uvloop

from testing.dax import raw_client
from testing.dax.raw_client import authorization, preamble, request
from testing.jedlik_process import Server

TABLE, KEY = "bench", "k"
ITEM = {"p": {"S": KEY}, "a": {"S": "x" * 40}, "b": {"N": "12"}, "c": {"S": "y" * 40}}
REQUESTS = 2000
"""In each turn."""
CONNECTIONS = (1, 64)


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


class Load(NamedTuple):
    """What was measured in one turn."""

    rate: float
    median: float
    slowest: float
    """The 99th percentile, in microseconds as the median."""


def _load(client: Path, way: Way, connections: int) -> Load:
    blobs = b"".join(len(one).to_bytes(4, "big") + one for one in (way.first, way.asked))
    arguments = map(str, (way.port, connections, REQUESTS, way.answer))
    done = subprocess.run([client, *arguments], input=blobs, capture_output=True, check=True)
    return Load(*map(float, done.stdout.split()))


def _answer_size(way: Way) -> int:
    with socket.create_connection(("127.0.0.1", way.port)) as connection:
        connection.sendall(way.first + way.asked)
        size, again = 0, True
        while again:
            size += len(connection.recv(1 << 16))
            again = bool(select.select([connection], [], [], 0.2)[0])
        return size


def main() -> None:
    """Print the medians, and their ratios."""
    parser = argparse.ArgumentParser(prog="bench.dax_hits", description="Measure a hit of DAX.")
    parser.add_argument("--rounds", type=int, default=30, help="turns of each (default: 30)")
    rounds: int = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder) / "log", in_memory=True, data_dir=Path(folder) / "data", dax=True, dax_port=0)
        try:
            client = Path(folder) / "raw_load"
            source = Path(__file__).parent / "raw_load.c"
            subprocess.run(["cc", "-O2", "-o", client, source], check=True)
            _measure(server, client, rounds)
        finally:
            server.kill()


def _measure(server: Server, client: Path, rounds: int) -> None:
    tables = server.client()
    tables.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    tables.put_item(TableName=TABLE, Item=ITEM)
    get = request(raw_client.GET_ITEM, TABLE.encode(), KEY.encode(), None)
    begin = preamble() + authorization()
    port = urlsplit(server.dax_url).port
    assert port is not None
    dax = Way(port, begin, get, 0)
    _answer_size(dax)  # From now on it is a hit.
    dax = dax._replace(answer=_answer_size(dax))
    http = Way(server.port, b"", _http_request(server), 0)
    http = http._replace(answer=_answer_size(http))
    ours, theirs = multiprocessing.Pipe()
    echo = multiprocessing.get_context("spawn").Process(
        target=_serve_echo, args=(b"x" * dax.answer, theirs), daemon=True
    )
    echo.start()
    try:
        ways = {
            "a hit of DAX": dax,
            f"an echo of {dax.answer} bytes": Way(ours.recv(), b"", get, dax.answer),
            "GetItem over HTTP": http,
        }
        for connections in CONNECTIONS:
            found: dict[str, list[Load]] = {name: [] for name in ways}
            for _ in range(rounds):
                for name, way in ways.items():
                    found[name].append(_load(client, way, connections))
            _print(connections, found)
    finally:
        echo.terminate()
        echo.join()


def _print(connections: int, found: dict[str, list[Load]]) -> None:
    hits, *_ = found.values()
    print(f"| {connections} connections | median, microseconds | 99th percentile | requests/s | a hit's rate ÷ this |")
    print("|---|---|---|---|---|")
    for name, loads in found.items():
        rate, median, slowest = (statistics.median(column) for column in zip(*loads, strict=True))
        ratio = statistics.median([hit.rate / other.rate for hit, other in zip(hits, loads, strict=True)])
        print(f"| {name} | {median:.1f} | {slowest:.1f} | {rate:.0f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
