"""Upkeep of logs and streams: rolling shards over, and trimming entries that no reader needs; a stream keeps a day.

A shard is rolled when it has been open for the rotation period, as DynamoDB does about every four hours, and split in
two when the table has grown past what one partition holds. Trimming removes entries from the start of each shard's log;
a shard disappears with its last entry, and a disabled stream a day after it was disabled.

In a replicated table the tombstone of a deleted item is removed with the entry of its deletion (`changes.trimming`). By
then no region sends an older write of the item any more: regions send only changes younger than the retention, and
entries are kept for an hour more, to allow for differences between clocks.

While the clock is doubted (`clock.TrustedClock`), nothing is trimmed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import orjson

from jedlik.aws.errors import ServiceError
from jedlik.background import stretches
from jedlik.background.work import Duty
from jedlik.config import Settings
from jedlik.dynamodb import catalog, mini_transaction
from jedlik.dynamodb.changes import readers, trimming
from jedlik.dynamodb.changes.trimming import StreamShard
from jedlik.dynamodb.errors import DescriptorChanged
from jedlik.dynamodb.model import keys, log_readers, spaces, streams
from jedlik.dynamodb.model.limits import PARTITION_SIZE, STREAM_RETENTION_SECONDS
from jedlik.dynamodb.model.log_readers import Need
from jedlik.dynamodb.model.mutations import Mutation
from jedlik.dynamodb.model.tables import Table
from jedlik.storage.counters import counter
from jedlik.storage.engine import Writes

if TYPE_CHECKING:
    from jedlik.regions.region import Region

PERIOD = 60.0
"""Seconds between two rounds of trimming, unless shards are rolled more often."""
_STREAMS = 500
"""Streams read at once."""
_STREAMS_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class StreamPolicy:
    """How long and how large a shard becomes."""

    rotation: float = 4 * 60 * 60
    """Seconds after which an open shard is closed and continued by its child."""
    retention: float = STREAM_RETENTION_SECONDS
    """Seconds for which entries are kept."""
    margin: float = log_readers.REPLICATION_MARGIN
    """Seconds more for which entries of a replicated table are kept."""
    partition_size: int = PARTITION_SIZE
    """Bytes of a table for each open shard of its stream; beyond that, its shards are split."""


async def maintain(region: Region, policy: StreamPolicy) -> bool:
    """Roll and trim every log of the region, once; there is never more to do at once."""
    tables: dict[bytes, Table] = {}
    after, end = keys.stream_range(None)
    while rows := await region.engine.range(after, end, _STREAMS, _STREAMS_BYTES):
        for key, raw in rows:
            after = key + b"\0"
            table = await _maintain_stream(region, key, raw, policy)
            if table is not None:
                tables[table.id] = table
    if region.clock.doubtful:
        return False
    async for log, table in trimming.own_shards(region):
        needs = await trimming.needs_of(region, table, policy.retention, policy.margin)
        await trimming.trim(region, log, table, needs, None)
        if table is not None:
            tables[table.id] = table
    for table in tables.values():
        if log_readers.listed(table.descriptor):
            await readers.drop_forgotten(region, table)
    return False


async def _maintain_stream(region: Region, key: bytes, raw: bytes, policy: StreamPolicy) -> Table | None:
    """Roll and trim a stream. Its table may be gone."""
    stream = orjson.loads(raw)
    now = region.clock()
    if stream["StreamStatus"] == "ENABLED":
        await _roll_if_due(region, key, stream, policy, now)
    table = await _table_of(region, stream)
    if region.clock.doubtful:
        return table
    horizon = region.clock.slowest() - policy.retention
    needs = [Need(0, horizon), *await trimming.needs_of(region, table, policy.retention, policy.margin)]
    for shard in stream["Shards"]:
        listed = StreamShard(key, shard["Number"])
        await trimming.trim(region, streams.shard_log(stream, shard), table, needs, listed)
    if stream.get("DisabledAt", now) < horizon:
        await _forget(region, key)
    return table


async def _roll_if_due(region: Region, key: bytes, stream: streams.Document, policy: StreamPolicy, now: float) -> None:
    try:
        table = await catalog.current(region, stream["TableName"])
    except ServiceError:
        return  # It has gone, or is closed because its key cannot be used.
    if not _is_current(table, stream):
        return
    [size] = await region.engine.get([keys.item_bytes_key(table.id, 0)])
    opened = streams.open_shards(stream)
    split = counter(size) > policy.partition_size * len(opened)
    if not split and now - opened[0]["OpenedAt"] < policy.rotation:
        return

    def decide(mutation: Mutation) -> None:
        current = mutation.found[key]
        if current is None:
            raise DescriptorChanged
        rolled = streams.roll(table.descriptor, orjson.loads(current), split, now, mutation.writes)
        catalog.put(rolled, mutation.writes)

    try:
        await mini_transaction.mutate(region, [table], (), decide, [key])
    except DescriptorChanged:
        return  # The next round sees the state of that time.


def _is_current(table: Table, stream: streams.Document) -> bool:
    return table.log is not None and table.descriptor.stream_arn == stream["StreamArn"]


async def _table_of(region: Region, stream: streams.Document) -> Table | None:
    """The table of a stream, if it still exists."""
    table = await catalog.find(region, stream["TableName"])
    return table if table is not None and table.descriptor.id == stream["TableId"] else None


async def _forget(region: Region, key: bytes) -> None:
    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        writes = Writes()
        if values[0] is not None and not orjson.loads(values[0])["Shards"]:
            writes.delete(key)
        return writes, None

    await region.engine.mutate([key], decide)


def duty(settings: Settings) -> Duty:
    """Upkeep of all streams, often enough for the rotation period of the settings."""
    policy = StreamPolicy(rotation=settings.stream_rotation)
    period = min(PERIOD, settings.stream_rotation / 4)
    return Duty("streams", period, partial(maintain, policy=policy), _has_logs)


async def _has_logs(region: Region) -> bool:
    return await stretches.holds(region, keys.stream_range(None)) or await stretches.holds(region, spaces.LOGS.range)
