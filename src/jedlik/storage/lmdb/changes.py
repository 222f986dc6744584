"""What a batch changes: the form in which it is sent and journaled, and how it is written into LMDB.

The form is that of MessagePack: an array of a map of changes and an array of appends. Positions and counters are worked
out when it is written, from what the store has then, so to write it over the same state again has the same outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import lmdb
import msgpack

from jedlik.storage.batch import POSITION_SIZE, Append, Change
from jedlik.storage.counters import counter, counter_value
from jedlik.storage.engine import Row
from jedlik.storage.lmdb.checksums import kept, read
from jedlik.storage.lmdb.view import POSITION_KEY

Transaction: TypeAlias = "lmdb.Transaction[bytes]"


def packed(changes: Mapping[bytes, Change], appends: Iterable[Append]) -> bytes:
    """The bytes for what a batch changes."""
    encoded: bytes = msgpack.packb((changes, appends))
    return encoded


def write(changes: bytes, transaction: Transaction) -> None:
    """Write what a batch changes.

    Raises lmdb.Error, DamagedValue for a counter, and ValueError for bytes that `packed` has not made.
    """
    _write(changes, transaction, read, kept)


def write_bare(changes: bytes, transaction: Transaction) -> None:
    """The same into a store whose values have no headers (`environment.BARE_FORMAT`)."""
    _write(changes, transaction, lambda _, found: found, lambda _, value: value)


def _write(
    changes: bytes,
    transaction: Transaction,
    read: Callable[[bytes, bytes | None], bytes | None],
    kept: Callable[[bytes, bytes], bytes],
) -> None:
    of_keys, appends = msgpack.unpackb(changes, use_list=False)
    puts: list[Row] = []
    for key, change in of_keys.items():
        if change is None:
            transaction.delete(key)
        elif isinstance(change, int):
            count = counter(read(key, transaction.get(key))) + change
            puts.append((key, kept(key, counter_value(count))))
        else:
            puts.append((key, kept(key, change)))
    if appends:
        position = int.from_bytes(read(POSITION_KEY, transaction.get(POSITION_KEY)) or b"", "big")
        for log, entry in appends:
            position += 1
            key = log + position.to_bytes(POSITION_SIZE, "big")
            puts.append((key, kept(key, entry)))
        puts.append((POSITION_KEY, kept(POSITION_KEY, position.to_bytes(POSITION_SIZE, "big"))))
    transaction.cursor().putmulti(puts)
