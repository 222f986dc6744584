"""The changes of a batch: the form in which they are sent and journaled, and how they are written into LMDB.

The form is that of MessagePack: an array of a map of changes, an array of appends, and the time. Positions, times of
entries and counters are computed from the store's state when the changes are written, so writing them to the same state
again gives the same result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import lmdb
import msgpack

from jedlik.storage.batch import POSITION_SIZE, Append, Change
from jedlik.storage.counters import counter, counter_value
from jedlik.storage.engine import Row, stored_entry
from jedlik.storage.lmdb.checksums import is_damaged, kept, read
from jedlik.storage.lmdb.last_entry import POSITION_KEY, LastEntry

Transaction: TypeAlias = "lmdb.Transaction[bytes]"


def packed(changes: Mapping[bytes, Change], appends: Iterable[Append], time: int) -> bytes:
    """The bytes of a batch's changes, which were decided at `time`: microseconds since the epoch."""
    encoded: bytes = msgpack.packb((changes, appends, time))
    return encoded


def write_again(changes: bytes, transaction: Transaction) -> None:
    """Write the changes of a record of the journal. A damaged counter stays as it is: its count is not known, and
    nothing else is lost with it.

    Raises as `write` does.
    """
    write(changes, transaction, spare_damaged=True)


def write(changes: bytes, transaction: Transaction, spare_damaged: bool = False) -> bool:
    """Write the changes of a batch. Returns False if the store has all of them already, as when absent keys are
    deleted.

    Raises lmdb.Error, DamagedValue for a counter (unless damaged ones are spared) and for the position of the last
    entry, and ValueError for bytes that are not from `packed`.
    """
    of_keys, appends, time = msgpack.unpackb(changes, use_list=False)
    puts: list[Row] = []
    deleted = False
    for key, change in of_keys.items():
        if type(change) is bytes:
            puts.append((key, kept(key, change)))
        elif change is None:
            deleted = transaction.delete(key) or deleted
        else:
            found = transaction.get(key)
            if spare_damaged and is_damaged(key, found):
                continue
            count = counter(read(key, found)) + change
            puts.append((key, kept(key, counter_value(count))))
    if appends:
        last = LastEntry.unpack(read(POSITION_KEY, transaction.get(POSITION_KEY)))
        position, time = last.position, max(last.time, time)
        for log, entry in appends:
            position += 1
            key = log + position.to_bytes(POSITION_SIZE, "big")
            puts.append((key, kept(key, stored_entry(entry, time))))
        puts.append((POSITION_KEY, kept(POSITION_KEY, LastEntry(position, time).pack())))
    transaction.cursor().putmulti(puts)
    return deleted or bool(puts)


def write_bare(changes: bytes, transaction: Transaction) -> None:
    """The same for the journal of a store whose values have no headers and whose log entries have no times
    (`environment.BARE_FORMAT`)."""
    of_keys, appends = msgpack.unpackb(changes, use_list=False)
    for key, change in of_keys.items():
        if change is None:
            transaction.delete(key)
        elif isinstance(change, int):
            transaction.put(key, counter_value(counter(transaction.get(key)) + change))
        else:
            transaction.put(key, change)
    position = int.from_bytes(transaction.get(POSITION_KEY) or b"", "big")
    for log, entry in appends:
        position += 1
        transaction.put(log + position.to_bytes(POSITION_SIZE, "big"), entry)
    if appends:
        transaction.put(POSITION_KEY, position.to_bytes(POSITION_SIZE, "big"))
