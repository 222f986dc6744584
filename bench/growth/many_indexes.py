"""Section `indexes`: a table with 20 global secondary indexes beside one with none, and an index added to a full table.

Every item is in every index, projected in full: the most that a write can cost.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from operator import attrgetter
from random import Random

from bench.growth import beside, turns
from bench.growth.beside import Others
from bench.growth.loading import fill
from bench.growth.options import Options
from bench.growth.service import into_memory, serving
from bench.measuring import Prepared
from bench.process import Running
from bench.rows import LARGE_REQUESTS, VERSIONS, Call, Row, row_of
from bench.signing import Body, Client
from bench.tables import Table, index_key

INDEXES = 20
_POLL_SECONDS = 0.1


class _Grouped(Table):
    """A table whose items have the keys of 20 indexes, whether or not it has the indexes; a version changes all of the
    keys."""

    __slots__ = ()

    def item(self, number: int, version: int = 0) -> Body:
        random = Random(number * (1 + len(VERSIONS)) + version)
        groups = {index_key(index): {"S": _group(random)} for index in range(INDEXES)}
        return {**self.key(number), "count": {"N": "1"}, **groups}


def _group(random: Random) -> str:
    return f"{random.getrandbits(32):08x}"


_TABLES = {"no index": _Grouped("indexed-00"), f"{INDEXES} indexes": _Grouped(f"indexed-{INDEXES}", indexes=INDEXES)}
_FULL = _Grouped("full", items=200_000)
"""The table that an index is added to."""


def _moves(table: Table, _: Call, random: Random) -> Iterator[Body]:
    """Updates of an attribute that one index has as its key."""
    while True:
        yield {
            "TableName": table.name,
            "Key": table.key(random.randrange(table.items)),
            "UpdateExpression": f"SET {index_key(0)} = :new",
            "ExpressionAttributeValues": {":new": {"S": _group(random)}},
        }


def _deletes_and_puts(table: Table, _: Call, random: Random) -> Iterator[Body]:
    """In turns, so that there is always something to delete: half of the requests are of either kind."""
    for number in random.sample(range(table.items), LARGE_REQUESTS // 2):
        yield {"RequestItems": {table.name: [{"DeleteRequest": {"Key": table.key(number)}}]}}
        yield {"RequestItems": {table.name: [{"PutRequest": {"Item": table.item(number)}}]}}


def _rows(table: Table) -> tuple[Row, ...]:
    put, batch = row_of("PutItem", table), row_of("BatchWriteItem of 25", table)
    update = row_of("UpdateItem with two indexes", table)
    return (
        replace(put, name="PutItem, all entries move"),
        replace(update, name="UpdateItem, all entries change"),
        replace(update, name="UpdateItem, one entry moves too", bodies=_moves),
        replace(batch, name="DeleteItem and PutItem in turns", bodies=_deletes_and_puts),
    )


def report(options: Options) -> Iterator[str]:
    """The section."""
    folder = options.folder / "indexes"
    with serving(folder, verify=False) as server:
        for table in (beside.TABLE, *_TABLES.values(), _FULL):
            fill(server, table)
    if options.load_only:
        return
    yield from turns.table("indexes", "answers/s ÷ without")
    into_memory(folder)
    with serving(folder) as server:
        for rows in zip(*map(_rows, _TABLES.values()), strict=True):
            targets = {name: Prepared(row, server, server) for name, row in zip(_TABLES, rows, strict=True)}
            yield from turns.lines(rows[0].name, targets, options.shape, attrgetter("per_second"))
        yield ""
        yield from _adding(server, options)


def _adding(server: Running, options: Options) -> Iterator[str]:
    """Add an index to a full table, while another table is read and written."""
    client = server.client()
    wanted = replace(_FULL, indexes=len(_indexes(client)) + 1).creation()
    begun = ended = 0.0

    def add() -> None:
        nonlocal begun
        begun = time.perf_counter()
        client.call(
            "UpdateTable",
            {
                "TableName": _FULL.name,
                "AttributeDefinitions": wanted["AttributeDefinitions"],
                "GlobalSecondaryIndexUpdates": [{"Create": wanted["GlobalSecondaryIndexes"][-1]}],
            },
        )

    def goes_on() -> bool:
        nonlocal ended
        ended = time.perf_counter()
        return any(index["IndexStatus"] != "ACTIVE" for index in _indexes(client))

    yield from Others(server, options.shape).compare(add, goes_on)
    yield ""
    while goes_on():
        time.sleep(_POLL_SECONDS)
    yield f"Adding an index to {_FULL.items:,} items, the first part meanwhile: {ended - begun:.1f} s."


def _indexes(client: Client) -> list[Body]:
    found: list[Body] = client.call("DescribeTable", {"TableName": _FULL.name})["Table"].get(
        "GlobalSecondaryIndexes", []
    )
    return found
