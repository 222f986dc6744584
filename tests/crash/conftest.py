"""The seed of a crash test: in its output when it fails, and in `CRASH_SEED` to make it the same again."""

from __future__ import annotations

import os
from random import Random

import pytest


@pytest.fixture
def random() -> Random:
    seed = int(os.environ.get("CRASH_SEED") or Random().randrange(1 << 32))
    print(f"CRASH_SEED={seed}")
    return Random(seed)
