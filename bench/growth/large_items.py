"""Section `large`: 1,000 items of 400 KB, the largest there are, beside as many of 200 bytes.

Rates are in megabytes a second of items; a Query's page ends with the item that brings it to 1 MB.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import cycle
from random import Random

from bench import rows
from bench.growth.measuring import Request, Target, in_turns
from bench.growth.memory import Memory
from bench.growth.options import Options
from bench.growth.service import STORE, make_table, serving
from bench.signing import Body
from jedlik.model.limits import ITEM_SIZE

MB = 1_000_000
ITEMS = 1_000
REQUESTS = 100
"""Different requests of a row: a file of 40 MB where each has an item."""
PAGE_ITEMS = 3
"""Items in a page: the one that reaches 1 MB is the last."""


def _item(number: int, version: int = 0) -> Body:
    """An item of exactly 400 KB."""
    item = {**rows.key(number), "v": {"S": ""}}
    used = sum(len(name) + len(value["S"]) for name, value in item.items())
    return {**item, "v": {"S": str(version) * (ITEM_SIZE - used)}}


def _get() -> Iterator[Body]:
    random = Random(ITEMS)
    while True:
        yield {"TableName": rows.TABLE, "Key": rows.key(random.randrange(ITEMS))}


def _put() -> Iterator[Body]:
    numbers = Random(ITEMS).sample(range(ITEMS), REQUESTS // 2)
    for version in rows.VERSIONS:
        for number in numbers:
            yield {"TableName": rows.TABLE, "Item": _item(number, version)}


def _page() -> Iterator[Body]:
    for number in cycle(range(0, ITEMS, rows.PARTITION_ITEMS)):
        yield {
            "TableName": rows.TABLE,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": rows.key(number)["pk"]},
        }


_ROWS = {
    "GetItem": (Request("GetItem", _get, lambda answer: "Item" in answer, REQUESTS), 1),
    "Query, a page of 1 MB": (
        Request("Query", _page, lambda answer: answer["Count"] == PAGE_ITEMS, REQUESTS),
        PAGE_ITEMS,
    ),
    "PutItem": (Request("PutItem", _put, lambda answer: not answer, REQUESTS), 1),
}
"""By name: the request, and how many items it is about."""


def report(options: Options) -> Iterator[str]:
    """The section."""
    folder = options.folder / "large"
    with serving(folder) as server:
        client = server.client()
        if not client.call("ListTables", {})["TableNames"]:
            make_table(client, rows.CREATE_TABLE)
        for number in range(ITEMS):
            client.call("PutItem", {"TableName": rows.TABLE, "Item": _item(number)})
        yield "| row | connections | answers/s | MB/s | p50 ms | p99 ms | private memory, MB |"
        yield "|---|---|---|---|---|---|---|"
        for name, (request, items) in _ROWS.items():
            target = Target.prepare(server, request, options.folder / "large requests")
            for connections in options.connections:
                run = in_turns({name: target}, connections, options.seconds, options.rounds)[name]
                speed = run.per_second * items * ITEM_SIZE / MB
                private = Memory.of(server.processes()).private
                yield (
                    f"| {name} | {connections} | {run.per_second:,.0f} | {speed:,.0f} "
                    f"| {run.p50:.2f} | {run.p99:.2f} | {private / MB:.0f} |"
                )
    size = (folder / STORE).stat().st_size
    yield ""
    yield (
        f"{ITEMS:,} items of {ITEM_SIZE / 1024:.0f} KB are a file of {size / MB:,.0f} MB: "
        f"{size / ITEMS / len(json.dumps(_item(0))):.2f} times their JSON."
    )
