"""The wall clock jumps under load, and the server is killed while it is wrong: nothing is lost, early or done twice."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from torture import jumps
from torture.disk import NoCompiler

SECONDS = 12.0


def test_nothing_is_early_or_done_twice_while_the_clock_jumps(tmp_path: Path, random: Random) -> None:
    try:
        done = jumps.run(tmp_path, random, SECONDS, print)
    except NoCompiler as error:
        pytest.skip(str(error))
    assert done.jumps >= 2
    assert done.replays
