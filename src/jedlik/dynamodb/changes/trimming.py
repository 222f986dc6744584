"""Trimming: entries that no reader of a change log needs any more are removed from the start of each shard's log.

Every entry of a shard that a reader needs stays, and so do all after it. A shard is removed with its last entry, its
closing mark. In a replicated table, the tombstone of a deleted item (`model.versions`) is removed with the entry of its
deletion.

A reader that is past its time loses entries that it has not read. The same commit records that in its position, so it
cannot overlook it (`changes.readers`). Abandoned temporary readers are removed here.

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
from jedlik.dynamodb.model import changelog, keys, log_readers, spaces, streams, versions
from jedlik.dynamodb.model.changelog import Kind
from jedlik.dynamodb.model.log_readers import Need, Position
from jedlik.dynamodb.model.mutations import Mutation
from jedlik.dynamodb.model.tables import Table
from jedlik.regions import keyspaces
from jedlik.storage.engine import NoKey, Row

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
            Need(position.number, now - reader.seconds, reader.name)
            for reader, position in zip(listed, positions, strict=True)
            if position is not None and not position.lost
        ]
    return needs


async def trim(
    region: Region, log: bytes, table: Table | None, needs: Sequence[Need], shard: StreamShard | None
) -> None:
    """Remove unneeded entries of a shard's log, and the log with its last; record that in its stream.

    The OPEN entry, which is the first, stays as long as the log.
    """
    try:
        await _trim(region, log, table, needs, shard)
    except NoKey:
        return  # The entries of a closed table stay.


async def _trim(
    region: Region, log: bytes, table: Table | None, needs: Sequence[Need], shard: StreamShard | None
) -> None:
    first = await region.engine.range(*keys.log_range(log), 1, 1)
    if not first:
        return
    opening = first[0][0]
    position = keys.log_position(opening) + 1
    while True:
        rows = await region.engine.range(*keys.log_range(log, position), BATCH, _BATCH_BYTES)
        # Up to the first that is needed, because a clock may have gone back: no entry may stay when its shard is
        # removed.
        old = list(takewhile(lambda row: not _is_needed(row, needs), rows))
        if not old:
            return
        whole = changelog.decode(old[-1][1]).kind is Kind.CLOSE
        gone = [entry_key for entry_key, _ in old]
        position = keys.log_position(gone[-1]) + 1
        losing = [need.reader for need in needs if need.reader is not None and need.position < position]
        tombstones = [] if table is None or table.replica is None else _tombstones(region, table, old)
        lost = [] if table is None else [keys.reader_key(table.id, name) for name in losing]
        removal = Removal([opening, *gone] if whole else gone, whole, tombstones, lost, shard)
        await mini_transaction.mutate_keys(region, removal.reads, removal.decide)
        if whole or len(old) < len(rows):
            return


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
        except NoKey:
            continue
        if opening is None:
            continue
        name = log_readers.own_shard_of(changelog.decode(opening))
        if name is not None:
            table = await catalog.find(region, name)
            yield log, table if table is not None and table.id == keys.table_of_key(log) else None
