"""Upkeep of streams: rolling shards over, and trimming what is older than a day.

A shard is rolled when it has been open for the rotation period, as DynamoDB does about every four hours, and split in
two when the table has grown past what one partition holds. Trimming removes entries from the start of each shard's
log; a shard goes when its last entry has gone, and a disabled stream a day after it was disabled.

In a replicated table the tombstone of a deleted item (`model.versions`) goes with the entry of its deletion. By then no
region tells of an older write of the item any more: regions tell what is younger than the retention only, and entries
are kept for an hour more, which is for the differences between clocks.

While the clock is doubted (`clock.TrustedClock`), nothing is trimmed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING

import orjson

from jedlik.background import stretches
from jedlik.background.work import Duty
from jedlik.config import Settings
from jedlik.dynamodb import catalog
from jedlik.dynamodb.errors import DescriptorChanged, ResourceNotFoundException
from jedlik.dynamodb.model import changelog, keys, streams, versions
from jedlik.dynamodb.model.changelog import Kind
from jedlik.dynamodb.model.limits import PARTITION_SIZE, STREAM_RETENTION_SECONDS
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.model.writes import check_descriptor
from jedlik.storage.counters import counter
from jedlik.storage.engine import Row, Writes

if TYPE_CHECKING:
    from jedlik.regions.region import Region

PERIOD = 60.0
"""Seconds between two looks at what is to be trimmed, where shards are not rolled more often."""
BATCH = 500
"""Log entries trimmed in one mutation."""
_BATCH_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class StreamPolicy:
    """How long and how large a shard becomes."""

    rotation: float = 4 * 60 * 60
    """Seconds after which an open shard is closed and continued by its child."""
    retention: float = STREAM_RETENTION_SECONDS
    """Seconds for which entries are kept."""
    margin: float = 60 * 60
    """Seconds more for which entries of a replicated table are kept."""
    partition_size: int = PARTITION_SIZE
    """Bytes of a table for each open shard of its stream; when it is past that, its shards are split."""


async def maintain(region: Region, policy: StreamPolicy) -> bool:
    """Roll and trim every stream of the region, once; there is never more to do at once.

    The OPEN entry of a shard's log stays as long as the shard.
    """
    after, end = keys.stream_range(None)
    while rows := await region.engine.range(after, end, BATCH, _BATCH_BYTES):
        for key, raw in rows:
            after = key + b"\0"
            await _maintain_stream(region, key, raw, policy)
    return False


async def _maintain_stream(region: Region, key: bytes, raw: bytes, policy: StreamPolicy) -> None:
    stream = orjson.loads(raw)
    now = region.clock()
    if stream["StreamStatus"] == "ENABLED":
        await _roll_if_due(region, key, stream, policy, now)
    table = await _table_of(region, stream)
    margin = policy.margin if table is not None and table.replica is not None else 0.0
    if region.clock.doubtful:
        return
    horizon = region.clock.slowest() - policy.retention
    for shard in stream["Shards"]:
        await _trim(region, key, stream, shard, table, horizon - margin)
    if stream.get("DisabledAt", now) < horizon:
        await _forget(region, key)


async def _roll_if_due(region: Region, key: bytes, stream: streams.Document, policy: StreamPolicy, now: float) -> None:
    try:
        table = await catalog.current(region, stream["TableName"])
    except ResourceNotFoundException:
        return
    if not _is_current(table, stream):
        return
    [size] = await region.engine.get([keys.item_bytes_key(table.id, 0)])
    opened = streams.open_shards(stream)
    split = counter(size) > policy.partition_size * len(opened)
    if not split and now - opened[0]["OpenedAt"] < policy.rotation:
        return

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        descriptor, current = values
        check_descriptor(table, descriptor)
        if current is None:
            raise DescriptorChanged
        writes = Writes()
        catalog.put(streams.roll(table.descriptor, orjson.loads(current), split, now, writes), writes)
        return writes, None

    try:
        await region.engine.mutate([table.descriptor_key, key], decide)
    except DescriptorChanged:
        return  # The next round sees how things stand by then.


def _is_current(table: Table, stream: streams.Document) -> bool:
    return table.log is not None and table.descriptor.stream_arn == stream["StreamArn"]


async def _table_of(region: Region, stream: streams.Document) -> Table | None:
    """The table that a stream is of, if it is still there."""
    table = await catalog.find(region, stream["TableName"])
    return table if table is not None and table.descriptor.id == stream["TableId"] else None


async def _trim(
    region: Region,
    key: bytes,
    stream: streams.Document,
    shard: streams.Document,
    table: Table | None,
    horizon: float,
) -> None:
    log = streams.shard_log(stream, shard)
    first = await region.engine.range(*keys.log_range(log), 1, 1)
    if not first:
        return
    opening = first[0][0]
    position = keys.log_position(opening) + 1
    while True:
        rows = await region.engine.range(*keys.log_range(log, position), BATCH, _BATCH_BYTES)
        # Up to the first that is younger, for a clock may have gone back: none may stay when its shard goes.
        old = list(takewhile(lambda row: changelog.written_at(row[1]) < horizon, rows))
        if not old:
            return
        whole = changelog.decode(old[-1][1]).kind is Kind.CLOSE
        gone = [entry_key for entry_key, _ in old]
        tombstones = [] if table is None or table.replica is None else _tombstones(region, table, old)
        await _remove(region, key, shard["Number"], [opening, *gone] if whole else gone, tombstones, whole)
        if whole or len(old) < len(rows):
            return
        position = keys.log_position(gone[-1]) + 1


def _tombstones(region: Region, table: Table, old: Sequence[Row]) -> list[Row]:
    """The version records that the deletions among log entries have left, with their keys."""
    left = []
    for _, entry in old:
        change = changelog.decode(entry)
        if change.version and not change.new:
            item_key = keys.item_key(table, orjson.loads(change.keys), region.secret)
            left.append((keys.version_key(table, item_key), versions.tombstone(change.version, change.keys)))
    return left


async def _remove(
    region: Region, key: bytes, number: int, gone: Sequence[bytes], tombstones: Sequence[Row], whole: bool
) -> None:
    """Remove entries of a shard's log, and the shard itself with its last.

    With an entry goes the tombstone of its item, if nothing has been written since.
    """

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        writes = Writes()
        for entry_key in gone:
            writes.delete(entry_key)
        for (version_key, tombstone), record in zip(tombstones, values[1:], strict=True):
            if record == tombstone:
                writes.delete(version_key)
        if values[0] is not None:
            stream = orjson.loads(values[0])
            for shard in stream["Shards"]:
                if shard["Number"] == number:
                    shard["TrimmedTo"] = keys.log_position(gone[-1]) + 1
            stream["TrimmedTo"] = max(stream.get("TrimmedTo", 0), keys.log_position(gone[-1]) + 1)
            writes.put(key, orjson.dumps(streams.without_shards(stream, {number}) if whole else stream))
        return writes, None

    await region.engine.mutate([key, *(version_key for version_key, _ in tombstones)], decide)


async def _forget(region: Region, key: bytes) -> None:
    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        writes = Writes()
        if values[0] is not None and not orjson.loads(values[0])["Shards"]:
            writes.delete(key)
        return writes, None

    await region.engine.mutate([key], decide)


def duty(settings: Settings) -> Duty:
    """Looking after all streams, often enough for the rotation period of the settings."""
    policy = StreamPolicy(rotation=settings.stream_rotation)
    period = min(PERIOD, settings.stream_rotation / 4)
    return Duty("streams", period, partial(maintain, policy=policy), _has_streams)


async def _has_streams(region: Region) -> bool:
    return await stretches.holds(region, keys.stream_range(None))
