"""Opens a store for reading if this version knows its format."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jedlik.regions import keyspaces, store_format
from jedlik.storage.engine import StorageError
from jedlik.storage.lmdb import lmdb_file
from jedlik.storage.lmdb.view import View


@contextmanager
def view(folder: Path) -> Iterator[View]:
    """The store in a folder as it is now (`lmdb_file.view`). Raises StorageError, also for one of another format."""
    with lmdb_file.view(folder) as found:
        record = found.get(keyspaces.format_key())
        is_new = record is None and found.get(keyspaces.secret_key()) is None
        reason = None if is_new else store_format.refusal(record)
        if reason is not None:
            raise StorageError(f"the store in {folder} {reason}")
        yield found
