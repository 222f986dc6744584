"""Recovers a store before anybody uses it: restores the state of the last checkpoint, then replays the journal.

The caller is the only one who has the store open (`store`). So the files were left by processes that have ended, or by
a machine that stopped, and pages that the last checkpoint does not use may hold anything. The meta pages of the
checkpoint are restored, and the records after it are written again. This happens whenever there are records after the
checkpoint, whether the power failed or a process was killed: a path that is taken every day is one that works. A
recovery that is interrupted starts again.

Before anything is written, the files are checked to be whole and to belong together (`coherence`). That check relies on
each record being committed under the number that it had before: a state with a later number then contains every state
with an earlier one, over all lives of the store.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import lmdb

from jedlik.storage.lmdb.changes import packed, write_again, write_bare
from jedlik.storage.lmdb.coherence import Extent, examined
from jedlik.storage.lmdb.environment import BARE_FORMAT, MAP_SIZE, NOW, format_of, open_environment, sync_directories
from jedlik.storage.lmdb.journal import JOURNAL_KEY, Journal, first_place
from jedlik.storage.lmdb.lmdb_pages import DATA, metas, transaction_of, write_metas

_NOTHING = packed({}, [], 0)


def recover(path: Path, formats: frozenset[bytes] = NOW, extent: Extent = Extent.SMALL) -> bool:
    """Restore the store in the directory `path` to its state when the last record was written to its journal.

    It has one of these formats, and keeps it. Returns whether its pages have yet to be checked.

    Raises StorageError if something is damaged, having written nothing, lmdb.Error and OSError.
    """
    file = os.open(path / DATA, os.O_RDWR)
    try:
        with closing(Journal(path)) as journal:
            checkpoint, records, unchecked = examined(path, file, journal, formats, extent)
            # The process that made the checkpoint may have been killed before the sync, and the records before it are
            # about to be overwritten.
            journal.confirm()
            if not records:
                if metas(file) != checkpoint.metas:
                    write_metas(file, checkpoint.metas)
                    os.fdatasync(file)
                return unchecked
            write_metas(file, checkpoint.metas)
            place = first_place()
            with (
                closing(open_environment(path, MAP_SIZE, formats)) as environment,
                # The checkpoint's pages must stay until there is another.
                environment.begin(),
            ):
                write_into = write_bare if format_of(environment) == BARE_FORMAT else write_again
                for number, record in enumerate(journal.records(), 1):
                    with environment.begin(write=True) as transaction:
                        write_into(record.changes, transaction)
                        # LMDB does not number a commit that changes nothing, and this one gets its number again.
                        transaction.put(JOURNAL_KEY, (place if number == records else record.following).pack())
                found = metas(file)
                os.fdatasync(file)
                journal.write_checkpoint(transaction_of(found), found, place)
            return unchecked
    finally:
        os.close(file)


def begin_journal(path: Path, environment: lmdb.Environment) -> None:
    """Give a journal to the store in the directory `path`, which has none. Nobody has changed the store meanwhile.

    Its first record changes nothing; its commit makes LMDB's file name this journal. Raises StorageError if the meta
    pages are damaged, lmdb.Error and OSError.
    """
    sync_directories([path])
    file = os.open(path / DATA, os.O_RDWR)
    try:
        found = metas(file)
        write_metas(file, found)
        os.fdatasync(file)
        Journal.make(path, transaction_of(found), found)
        sync_directories([path])
        with closing(Journal(path)) as journal:
            place = journal.confirm().place
            following = journal.following(place, len(_NOTHING))
            with environment.begin(write=True) as transaction:
                transaction.put(JOURNAL_KEY, following.pack())
                journal.append(place, _NOTHING, following)
            found = metas(file)
            os.fdatasync(file)
            journal.write_checkpoint(transaction_of(found), found, following)
    finally:
        os.close(file)
