"""Damaged stores and mixed-up copies: each opens with everything that was acknowledged, or is refused and left
unchanged."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from torture import flips

DAMAGED = 60


@pytest.mark.timeout(180)
def test_nothing_acknowledged_is_lost_silently_when_files_are_damaged(tmp_path: Path, random: Random) -> None:
    done = flips.run(tmp_path, random, DAMAGED, print)
    assert done.stores == DAMAGED
    assert done.refused > DAMAGED / 4
    assert done.recovered > 0
