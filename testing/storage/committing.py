"""A store to which a test commits as a committer does, and its state after a kill or a power cut."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lmdb

from jedlik.storage.batch import Append, Change
from jedlik.storage.lmdb.changes import Transaction, packed
from jedlik.storage.lmdb.checksums import value_of
from jedlik.storage.lmdb.committer_process import Commits
from jedlik.storage.lmdb.environment import MAP_SIZE
from jedlik.storage.lmdb.journal import JOURNAL, Journal
from jedlik.storage.lmdb.lmdb_pages import DATA, metas, transaction_of
from jedlik.storage.lmdb.store import open_store

NOBODY = socket.socket()
"""The process that asks for commits. It is never asked back, because nothing is read."""
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
    """Commit changes that depend on nothing."""
    commits.commit(NOBODY, (0, {}, (), packed(changes, list(appends), 0)))


def left_by_a_kill(path: Path, folder: Path) -> Path:
    """The store in a directory as it would be if all processes were killed now: a copy, in another directory."""
    folder.mkdir()
    for name in (DATA, JOURNAL):
        shutil.copy(path / name, folder / name)
    return folder


def pages(path: Path) -> list[bytes]:
    """The pages of LMDB's file."""
    data = (path / DATA).read_bytes()
    return [data[begin : begin + PAGE] for begin in range(0, len(data), PAGE)]


def rows(path: Path) -> dict[bytes, bytes]:
    """The rows of the store in a directory after it is opened, without the engine's own."""
    store = open_store(path, True, MAP_SIZE)
    try:
        return rows_of(store.environment)
    finally:
        store.close()


def rows_of(environment: lmdb.Environment) -> dict[bytes, bytes]:
    """The rows of an open environment."""
    with environment.begin() as snapshot:
        return {key: value_of(key, found) for key, found in snapshot.cursor().iternext() if key[0] > 0}


def records(path: Path) -> list[bytes]:
    """The journal's records since the last checkpoint."""
    journal = Journal(path)
    try:
        return [record.changes for record in journal.records()]
    finally:
        journal.close()


def write_record(path: Path, changes: Mapping[bytes, Change]) -> bytes:
    """Write what a committer writes that dies before its commit."""
    journal = Journal(path)
    file = os.open(path / DATA, os.O_RDONLY)
    try:
        journal.confirm()
        record = packed(changes, [], 0)
        begin = journal.place_after(transaction_of(metas(file)))
        journal.append(begin, record, journal.following(begin, len(record)))
        return record
    finally:
        os.close(file)
        journal.close()


class FullEnvironment:
    """An environment on a full disk: no transaction can be committed. `then` is called when one has failed.

    If it `panics`, it refuses every transaction from then on, as LMDB does when it could not write a meta page.
    """

    def __init__(
        self, environment: lmdb.Environment, then: Callable[[], None] = lambda: None, panics: bool = False
    ) -> None:
        self._environment = environment
        self._then = then
        self._panics = panics
        self._panicked = False

    def begin(self, write: bool = False) -> FullTransaction:
        if self._panicked:
            raise lmdb.PanicError("mdb_txn_begin: MDB_PANIC: Update of meta page failed or environment had fatal error")
        return FullTransaction(self._environment.begin(write=write), self._fail)

    def _fail(self) -> None:
        self._panicked = self._panics
        self._then()
        raise lmdb.DiskError("mdb_txn_commit: No space left on device")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._environment, name)


class FullTransaction:
    """One of its transactions. A failure releases the lock."""

    def __init__(self, transaction: Transaction, fail: Callable[[], None]) -> None:
        self._transaction = transaction
        self._fail = fail

    def __enter__(self) -> FullTransaction:
        return self

    def __exit__(self, *_: object) -> None:
        self._transaction.abort()

    def commit(self) -> None:
        self._transaction.abort()
        self._fail()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transaction, name)
