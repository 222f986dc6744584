"""DAX's primary is killed under writes through it: clients go on, and nothing acknowledged is lost."""

from __future__ import annotations

from pathlib import Path
from random import Random

from torture import primaries


def test_a_dead_primary_is_replaced_and_nothing_acknowledged_is_lost(tmp_path: Path, random: Random) -> None:
    done = primaries.run(tmp_path, random, 1.0, print)
    assert len(done.serving) == len(done.official) == len(done.by_hand) >= 1
    assert done.writes > 0
