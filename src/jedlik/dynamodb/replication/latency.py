"""ReplicationLatency: the time from a write in one region until another has applied it.

Every change is measured as it is applied, by the clocks of both regions; the figure includes their difference.
"""

from __future__ import annotations

from collections import deque

WINDOW = 1000
"""The number of last changes from a peer that count."""


class Latency:
    """The measurements of one peer."""

    def __init__(self) -> None:
        self._window: deque[float] = deque(maxlen=WINDOW)
        self.applied = 0
        """Changes applied since the puller started."""

    def add(self, seconds: float) -> None:
        """A change was applied this long after it was made."""
        self._window.append(seconds)
        self.applied += 1

    def summary(self) -> dict[str, float]:
        """Last, P50 and P99 over the window, in milliseconds; nothing if nothing was applied."""
        if not self._window:
            return {}
        ordered = sorted(self._window)
        found = {
            "Last": self._window[-1],
            "P50": ordered[len(ordered) // 2],
            "P99": ordered[len(ordered) * 99 // 100],
        }
        return {name: round(seconds * 1000, 3) for name, seconds in found.items()}
