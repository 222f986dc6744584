"""`python -m fuzz.harness NAME [libFuzzer's options] [files or folders]`: one harness under atheris.

Given files, it tries these and ends; given a folder, it starts from the files there and makes more inputs.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path

HARNESSES = (
    "connections",
    "dax_requests",
    "operations",
    "forms",
    "expressions",
    "partiql",
    "signatures",
    "keys",
    "numbers",
    "peers",
    "policies",
    "protocols",
    "proxy_headers",
)
SLOW_SECONDS = 1.0
"""In processor time. No input as short as these may take longer."""


class TooSlow(Exception):
    """An input took more than SLOW_SECONDS."""


def timed(attempt: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """The same function, except that it raises TooSlow."""

    def attempt_in_time(data: bytes) -> None:
        started = time.process_time()
        attempt(data)
        spent = time.process_time() - started
        if spent > SLOW_SECONDS:
            raise TooSlow(f"{spent:.2f} s")

    return attempt_in_time


def write_seeds(folder: Path, seeds: Iterable[bytes]) -> None:
    """Write each seed to a file of its own."""
    for seed in seeds:
        (folder / sha256(seed).hexdigest()[:16]).write_bytes(seed)


def main() -> None:
    """Run the harness that the command line names."""
    import atheris  # Not where harnesses are merely tried: the tests do that without it.

    _, name, *arguments = sys.argv
    with atheris.instrument_imports(include=["jedlik"]):
        harness = importlib.import_module(f"fuzz.{name}")
    with tempfile.TemporaryDirectory(prefix="jedlik-fuzz-") as seeds:
        if not any(Path(argument).is_file() for argument in arguments):
            write_seeds(Path(seeds), harness.SEEDS)
            arguments.append(seeds)
        atheris.Setup([f"fuzz.{name}", *arguments], timed(harness.attempt))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
