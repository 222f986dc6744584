"""New schedules of the simulator of global tables (`testing/global_tables/simulator.py`).

`make test` runs the same schedules every time; here each run takes others, in order from its seed. The simulator leaves
nothing to chance, so the number of a schedule that fails repeats it:

    python -m testing.global_tables.simulator NUMBER

When the fault is repaired, the number goes into `tests/global_tables/test_simulation.py`, with a test of the cause.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random

from testing.global_tables.simulator import simulate
from torture.expected import Broken

SAY_SECONDS = 30.0
"""Seconds between two reports of progress."""


def run(random: Random, seconds: float, say: Callable[[str], None]) -> str:
    """Run schedules for `seconds`. Returns what was done. Raises Broken, which names the schedule's number."""
    first = random.getrandbits(48)
    number = first
    begun = said = time.monotonic()
    while time.monotonic() - begun < seconds:
        try:
            simulate(number)
        except AssertionError as error:
            raise Broken(str(error)) from error
        number += 1
        if time.monotonic() - said >= SAY_SECONDS:
            said = time.monotonic()
            say(f"{number - first} schedules")
    return f"{number - first} schedules of global tables, from {first}"
