"""What is done to a store before anybody uses it: the state of the last checkpoint, and then what the journal has.

Whoever calls this is the only one who has the store open (`store`). So what is there was left by processes that are
gone, or by a machine that stopped, and LMDB's file may hold anything in pages that the last checkpoint does not use.
Its meta pages are made to say what they said then, and the records behind the checkpoint are written once more. This is
done whenever there is anything behind the checkpoint, whether the power failed or a process was killed: a path that is
taken every day is one that works. If it is cut off, it is done anew.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from jedlik.storage.changes import write
from jedlik.storage.engine import StorageError
from jedlik.storage.environment import MAP_SIZE, open_environment
from jedlik.storage.journal import JOURNAL, Journal, first_place
from jedlik.storage.lmdb_pages import DATA, is_older, metas, transaction_of, write_metas

_COMMIT_BYTES = 8 << 20
"""Of records that are committed together: few commits, and not much memory."""


def recover(path: Path) -> None:
    """Have the store in the directory `path` as it was when the last record was written to its journal.

    Raises StorageError if something is damaged, lmdb.Error and OSError.
    """
    file = os.open(path / DATA, os.O_RDWR)
    try:
        with closing(Journal(path)) as journal:
            # Who made it may have been killed before it was synced, and its records are about to be written over.
            checkpoint = journal.confirm()
            records = journal.records()
            found = metas(file)
            if found == checkpoint.metas and next(records, None) is None:
                return
            if is_older(found, checkpoint.transaction):
                raise StorageError(
                    f"{path / DATA} is older than the {JOURNAL} beside it, which cannot be applied to it: "
                    "the files of a store belong together"
                )
            write_metas(file, checkpoint.metas)
            with (
                closing(open_environment(path, MAP_SIZE)) as environment,
                # The checkpoint's pages must stay until there is another.
                environment.begin(),
            ):
                for together in _batches(journal.records()):
                    with environment.begin(write=True) as transaction:
                        for changes in together:
                            write(changes, transaction)
                found = metas(file)
                os.fdatasync(file)
                journal.write_checkpoint(transaction_of(found), found, first_place())
    finally:
        os.close(file)


def _batches(records: Iterator[bytes]) -> Iterator[list[bytes]]:
    together: list[bytes] = []
    size = 0
    for changes in records:
        together.append(changes)
        size += len(changes)
        if size >= _COMMIT_BYTES:
            yield together
            together, size = [], 0
    if together:
        yield together


def begin_journal(path: Path) -> None:
    """Give the store in the directory `path`, which has no journal, an empty one. Nobody has changed it meanwhile.

    Raises StorageError if its meta pages are damaged, and OSError.
    """
    file = os.open(path / DATA, os.O_RDWR)
    try:
        found = metas(file)
        write_metas(file, found)
        os.fdatasync(file)
    finally:
        os.close(file)
    Journal.make(path, transaction_of(found), found)
