"""A commit to a durable store: validated, written to the journal, which syncs it, and then to LMDB, which does not.

All of it happens under LMDB's lock, so that the journal has the order of the commits, whichever process makes them: a
worker's committer (`committer`), or the worker itself (`at_once`). A batch is seen by nobody before it is in both.

LMDB numbers its states: when the write transaction's number follows that of the snapshot which a batch was decided
over, nothing has been committed between and nothing is compared. Otherwise, if what was read has changed, the batch is
decided again, while the lock is held: so never a third time.
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
from jedlik.storage.lmdb.checksums import read
from jedlik.storage.lmdb.journal import JOURNAL_KEY, Journal

if TYPE_CHECKING:
    from jedlik.storage.lmdb.changes import Transaction

DecideAgain: TypeAlias = Callable[[Read], bytes]
"""What a batch changes, as it is decided over what there is now (`changes.packed`)."""

_AGAIN = 2
"""A batch that is decided again may write more than before. How many times more there is room for."""


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

    False, having changed nothing, if there must be a checkpoint first, or certainty of the last one. Raises
    StorageError, lmdb.Error, OSError and what `decide_again` raises, having changed nothing.
    """
    with environment.begin(write=True) as transaction:
        last = journal.checkpoint()
        place = last.next_place(transaction.get(JOURNAL_KEY))
        changes = decided.changes
        # LMDB forgets the pins of the dead when it finds that one of them had the lock: hence asked under the lock.
        if not (
            journal.is_sure_of(last)
            and journal.has_room(place, len(changes) * _AGAIN)
            and is_pinned(environment, pinned_by, last.transaction)
        ):
            return False
        if changed(decided.snapshot, decided.reads, transaction):
            changes = decide_again(lambda key: read(key, transaction.get(key)))
            if not journal.has_room(place, len(changes)):
                raise StorageError("there is no room in the journal for what was decided again")
        following = journal.following(place, len(changes))
        write(changes, transaction)
        transaction.put(JOURNAL_KEY, following.pack())
        journal.append(place, changes, following)
        try:
            transaction.commit()
        except BaseException:
            # If LMDB wants to be opened anew, whoever does that takes the record back.
            with contextlib.suppress(lmdb.Error, OSError, StorageError):
                take_back(environment, journal)
            raise
    return True


def take_back(environment: lmdb.Environment, journal: Journal) -> None:
    """Take back the last record of the journal if LMDB has not committed it.

    Its process has died in between, or LMDB has failed to commit it; the lock goes with a transaction that fails, so
    others may have written over the record since. If nobody has, somebody would; but if nobody does, and the store is
    recovered, what readers have not seen would be there. Raises StorageError, lmdb.Error and OSError.
    """
    # Who holds the lock knows that nobody is in between.
    locking = environment.begin(write=True)
    try:
        place = journal.checkpoint().next_place(locking.get(JOURNAL_KEY))
        if journal.has_record(place):
            journal.retract(place)
    finally:
        locking.abort()


def changed(snapshot: int, reads: Mapping[bytes, bytes | None], transaction: Transaction) -> bool:
    """Whether something that was read from the snapshot is another in the state that a transaction begins with."""
    return transaction.id() != snapshot + 1 and any(
        read(key, transaction.get(key)) != value for key, value in reads.items()
    )


def has_panicked(environment: lmdb.Environment) -> bool:
    """Whether LMDB wants to be opened anew: after it failed to write the page that makes a commit valid."""
    try:
        environment.begin().abort()
    except lmdb.Error:
        return True
    return False
