"""How often strangers may try something: a number of times at once, and then at a rate, for each address."""

from __future__ import annotations

import time
from collections.abc import Callable

MOST_ADDRESSES = 10_000
"""Addresses that are remembered: the one that has been quiet for longest makes room for another."""


class Attempts:
    """A bucket of tokens for each address."""

    def __init__(self, burst: int, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst = burst
        self._per_second = per_second
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}
        """How many tokens an address had, and when."""

    def try_take(self, address: str) -> bool:
        """Whether an address may try once more."""
        now = self._clock()
        left, since = self._left.pop(address, (float(self._burst), now))
        left = min(self._burst, left + (now - since) * self._per_second)
        may = left >= 1
        self._left[address] = (left - 1 if may else left, now)
        if len(self._left) > MOST_ADDRESSES:
            del self._left[next(iter(self._left))]
        return may
