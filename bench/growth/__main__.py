"""`python -m bench.growth`: load, measure, print the report.

The report goes to standard output, progress to standard error. Loaded stores stay in the folder and are used again, so
a run may be done in pieces: `--load 2000000` loads two million more of the missing items and ends.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import load
from bench.growth import care, cold, large_items, many_indexes, many_tables, partition, purge, sizes
from bench.growth.options import Options
from bench.measuring import Shape, say
from bench.process import unwind_when_asked

FOLDER = Path(__file__).parent.parent.parent / ".cache" / "growth"
"""On the disk that the checkout is on, so that a sync is a real one."""
LOAD_THREADS = 1
"""Enough for one worker."""

SECTIONS: dict[str, Callable[[Options], Iterator[str]]] = {
    "sizes": sizes.report,
    "care": care.report,
    "cold": cold.report,
    "large": large_items.report,
    "partition": partition.report,
    "tables": many_tables.report,
    "indexes": many_indexes.report,
    "purge": purge.report,
}


def main() -> int:
    """Run the sections that the command line names. Returns the exit code."""
    arguments = _arguments()
    unwind_when_asked()
    options = Options(
        folder=arguments.folder,
        counts=tuple(sorted(arguments.counts)),
        shape=Shape(arguments.connections, arguments.rounds, arguments.seconds, LOAD_THREADS),
        rows=tuple(arguments.rows),
        load_only=arguments.load_only,
    )
    try:
        load.program()
    except load.Unusable as error:
        say(str(error))
        return 2
    if arguments.load:
        for count in options.counts:
            sizes.load(options, count, at_most=arguments.load)
        return 0
    print(f"Command: `python -m bench.growth {' '.join(sys.argv[1:])}`\n")
    for name in arguments.sections:
        print(f"## {name}\n")
        for line in SECTIONS[name](options):
            print(line, flush=True)
        print()
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m bench.growth", description="Measure Jedlik as what it stores grows.")
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS), help="default: all")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="for the stores (default: %(default)s)")
    parser.add_argument(
        "--counts", type=int, nargs="+", default=[10_000, 1_000_000, 10_000_000], help="items in tables"
    )
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 16, 64], help="default: 1 16 64")
    parser.add_argument("--seconds", type=int, default=3, help="length of a run (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each size in a row (default: %(default)s)")
    parser.add_argument(
        "--rows", nargs="+", choices=sizes.ROWS, default=[], help="rows of section sizes to measure (default: all)"
    )
    parser.add_argument("--load", type=int, default=0, metavar="ITEMS", help="only load, and at most so many items")
    parser.add_argument("--load-only", action="store_true", help="load what sections need, and measure nothing")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
