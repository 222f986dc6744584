"""A store in use, and who may use it at the same time.

    opening.lock     held by a process that opens a store, for as long as that takes
    the folder       its lock is shared by all users of the store: engines, committers, and commands that read it. A
                     process that has it alone may recover the store, or put another file in place of LMDB's

The kernel drops the locks of a process that dies, after its last write has ended. So a process that holds the folder's
lock alone knows that nobody else uses the store; a process that shares it knows that another one has found the store in
order. LMDB has a lock of its own, which shows it whether its lock file is right about the last state. The kernel drops
a process's locks one after the other, and LMDB's must be free before its file is changed behind its back.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

import lmdb

from jedlik.storage.engine import StorageError
from jedlik.storage.lmdb.coherence import DamagedStore, Extent, refuse_lost_journal
from jedlik.storage.lmdb.commits import take_back
from jedlik.storage.lmdb.environment import LOCK, NOW, make_environment, open_environment, sync_directories
from jedlik.storage.lmdb.journal import JOURNAL, JOURNAL_KEY, Journal
from jedlik.storage.lmdb.lmdb_pages import DATA
from jedlik.storage.lmdb.recovery import begin_journal, recover
from jedlik.storage.lmdb.replacement import finish
from jedlik.storage.lmdb.scrub_progress import note_pages, read_progress

_OPENING = "opening.lock"
_DYING_SECONDS = 10.0
"""Seconds in which an ending process has ended."""
_DYING_STEP = 0.001

_log = logging.getLogger(__name__)


Files: TypeAlias = tuple[int, ...]
"""The device and the number of LMDB's file, and then of the journal if there is one."""


def files_of(path: Path) -> Files:
    """Which files are those of the store in the directory `path` now. They stay the same while it is open. Raises
    OSError."""
    found = [path / DATA, *[journal for journal in [path / JOURNAL] if journal.exists()]]
    return tuple(number for file in found for status in [file.stat()] for number in (status.st_dev, status.st_ino))


def refuse_other_files(path: Path, files: Files) -> None:
    """Raises StorageError unless the store in the directory `path` still has these files.

    If its folder is moved or replaced, a process that has it open would go on with the old files, and one that opens it
    would take what is there now, or make a new store: each would acknowledge writes that the other does not see.
    """
    with suppress(FileNotFoundError):
        if files_of(path) == files:
            return
    raise StorageError(
        f"the files of the store in {path} have been moved, removed or replaced while the server was running. The "
        "store is used no more: put the right files there, and restart the server"
    )


class Store:
    """An LMDB environment, and a share of its folder's lock. Made by `open_store`."""

    def __init__(self, environment: lmdb.Environment, share: int, files: Files) -> None:
        self.environment = environment
        self.files = files
        self._share: int | None = share

    def reopen(self, path: Path, map_size: int) -> None:
        """Open the environment in the directory `path` again. No other process can get the store alone meanwhile.

        Raises StorageError. Then there is no environment, but the call can be repeated.
        """
        self.environment.close()
        with _as_storage_errors(path):
            refuse_other_files(path, self.files)
            self.environment = open_environment(path, map_size)

    def close(self) -> None:
        """Give it up; a second time does nothing."""
        self.environment.close()
        if self._share is not None:
            os.close(self._share)
            self._share = None


def open_store(path: Path, durable: bool, map_size: int, extent: Extent = Extent.SMALL) -> Store:
    """The store in the directory `path`, made if need be, and checked and recovered if need be.

    Unless `durable`, it has no journal. Raises StorageError.
    """
    with _as_storage_errors(path):
        new = [directory for directory in (path, *path.parents) if not directory.exists()]
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        share = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with _opening(path):
                alone = _join(path, share, extent)
                if alone and not (path / DATA).exists():
                    make_environment(path, durable)
                if alone and not durable:
                    (path / JOURNAL).unlink(missing_ok=True)
                if (path / JOURNAL).exists() != durable and not alone:
                    raise StorageError(f"the store in {path} is in use by others who {'do not ' * durable}sync")
                environment = open_environment(path, map_size)
                try:
                    if durable and not (path / JOURNAL).exists():
                        begin_journal(path, environment)
                    elif durable and not alone:
                        _take_back(path, environment)
                    elif not durable and alone:
                        with environment.begin(write=True) as transaction:
                            transaction.delete(JOURNAL_KEY)  # It has none any more.
                    if durable and alone:  # Others have done it, and a disk that fails must not end reads.
                        sync_directories([path, *(directory.parent for directory in new)])
                    files = files_of(path)
                except BaseException:
                    environment.close()
                    raise
                if alone:
                    fcntl.flock(share, fcntl.LOCK_SH)
        except BaseException:
            os.close(share)
            raise
    return Store(environment, share, files)


def _take_back(path: Path, environment: lmdb.Environment) -> None:
    """Take back what a dead process has left of a commit, if the disk allows it.

    Otherwise the store can be read all the same, and the next commit overwrites the rest.
    """
    with closing(Journal(path)) as journal:
        try:
            take_back(environment, journal)
        except (lmdb.Error, OSError, StorageError):
            _log.exception("what was left of a commit to the store in %s could not be taken back", path)


@contextmanager
def shared(path: Path, extent: Extent = Extent.SMALL) -> Iterator[None]:
    """Hold a share of the lock of the store in the directory `path`, to read it beside other processes. Raises
    StorageError."""
    with _as_storage_errors(path):
        share = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with _opening(path):
                if _join(path, share, extent):
                    sync_directories([path])  # For a process that opens it at the same time.
                    fcntl.flock(share, fcntl.LOCK_SH)
            yield
        finally:
            os.close(share)


@contextmanager
def alone(path: Path, damaged: bool = False, formats: frozenset[bytes] = NOW) -> Iterator[None]:
    """Hold the store in the directory `path` alone. It is recovered first, unless it is `damaged`.

    Raises StorageError if another process uses the store, or if the store has none of these formats.
    """
    with _as_storage_errors(path):
        share = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with _opening(path):
                if not _join(path, share, Extent.SMALL, damaged, formats):
                    raise StorageError(f"the store in {path} is in use, or being looked at, by a check perhaps")
            yield
        finally:
            os.close(share)


def _join(path: Path, share: int, extent: Extent, damaged: bool = False, formats: frozenset[bytes] = NOW) -> bool:
    """Take a share of the folder's lock, or the whole lock if nobody holds a share. With the whole lock, the store is
    checked and recovered, unless it is `damaged`. Returns whether the whole lock was taken."""
    try:
        fcntl.flock(share, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        try:
            fcntl.flock(share, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StorageError(f"the store in {path} is being compacted or upgraded") from None
        return False
    if damaged:
        _wait_for_lmdb(path)
        return True
    finish(path)
    has_data, has_journal = (path / DATA).exists(), (path / JOURNAL).exists()
    if has_journal and not has_data:
        raise DamagedStore(f"{path / DATA} is missing, and its {JOURNAL} is there")
    if not has_data:
        return True
    if extent is Extent.SMALL and read_progress(path).page_damage is not None:
        extent = Extent.ALL
    if has_journal:
        _wait_for_lmdb(path)
        unchecked = recover(path, formats, extent)
    else:
        unchecked = refuse_lost_journal(path, extent)
    if extent is not Extent.NONE:
        note_pages(path, unchecked)
    return True


def _wait_for_lmdb(path: Path) -> None:
    """Wait until the last process that had the environment open has released LMDB's lock."""
    deadline = time.monotonic() + _DYING_SECONDS
    # To close the file drops the locks that a process has of it, but this one has not opened the environment yet.
    file = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while True:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise StorageError(f"the store in {path} is in use by a process that is not Jedlik's") from None
                time.sleep(_DYING_STEP)
    finally:
        os.close(file)


@contextmanager
def _opening(path: Path) -> Iterator[None]:
    file = os.open(path / _OPENING, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


@contextmanager
def _as_storage_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (lmdb.InvalidError, lmdb.VersionMismatchError, lmdb.CorruptedError, lmdb.PageNotFoundError) as error:
        raise StorageError(f"{path} holds no store that this version reads, or a damaged one: {error}") from error
    except (lmdb.Error, OSError) as error:
        raise StorageError(f"cannot open the store in {path}: {error}") from error
