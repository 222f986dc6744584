"""The check of streams: their shards, the lineage of these, and each entry of the change log.

A consumer that reads a parent to its end before its children sees each item's changes in order. That depends on these
facts: a shard's log opens, and closes if the shard is closed; the children of a closed shard share its range; and all
positions in a parent's log are before all in its children's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress

import orjson

from jedlik.aws.checks import Check, Checking
from jedlik.aws.damage import DAMAGE, described
from jedlik.dynamodb.checks import every_table
from jedlik.dynamodb.model import changelog, items, keys, log_readers, spaces, streams
from jedlik.dynamodb.model.changelog import Change, Kind
from jedlik.dynamodb.model.streams import Document
from jedlik.dynamodb.model.tables import Table
from jedlik.storage.engine import NoKey
from jedlik.storage.snapshot import Snapshot

_MARKS = (Kind.OPEN, Kind.CLOSE)
_HAS_OLD = (Kind.MODIFY, Kind.REMOVE, Kind.EXPIRE)
_HAS_NEW = (Kind.INSERT, Kind.MODIFY)
_MAY_HAVE_NEW = (Kind.SAME, Kind.SENT_AGAIN)
_OLD_IMAGES = ("OLD_IMAGE", "NEW_AND_OLD_IMAGES")
_NEW_IMAGES = ("NEW_IMAGE", "NEW_AND_OLD_IMAGES")


class StreamCheck:
    """Finds the faults in the streams of a store. `tables` are by their ids."""

    def __init__(self, snapshot: Snapshot, tables: Mapping[bytes, Table], secret: bytes) -> None:
        self._snapshot = snapshot
        self._tables = tables
        self._secret = secret
        self._last_position = snapshot.last_position
        self._logs: set[bytes] = set()
        """Log prefixes of the shards of all streams."""
        self.entries = 0
        """Log entries seen."""

    def problems(self) -> Iterator[str]:
        """What is wrong, a line each."""
        for key, raw in self._snapshot.rows(*keys.stream_range(None)):
            try:
                stream = orjson.loads(raw)
                yield from (f"stream {stream['StreamArn']}: {problem}" for problem in self._check_stream(key, stream))
            except DAMAGE as error:
                yield f"stream under {key.hex()}: {described(error)}"
            except NoKey:
                self._logs.update(streams.shard_log(stream, shard) for shard in stream["Shards"])
        for log in self._snapshot.prefixes(*spaces.LOGS.range, keys.SHARD_PREFIX):
            if log not in self._logs:
                with suppress(NoKey):
                    yield from self._check_unlisted(log)

    def _check_stream(self, key: bytes, stream: Document) -> Iterator[str]:
        """Raises one of DAMAGE if the stream's document cannot be read."""
        if keys.stream_key(stream["TableName"], stream["StreamLabel"]) != key:
            yield "it is not under the key of its name"
        table = self._tables.get(keys.table_id(stream["TableId"]))
        yield from _check_state(stream, table)
        spans = {}
        for shard in stream["Shards"]:
            log = streams.shard_log(stream, shard)
            self._logs.add(log)
            span: list[int] = []
            for problem in self._check_shard(log, stream, shard, table, span):
                yield f"shard {shard['ShardId']}: {problem}"
            spans[shard["ShardId"]] = span
        yield from _check_lineage(stream, spans)

    def _check_unlisted(self, log: bytes) -> Iterator[str]:
        """Check the log of a shard that no stream lists: it belongs to the table's log itself, or it is lost."""
        number, table_id = keys.shard_of_key(log), keys.table_of_key(log)
        if not self._is_own(log):
            yield f"there is a change log of shard {number} of table id {table_id.hex()} and no such shard"
            return
        table = self._tables.get(table_id)
        setting = None if table is None else table.descriptor.log
        is_open = setting is not None and any(shard.number == number for shard in setting.shards)
        shard = {"Start": 0, "End": streams.HASH_SPACE, **({} if is_open else {"ClosedAt": 0.0})}
        view = {"KeySchema": [] if table is None else table.descriptor.key_schema, "StreamViewType": "KEYS_ONLY"}
        for problem in self._check_shard(log, view, shard, table, []):
            yield f"shard {number} of the log of table id {table_id.hex()}: {problem}"

    def _is_own(self, log: bytes) -> bool:
        for _, entry in self._snapshot.rows(*keys.log_range(log)):
            try:
                return log_readers.own_shard_of(changelog.decode(entry)) is not None
            except DAMAGE:
                return False
        return False

    def _check_shard(
        self, log: bytes, stream: Document, shard: Document, table: Table | None, span: list[int]
    ) -> Iterator[str]:
        """Check a shard's log. Its first and last position go to `span`."""
        before: Kind | None = None
        at = 0.0
        for key, entry in self._snapshot.rows(*keys.log_range(log)):
            position = keys.log_position(key)
            self.entries += 1
            span[1:] = [position]
            try:
                change = changelog.decode(entry)
                if change.at < at:
                    yield f"entry {position}: it was committed before the one before it"
                at = change.at
                if change.kind not in _MARKS:
                    self._check_change(change, stream, shard, table)
            except DAMAGE as error:
                yield f"entry {position}: {described(error)}"
                before = Kind.OPEN if before is None else before
                continue
            if (change.kind is Kind.OPEN) != (before is None):
                yield f"entry {position}: the log does not begin with the opening of the shard, or has another"
            if before is Kind.CLOSE:
                yield f"entry {position}: the log goes on after the shard was closed"
            if before is not None and position < shard.get("TrimmedTo", 0):
                yield f"entry {position}: it has been trimmed and is there"
            if position > self._last_position:
                yield f"entry {position}: the store has given positions up to {self._last_position} only"
            before = change.kind
        if before is None:
            yield "its log is empty"
        elif (before is Kind.CLOSE) != ("ClosedAt" in shard):
            yield f"it is {'closed' if 'ClosedAt' in shard else 'open'}, and its log says otherwise"

    def _check_change(self, change: Change, stream: Document, shard: Document, table: Table | None) -> None:
        """Raises one of DAMAGE."""
        key = orjson.loads(change.keys)
        names = [element["AttributeName"] for element in stream["KeySchema"]] or sorted(key)
        if sorted(key) != sorted(names):
            raise ValueError(f"its key is {change.keys.decode()}")
        view_type = stream["StreamViewType"]
        images = ((change.old, _HAS_OLD, _OLD_IMAGES), (change.new, _HAS_NEW, _NEW_IMAGES))
        for image, kinds, view_types in images:
            # The log of a replicated table has all images, whatever the stream shows.
            lacking = not image and change.kind in kinds and view_type in view_types
            unwanted = image and change.kind not in kinds and not (change.kind in _MAY_HAVE_NEW and kinds is _HAS_NEW)
            if lacking or unwanted:
                raise ValueError(f"its images are not those of {change.kind.name} in a stream of {view_type}")
            if image:
                item = items.decode(image)
                if {name: item[name] for name in names} != key:
                    raise ValueError("an image is of another item")
        if table is not None:
            partition = keys.item_key(table, key, self._secret)[keys.INDEX_PREFIX :]
            if not shard["Start"] <= int.from_bytes(partition[:4], "big") < shard["End"]:
                raise ValueError("it belongs in another shard")


def _check_state(stream: Document, table: Table | None) -> Iterator[str]:
    """Compare a stream's document with its table's."""
    opened = streams.open_shards(stream)
    if stream["StreamStatus"] != "ENABLED":
        if opened:
            yield "it is disabled and has open shards"
        return
    if table is None or table.descriptor.stream is None:
        yield "it is enabled, and its table is gone or has no stream"
        return
    if table.descriptor.stream_arn != stream["StreamArn"]:
        yield "it is enabled, and its table has another stream"
        return
    log = table.descriptor.log
    written = [(shard["Number"], shard["Start"]) for shard in opened]
    if log is None or written != [(shard.number, shard.start) for shard in log.shards]:
        yield "its open shards are not those that its table writes to"
    if not _covers(opened, 0, streams.HASH_SPACE):
        yield "its open shards do not divide the range of hashes"


def _check_lineage(stream: Document, spans: Mapping[str, list[int]]) -> Iterator[str]:
    """Compare a stream's shards with their parents and children. `spans` are the first and last positions of each."""
    shards = {shard["ShardId"]: shard for shard in stream["Shards"]}
    children: dict[str, list[Document]] = {}
    for shard in shards.values():
        # A parent is trimmed before its children, when its entries are older than a day.
        if shard.get("ParentShardId") in shards:
            children.setdefault(shard["ParentShardId"], []).append(shard)
    for name, shard in shards.items():
        mine = sorted(children.get(name, ()), key=lambda child: int(child["Start"]))
        if "ClosedAt" not in shard:
            if mine:
                yield f"shard {name}: it is open and has children"
            continue
        if (mine or stream["StreamStatus"] == "ENABLED") and not _covers(mine, shard["Start"], shard["End"]):
            yield f"shard {name}: its children do not divide its range"
        for child in mine:
            if spans[name] and spans[child["ShardId"]] and spans[name][-1] >= spans[child["ShardId"]][0]:
                yield f"shard {child['ShardId']}: it begins before its parent ends"


def _covers(shards: list[Document], start: int, end: int) -> bool:
    """Whether shards, in the order of their ranges, divide a range of hashes without a gap."""
    bounds = [start, *(shard["End"] for shard in shards)]
    return bounds[-1] == end and [shard["Start"] for shard in shards] == bounds[:-1]


def _problems(snapshot: Snapshot, checking: Checking) -> Iterator[str]:
    check = StreamCheck(snapshot, every_table.readable(snapshot), checking.secret)
    yield from check.problems()
    checking.counts["log_entries"] += check.entries


CHECK = Check("streams", _problems, "{log_entries} log entries")
