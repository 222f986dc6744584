"""The listener of a node: accepts clients, watches over their connections, and ends them in order."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from functools import partial

from jedlik.dax.client_connection import ClientConnection
from jedlik.dax.node import Node
from jedlik.memory import Memory
from jedlik.wire.acceptor import Acceptor
from jedlik.wire.certificates import Certificates
from jedlik.wire.messages import Limits
from jedlik.wire.spinning import Spin

TICK_SECONDS = 1.0
"""How often deadlines are looked at."""


class Listener:
    """The connections of one node, from `start` to `stop`."""

    def __init__(self, node: Node, limits: Limits, memory: Memory) -> None:
        self.node = node
        self.limits = limits
        self.memory = memory
        self.now = time.monotonic()
        self.idle_until = self.now + limits.idle
        self.retiring = False
        self.spin: Spin | None = None
        self.connections: set[ClientConnection] = set()
        self.at_work = 0
        """Requests that wait for something."""
        self.stalled: dict[ClientConnection, None] = {}
        """Connections whose clients do not take their answers, the longest-waiting first."""
        self._acceptors: list[Acceptor] = []
        self._opening = 0
        self._timer: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()
        self._gone: Callable[[], None] | None = None

    def start(self, listening: list[socket.socket], tls: Certificates | None) -> None:
        """Accept connections."""
        self._tick()
        self._acceptors = [Acceptor(self, one, tls, partial(ClientConnection, self)) for one in listening]

    def crowded(self) -> bool:
        """Each node has a port of its own."""
        return False

    def full(self) -> bool:
        """Whether there are more connections than allowed, counting those that are being set up."""
        return len(self.connections) + self._opening > self.limits.connections

    def opening(self, change: int) -> None:
        """A connection has been accepted (1), or will not be made after all (-1)."""
        self._opening += change
        self._look_whether_empty()

    def joined(self, connection: ClientConnection) -> bool:
        """A connection has been made. Returns whether it may stay."""
        self._opening -= 1
        self.connections.add(connection)
        return len(self.connections) <= self.limits.connections and not self.retiring

    def left(self, connection: ClientConnection) -> None:
        """A connection has ended."""
        self.connections.discard(connection)
        self._look_whether_empty()

    def _look_whether_empty(self) -> None:
        if self.connections:
            return
        self._empty.set()
        if self._gone is not None and not self._opening:
            self._gone()

    def stall(self, connection: ClientConnection, size: int) -> None:
        """A client does not take its answer, of which this many bytes are left. If that is too much in all, close the
        connection that has waited longest."""
        self.memory.answers.hold(size)
        while self.memory.answers.free < 0 and self.stalled:
            next(iter(self.stalled)).cut_off()
        self.stalled[connection] = None

    def retire(self, gone: Callable[[], None]) -> None:
        """Accept nothing new, close each connection when it has no request at work, and call `gone` after the last.

        Another node takes this one's place: clients connect again, and send what was not answered once more.
        """
        self._gone = gone
        self._finish()
        self._look_whether_empty()

    async def stop(self, seconds: float) -> int:
        """Accept nothing new, let requests at work finish, and close what is left after `seconds`.

        Returns how many connections were closed early.
        """
        self._finish()
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

    def _finish(self) -> None:
        self.retiring = True
        for acceptor in self._acceptors:
            acceptor.close()
        self._acceptors = []
        for connection in list(self.connections):
            connection.finish()

    def _tick(self) -> None:
        self.now = now = time.monotonic()
        self.idle_until = now + self.limits.idle
        for connection in [late for late in self.connections if late.deadline < now]:
            connection.expire()
        if self.memory.answers.short and self.stalled:  # Others wait for what a client does not take.
            next(iter(self.stalled)).cut_off()
        for connection in self.connections:
            connection.show_hits()
            if connection.authorized_until < now:
                connection.forget()
        self._timer = asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)
