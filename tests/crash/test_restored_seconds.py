"""Recovery to a point in time, and backups, while processes are killed: each restored second is what it was.

`make torture ARGS="backups --points 200"` does the same for longer.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

from torture import restored_seconds


def test_every_restored_second_is_exact_whatever_is_killed(tmp_path: Path, random: Random) -> None:
    done = restored_seconds.run(tmp_path, random, 3, print)
    assert done.points + done.backups == 3
