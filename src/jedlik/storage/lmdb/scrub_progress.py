"""What is known of the scrub of a store (`scrub`): a small file beside LMDB's, which every process reads."""

from __future__ import annotations

import contextlib
import logging
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import orjson

NAME = "scrub"
"""The file in the folder of a store."""
PASS_SECONDS = 24 * 60 * 60.0
"""From the end of a pass to the beginning of the next."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """What is known of the scrub of a store."""

    position: str | None = None
    """The first key of which the pass has not read the value, in hexadecimal; None if no pass is under way."""
    values: int = 0
    """Read in this pass."""
    damaged: tuple[str, ...] = ()
    """Keys of this pass, in hexadecimal: the first thousand."""
    damaged_values: int = 0
    reading: bool = False
    """Whether a process has the pass in hand, or died with it."""
    deaths: int = 0
    """Processes that ended since this was noted, one after the other."""
    finished: float | None = None
    """When the last pass ended, in seconds since the epoch."""
    last_values: int = 0
    """Read in the pass that ended then."""
    last_damaged: tuple[str, ...] = ()
    last_damaged_values: int = 0
    given_up: str | None = None
    """Why that pass ended before it had read everything."""
    unchecked: bool = False
    """Whether the pages are to be checked first."""
    page_damage: str | None = None
    """What the check of pages found. Nobody uses the store any more until it has been checked again."""

    def is_due(self, now: float) -> bool:
        """Whether a pass is to begin or to go on. A clock that has gone back makes it due."""
        if self.page_damage is not None:
            return False
        if self.unchecked or self.position is not None or self.finished is None:
            return True
        return not 0 <= now - self.finished < PASS_SECONDS


def read_progress(folder: Path) -> Progress:
    """What is known of the scrub of the store in a folder. A file that cannot be read knows nothing."""
    try:
        found: dict[str, Any] = orjson.loads((folder / NAME).read_bytes())
        for name in ("damaged", "last_damaged"):
            found[name] = tuple(map(str, found[name]))
        progress = Progress(**found)
        bytes.fromhex(progress.position or "")
        progress.is_due(0.0)
    except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError):
        return Progress()
    return progress


def note_pages(folder: Path, unchecked: bool) -> None:
    """Note that the pages of the store in a folder are whole, or that they are yet to be checked (`unchecked`).

    The caller holds the store alone. The disk need not take the note.
    """
    found = read_progress(folder)
    progress = replace(found, unchecked=unchecked, page_damage=None)
    if progress != found:
        try:
            write_progress(folder, progress)
        except OSError as error:
            log_unnoted(folder, error)


def write_progress(folder: Path, progress: Progress) -> None:
    """Write what is known of the scrub of the store in a folder. Raises OSError."""
    beside = folder / f"{NAME}.{os.getpid()}"
    try:
        beside.write_bytes(orjson.dumps(asdict(progress)))
        beside.chmod(0o600)
        beside.rename(folder / NAME)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def log_unnoted(folder: Path, error: OSError) -> None:
    _log.warning("how far the scrub of the store in %s is cannot be noted: %s", folder, error)
