"""What the connections of a worker share: limits, memory, clock, counters, and the header lines of every answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol

from jedlik.memory import Memory
from jedlik.wire.known_heads import KnownHeads
from jedlik.wire.loads import Loads
from jedlik.wire.messages import Application, Limits, Request
from jedlik.wire.open_connections import CutOff, Ended, OpenConnections

REASONS = {status.value: status.phrase.encode() for status in HTTPStatus} | {413: b"Request Entity Too Large"}
"""By status. 413 as DynamoDB has it, and as RFC 7231 had it before it was renamed."""


class Member(Ended, Protocol):
    """A connection, as the code sees it that watches over all of them."""

    deadline: float
    """When its time is up, by `Shared.now`."""

    def finish(self) -> None:
        """Accept nothing new, and close when the request at work has been answered."""
        ...

    def retire(self) -> None:
        """Give one more answer, and end with it."""
        ...

    def expire(self) -> None:
        """The deadline has passed."""
        ...


class Stalled(Member, CutOff, Protocol):
    """A connection whose client does not take its answer."""

    def move_or_go(self) -> None:
        """Close it if its client has read nothing for too long."""
        ...


class Receiver(Protocol):
    """The connection, as its `MessageReader` sees it."""

    closing: bool
    """No request is taken after those that have come."""

    @property
    def is_open(self) -> bool:
        """Whether there is still a client to be answered."""
        ...

    @property
    def hears(self) -> bool:
        """Whether the client can still receive the answer to another message."""
        ...

    @property
    def is_waited_for(self) -> bool:
        """Whether a request waits behind the one at work."""
        ...

    def take(self, request: Request) -> bool:
        """Take a request. Returns whether it was accepted; if not, it has been refused."""
        ...

    def refuse(self, status: int, text: str = "") -> None:
        """Answer input that is no request, after the answers to everything before it, and close the connection."""
        ...

    def expect_continue(self) -> None:
        """The client waits for permission to send its body (100 Continue)."""
        ...

    def is_kept_waiting(self) -> None:
        """A message has begun and goes on in a later slice."""
        ...

    def pause_reading(self) -> None:
        """Read no more for now."""
        ...

    def work_off(self) -> None:
        """Go on with what has been read."""
        ...

    def abort(self) -> None:
        """End now."""
        ...


class Shared(OpenConnections[Member, Stalled]):
    """What the connections of one worker know about it and about each other."""

    def __init__(self, application: Application, limits: Limits, loads: Loads, worker: int, memory: Memory) -> None:
        super().__init__(limits, memory)
        self.application = application
        self.short_length = len(str(limits.body)) - 1
        """A Content-Length with at most this many digits is within the limit."""
        self.known_heads = KnownHeads(limits)
        self._loads = loads
        self._worker = worker
        self.requests = 0
        """Handlers that are waiting."""
        self.later: Callable[[Callable[[], None]], object] = lambda call: asyncio.get_running_loop().call_soon(call)
        """Calls in the next round of the event loop."""
        self.stopping = False
        self._heads: tuple[dict[int, bytes], dict[int, bytes]] = ({}, {})
        self._date = b""

    def opening(self, change: int) -> None:
        """A connection has been accepted (1), or will not be made after all (-1)."""
        super().opening(change)
        self._publish()

    def leave(self, connection: Member) -> None:
        """A connection has ended."""
        super().leave(connection)
        self._publish()

    def crowded(self) -> bool:
        """Whether another worker has fewer connections."""
        return len(self.connections) + self._opening > self._loads.least()

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
