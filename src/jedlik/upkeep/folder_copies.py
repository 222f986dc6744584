"""Copies of a whole data folder, beside a running server: all stores, identities and keys included.

Each store is copied from a view of it, so it is in one state, whatever is written meanwhile; it gets a new journal. The
stores are copied one after the other, each as it is then. While a large one is copied its file grows by what is
written, because the view keeps the pages of its state.

Other files are small, and are replaced rather than changed, so each is copied as it is. Locks are left out, and the
folder of backups: these have a place of their own, and can be copied like any files. The copy appears under its name
when all of it is on the disk.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from jedlik.regions import keyspaces, store_format
from jedlik.storage.engine import StorageError
from jedlik.storage.lmdb import lmdb_file
from jedlik.storage.lmdb.environment import sync_directories
from jedlik.storage.lmdb.lmdb_pages import DATA, write_whole

UNFINISHED = ".incomplete"
"""What the name of a copy ends with until it is whole."""
BACKUPS = "backups"
RECORD = ".json"
"""What the names of our own records end with that stand beside a store's files, like that of an account."""


class CopiedStore(NamedTuple):
    """A store of a copy."""

    name: str
    """Its place in the data folder."""
    size: int
    """Bytes of its file."""
    position: int
    """The position of the last change of a log that is in it."""


def copy(data_dir: Path, target: Path, done: Callable[[CopiedStore], None]) -> None:
    """Copy a data folder to a place where nothing is. Calls `done` after each store. Raises StorageError."""
    if target.exists():
        raise StorageError(f"there is something in {target} already")
    made = target.with_name(target.name + UNFINISHED)
    try:
        if made.exists():
            shutil.rmtree(made)  # What an attempt left that was killed.
        made.mkdir(mode=0o700, parents=True)
        for folder, is_store in _folders(data_dir):
            place = made / folder.relative_to(data_dir)
            place.mkdir(mode=0o700, exist_ok=True)
            if is_store:
                done(_copied_store(data_dir, folder, place))
            for file in _files(folder):
                if not is_store or file.suffix == RECORD:
                    _copy_file(file, place / file.name)
        sync_directories([Path(folder) for folder, _, _ in os.walk(made)])
        made.rename(target)
        sync_directories([target.parent])
    except OSError as error:
        raise StorageError(f"cannot copy {data_dir} to {target}: {error}") from error


def _folders(data_dir: Path) -> Iterator[tuple[Path, bool]]:
    """The folders to copy, each after the one that it is in, and whether it has a store in it."""
    for name, folders, files in os.walk(data_dir):
        folder = Path(name)
        folders.sort()
        if folder == data_dir and BACKUPS in folders:
            folders.remove(BACKUPS)
        is_store = DATA in files
        if is_store:
            folders.clear()  # What is in it is LMDB's, and damaged files that were put aside.
        yield folder, is_store


def _files(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.iterdir()):
        if file.is_file() and not file.is_symlink() and not file.name.endswith("lock"):
            yield file


def _copied_store(data_dir: Path, folder: Path, place: Path) -> CopiedStore:
    with lmdb_file.view(folder) as view:
        record = view.get(keyspaces.format_key())
        is_new = record is None and view.get(keyspaces.secret_key()) is None
        reason = None if is_new else store_format.refusal(record)
        if reason is not None:
            raise StorageError(f"the store in {folder} {reason}")
    lmdb_file.copy(folder, place)
    with lmdb_file.view(place) as view:
        position = view.last_position
    return CopiedStore(str(folder.relative_to(data_dir)), (place / DATA).stat().st_size, position)


def _copy_file(file: Path, to: Path) -> None:
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return  # It has been removed meanwhile.
    descriptor = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        write_whole(descriptor, content, 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
