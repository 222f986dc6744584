"""Room for large requests: how much of them is at work at one time.

A body may take twenty times its size once it is parsed (a dict for each attribute value), for as long as its request
waits for a commit. So large requests take memory for their parsed bodies, first come, first served; small ones, which
are nearly all, need not.

While one is at work the garbage collector pauses. A million new objects would make it visit all of them again and
again, for several times as long as it takes to create them, and parsed data contains no garbage.
"""

from __future__ import annotations

import asyncio
import gc
import time

from jedlik.memory import Share
from jedlik.wire.messages import Request

MOST_INFLATED = 1032
"""Bytes that one compressed byte can become: deflate's best (RFC 1951, a match of 258 bytes for two bits)."""
PARSED_FACTOR = 20
"""Bytes that a byte of a body may take once it is parsed."""
LONGEST_REST = 10.0
"""Seconds after which the collector runs once, if there is always a large request."""


def weight(request: Request, body_limit: int) -> int:
    """Bytes that a request may take once its body, of at most this many bytes, is decoded and parsed."""
    most_inflated = MOST_INFLATED if b"content-encoding" in request.headers else 1
    return PARSED_FACTOR * min(len(request.body) * most_inflated, body_limit)


class Room:
    """The share of the memory for parsed bodies, and the collector's pause."""

    def __init__(self, share: Share) -> None:
        self._share = share
        self._resting_since = 0.0

    async def take(self, size: int) -> None:
        """Wait for room and take it. Raises Exhausted."""
        await self._share.take(size)
        now = time.monotonic()
        if gc.isenabled():
            gc.disable()
            self._resting_since = now
        elif now - self._resting_since > LONGEST_REST:
            gc.collect()
            self._resting_since = now

    def give_back(self, size: int) -> None:
        """Make room for those that wait."""
        self._share.give_back(size)
        if self._share.free == self._share.size:
            # Later: the caller still holds the parsed data, and the collector would visit it at once.
            asyncio.get_running_loop().call_soon(self._wake_collector)

    def _wake_collector(self) -> None:
        if self._share.free == self._share.size:
            gc.enable()
