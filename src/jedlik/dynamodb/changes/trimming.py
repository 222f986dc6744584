"""Trimming: entries that no reader of a change log needs any more are removed from the start of each shard's log.

Every entry of a shard that a reader needs stays, and so do all after it. A shard is removed with its last entry, its
closing mark. In a replicated table, the tombstone of a deleted item (`model.versions`) is removed with the entry of its
deletion.

A reader that is past its time loses entries that it has not read. The same commit records that in its position, so it
cannot overlook it (`changes.readers`). Abandoned temporary readers are removed here.

The entries of a table whose key cannot be used are trimmed unread, by their times, which are not sealed; readers that
have a position lose nothing then, because they cannot read on. Only in a replicated table they stay, with its
tombstones, until it leaves its group (`replication.closed_replicas`). Source: "DynamoDB encryption at rest usage notes"
in the developer guide: what a stream has lives for 24 hours, whether the key is disabled or not.

The caller makes sure that nothing is trimmed while the clock is doubted (`clock.TrustedClock`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

import orjson

from jedlik.background import stretches
from jedlik.dynamodb import catalog, mini_transaction
from jedlik.dynamodb.encryption import open_keys
from jedlik.dynamodb.model import changelog, keys, log_readers, spaces, streams, versions
from jedlik.dynamodb.model.changelog import Kind
from jedlik.dynamodb.model.definitions import Descriptor, LogReader
from jedlik.dynamodb.model.log_readers import Need, Position
from jedlik.dynamodb.model.mutations import Mutation
from jedlik.dynamodb.model.tables import Table
from jedlik.regions import keyspaces
from jedlik.storage.engine import Engine, NoKey, Row

if TYPE_CHECKING:
    from jedlik.regions.region import Region

BATCH = 500
"""Log entries trimmed in one mutation."""
_BATCH_BYTES = 1 << 20


class StreamShard(NamedTuple):
    """A shard that a stream's document lists."""

    stream: bytes
    """The key of the document."""
    number: int


async def needs_of(region: Region, table: Table | None, retention: float, margin: float) -> list[Need]:
    """The entries that replication and the listed readers of a table need from its log; none once the table is
    deleted."""
    if table is None:
        return []
    now = region.clock.slowest()
    needs = [] if table.replica is None else [Need(0, now - retention - margin)]
    listed = log_readers.listed(table.descriptor)
    if listed:
        found = await region.engine.get([keys.reader_key(table.id, reader.name) for reader in listed])
        positions = [None if raw is None else Position.unpack(raw) for raw in found]
        needs += [
            Need(position.number, _since(table.descriptor, now, reader), reader.name)
            for reader, position in zip(listed, positions, strict=True)
            if position is not None and not position.lost
        ]
    return needs


def _since(table: Descriptor, now: float, reader: LogReader) -> float:
    """Since when a reader that has a position needs entries. While a table is closed it cannot read on, so its time
    begins again when the table is opened."""
    encryption = table.encryption
    reopened = None if encryption is None else encryption.reopened
    if table.is_closed or (reopened is not None and now - reopened < reader.seconds):
        return float("-inf")
    return now - reader.seconds


async def trim(
    region: Region, log: bytes, table: Table | None, needs: Sequence[Need], shard: StreamShard | None
) -> None:
    """Remove unneeded entries of a shard's log, and the log with its last; record that in its stream.

    The OPEN entry, which is the first, stays as long as the log.
    """
    try:
        await _trim(region, region.engine, log, table, needs, shard)
    except NoKey:
        if region.sealed is not None and (table is None or table.replica is None):
            await _trim(region, region.sealed.inner, log, table, needs, shard)


async def _trim(
    region: Region, engine: Engine, log: bytes, table: Table | None, needs: Sequence[Need], shard: StreamShard | None
) -> None:
    first = await engine.range(*keys.log_range(log), 1, 1)
    if not first:
        return
    opening = first[0][0]
    position = keys.log_position(opening) + 1
    while True:
        rows = await engine.range(*keys.log_range(log, position), BATCH, _BATCH_BYTES)
        # Up to the first that is needed, because a clock may have gone back: no entry may stay when its shard is
        # removed.
        old = list(takewhile(lambda row: not _is_needed(row, needs), rows))
        if not old:
            return
        gone = [entry_key for entry_key, _ in old]
        position = keys.log_position(gone[-1]) + 1
        if engine is region.engine:
            whole = changelog.decode(old[-1][1]).kind is Kind.CLOSE
        else:
            whole = _is_closed(log, table) and not await engine.range(*keys.log_range(log, position), 1, 1)
        losing = [need.reader for need in needs if need.reader is not None and need.position < position]
        tombstones = [] if table is None or table.replica is None else _tombstones(region, table, old)
        lost = [] if table is None else [keys.reader_key(table.id, name) for name in losing]
        removal = Removal([opening, *gone] if whole else gone, whole, tombstones, lost, shard)
        await mini_transaction.mutate_keys(region, removal.reads, removal.decide)
        if whole or len(old) < len(rows):
            return


def _is_closed(log: bytes, table: Table | None) -> bool:
    """Whether nothing is appended to a shard's log any more."""
    setting = None if table is None else table.descriptor.log
    if table is None or setting is None:
        return True
    return log not in [keys.shard_log_prefix(table.id, shard.number) for shard in setting.shards]


def _is_needed(row: Row, needs: Sequence[Need]) -> bool:
    position, at = keys.log_position(row[0]), changelog.written_at(row[1])
    return any(need.includes(position, at) for need in needs)


def _tombstones(region: Region, table: Table, old: Sequence[Row]) -> list[Row]:
    """The version records that the deletions among log entries have left, with their keys."""
    left = []
    for _, entry in old:
        change = changelog.decode(entry)
        if change.version and not change.new:
            item_key = keys.item_key(table, orjson.loads(change.keys), region.secret)
            left.append((keys.version_key(table, item_key), versions.tombstone(change.version, change.keys)))
    return left


@dataclass(frozen=True, slots=True)
class Removal:
    """The removal of entries from a shard's log, as one mutation."""

    gone: Sequence[bytes]
    """Their keys, in the order of their positions."""
    whole: bool
    """Whether none is left."""
    tombstones: Sequence[Row]
    """Those of their items; each is deleted, unless its item has been written since."""
    losing: Sequence[bytes]
    """The positions of readers that may not have read them all. Those that do not advance meanwhile have lost some."""
    shard: StreamShard | None

    @property
    def reads(self) -> list[bytes]:
        """What the mutation reads."""
        listing = [] if self.shard is None else [self.shard.stream]
        return [*self.losing, *(key for key, _ in self.tombstones), *listing]

    def decide(self, mutation: Mutation) -> None:
        """Write it."""
        end = keys.log_position(self.gone[-1]) + 1
        found, writes = mutation.found, mutation.writes
        for entry_key in self.gone:
            writes.delete(entry_key)
        for key in self.losing:
            stored = found[key]
            position = None if stored is None else Position.unpack(stored)
            if position is not None and position.number < end:
                writes.put(key, position._replace(lost=True).pack())
        for version_key, tombstone in self.tombstones:
            if found[version_key] == tombstone:
                writes.delete(version_key)
        if self.shard is not None and (stream := found[self.shard.stream]) is not None:
            trimmed = streams.trimmed(orjson.loads(stream), self.shard.number, end, self.whole)
            writes.put(self.shard.stream, orjson.dumps(trimmed))


async def own_shards(region: Region) -> AsyncIterator[tuple[bytes, Table | None]]:
    """The logs of all shards that belong to no stream, each with its table; None for a table that has been deleted."""
    start, end = spaces.LOGS.range
    while found := await stretches.first_keys(region, start, end, 1, 1):
        log = keys.log_of(found[0])
        start = keyspaces.prefix_end(log)
        try:
            [opening] = await region.engine.get(found)
            name = None if opening is None else log_readers.own_shard_of(changelog.decode(opening))
        except NoKey:
            name = await _own_shard_unread(region, log)
        if name is not None:
            table = await catalog.find(region, name)
            yield log, table if table is not None and table.id == keys.table_of_key(log) else None


async def _own_shard_unread(region: Region, log: bytes) -> str | None:
    """The name of the table whose own shard has this log, whose entries cannot be read; None for a stream's shard."""
    table = keys.table_of_key(log)
    ring = open_keys.keyring(region)
    record = None if ring is None else ring.record(table)
    if record is None:
        return None
    start, end = keys.stream_range(record.table)
    while rows := await region.engine.range(start, end, BATCH, _BATCH_BYTES):
        for _, raw in rows:
            stream = orjson.loads(raw)
            if log in [streams.shard_log(stream, shard) for shard in stream["Shards"]]:
                return None
        start = rows[-1][0] + b"\0"
    return record.table
