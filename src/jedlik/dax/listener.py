"""The listener of a node: accepts clients, watches over their connections, and ends them in order."""

from __future__ import annotations

import asyncio
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
from jedlik.wire.open_connections import OpenConnections

TICK_SECONDS = 1.0
"""How often deadlines are looked at."""


class Listener(OpenConnections[ClientConnection, ClientConnection]):
    """The connections of one node, from `start` to `stop`."""

    def __init__(self, node: Node, limits: Limits, memory: Memory) -> None:
        super().__init__(limits, memory)
        self.node = node
        self.idle_until = self.now + limits.idle
        self.retiring = False
        self.at_work = 0
        """Requests that wait for something."""

    def start(self, listening: list[socket.socket], tls: Certificates | None) -> None:
        """Accept connections."""
        self._tick()
        self._acceptors = [Acceptor(self, one, tls, partial(ClientConnection, self)) for one in listening]

    def crowded(self) -> bool:
        """Each node has a port of its own."""
        return False

    def may_stay(self, connection: ClientConnection) -> bool:
        """Whether a connection that has just been made may stay."""
        return self.join(connection) <= self.limits.connections and not self.retiring

    def retire(self, gone: Callable[[], None]) -> None:
        """Accept nothing new, close each connection when it has no request at work, and call `gone` after the last.

        Another node takes this one's place: clients connect again, and send what was not answered once more.
        """
        self._finish()
        self._call_when_empty(gone)

    async def stop(self, seconds: float) -> int:
        """Accept nothing new, let requests at work finish, and close what is left after `seconds`.

        Returns how many connections were closed early.
        """
        self._finish()
        await self._wait_until_empty(seconds)
        return self._end()

    def _finish(self) -> None:
        self.retiring = True
        self._close_acceptors()
        for connection in list(self.connections):
            connection.finish()

    def _tick(self) -> None:
        self.now = now = time.monotonic()
        self.idle_until = now + self.limits.idle
        self._look_at_trust()
        for connection in [late for late in self.connections if late.deadline < now]:
            connection.expire()
        if self.memory.answers.short and self.stalled:  # Others wait for what a client does not take.
            next(iter(self.stalled)).cut_off()
        for connection in self.connections:
            connection.show_hits()
            if connection.authorized_until < now:
                connection.forget()
        self._timer = asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)
