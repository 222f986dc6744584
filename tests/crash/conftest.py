"""The seed of a crash test: printed when the test fails, and set in `CRASH_SEED` to repeat it."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest

from torture.disk import Disk, NoCompiler


@pytest.fixture
def random() -> Random:
    seed = int(os.environ.get("CRASH_SEED") or Random().randrange(1 << 32))
    print(f"CRASH_SEED={seed}")
    return Random(seed)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    try:
        return Disk(tmp_path)
    except NoCompiler as error:
        pytest.skip(str(error))
