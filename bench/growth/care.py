"""Section `care`: the time and memory that checking and compacting the stores of section `sizes` takes."""

from __future__ import annotations

from collections.abc import Iterator

from bench.growth.options import Options
from bench.growth.service import jedlik
from bench.growth.sizes import folder, load
from bench.memory import MB


def report(options: Options) -> Iterator[str]:
    """The section."""
    for count in options.counts:
        load(options, count, at_most=count)
    if options.load_only:
        return
    yield "| items | command | seconds | private memory, MB | what it said |"
    yield "|---|---|---|---|---|"
    for count in options.counts:
        for command in ("stats", "check", "compact"):
            done = jedlik(command, folder(options, count))
            said = done.said.splitlines()[-1]
            yield f"| {count:,} | `jedlik {command}` | {done.seconds:.1f} | {done.private / MB:.0f} | {said} |"
