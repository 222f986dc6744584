"""Works on an LMDB store from outside its server: views it, checks its pages, compacts its file, upgrades it.

A store may be read while a server has it open; LMDB's reader table shows the server which pages to keep. It may be
compacted or upgraded only while nobody has it open: LMDB's lock file knows the states of one data file and not of
another that takes its place, and the journal belongs to one data file, too (`store` has the lock).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import lmdb

from jedlik.storage.engine import StorageError
from jedlik.storage.lmdb.checksums import kept
from jedlik.storage.lmdb.coherence import DamagedPages, Extent
from jedlik.storage.lmdb.environment import (
    FORMAT,
    FORMAT_KEY,
    MAP_SIZE,
    MAX_READERS,
    UPGRADABLE,
    format_of,
    refuse_cut_short,
    refuse_other_format,
)
from jedlik.storage.lmdb.last_entry import POSITION_KEY, LastEntry
from jedlik.storage.lmdb.lmdb_pages import DATA, meta_of, metas
from jedlik.storage.lmdb.page_check import PageCheck, Problem
from jedlik.storage.lmdb.replacement import begin_again, replace
from jedlik.storage.lmdb.store import alone, shared
from jedlik.storage.lmdb.view import View, view_of

_COPY = "data.mdb.compact"
_ROWS_COPIED = 10_000
"""In one transaction of an upgrade."""
_ATTEMPTS = 10
"""Snapshots that are tried until one has its meta page still."""


Convert = Callable[[bytes, bytes], tuple[bytes, int]]
"""Converts a value of a former format. Takes a key and its value, in the order of the keys; returns the value in the
current format and the time of a log entry (its value is then a `stored_entry`), or 0 for other values."""


def _as_it_is(key: bytes, value: bytes) -> tuple[bytes, int]:
    return value, 0


@contextmanager
def view(path: Path) -> Iterator[View]:
    """The store in the directory `path` as it is now. A server may go on beside it.

    Nothing is written, with one exception: if nobody has the store open and its last user was killed, it is recovered
    first. Raises StorageError if there is no store that this version reads, or if it is being compacted.
    """
    with shared(path), opened_for_reading(path) as environment, view_of(environment) as found:
        refuse_other_format(str(path), found.get(FORMAT_KEY))
        yield found


def page_problems(path: Path, long_values: bool = True, rest: Callable[[], None] = lambda: None) -> Iterator[Problem]:
    """What is wrong with the pages of the store in the directory `path` (`page_check`). A server may go on beside it.

    If nobody has the store open, it is checked as its last user left it, and recovered only if nothing is wrong. Raises
    StorageError if there is no store, or if it is being compacted.
    """
    try:
        with shared(path, Extent.ALL), opened_for_reading(path) as environment:
            file = os.open(path / DATA, os.O_RDONLY)
            try:
                for left in reversed(range(_ATTEMPTS)):
                    # While the snapshot is held its pages are not written over, whatever others commit; only its meta
                    # page is, by the second commit, which may come before we have read it.
                    with environment.begin() as snapshot:
                        meta = meta_of(metas(file), snapshot.id())
                        if meta is not None:
                            yield from PageCheck(file, meta, long_values, rest).problems()
                            return
                        if not left:
                            yield Problem(f"no meta page is that of transaction {snapshot.id()}")
            finally:
                os.close(file)
    except DamagedPages as damage:
        yield from damage.problems


def compact(path: Path) -> tuple[int, int]:
    """Rewrite the file of the store in the directory `path` without its free pages. No server may have it open.

    Returns the bytes of the file before and after. The copy takes the file's place when it is complete, read again and
    synced, so there is a whole store at every moment. It keeps what LMDB leaves free within pages. Raises StorageError,
    also if the store is being viewed (`view`) or if the disk has no room for the copy.
    """
    copy = path / _COPY
    with alone(path):
        before = (path / DATA).stat().st_size
        try:
            copy.unlink(missing_ok=True)  # What an attempt left that was killed.
            with opened_for_reading(path) as environment:
                _write_copy(environment, copy)
                with environment.begin() as original:
                    rows = original.stat()["entries"]
            with opened_for_reading(copy) as environment, view_of(environment) as made:
                refuse_other_format(str(copy), made.get(FORMAT_KEY))
                if made.pages.rows != rows:
                    raise StorageError(f"the copy of the store in {path} has {made.pages.rows} rows instead of {rows}")
            replace(path, copy)
            after = (path / DATA).stat().st_size
        except (lmdb.Error, OSError) as error:
            raise StorageError(f"cannot compact the store in {path}: {error}") from error
        finally:
            copy.unlink(missing_ok=True)
    return before, after


def copy(path: Path, to: Path) -> None:
    """Copy the store in the directory `path`, as it is now, into the directory `to`, with a new journal. A server may
    go on beside it. Raises StorageError."""
    try:
        with shared(path), opened_for_reading(path) as environment:
            refuse_other_format(str(path), format_of(environment))
            _write_copy(environment, to / DATA)
        begin_again(to)
    except (lmdb.Error, OSError) as error:
        raise StorageError(f"cannot copy the store in {path}: {error}") from error


def copied(path: Path) -> int:
    """Bytes of the copy of the store in `path` that `compact` or `upgrade` is making; 0 if none is there now."""
    try:
        return (path / _COPY).stat().st_size
    except FileNotFoundError:
        return 0


def upgrade(path: Path, convert: Convert = _as_it_is) -> str:
    """Bring the store in the directory `path` to the storage format of this version, if it has an earlier one.

    `convert` gives values the form of today. Returns the storage format that it had. No server may have it open. The
    copy with the new format takes the file's place when it is complete and synced; until then the store is the old
    one. Raises StorageError.
    """
    copy = path / _COPY
    with alone(path, formats=UPGRADABLE):
        try:
            copy.unlink(missing_ok=True)  # What an attempt left that was killed.
            with opened_for_reading(path) as environment:
                found = format_of(environment)
                refuse_other_format(str(path), found, UPGRADABLE)
                if found != FORMAT:
                    _write_with_headers(environment, copy, convert)
            if found != FORMAT:
                replace(path, copy)
            return (found or b"").decode()
        except (lmdb.Error, OSError, ValueError, struct.error) as error:
            raise StorageError(f"cannot upgrade the store in {path}: {error}") from error
        finally:
            copy.unlink(missing_ok=True)


def _write_with_headers(environment: lmdb.Environment, copy: Path, convert: Convert) -> None:
    """Copy the rows of a store without headers and log times into a new file that has them."""
    last_time = 0
    with (
        environment.begin() as snapshot,
        snapshot.cursor() as cursor,
        lmdb.open(
            str(copy), map_size=MAP_SIZE, subdir=False, lock=False, mode=0o600, sync=False, lib_version=1
        ) as made,
    ):
        rows = cursor.iternext()
        while some := list(islice(rows, _ROWS_COPIED)):
            with made.begin(write=True) as transaction:
                for key, value in some:
                    if key.startswith(b"\x00"):
                        transaction.put(key, value, append=True)
                        continue
                    value, time = convert(key, value)
                    last_time = max(last_time, time)
                    transaction.put(key, kept(key, value), append=True)
        with made.begin(write=True) as transaction:
            position = transaction.get(POSITION_KEY)
            if position is not None:
                last = LastEntry(int.from_bytes(position, "big"), last_time)
                transaction.put(POSITION_KEY, kept(POSITION_KEY, last.pack()))
            transaction.put(FORMAT_KEY, FORMAT)


@contextmanager
def opened_for_reading(path: Path) -> Iterator[lmdb.Environment]:
    """The environment in a directory, or the copy of one in a file, opened for reading."""
    alone = path.is_file()
    try:
        refuse_cut_short(path if alone else path / DATA)
        environment = lmdb.open(
            str(path),
            map_size=MAP_SIZE,
            max_readers=MAX_READERS,
            readonly=True,
            readahead=False,
            subdir=not alone,
            lock=not alone,
            lib_version=1,
        )
    except (lmdb.Error, OSError) as error:
        raise StorageError(f"cannot open the store in {path}: {error}") from error
    try:
        yield environment
    finally:
        environment.close()


def _write_copy(environment: lmdb.Environment, copy: Path) -> None:
    descriptor = os.open(copy, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        environment.copyfd(descriptor, compact=True)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
