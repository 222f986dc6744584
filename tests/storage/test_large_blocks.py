"""What an open store takes of a process's memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

STORES = 20
OPENING = """
import re, sys
from pathlib import Path
from jedlik.storage.lmdb.environment import MAP_SIZE
from jedlik.storage.lmdb.large_blocks import map_apart
from jedlik.storage.lmdb.store import open_store

def kilobytes():
    return int(re.search(r"^Pss_Anon:\\s+(\\d+)", Path("/proc/self/smaps_rollup").read_text(), re.M)[1])

if sys.argv[2] == "apart":
    map_apart()
before = kilobytes()
stores = [open_store(Path(sys.argv[1]) / str(number), True, MAP_SIZE) for number in range(int(sys.argv[3]))]
print((kilobytes() - before) / len(stores))
"""


def test_an_open_store_takes_a_part_of_a_megabyte(tmp_path: Path) -> None:
    taken = {}
    for how in ("apart", "as usual"):
        command = [sys.executable, "-c", OPENING, str(tmp_path / how), how, str(STORES)]
        taken[how] = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert taken["apart"] < 600, "kilobytes"
    assert taken["apart"] <= taken["as usual"]
