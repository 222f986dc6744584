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


def batch(first: int, version: int = 0) -> Body:
    """A BatchWriteItem's request that puts 25 items, from the first on."""
    puts = [{"PutRequest": {"Item": item(number, version)}} for number in range(first, first + BATCH_ITEMS)]
    return {"RequestItems": {TABLE: puts}}


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
)
