"""Readers of a table's change log: the images that each wants, how long entries stay for it, and its position.

A table has a log while it has a reader. Two readers follow from other settings: the stream, and replication. The others
are in the descriptor (`definitions.LogReader`), and each has a position under its own key, so that advancing it does
not change the descriptor. An entry holds the images that any reader wants. It is trimmed when no reader needs it any
more: a reader needs the entries from its position on, each for the number of seconds that it has set.

While a stream is enabled, the log's open shards are the stream's. Otherwise the log has one shard of its own, which no
document lists: a customer who enables a stream later does not see it. Its marks have `Caller.LOG`, and the one that
opens it holds the table's name in place of keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import orjson

from jedlik.dynamodb.model import changelog, keys
from jedlik.dynamodb.model.changelog import Caller, Change, Kind
from jedlik.dynamodb.model.definitions import Descriptor, LogReader, LogSetting, OpenShard
from jedlik.dynamodb.model.limits import STREAM_RETENTION_SECONDS
from jedlik.storage.engine import Mark, Writes

STREAM = "stream"
REPLICATION = "replication"
REPLICATION_MARGIN = 60 * 60
"""Seconds for which entries of a replicated table are kept beyond a stream's day: the clocks of regions differ."""


_TABLE_NAME = "TableName"


class Position(NamedTuple):
    """The stored position of a reader."""

    number: int
    """The position of the first entry that it still needs."""
    at: float
    """When the reader was last advanced, in seconds since the epoch."""
    lost: bool = False
    """Whether entries have been trimmed that it had not read."""

    def pack(self) -> bytes:
        """The stored form."""
        return orjson.dumps({"Position": self.number, "At": self.at, "Lost": self.lost})

    @classmethod
    def unpack(cls, stored: bytes) -> Position:
        """Reads the stored form."""
        record = orjson.loads(stored)
        return cls(record["Position"], record["At"], record["Lost"])


def of_view(view_type: str) -> LogReader:
    """A stream of a view type, as a reader."""
    old = view_type in ("OLD_IMAGE", "NEW_AND_OLD_IMAGES")
    new = view_type in ("NEW_IMAGE", "NEW_AND_OLD_IMAGES")
    return LogReader(STREAM, old, new, STREAM_RETENTION_SECONDS, temporary=False)


_REPLICATION = LogReader(REPLICATION, True, True, STREAM_RETENTION_SECONDS + REPLICATION_MARGIN, temporary=False)


def all_of(table: Descriptor) -> tuple[LogReader, ...]:
    """All readers of a table's log; empty if it needs no log."""
    stream = () if table.stream is None else (of_view(table.stream.view_type),)
    replication = () if table.group is None else (_REPLICATION,)
    return (*stream, *replication, *listed(table))


def listed(table: Descriptor) -> tuple[LogReader, ...]:
    """The readers in the descriptor, each of which has a position."""
    return () if table.log is None else table.log.readers


def find(table: Descriptor, name: str) -> LogReader | None:
    """The listed reader of this name."""
    return next((reader for reader in listed(table) if reader.name == name), None)


def added(table: Descriptor, reader: LogReader, position: Position, writes: Writes) -> Descriptor:
    """The table with one more reader, which needs entries from `position` on. It must not have one of that name."""
    log = table.log or LogSetting(False, False)
    writes.put(keys.reader_key(keys.table_id(table.id), reader.name), position.pack())
    return settled(replace(table, log=replace(log, readers=(*log.readers, reader))), writes)


def removed(table: Descriptor, names: Sequence[str], writes: Writes) -> Descriptor:
    """The table without some of the listed readers."""
    for name in names:
        writes.delete(keys.reader_key(keys.table_id(table.id), name))
    if table.log is None:
        return table
    left = tuple(reader for reader in table.log.readers if reader.name not in names)
    return settled(replace(table, log=replace(table.log, readers=left)), writes)


def settled(table: Descriptor, writes: Writes) -> Descriptor:
    """The table with the log that its readers need: open or not, and with the images that any of them wants."""
    readers = all_of(table)
    if not readers:
        return replace(without_own_shards(table, writes), log=None)
    log = replace(
        table.log or LogSetting(False, False),
        old_images=any(reader.old_images for reader in readers),
        new_images=any(reader.new_images for reader in readers),
    )
    if log.shards:
        return replace(table, log=log)
    opening = Mark(changelog.encode(Kind.OPEN, orjson.dumps({_TABLE_NAME: table.name}), caller=Caller.LOG))
    writes.append(_log_of(table, table.next_shard), opening)
    log = replace(log, shards=(OpenShard(table.next_shard, 0),))
    return replace(table, log=log, next_shard=table.next_shard + 1)


def without_own_shards(table: Descriptor, writes: Writes) -> Descriptor:
    """The table without the open shards that belong to no stream: they close."""
    if table.log is None or table.stream is not None:
        return table
    for shard in table.log.shards:
        writes.append(_log_of(table, shard.number), Mark(changelog.encode(Kind.CLOSE, caller=Caller.LOG)))
    return replace(table, log=replace(table.log, shards=()))


def ended(table: Descriptor, writes: Writes) -> None:
    """End the log of a table that is deleted: that commit removes its readers, and its entries follow soon."""
    removed(replace(table, group=None), [reader.name for reader in listed(table)], writes)


def own_shard_of(opening: Change) -> str | None:
    """The name of the table whose own shard this entry, the first of a log, opens; None for a stream's shard."""
    if opening.kind is not Kind.OPEN or opening.caller is not Caller.LOG:
        return None
    name: str = orjson.loads(opening.keys)[_TABLE_NAME]
    return name


def _log_of(table: Descriptor, shard: int) -> bytes:
    return keys.shard_log_prefix(keys.table_id(table.id), shard)


@dataclass(frozen=True, slots=True)
class Need:
    """A reader's needs: entries from a position on that are not older than a time."""

    position: int
    since: float
    """Seconds since the epoch."""
    reader: str | None = None
    """Its name, if it has a position in the store."""

    def includes(self, position: int, at: float) -> bool:
        """Whether it needs the entry at `position` that was committed `at`."""
        return position >= self.position and at >= self.since
