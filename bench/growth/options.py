"""What the command line says of a run."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Options:
    """Common to all sections."""

    folder: Path
    """Where stores are; what is loaded there is used again."""
    counts: tuple[int, ...]
    """Sizes of tables, ascending."""
    connections: tuple[int, ...]
    seconds: int
    """Of a run."""
    rounds: int
    """Runs of each target."""
    rows: tuple[str, ...]
    """The rows of section `sizes` to be measured; all if empty."""
    load_only: bool
    """Whether to end a section when its tables are loaded."""

    def say(self, text: str) -> None:
        """Tell what is going on, beside the report."""
        print(text, file=sys.stderr, flush=True)
