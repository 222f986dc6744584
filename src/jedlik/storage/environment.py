"""An LMDB environment as this engine opens it: its flags, its size, the format of what is kept in it.

LMDB 1.0 is a copy-on-write B+tree in a memory map (Chu, "MDB: A Memory-Mapped Database", 2011): a reader holds a
snapshot and never waits, one writer at a time holds a lock that all processes honour, a commit is one sync of the new
pages and one of the page that points to them, and after a crash there is nothing to recover.
"""

from __future__ import annotations

import os
from pathlib import Path

import lmdb

from jedlik import __version__
from jedlik.storage.engine import StorageError

MAP_SIZE = 1 << 40
"""Bytes to which a store may grow. Address space only: the file is as large as its content."""

MAX_READERS = 1024
"""Processes that may share a store: each has one read transaction, open for the time of a call."""

FORMAT_KEY = b"\x00format"
FORMAT = b"1"
"""Of what this package keeps in a store."""


def open_environment(path: Path, durable: bool, map_size: int) -> lmdb.Environment:
    """The LMDB environment in the directory `path`, made if need be, with its format checked. Raises StorageError."""
    try:
        new = [directory for directory in (path, *path.parents) if not directory.exists()]
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
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
            _check_format(environment)
            if durable:
                sync_directories([path, *(directory.parent for directory in new)])
        except BaseException:
            environment.close()
            raise
    except (lmdb.InvalidError, lmdb.VersionMismatchError, lmdb.CorruptedError, lmdb.PageNotFoundError) as error:
        raise StorageError(f"{path} holds no store that this version reads, or a damaged one: {error}") from error
    except (lmdb.Error, OSError) as error:
        raise StorageError(f"cannot open the store in {path}: {error}") from error
    return environment


def _check_format(environment: lmdb.Environment) -> None:
    """Mark a new store with the format of what this package keeps in it; refuse another's."""
    with environment.begin() as snapshot:
        found = snapshot.get(FORMAT_KEY)
    if found is None:
        with environment.begin(write=True) as transaction:
            found = transaction.get(FORMAT_KEY)
            if found is None and transaction.stat()["entries"] == 0:
                transaction.put(FORMAT_KEY, FORMAT)
                found = FORMAT
    refuse_other_format(environment.path(), found)


def refuse_other_format(path: str, found: bytes | None) -> None:
    """Raises StorageError unless `found`, read under `FORMAT_KEY`, is the format that this version reads."""
    if found != FORMAT:
        given = "none" if found is None else found.decode("latin-1")
        raise StorageError(
            f"{path} holds a store of another storage format: {given} where Jedlik {__version__} reads "
            f"{FORMAT.decode()}. Use the version that wrote it"
        )


def sync_directories(directories: list[Path]) -> None:
    """See to it that what was made in `directories` is still there after a power failure."""
    for directory in directories:
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
