"""Replacing a store's files: LMDB's by a copy that has been worked on, and the journal by a new one that belongs to it.

Two files cannot be renamed at once. So the new ones lie beside the old ones first, and the renaming of the journal is
what decides: before it the store is the old one, and afterwards the new one, whose last step anybody takes (`finish`).

    data.mdb.next, journal.next    made and synced; a replacement that is cut off here has not been
    data.mdb.next                  the journal has been renamed: this file takes its place, too

The old files are renamed over and not written to: links to them still lead to what they were.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import lmdb

from jedlik.storage.lmdb.coherence import DamagedStore
from jedlik.storage.lmdb.environment import MAP_SIZE, sync_directories
from jedlik.storage.lmdb.journal import JOURNAL, JOURNAL_KEY, Journal, first_place
from jedlik.storage.lmdb.lmdb_pages import DATA, metas, transaction_of

_NEXT_DATA = f"{DATA}.next"
_NEXT_JOURNAL = f"{JOURNAL}.next"


def replace(path: Path, copy: Path) -> None:
    """Have a file in the directory `path` take the place of LMDB's, with a new journal.

    Whoever calls has the store alone. Raises lmdb.Error and OSError; the store is then the old one, or the new one.
    """
    place = first_place()
    with (
        lmdb.open(str(copy), map_size=MAP_SIZE, subdir=False, lock=False, lib_version=1) as environment,
        environment.begin(write=True) as transaction,
    ):
        transaction.put(JOURNAL_KEY, place.pack())
    file = os.open(copy, os.O_RDONLY)
    try:
        os.fsync(file)
        found = metas(file)
    finally:
        os.close(file)
    _discard(path)
    Journal.make(path, transaction_of(found), found, place, _NEXT_JOURNAL)
    sync_directories([path])
    copy.replace(path / _NEXT_DATA)
    sync_directories([path])
    (path / _NEXT_JOURNAL).replace(path / JOURNAL)
    sync_directories([path])
    finish(path)


def finish(path: Path) -> None:
    """Finish a replacement that was cut off, or undo it. Whoever calls has the store alone.

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
    """Remove what a replacement has left that was cut off before it was decided."""
    for name in (_NEXT_DATA, _NEXT_JOURNAL):  # Without the journal, the other would be taken for decided.
        if (path / name).exists():
            (path / name).unlink()
            sync_directories([path])
