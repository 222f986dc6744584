"""The harnesses of `make fuzz` hold for what they begin with. That they go on from there is for `make fuzz`."""

from __future__ import annotations

import importlib

import pytest

from fuzz.harness import HARNESSES, timed


@pytest.mark.parametrize("name", HARNESSES)
def test_what_a_harness_begins_with_is_no_finding(name: str) -> None:
    harness = importlib.import_module(f"fuzz.{name}")
    attempt = timed(harness.attempt)
    assert harness.SEEDS
    for seed in harness.SEEDS:
        attempt(seed)
