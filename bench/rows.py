"""What is asked of the servers: the table, its items, and the rows of the report.

A row is an operation and a generator of its request bodies. A generator may first ask the server for something (make
a table, get an iterator). All choices come from a seed, so every server gets the same requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from bench.signing import Body

Call = Callable[[str, Body], Body]
"""Asks the server that is being measured: operation and body to answer."""

TABLE = "bench"
ITEMS = 100_000
PARTITION_ITEMS = 10
"""Items under one partition key."""
BATCH_ITEMS = 25
REQUESTS = 10_000
"""Different requests that are prepared for a row."""
LARGE_REQUESTS = 2_000
"""The same, of rows with large requests."""
VERSIONS = (1, 2)
"""A put writes one and, the next time its item comes, the other: every put is a change."""

STREAM_TABLE = "bench-stream"
RECORDS_TABLE = "bench-records"
RECORDS = 1_000
"""The most that GetRecords answers."""
RECORDS_WRITTEN = 4 * RECORDS + 1_000
"""Enough that one shard of four has 1,000."""

TRANSACTIONS = "transactions"
STREAMS = "streams"
"""What not every server offers: see `Row.needs`."""

CREATE_TABLE: Body = {
    "TableName": TABLE,
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "S"},
    ],
    "KeySchema": [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
}


def key(number: int) -> Body:
    """The key of one of the items."""
    partition, place = divmod(number, PARTITION_ITEMS)
    return {"pk": {"S": f"partition-{partition:06}"}, "sk": {"S": f"sort-{place}"}}


def item(number: int, version: int = 0) -> Body:
    """One of the items: 200 bytes as DynamoDB counts them."""
    return {**key(number), "count": {"N": "1"}, "v": {"S": f"{version}{number:0165}"}}


def batch(first: int, version: int = 0, table: str = TABLE) -> Body:
    """A BatchWriteItem's request that puts 25 items, from the first on."""
    puts = [{"PutRequest": {"Item": item(number, version)}} for number in range(first, first + BATCH_ITEMS)]
    return {"RequestItems": {table: puts}}


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the report."""

    name: str
    operation: str
    bodies: Callable[[Call, Random], Iterator[Body]]
    """Request bodies, at least `requests`."""
    right: Callable[[Body], bool]
    """Whether an answer is what was asked for: a server that answers something else is not measured."""
    requests: int = REQUESTS
    """How many bodies are taken; they are sent over and over."""
    needs: frozenset[str] = frozenset()
    """What a server must offer to be asked at all; the names are those in `Peer.offers`."""


def _get(_: Call, random: Random) -> Iterator[Body]:
    while True:
        yield {"TableName": TABLE, "Key": key(random.randrange(ITEMS))}


def _query(_: Call, random: Random) -> Iterator[Body]:
    while True:
        yield {
            "TableName": TABLE,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": key(random.randrange(ITEMS))["pk"]},
        }


def _put(_: Call, random: Random) -> Iterator[Body]:
    numbers = random.sample(range(ITEMS), REQUESTS // 2)
    for version in VERSIONS:
        for number in numbers:
            yield {"TableName": TABLE, "Item": item(number, version)}


def _update(_: Call, random: Random) -> Iterator[Body]:
    while True:
        yield {
            "TableName": TABLE,
            "Key": key(random.randrange(ITEMS)),
            "UpdateExpression": "SET #count = #count + :one",
            "ConditionExpression": "attribute_exists(pk) AND #count > :zero",
            "ExpressionAttributeNames": {"#count": "count"},
            "ExpressionAttributeValues": {":one": {"N": "1"}, ":zero": {"N": "0"}},
        }


def _batch_write(_: Call, random: Random) -> Iterator[Body]:
    batches = random.sample(range(ITEMS // BATCH_ITEMS), LARGE_REQUESTS // 2)
    for version in VERSIONS:
        for number in batches:
            yield batch(number * BATCH_ITEMS, version)


def _transact_write(operations: int) -> Callable[[Call, Random], Iterator[Body]]:
    """Bodies of transactions that count items up."""

    def bodies(_: Call, random: Random) -> Iterator[Body]:
        while True:
            yield {
                "TransactItems": [
                    {
                        "Update": {
                            "TableName": TABLE,
                            "Key": key(number),
                            "UpdateExpression": "SET #count = #count + :one",
                            "ExpressionAttributeNames": {"#count": "count"},
                            "ExpressionAttributeValues": {":one": {"N": "1"}},
                        }
                    }
                    for number in random.sample(range(ITEMS), operations)
                ]
            }

    return bodies


def _put_with_stream(call: Call, random: Random) -> Iterator[Body]:
    """The same puts as without a stream, into a table as full."""
    _make_stream(call, STREAM_TABLE)
    for first in range(0, ITEMS, BATCH_ITEMS):
        call("BatchWriteItem", batch(first, table=STREAM_TABLE))
    for body in _put(call, random):
        yield {**body, "TableName": STREAM_TABLE}


def _get_records(call: Call, _: Random) -> Iterator[Body]:
    """The first 1,000 records of a shard, again and again."""
    stream = _make_stream(call, RECORDS_TABLE)
    for number in range(RECORDS_WRITTEN):
        call("PutItem", {"TableName": RECORDS_TABLE, "Item": item(number)})
    shards = call("DescribeStream", {"StreamArn": stream})["StreamDescription"]["Shards"]
    shard = {"StreamArn": stream, "ShardId": shards[0]["ShardId"]}
    while True:
        start = call("GetShardIterator", {**shard, "ShardIteratorType": "TRIM_HORIZON"})
        yield {"ShardIterator": start["ShardIterator"]}


def _make_stream(call: Call, table: str) -> str:
    """Make a table with a stream, unless it is there, and return the stream's ARN."""
    if table not in call("ListTables", {})["TableNames"]:
        stream = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
        call("CreateTable", {**CREATE_TABLE, "TableName": table, "StreamSpecification": stream})
    arn = call("DescribeTable", {"TableName": table})["Table"]["LatestStreamArn"]
    assert isinstance(arn, str)
    return arn


def _is_empty(answer: Body) -> bool:
    return not answer


ROWS = (
    Row("GetItem", "GetItem", _get, lambda answer: answer["Item"].keys() == item(0).keys()),
    Row("Query of 10", "Query", _query, lambda answer: answer["Count"] == len(answer["Items"]) == PARTITION_ITEMS),
    Row("PutItem", "PutItem", _put, _is_empty),
    Row("UpdateItem with a condition", "UpdateItem", _update, _is_empty),
    Row(
        "BatchWriteItem of 25",
        "BatchWriteItem",
        _batch_write,
        lambda answer: answer == {"UnprocessedItems": {}},
        requests=LARGE_REQUESTS,
    ),
    Row(
        "TransactWriteItems of 2",
        "TransactWriteItems",
        _transact_write(2),
        _is_empty,
        needs=frozenset({TRANSACTIONS}),
    ),
    Row(
        "TransactWriteItems of 25",
        "TransactWriteItems",
        _transact_write(25),
        _is_empty,
        requests=LARGE_REQUESTS,
        needs=frozenset({TRANSACTIONS}),
    ),
    Row("PutItem with a stream", "PutItem", _put_with_stream, _is_empty, needs=frozenset({STREAMS})),
    Row(
        "GetRecords of 1,000",
        "GetRecords",
        _get_records,
        lambda answer: len(answer["Records"]) == RECORDS,
        requests=1,
        needs=frozenset({STREAMS}),
    ),
)
