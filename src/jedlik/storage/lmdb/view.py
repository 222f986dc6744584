"""A view: one state of a store, held for as long as it is read.

The reads of `Engine` are short, and each sees the newest state. Code that reads a whole store, like a check, needs one
state from the first key to the last, and one row at a time. While a view is open, the pages of its state are not
reused, so the file grows by everything that is written meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

import lmdb

from jedlik.storage.engine import Row, StorageError
from jedlik.storage.lmdb.checksums import HEADER, is_whole, original_key, read, value_of
from jedlik.storage.lmdb.last_entry import POSITION_KEY, LastEntry

Transaction: TypeAlias = "lmdb.Transaction[bytes]"

FIRST_KEY = b"\x01"
"""Where the keys begin that are not the engine's own."""
_OWN = 0
"""The first byte of the engine's own keys."""
_ATTEMPTS = 10
"""How many transactions are begun for a view; hardly ever is a second one needed."""


@dataclass(frozen=True, slots=True)
class Pages:
    """How the rows lie in the file. A page without rows is free, or lists the free pages."""

    page_size: int
    """Bytes."""
    leaves: int
    """Pages that hold rows."""
    overflows: int
    """Pages that hold values which are too long for a leaf."""
    branches: int
    """Pages that lead to leaves."""
    rows: int

    @property
    def used(self) -> int:
        """All of these pages."""
        return self.leaves + self.overflows + self.branches


class View:
    """Made by `LmdbEngine.view` and `lmdb_file.view`. Every method raises StorageError for a page that is damaged."""

    def __init__(self, transaction: Transaction) -> None:
        self.transaction = transaction
        self.rows_read = 0
        """Rows that `rows` and `count` have passed: the progress of code that reads the whole store."""

    def get(self, key: bytes) -> bytes | None:
        """The value of `key`; None where absent."""
        try:
            found = self.transaction.get(key)
        except lmdb.Error as error:
            raise StorageError(str(error)) from error
        return found if key[0] == _OWN and key != POSITION_KEY else read(key, found)

    def opened(self, key: bytes, stored: bytes) -> bytes:
        """The value of which this is what is stored under `key`: a store may keep its values in another form."""
        return stored

    def rows(self, start: bytes, end: bytes) -> Iterator[Row]:
        """The rows with start <= key < end, in key order."""
        try:
            with self.transaction.cursor() as cursor:
                # An iterator begins at the first row of the store if the cursor is nowhere.
                if cursor.set_range(start):
                    for key, found in cursor.iternext():
                        if key >= end:
                            return
                        self.rows_read += 1
                        yield key, value_of(key, found)
        except lmdb.Error as error:
            raise StorageError(str(error)) from error

    def damaged(self, start: bytes = FIRST_KEY) -> Iterator[bytes]:
        """The keys of damaged values, from `start` on."""
        try:
            with self.transaction.cursor() as cursor:
                if cursor.set_range(start):
                    for key, found in cursor.iternext():
                        if not is_whole(key, found):
                            yield key
        except lmdb.Error as error:
            raise StorageError(str(error)) from error

    def damaged_value(self, key: bytes) -> bytes:
        """What is under a key, although it is not what was written; empty where nothing is."""
        try:
            return (self.transaction.get(key) or b"")[HEADER:]
        except lmdb.Error as error:
            raise StorageError(str(error)) from error

    def misplaced(self, key: bytes) -> Row | None:
        """The row that was written, if what is damaged under `key` is only the key (`checksums.original_key`)."""
        try:
            found = self.transaction.get(key)
        except lmdb.Error as error:
            raise StorageError(str(error)) from error
        original = None if found is None or is_whole(key, found) else original_key(key, found)
        return None if found is None or original is None else (original, found[HEADER:])

    def whole_rows(self, start: bytes, end: bytes) -> Iterator[Row]:
        """The rows of a range that are as they were written."""
        try:
            with self.transaction.cursor() as cursor:
                if cursor.set_range(start):
                    for key, found in cursor.iternext():
                        if key >= end:
                            return
                        if is_whole(key, found):
                            yield key, value_of(key, found)
        except lmdb.Error as error:
            raise StorageError(str(error)) from error

    def count(self, start: bytes, end: bytes) -> int:
        """How many rows there are with start <= key < end."""
        found = 0
        try:
            with self.transaction.cursor() as cursor:
                if cursor.set_range(start):
                    for key in cursor.iternext(values=False):
                        if key >= end:
                            break
                        found += 1
        except lmdb.Error as error:
            raise StorageError(str(error)) from error
        self.rows_read += found
        return found

    def first(self, start: bytes, end: bytes) -> Row | None:
        """The first row with start <= key < end; None if the range is empty."""
        return next(self.rows(start, end), None)

    def prefixes(self, start: bytes, end: bytes, length: int) -> Iterator[bytes]:
        """The distinct prefixes, of `length` bytes, of the keys in a range. Each costs one look-up."""
        while (key := self.first_key(start, end)) is not None:
            prefix = key[:length]
            yield prefix
            start = prefix + b"\x00" if len(prefix) < length else _successor(prefix)

    def first_key(self, start: bytes, end: bytes) -> bytes | None:
        """The first key of a range, whatever its value; None if the range is empty."""
        try:
            with self.transaction.cursor() as cursor:
                return cursor.key() if cursor.set_range(start) and cursor.key() < end else None
        except lmdb.Error as error:
            raise StorageError(str(error)) from error

    @property
    def last_position(self) -> int:
        """The position of the last entry appended to any log; 0 if there never was one."""
        return LastEntry.unpack(self.get(POSITION_KEY)).position

    @property
    def last_time(self) -> float:
        """When that entry was committed, in seconds since the epoch; 0 if there never was one."""
        return LastEntry.unpack(self.get(POSITION_KEY)).time / 1e6

    @property
    def pages(self) -> Pages:
        """How the rows lie in the file."""
        found = self.transaction.stat()
        return Pages(
            page_size=found["psize"],
            leaves=found["leaf_pages"],
            overflows=found["overflow_pages"],
            branches=found["branch_pages"],
            rows=found["entries"],
        )


@contextmanager
def view_of(environment: lmdb.Environment) -> Iterator[View]:
    """A view of the newest state. Raises StorageError.

    A transaction that begins while other processes commit may have another state's root (see `LmdbEngine`). Then its
    first read fails.
    """
    for _ in range(_ATTEMPTS):
        try:
            transaction = environment.begin()
        except lmdb.Error as error:
            raise StorageError(str(error)) from error
        try:
            transaction.get(POSITION_KEY)
            break
        except lmdb.Error as error:
            transaction.abort()
            reason = error
    else:
        raise StorageError(str(reason)) from reason
    try:
        yield View(transaction)
    finally:
        transaction.abort()


def _successor(prefix: bytes) -> bytes:
    """The first key after all that begin with `prefix`, which is not all FF."""
    return (int.from_bytes(prefix, "big") + 1).to_bytes(len(prefix), "big")


def rows_between(
    snapshot: Transaction,
    start: bytes,
    end: bytes,
    limit: int,
    max_bytes: int,
    reverse: bool,
    uncounted: Mapping[bytes, int],
) -> list[Row]:
    """The rows of a range, as far as `Engine.range` has them, with the headers that LMDB has. Raises lmdb.Error.

    `max_bytes` is without the bytes `uncounted` in a value, by the first byte of its key.
    """
    if start < FIRST_KEY:
        start = FIRST_KEY
    rows: list[Row] = []
    if start >= end or limit <= 0:
        return rows
    size = 0
    first = start[:1]
    header = HEADER + uncounted.get(first, 0)
    crosses = bool(uncounted) and end[:1] != first
    with snapshot.cursor() as cursor:
        if not reverse:
            is_there = cursor.set_range(start)
        elif cursor.set_range(end):
            is_there = cursor.prev()
        else:
            is_there = cursor.last()
        # An iterator begins at an end of the store if the cursor is nowhere.
        if not is_there:
            return rows
        for row in islice(cursor.iterprev() if reverse else cursor.iternext(), limit):
            key, found = row
            if key < start if reverse else key >= end:
                break
            rows.append(row)
            if crosses:
                header = HEADER + uncounted.get(key[:1], 0)
            size += len(found) - header
            if size >= max_bytes:
                break
    return rows


def touch_rows(start: bytes, end: bytes, limit: int, max_bytes: int, reverse: bool, snapshot: Transaction) -> None:
    """Read about what `rows_between` is going to, so that it is in memory then. Raises lmdb.Error."""
    with snapshot.cursor() as cursor:
        is_there = cursor.set_range(end if reverse else start)
        if reverse:
            is_there = cursor.prev() if is_there else cursor.last()
        if is_there:
            size = 0
            for key, found in islice(cursor.iterprev() if reverse else cursor.iternext(), limit):
                size += len(found)
                if size >= max_bytes or (key < start if reverse else key >= end):
                    return
