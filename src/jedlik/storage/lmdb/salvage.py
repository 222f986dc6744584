"""Saves what it can of a damaged store: it makes copies of LMDB's file in several ways, one after the other, best
first.

    data file         its newest state, which after a kill has every commit, as memory was not lost, and records behind
                      that. Tried if it has the lost records, or if no journal belongs to it; and refused if it
                      does not have what the records wrote last
    all records       the checkpoint's state, and behind it all records that can be read, those behind the damage too
    up to the damage  the checkpoint's state, and the records before the damage

Records are batches in the order of their commits. A record behind the damage may depend on a lost one: it may remove
the index entry of an item that the lost record wrote, or count that item. Then the stored data contradicts itself, and
only the data model can see that. So the caller checks each copy, and takes the first one without contradictions; the
store's state before the damage had none.

The damaged files are not written to, and stay in a folder of their own (`set_aside`).
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import lmdb
import msgpack

from jedlik.storage.engine import StorageError
from jedlik.storage.lmdb.changes import write_again
from jedlik.storage.lmdb.coherence import DamagedStore, fitting_checkpoint
from jedlik.storage.lmdb.environment import MAP_SIZE, MAX_READERS, sync_directories
from jedlik.storage.lmdb.journal import JOURNAL, Journal, Record
from jedlik.storage.lmdb.lmdb_pages import DATA, is_cut_short, metas, newest_meta, row_of, write_metas
from jedlik.storage.lmdb.replacement import replace
from jedlik.storage.lmdb.store import alone
from jedlik.storage.lmdb.view import View, view_of

_COPY = f"{DATA}.salvaged"


class Readable(NamedTuple):
    """The readable part of a journal that belongs to LMDB's file."""

    metas: bytes
    """The meta pages of the checkpoint."""
    newest: int
    """The number of the first record that is not in the newest state of LMDB's file; -1 if that is not to be had."""
    before: list[Record]
    """The damage."""
    lost: range
    """Numbers of the records that cannot be read between those that can."""
    lost_since: int
    """The transaction of the first lost record."""
    later: list[Record]
    """Behind the damage."""


class Attempt(NamedTuple):
    """A copy that is to be looked at."""

    view: View
    what: str
    """What it was made of, in words."""
    lost: range
    """Numbers of records that cannot be read and that it lacks."""
    left_out: list[Record]
    """Records that can be read and that it lacks."""


class Salvage:
    """A damaged store, which nobody else uses meanwhile."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._copy = path / _COPY

    def attempts(self) -> Generator[Attempt, None, None]:
        """The copies, best first. Each one exists until the next is requested. Raises StorageError, lmdb.Error and
        OSError."""
        readable = self._readable()
        if self._write_newest(readable):
            with self._viewed() as view:
                if readable is None or self._has_all(view, readable):
                    yield Attempt(view, f"what {DATA} has", range(0), [])
        if readable is None:
            return
        if readable.later:
            self._write(readable.metas, [*readable.before, *readable.later])
            with self._viewed() as view:
                yield Attempt(view, "all records that can be read", readable.lost, [])
        self._write(readable.metas, readable.before)
        with self._viewed() as view:
            yield Attempt(view, "the records before the damage", readable.lost, readable.later)

    def take(self) -> Path:
        """Make the last attempt the store, and set the damaged files aside. Returns their folder.

        Raises lmdb.Error and OSError.
        """
        aside = set_aside(self._path)
        replace(self._path, self._copy)
        return aside

    def _readable(self) -> Readable | None:
        """The readable part of the journal; None if no journal belongs to LMDB's file."""
        if not (self._path / JOURNAL).exists():
            return None
        file = os.open(self._path / DATA, os.O_RDONLY)
        try:
            with closing(Journal(self._path)) as journal:
                checkpoint = fitting_checkpoint(self._path, file, journal)
                before = list(journal.records())
                place = before[-1].following if before else checkpoint.place
                later = journal.later(place)
                newest = newest_meta(metas(file))
                committed = -1
                if newest is not None:
                    committed = checkpoint.place.sequence + newest[0] - checkpoint.transaction
                end = later[0].place.sequence if later else max(place.sequence, committed)
                since = checkpoint.transaction + 1 + place.sequence - checkpoint.place.sequence
                return Readable(checkpoint.metas, committed, before, range(place.sequence, end), since, later)
        except DamagedStore:
            return None
        finally:
            os.close(file)

    def _has_all(self, view: View, readable: Readable) -> bool:
        """Whether what the records wrote last is there, or else what a lost one wrote: then the page is as new.

        After a power cut pages may lie in the file that are older than the state that leads to them.
        """
        before: dict[bytes, bytes | None] = {}
        later: dict[bytes, bytes | None] = {}
        for record in readable.before:
            before |= changed_rows(record)
        for record in readable.later:
            later |= changed_rows(record)
        file = os.open(self._path / DATA, os.O_RDONLY)
        try:
            newest = newest_meta(metas(file))
            assert newest is not None

            def is_anothers(key: bytes) -> bool:
                return bool(readable.lost) and row_of(file, newest[1], key)[0] >= readable.lost_since

            return all(view.get(key) == value for key, value in later.items()) and all(
                view.get(key) == value or is_anothers(key) for key, value in before.items() if key not in later
            )
        except StorageError:
            return False
        finally:
            os.close(file)

    def _write_newest(self, readable: Readable | None) -> bool:
        """Make a copy of the newest state of LMDB's file with the records behind it; False if that lacks some, or
        cannot be made."""
        if is_cut_short(self._path / DATA):  # To read it would end the process.
            return False
        try:
            if readable is None:
                self._write(None, [])
                return True
            if readable.lost.stop <= readable.newest:
                self._write(None, _behind(readable))
                return True
        except lmdb.Error:
            if readable is None:
                raise
        return False

    def _write(self, found: bytes | None, records: list[Record]) -> None:
        """Make a copy, of the state to which meta pages lead or else the newest, with these records."""
        shutil.copyfile(self._path / DATA, self._copy)
        self._copy.chmod(0o600)
        if found is not None:
            file = os.open(self._copy, os.O_RDWR)
            try:
                write_metas(file, found)
            finally:
                os.close(file)
        with lmdb.open(
            str(self._copy), map_size=MAP_SIZE, subdir=False, lock=False, sync=False, lib_version=1
        ) as environment:
            for record in records:
                with environment.begin(write=True) as transaction:
                    write_again(record.changes, transaction)

    @contextmanager
    def _viewed(self) -> Iterator[View]:
        with (
            lmdb.open(
                str(self._copy),
                map_size=MAP_SIZE,
                max_readers=MAX_READERS,
                readonly=True,
                subdir=False,
                lock=False,
                lib_version=1,
            ) as environment,
            view_of(environment) as view,
        ):
            yield view


@contextmanager
def salvaging(path: Path) -> Iterator[Salvage]:
    """A damaged store in the directory `path`. Raises StorageError."""
    with alone(path, damaged=True):
        try:
            yield Salvage(path)
        except (lmdb.Error, OSError) as error:
            raise StorageError(f"cannot salvage the store in {path}: {error}") from error
        finally:
            (path / _COPY).unlink(missing_ok=True)


def set_aside(path: Path) -> Path:
    """Keep the files of the store in the directory `path` in a folder of their own, as they are now. Raises OSError.

    They are hard links, so nobody may write to the originals afterwards (`replacement` does not).
    """
    aside = path / f"damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}"
    aside.mkdir(mode=0o700)
    for name in (DATA, JOURNAL):
        if (path / name).exists():
            (aside / name).hardlink_to(path / name)
    sync_directories([aside, path])
    return aside


def _behind(readable: Readable) -> list[Record]:
    """The records that are not in the newest state of LMDB's file."""
    known = [*readable.before, *readable.later]
    return [record for record in known if record.place.sequence >= readable.newest]


def changed_rows(record: Record) -> dict[bytes, bytes | None]:
    """The keys that a record puts or deletes, and their values: None for one that is deleted. Counters are left out."""
    of_keys, *_ = msgpack.unpackb(record.changes, use_list=False)
    return {key: value for key, value in of_keys.items() if not isinstance(value, int)}
