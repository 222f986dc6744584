"""HTTP/1.1 for one application: starts and stops serving, and watches over the connections in between.

Each connection has a deadline, which the server's tick looks at
once a second: cheaper than a timer for every request, and as good for cutting off the slow and the idle.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from functools import partial

from jedlik.wire.acceptor import Acceptor
from jedlik.wire.certificates import Certificates
from jedlik.wire.connection import Connection, PlainConnection
from jedlik.wire.loads import ABSENT
from jedlik.wire.messages import Application
from jedlik.wire.proxy_header import Proxies
from jedlik.wire.shared import Shared

log = logging.getLogger(__name__)

WORTH_SAYING = 1.0
"""Seconds that stopping may take before it is logged."""
TICK_SECONDS = 1.0
"""How often deadlines are looked at and the Date header is renewed."""


class HttpServer(Shared):
    """The connections of one worker, from `start` to `stop`."""

    def start(self, listening: list[socket.socket], tls: Certificates | None = None, proxies: Proxies = ()) -> None:
        """Accept and serve the connections of these listening sockets."""
        self._tick()
        self._loads.set(self._worker, 0)
        self.listen(listening, tls, self.application, proxies)

    def listen(
        self,
        listening: list[socket.socket],
        tls: Certificates | None,
        application: Application,
        proxies: Proxies = (),
    ) -> None:
        """Accept and serve the connections of more listening sockets, whose requests another application answers.
        `proxies` are trusted to name their clients."""
        connection, plain = partial(Connection, self, application), partial(PlainConnection, self, application)
        self._acceptors += [Acceptor(self, one, tls, connection, plain, proxies) for one in listening]

    async def stop(self, seconds: float) -> int:
        """Accept nothing new, let requests at work finish, and close what is left after `seconds`.

        Returns how many connections were closed early.
        """
        self._take_no_more()
        for connection in list(self.connections):
            connection.finish()
        if self.connections:
            rest_of_time = seconds - WORTH_SAYING
            await self._wait_until_empty(min(seconds, WORTH_SAYING))
            if self.connections and rest_of_time > 0:
                fields = {"connections": len(self.connections), "seconds": rest_of_time}
                log.info("waiting for requests in flight", extra=fields)
                await self._wait_until_empty(rest_of_time)
        return self._end()

    def retire(self, gone: Callable[[], None]) -> None:
        """Accept no new connection, close each open one after its next answer, and call `gone` after the last.

        Idle ones are not closed before their time: a request may be on its way, and would be lost.
        """
        self._take_no_more()
        for connection in self.connections:
            connection.retire()
        self._call_when_empty(gone)

    def _take_no_more(self) -> None:
        """Leave new connections to other workers."""
        self.stopping = True
        self._loads.set(self._worker, ABSENT)
        self._close_acceptors()

    def _tick(self) -> None:
        self.now = now = time.monotonic()
        self._date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime()).encode()
        for heads in self._heads:
            heads.clear()
        self.known_heads.renew()
        self._look_at_trust()
        for connection in [late for late in self.connections if late.deadline < now]:
            connection.expire()
        if self.memory.answers.short:
            for stalled in list(self.stalled):
                stalled.move_or_go()
        self._timer = asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)
