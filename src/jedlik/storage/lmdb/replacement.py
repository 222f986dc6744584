"""Replacing a store's files: LMDB's by a copy that has been worked on, and the journal by a new one that belongs to it.

Two files cannot be renamed in one step. So the new files are first put beside the old ones, and renaming the journal
decides: before it, the store is the old one; after it, the new one, and the next process that opens it does the last
step (`finish`).

    data.mdb.next, journal.next    made and synced; a replacement that is cut off here has not been
    data.mdb.next                  the journal has been renamed: this file takes its place, too

The old files are replaced, never written to, so links to them keep their content.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import lmdb

from jedlik.storage.lmdb.coherence import DamagedStore
from jedlik.storage.lmdb.environment import MAP_SIZE, sync_directories
from jedlik.storage.lmdb.journal import JOURNAL, JOURNAL_KEY, Journal, Place, first_place
from jedlik.storage.lmdb.lmdb_pages import DATA, metas, transaction_of

_NEXT_DATA = f"{DATA}.next"
_NEXT_JOURNAL = f"{JOURNAL}.next"


def replace(path: Path, copy: Path) -> None:
    """Replace LMDB's file by a file in the directory `path`, with a new journal.

    The caller holds the store alone. Raises lmdb.Error and OSError; the store is then either the old one or the new
    one.
    """
    place, found = _with_new_place(copy)
    _discard(path)
    Journal.make(path, transaction_of(found), found, place, _NEXT_JOURNAL)
    sync_directories([path])
    copy.replace(path / _NEXT_DATA)
    sync_directories([path])
    (path / _NEXT_JOURNAL).replace(path / JOURNAL)
    sync_directories([path])
    finish(path)


def begin_again(path: Path) -> None:
    """Give a journal of its own to the copy of a store in the directory `path`, which nobody has opened yet.

    Raises lmdb.Error and OSError.
    """
    place, found = _with_new_place(path / DATA)
    Journal.make(path, transaction_of(found), found, place)
    sync_directories([path])


def _with_new_place(copy: Path) -> tuple[Place, bytes]:
    """Give a file of LMDB's the place of a new journal, and sync it; the place, and the file's meta pages."""
    place = first_place()
    with (
        lmdb.open(str(copy), map_size=MAP_SIZE, subdir=False, lock=False, lib_version=1) as environment,
        environment.begin(write=True) as transaction,
    ):
        transaction.put(JOURNAL_KEY, place.pack())
    file = os.open(copy, os.O_RDONLY)
    try:
        os.fsync(file)
        return place, metas(file)
    finally:
        os.close(file)


def finish(path: Path) -> None:
    """Finish or undo an interrupted replacement. The caller holds the store alone.

    Raises DamagedStore if the new file is not that of the journal, and OSError.
    """
    if not (path / _NEXT_DATA).exists() or (path / _NEXT_JOURNAL).exists():
        _discard(path)
        return
    file = os.open(path / _NEXT_DATA, os.O_RDONLY)
    try:
        found = metas(file)
    finally:
        os.close(file)
    with closing(Journal(path)) as journal:
        if journal.checkpoint().metas != found:
            raise DamagedStore(f"{path / _NEXT_DATA} is not the file that the {JOURNAL} beside it belongs to")
    (path / _NEXT_DATA).replace(path / DATA)
    sync_directories([path])


def _discard(path: Path) -> None:
    """Remove the files of a replacement that was interrupted before it was decided."""
    for name in (_NEXT_DATA, _NEXT_JOURNAL):  # data first: without the new journal, it would look decided
        if (path / name).exists():
            (path / name).unlink()
            sync_directories([path])
