"""The connections of a listener, for every protocol: counted from the moment when they are accepted, ended in order,
and cut off where answers that nobody takes fill the memory.

What the connections carry, and when their time is up, is the listener's (`http.py`, `dax/listener.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from jedlik.memory import Memory
from jedlik.wire.acceptor import Acceptor
from jedlik.wire.messages import Limits
from jedlik.wire.spinning import Spin


class Ended(Protocol):
    """A connection, as the code sees it that ends all of them."""

    def abort(self) -> None:
        """End at once."""
        ...

    def verify_again(self) -> None:
        """End soon if the client was asked for a certificate: it must show it again."""
        ...


class CutOff(Protocol):
    """A connection whose client does not take its answer."""

    def cut_off(self) -> None:
        """End it, for others need the memory."""
        ...


C = TypeVar("C", bound=Ended)
S = TypeVar("S", bound=CutOff)


class OpenConnections(Generic[C, S]):
    """The connections that are open, and those that are being set up."""

    def __init__(self, limits: Limits, memory: Memory) -> None:
        self.limits = limits
        self.memory = memory
        self.connections: set[C] = set()
        self.now = time.monotonic()
        """Seconds, renewed with each tick."""
        self.stalled: dict[S, None] = {}
        """Connections whose clients do not take their answers, the longest-waiting first."""
        self.spin: Spin | None = None
        """What keeps the event loop awake after answers, if anything does."""
        self._acceptors: list[Acceptor] = []
        self._timer: asyncio.TimerHandle | None = None
        self._trust: int | None = None
        """Where the acceptors' trust stood at the last look."""
        self._opening = 0
        self._empty = asyncio.Event()
        self._gone: Callable[[], None] | None = None

    def full(self) -> bool:
        """Whether there are more connections than allowed, counting those that are being set up."""
        return len(self.connections) + self._opening > self.limits.connections

    def opening(self, change: int) -> None:
        """A connection has been accepted (1), or will not be made after all (-1)."""
        self._opening += change
        self._look_whether_empty()

    def join(self, connection: C) -> int:
        """A connection that was opening has been made. Returns how many there are."""
        self.connections.add(connection)
        self._opening -= 1
        return len(self.connections)

    def leave(self, connection: C) -> None:
        """A connection has ended."""
        self.connections.discard(connection)
        self._look_whether_empty()

    def stall(self, connection: S, size: int) -> None:
        """A client does not take its answer, of which this many bytes are left. If that is too much in all, close the
        connections that have waited longest."""
        answers = self.memory.answers
        answers.hold(size)
        while answers.free < 0 and self.stalled:
            next(iter(self.stalled)).cut_off()
        self.stalled[connection] = None

    def _look_at_trust(self) -> None:
        """Let clients show their certificates again when others are valid than before. Once a second."""
        if not self._acceptors:
            return
        trust = sum(acceptor.trust for acceptor in self._acceptors)
        if self._trust is not None and trust != self._trust:
            for connection in list(self.connections):
                connection.verify_again()
        self._trust = trust

    def _close_acceptors(self) -> None:
        for acceptor in self._acceptors:
            acceptor.close()
        self._acceptors = []

    def _call_when_empty(self, gone: Callable[[], None]) -> None:
        """Call `gone` after the last connection has ended, at once if all have."""
        self._gone = gone
        self._look_whether_empty()

    def _look_whether_empty(self) -> None:
        if self.connections:
            return
        self._empty.set()
        if self._gone is not None and not self._opening:
            self._gone()

    async def _wait_until_empty(self, seconds: float) -> None:
        """Wait for the last connection to end, or for so long."""
        if self.connections:
            self._empty.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), seconds)

    def _end(self) -> int:
        """Close what is left. Returns how many connections there were."""
        rest = list(self.connections)
        for connection in rest:
            connection.abort()
        if self._timer is not None:
            self._timer.cancel()
        return len(rest)
