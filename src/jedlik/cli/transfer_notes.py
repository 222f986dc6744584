"""Transfer notes: how far an export or an import is that was interrupted, in a file of its own.

A note names what it is of. It counts for that only: an export goes on if it is of the same table, and an import if its
source has not changed, either. Else both begin again.
"""

from __future__ import annotations

import json
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

from jedlik.cli.transfer_places import local_path


def of(what: str, table: str, other: str, place: str) -> Path:
    """The file of a note: beside the other file or, if that is elsewhere or its folder is read-only, in the working
    directory. `other` is where the table is."""
    path = local_path(place)
    folder = Path() if path is None or not os.access(path.parent, os.W_OK) else path.parent
    return folder / f".jedlik-{what}-{sha256(f'{table} {other} {place}'.encode()).hexdigest()[:16]}.json"


def read(note: Path, of_what: list[Any]) -> Any:
    """How far something is; None without a note that is of this."""
    found = json.loads(note.read_text()) if note.exists() else None
    return found["At"] if isinstance(found, dict) and found["Of"] == of_what else None


def write(note: Path, of_what: list[Any], at: Any) -> None:
    """Note how far something is, whole or not at all."""
    made = note.with_name(note.name + ".new")
    made.write_text(json.dumps({"Of": of_what, "At": at}))
    made.replace(note)


def state_of(source: str) -> list[int] | None:
    """What changes with the content of a source that is a file."""
    path = local_path(source)
    if path is None or not path.exists():
        return None
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]
