"""A store that a test commits to as a committer does, and what a kill or a power cut leaves of it."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from jedlik.storage.batch import Append, Change
from jedlik.storage.changes import packed
from jedlik.storage.committer import Commits
from jedlik.storage.environment import MAP_SIZE
from jedlik.storage.journal import JOURNAL, Journal
from jedlik.storage.lmdb_pages import DATA
from jedlik.storage.store import open_store

NOBODY = socket.socket()
"""Who asks for commits: is never asked back, as nothing is read."""
PAGE = 4096


@contextmanager
def committing(path: Path) -> Iterator[Commits]:
    """Commits to the store in a directory."""
    commits = Commits(path, MAP_SIZE)
    try:
        yield commits
    finally:
        commits.close()


def commit(commits: Commits, changes: Mapping[bytes, Change], appends: Iterable[Append] = ()) -> None:
    """Commit changes that rest on nothing."""
    assert commits.commit(NOBODY, (0, {}, (), packed(changes, list(appends))))


def left_by_a_kill(path: Path, folder: Path) -> Path:
    """The store in a directory as it is if all processes are killed now: a copy, in another."""
    folder.mkdir()
    for name in (DATA, JOURNAL):
        shutil.copy(path / name, folder / name)
    return folder


def pages(path: Path) -> list[bytes]:
    """The pages of LMDB's file."""
    data = (path / DATA).read_bytes()
    return [data[begin : begin + PAGE] for begin in range(0, len(data), PAGE)]


def rows(path: Path) -> dict[bytes, bytes]:
    """What the store in a directory holds when it is opened, without what is the engine's own."""
    store = open_store(path, True, MAP_SIZE)
    try:
        with store.environment.begin() as snapshot:
            return {key: value for key, value in snapshot.cursor().iternext() if key[0] > 0}
    finally:
        store.close()


def records(path: Path) -> list[bytes]:
    """What is in the journal behind the last checkpoint."""
    journal = Journal(path)
    try:
        return list(journal.records())
    finally:
        journal.close()


def write_record(path: Path, place: bytes | None, changes: Mapping[bytes, Change]) -> bytes:
    """Write what a committer writes that dies before its commit. `place` is what LMDB has for the next record's."""
    journal = Journal(path)
    try:
        journal.confirm()
        record = packed(changes, [])
        begin = journal.place(place)
        journal.append(begin, record, journal.following(begin, len(record)))
        return record
    finally:
        journal.close()
