"""Reads in a snapshot of an LMDB environment, and the errors of storage that LMDB's become."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

import lmdb

from jedlik.storage.engine import StorageError

T = TypeVar("T")
Snapshot: TypeAlias = "lmdb.Transaction[bytes]"

_SNAPSHOTS = 10
"""Tries for a read. Beside writers that never rest, one read in a hundred thousand needs a second snapshot."""


def read_in(environment: lmdb.Environment, query: Callable[[Snapshot], T]) -> T:
    """The result of `query` in a snapshot. Raises StorageError.

    LMDB gives a reader the number of the last state first and the root of the tree after it. If the reader is held up
    in between, two commits long, the root is a later one, and the pages then look too new for the number. Nothing is
    damaged: another snapshot will do.
    """
    for _ in range(_SNAPSHOTS):
        try:
            with environment.begin() as snapshot:
                return query(snapshot)
        except (lmdb.CorruptedError, lmdb.PageNotFoundError) as error:
            reason: lmdb.Error = error
        except lmdb.Error as error:
            reason = error
            break
    raise storage_error(reason)


def storage_error(cause: Exception) -> StorageError:
    """The error for a caller when something failed beneath. Each caller gets its own, as raising an exception changes
    it."""
    error = StorageError(str(cause))
    error.__cause__ = cause
    return error
