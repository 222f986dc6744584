"""The change log: the changes of a table, in the order of the commits.

Every reader of changes (DynamoDB Streams first) reads this one log, which is written in the same commit as the items
themselves. A table has a log only while something reads it. The log is cut into shards by ranges of the hash of
the partition key; the descriptor lists the open ones, and since every write reads the descriptor, nothing is ever
appended to a shard after its closing mark. An entry's position, and with it its sequence number, is given by the
engine when it commits.

An entry is a fixed head, the keys as JSON, the old and the new item as they are stored (`model.items`), and fields that
not every entry has. An item is empty if it did not exist or no reader wants it. The engine puts the time of the commit
before the entry. A reader skips fields that it does not know.

    head       format, kind of change, kind of caller, nothing; lengths of keys, old and new; size of the keys in
               DynamoDB's count; length of the fields
    keys, old, new
    fields     each a number, the length of its content, and its content
                 1    in a replicated table: the item's new version (`model.versions`)
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct

from jedlik.storage.engine import entry_content, entry_time

_FORMAT = 3
_HEAD = Struct("<BBBxIIIII")
_FIELD = Struct("<BH")
_VERSION = 1
_HASH_SIZE = 4


class Caller(IntEnum):
    """Who made a change."""

    CUSTOMER = 0
    EXPIRY = 1
    """The service, for an item past its time to live."""
    REPLICATION = 2
    """Another region, which made the change."""
    STREAM = 3
    """The stream itself: a mark of a shard."""
    LOG = 4
    """The log itself: a mark of a shard that belongs to no stream."""


class Kind(IntEnum):
    """The kind of an entry."""

    INSERT = 0
    MODIFY = 1
    REMOVE = 2
    EXPIRE = 3
    """A REMOVE by the service, for an item past its time to live."""
    OPEN = 4
    """The shard's first entry. Its position is the shard's starting sequence number."""
    CLOSE = 5
    """The shard's last entry. Its position is the shard's ending sequence number."""
    SAME = 6
    """A write to a replicated table that left the item, or its absence, as it was. Other replicas need to receive it,
    because theirs may differ; no stream shows it."""
    SENT_AGAIN = 7
    """No change: an item of a replicated table, or its absence, that is sent to other replicas again, wherever its
    version was made."""


@dataclass(frozen=True, slots=True)
class Change:
    """An entry, read back."""

    kind: Kind
    at: float
    """When it was committed, in seconds since the epoch. Never less than that of an earlier entry of the store."""
    keys: bytes
    """JSON of the key attributes."""
    keys_size: int
    """Bytes, as DynamoDB counts them."""
    old: bytes
    """The stored form of the item before; empty without an item."""
    new: bytes
    """The stored form of the item after; empty without an item."""
    version: bytes = b""
    """The version that the change gave the item, which contains the region of its origin. Empty in a table that was not
    replicated."""
    caller: Caller = Caller.CUSTOMER


def encode(
    kind: Kind,
    keys: bytes = b"",
    keys_size: int = 0,
    old: bytes = b"",
    new: bytes = b"",
    version: bytes = b"",
    caller: Caller = Caller.CUSTOMER,
) -> bytes:
    """An entry for the log."""
    fields = _FIELD.pack(_VERSION, len(version)) + version if version else b""
    head = _HEAD.pack(_FORMAT, kind, caller, len(keys), len(old), len(new), keys_size, len(fields))
    return head + keys + old + new + fields


def decode(stored: bytes) -> Change:
    """The change in a stored entry. Raises ValueError for one of another format, or one that is cut short."""
    entry = entry_content(stored)
    format_, kind, caller, keys_length, old_length, new_length, keys_size, fields_length = _HEAD.unpack_from(entry)
    if format_ != _FORMAT:
        raise ValueError(f"unknown change log format {format_}")
    old_start = _HEAD.size + keys_length
    new_start = old_start + old_length
    fields_start = new_start + new_length
    if fields_start + fields_length != len(entry):
        raise ValueError("it is not as long as it says")
    return Change(
        kind=Kind(kind),
        at=written_at(stored),
        keys=entry[_HEAD.size : old_start],
        keys_size=keys_size,
        old=entry[old_start:new_start],
        new=entry[new_start:fields_start],
        version=_field(entry, fields_start, fields_start + fields_length) if fields_length else b"",
        caller=Caller(caller),
    )


def _field(entry: bytes, start: int, end: int) -> bytes:
    """The version among the fields; empty if it is missing. Raises ValueError if they are cut short."""
    while start + _FIELD.size <= end:
        number, length = _FIELD.unpack_from(entry, start)
        start += _FIELD.size + length
        if number == _VERSION:
            return entry[start - length : start]
    if start != end:
        raise ValueError("the fields of the entry are cut")
    return b""


def written_at(stored: bytes) -> float:
    """The commit time of a stored entry, without decoding the rest. Seconds since the epoch."""
    return entry_time(stored) / 1e6


@dataclass(frozen=True, slots=True)
class ChangeLog:
    """The open shards of a table's log, and the images that its readers want in an entry. Part of the parsed
    descriptor."""

    old_images: bool
    new_images: bool
    starts: tuple[int, ...]
    """First hash of each open shard, ascending; the first is 0. Each ends where the next begins."""
    prefixes: tuple[bytes, ...]
    """Log prefix of each open shard."""

    def prefix_for(self, partition_hash: bytes) -> bytes:
        """The log to which changes of an item with this hash of its partition key go."""
        if len(self.starts) == 1:
            return self.prefixes[0]
        position = int.from_bytes(partition_hash[:_HASH_SIZE], "big")
        return self.prefixes[bisect_right(self.starts, position) - 1]

    def entry(
        self, kind: Kind, keys: bytes, keys_size: int, old: bytes, new: bytes, version: bytes, caller: Caller
    ) -> bytes:
        """An entry with the images that the readers of this log want."""
        old, new = old if self.old_images else b"", new if self.new_images else b""
        return encode(kind, keys, keys_size, old, new, version, caller)
