"""The scrub: all values of a store are read now and then, so damage is found while there still are copies.

What is known of it is in a small file beside LMDB's, and not in the store: a store that is only read is to be scrubbed
as well, and to write there would take a committer. The process that holds the file's lock scrubs. The file has how far
that is whenever some megabytes have been read and at the end, so a restart goes on from there. It is not synced:
what is lost with it is done again.

LMDB believes its pages, and a damaged one may end the process that reads it. So each pass but the first begins with a
check of the pages (`page_checker`), and so does the first after a large store was opened, whose pages nobody has
checked yet. What it finds is noted in the file as well: each process that has the store open looks there once a second,
and then uses the store no more. Processes may end all the same, and that must not go on for ever: when three have ended
in the same stretch, the pass is given up until the next is due.
"""

from __future__ import annotations

import fcntl
import logging
import os
from dataclasses import replace
from pathlib import Path

import lmdb

from jedlik.storage.engine import Scrubbed
from jedlik.storage.lmdb.checksums import is_whole, original_key
from jedlik.storage.lmdb.last_entry import POSITION_KEY
from jedlik.storage.lmdb.page_checker import Checked, PageChecker
from jedlik.storage.lmdb.scrub_progress import NAME, Progress, log_unnoted, read_progress, write_progress
from jedlik.storage.lmdb.view import FIRST_KEY

PIECE_BYTES = 64 << 10
"""Read at once. The event loop waits meanwhile."""
NOTE_BYTES = 4 << 20
"""Read between two notes of how far it has come."""
MOST_DEATHS = 3
MOST_NAMED = 1000
"""Damaged keys of which the file keeps the names."""

_log = logging.getLogger(__name__)


class Scrub:
    """The scrub of one store, as one process does it or leaves it to another."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock: int | None = None
        """The file's lock, while we hold it."""
        self._progress = Progress()
        self._unnoted = 0
        """Bytes read since the last note."""
        self._failed = False
        """Whether the last note failed, which has been logged."""
        self._in_hand = False
        """Whether we hold the lock for a pass, and not only for a check of the pages."""
        self._checker: PageChecker | None = None
        """While it checks the pages."""

    def progress(self) -> Progress:
        """What is known, here or by the process that holds the lock."""
        if self._lock is not None or self._progress.page_damage is not None:
            return self._progress
        return read_progress(self._folder)

    def look(self) -> None:
        """Begin a check of the pages, if that is due and no other process does it, or see whether it has ended.

        Called once a second, and not by background work, which a damaged page may keep from being found.
        """
        if self.progress().unchecked and (self._lock is not None or self._take_lock()):
            self._check_pages()

    def read_piece(self, environment: lmdb.Environment, now: float) -> Scrubbed:
        """Read on for a piece, if that is due and no other process does it. A page that LMDB refuses ends the pass.

        Raises lmdb.Error.
        """
        known = self.progress()
        if not self._in_hand and (known.unchecked or not known.is_due(now) or not self._take()):
            return Scrubbed(0, 0, (), False)
        if self._progress.unchecked:
            return Scrubbed(0, 0, (), False)
        progress = self._progress
        if progress.deaths >= MOST_DEATHS:
            self._finish(now, f"{MOST_DEATHS} processes ended while they read from key {progress.position} on")
            return Scrubbed(0, 0, (), False)
        start = bytes.fromhex(progress.position or "") or FIRST_KEY
        try:
            values, size, damaged, following, misplaced = _piece(environment, start)
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
        if misplaced is not None:
            self._refuse_pages(misplaced)
            return Scrubbed(values, size, tuple(damaged), False)
        if following is None:
            self._finish(now, None)
        elif self._unnoted >= NOTE_BYTES:
            self._progress = replace(self._progress, deaths=0)
            self._note()
        return Scrubbed(values, size, tuple(damaged), following is not None)

    def close(self) -> None:
        """Leave a pass that is under way to the next process that opens the store."""
        if self._checker is not None:
            self._checker.end()
            self._checker = None
        if self._in_hand:
            self._progress = replace(self._progress, reading=False, deaths=0)
            self._note()
        if self._lock is not None:
            self._release()

    def _take_lock(self) -> bool:
        """Take the file's lock; False if another process has it, or the disk does not let us."""
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
        self._progress = read_progress(self._folder)
        return True

    def _take(self) -> bool:
        """Take the pass in hand; False if another process has the lock."""
        if self._lock is None and not self._take_lock():
            return False
        self._in_hand = True
        found = self._progress
        deaths = found.deaths + 1 if found.reading else 0
        is_again = found.position is None and found.finished is not None
        self._progress = replace(
            found,
            reading=True,
            deaths=deaths,
            position=found.position or FIRST_KEY.hex(),
            unchecked=found.unchecked or is_again,
        )
        self._note()
        return True

    def _check_pages(self) -> None:
        """Begin the check of the pages, or see whether it has ended."""
        if self._checker is None:
            try:
                self._checker = PageChecker(self._folder)
            except OSError as error:
                self._end_of_check(Checked(None, str(error)))
            return
        checked = self._checker.result()
        if checked is not None:
            self._checker = None
            self._end_of_check(checked)

    def _end_of_check(self, checked: Checked) -> None:
        if checked.damage is not None:
            self._refuse_pages(checked.damage)
            return
        if checked.failure is not None:
            _log.error("the pages of the store in %s could not be checked: %s", self._folder, checked.failure)
        self._progress = replace(self._progress, unchecked=False)
        self._note()
        if not self._in_hand:
            self._release()

    def _refuse_pages(self, damage: str) -> None:
        self._progress = replace(
            self._progress, unchecked=False, page_damage=damage, position=None, reading=False, deaths=0
        )
        self._note()
        self._release()

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
        try:
            write_progress(self._folder, self._progress)
        except OSError as error:
            self._say_unnoted(error)
        else:
            self._failed = False

    def _say_unnoted(self, error: OSError) -> None:
        """Log, once, that the file cannot be written: it is no reason not to read on, or to fail."""
        if not self._failed:
            log_unnoted(self._folder, error)
        self._failed = True

    def _release(self) -> None:
        assert self._lock is not None
        os.close(self._lock)
        self._lock = None
        self._in_hand = False


def _piece(environment: lmdb.Environment, start: bytes) -> tuple[int, int, list[bytes], bytes | None, str | None]:
    """Values and bytes read from a key on, the keys of damaged values among them, the first key that was not read, and
    what is wrong with a key itself. Then its row is missing where it belongs."""
    damaged: list[bytes] = []
    misplaced: str | None = None
    values = size = 0
    with environment.begin() as snapshot, snapshot.cursor() as cursor:
        position = snapshot.get(POSITION_KEY) if start == FIRST_KEY else None
        if position is not None and not is_whole(POSITION_KEY, position):
            damaged.append(POSITION_KEY)
        if not cursor.set_range(start):
            return values, size, damaged, None, None
        for key, found in cursor.iternext():
            if size >= PIECE_BYTES:
                return values, size, damaged, key, misplaced
            if not is_whole(key, found):
                damaged.append(key)
                original = original_key(key, found) if misplaced is None else None
                if original is not None:
                    misplaced = f"the key {key.hex()} is damaged: it was {original.hex()}"
            values += 1
            size += len(key) + len(found)
    return values, size, damaged, None, misplaced
