"""`python -m torture`: torture a server, and report what was done and what was found.

The exit code is 1 if a requirement was violated; the folder with the store, the log and the recording is then kept.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from torture import cut_archives, cuts, faults, flips, jumps, kills, pages, primaries, regions, restored_seconds
from torture.disk import Disk, NoCompiler
from torture.expected import Broken

KINDS: dict[str, Callable[[argparse.Namespace, Path, Random], Any]] = {
    "kills": lambda options, folder, random: kills.run(folder, random, options.seconds, _say),
    "backups": lambda options, folder, random: _backups(options, folder, random),
    "cuts": lambda options, folder, random: cuts.run(folder, random, options.cuts, _say),
    "flips": lambda options, folder, random: flips.run(folder, random, options.flips, _say),
    "pages": lambda options, folder, random: pages.run(folder, random, options.flips, _say),
    "faults": lambda options, folder, random: faults.run(Disk(folder), random, options.seconds, _say),
    "full": lambda options, folder, random: faults.fill(folder, random, _say),
    "primaries": lambda options, folder, random: primaries.run(folder, random, options.seconds, _say),
    "clocks": lambda options, folder, random: jumps.run(folder, random, options.seconds, _say),
    "regions": lambda options, folder, random: regions.run(random, options.seconds, _say),
}


def main() -> int:
    """Run the kinds that the command line names."""
    parser = argparse.ArgumentParser(prog="torture", description="See what a store survives.")
    parser.add_argument("kind", nargs="*", help=f"of {', '.join(KINDS)} (default: all)")
    parser.add_argument(
        "--seconds", type=float, default=90.0, help="how long to kill, to break disks, and so on (default: 90)"
    )
    parser.add_argument("--cuts", type=int, default=500, help="how many power cuts (default: 500)")
    parser.add_argument("--points", type=int, default=40, help="how many seconds are restored (default: 40)")
    parser.add_argument("--keyed", action="store_true", help="back up a table under a key of KMS")
    parser.add_argument("--flips", type=int, default=500, help="how many damaged stores (default: 500)")
    parser.add_argument("--seed", type=int, default=Random().randrange(1 << 32))
    options = parser.parse_args()
    unknown = set(options.kind) - set(KINDS)
    if unknown:
        parser.error(f"there is no kind {', '.join(sorted(unknown))}")
    broken = [kind for kind in options.kind or KINDS if not _holds(kind, options)]
    _say(f"Broken: {', '.join(broken)}" if broken else "Everything holds")
    return 1 if broken else 0


def _backups(options: argparse.Namespace, folder: Path, random: Random) -> str:
    """Half of the points while processes are killed, and the other half after power cuts."""
    keyed = options.keyed
    done = str(restored_seconds.run(folder, random, (options.points + 1) // 2, _say, keyed))
    try:
        return f"{done}; {cut_archives.run(folder, random, options.points // 2, _say, keyed)}"
    except NoCompiler as error:
        _say(f"Left out: {error}")
    return done


def _holds(kind: str, options: argparse.Namespace) -> bool:
    """Run one kind. Returns whether every requirement was met."""
    _say(f"== {kind}, seed {options.seed}")
    folder = Path(tempfile.mkdtemp(prefix=f"jedlik-torture-{kind}-"))
    begun = time.monotonic()
    try:
        outcome = KINDS[kind](options, folder, Random(options.seed))
    except Broken as error:
        _say(f"BROKEN after {time.monotonic() - begun:.0f} s: {error}\nWhat is left is in {folder}")
        return False
    except NoCompiler as error:
        _say(f"Left out: {error}")
        outcome = "Nothing done"
    _say(f"{outcome}, in {time.monotonic() - begun:.0f} s")
    shutil.rmtree(folder)
    return True


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
