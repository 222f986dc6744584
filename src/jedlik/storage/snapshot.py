"""A snapshot: one state of a store, for code that reads all of it, like a check.

The reads of `Engine` are short, and each sees the newest state. An engine offers snapshots besides them, and they can
be taken of a copy of its files; LMDB's is `lmdb.view`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from jedlik.storage.engine import Row


class Snapshot(Protocol):
    """Every method raises StorageError when something cannot be read."""

    def get(self, key: bytes) -> bytes | None:
        """The value of `key`; None where absent."""
        ...

    def rows(self, start: bytes, end: bytes) -> Iterator[Row]:
        """The rows with start <= key < end, in key order."""
        ...

    def count(self, start: bytes, end: bytes) -> int:
        """How many rows there are with start <= key < end."""
        ...

    def first(self, start: bytes, end: bytes) -> Row | None:
        """The first row with start <= key < end; None if the range is empty."""
        ...

    def prefixes(self, start: bytes, end: bytes, length: int) -> Iterator[bytes]:
        """The distinct prefixes, of `length` bytes, of the keys in a range. Each costs one look-up."""
        ...

    def damaged(self) -> Iterator[bytes]:
        """The keys whose values are damaged."""
        ...

    @property
    def last_position(self) -> int:
        """The position of the last entry appended to any log; 0 if there never was one."""
        ...
