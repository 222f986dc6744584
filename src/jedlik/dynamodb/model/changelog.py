"""The change log: what changed in a table, in the order of the commits.

Every reader of changes (DynamoDB Streams first) reads this one log, which is written in the same commit as the items
themselves. A table has a log only while something reads it. The log is cut into shards by ranges of the hash of
the partition key; the descriptor lists the open ones, and since every write reads the descriptor, nothing is ever
appended to a shard after its closing mark. An entry's position, and with it its sequence number, is given by the
engine when it commits.

An entry is a fixed head and three byte strings: the keys as JSON, and the old and the new item as they are stored
(`model.items`), each empty if it was not there or no reader wants it. In a replicated table the item's new version
(`model.versions`) stands between the head and these, and the entry is of another format.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import Any

from jedlik.dynamodb.model import versions

_PLAIN = 1
_VERSIONED = 2
"""The formats: without and with a version."""
_VERSION_LENGTHS = {_PLAIN: 0, _VERSIONED: versions.SIZE}
_HEAD = Struct("<BBdIIII")  # format, kind, seconds since the epoch, lengths of keys, old and new, size of the keys
_HASH_SIZE = 4


class Kind(IntEnum):
    """What an entry tells."""

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
    """A write to a replicated table that left the item, or its absence, as it was. Other replicas need to know, for
    theirs may differ; no stream shows it."""
    TOLD = 7
    """No change: an item of a replicated table, or its absence, that is told to other replicas again, wherever its
    version was made."""


@dataclass(frozen=True, slots=True)
class Change:
    """An entry, read back."""

    kind: Kind
    at: float
    """Seconds since the epoch."""
    keys: bytes
    """JSON of the key attributes."""
    keys_size: int
    """Bytes, as DynamoDB counts them."""
    old: bytes
    """The stored form of the item before, or nothing."""
    new: bytes
    """The stored form of the item after, or nothing."""
    version: bytes = b""
    """The version that the change gave the item, which says in which region it was made. Nothing in a table that was
    not replicated."""


def encode(
    kind: Kind,
    at: float,
    keys: bytes = b"",
    keys_size: int = 0,
    old: bytes = b"",
    new: bytes = b"",
    version: bytes = b"",
) -> bytes:
    """An entry for the log."""
    format_ = _VERSIONED if version else _PLAIN
    return _HEAD.pack(format_, kind, at, len(keys), len(old), len(new), keys_size) + version + keys + old + new


def decode(entry: bytes) -> Change:
    """The change that an entry tells. Raises ValueError for an entry of another format."""
    format_, kind, at, keys_length, old_length, new_length, keys_size = _HEAD.unpack_from(entry)
    if format_ not in _VERSION_LENGTHS:
        raise ValueError(f"unknown change log format {format_}")
    keys_start = _HEAD.size + _VERSION_LENGTHS[format_]
    old_start = keys_start + keys_length
    new_start = old_start + old_length
    return Change(
        kind=Kind(kind),
        at=at,
        keys=entry[keys_start:old_start],
        keys_size=keys_size,
        old=entry[old_start:new_start],
        new=entry[new_start : new_start + new_length],
        version=entry[_HEAD.size : keys_start],
    )


def written_at(entry: bytes) -> float:
    """When an entry was written, without decoding the rest. Seconds since the epoch."""
    at: float = _HEAD.unpack_from(entry)[2]
    return at


@dataclass(frozen=True, slots=True)
class ChangeLog:
    """The open shards of a table's log, and what its readers want in an entry. Part of the parsed descriptor."""

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
        self, kind: Kind, at: float, keys: bytes, keys_size: int, old: bytes, new: bytes, version: bytes = b""
    ) -> bytes:
        """An entry that holds as much as the readers of this log want."""
        old, new = old if self.old_images else b"", new if self.new_images else b""
        return encode(kind, at, keys, keys_size, old, new, version)


def parse(log: dict[str, Any], prefixes: tuple[bytes, ...]) -> ChangeLog:
    """The log that a descriptor's ChangeLog member describes: OldImages, NewImages and Shards, each with Start."""
    return ChangeLog(
        old_images=log["OldImages"],
        new_images=log["NewImages"],
        starts=tuple(shard["Start"] for shard in log["Shards"]),
        prefixes=prefixes,
    )
