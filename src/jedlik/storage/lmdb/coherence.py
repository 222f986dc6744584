"""Checks that the files of a store are whole and belong together, before anything is written to them.

A power cut can do only two things: leave LMDB's newest state in pieces, and cut the journal's last record short. So the
following is true of every store, unless its files are damaged or come from different stores:

    the checkpoint     its state is whole in LMDB's file, and there LMDB has a place in the journal, at which the
                       checkpoint goes on or an earlier one did
    the records        follow each other without a gap: each is synced before the next one is written
    LMDB's meta pages  know of no commit without a record: each commit is one record, and the record is synced first
    the numbers        of commits only grow: a recovery commits each record under the number that it had (`recovery`)

From the last two: an older journal ends before what LMDB has, and an older LMDB file before the journal's checkpoint.
From the first: files of different stores do not agree on the place, which has a salt. A state whose pages were used
again since has another root, as every commit writes the root.

One case cannot be detected: a power cut may leave no trace of the newest commits in LMDB's meta pages. Then damage to
the last record looks as if the record had been cut short while it was written, before it was acknowledged.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import Enum, auto
from pathlib import Path
from typing import NamedTuple

from jedlik.storage.engine import StorageError
from jedlik.storage.lmdb.environment import BARE_FORMAT, FORMAT, FORMAT_KEY, NOW, refuse_cut_short, refuse_other_format
from jedlik.storage.lmdb.journal import JOURNAL, JOURNAL_KEY, Checkpoint, Journal, OtherForm, Place
from jedlik.storage.lmdb.lmdb_pages import DATA, has_its_root, lacks_a_page, metas, newest_meta, value_of
from jedlik.storage.lmdb.page_check import PageCheck, Problem, pages_of

_COMPACTED = 1
"""The transaction of a file that LMDB has compacted. Earlier versions left it without a journal."""
SMALL_PAGES = 4096
"""The most pages in use of a store whose pages are all checked before it is used. That takes some 40 ms."""


class Extent(Enum):
    """Which pages are checked before a store is used."""

    SMALL = auto()
    """All pages of a small store. A large one is checked while it is used already (`page_checker`)."""
    ALL = auto()
    NONE = auto()


class DamagedStore(StorageError):
    """A store is refused because a file is damaged, or does not belong to the others."""

    def __init__(
        self,
        reason: str,
        remedy: str = "put back the file that belongs there, or have `jedlik check --recover-damaged` keep what can be "
        "kept",
    ) -> None:
        self.reason = reason
        super().__init__(f"{reason}. Nothing has been changed: {remedy}")


class DamagedPages(DamagedStore):
    """A store is refused because pages of LMDB's file are damaged, which LMDB would believe."""

    def __init__(self, path: Path, problems: Sequence[Problem]) -> None:
        self.problems = problems
        more = len(problems) - 1
        only_keys = all(problem.is_of_a_key for problem in problems)
        and_more = f" (and {_counted(more, 'more problem')})" if more else ""
        super().__init__(
            f"{path / DATA} is damaged: {problems[0]}{and_more}",
            "put back a copy of the store, or have `jedlik check --recover-damaged` put back the rows"
            if only_keys
            else "put back a copy of the store. `jedlik check --pages` lists all that is wrong",
        )


class Examined(NamedTuple):
    """What is known of a store whose files belong together."""

    checkpoint: Checkpoint
    records: int
    """How many there are behind the checkpoint."""
    unchecked: bool
    """Whether its pages have yet to be checked, because there are too many."""


def fitting_checkpoint(path: Path, file: int, journal: Journal) -> Checkpoint:
    """The last checkpoint of the store in the directory `path`. `file` is LMDB's, and has its state.

    Raises DamagedStore if it has not, StorageError for a store of another format, and OSError.
    """
    checkpoint = _last_checkpoint(journal)
    _refuse_other_times(path, file, checkpoint, newest_meta(metas(file)), NOW)
    return checkpoint


def examined(path: Path, file: int, journal: Journal, formats: frozenset[bytes], extent: Extent) -> Examined:
    """The last checkpoint of the store in the directory `path`, and what is behind it.

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
    began = newest_meta(checkpoint.metas)
    assert began is not None, "it leads to the state that was looked at"
    return Examined(checkpoint, records, _refuse_damaged_pages(path, file, began[1], extent))


def refuse_lost_journal(path: Path, extent: Extent) -> bool:
    """Raises DamagedStore if the store in the directory `path`, which has no journal, has had one, and OSError.

    What is in LMDB's file may be in pieces then. Returns whether its pages have yet to be checked.
    """
    file = os.open(path / DATA, os.O_RDONLY)
    try:
        found = metas(file)
        newest = newest_meta(found)
        if newest is None:
            return False  # LMDB refuses it.
        if newest[0] != _COMPACTED:
            try:
                if value_of(file, newest[1], FORMAT_KEY) not in (FORMAT, BARE_FORMAT):
                    return False  # To open it fails for that.
                place = value_of(file, newest[1], JOURNAL_KEY)
            except StorageError as error:
                raise DamagedStore(f"{path / DATA} is damaged, or a {JOURNAL} is missing beside it: {error}") from error
            if place is not None:
                raise DamagedStore(f"{path / JOURNAL} is missing: the store has had one, with its last writes")
        return _refuse_damaged_pages(path, file, newest[1], extent)
    finally:
        os.close(file)


def _refuse_damaged_pages(path: Path, file: int, meta: bytes, extent: Extent) -> bool:
    """Raises DamagedPages, and OSError. Returns whether the pages have yet to be checked, being too many."""
    if extent is Extent.NONE:
        return False
    if extent is Extent.SMALL:
        if pages_of(meta) > SMALL_PAGES:
            return True
        os.posix_fadvise(file, 0, 2 * SMALL_PAGES * os.sysconf("SC_PAGESIZE"), os.POSIX_FADV_WILLNEED)
    problems = tuple(PageCheck(file, meta).problems())
    if problems:
        raise DamagedPages(path, problems)
    return False


def _last_checkpoint(journal: Journal) -> Checkpoint:
    try:
        return journal.checkpoint()
    except OtherForm:
        raise
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
        agree, store_format, why = False, None, ""  # Its own state is whole, so it is of another time.
    else:
        agree, store_format, why = _state_of(file, began[1], checkpoint.place)
    if newest is not None and newest[0] == checkpoint.transaction:
        agree = agree and newest == began
    if not agree:
        raise DamagedStore(
            f"{path / DATA} is damaged, or not the file that the {JOURNAL} beside it belongs to{why}: the files of a "
            "store belong together"
        )
    refuse_other_format(str(path), store_format, formats)


def _state_of(file: int, meta: bytes, place: Place) -> tuple[bool, bytes | None, str]:
    """Whether the state to which a meta page leads is the one from which a journal goes on, and its format; or why
    that cannot be read."""
    try:
        agree = _goes_on(place, value_of(file, meta, JOURNAL_KEY))
        agree = agree and (place.sequence == 0 or has_its_root(file, meta))
        return agree, value_of(file, meta, FORMAT_KEY), ""
    except StorageError as error:
        return False, None, f" ({error})"


def _goes_on(place: Place, kept: bytes | None) -> bool:
    """Whether what LMDB has under JOURNAL_KEY in a checkpoint's state is a place in the journal that goes on there."""
    if place.sequence == 0:  # Nothing was committed with this journal before the checkpoint.
        return kept is None or Place.unpack(kept).salt != place.salt
    if kept is None:
        return False
    had = Place.unpack(kept)
    return had.salt == place.salt and (had == place or had.sequence < place.sequence)


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
