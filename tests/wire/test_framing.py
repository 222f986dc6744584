"""Properties of a connection, without a network: for any bytes, cut into any pieces."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from jedlik.memory import Memory
from jedlik.wire.connection import Connection
from jedlik.wire.http import HttpServer
from jedlik.wire.loads import Loads
from jedlik.wire.messages import Limits, Request, Response


class Mirror:
    """Answers with the body; one that begins with `w` takes a few turns of the event loop."""

    def at_once(self, asked: Request) -> None:
        """Each is handled."""

    async def handle(self, asked: Request) -> Response:
        for _ in range(asked.body.count(b"w")):
            await asyncio.sleep(0)
        return Response(200, b"", b"<%b>" % asked.body)

    def refuse(self, status: int, text: str = "") -> Response:
        return Response(status, b"", b"refused")


class Transport:
    """The transport of a connection. A slow one is full after each write, and takes the next a little later."""

    def __init__(self, slow: bool) -> None:
        self.protocol: Any = None
        self.written = b""
        self.reading = True
        self.full = False
        self.ended = False
        self._slow = slow

    def write(self, data: bytes) -> None:
        assert not self.ended, "wrote after the end"
        self.written += data
        if self._slow and not self.full:
            self.full = True
            self.protocol.pause_writing()
            asyncio.get_running_loop().call_soon(self._drained)

    def _drained(self) -> None:
        self.full = False
        self.protocol.resume_writing()

    def writelines(self, parts: tuple[bytes, ...]) -> None:
        self.write(b"".join(parts))

    def set_write_buffer_limits(self, high: int) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 1

    def get_extra_info(self, name: str) -> None:
        return None

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def close(self) -> None:
        self.ended = True

    def is_closing(self) -> bool:
        return self.ended

    def can_write_eof(self) -> bool:
        return False

    def set_protocol(self, protocol: object) -> None:
        self.ended = True

    abort = close


async def until(condition: Callable[[], object]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it does not go on")


def conversation(pieces: list[bytes], slow: bool) -> bytes:
    """A connection's answers to bytes that come in these pieces."""

    async def converse() -> bytes:
        server = HttpServer(Mirror(), Limits(), Loads(1), 0, Memory())
        transport: Any = Transport(slow)
        connection = transport.protocol = Connection(server, server.application)
        connection.connection_made(transport)
        for piece in pieces:
            await until(lambda: transport.reading or transport.ended)
            if not transport.ended:
                connection.data_received(piece)
        await until(lambda: not server.requests and not transport.full)
        bodies = server.memory.bodies
        assert bodies.size - bodies.free == connection._reader._held
        written: bytes = transport.written
        return written

    return asyncio.run(converse())


def cut(data: bytes, where: list[int]) -> list[bytes]:
    marks = sorted({0, len(data), *(mark % (len(data) + 1) for mark in where)})
    return [data[start:end] for start, end in pairwise(marks)]


def plain(body: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def chunked(body: bytes) -> bytes:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(body[at : at + 3]), body[at : at + 3]) for at in range(0, len(body), 3))
    return b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\nTrailer: x\r\n\r\n"


def upgrading(body: bytes) -> bytes:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body


cuts = st.lists(st.integers(0, 10_000), max_size=12)
framings = st.sampled_from([plain, chunked, upgrading])
bodies = st.text("abw\r\n", max_size=12).map(str.encode)


@given(st.lists(st.tuples(framings, bodies), min_size=1, max_size=8), cuts, st.booleans())
@example([(plain, b"w"), (plain, b"w"), (plain, b"a")], [150], False)  # Reading must go on while the last answer waits.
@settings(max_examples=300, deadline=None)
def test_answers_come_in_order_however_the_bytes_are_cut(
    asked: list[tuple[Any, bytes]], where: list[int], slow: bool
) -> None:
    stream = b"".join(framing(body) for framing, body in asked)
    answered = conversation(cut(stream, where), slow)
    expected = [b"Content-Length: %d\r\n\r\n<%b>" % (len(body) + 2, body) for _, body in asked]
    rest = answered
    for answer in expected:
        head, found, rest = rest.partition(answer)
        assert found, f"{answer!r} is not in {head!r}"
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert head.count(b"HTTP/1.1") == 1
    assert rest == b""


mangled = st.lists(
    st.one_of(
        st.binary(max_size=20),
        st.builds(lambda framing, body: framing(body), framings, bodies),
        st.sampled_from(
            [
                b"\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"Host: x\r\n",
                b"Connection: close\r\n", b"Expect: 100-continue\r\n",
                b"Content-Length: 5\r\n", b"POST / HTTP/1.0\r\n", b"Transfer-Encoding: chunked\r\n",
                b"CONNECT x:1 HTTP/1.1\r\n",
            ]
        ),
    ),
    max_size=8,
)  # fmt: skip


@given(mangled, cuts, st.booleans())
@settings(max_examples=500, deadline=None)
def test_no_bytes_do_harm(parts: list[bytes], where: list[int], slow: bool) -> None:
    answered = conversation(cut(b"".join(parts), where), slow)
    assert answered == b"" or answered.startswith(b"HTTP/1.1 ")
