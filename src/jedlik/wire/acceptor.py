"""Takes new connections from a port that several workers share, so that each gets its part, and opens them.

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
from collections.abc import Callable
from typing import Protocol

from jedlik.wire.certificates import Certificates
from jedlik.wire.messages import DIRECT, Arrival, Limits

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
NOTE_SECONDS = 1.0
"""How often a worker logs at most that a client was refused: strangers may try all day."""


class Host(Protocol):
    """Counts the connections, with those that are being set up."""

    limits: Limits

    def crowded(self) -> bool:
        """Whether another worker has fewer connections."""
        ...

    def full(self) -> bool:
        """Whether there are more connections than allowed, counting those that are being set up."""
        ...

    def opening(self, change: int) -> None:
        """A connection has been accepted (1), or will not be made after all (-1)."""
        ...


class Acceptor:
    """Accepts the connections of one listening socket for one process."""

    def __init__(
        self,
        host: Host,
        listening: socket.socket,
        tls: Certificates | None,
        connection: Callable[[Arrival], asyncio.Protocol],
        plain_connection: Callable[[], asyncio.Protocol] | None = None,
    ) -> None:
        """`connection` makes what serves a client, and `plain_connection` what answers one that does not speak TLS
        where it has to; without the latter, it is disconnected."""
        self._host = host
        self._connection = connection
        self._plain_connection = plain_connection
        self._listening = listening
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._stood_back = 0
        self._waiting: asyncio.TimerHandle | None = None
        self._noted = float("-inf")
        """When a refusal was last logged."""
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
        if self._stood_back < STAND_BACK_TIMES and self._host.crowded():
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
            accepted, client = self._listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:  # Out of descriptors or memory, and the connection still waits.
            log.error("cannot accept a connection: %s", error.strerror)
            self._stand_back(EXHAUSTED_SECONDS)
            return
        accepted.setblocking(False)
        self._host.opening(1)
        task = self._loop.create_task(
            self._open(accepted) if self._tls is None else self._open_tls(accepted, client[0], self._tls.context)
        )
        self._opening[task] = None
        task.add_done_callback(self._opened)
        if self._tls is not None and self._host.full() and len(self._opening) > 1:
            # Drop the oldest, not the newest: an honest handshake is over as soon as its messages have crossed the
            # network.
            oldest = next(iter(self._opening))
            del self._opening[oldest]
            oldest.cancel()

    async def _open(self, accepted: socket.socket) -> None:
        await self._loop.connect_accepted_socket(lambda: self._connection(DIRECT), accepted)

    async def _open_tls(self, accepted: socket.socket, client: str, context: ssl.SSLContext) -> None:
        """Do the TLS handshake. A client that speaks plain HTTP gets an answer that explains the failure."""
        seconds = self._host.limits.handshake
        arrival = Arrival(asks_certificate=context.verify_mode != ssl.CERT_NONE)
        try:
            async with asyncio.timeout(seconds):
                first = await self._first_byte(accepted)
                if first and first != HANDSHAKE:
                    if self._plain_connection is None:
                        raise ConnectionAbortedError
                    await self._loop.connect_accepted_socket(self._plain_connection, accepted)
                elif first:
                    await self._loop.connect_accepted_socket(
                        lambda: self._connection(arrival),
                        accepted,
                        ssl=context,
                        ssl_handshake_timeout=seconds,
                        ssl_shutdown_timeout=FAREWELL_SECONDS,
                    )
                else:
                    raise ConnectionAbortedError
        except BaseException as error:
            accepted.close()
            if arrival.asks_certificate and isinstance(error, ssl.SSLError):
                self._note_refused(client, error)
            raise

    def _note_refused(self, client: str, error: ssl.SSLError) -> None:
        """Log why a handshake has failed, where clients need certificates: they only see the connection end."""
        now = self._loop.time()
        if now - self._noted >= NOTE_SECONDS:
            self._noted = now
            reason = getattr(error, "verify_message", "") or error.reason or str(error)
            log.info("a TLS handshake failed", extra={"client": client, "reason": reason})

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
            self._host.opening(-1)
