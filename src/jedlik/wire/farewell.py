"""The end of a connection that has been refused: its client must see why before the connection is closed."""

from __future__ import annotations

import asyncio

from jedlik.wire.shared import Shared


class Farewell(asyncio.Protocol):
    """The rest of a refused connection: input is thrown away until the client has seen the answer.

    Closing with unread input would reset the connection, and the client might never see why it was refused.
    """

    def __init__(self, server: Shared, transport: asyncio.Transport) -> None:
        self._server = server
        self._transport = transport
        self.deadline = server.now + server.limits.request
        server.connections.add(self)
        if transport.can_write_eof():
            transport.write_eof()
        transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self._server.leave(self)

    def retire(self) -> None:
        """It has had its last answer."""

    def verify_again(self) -> None:
        """It gets no answer any more."""

    def finish(self) -> None:
        """The server stops."""
        self._transport.close()

    def expire(self) -> None:
        """The deadline has passed."""
        self._transport.abort()

    abort = expire
