"""A connection under any bytes from its client, in any pieces, with any behaviour of the network.

These must hold: nothing raises or is logged as a fault; every accepted request gets one answer, in its turn, unless the
connection is cut; nothing is written after the end; memory held is bounded, and released. The same bytes make the same
requests however they are cut into pieces, and whether or not the connection recognises its client's heads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any, cast

from fuzz.choices import Choices
from fuzz.service import Finding, watch
from jedlik.memory import KIB, Memory, Share
from jedlik.wire.connection import Connection
from jedlik.wire.http import HttpServer
from jedlik.wire.loads import Loads
from jedlik.wire.messages import Limits, Request, Response

SMALL = Limits(head=256, headers=8, body=512, connections=2, requests=2, idle=20.0, request=10.0)
BODIES = 8 * KIB
ANSWERS = KIB
"""Limits that short inputs reach, and bytes of memory."""
FAULTS = watch()


class Pause:
    """What a handler awaits: a future without an event loop."""

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
    """Answers with the body and the number of the request. If the body contains a w, it waits first."""

    def __init__(self) -> None:
        self.requests: list[tuple[bytes, bytes, dict[bytes, bytes], bytes]] = []
        self.waiting: list[Pause] = []

    def at_once(self, asked: Request) -> None:
        """Each is handled."""

    async def handle(self, asked: Request) -> Response:
        """The answer."""
        number = len(self.requests)
        self.requests.append((asked.method, asked.target, dict(asked.headers), asked.body))
        if b"w" in asked.body:
            pause = Pause()
            self.waiting.append(pause)
            await pause
        return Response(200, b"X-Number: %d\r\n" % number, asked.body)

    def refuse(self, status: int, text: str = "") -> Response:
        """The answer to a malformed request."""
        return Response(status, b"", b"refused")


class Network:
    """The transport: keeps what is written, and checks that writing is allowed."""

    def __init__(self) -> None:
        self.protocol: Any = None
        self.written: list[bytes] = []
        self.closing = False
        self.cut_off = False
        self.reading = True
        self.untaken = 0

    def write(self, data: bytes) -> None:
        """To the client. After an abort a write has no effect and is no fault: the handlers at work do not know of the
        abort."""
        if self.closing and not self.cut_off:
            raise Finding("written after the end")
        if not self.cut_off:
            self.written.append(bytes(data))

    def writelines(self, parts: tuple[bytes, ...]) -> None:
        """To the client."""
        self.write(b"".join(parts))

    def set_write_buffer_limits(self, high: int) -> None:
        """The input chooses the pauses."""

    def get_write_buffer_size(self) -> int:
        """As many bytes as the client can be made to leave unread."""
        return self.untaken

    def get_extra_info(self, name: str) -> Any:
        """There is no socket."""

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
        """Nothing is written afterwards."""
        self.closing = True

    def set_protocol(self, protocol: Any) -> None:
        """From now on, `protocol` gets the data."""
        self.protocol = protocol


class Client:
    """A connection with its two ends."""

    def __init__(self, limits: Limits) -> None:
        self.echo = Echo()
        self.memory = Memory() if limits is not SMALL else Memory(bodies=Share(BODIES), answers=Share(ANSWERS))
        self.server = HttpServer(self.echo, limits, Loads(1), 0, self.memory)
        self._later: list[Callable[[], None]] = []
        self.server.later = self._later.append
        self.server.opening(1)
        self.network = Network()
        self.connection = Connection(self.server, self.server.application)
        self.network.protocol = self.connection
        self.connection.connection_made(cast(asyncio.Transport, self.network))

    def send(self, data: bytes) -> None:
        """To the server, which reads only while it wants to, and only while this connection is the listener."""
        if data and self.network.reading and not self.network.closing and self.network.protocol is self.connection:
            self.connection.data_received(data)
            self.check()
            while self._later:
                self._later.pop()()
                self.check()

    def check(self) -> None:
        """What holds at all times."""
        FAULTS.check()
        server = self.server
        waiting = sum(not pause.over for pause in self.echo.waiting)
        if server.requests != waiting:
            raise Finding(f"{server.requests} counted, {waiting} waiting")
        if not 0 <= self.memory.bodies.free <= self.memory.bodies.size:
            raise Finding(f"{self.memory.bodies.free} bytes free for bodies")
        if self.memory.answers.free < 0 and len(server.stalled) > 1:
            raise Finding(f"{len(server.stalled)} stalled clients have {self.memory.answers.free} bytes free")

    def release(self) -> None:
        """Let one handler go on."""
        for pause in self.echo.waiting:
            if not pause.over:
                pause.end()
                self.check()
                return

    def stall(self, untaken: int) -> None:
        """Stop reading answers, and leave this many bytes unread."""
        if self.network.protocol is self.connection and self.connection not in self.server.stalled:
            self.network.untaken = untaken
            self.connection.pause_writing()
            self.check()

    def go_on(self) -> None:
        """Take them."""
        self.network.untaken = 0
        self.connection.resume_writing()
        self.check()

    def pass_time(self, seconds: float) -> None:
        """The server's tick."""
        self.server.now += seconds
        for connection in [late for late in self.server.connections if late.deadline < self.server.now]:
            connection.expire()
        if self.memory.answers.short:
            for stalled in list(self.server.stalled):
                stalled.move_or_go()
        self.check()

    def end(self) -> None:
        """The network ends it."""
        self.network.abort()
        self.network.protocol.connection_lost(None)
        while any(not pause.over for pause in self.echo.waiting):
            self.release()
        self.check()
        shares = (self.memory.bodies, self.memory.answers)
        held = any(share.free != share.size for share in shares)
        if held or self.server.requests or self.server.connections or self.server.stalled:
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
    """One connection over a lively network, or two connections that get the same bytes in different ways."""
    choices = Choices(data)
    match choices.below(4):
        case 0:
            _through_a_network(choices)
        case 2:
            _known(choices)
        case _:
            _cut(choices.below(16) + 1, choices.rest())


def _known(choices: Choices) -> None:
    """The requests are the same whether or not the server recognises the client."""
    knowing, parsing = Client(Limits()), Client(Limits())
    while choices:
        sent = choices.one_of(LIKE_AN_SDK)
        for _ in range(choices.below(4)):
            place, length = choices.below(len(sent) + 1), choices.below(8)
            sent = sent[:place] + choices.take(choices.below(8)) + sent[place + length :]
        cut = choices.below(len(sent) + 1)
        for piece in (sent[:cut], sent[cut:]):
            parsing.connection._reader.known = None
            for client in (knowing, parsing):
                client.send(piece)
                client.server.known_heads.renew()
        for client in (knowing, parsing):
            client.release()
    if knowing.echo.requests != parsing.echo.requests:
        raise Finding(f"known {knowing.echo.requests}, parsed {parsing.echo.requests}")
    for client in (knowing, parsing):
        client.end()
    if knowing.network.written != parsing.network.written:
        raise Finding(f"known {knowing.network.written}, parsed {parsing.network.written}")


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
                client.stall(choices.below(4096))
            case 2:
                client.go_on()
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


CHUNKS = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
WHOLE = (
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nwait",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"HEAD /?a=b HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    CHUNKS + b"4\r\nWiki\r\n5;a=b\r\npedia\r\n0\r\nX-Trailer: t\r\n\r\n",
    CHUNKS,
    b"1\r\na\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nExpect: more\r\nContent-Length: 1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 4\r\n\r\nbody",
    b"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 513\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 512\r\n\r\n" + b"b" * 511,
    b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"l" * 250,
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"0" * 5000 + b"4\r\n\r\nbody",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    b"GET / HTTP/2.0\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.2\r\nHost: x\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    CHUNKS + b"0\r\nX-Trailer: " + b"t" * 250,
    CHUNKS + b"0\r\n" + b"a: b\r\n" * 60 + b"\r\n",
    CHUNKS + b"1;" + b"e" * 2000 + b"\r\na\r\n0\r\n\r\n",
    CHUNKS + b"0" * 2000 + b"1\r\na\r\n0\r\n\r\n",
    CHUNKS + b"2\r\naw\r\n" * 40 + b"0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"%d: y\r\n" % number for number in range(20)) + b"\r\n",
)
LIKE_AN_SDK = (
    b"POST / HTTP/1.1\r\nHost: x\r\nX-Date: 1\r\nContent-Length: 4\r\n\r\nbody",
    b"POST / HTTP/1.1\r\nHost: x\r\nX-Date: 22\r\nContent-Length: 12\r\n\r\nanother body",
    b"POST / HTTP/1.1\r\nHost: x:1\r\nX-Date: 3\r\nContent-Length: 4\r\n\r\nwait",
    b"POST / HTTP/1.1\r\nHost: x\r\nX-Date: 4\r\nContent-Length: 0\r\n\r\n",
    b"POST / HTTP/1.1\r\ncontent-length: 4\r\nhost: x\r\nConnection: keep-alive\r\n\r\nbody",
    b"POST / HTTP/1.1\r\ncontent-length: 4\r\nhost: x\r\nConnection: close\r\n\r\nbody",
)
SEEDS = [
    *(
        bytes((2, 0, 0, 0, 1, 0, cut, number, 1, place, 1, 1, 32, cut))
        for cut in (0, 55)
        for number in range(6)
        for place in (20, 40)
    ),
    *(bytes((1, size)) + first + second for size in (0, 6) for first in WHOLE for second in WHOLE),
    *(bytes((0, 6, number, 0, 7, number, 40, 3, 30, 1, 6, 0, 2, 0, 4, 5)) for number in range(len(WHOLE))),
]
