"""A reader of the table's stream: the records of each item must be one unbroken chain, which ends at the item as it
is."""

from __future__ import annotations

from typing import Any

from torture.expected import demand, identity, in_order
from torture.writers import FLEETING, TABLE, Item

PAGE = 1000


class Follower:
    """Reads a stream from its beginning, each time up to its end; shards before their successors."""

    def __init__(self) -> None:
        self._images: dict[tuple[str, int], Item] = {}
        self._read: dict[str, str | None] = {}
        """By shard: the last sequence number that was read."""
        self._over: set[str] = set()
        """Shards that are read to the end."""
        self.records = 0

    def follow(self, client: Any) -> None:
        """Read on. `client` is one of DynamoDB Streams."""
        [stream] = client.list_streams(TableName=TABLE)["Streams"]
        shards = self._shards(client, stream["StreamArn"])
        waiting = [shard for shard in shards if shard["ShardId"] not in self._over]
        while waiting:
            blocked = {shard["ShardId"] for shard in waiting}
            ready = [shard for shard in waiting if shard.get("ParentShardId") not in blocked]
            demand(bool(ready), f"shards without an end: {blocked}")
            for shard in ready:
                self._read_shard(client, stream["StreamArn"], shard["ShardId"])
            waiting = [shard for shard in waiting if shard not in ready]

    def check(self, items: list[Item]) -> None:
        """Compare the stream's records with the items, except for items that may have expired meanwhile."""
        lasting = [one for one in items if identity(one)[1] not in FLEETING]
        told = [one for one in self._images.values() if identity(one)[1] not in FLEETING and "hits" not in one]
        demand(in_order(told) == in_order(lasting), "what the stream tells of the items is not what they are")

    def _shards(self, client: Any, arn: str) -> list[dict[str, Any]]:
        shards: list[dict[str, Any]] = []
        request = {"StreamArn": arn}
        while True:
            described = client.describe_stream(**request)["StreamDescription"]
            shards += described["Shards"]
            if "LastEvaluatedShardId" not in described:
                return shards
            request["ExclusiveStartShardId"] = described["LastEvaluatedShardId"]

    def _read_shard(self, client: Any, arn: str, shard: str) -> None:
        last = self._read.get(shard)
        where = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": last}
        if last is None:
            where = {"ShardIteratorType": "TRIM_HORIZON"}
        iterator = client.get_shard_iterator(StreamArn=arn, ShardId=shard, **where)["ShardIterator"]
        while iterator is not None:
            answer = client.get_records(ShardIterator=iterator, Limit=PAGE)
            for record in answer["Records"]:
                self._take(record["dynamodb"])
                self._read[shard] = record["dynamodb"]["SequenceNumber"]
            iterator = answer.get("NextShardIterator")
            if iterator is None:
                self._over.add(shard)
            elif not answer["Records"]:
                return

    def _take(self, change: dict[str, Any]) -> None:
        self.records += 1
        name = identity(change["Keys"])
        before = self._images.pop(name, None)
        demand(before == change.get("OldImage"), lambda: f"the stream misses a change of {name}: {before}, {change}")
        if "NewImage" in change:
            self._images[name] = change["NewImage"]
