"""Checkpoints: states of a store that are completely on the disk, so that the journal before them is no longer needed.

    pin      a read transaction on the newest state, so that no commit takes one of its pages for something else
    sync     LMDB's file; commits go on meanwhile
    note     the state's meta pages, and the place in the journal up to which it goes (`Journal.write_checkpoint`)

The pin stays until the next checkpoint is made, because recovery begins with the last one's pages. Each committer has a
pin of its own, on a state that was a checkpoint before it committed anything, and a worker commits only while its
committer's pin is there (`is_pinned`). So every process that could overwrite pages of the last checkpoint is covered by
a pin on it or on an earlier one, even if the process that made the checkpoint has died.

A failed sync may have lost pages of any state since the last checkpoint. No later sync writes them, and a process that
opens the file later gets no error. So the pages are written again after a failure, and before a process's first
checkpoint.
"""

from __future__ import annotations

import ctypes
import errno
import os
import threading
import time
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING

import lmdb

from jedlik.storage.engine import StorageError
from jedlik.storage.lmdb.journal import JOURNAL_KEY, Journal
from jedlik.storage.lmdb.lmdb_pages import DATA, metas, write_metas, write_newer_again

if TYPE_CHECKING:
    from jedlik.storage.lmdb.changes import Transaction

SECONDS = 0.5
"""Seconds between two checkpoints of a process, if anything is committed."""
SHORT_SECONDS = 0.1
"""The same while much is committed. Pages that commits free are used again only after two more checkpoints, and every
commit frees a dozen pages or more, so the file would have hundreds of megabytes of free pages."""
MANY_COMMITS = 1_000
"""Commits, by any process, that are much for one checkpoint. A lone client takes a third of a second for as many."""
MANY_BYTES = 512 << 10
"""The same for bytes of a process's records: a commit of many rows frees many pages."""
CALM_SECONDS = 10.0
"""Seconds without much being committed, after which a burst is over and the journal is cut back."""
RESTS = 3
"""How much longer a process rests after a checkpoint than it took: not all of the disk's time is for checkpoints."""
BYTES = 8 << 20
"""Bytes of records after which a process makes a checkpoint at once."""

_LEAST_PART = 256 << 10
"""Bytes of a file that are written together. The slowest records then take a tenth of the time that they take during a
sync of the whole file."""
_PARTS = 1024
"""The most parts in which a file is written: in a large file, each part has only a few changed pages."""
_WRITE_AND_WAIT = 1 | 2 | 4
_CANNOT_BE_ASKED = (errno.ENOSYS, errno.EINVAL, errno.ESPIPE, errno.EPERM)
"""Errors of a system, file system or sandbox without this call. Any other one is what a disk has answered: drivers have
more than EIO for that, like ENODATA and ETIMEDOUT, and the kernel reports each to a process once."""
_sync_file_range = ctypes.CDLL(None, use_errno=True).sync_file_range
_sync_file_range.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]


class Pending(Enum):
    """How much has been committed since a process's last checkpoint, by any process."""

    NOTHING = auto()
    LITTLE = auto()
    MUCH = auto()


class Checkpoints:
    """Makes the checkpoints of one process, in a thread. `failure` is the reason why the last one failed, or None."""

    def __init__(self, path: Path, environment: lmdb.Environment, journal: Journal) -> None:
        """Raises OSError."""
        self.failure: str | None = None
        self._environment = environment
        self._journal = journal
        self._file = os.open(path / DATA, os.O_RDWR)
        self._making = threading.Lock()
        self._pin: Transaction | None = None
        self._pinned = 0
        """The state under the pin."""
        self._sure = False
        """Whether what was written since the last checkpoint will be on the disk after a sync that does not fail."""
        self._written = 0
        """Bytes of records since the last checkpoint."""
        self._due = threading.Event()
        self._ending = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def begin(self) -> None:
        """Make the first checkpoint, before which nothing may be committed, and go on making them.

        Raises OSError, lmdb.Error and StorageError.
        """
        self.make()
        self._thread.start()

    def take_note(self, size: int) -> None:
        """Know of a record that was committed."""
        self._written += size
        if self._written >= BYTES:
            self._due.set()

    def make(self) -> None:
        """Make a checkpoint of the newest state. Raises OSError, lmdb.Error and StorageError.

        The caller must not hold LMDB's lock.
        """
        with self._making, self._journal.locked():
            last = self._journal.confirm()
            # Nobody commits while the lock is held, so pin, meta pages and place belong to one state.
            locking = self._environment.begin(write=True)
            try:
                pin = self._environment.begin()
                found = metas(self._file)
                if not self._sure:
                    write_metas(self._file, found)
                place = self._journal.place_after(pin.id())
                self._written = 0
            finally:
                locking.abort()
            try:
                if pin.id() != last.transaction:
                    if not self._sure:
                        write_newer_again(self._file, found, last.transaction)
                    self._sure = False
                    _write_back(self._file)
                    os.fdatasync(self._file)
                    self._journal.write_checkpoint(pin.id(), found, place)
                self._sure = True
            except BaseException:
                pin.abort()
                raise
            unpinned, self._pin = self._pin, pin
            self._pinned = pin.id()
            if unpinned is not None:
                unpinned.abort()

    def cut_journal(self) -> None:
        """Cut the journal back if it is long and can be cut now. Raises OSError, lmdb.Error and StorageError.

        The caller must not hold LMDB's lock.
        """
        if not self._journal.is_long:
            return
        with self._making, self._journal.locked():
            self._journal.confirm()
            locking = self._environment.begin(write=True)
            try:
                self._journal.cut(locking.id() - 1, locking.get(JOURNAL_KEY))
            finally:
                locking.abort()

    def confirm(self) -> None:
        """Sync the last checkpoint, whichever process made it. Raises OSError and StorageError."""
        with self._making, self._journal.locked():
            self._journal.confirm()

    def end(self) -> None:
        """Make a last checkpoint, if the first could be made, and give the pin up."""
        self._ending = True
        self._due.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._pin is not None:
            self._pin.abort()
        os.close(self._file)

    def pending(self) -> Pending:
        """How much the next checkpoint will cover. Raises lmdb.Error."""
        commits = self._environment.info()["last_txnid"] - self._pinned
        if commits >= MANY_COMMITS or (commits and self._written >= MANY_BYTES):
            return Pending.MUCH
        return Pending.LITTLE if commits else Pending.NOTHING

    def _run(self) -> None:
        made = calm_since = time.monotonic()
        rest, ending = SECONDS, False
        while not ending:
            due = self._due.wait(rest)
            self._due.clear()
            ending = self._ending
            begun = time.monotonic()
            try:
                pending = self.pending()
                rest = SHORT_SECONDS if pending is not Pending.NOTHING else SECONDS
                if pending is Pending.MUCH:
                    calm_since = begun
                if pending is Pending.MUCH or (pending is Pending.LITTLE and (due or begun - made >= SECONDS)):
                    self.make()
                    made = time.monotonic()
                    rest = max(rest, RESTS * (made - begun))
                if ending or begun - calm_since >= CALM_SECONDS:
                    self.cut_journal()
                self.failure = None
            except (OSError, lmdb.Error, StorageError) as error:
                self.failure = str(error)
                rest = SECONDS


def is_pinned(environment: lmdb.Environment, process: int, transaction: int) -> bool:
    """Whether a process has a read transaction on the state that a transaction made, or on an earlier one."""
    # One line for each: process id, thread, and the state, or "-".
    readers = (line.split() for line in environment.readers().splitlines()[1:])
    return any(pid == str(process) and state != "-" and int(state) <= transaction for pid, _, state in readers)


def _write_back(file: int) -> None:
    """Write a file's changed pages to the disk, a part at a time, so that journal records get through in between: they
    would wait for the whole of one large sync. A sync is still needed afterwards, but has little left to do.

    Raises OSError if the disk fails. The sync that follows might not report that failure again.
    """
    size = os.fstat(file).st_size
    part = max(_LEAST_PART, size // _PARTS)
    for offset in range(0, size, part):
        if _sync_file_range(file, offset, part, _WRITE_AND_WAIT) != 0:
            number = ctypes.get_errno()
            if number in _CANNOT_BE_ASKED:
                return
            raise OSError(number, os.strerror(number))
