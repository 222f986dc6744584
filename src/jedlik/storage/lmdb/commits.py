"""A commit to a durable store: validated, written to the journal, which syncs it, and then to LMDB, which does not.

All of it happens under LMDB's lock, so that the journal has the order of the commits, whichever process makes them: a
worker's committer (`committer`), or the worker itself (`at_once`). No reader sees a batch before it is in both.

LMDB numbers its states: when the write transaction's number follows that of the snapshot which a batch was decided
over, nothing has been committed between and nothing is compared. Otherwise, if a value that was read has changed, the
batch is decided again. The lock is held meanwhile, so this happens at most once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import lmdb

from jedlik.storage.batch import Read
from jedlik.storage.engine import StorageError
from jedlik.storage.lmdb.changes import write
from jedlik.storage.lmdb.checkpoints import is_pinned
from jedlik.storage.lmdb.checksums import read, reading
from jedlik.storage.lmdb.journal import JOURNAL_KEY, Journal

if TYPE_CHECKING:
    from jedlik.storage.lmdb.changes import Transaction

DecideAgain: TypeAlias = Callable[[Read], bytes]
"""The changes of a batch (`changes.packed`), decided again with the current values."""

_AGAIN = 2
"""A batch that is decided again may write more than before. Room is kept for this many times its size."""


class Decided(NamedTuple):
    """What has been decided of a batch."""

    snapshot: int
    """Which state it was decided over."""
    reads: Mapping[bytes, bytes | None]
    """What was found there."""
    changes: bytes
    """What it changes (`changes.packed`)."""


def commit(
    environment: lmdb.Environment, journal: Journal, pinned_by: int, decided: Decided, decide_again: DecideAgain
) -> bool:
    """Commit a batch, while the process `pinned_by` sees to it that the pages of the last checkpoint stay.

    Returns False, having changed nothing, if a checkpoint must be made first, or if the last one may not be on the
    disk. Raises StorageError, lmdb.Error, OSError and what `decide_again` raises, having changed nothing.
    """
    with environment.begin(write=True) as transaction:
        last = journal.checkpoint()
        number = transaction.id()
        place = journal.place_after(number - 1)
        changes = decided.changes
        # LMDB drops the pins of dead processes when it finds that one of them held the lock, so check while holding it.
        if not (
            journal.is_sure_of(last)
            and journal.has_room(place, len(changes) * _AGAIN)
            and is_pinned(environment, pinned_by, last.transaction)
        ):
            return False
        if changed(decided.snapshot, decided.reads, transaction):
            changes = decide_again(reading(transaction.get))
            if not journal.has_room(place, len(changes)):
                raise StorageError("there is no room in the journal for what was decided again")
        following = journal.following(place, len(changes))
        # LMDB is to know its journal. And it does not number a commit that changes nothing, but counts for the place of
        # the next record.
        if not write(changes, transaction) or place.sequence == 0:
            transaction.put(JOURNAL_KEY, following.pack())
        journal.append(place, changes, following)
        try:
            transaction.commit()
        except BaseException:
            # If LMDB must be opened again, the code that opens it takes the record back.
            with contextlib.suppress(lmdb.Error, OSError, StorageError):
                take_back(environment, journal)
            raise
    journal.note_commit(number, following)
    return True


def take_back(environment: lmdb.Environment, journal: Journal) -> None:
    """Take back the last record of the journal if LMDB has not committed it.

    Its process has died in between, or LMDB has failed to commit it. A failed transaction releases the lock, so others
    may have overwritten the record since. If none has, the next commit would; but if the store is recovered before
    that, a batch would appear that was never acknowledged. Raises StorageError, lmdb.Error and OSError.
    """
    # Who holds the lock knows that nobody is in between.
    locking = environment.begin(write=True)
    try:
        journal.checkpoint()
        place = journal.place_after(locking.id() - 1)
        if journal.has_record(place):
            journal.retract(place)
    finally:
        locking.abort()


def changed(snapshot: int, reads: Mapping[bytes, bytes | None], transaction: Transaction) -> bool:
    """Whether a value that was read from the snapshot differs in the state with which a transaction begins."""
    return transaction.id() != snapshot + 1 and any(
        read(key, transaction.get(key)) != value for key, value in reads.items()
    )


def has_panicked(environment: lmdb.Environment) -> bool:
    """Whether LMDB must be opened again, because it failed to write the page that makes a commit valid."""
    try:
        environment.begin().abort()
    except lmdb.Error:
        return True
    return False
