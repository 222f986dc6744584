"""The scrub: all values of a store are read now and then, so damage is found while there still are copies.

What is known of it is in a small file beside LMDB's, and not in the store: a store that is only read is to be scrubbed
as well, and to write there would take a committer. The process that holds the file's lock scrubs. The file has how far
that is whenever some megabytes have been read and at the end, so a restart goes on from there. It is not synced:
what is lost with it is done again.

LMDB believes its pages, and a damaged one may end the process that reads it. That must not go on for ever: when three
processes have ended in the same stretch, the pass is given up until the next is due.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import lmdb
import orjson

from jedlik.storage.engine import Scrubbed
from jedlik.storage.lmdb.checksums import is_whole
from jedlik.storage.lmdb.last_entry import POSITION_KEY
from jedlik.storage.lmdb.view import FIRST_KEY

NAME = "scrub"
"""The file in the folder of a store."""
PASS_SECONDS = 24 * 60 * 60.0
"""From the end of a pass to the beginning of the next."""
PIECE_BYTES = 64 << 10
"""Read at once. The event loop waits meanwhile."""
NOTE_BYTES = 4 << 20
"""Read between two notes of how far it has come."""
MOST_DEATHS = 3
MOST_NAMED = 1000
"""Damaged keys of which the file keeps the names."""

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

    def is_due(self, now: float) -> bool:
        """Whether a pass is to begin or to go on. A clock that has gone back makes it due."""
        if self.position is not None or self.finished is None:
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


class Scrub:
    """The scrub of one store, as one process does it or leaves it to another."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock: int | None = None
        """The file's lock, while we have a pass in hand."""
        self._progress = Progress()
        self._unnoted = 0
        """Bytes read since the last note."""
        self._failed = False
        """Whether the last note failed, which has been logged."""

    def progress(self) -> Progress:
        """What is known, here or by the process that has the pass in hand."""
        return self._progress if self._lock is not None else read_progress(self._folder)

    def read_piece(self, environment: lmdb.Environment, now: float) -> Scrubbed:
        """Read on for a piece, if that is due and no other process does it. A page that LMDB refuses ends the pass.

        Raises lmdb.Error.
        """
        if self._lock is None and not (read_progress(self._folder).is_due(now) and self._take()):
            return Scrubbed(0, 0, (), False)
        progress = self._progress
        if progress.deaths >= MOST_DEATHS:
            self._finish(now, f"{MOST_DEATHS} processes ended while they read from key {progress.position} on")
            return Scrubbed(0, 0, (), False)
        start = bytes.fromhex(progress.position or "") or FIRST_KEY
        try:
            values, size, damaged, following = _piece(environment, start)
        except (lmdb.CorruptedError, lmdb.PageNotFoundError) as error:
            self._finish(now, f"a page from key {start.hex()} on cannot be read: {error}")
            return Scrubbed(0, 0, (), False)
        names = (*progress.damaged, *(key.hex() for key in damaged))[:MOST_NAMED]
        self._progress = replace(
            progress,
            position=None if following is None else following.hex(),
            values=progress.values + values,
            damaged=names,
            damaged_values=progress.damaged_values + len(damaged),
        )
        self._unnoted += size
        if following is None:
            self._finish(now, None)
        elif self._unnoted >= NOTE_BYTES:
            self._progress = replace(self._progress, deaths=0)
            self._note()
        return Scrubbed(values, size, tuple(damaged), following is not None)

    def close(self) -> None:
        """Leave a pass that is under way to the next process that opens the store."""
        if self._lock is not None:
            self._progress = replace(self._progress, reading=False, deaths=0)
            self._note()
            self._release()

    def _take(self) -> bool:
        """Take the pass in hand; False if another process has it, or the disk does not let us."""
        try:
            lock = os.open(self._folder / f"{NAME}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            self._say_unnoted(error)
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        self._lock = lock
        found = read_progress(self._folder)
        deaths = found.deaths + 1 if found.reading else 0
        self._progress = replace(found, reading=True, deaths=deaths, position=found.position or FIRST_KEY.hex())
        self._note()
        return True

    def _finish(self, now: float, given_up: str | None) -> None:
        found = self._progress
        self._progress = Progress(
            finished=now,
            last_values=found.values,
            last_damaged=found.damaged,
            last_damaged_values=found.damaged_values,
            given_up=given_up,
        )
        if given_up is not None:
            _log.error(
                "the scrub of the store in %s was given up: %s. Run `jedlik check --pages`", self._folder, given_up
            )
        self._note()
        self._release()

    def _note(self) -> None:
        self._unnoted = 0
        beside = self._folder / f"{NAME}.{os.getpid()}"
        try:
            beside.write_bytes(orjson.dumps(asdict(self._progress)))
            beside.chmod(0o600)
            beside.rename(self._folder / NAME)
        except OSError as error:
            self._say_unnoted(error)
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
        else:
            self._failed = False

    def _say_unnoted(self, error: OSError) -> None:
        """Log, once, that the file cannot be written: it is no reason not to read on, or to fail."""
        if not self._failed:
            _log.warning("how far the scrub of the store in %s is cannot be noted: %s", self._folder, error)
        self._failed = True

    def _release(self) -> None:
        assert self._lock is not None
        os.close(self._lock)
        self._lock = None


def _piece(environment: lmdb.Environment, start: bytes) -> tuple[int, int, list[bytes], bytes | None]:
    """Values and bytes read from a key on, the damaged keys among them, and the first key that was not read."""
    damaged: list[bytes] = []
    values = size = 0
    with environment.begin() as snapshot, snapshot.cursor() as cursor:
        position = snapshot.get(POSITION_KEY) if start == FIRST_KEY else None
        if position is not None and not is_whole(POSITION_KEY, position):
            damaged.append(POSITION_KEY)
        if not cursor.set_range(start):
            return values, size, damaged, None
        for key, found in cursor.iternext():
            if size >= PIECE_BYTES:
                return values, size, damaged, key
            if not is_whole(key, found):
                damaged.append(key)
            values += 1
            size += len(key) + len(found)
    return values, size, damaged, None
