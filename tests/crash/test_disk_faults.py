"""A disk that fails for a while: writes are refused, reads are answered, and nothing is lost when it is over."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from torture import faults
from torture.disk import Disk


@pytest.mark.timeout(180)
def test_a_server_serves_on_while_its_disk_fails_and_goes_on_afterwards(disk: Disk, random: Random) -> None:
    some = [random.choice(faults.FOR_A_WHILE), random.choice(faults.ONCE)]
    done = faults.run(disk, random, 0, print, some)
    assert done.faults == len(some)
    assert done.failed >= len(some)
    assert done.answers > 100


def test_a_small_file_system_that_is_really_full(tmp_path: Path, random: Random) -> None:
    done = faults.fill(tmp_path, random, print)
    if done.faults == 0:
        pytest.skip("a file system can be mounted by root only")
    assert done.refused
    assert done.answers > 100
