"""Pacing: how a job that rests by itself knows when to.

A job whose step takes long, or writes much, divides its work into parts. While requests come, it makes the parts small
and rests after each; in a server that nobody asks it does neither. The runner adds no rest to such jobs
(`work.JobKind`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jedlik.regions.region import Region

REST_SECONDS = 0.004
"""The rest after a part while requests come."""


class Pace:
    """Notices whether requests come while a job works."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._asked = region.asked
        self.is_busy = True
        """Whether the next part must be small. The first one is: nobody has looked yet."""

    async def rest(self) -> None:
        """Let others have their turn after a part: for a while, if requests have come since the one before it."""
        asked = self._region.asked
        self._asked, self.is_busy = asked, asked != self._asked
        await asyncio.sleep(REST_SECONDS if self.is_busy else 0)
