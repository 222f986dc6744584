"""A connection, whatever its client sends, in whatever pieces, and whatever becomes of the network.

What holds: nothing raises or is logged as a fault; every request that is taken gets one answer, in its turn, unless
the connection is cut; nothing is written after the end; what is held is bounded, and given back. And where nothing
but the cutting differs, the requests are the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any, cast

from fuzz.choices import Choices
from fuzz.service import Finding, watch
from jedlik.server.acceptor import Loads
from jedlik.server.connection import Connection
from jedlik.server.http import HttpServer
from jedlik.server.messages import Limits, Request, Response

SMALL = Limits(head=256, body=512, bodies=1024, connections=2, requests=2, idle=20.0, request=10.0)
"""Limits that short inputs reach."""
FAULTS = watch()


class Pause:
    """What a handler waits for: a future without an event loop."""

    def __init__(self) -> None:
        self._asyncio_future_blocking = False
        self._callbacks: list[Any] = []
        self.over = False

    def __await__(self) -> Generator[Any, None, None]:
        while not self.over:
            yield self

    def add_done_callback(self, callback: Any) -> None:
        """As a future's."""
        self._callbacks.append(callback)

    def end(self) -> None:
        """Let the handler go on."""
        self.over = True
        for callback in self._callbacks:
            callback(self)


class Echo:
    """Answers with the body and the number of the request; waits before that if the body has a w in it."""

    def __init__(self) -> None:
        self.requests: list[tuple[bytes, bytes, dict[bytes, bytes], bytes]] = []
        self.waiting: list[Pause] = []

    async def handle(self, asked: Request) -> Response:
        """The answer."""
        number = len(self.requests)
        self.requests.append((asked.method, asked.target, dict(asked.headers), asked.body))
        if b"w" in asked.body:
            pause = Pause()
            self.waiting.append(pause)
            await pause
        return Response(200, b"X-Number: %d\r\n" % number, asked.body)

    def refuse(self, status: int) -> Response:
        """The answer to what is none."""
        return Response(status, b"", b"refused")


class Network:
    """The transport: keeps what is written, and checks that it may be."""

    def __init__(self) -> None:
        self.protocol: Any = None
        self.written: list[bytes] = []
        self.closing = False
        self.cut_off = False
        self.reading = True

    def write(self, data: bytes) -> None:
        """To the client. After an abort that is in vain, and no fault: the handlers at work do not know."""
        if self.closing and not self.cut_off:
            raise Finding("written after the end")
        if not self.cut_off:
            self.written.append(bytes(data))

    def writelines(self, parts: tuple[bytes, ...]) -> None:
        """To the client."""
        self.write(b"".join(parts))

    def close(self) -> None:
        """When everything is written."""
        self.closing = True

    def abort(self) -> None:
        """At once."""
        self.closing = self.cut_off = True

    def is_closing(self) -> bool:
        """Whether it has been closed."""
        return self.closing

    def pause_reading(self) -> None:
        """No more data, please."""
        self.reading = False

    def resume_reading(self) -> None:
        """Data again."""
        self.reading = True

    def can_write_eof(self) -> bool:
        """As TCP can."""
        return True

    def write_eof(self) -> None:
        """Nothing is written after that."""
        self.closing = True

    def set_protocol(self, protocol: Any) -> None:
        """Who gets the data from now on."""
        self.protocol = protocol


class Client:
    """A connection with its two ends."""

    def __init__(self, limits: Limits) -> None:
        self.echo = Echo()
        self.server = HttpServer(self.echo, limits, Loads(1), 0)
        self.server.opening(1)
        self.network = Network()
        self.connection = Connection(self.server)
        self.network.protocol = self.connection
        self.connection.connection_made(cast(asyncio.Transport, self.network))
        self._most = 0
        """Bytes that may be held, by what was sent at once."""

    def send(self, data: bytes) -> None:
        """To the server, which reads on only while it wants to, and while it is the connection that listens."""
        if data and self.network.reading and not self.network.closing and self.network.protocol is self.connection:
            self._most = max(self._most, len(data))
            self.connection.data_received(data)
            self.check()

    def check(self) -> None:
        """What holds at all times."""
        FAULTS.check()
        server = self.server
        waiting = sum(not pause.over for pause in self.echo.waiting)
        if server.requests != waiting:
            raise Finding(f"{server.requests} counted, {waiting} waiting")
        if not 0 <= server.bodies <= server.limits.bodies + self._most:
            raise Finding(f"{server.bodies} bytes of bodies held")

    def release(self) -> None:
        """Let one handler go on."""
        for pause in self.echo.waiting:
            if not pause.over:
                pause.end()
                self.check()
                return

    def pass_time(self, seconds: float) -> None:
        """The server's tick."""
        self.server.now += seconds
        for connection in [late for late in self.server.connections if late.deadline < self.server.now]:
            connection.expire()
        self.check()

    def end(self) -> None:
        """The network ends it."""
        self.network.abort()
        self.network.protocol.connection_lost(None)
        while any(not pause.over for pause in self.echo.waiting):
            self.release()
        self.check()
        if self.server.bodies or self.server.requests or self.server.connections:
            raise Finding("something is still held of a connection that has ended")
        self._check_answers()

    def _check_answers(self) -> None:
        numbers = [
            int(part.partition(b"\r\n")[0])
            for written in self.network.written
            if written.startswith(b"HTTP/1.1 200")
            for part in written.partition(b"\r\n\r\n")[0].split(b"X-Number: ")[1:2]
        ]
        if numbers != list(range(len(numbers))):
            raise Finding(f"answers out of order: {numbers}")
        refusals = [written for written in self.network.written if written[9:12] not in (b"200", b"100")]
        if len(refusals) > 1 and any(b" 503 " not in refusal[:20] for refusal in refusals[:-1]):
            raise Finding(f"something follows a refusal: {refusals}")


def attempt(data: bytes) -> None:
    """One connection over a network on which a lot goes on, or two that get the same bytes cut differently."""
    choices = Choices(data)
    if choices.below(4) == 0:
        _through_a_network(choices)
    else:
        _cut(choices.below(16) + 1, choices.rest())


def _cut(size: int, data: bytes) -> None:
    """The requests do not depend on where the data are cut."""
    whole, pieces = Client(Limits()), Client(Limits())
    whole.send(data)
    for start in range(0, len(data), size):
        pieces.send(data[start : start + size])
        # A reader that is asked to pause gets the rest later, so let nothing wait.
        while any(not pause.over for pause in pieces.echo.waiting):
            pieces.release()
    while any(not pause.over for pause in whole.echo.waiting):
        whole.release()
    if whole.echo.requests != pieces.echo.requests:
        raise Finding(f"in one piece {whole.echo.requests}, in several {pieces.echo.requests}")
    for client in (whole, pieces):
        client.end()


def _through_a_network(choices: Choices) -> None:
    client = Client(SMALL)
    while choices:
        match choices.below(12):
            case 0:
                client.release()
            case 1:
                client.connection.pause_writing()
            case 2:
                client.connection.resume_writing()
            case 3:
                client.pass_time(choices.below(64))
            case 4:
                if client.network.protocol is client.connection:
                    client.connection.eof_received()
            case 5:
                client.connection.finish()
            case 6:
                client.send(choices.one_of(WHOLE))
            case 7:
                client.send(choices.one_of(WHOLE) * choices.below(64))
            case _:
                client.send(choices.short())
        client.check()
    client.end()


WHOLE = (
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody",
    b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nwait",
    b"GET / HTTP/1.1\r\n\r\n",
    b"HEAD /?a=b HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nWiki\r\n5;a=b\r\npedia\r\n0\r\nX-Trailer: t\r\n\r\n",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"1\r\na\r\n",
    b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
    b"POST / HTTP/1.1\r\nExpect: more\r\nContent-Length: 1\r\n\r\n",
    b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    b"POST / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 4\r\n\r\nbody",
    b"CONNECT a:1 HTTP/1.1\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: 513\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: 512\r\n\r\n" + b"b" * 511,
    b"GET / HTTP/1.1\r\nX-Long: " + b"l" * 250,
    b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: " + b"0" * 5000 + b"4\r\n\r\nbody",
)
SEEDS = [
    *(bytes((1, size)) + first + second for size in (0, 6) for first in WHOLE for second in WHOLE),
    *(bytes((0, 6, number, 0, 7, number, 40, 3, 30, 1, 6, 0, 2, 0, 4, 5)) for number in range(len(WHOLE))),
]
