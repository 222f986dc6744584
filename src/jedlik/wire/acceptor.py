"""Takes new connections from a port that several workers share, so that each gets its part.

Left to itself, the kernel gives most of a burst to the worker that wakes first; with one socket per worker, it picks a
worker at random. Here each worker sees in shared memory how many connections the others have. A worker that does not
have the fewest waits a moment before it accepts another, so that a worker with fewer can take it. If all are busy, only
that moment is lost.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl

from jedlik.wire.connection import Connection, PlainConnection
from jedlik.wire.messages import Application
from jedlik.wire.shared import Shared

log = logging.getLogger(__name__)

STAND_BACK_SECONDS = 0.005
STAND_BACK_TIMES = 3
"""How long and how often a worker with more connections leaves a new one to the others."""
EXHAUSTED_SECONDS = 1.0
"""How long nothing is accepted when the process has no more descriptors."""
HANDSHAKE = b"\x16"
"""The first byte of a TLS client: the content type of its record (RFC 8446, 5.1)."""
FAREWELL_SECONDS = 1.0
"""How long a TLS client has to answer when the server closes the connection."""


class Acceptor:
    """Accepts the connections of one listening socket for one worker."""

    def __init__(
        self, server: Shared, listening: socket.socket, tls: ssl.SSLContext | None, application: Application
    ) -> None:
        self._server = server
        self._application = application
        self._listening = listening
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._stood_back = 0
        self._waiting: asyncio.TimerHandle | None = None
        self._opening: dict[asyncio.Task[object], None] = {}
        """Connections that are still being set up (with TLS, until the handshake ends), oldest first."""
        self._loop.add_reader(listening, self._look)

    def close(self) -> None:
        """Take no more."""
        self._loop.remove_reader(self._listening)
        if self._waiting is not None:
            self._waiting.cancel()
        self._listening.close()

    def _look(self) -> None:
        """A connection waits."""
        if self._stood_back < STAND_BACK_TIMES and self._server.crowded():
            self._stood_back += 1
            self._stand_back(STAND_BACK_SECONDS)
        else:
            self._stood_back = 0
            self._accept()

    def _stand_back(self, seconds: float) -> None:
        self._loop.remove_reader(self._listening)
        self._waiting = self._loop.call_later(seconds, self._come_back)

    def _come_back(self) -> None:
        self._waiting = None
        self._loop.add_reader(self._listening, self._look)

    def _accept(self) -> None:
        """Take one connection, if it is still there."""
        try:
            accepted, _ = self._listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:  # Out of descriptors or memory, and the connection still waits.
            log.error("cannot accept a connection: %s", error.strerror)
            self._stand_back(EXHAUSTED_SECONDS)
            return
        accepted.setblocking(False)
        self._server.opening(1)
        task = self._loop.create_task(self._open(accepted) if self._tls is None else self._open_tls(accepted))
        self._opening[task] = None
        task.add_done_callback(self._opened)
        if self._tls is not None and self._server.full() and len(self._opening) > 1:
            # Drop the oldest, not the newest: an honest handshake is over as soon as its messages have crossed the
            # network.
            oldest = next(iter(self._opening))
            del self._opening[oldest]
            oldest.cancel()

    async def _open(self, accepted: socket.socket) -> None:
        await self._loop.connect_accepted_socket(lambda: Connection(self._server, self._application), accepted)

    async def _open_tls(self, accepted: socket.socket) -> None:
        """Do the TLS handshake. A client that speaks plain HTTP gets an answer that explains the failure."""
        seconds = self._server.limits.handshake
        try:
            async with asyncio.timeout(seconds):
                first = await self._first_byte(accepted)
                if first and first != HANDSHAKE:
                    await self._loop.connect_accepted_socket(
                        lambda: PlainConnection(self._server, self._application), accepted
                    )
                elif first:
                    await self._loop.connect_accepted_socket(
                        lambda: Connection(self._server, self._application),
                        accepted,
                        ssl=self._tls,
                        ssl_handshake_timeout=seconds,
                        ssl_shutdown_timeout=FAREWELL_SECONDS,
                    )
                else:
                    raise ConnectionAbortedError
        except BaseException:
            accepted.close()
            raise

    async def _first_byte(self, accepted: socket.socket) -> bytes:
        """The client's first bytes, which stay in the socket; empty if the client has gone."""
        readable = asyncio.Event()
        self._loop.add_reader(accepted, readable.set)
        try:
            await readable.wait()
        finally:
            self._loop.remove_reader(accepted)
        return accepted.recv(1, socket.MSG_PEEK)

    def _opened(self, task: asyncio.Task[object]) -> None:
        self._opening.pop(task, None)
        if task.cancelled() or task.exception() is not None:  # The TLS handshake failed.
            self._server.opening(-1)
