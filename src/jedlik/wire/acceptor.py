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
from jedlik.wire.proxy_header import FIRST, NotAHeader, Proxies, announced, client_of, is_trusted

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
        proxies: Proxies = (),
    ) -> None:
        """`connection` makes what serves a client, and `plain_connection` what answers one that does not speak TLS
        where it has to; without the latter, it is disconnected. `proxies` name their clients."""
        self._host = host
        self._connection = connection
        self._plain_connection = plain_connection
        self._proxies = proxies
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

    @property
    def trust(self) -> int:
        """A number that moves when other certificates of clients are valid than before."""
        return 0 if self._tls is None else self._tls.trust

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
        takes_messages = self._tls is not None or bool(self._proxies)
        task = self._loop.create_task(self._prepare(accepted, client[0]) if takes_messages else self._open(accepted))
        self._opening[task] = None
        task.add_done_callback(self._opened)
        if takes_messages and self._host.full() and len(self._opening) > 1:
            # Drop the oldest, not the newest: an honest handshake is over as soon as its messages have crossed the
            # network.
            oldest = next(iter(self._opening))
            del self._opening[oldest]
            oldest.cancel()

    async def _open(self, accepted: socket.socket, arrival: Arrival = DIRECT) -> None:
        await self._loop.connect_accepted_socket(lambda: self._connection(arrival), accepted)

    async def _prepare(self, accepted: socket.socket, address: str) -> None:
        """Take what comes before the first request: the header of a trusted proxy, then the TLS handshake."""
        client = ""
        try:
            async with asyncio.timeout(self._host.limits.handshake):
                if self._proxies and is_trusted(address, self._proxies):
                    client = await self._named_client(accepted)
                if self._tls is None:
                    await self._open(accepted, Arrival(client))
                else:
                    await self._open_tls(accepted, client, self._tls.context)
        except BaseException as error:
            accepted.close()
            if isinstance(error, NotAHeader):
                self._note("a proxy is refused", str(error), address, logging.WARNING)
            elif isinstance(error, ssl.SSLError) and self._tls is not None and self._tls.asks:
                reason = getattr(error, "verify_message", "") or error.reason or str(error)
                self._note("a TLS handshake failed", reason, client or address, logging.INFO)
            raise

    async def _named_client(self, accepted: socket.socket) -> str:
        """The client that a proxy names; empty if it speaks for itself. Raises NotAHeader."""
        family, length = announced(await self._exactly(accepted, FIRST))
        rest = await self._exactly(accepted, length)
        return "" if family is None else client_of(family, rest)

    async def _exactly(self, accepted: socket.socket, count: int) -> bytes:
        """The next bytes of a connection, and none that follow. Raises OSError if it ends before."""
        received = b""
        while len(received) < count:
            await self._readable(accepted)
            more = accepted.recv(count - len(received))
            if not more:
                raise ConnectionAbortedError
            received += more
        return received

    async def _open_tls(self, accepted: socket.socket, client: str, context: ssl.SSLContext) -> None:
        """Do the TLS handshake. A client that speaks plain HTTP gets an answer that explains the failure."""
        await self._readable(accepted)
        first = accepted.recv(1, socket.MSG_PEEK)
        if first == HANDSHAKE:
            arrival = Arrival(client, asks_certificate=context.verify_mode != ssl.CERT_NONE)
            await self._loop.connect_accepted_socket(
                lambda: self._connection(arrival),
                accepted,
                ssl=context,
                ssl_handshake_timeout=self._host.limits.handshake,
                ssl_shutdown_timeout=FAREWELL_SECONDS,
            )
        elif first and self._plain_connection is not None:
            await self._loop.connect_accepted_socket(self._plain_connection, accepted)
        else:
            raise ConnectionAbortedError

    async def _readable(self, accepted: socket.socket) -> None:
        """Wait until the client has sent something, or has gone."""
        readable = asyncio.Event()
        self._loop.add_reader(accepted, readable.set)
        try:
            await readable.wait()
        finally:
            self._loop.remove_reader(accepted)

    def _note(self, text: str, reason: str, client: str, level: int) -> None:
        """Log why a connection is not made: its client only sees it end."""
        now = self._loop.time()
        if now - self._noted >= NOTE_SECONDS:
            self._noted = now
            log.log(level, text, extra={"client": client, "reason": reason})

    def _opened(self, task: asyncio.Task[object]) -> None:
        self._opening.pop(task, None)
        if task.cancelled() or task.exception() is not None:  # The TLS handshake failed.
            self._host.opening(-1)
