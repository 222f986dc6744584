"""DynamoDB Streams: ListStreams, DescribeStream, GetShardIterator, GetRecords.

These operations read the change log (`model.changelog`) by the streams that `model.streams` records. A closed shard
never grows, so its document shows, before its log is read, whether the end of the log is the end of the shard. A shard
iterator is a position in a shard and the time at which it was given out, sealed so that clients cannot forge one.

Source: the DynamoDB Streams API reference.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from typing import Any

import orjson

from jedlik.aws.access import ACCOUNT_PART
from jedlik.aws.context import Context
from jedlik.aws.errors import ValidationException
from jedlik.aws.stored_items import StoredItem
from jedlik.dynamodb.encryption import open_keys
from jedlik.dynamodb.errors import ExpiredIteratorException, ResourceNotFoundException, TrimmedDataAccessException
from jedlik.dynamodb.model import changelog, items, keys, streams
from jedlik.dynamodb.model.changelog import Change, Kind
from jedlik.dynamodb.model.limits import GET_RECORDS_COUNT, GET_RECORDS_SIZE, SHARD_ITERATOR_SECONDS
from jedlik.dynamodb.tables import table_names
from jedlik.regions.region import Region
from jedlik.storage.engine import Row

Request = dict[str, Any]
Response = dict[str, Any]

_PAGE = 100
"""The most streams in a ListStreams answer, and the most shards in a DescribeStream answer."""

_EVENT_NAMES = {Kind.INSERT: "INSERT", Kind.MODIFY: "MODIFY", Kind.REMOVE: "REMOVE", Kind.EXPIRE: "REMOVE"}
_SERVICE = {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}

_SEAL_SIZE = 16
_ITERATOR_VERSION = 1
_TRIMMED = "The operation attempted to read past the oldest stream record in a shard."


async def list_streams(context: Context, request: Request) -> Response:
    """The streams of the region, or of one table, by table name and then by age."""
    region = context.region
    limit = request.get("Limit", _PAGE)
    table = request.get("TableName")
    start, end = keys.stream_range(table and table_names.resolve(table, region.name, region.account))
    after = request.get("ExclusiveStartStreamArn")
    if after is not None:
        # A stream that has been deleted meanwhile still marks where to go on.
        start = max(start, keys.stream_key(*_parse_arn(after)) + b"\0")
    rows = await region.engine.range(start, end, limit + 1, GET_RECORDS_SIZE)
    page = [orjson.loads(value) for _, value in rows[:limit]]
    response: Response = {
        "Streams": [{name: s[name] for name in ("StreamArn", "TableName", "StreamLabel")} for s in page]
    }
    if len(rows) > limit:
        response["LastEvaluatedStreamArn"] = page[-1]["StreamArn"]
    return response


async def describe_stream(context: Context, request: Request) -> Response:
    """A stream's settings and a page of its shards, in the order of their names."""
    region = context.region
    stream = await _stream(region, request["StreamArn"])
    limit = request.get("Limit", _PAGE)
    after = request.get("ExclusiveStartShardId", "")
    shards = sorted((s for s in stream["Shards"] if s["ShardId"] > after), key=lambda s: str(s["ShardId"]))
    shards = _filtered(shards, request.get("ShardFilter"))
    description: Response = {
        name: stream[name]
        for name in (
            "StreamArn",
            "StreamLabel",
            "StreamStatus",
            "StreamViewType",
            "CreationRequestDateTime",
            "TableName",
            "KeySchema",
        )
    }
    described = [await _describe_shard(region, stream, shard) for shard in shards[:limit]]
    description["Shards"] = [shard for shard in described if shard is not None]
    if len(shards) > limit:
        description["LastEvaluatedShardId"] = shards[limit - 1]["ShardId"]
    return {"StreamDescription": description}


async def get_shard_iterator(context: Context, request: Request) -> Response:
    """An iterator at the place in a shard that the request describes."""
    region = context.region
    kind = request["ShardIteratorType"]
    given = request.get("SequenceNumber")
    by_number = kind in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER")
    if by_number and given is None:
        raise ValidationException(f"SequenceNumber must be specified for ShardIteratorType {kind}")
    if not by_number and given is not None:
        raise ValidationException(f"SequenceNumber must not be specified for ShardIteratorType {kind}")
    if (kind == "AT_TIMESTAMP") != ("Timestamp" in request):
        raise ValidationException(
            "Timestamp must be specified for ShardIteratorType AT_TIMESTAMP and for no other ShardIteratorType"
        )
    if given is not None and not (given.isascii() and given.isdigit()):
        raise ValidationException(f"Invalid SequenceNumber: {given}")
    stream = await _stream(region, request["StreamArn"])
    shard = _shard(stream, request["ShardId"])
    log = streams.shard_log(stream, shard)
    position = 0
    if kind == "LATEST":
        last = await region.engine.range(*keys.log_range(log), 1, 1, reverse=True)
        position = keys.log_position(last[0][0]) + 1 if last else 0
    elif kind == "AT_TIMESTAMP":
        position = await _position_at(region, log, request["Timestamp"])
    elif given is not None:
        position = await _position(region, shard, log, given) + (kind == "AFTER_SEQUENCE_NUMBER")
    iterator = Iterator(stream["StreamArn"], shard["ShardId"], position, region.clock())
    return {"ShardIterator": iterator.seal(region.secret)}


async def get_records(context: Context, request: Request) -> Response:
    """The records from an iterator on: at most 1,000, and at most 1 MB of them."""
    region = context.region
    _check_account(region, request["ShardIterator"])
    iterator = Iterator.unseal(request["ShardIterator"], region.secret)
    now = region.clock()
    if now - iterator.issued_at > SHARD_ITERATOR_SECONDS:
        raise ExpiredIteratorException(
            f"Iterator expired. The iterator was created at time {iterator.issued_at:.0f} while right now it is "
            f"{now:.0f} which is further in the future than the tolerated delay of {SHARD_ITERATOR_SECONDS} seconds."
        )
    stream = await _stream(region, iterator.stream_arn)
    shard = _shard(stream, iterator.shard_id)
    if 0 < iterator.position < shard.get("TrimmedTo", 0):
        raise TrimmedDataAccessException(_TRIMMED)
    limit = request.get("Limit", GET_RECORDS_COUNT)
    log = streams.shard_log(stream, shard)
    start, end = keys.log_range(log, iterator.position)
    # One more than requested, so that neither of the shard's marks makes a page short.
    rows = await region.engine.range(start, end, limit + 1, GET_RECORDS_SIZE)
    records: list[Response] = []
    position = iterator.position
    for key, entry in rows:
        change = changelog.decode(entry)
        if change.kind in _EVENT_NAMES:
            if len(records) == limit:
                break
            records.append(_record(region, stream, keys.log_position(key), change))
        position = keys.log_position(key) + 1
    meter = context.meter
    meter.stream = stream["TableName"], stream["StreamLabel"]
    meter.items = len(records)
    meter.size = sum([record["dynamodb"]["SizeBytes"] for record in records])
    response: Response = {"Records": records}
    if "ClosedAt" not in shard or await _more(region, log, position):
        following = Iterator(stream["StreamArn"], shard["ShardId"], position, now)
        response["NextShardIterator"] = following.seal(region.secret)
    return response


@dataclass(frozen=True, slots=True)
class Iterator:
    """A place in a shard."""

    stream_arn: str
    shard_id: str
    position: int
    """The position of the first log entry that it has not passed."""
    issued_at: float
    """Seconds since the epoch."""

    def seal(self, secret: bytes) -> str:
        """The text that a client holds: the stream's ARN, a digit, and characters without meaning to it, as in
        DynamoDB."""
        content = orjson.dumps([self.shard_id, self.position, self.issued_at])
        opaque = base64.b64encode(_seal_of(self.stream_arn, content, secret) + content).decode()
        return f"{self.stream_arn}|{_ITERATOR_VERSION}|{opaque}"

    @staticmethod
    def unseal(text: str, secret: bytes) -> Iterator:
        """The iterator of a text that `seal` made. Raises ValidationException for any other."""
        stream_arn, _, opaque = text.rpartition(f"|{_ITERATOR_VERSION}|")
        try:
            sealed = base64.b64decode(opaque, validate=True)
        except (binascii.Error, ValueError):
            raise ValidationException("Invalid ShardIterator") from None
        content = sealed[_SEAL_SIZE:]
        if not hmac.compare_digest(sealed[:_SEAL_SIZE], _seal_of(stream_arn, content, secret)):
            raise ValidationException("Invalid ShardIterator")
        return Iterator(stream_arn, *orjson.loads(content))


def _seal_of(stream_arn: str, content: bytes, secret: bytes) -> bytes:
    sealed = b"%b\x00%b" % (stream_arn.encode(), content)
    return hashlib.blake2b(sealed, digest_size=_SEAL_SIZE, key=secret, person=b"shard iterator").digest()


def _parse_arn(arn: str) -> tuple[str, str]:
    """Table name and label of a stream's ARN."""
    table, marker, label = arn.partition("/stream/")
    name = table.partition(":table/")[2] if table.startswith("arn:") else ""
    if not (marker and name and label):
        raise ValidationException(f"Invalid StreamArn: {arn}")
    return name, label


def _check_account(region: Region, arn: str) -> None:
    """Raise OtherAccount for the ARN of a stream of another account, or for what begins with one."""
    parts = arn.split(":", 5)
    if parts[0] == "arn" and len(parts) > ACCOUNT_PART:
        table_names.check_account(parts[ACCOUNT_PART], region.account)


async def _stream(region: Region, arn: str) -> streams.Document:
    _check_account(region, arn)
    [raw] = await region.engine.get((keys.stream_key(*_parse_arn(arn)),))
    stream: streams.Document | None = orjson.loads(raw) if raw is not None else None
    if stream is None or stream["StreamArn"] != arn:
        raise ResourceNotFoundException(f"Requested resource not found: Stream: {arn} not found")
    await open_keys.check(region, keys.table_id(stream["TableId"]))
    return stream


def _shard(stream: streams.Document, shard_id: str) -> streams.Document:
    for shard in stream["Shards"]:
        if shard["ShardId"] == shard_id:
            found: streams.Document = shard
            return found
    raise ResourceNotFoundException(
        f"Requested resource not found: Shard: {shard_id} in stream: {stream['StreamArn']} not found"
    )


def _filtered(shards: list[streams.Document], wanted: Request | None) -> list[streams.Document]:
    if wanted is None:
        return shards
    if wanted.get("Type") != "CHILD_SHARDS" or "ShardId" not in wanted:
        raise ValidationException("ShardFilter must have the Type CHILD_SHARDS and a ShardId")
    return [s for s in shards if s.get("ParentShardId") == wanted["ShardId"]]


async def _describe_shard(region: Region, stream: streams.Document, shard: streams.Document) -> Response | None:
    """The description of a shard; None if it has been trimmed away since the stream was read."""
    log_start, log_end = keys.log_range(streams.shard_log(stream, shard))
    first = await region.engine.range(log_start, log_end, 1, 1)
    last = await region.engine.range(log_start, log_end, 1, 1, reverse=True)
    if not first or not last:
        return None
    numbers: Response = {"StartingSequenceNumber": _number(first[0])}
    if "ClosedAt" in shard:
        numbers["EndingSequenceNumber"] = _number(last[0])
    description: Response = {"ShardId": shard["ShardId"], "SequenceNumberRange": numbers}
    if "ParentShardId" in shard:
        description["ParentShardId"] = shard["ParentShardId"]
    return description


def _number(row: Row) -> str:
    return streams.sequence_number(keys.log_position(row[0]))


async def _position(region: Region, shard: streams.Document, log: bytes, number: str) -> int:
    position = streams.position_of(number)
    if position < shard.get("TrimmedTo", 0):
        raise TrimmedDataAccessException(_TRIMMED)
    start, end = keys.log_range(log)
    first = await region.engine.range(start, end, 1, 1)
    last = await region.engine.range(start, end, 1, 1, reverse=True)
    if not first or not keys.log_position(first[0][0]) <= position <= keys.log_position(last[0][0]):
        raise ValidationException(
            f"Invalid SequenceNumber: {number} is not in the sequence number range of the shard {shard['ShardId']}"
        )
    return position


async def _position_at(region: Region, log: bytes, timestamp: float) -> int:
    """The position of the first entry not older than `timestamp`, found by bisection."""
    start, end = keys.log_range(log)
    last = await region.engine.range(start, end, 1, 1, reverse=True)
    low, high = 0, keys.log_position(last[0][0]) + 1 if last else 0
    while low < high:
        middle = (low + high) // 2
        [(key, entry)] = await region.engine.range(*keys.log_range(log, middle), 1, 1)
        if changelog.written_at(entry) < timestamp:
            low = keys.log_position(key) + 1
        else:
            high = middle
    return low


async def _more(region: Region, log: bytes, position: int) -> bool:
    return bool(await region.engine.range(*keys.log_range(log, position), 1, 1))


def _record(region: Region, stream: streams.Document, position: int, change: Change) -> Response:
    view = stream["StreamViewType"]
    change_record: Response = {
        "ApproximateCreationDateTime": int(change.at),
        "Keys": StoredItem(change.keys),
        "SequenceNumber": streams.sequence_number(position),
        "StreamViewType": view,
    }
    size = change.keys_size
    for member, stored, shown in (
        ("NewImage", change.new, view in ("NEW_IMAGE", "NEW_AND_OLD_IMAGES")),
        ("OldImage", change.old, view in ("OLD_IMAGE", "NEW_AND_OLD_IMAGES")),
    ):
        if shown and stored:
            change_record[member] = items.whole(stored)
            size += items.size(stored)
    change_record["SizeBytes"] = size
    record: Response = {
        "eventID": _event_id(stream, position),
        "eventName": _EVENT_NAMES[change.kind],
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": region.name,
        "dynamodb": change_record,
    }
    if change.kind is Kind.EXPIRE:
        record["userIdentity"] = _SERVICE
    return record


def _event_id(stream: streams.Document, position: int) -> str:
    return hashlib.blake2b(
        position.to_bytes(8, "big"), digest_size=16, key=stream["StreamArn"].encode()[-64:]
    ).hexdigest()
