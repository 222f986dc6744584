"""The parent's root key: read once, held for the workers, and read again when a rotation has changed it.

A rotation (`root_key_rotation`) must not seal anything under a key that the workers of a running server do not have. So
the parent holds a shared lock on the record of the root key from which it took the key. The rotation puts another file
in its place; once a second the parent looks whether that has happened, reads the key again, hands it to the workers,
and only then lets go of the former file, for which the rotation waits. The kernel lets go for a parent that has died.
"""

from __future__ import annotations

import fcntl
import logging
import os

from jedlik.config import Settings
from jedlik.process.listeners import StartError
from jedlik.regions import root_key_record
from jedlik.regions.root_key_record import RECORD, Found
from jedlik.regions.root_key_sources import RootKeyError
from jedlik.root_key import RootKey, new_key

log = logging.getLogger(__name__)


class RootKeyHolder:
    """The root key of a server. `root_key` is made before the workers are forked, and they share it."""

    def __init__(self, settings: Settings, *, may_make: bool) -> None:
        """Raises StartError if the root key of the data folder cannot be used."""
        self.root_key = RootKey(new_key() if settings.in_memory else None)  # What is in memory needs no key later.
        self.found: Found | None = None
        """Where it came from; None for a server without one."""
        self._held: int | None = None
        self._refused: int | None = None
        """The record that could not be taken up, so that this is logged once."""
        self.take(settings, may_make=may_make)

    def take(self, settings: Settings, *, may_make: bool = False) -> None:
        """Take the root key as these settings have it now. Raises StartError; then nothing has changed."""
        self._settings = settings
        held = self._opened_record()
        try:
            found = self._find(settings, may_make=may_make)
        except RootKeyError as error:
            if held is not None:
                os.close(held)
            raise StartError(str(error)) from error
        if found is not None:
            found.hand_to(self.root_key)
            self.found = found
        if held is None:
            held = self._opened_record()
        before, self._held = self._held, held
        if before is not None:
            os.close(before)

    def look(self) -> None:
        """Once a second: take up the root key of a rotation."""
        if self._held is None:
            return
        try:
            now = os.stat(self._settings.data_dir / RECORD).st_ino
        except OSError:  # It is being replaced, or the folder is gone, which other messages report.
            return
        if now in (os.fstat(self._held).st_ino, self._refused):
            return
        try:
            self.take(self._settings)
        except StartError as error:
            self._refused = now
            log.error("the root key has changed, and the new one cannot be used: %s", error)
        else:
            log.info("root key changed", extra={"key": self.root_key.id})

    def let_go(self) -> None:
        """In a forked process: the lock is the parent's alone."""
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def _find(self, settings: Settings, *, may_make: bool) -> Found | None:
        """The root key of the data folder. What is in memory needs none, unless there are access keys of a folder."""
        if settings.in_memory:
            needs = settings.auth == "on" and root_key_record.read(settings.data_dir) is not None
            return root_key_record.found(settings, may_make=False) if needs else None
        return root_key_record.found(settings, may_make=may_make and settings.root_key_make)

    def _opened_record(self) -> int | None:
        """The record, open and locked, if there is one."""
        try:
            file = os.open(self._settings.data_dir / RECORD, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        fcntl.flock(file, fcntl.LOCK_SH)
        return file
