"""The options of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.measuring import Shape


@dataclass(frozen=True, slots=True)
class Options:
    """Common to all sections."""

    folder: Path
    """Folder of the stores; a table loaded there is used again."""
    counts: tuple[int, ...]
    """Sizes of tables, ascending."""
    shape: Shape
    rows: tuple[str, ...]
    """The rows of section `sizes` to measure; all if empty."""
    load_only: bool
    """Whether to end a section when its tables are loaded."""
