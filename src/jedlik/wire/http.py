"""HTTP/1.1 for one application: what the connections of a process share.

The limits, the count of what is at work, the clock. Each connection has a deadline, which the server's tick looks at
once a second: cheaper than a timer for every request, and as good for cutting off the slow and the idle.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Callable

from jedlik.memory import Memory
from jedlik.wire.acceptor import ABSENT, Acceptor, Loads
from jedlik.wire.connection import Connection, Farewell
from jedlik.wire.messages import Application, Limits

TICK_SECONDS = 1.0
"""How often deadlines are looked at and the Date header is renewed."""

REASONS = {
    200: b"OK",
    400: b"Bad Request",
    403: b"Forbidden",
    404: b"Not Found",
    408: b"Request Timeout",
    413: b"Request Entity Too Large",
    417: b"Expectation Failed",
    500: b"Internal Server Error",
    501: b"Not Implemented",
    503: b"Service Unavailable",
    505: b"HTTP Version Not Supported",
}


class HttpServer:
    """The connections of one worker, from `start` to `stop`."""

    def __init__(self, application: Application, limits: Limits, loads: Loads, worker: int, memory: Memory) -> None:
        self.application = application
        self.limits = limits
        self.short_length = len(str(limits.body)) - 1
        """Digits of a Content-Length that is surely within the limit."""
        self.memory = memory
        self._loads = loads
        self._worker = worker
        self.connections: set[Connection | Farewell] = set()
        self.now = time.monotonic()
        """Seconds, renewed with each tick."""
        self.requests = 0
        """Handlers that are waiting."""
        self.later: Callable[[Callable[[], None]], object] = lambda call: asyncio.get_running_loop().call_soon(call)
        """Calls in the next round of the event loop."""
        self.stalled: dict[Connection, None] = {}
        """Connections whose clients do not take their answers, those first that have not for longest."""
        self.stopping = False
        self._heads: tuple[dict[int, bytes], dict[int, bytes]] = ({}, {})
        self._date = b""
        self._acceptors: list[Acceptor] = []
        self._opening = 0
        self._timer: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()
        self._gone: Callable[[], None] | None = None

    def start(self, listening: list[socket.socket], tls: ssl.SSLContext | None = None) -> None:
        """Serve what comes to the listening sockets."""
        self._tick()
        self._loads.set(self._worker, 0)
        self._acceptors = [Acceptor(self, one, tls) for one in listening]

    async def stop(self, seconds: float) -> int:
        """Take nothing new, let what is at work finish, and after `seconds` cut off the rest.

        Returns how many connections were cut off.
        """
        self._take_no_more()
        for connection in list(self.connections):
            connection.finish()
        if self.connections:
            self._empty.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), seconds)
        rest = list(self.connections)
        for connection in rest:
            connection.abort()
        if self._timer is not None:
            self._timer.cancel()
        return len(rest)

    def retire(self, gone: Callable[[], None]) -> None:
        """Take no new connection, let each that is there have one more answer, and call `gone` after the last.

        Idle ones are not closed before their time: a request may be on its way, and would be lost.
        """
        self._take_no_more()
        for connection in self.connections:
            connection.retire()
        self._gone = gone
        self._look_whether_empty()

    def _take_no_more(self) -> None:
        """Leave new connections to other workers."""
        self.stopping = True
        self._loads.set(self._worker, ABSENT)
        for acceptor in self._acceptors:
            acceptor.close()
        self._acceptors = []

    def opening(self, change: int) -> None:
        """A connection has been accepted (1), or will not be made after all (-1)."""
        self._opening += change
        self._publish()
        self._look_whether_empty()

    def join(self, connection: Connection) -> int:
        """A connection that was opening has been made. Returns how many there are."""
        self.connections.add(connection)
        self._opening -= 1
        return len(self.connections)

    def leave(self, connection: Connection | Farewell) -> None:
        """A connection has ended."""
        self.connections.discard(connection)
        self._publish()
        self._look_whether_empty()

    def stall(self, connection: Connection, size: int) -> None:
        """A client does not take its answer, of this many bytes. If that is too much, cut off who is slowest."""
        answers = self.memory.answers
        answers.hold(size)
        while answers.free < 0 and self.stalled:
            next(iter(self.stalled)).cut_off()
        self.stalled[connection] = None

    def full(self) -> bool:
        """Whether there are more connections than there may be, with those that are opening."""
        return len(self.connections) + self._opening > self.limits.connections

    def crowded(self) -> bool:
        """Whether another worker has fewer connections."""
        return len(self.connections) + self._opening > self._loads.least()

    def _look_whether_empty(self) -> None:
        if self.connections:
            return
        self._empty.set()
        if self._gone is not None and not self._opening:
            self._gone()

    def _publish(self) -> None:
        if not self.stopping:
            self._loads.set(self._worker, len(self.connections) + self._opening)

    def head(self, status: int, keep_alive: bool) -> bytes:
        """The lines with which an answer begins: status, server, date, connection."""
        return self._heads[keep_alive].get(status) or self._make_head(status, keep_alive)

    def _make_head(self, status: int, keep_alive: bool) -> bytes:
        head = b"HTTP/1.1 %d %b\r\nServer: Jedlik\r\nDate: %b\r\nConnection: %b\r\n" % (
            status,
            REASONS[status],
            self._date,
            b"keep-alive" if keep_alive else b"close",
        )
        self._heads[keep_alive][status] = head
        return head

    def _tick(self) -> None:
        self.now = now = time.monotonic()
        self._date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime()).encode()
        for heads in self._heads:
            heads.clear()
        for connection in [late for late in self.connections if late.deadline < now]:
            connection.expire()
        if self.memory.answers.short:
            for stalled in list(self.stalled):
                stalled.move_or_go()
        self._timer = asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)
