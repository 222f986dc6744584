"""Section `indexes`: a table with 20 global secondary indexes beside one with none, and an index added to a full table.

Every item is in every index, projected in full: the most that a write can cost.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from random import Random

from bench import rows
from bench.growth import beside
from bench.growth.beside import Others
from bench.growth.loading import Loader
from bench.growth.measuring import Request, Target, in_turns
from bench.growth.options import Options
from bench.growth.service import into_memory, make_table, serving
from bench.process import Running
from bench.rows import BATCH_ITEMS
from bench.signing import Body, Client

INDEXES = 20
ITEMS = 20_000
"""In each of the two tables."""
FULL = 200_000
"""In the table that an index is added to."""
_SEED = 20
_POLL_SECONDS = 0.1
_TABLES = {"no index": "indexed-00", f"{INDEXES} indexes": f"indexed-{INDEXES}"}
_FULL_TABLE = "full"
_ALL_TAKEN = b'{"UnprocessedItems":{}}'


def _item(number: int, version: int = 0) -> Body:
    """An item that is in 20 indexes; a version changes its place in each."""
    random = Random(number * len(rows.VERSIONS) + version)
    return {**rows.key(number), **{f"g{i}": {"S": f"{random.getrandbits(32):08x}"} for i in range(INDEXES)}}


def _index(number: int) -> Body:
    return {
        "IndexName": f"index-{number}",
        "KeySchema": [{"AttributeName": f"g{number}", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    }


def _create(name: str, indexes: int) -> Body:
    attributes = [{"AttributeName": f"g{number}", "AttributeType": "S"} for number in range(indexes)]
    request = {
        **rows.CREATE_TABLE,
        "TableName": name,
        "AttributeDefinitions": rows.CREATE_TABLE["AttributeDefinitions"] + attributes,
    }
    return request | ({"GlobalSecondaryIndexes": [_index(number) for number in range(indexes)]} if indexes else {})


def _batch(table: str, first: int) -> Body:
    puts = [{"PutRequest": {"Item": _item(number)}} for number in range(first, first + BATCH_ITEMS)]
    return {"RequestItems": {table: puts}}


def _puts(table: str) -> Iterator[Body]:
    numbers = Random(_SEED).sample(range(ITEMS), rows.LARGE_REQUESTS // 2)
    for version in rows.VERSIONS:
        for number in numbers:
            yield {"TableName": table, "Item": _item(number, version)}


def _updates(table: str) -> Iterator[Body]:
    """Of an attribute that no index has as its key: the entries stay where they are and change."""
    random = Random(_SEED)
    while True:
        yield {
            "TableName": table,
            "Key": rows.key(random.randrange(ITEMS)),
            "UpdateExpression": "ADD updates :one",
            "ExpressionAttributeValues": {":one": {"N": "1"}},
        }


def _moves(table: str) -> Iterator[Body]:
    """Of an attribute that one index has as its key: one entry moves, 19 change."""
    random = Random(_SEED)
    while True:
        yield {
            "TableName": table,
            "Key": rows.key(random.randrange(ITEMS)),
            "UpdateExpression": "SET g0 = :new",
            "ExpressionAttributeValues": {":new": {"S": f"{random.getrandbits(32):08x}"}},
        }


def _puts_and_deletes(table: str) -> Iterator[Body]:
    """In turns, so that there is always something to delete: half of the answers are to either."""
    for number in Random(_SEED).sample(range(ITEMS), rows.LARGE_REQUESTS // 2):
        for element in ({"DeleteRequest": {"Key": rows.key(number)}}, {"PutRequest": {"Item": _item(number)}}):
            yield {"RequestItems": {table: [element]}}


_ROWS = {
    "PutItem, all entries move": ("PutItem", _puts),
    "UpdateItem, all entries change": ("UpdateItem", _updates),
    "UpdateItem, one entry moves too": ("UpdateItem", _moves),
    "DeleteItem and PutItem in turns": ("BatchWriteItem", _puts_and_deletes),
}


def report(options: Options) -> Iterator[str]:
    """The section."""
    folder = options.folder / "indexes"
    with serving(folder, verify=False) as server:
        client = server.client()
        known = client.call("ListTables", {})["TableNames"]
        if beside.TABLE not in known:
            beside.fill(server)
        for table, indexes, items in (
            (_TABLES["no index"], 0, ITEMS),
            (_TABLES[f"{INDEXES} indexes"], INDEXES, ITEMS),
            (_FULL_TABLE, 0, FULL),
        ):
            if table not in known:
                make_table(client, _create(table, indexes))
                begun = time.perf_counter()
                batches = (_batch(table, first) for first in range(0, items, BATCH_ITEMS))
                Loader(server.signer).send(batches, lambda answer: answer == _ALL_TAKEN)
                options.say(f"{items:,} items into {table}: {time.perf_counter() - begun:.1f} s")
    if options.load_only:
        return
    yield "| row | connections | indexes | answers/s | p50 ms | p99 ms | answers/s ÷ without |"
    yield "|---|---|---|---|---|---|---|"
    into_memory(folder)
    with serving(folder) as server:
        for row, (operation, bodies) in _ROWS.items():
            targets = {
                name: Target.prepare(
                    server,
                    Request(operation, partial(bodies, table), _is_right, rows.LARGE_REQUESTS),
                    options.folder / f"indexes {name}",
                )
                for name, table in _TABLES.items()
            }
            for connections in options.connections:
                runs = in_turns(targets, connections, options.seconds, options.rounds)
                for name, run in runs.items():
                    yield (
                        f"| {row} | {connections} | {name} | {run.per_second:,.0f} | {run.p50:.3f} | {run.p99:.2f} "
                        f"| {run.per_second / runs['no index'].per_second:.2f} |"
                    )
        yield ""
        yield from _adding(server, options)


def _is_right(answer: Body) -> bool:
    return not answer or answer == {"UnprocessedItems": {}}


def _adding(server: Running, options: Options) -> Iterator[str]:
    """Add an index to a full table, while another table is read and written."""
    client = server.client()
    others = Others.prepare(server, options)
    number = len(_indexes(client))
    begun = ended = 0.0

    def add() -> None:
        nonlocal begun
        attributes = [{"AttributeName": f"g{number}", "AttributeType": "S"}]
        creation = [{"Create": _index(number)}]
        begun = time.perf_counter()
        client.call(
            "UpdateTable",
            {"TableName": _FULL_TABLE, "AttributeDefinitions": attributes, "GlobalSecondaryIndexUpdates": creation},
        )

    def goes_on() -> bool:
        nonlocal ended
        ended = time.perf_counter()
        return any(index["IndexStatus"] != "ACTIVE" for index in _indexes(client))

    yield from others.compare(add, goes_on)
    yield ""
    while goes_on():
        time.sleep(_POLL_SECONDS)
    yield f"Adding an index to {FULL:,} items, the first part meanwhile: {ended - begun:.1f} s."


def _indexes(client: Client) -> list[Body]:
    found: list[Body] = client.call("DescribeTable", {"TableName": _FULL_TABLE})["Table"].get(
        "GlobalSecondaryIndexes", []
    )
    return found
