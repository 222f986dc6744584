"""The one source of time.

Everything that needs to know what time it is takes a `Clock`, so that a test can hold it still or move it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], float]
"""Returns seconds since the Unix epoch."""

system_clock: Clock = time.time

steady_clock: Callable[[], float] = time.monotonic
"""Returns seconds since some moment, and is never put back: for how long ago something was."""
