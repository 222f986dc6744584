"""The harnesses of `make fuzz` accept the inputs that they start from. More inputs are for `make fuzz`."""

from __future__ import annotations

import gc
import importlib
import logging
from collections.abc import Iterator

import pytest

from fuzz.harness import HARNESSES, timed
from fuzz.service import Faults


@pytest.fixture
def _young_garbage_only() -> Iterator[None]:
    """Objects of other tests are not looked at: with many of them, one collection takes a second."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def _no_faults_of_others() -> None:
    """What other tests of this process have logged is not the harness's."""
    for handler in logging.getLogger("jedlik").handlers:
        if isinstance(handler, Faults):
            handler.records.clear()


@pytest.mark.usefixtures("_young_garbage_only", "_no_faults_of_others")
@pytest.mark.parametrize("name", HARNESSES)
def test_the_seeds_of_a_harness_are_no_findings(name: str) -> None:
    harness = importlib.import_module(f"fuzz.{name}")
    assert harness.SEEDS
    for attempt in (harness.attempt, timed(harness.attempt)):  # The first round loads what is loaded when it is used.
        for seed in harness.SEEDS:
            attempt(seed)
