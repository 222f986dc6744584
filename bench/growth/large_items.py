"""Section `large`: 1,000 items of 400 KB, the largest possible.

Rates are in megabytes of items a second; a page of a Query ends with the item that brings it to 1 MB.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

from bench.growth.options import Options
from bench.growth.service import STORE, serving
from bench.growth.turns import in_turns
from bench.measuring import Prepared, make
from bench.memory import MB
from bench.rows import VERSIONS, row_of
from bench.tables import Table
from jedlik.dynamodb.model.limits import ITEM_SIZE

TABLE = Table("large", items=1_000, item_bytes=ITEM_SIZE)
REQUESTS = 100
"""Different requests of a row: 40 MB in a file, if each has an item."""
PAGE_ITEMS = 3
"""Items in a page: the one that reaches 1 MB is the last."""

_ROWS = (
    (replace(row_of("GetItem", TABLE), requests=REQUESTS), 1),
    (
        replace(
            row_of("Query of 10", TABLE),
            name="Query, a page of 1 MB",
            right=lambda answer: answer["Count"] == PAGE_ITEMS,
            requests=REQUESTS,
        ),
        PAGE_ITEMS,
    ),
    (row_of("PutItem", replace(TABLE, items=REQUESTS // len(VERSIONS))), 1),
)
"""Each with the number of items that it concerns."""


def report(options: Options) -> Iterator[str]:
    """The section."""
    folder = options.folder / "large"
    with serving(folder) as server:
        client = server.client()
        if not client.call("ListTables", {})["TableNames"]:
            make(client, TABLE)
        for number in range(TABLE.items):
            client.call("PutItem", {"TableName": TABLE.name, "Item": TABLE.item(number)})
        if options.load_only:
            return
        yield "| row | connections | answers/s | MB/s | p50 ms | p99 ms | private memory, MB |"
        yield "|---|---|---|---|---|---|---|"
        for row, items in _ROWS:
            target = Prepared(row, server, server)
            for connections in options.shape.connections:
                run = in_turns({row.name: target}, connections, options.shape)[row.name]
                speed = run.per_second * items * ITEM_SIZE / MB
                yield (
                    f"| {row.name} | {connections} | {run.per_second:,.0f} | {speed:,.0f} "
                    f"| {run.p50:.2f} | {run.p99:.2f} | {server.memory().private / MB:.0f} |"
                )
    size = (folder / STORE).stat().st_size
    yield ""
    yield (
        f"{TABLE.items:,} items of {ITEM_SIZE / 1024:.0f} KB are a file of {size / MB:,.0f} MB: "
        f"{size / TABLE.items / len(json.dumps(TABLE.item(0))):.2f} times their JSON."
    )
