"""An LMDB environment as this engine opens it: its flags, its size, the format of what is kept in it.

LMDB 1.0 is a copy-on-write B+tree in a memory map (Chu, "MDB: A Memory-Mapped Database", 2011): a reader holds a
snapshot and never waits, one writer at a time holds a lock that all processes honour, a commit is one sync of the new
pages and one of the page that points to them, and after a crash there is nothing to recover.

But the disk is doubted. A store is whole from its first moment: it is made beside its place and linked into it when it
is complete and synced, so that no crash leaves half a meta page, which could never be opened. One whose file has been
cut short is refused, because to read what is missing ends the process (`lmdb_pages`). And the disk is made to agree
with what is there before anything of it is shown: a process that was killed may have written its last commit and not
synced it.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import lmdb

from jedlik import __version__
from jedlik.storage.engine import StorageError
from jedlik.storage.lmdb_pages import DATA, is_cut_short, write_metas_again

MAP_SIZE = 1 << 40
"""Bytes to which a store may grow. Address space only: the file is as large as its content."""

MAX_READERS = 1024
"""Processes that may share a store: each has one read transaction, open for the time of a call."""
_LOCK = "lock.mdb"
"""LMDB's name for the file of its lock and its reader table."""
_LOCK_BYTES = MAX_READERS * 64 + 4096
"""64 bytes for a reader, and a page for the rest."""

FORMAT_KEY = b"\x00format"
FORMAT = b"1"
"""Of what this package keeps in a store."""


def open_environment(path: Path, durable: bool, map_size: int) -> lmdb.Environment:
    """The LMDB environment in the directory `path`, made if need be, with its format checked. Raises StorageError."""
    try:
        new = [directory for directory in (path, *path.parents) if not directory.exists()]
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (path / DATA).exists():
            _make(path, durable)
        refuse_cut_short(path / DATA)
        _reserve_lock(path / _LOCK)
        environment = lmdb.open(
            str(path),
            map_size=map_size,
            mode=0o700,
            sync=durable,
            metasync=durable,
            # Keys are hashed: the page after the one that is read is rarely wanted.
            readahead=False,
            max_readers=MAX_READERS,
            # A read transaction keeps its place in the reader table, whose lock all processes share, for the next one.
            max_spare_txns=1,
            lib_version=1,
        )
        try:
            with environment.begin() as snapshot:
                found = snapshot.get(FORMAT_KEY)
            refuse_other_format(str(path), found)
            if durable:
                # Under the lock, because nobody else may be writing meta pages. And a committer that was killed may be
                # in the kernel with its commit yet: when the lock is free it is out of there, and what is read from
                # now on does not become more by what nobody waits for.
                with environment.begin(write=True):
                    _sync_metas(path / DATA)
                sync_directories([path, *(directory.parent for directory in new)])
        except BaseException:
            environment.close()
            raise
    except (lmdb.InvalidError, lmdb.VersionMismatchError, lmdb.CorruptedError, lmdb.PageNotFoundError) as error:
        raise StorageError(f"{path} holds no store that this version reads, or a damaged one: {error}") from error
    except (lmdb.Error, OSError) as error:
        raise StorageError(f"cannot open the store in {path}: {error}") from error
    return environment


def refuse_other_format(path: str, found: bytes | None) -> None:
    """Raises StorageError unless `found`, read under `FORMAT_KEY`, is the format that this version reads."""
    if found != FORMAT:
        given = "none" if found is None else found.decode("latin-1")
        raise StorageError(
            f"{path} holds a store of another storage format: {given} where Jedlik {__version__} reads "
            f"{FORMAT.decode()}. Use the version that wrote it"
        )


def refuse_cut_short(data: Path) -> None:
    """Raises StorageError if the file of a store lacks pages at its end, and OSError."""
    if is_cut_short(data):
        raise StorageError(f"{data} has been cut short: pages that the store needs are missing at its end")


def sync_directories(directories: list[Path]) -> None:
    """See to it that what was made in `directories` is still there after a power failure."""
    for directory in directories:
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _make(path: Path, durable: bool) -> None:
    """Put an empty store into the directory `path`, complete or not at all."""
    made = path / f"{DATA}.{os.getpid()}"
    try:
        made.unlink(missing_ok=True)  # Another process's of this number, which was killed.
        with (
            lmdb.open(str(made), subdir=False, lock=False, mode=0o600, sync=durable, lib_version=1) as environment,
            environment.begin(write=True) as transaction,
        ):
            transaction.put(FORMAT_KEY, FORMAT)
        with contextlib.suppress(FileExistsError):  # Another worker was first.
            (path / DATA).hardlink_to(made)
    finally:
        made.unlink(missing_ok=True)


def _sync_metas(data: Path) -> None:
    file = os.open(data, os.O_RDWR)
    try:
        write_metas_again(file)
    finally:
        os.close(file)


def _reserve_lock(lock: Path) -> None:
    """Give the lock file its room on the disk. LMDB writes to it through a map, which ends the process if the disk is
    full by then (SIGBUS).

    Not if it has it, as the file may then be in use: to close it would drop this process's locks.
    """
    if lock.exists() and lock.stat().st_blocks * 512 >= _LOCK_BYTES:
        return
    file = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.posix_fallocate(file, 0, _LOCK_BYTES)
    finally:
        os.close(file)
