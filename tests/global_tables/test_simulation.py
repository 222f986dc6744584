"""Thousands of schedules, each of which must end with all regions the same and nothing lost.

Half of the seeds are the same in every run, and half are new: a failure tells which it was, and
`python tests/global_tables/simulator.py SEED` runs it again.
"""

from __future__ import annotations

import secrets

import pytest
from simulator import simulate

SCHEDULES = 250
"""In each of the tests."""
PARTS = 4


@pytest.mark.parametrize("part", range(PARTS))
def test_schedules_that_are_always_the_same(part: int) -> None:
    for seed in range(part * SCHEDULES, (part + 1) * SCHEDULES):
        simulate(seed)


@pytest.mark.parametrize("part", range(PARTS))
def test_schedules_that_are_new(part: int) -> None:
    first = secrets.randbits(32)
    for seed in range(first, first + SCHEDULES):
        simulate(seed)
