"""An LMDB environment as this engine opens it: its flags, its size, the format of what is kept in it.

LMDB 1.0 is a copy-on-write B+tree in a memory map (Chu, "MDB: A Memory-Mapped Database", 2011): a reader holds a
snapshot and never waits, and one writer at a time holds a lock that all processes honour. Here it syncs nothing: the
journal and its checkpoints decide when data reaches the disk (`journal`, `checkpoints`).

A store is whole from its first moment: it is made under another name, and linked into its place when it is complete and
synced. So no crash leaves half a meta page, which could never be opened. A file that has been cut short is refused,
because reading a missing page kills the process (`lmdb_pages`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import lmdb

from jedlik import __version__
from jedlik.owner_files import sync_place
from jedlik.storage.engine import StorageError
from jedlik.storage.lmdb.lmdb_pages import DATA, is_cut_short

MAP_SIZE = 1 << 40
"""Bytes to which a store may grow. Address space only: the file is as large as its content."""

MAX_READERS = 1024
"""The most read transactions at a time. A worker has one during a call, and a committer has one for its checkpoint."""
LOCK = "lock.mdb"
"""LMDB's name for the file of its lock and its reader table."""
_LOCK_BYTES = MAX_READERS * 64 + 4096
"""64 bytes for a reader, and a page for the rest."""

FORMAT_KEY = b"\x00format"
FORMAT = b"3"
"""What this version reads and writes: values have headers with checksums (`checksums`)."""
BARE_FORMAT = b"2"
"""The format of stores with a journal whose values have no headers."""
SYNCED_FORMAT = b"1"
"""The format of stores without a journal, whose commits LMDB synced itself."""
NOW = frozenset({FORMAT})
UPGRADABLE = frozenset({FORMAT, BARE_FORMAT, SYNCED_FORMAT})


def open_environment(path: Path, map_size: int, formats: frozenset[bytes] = NOW) -> lmdb.Environment:
    """The LMDB environment in the directory `path`, which has one of these formats.

    Raises StorageError, lmdb.Error and OSError.
    """
    refuse_cut_short(path / DATA)
    _reserve_lock(path / LOCK)
    environment = lmdb.open(
        str(path),
        map_size=map_size,
        mode=0o700,
        sync=False,
        metasync=False,
        # Keys are hashed: the page after the one that is read is rarely wanted.
        readahead=False,
        max_readers=MAX_READERS,
        # A read transaction keeps its place in the reader table, whose lock all processes share, for the next one.
        max_spare_txns=1,
        lib_version=1,
    )
    try:
        refuse_other_format(str(path), format_of(environment), formats)
    except BaseException:
        environment.close()
        raise
    return environment


def refuse_other_format(path: str, found: bytes | None, formats: frozenset[bytes] = NOW) -> None:
    """Raises StorageError unless `found`, read under `FORMAT_KEY`, is one of `formats`."""
    if found in formats:
        return
    given = "none" if found is None else found.decode("latin-1")
    if found in UPGRADABLE:
        raise StorageError(
            f"{path} holds a store of storage format {given}, and Jedlik {__version__} uses format {FORMAT.decode()}: "
            "stop all servers, copy the folder, and run `jedlik upgrade`"
        )
    raise StorageError(
        f"{path} holds a store of another storage format: {given} where Jedlik {__version__} reads "
        f"{FORMAT.decode()}. Use the version that wrote it"
    )


def refuse_cut_short(data: Path) -> None:
    """Raises StorageError if the file of a store lacks pages at its end, and OSError."""
    if is_cut_short(data):
        raise StorageError(f"{data} has been cut short: pages that the store needs are missing at its end")


class NoEnvironment:
    """Takes the place of the environment of a store that is used no more.

    No snapshot can be had of it. So the reads of a healthy store need not ask whether it is one.
    """

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def begin(self, write: bool = False) -> NoReturn:
        """Raises StorageError."""
        raise StorageError(self._reason)


def sync_directories(directories: list[Path]) -> None:
    """Sync `directories`, so that files made in them survive a power failure. Raises OSError."""
    for directory in directories:
        sync_place(directory)


def format_of(environment: lmdb.Environment) -> bytes | None:
    """The format of a store; None if it names none. Raises lmdb.Error."""
    with environment.begin() as snapshot:
        return snapshot.get(FORMAT_KEY)


def make_environment(path: Path, durable: bool) -> None:
    """Put an empty store into the directory `path`, complete or not at all. Raises lmdb.Error and OSError."""
    made = path / f"{DATA}.{os.getpid()}"
    try:
        made.unlink(missing_ok=True)  # Left by a killed process with the same process id.
        with (
            lmdb.open(str(made), subdir=False, lock=False, mode=0o600, sync=durable, lib_version=1) as environment,
            environment.begin(write=True) as transaction,
        ):
            transaction.put(FORMAT_KEY, FORMAT)
        (path / DATA).hardlink_to(made)
    finally:
        made.unlink(missing_ok=True)


def _reserve_lock(lock: Path) -> None:
    """Reserve the lock file's space on the disk. LMDB writes to it through a map, which kills the process if the disk
    is full by then (SIGBUS).

    Leaves the file alone if it has its space: it may be in use, and closing it would drop this process's locks.
    """
    if lock.exists() and lock.stat().st_blocks * 512 >= _LOCK_BYTES:
        return
    file = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.posix_fallocate(file, 0, _LOCK_BYTES)
    finally:
        os.close(file)
