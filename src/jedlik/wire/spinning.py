"""Spinning: after an answer to a client that is alone, the event loop looks for the next request without sleeping.

A lone client waits for each answer, and its next request comes a few dozen microseconds later. By then the loop sleeps
in the kernel, and to wake it takes longer than to answer a GetItem. So the loop may stay awake for a moment, in which
it burns a core. That is a setting (`spin`), off by default, for HTTP and for DAX.
"""

from __future__ import annotations

import asyncio
import time


class Spin:
    """Keeps the running event loop awake for `seconds` after each answer to a client that is alone."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._latest: object = None
        """Who had the last answer."""
        self._until = 0.0
        self._spins = False

    def answered(self, connection: object) -> None:
        """A connection has its answer. Its client is alone if it had the last one, too."""
        if connection is not self._latest:
            self._latest = connection
            self._until = 0.0
            return
        self._until = time.monotonic() + self._seconds
        if not self._spins:
            self._spins = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        """Let the loop come round again at once: it takes what has arrived and does not wait for more."""
        if time.monotonic() < self._until:
            self._loop.call_soon(self._turn)
        else:
            self._spins = False


def spin(seconds: float) -> Spin | None:
    """What keeps the running loop awake; None if nothing does."""
    return Spin(seconds) if seconds else None
