"""Streams: how DynamoDB Streams sees a table's change log.

A stream is a document of its own beside the table's descriptor, because it outlives both its disabling and its table by
a day. It lists the stream's shards with their lineage. It is always written in the same commit as the descriptor, so
the open shards that a writer finds in the descriptor are the open shards of the stream.

A shard is a range of hashes for a span of time. It opens with an OPEN entry in its log and closes with a CLOSE entry,
whose positions are its first and last sequence numbers. When it closes, one or two children take over its range;
a consumer that reads a parent to its end before its children sees each item's changes in order.

Source: "Change data capture for DynamoDB Streams" in the developer guide, and the DynamoDB Streams API reference.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson

from jedlik.dynamodb.errors import DescriptorChanged
from jedlik.dynamodb.model import changelog, keys, log_readers
from jedlik.dynamodb.model.changelog import Caller, Kind
from jedlik.dynamodb.model.definitions import Descriptor, LogSetting, OpenShard, StreamSetting
from jedlik.dynamodb.model.mutations import Mutation
from jedlik.storage.engine import Mark, Writes

HASH_SPACE = 1 << 32
"""Shards divide the first 32 bits of the partition key's hash."""

Document = dict[str, Any]
"""A stream's."""

_SEQUENCE_NUMBER_OFFSET = 10**20
"""Added to a position so that a sequence number has 21 digits, DynamoDB's least."""


def sequence_number(position: int) -> str:
    """The sequence number of the log entry at `position`: 21 decimal digits that sort as numbers do."""
    return str(_SEQUENCE_NUMBER_OFFSET + position)


def position_of(number: str) -> int:
    """The position of a sequence number. Below zero for one that no entry can have."""
    return int(number) - _SEQUENCE_NUMBER_OFFSET


def enable(table: Descriptor, view_type: str, now: float, writes: Writes) -> Descriptor:
    """The table with a new stream switched on; the stream and its first shard go to `writes`."""
    label = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
    arn = f"{table.arn}/stream/{label}"
    readers = log_readers.listed(table)
    log_readers.without_own_shards(table, writes)
    log = LogSetting(False, False, readers=readers)
    table = replace(table, stream=StreamSetting(view_type), stream_label=label, stream_arn=arn, log=log)
    stream = {
        "StreamArn": arn,
        "StreamLabel": label,
        "StreamStatus": "ENABLED",
        "StreamViewType": view_type,
        "CreationRequestDateTime": now,
        "TableName": table.name,
        "TableId": table.id,
        "KeySchema": table.key_schema,
        "Shards": [],
    }
    table = _with_shard(table, stream, None, 0, HASH_SPACE, now, writes)
    _save(stream, writes)
    return log_readers.settled(table, writes)


def _log(table: Descriptor) -> LogSetting:
    assert table.log is not None, "a table with a stream has a log"
    return table.log


def disable(table: Descriptor, stream: Document, now: float, writes: Writes) -> Descriptor:
    """The table with its stream switched off. The stream stays readable until it is trimmed away."""
    end(stream, now, writes)
    return log_readers.settled(replace(table, stream=None, log=replace(_log(table), shards=())), writes)


def end(stream: Document, now: float, writes: Writes) -> None:
    """Close a stream for good."""
    stream = deepcopy(stream) | {"StreamStatus": "DISABLED", "DisabledAt": now}
    for shard in open_shards(stream):
        _close_shard(stream, shard, now, writes)
    _save(stream, writes)


def roll(table: Descriptor, stream: Document, split: bool, now: float, writes: Writes) -> Descriptor:
    """The table after every open shard has been closed and its children opened: two each on `split`."""
    stream = deepcopy(stream)
    table = replace(table, log=replace(_log(table), shards=()))
    for shard in open_shards(stream):
        _close_shard(stream, shard, now, writes)
        start, end = shard["Start"], shard["End"]
        middle = (start + end) // 2
        ranges = [(start, middle), (middle, end)] if split else [(start, end)]
        for low, high in ranges:
            table = _with_shard(table, stream, shard["ShardId"], low, high, now, writes)
    _save(stream, writes)
    return table


def current_key(table: Descriptor) -> list[bytes]:
    """The key of a table's enabled stream, or no key: for a mutation that may disable it."""
    if table.stream is None or table.stream_label is None:
        return []
    return [keys.stream_key(table.name, table.stream_label)]


def current(table: Descriptor, mutation: Mutation) -> Document | None:
    """A table's enabled stream, in a mutation that has read the `current_key` of the table as last seen.

    None if it has none. Raises DescriptorChanged if it has another one by now.
    """
    for key in current_key(table):
        stored = mutation.found.get(key)
        if stored is None:
            raise DescriptorChanged
        stream: Document = orjson.loads(stored)
        return stream
    return None


def open_shards(stream: Document) -> list[Document]:
    """The shards that are being written, by their range."""
    return sorted((s for s in stream["Shards"] if "ClosedAt" not in s), key=lambda shard: int(shard["Start"]))


def without_shards(stream: Document, gone: set[int]) -> Document:
    """The stream without the shards of these numbers."""
    return stream | {"Shards": [s for s in stream["Shards"] if s["Number"] not in gone]}


def trimmed(stream: Document, number: int, position: int, whole: bool) -> Document:
    """The stream after the entries before `position` of the shard of this number have been trimmed, or the `whole`."""
    for shard in stream["Shards"]:
        if shard["Number"] == number:
            shard["TrimmedTo"] = position
    stream["TrimmedTo"] = max(stream.get("TrimmedTo", 0), position)
    return without_shards(stream, {number}) if whole else stream


def shard_log(stream: Document, shard: Document) -> bytes:
    """The log prefix of a shard."""
    return keys.shard_log_prefix(keys.table_id(stream["TableId"]), shard["Number"])


def _with_shard(
    table: Descriptor, stream: Document, parent: str | None, start: int, end: int, now: float, writes: Writes
) -> Descriptor:
    """The table with one more shard, which is added to `stream` as well."""
    number, log = table.next_shard, _log(table)
    shard = {
        "Number": number,
        # As on AWS, the time and something unique, so that the order of the names is the order of the opening.
        "ShardId": f"shardId-{int(now * 1000):020d}-{number:08x}",
        "Start": start,
        "End": end,
        "OpenedAt": now,
    }
    if parent is not None:
        shard["ParentShardId"] = parent
    stream["Shards"].append(shard)
    writes.append(shard_log(stream, shard), Mark(changelog.encode(Kind.OPEN, caller=Caller.STREAM)))
    shards = (*log.shards, OpenShard(number, start))
    return replace(table, log=replace(log, shards=shards), next_shard=number + 1)


def _close_shard(stream: Document, shard: Document, now: float, writes: Writes) -> None:
    shard["ClosedAt"] = now
    writes.append(shard_log(stream, shard), Mark(changelog.encode(Kind.CLOSE, caller=Caller.STREAM)))


def _save(stream: Document, writes: Writes) -> None:
    writes.put(keys.stream_key(stream["TableName"], stream["StreamLabel"]), orjson.dumps(stream))
