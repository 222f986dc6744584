"""`python -m bench.dax_hits`: a hit of DAX beside a GetItem over HTTP and a bare echo, at one connection.

The echo is of as many bytes, on the same event loop: what a hit would cost if it were nothing but the loop and the
sockets. The three are asked in turns by one client with plain sockets, with requests that were made beforehand.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import socket
import statistics
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import uvloop

from testing.dax import raw_client
from testing.dax.raw_client import RawClient, authorization, preamble, request
from testing.jedlik_process import Server

TABLE, KEY = "bench", "k"
ITEM = {"p": {"S": KEY}, "a": {"S": "x" * 40}, "b": {"N": "12"}, "c": {"S": "y" * 40}}
REQUESTS = 300
"""In each turn."""


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


def _median(connection: socket.socket, asked: bytes) -> float:
    """Microseconds of a request and its answer."""
    taken = []
    for _ in range(REQUESTS):
        begun = time.perf_counter_ns()
        connection.sendall(asked)
        connection.recv(1 << 16)
        taken.append(time.perf_counter_ns() - begun)
    return statistics.median(taken) / 1000


def _connected(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def main() -> None:
    """Print the medians, and their ratios."""
    parser = argparse.ArgumentParser(prog="bench.dax_hits", description="Measure a hit of DAX.")
    parser.add_argument("--rounds", type=int, default=30, help="turns of each (default: 30)")
    rounds: int = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder) / "log", in_memory=True, data_dir=Path(folder) / "data", dax=True, dax_port=0)
        try:
            _measure(server, rounds)
        finally:
            server.kill()


def _measure(server: Server, rounds: int) -> None:
    tables = server.client()
    tables.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    tables.put_item(TableName=TABLE, Item=ITEM)
    get = request(raw_client.GET_ITEM, TABLE.encode(), KEY.encode(), None)
    with RawClient(server.dax_url) as dax:
        dax.send(preamble(), authorization(), get)
        dax.answer(1)
        dax.send(get)
        answer = dax.socket.recv(1 << 16)
        ours, theirs = multiprocessing.Pipe()
        echo = multiprocessing.get_context("spawn").Process(target=_serve_echo, args=(answer, theirs), daemon=True)
        echo.start()
        try:
            ways = {
                "a hit of DAX": (dax.socket, get),
                f"an echo of {len(answer)} bytes": (_connected(ours.recv()), get),
                "GetItem over HTTP": (_connected(server.port), _http_request(server)),
            }
            found: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(rounds):
                for name, (connection, asked) in ways.items():
                    found[name].append(_median(connection, asked))
        finally:
            echo.terminate()
            echo.join()
    hits, *_ = found.values()
    print("| | median, microseconds | a hit ÷ this |\n|---|---|---|")
    for name, medians in found.items():
        ratio = statistics.median([hit / other for hit, other in zip(hits, medians, strict=True)])
        print(f"| {name} | {statistics.median(medians):.1f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
