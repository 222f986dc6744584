"""The listener of a node: accepts clients, watches over their connections, and ends them in order."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Callable

from jedlik.dax.client_connection import ClientConnection
from jedlik.dax.node import Node
from jedlik.memory import Share
from jedlik.wire.messages import Limits

TICK_SECONDS = 1.0
"""How often deadlines are looked at."""


class Listener:
    """The connections of one node, from `start` to `stop`."""

    def __init__(self, node: Node, limits: Limits, bodies: Share) -> None:
        self.node = node
        self.limits = limits
        self.bodies = bodies
        self.now = time.monotonic()
        self.idle_until = self.now + limits.idle
        self.retiring = False
        self.connections: set[ClientConnection] = set()
        self._servers: list[asyncio.Server] = []
        self._timer: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()
        self._gone: Callable[[], None] | None = None

    async def start(self, listening: list[socket.socket], tls: ssl.SSLContext | None) -> None:
        """Accept connections."""
        self._tick()
        loop = asyncio.get_running_loop()
        patience = None if tls is None else self.limits.handshake
        for one in listening:
            server = await loop.create_server(
                lambda: ClientConnection(self), sock=one, ssl=tls, ssl_handshake_timeout=patience
            )
            self._servers.append(server)

    def joined(self, connection: ClientConnection) -> bool:
        """A connection has been made. Returns whether there is room for it."""
        self.connections.add(connection)
        return len(self.connections) <= self.limits.connections

    def left(self, connection: ClientConnection) -> None:
        """A connection has ended."""
        self.connections.discard(connection)
        if not self.connections:
            self._empty.set()
            if self._gone is not None:
                self._gone()

    def retire(self, gone: Callable[[], None]) -> None:
        """Accept nothing new, close each connection when it has no request at work, and call `gone` after the last.

        Another node takes this one's place: clients connect again, and send what was not answered once more.
        """
        self._gone = gone
        self._finish()
        if not self.connections:
            gone()

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
        for server in self._servers:
            server.close()
        for connection in list(self.connections):
            connection.finish()

    def _tick(self) -> None:
        self.now = now = time.monotonic()
        self.idle_until = now + self.limits.idle
        for connection in [late for late in self.connections if late.deadline < now]:
            connection.expire()
        for connection in self.connections:
            connection.show_hits()
            if connection.authorized_until < now:
                connection.forget()
        self._timer = asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)
