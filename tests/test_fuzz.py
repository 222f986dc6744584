"""The harnesses of `make fuzz` accept the inputs that they start from. More inputs are for `make fuzz`."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Iterator

import pytest

from fuzz.harness import HARNESSES, timed


@pytest.fixture
def _young_garbage_only() -> Iterator[None]:
    """Objects of other tests are not looked at: with many of them, one collection takes a second."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("_young_garbage_only")
@pytest.mark.parametrize("name", HARNESSES)
def test_the_seeds_of_a_harness_are_no_findings(name: str) -> None:
    harness = importlib.import_module(f"fuzz.{name}")
    assert harness.SEEDS
    for attempt in (harness.attempt, timed(harness.attempt)):  # The first round loads what is loaded when it is used.
        for seed in harness.SEEDS:
            attempt(seed)
