"""The rows of the report: what the servers are asked.

A row is an operation on a table and a generator of its request bodies. A generator may first ask the server for
something (the pages of a Scan, an iterator). All choices come from a seed, so every server gets the same requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

from bench.signing import Body
from bench.tables import BATCH_ITEMS, INDEXED, MAIN, RECORDED, STREAMED, WIDE, Table, table_of

Call = Callable[[str, Body], Body]
"""Asks the measured server: operation and body to answer."""
Bodies = Callable[[Table, Call, Random], Iterator[Body]]
"""Request bodies, at least as many as the row takes."""

REQUESTS = 10_000
"""Different requests that are prepared for a row."""
LARGE_REQUESTS = 1_000
"""The same for rows with large requests."""
SCAN_PAGES = 12
GET_ITEMS = 100
"""The most that a BatchGetItem takes."""
RECORDS = 1_000
"""The most that GetRecords answers."""
VERSIONS = (1, 2)
"""A put writes one of these, and the other when its item comes again: every put is a change."""
SIZES = (4_096, 102_400)
"""The larger items for GetItem and PutItem, in bytes, unless the command line names others."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the report."""

    name: str
    operation: str
    bodies: Bodies
    right: Callable[[Body], bool]
    """Whether an answer is right: a server that answers anything else is not measured."""
    table: Table = MAIN
    requests: int = REQUESTS
    """The most bodies that are taken; they are sent in a loop."""
    unit: str = "/s"
    amount: Callable[[Body], float] = lambda _: 1.0
    """The amount of the unit in one answer."""


def _get(table: Table, _: Call, random: Random) -> Iterator[Body]:
    while True:
        yield {"TableName": table.name, "Key": table.key(random.randrange(table.items))}


def _query(table: Table, _: Call, random: Random) -> Iterator[Body]:
    while True:
        yield {
            "TableName": table.name,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": table.key(random.randrange(table.items))["pk"]},
        }


def _scan(table: Table, call: Call, _: Random) -> Iterator[Body]:
    """The full pages of a table, again and again."""
    start: Body = {}
    while True:
        body = {"TableName": table.name, **start}
        answer = call("Scan", body)
        if not start or "LastEvaluatedKey" in answer:
            yield body
        start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]} if "LastEvaluatedKey" in answer else {}


def _batch_get(table: Table, _: Call, random: Random) -> Iterator[Body]:
    while True:
        keys = [table.key(number) for number in random.sample(range(table.items), GET_ITEMS)]
        yield {"RequestItems": {table.name: {"Keys": keys}}}


def _select(table: Table, _: Call, random: Random) -> Iterator[Body]:
    while True:
        key = table.key(random.randrange(table.items))
        yield {
            "Statement": f'SELECT * FROM "{table.name}" WHERE pk = ? AND sk = ?',
            "Parameters": [key["pk"], key["sk"]],
        }


def _put(table: Table, _: Call, random: Random) -> Iterator[Body]:
    numbers = random.sample(range(table.items), min(REQUESTS // len(VERSIONS), table.items))
    for version in VERSIONS:
        for number in numbers:
            yield {"TableName": table.name, "Item": table.item(number, version)}


def _count_up(table: Table, number: int) -> Body:
    """The parameters that increment an item, for UpdateItem and for a transaction's Update."""
    return {
        "TableName": table.name,
        "Key": table.key(number),
        "UpdateExpression": "SET #count = #count + :one",
        "ExpressionAttributeNames": {"#count": "count"},
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }


def _update(table: Table, _: Call, random: Random) -> Iterator[Body]:
    while True:
        yield _count_up(table, random.randrange(table.items))


def _update_with_condition(table: Table, _: Call, random: Random) -> Iterator[Body]:
    while True:
        yield {
            **_count_up(table, random.randrange(table.items)),
            "ConditionExpression": "attribute_exists(pk) AND #count > :zero",
            "ExpressionAttributeValues": {":one": {"N": "1"}, ":zero": {"N": "0"}},
        }


def _update_one_item(table: Table, _: Call, __: Random) -> Iterator[Body]:
    while True:
        yield _count_up(table, 0)


def _batch_write(table: Table, _: Call, random: Random) -> Iterator[Body]:
    batches = random.sample(range(table.items // BATCH_ITEMS), min(LARGE_REQUESTS, table.items // BATCH_ITEMS) // 2)
    for version in VERSIONS:
        for number in batches:
            yield table.batch(number * BATCH_ITEMS, version)


def _transact_write(operations: int) -> Bodies:
    """Bodies of transactions that increment items."""

    def bodies(table: Table, _: Call, random: Random) -> Iterator[Body]:
        while True:
            numbers = random.sample(range(table.items), operations)
            yield {"TransactItems": [{"Update": _count_up(table, number)} for number in numbers]}

    return bodies


def _get_records(table: Table, call: Call, _: Random) -> Iterator[Body]:
    """The first 1,000 records of a shard, again and again."""
    stream = call("DescribeTable", {"TableName": table.name})["Table"]["LatestStreamArn"]
    shards = call("DescribeStream", {"StreamArn": stream})["StreamDescription"]["Shards"]
    shard = {"StreamArn": stream, "ShardId": shards[0]["ShardId"]}
    while True:
        start = call("GetShardIterator", {**shard, "ShardIteratorType": "TRIM_HORIZON"})
        yield {"ShardIterator": start["ShardIterator"]}


def _is_an_item(answer: Body) -> bool:
    return bool(answer["Item"].keys() == MAIN.item(0).keys())


def _is_empty(answer: Body) -> bool:
    return not answer


def _has_items(count: int) -> Callable[[Body], bool]:
    return lambda answer: bool(answer["Count"] == len(answer["Items"]) == count)


def _megabytes(answer: Body) -> float:
    """Items in a page of MAIN."""
    return len(answer["Items"]) * MAIN.item_bytes / 1e6


def rows(sizes: Sequence[int] = SIZES) -> tuple[Row, ...]:
    """All rows, with GetItem and PutItem of items of these sizes, too."""
    tables = [(_name_of(size), table_of(size)) for size in sizes]
    return (
        Row("GetItem", "GetItem", _get, _is_an_item),
        *(Row(f"GetItem of {size}", "GetItem", _get, _is_an_item, table) for size, table in tables),
        Row("BatchGetItem of 100", "BatchGetItem", _batch_get, _has_all_asked_for, requests=LARGE_REQUESTS),
        Row("Query of 10", "Query", _query, _has_items(MAIN.partition_items)),
        Row("Query of 100", "Query", _query, _has_items(WIDE.partition_items), WIDE),
        Row(
            "Scan",
            "Scan",
            _scan,
            lambda answer: answer["Count"] == len(answer["Items"]) > 0,
            requests=SCAN_PAGES,
            unit="MB/s",
            amount=_megabytes,
        ),
        Row("PartiQL SELECT by key", "ExecuteStatement", _select, lambda answer: len(answer["Items"]) == 1),
        Row("PutItem", "PutItem", _put, _is_empty),
        *(Row(f"PutItem of {size}", "PutItem", _put, _is_empty, table) for size, table in tables),
        Row("UpdateItem with a condition", "UpdateItem", _update_with_condition, _is_empty),
        Row("UpdateItem of one item", "UpdateItem", _update_one_item, _is_empty, requests=1),
        Row("PutItem with two indexes", "PutItem", _put, _is_empty, INDEXED),
        Row("UpdateItem with two indexes", "UpdateItem", _update, _is_empty, INDEXED),
        Row("BatchWriteItem of 25", "BatchWriteItem", _batch_write, _all_processed, requests=LARGE_REQUESTS),
        Row("TransactWriteItems of 2", "TransactWriteItems", _transact_write(2), _is_empty),
        Row("TransactWriteItems of 25", "TransactWriteItems", _transact_write(25), _is_empty, requests=LARGE_REQUESTS),
        Row("PutItem with a stream", "PutItem", _put, _is_empty, STREAMED),
        Row("GetRecords of 1,000", "GetRecords", _get_records, _has_records, RECORDED, requests=1),
    )


def row_of(name: str, table: Table) -> Row:
    """One of the rows, on another table."""
    return next(replace(row, table=table) for row in rows() if row.name == name)


def _has_all_asked_for(answer: Body) -> bool:
    return not answer["UnprocessedKeys"] and len(answer["Responses"][MAIN.name]) == GET_ITEMS


def _all_processed(answer: Body) -> bool:
    return answer == {"UnprocessedItems": {}}


def _has_records(answer: Body) -> bool:
    return len(answer["Records"]) == RECORDS


def _name_of(size: int) -> str:
    return f"{size // 1024} KB" if size % 1024 == 0 else f"{size} B"
