"""Room for large requests: how much of them is at work at one time.

A body may take twenty times its size once it is parsed (a dict for each attribute value), for as long as its request
waits for a commit. So large ones take room for what their bodies may be, first come, first served; small ones, which
are nearly all, go by.

While one is at work the collector of garbage rests. A million new objects would have it go through all of them again
and again, for several times as long as it takes to make them, and there is no garbage in what is parsed.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections import deque

from jedlik.server.messages import KIB, Request

LARGE = 64 * KIB
"""Bytes of a body that needs no room, unless it is compressed. As many as may be in flight take about a gigabyte."""
MOST_INFLATED = 1032
"""Bytes that one compressed byte can become: deflate's best (RFC 1951, a match of 258 bytes for two bits)."""
LONGEST_REST = 10.0
"""Seconds after which the collector does its work once, should there always be a large request."""


def weight(request: Request, body_limit: int) -> int:
    """Bytes that a request's body may have once it is decoded, of a limit that holds for any."""
    most_inflated = MOST_INFLATED if b"content-encoding" in request.headers else 1
    return min(len(request.body) * most_inflated, body_limit)


class Room:
    """Room for so many bytes of large bodies. What is taken at once must not be more than all of it."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._free = size
        self._resting_since = 0.0
        self._turn: asyncio.Handle | None = None
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, size: int) -> None:
        """Wait for room and take it. Only one is let in in a round of the event loop: small requests come between."""
        let_in: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, let_in))
        self._come_to_turn()
        await let_in

    def give_back(self, size: int) -> None:
        """Make room for those that wait."""
        self._free += size
        self._come_to_turn()
        if self._free == self._size:
            # Later: who gives it back still has what was parsed, and the collector would go through it at once.
            asyncio.get_running_loop().call_soon(self._wake_collector)

    def _wake_collector(self) -> None:
        if self._free == self._size:
            gc.enable()

    def _come_to_turn(self) -> None:
        if self._turn is None and self._waiting and self._waiting[0][0] <= self._free:
            self._turn = asyncio.get_running_loop().call_soon(self._let_in)

    def _let_in(self) -> None:
        """Let the first one in."""
        size, let_in = self._waiting.popleft()
        self._free -= size
        let_in.set_result(None)
        self._turn = None
        self._come_to_turn()
        now = time.monotonic()
        if gc.isenabled():
            gc.disable()
            self._resting_since = now
        elif now - self._resting_since > LONGEST_REST:
            gc.collect()
            self._resting_since = now
