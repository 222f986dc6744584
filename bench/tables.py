"""The tables that the servers hold while they are measured, and the items in them.

A table is a declaration; its items follow from their numbers, so every server holds the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.signing import Body
from jedlik.dynamodb.model.values import item_size

SMALL_BYTES = 200
"""The size of an item where a row does not name another; sizes are as DynamoDB counts them."""
LARGE_TABLE_BYTES = 20_000_000
"""The most bytes that a table of larger items holds: it has fewer items, so that it is soon loaded."""
BATCH_ITEMS = 25
"""The most that a BatchWriteItem takes."""
INDEX_GROUPS = 1_000
"""Different partition keys in an index."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a partition key and a sort key."""

    name: str
    items: int = 20_000
    """A multiple of BATCH_ITEMS."""
    item_bytes: int = SMALL_BYTES
    partition_items: int = 10
    """Items under one partition key."""
    indexes: int = 0
    """Global secondary indexes, each with every attribute of every item."""
    stream: bool = False
    """Whether it has a stream, with new and old images."""

    def creation(self) -> Body:
        """The CreateTable request."""
        keyed = ["pk", "sk", *self._index_keys()]
        creation: Body = {
            "TableName": self.name,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in keyed],
            "KeySchema": _key_schema("pk"),
        }
        if self.indexes:
            creation["GlobalSecondaryIndexes"] = [
                {"IndexName": f"by-{name}", "KeySchema": _key_schema(name), "Projection": {"ProjectionType": "ALL"}}
                for name in self._index_keys()
            ]
        if self.stream:
            creation["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
        return creation

    def _index_keys(self) -> list[str]:
        return [index_key(number) for number in range(self.indexes)]

    def key(self, number: int) -> Body:
        """The key of one of the items."""
        partition, place = divmod(number, self.partition_items)
        digits = len(str(self.partition_items))
        return {"pk": {"S": f"partition-{partition:06}"}, "sk": {"S": f"sort-{place:0{digits}}"}}

    def item(self, number: int, version: int = 0) -> Body:
        """One of the items, padded to the table's item size."""
        group = {name: {"S": f"{number % INDEX_GROUPS:03}"} for name in self._index_keys()}
        item = {**self.key(number), **group, "count": {"N": "1"}}
        filling = self.item_bytes - item_size(item) - len("v") - len(str(version))
        return {**item, "v": {"S": f"{version}{number:0{filling}}"}}

    def batch(self, first: int, version: int = 0) -> Body:
        """A BatchWriteItem request that puts BATCH_ITEMS items, from `first` on."""
        puts = [{"PutRequest": {"Item": self.item(number, version)}} for number in range(first, first + BATCH_ITEMS)]
        return {"RequestItems": {self.name: puts}}

    def batches(self) -> Iterator[Body]:
        """What fills it."""
        return (self.batch(first) for first in range(0, self.items, BATCH_ITEMS))


def index_key(number: int) -> str:
    """The attribute that is the partition key of a table's index of that number."""
    return f"group{number}"


def table_of(item_bytes: int) -> Table:
    """The table of items of that size."""
    batches = min(MAIN.items, max(BATCH_ITEMS, LARGE_TABLE_BYTES // item_bytes)) // BATCH_ITEMS
    return Table(f"bench-{item_bytes}", items=batches * BATCH_ITEMS, item_bytes=item_bytes)


def _key_schema(partition: str) -> list[Body]:
    return [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]


MAIN = Table("bench", items=100_000)
WIDE = Table("bench-wide", partition_items=100)
INDEXED = Table("bench-indexed", indexes=2)
STREAMED = Table("bench-stream", items=5_000, stream=True)
"""A smaller table: each record in the stream makes filling it slower for one of the servers."""
RECORDED = Table("bench-records", items=8_000, stream=True)
"""Written once: each of its four shards has enough records for a full GetRecords."""
