"""Histograms: how often values of about a size have come, so that percentiles can be read from counts.

A histogram is a row of cells, each a 64-bit float: the sum of all values, and the number of values in each bucket.
Eight buckets share each power of two, as in HdrHistogram, so a percentile is off by at most an eighth of its value, and
mostly by half of that. Counts add up: the histograms of several processes become one cell by cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import frexp

STEPS = 8
"""Buckets of each power of two."""
LEAST_POWER, MOST_POWER = -10, 37
LEAST, MOST = 2.0**LEAST_POWER, 2.0**MOST_POWER
"""The range with buckets: from a microsecond to four years, in milliseconds; up to 137 GB, in bytes."""

SUM, LOW, FIRST = 0, 1, 2
"""The cells of the sum, of values under `LEAST` (zero is one), and of the first bucket."""
HIGH = FIRST + STEPS * (MOST_POWER - LEAST_POWER)
"""The cell of values from `MOST` on."""
CELLS = HIGH + 1

_OFFSET = FIRST - STEPS * (LEAST_POWER + 1) - STEPS


def cell_of(value: float) -> int:
    """The cell that counts a value. A value that is not a number counts as the least."""
    if value < MOST:
        if value >= LEAST:
            mantissa, power = frexp(value)  # value = mantissa * 2**power, and 0.5 <= mantissa < 1.
            return STEPS * power + int(2 * STEPS * mantissa) + _OFFSET
        return LOW
    return HIGH if value >= MOST else LOW


CELLS_OF_MICROSECONDS = [cell_of(number / 1000) for number in range(4096)]
"""The cell of a time in milliseconds, by its microseconds: nearly all requests take fewer than these, and looking it up
is twice as fast as computing it."""


CELLS_OF_COUNTS = [cell_of(number) for number in range(1024)]
"""The same of small numbers."""


def bounds(cell: int) -> tuple[float, float]:
    """The values that a cell counts: from the first (included) to the second (excluded)."""
    if cell == LOW:
        return 0.0, LEAST
    if cell == HIGH:
        return MOST, MOST
    power, step = divmod(cell - FIRST, STEPS)
    base = 2.0 ** (LEAST_POWER + power)
    return base * (1 + step / STEPS), base * (1 + (step + 1) / STEPS)


def count(cells: Sequence[float]) -> int:
    """The number of values in a histogram."""
    return int(sum(cells[LOW:CELLS]))


def percentile(cells: Sequence[float], percent: float) -> float | None:
    """The value under which `percent` of all values are. Values are taken to be evenly spread over their bucket.

    None if there are no values.
    """
    total = count(cells)
    if not total:
        return None
    wanted = total * percent / 100
    passed = 0.0
    found = 0.0
    for cell in range(LOW, CELLS):
        here = cells[cell]
        if here:
            low, high = bounds(cell)
            found = low + (high - low) * min(1.0, (wanted - passed) / here)
            passed += here
            if passed >= wanted:
                break
    return found
