"""What is done to a store before anybody uses it: the state of the last checkpoint, and then what the journal has.

Whoever calls this is the only one who has the store open (`store`). So what is there was left by processes that are
gone, or by a machine that stopped, and LMDB's file may hold anything in pages that the last checkpoint does not use.
Its meta pages are made to say what they said then, and the records behind the checkpoint are written once more. This is
done whenever there is anything behind the checkpoint, whether the power failed or a process was killed: a path that is
taken every day is one that works. If it is cut off, it is done anew.

Nothing is written before it is known that the files are whole and belong together (`coherence`). That rests on each
record being committed under the number that it had before: so a state with a later number has everything of one with an
earlier number, and not only within one life of the store.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import lmdb

from jedlik.storage.lmdb.changes import packed, write, write_bare
from jedlik.storage.lmdb.coherence import examined
from jedlik.storage.lmdb.environment import BARE_FORMAT, MAP_SIZE, NOW, format_of, open_environment, sync_directories
from jedlik.storage.lmdb.journal import JOURNAL_KEY, Journal, first_place
from jedlik.storage.lmdb.lmdb_pages import DATA, metas, transaction_of, write_metas

_NOTHING = packed({}, [], 0)


def recover(path: Path, formats: frozenset[bytes] = NOW) -> None:
    """Have the store in the directory `path` as it was when the last record was written to its journal.

    It has one of these formats, and keeps it.

    Raises StorageError if something is damaged, having written nothing, lmdb.Error and OSError.
    """
    file = os.open(path / DATA, os.O_RDWR)
    try:
        with closing(Journal(path)) as journal:
            checkpoint, records = examined(path, file, journal, formats)
            # Who made it may have been killed before it was synced, and its records are about to be written over.
            journal.confirm()
            if not records:
                if metas(file) != checkpoint.metas:
                    write_metas(file, checkpoint.metas)
                    os.fdatasync(file)
                return
            write_metas(file, checkpoint.metas)
            place = first_place()
            with (
                closing(open_environment(path, MAP_SIZE, formats)) as environment,
                # The checkpoint's pages must stay until there is another.
                environment.begin(),
            ):
                write_into = write_bare if format_of(environment) == BARE_FORMAT else write
                for number, record in enumerate(journal.records(), 1):
                    with environment.begin(write=True) as transaction:
                        write_into(record.changes, transaction)
                        if number == records:
                            transaction.put(JOURNAL_KEY, place.pack())
                found = metas(file)
                os.fdatasync(file)
                journal.write_checkpoint(transaction_of(found), found, place)
    finally:
        os.close(file)


def begin_journal(path: Path, environment: lmdb.Environment) -> None:
    """Give the store in the directory `path`, which has no journal, one. Nobody has changed it meanwhile.

    Its first record changes nothing, but with its commit LMDB knows that there is a journal, and which. Raises
    StorageError if the meta pages are damaged, lmdb.Error and OSError.
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
