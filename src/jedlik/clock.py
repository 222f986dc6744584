"""The one source of time.

Everything that needs the time takes a `Clock`, so that a test can hold it still or move it. A region has a
`TrustedClock`, which does not follow the wall clock when it jumps (`timekeeping`): writes made while it is wrong are
dated as if it had gone on.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path

from jedlik import timekeeping
from jedlik.timekeeping import AGREEMENT_SECONDS, Reading, Timekeeping

Clock = Callable[[], float]
"""Returns seconds since the Unix epoch."""

system_clock: Clock = time.time

steady_clock: Callable[[], float] = time.monotonic
"""Returns seconds since some moment, and is never put back: for how long ago something was."""

boot_clock: Callable[[], float] = partial(time.clock_gettime, time.CLOCK_BOOTTIME)
"""Seconds since the machine was booted, including those in which it slept. Nobody can set it."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def _boot() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return uuid.uuid4().hex  # Then each start of the server counts as a boot of the machine.


BOOT = _boot()
"""Identifies this boot of the machine. Workers have it from their parent."""


class TrustedClock:
    """Follows the wall clock as long as that agrees with the steady one; otherwise the time goes on from what was
    trusted.

    Without a steady clock the wall clock is trusted.
    """

    __slots__ = ("_offset", "_steady", "_wall", "known", "raw")

    def __init__(self, wall: Clock, steady: Callable[[], float] | None = None) -> None:
        self._wall = wall
        self._steady = steady or wall
        self.raw: bytes | None = None
        """The store's record from which `known` follows."""
        self.know(timekeeping.started(None, self.read()))

    def __call__(self) -> float:
        wall = self._wall()
        ahead = wall - self._steady() - self._offset
        return wall if -AGREEMENT_SECONDS <= ahead <= AGREEMENT_SECONDS else wall - ahead

    def read(self) -> Reading:
        """What both clocks are at."""
        return Reading(self._wall(), self._steady(), BOOT)

    def know(self, known: Timekeeping) -> None:
        """Go on with this knowledge."""
        self.known = known
        self._offset = known.offset

    def possible(self, reading: Reading, seconds: float) -> list[float]:
        """The possible times at a `reading`, if the clocks do not agree.

        Those of the wall clock, and of the clocks that were trusted within the last `seconds`.
        """
        former = [reading.steady + offset for offset in self.known.offsets(reading.steady, seconds)[1:]]
        return [reading.wall, *former] if self.known.parted(reading) else former

    @property
    def doubtful(self) -> bool:
        """Whether nothing may be deleted now because of its age."""
        return self.known.pause is not None or self.known.parted(self.read())

    def slowest(self) -> float:
        """The time by which to judge the age of anything that this clock has dated.

        Seconds since the epoch, by the slowest of the clocks that were trusted within the last day: writes dated by
        another clock do not count as older than they are.
        """
        return self.known.slowest(self._steady())
