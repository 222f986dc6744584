"""Checks that the files of a store are whole and belong together, before anything is written to them.

A power cut can do only two things: leave LMDB's newest state in pieces, and cut the journal's last record short. So the
following is true of every store, unless its files are damaged or come from different stores:

    the checkpoint     its state is whole in LMDB's file, and there LMDB has the place from which the journal goes on
    the records        follow each other without a gap: each is synced before the next one is written
    LMDB's meta pages  know of no commit without a record: each commit is one record, and the record is synced first
    the numbers        of commits only grow: a recovery commits each record under the number that it had (`recovery`)

From the last two: an older journal ends before what LMDB has, and an older LMDB file before the journal's checkpoint.
From the first: files of different stores do not agree on the place, which has a salt.

One case cannot be detected: a power cut may leave no trace of the newest commits in LMDB's meta pages. Then damage to
the last record looks as if the record had been cut short while it was written, before it was acknowledged.
"""

from __future__ import annotations

import os
from pathlib import Path

from jedlik.storage.engine import StorageError
from jedlik.storage.lmdb.environment import BARE_FORMAT, FORMAT, FORMAT_KEY, NOW, refuse_cut_short, refuse_other_format
from jedlik.storage.lmdb.journal import JOURNAL, JOURNAL_KEY, Checkpoint, Journal, Place
from jedlik.storage.lmdb.lmdb_pages import DATA, lacks_a_page, metas, newest_meta, value_of

_COMPACTED = 1
"""The transaction of a file that LMDB has compacted. Earlier versions left it without a journal."""


class DamagedStore(StorageError):
    """A store is refused because a file is damaged, or does not belong to the others."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"{reason}. Nothing has been changed: put back the file that belongs there, or have "
            "`jedlik check --recover-damaged` keep what can be kept"
        )


def fitting_checkpoint(path: Path, file: int, journal: Journal) -> Checkpoint:
    """The last checkpoint of the store in the directory `path`. `file` is LMDB's, and has its state.

    Raises DamagedStore if it has not, StorageError for a store of another format, and OSError.
    """
    checkpoint = _last_checkpoint(journal)
    _refuse_other_times(path, file, checkpoint, newest_meta(metas(file)), NOW)
    return checkpoint


def examined(path: Path, file: int, journal: Journal, formats: frozenset[bytes]) -> tuple[Checkpoint, int]:
    """The last checkpoint of the store in the directory `path`, and how many records are behind it.

    `file` is LMDB's. Nobody else uses the store. Raises DamagedStore, StorageError for a store of none of these
    formats, and OSError. Writes nothing.
    """
    newest = newest_meta(metas(file))
    checkpoint = _last_checkpoint(journal)
    damaged = journal.damaged_slot()
    # If no record follows the readable checkpoint, the other one was older.
    if damaged is not None and newest != newest_meta(checkpoint.metas):
        raise DamagedStore(
            f"{path / JOURNAL} is damaged at offset {damaged}: a checkpoint cannot be read. It may be the last, and "
            f"then what the one before it names (number {checkpoint.number}) may have been written over"
        )
    _refuse_other_times(path, file, checkpoint, newest, formats)
    records, place = 0, checkpoint.place
    for record in journal.records():
        records, place = records + 1, record.following
    _refuse_gap(path, journal, place)
    if newest is not None and newest[0] > checkpoint.transaction + records:
        raise DamagedStore(
            f"{path / DATA} has had {_counted(newest[0] - checkpoint.transaction, 'commit')} since the last checkpoint "
            f"in the {JOURNAL} beside it, which has {_counted(records, 'record')}: the {JOURNAL} is an older one, or "
            f"damaged at offset {place.offset} (record {place.sequence}). What it lacks was acknowledged"
        )
    return checkpoint, records


def refuse_lost_journal(path: Path) -> None:
    """Raises DamagedStore if the store in the directory `path`, which has no journal, has had one, and OSError.

    What is in LMDB's file may be in pieces then.
    """
    file = os.open(path / DATA, os.O_RDONLY)
    try:
        found = metas(file)
        newest = newest_meta(found)
        if newest is None or newest[0] == _COMPACTED:
            return
        try:
            if value_of(file, newest[1], FORMAT_KEY) not in (FORMAT, BARE_FORMAT):
                return  # Whoever opens it says so.
            place = value_of(file, newest[1], JOURNAL_KEY)
        except StorageError as error:
            raise DamagedStore(f"{path / DATA} is damaged, or a {JOURNAL} is missing beside it: {error}") from error
    finally:
        os.close(file)
    if place is not None:
        raise DamagedStore(f"{path / JOURNAL} is missing: the store has had one, with its last writes")


def _last_checkpoint(journal: Journal) -> Checkpoint:
    try:
        return journal.checkpoint()
    except StorageError as error:
        raise DamagedStore(str(error)) from error


def _refuse_other_times(
    path: Path, file: int, checkpoint: Checkpoint, newest: tuple[int, bytes] | None, formats: frozenset[bytes]
) -> None:
    """Raises DamagedStore unless LMDB's file has the state of the checkpoint."""
    if newest is not None and newest[0] < checkpoint.transaction:
        raise DamagedStore(
            f"{path / DATA} is older than the {JOURNAL} beside it, which cannot be applied to it: "
            "the files of a store belong together"
        )
    began = newest_meta(checkpoint.metas)
    if began is None:
        raise DamagedStore(f"{path / JOURNAL} has a checkpoint that leads to nothing")
    if lacks_a_page(file, checkpoint.metas):
        refuse_cut_short(path / DATA)
        agree, store_format = False, None  # Its own state is whole, so it is of another time.
    else:
        agree, store_format = _state_of(file, began[1], checkpoint.place)
    if newest is not None and newest[0] == checkpoint.transaction:
        agree = agree and newest == began
    if not agree:
        raise DamagedStore(
            f"{path / DATA} is damaged, or not the file that the {JOURNAL} beside it belongs to: the files of a store "
            "belong together"
        )
    refuse_other_format(str(path), store_format, formats)


def _state_of(file: int, meta: bytes, place: Place) -> tuple[bool, bytes | None]:
    """Whether the state to which a meta page leads is the one from which a journal goes on, and its format."""
    try:
        return _goes_on(place, value_of(file, meta, JOURNAL_KEY)), value_of(file, meta, FORMAT_KEY)
    except StorageError:
        return False, None


def _goes_on(place: Place, kept: bytes | None) -> bool:
    """Whether the place from which a checkpoint goes on is what LMDB has under JOURNAL_KEY in its state."""
    if place.sequence > 0:
        return kept == place.pack()
    # Nothing was committed with this journal before the checkpoint.
    return kept is None or Place.unpack(kept).salt != place.salt


def _refuse_gap(path: Path, journal: Journal, place: Place) -> None:
    """Raises DamagedStore if there are records behind one that cannot be read."""
    later = journal.later(place)
    if not later:
        return
    first, last = later[0].place.sequence, later[-1].place.sequence
    lost = f"record {place.sequence}" + (f" to {first - 1}" if first - 1 > place.sequence else "")
    raise DamagedStore(
        f"{path / JOURNAL} is damaged at offset {place.offset}: {lost} cannot be read, and "
        f"{_counted(len(later), 'later one')} can, up to record {last}. What they held was acknowledged"
    )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
