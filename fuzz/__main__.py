"""`python -m fuzz`: run the harnesses, each in a process of its own for a bounded time, and report their findings.

The exit code is 1 if a harness has found something.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from fuzz.harness import HARNESSES

FOLDER = Path(__file__).parent.parent / ".cache" / "fuzz"
"""Folder of findings and of inputs that have reached new code."""

LONGEST_INPUT = 4096
"""The longest input, in bytes: enough for a few requests, and short enough for thousands of inputs a second."""
HANG_SECONDS = 10
"""An input that takes this many seconds has hung. A merely slow one is found by its processor time
(`harness.SLOW_SECONDS`)."""
MEMORY_MIB = 1024
"""The most memory that a harness may use: about three times what the largest of them needs."""


def main() -> int:
    """Run the harnesses that the command line names."""
    parser = argparse.ArgumentParser(prog="fuzz", description="Look for inputs that break Jedlik.")
    parser.add_argument("harness", nargs="*", help=f"of {', '.join(HARNESSES)} (default: all)")
    parser.add_argument("--seconds", type=int, default=60, help="time for each (default: 60)")
    parser.add_argument("--runs", type=int, default=10_000_000, help="inputs for each, at most")
    options = parser.parse_args()
    unknown = set(options.harness) - set(HARNESSES)
    if unknown:
        parser.error(f"there is no harness {', '.join(sorted(unknown))}")
    broken = [name for name in options.harness or HARNESSES if not _holds(name, options.seconds, options.runs)]
    print(f"Found something: {', '.join(broken)}" if broken else "Nothing found", flush=True)
    return 1 if broken else 0


def _holds(name: str, seconds: int, runs: int) -> bool:
    """Run a harness. Returns whether it found nothing."""
    print(f"\n== {name}", flush=True)
    folder = FOLDER / name
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    arguments = [
        f"-artifact_prefix={folder}/",
        f"-max_total_time={seconds}",
        f"-runs={runs}",
        f"-max_len={LONGEST_INPUT}",
        f"-timeout={HANG_SECONDS}",
        f"-rss_limit_mb={MEMORY_MIB}",
        "-len_control=10",
        "-print_final_stats=1",
        str(corpus),
    ]
    return subprocess.run([sys.executable, "-m", "fuzz.harness", name, *arguments], check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
