"""Section `partition`: an item collection of a million items beside one of ten thousand, in one table.

Pages of 1 MB and of 10 items, from either end and from the middle, and with a filter that leaves one item in a hundred.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import repeat

from bench.growth.loading import fill
from bench.growth.options import Options
from bench.growth.service import into_memory, serving
from bench.growth.turns import in_turns
from bench.measuring import Prepared
from bench.memory import MB
from bench.process import Running
from bench.rows import row_of
from bench.signing import Body
from bench.tables import Table

BIG = 1_000_000
"""Items under the first partition key."""
SMALL = 10_000
"""Items under the second: the rest."""
FILTERED = 100
"""One item in this many passes the filter."""


class _Kinds(Table):
    """A table whose items have an attribute to filter by."""

    __slots__ = ()

    def item(self, number: int, version: int = 0) -> Body:
        return {**super().item(number, version), "kind": {"N": str(number % FILTERED)}}


TABLE = _Kinds("collections", items=BIG + SMALL, partition_items=BIG)
_COLLECTIONS = {"small": range(BIG, BIG + SMALL), "big": range(BIG)}
_PAGES: dict[str, Body] = {
    "10 items": {"Limit": 10},
    "1 MB": {},
    "1 MB, one in 100 passes the filter": {"FilterExpression": "kind = :kind"},
}
_PLACES = ("from the beginning", "from the end", "from the middle")


def _query(numbers: range, where: str, page: Body) -> Body:
    """A Query of a page that begins at an end or in the middle."""
    middle = TABLE.key(numbers[len(numbers) // 2])
    values = {":pk": middle["pk"], **({":kind": {"N": "0"}} if "FilterExpression" in page else {})}
    return {
        "TableName": TABLE.name,
        "KeyConditionExpression": "pk = :pk",
        "ExpressionAttributeValues": values,
        "ScanIndexForward": where != "from the end",
        **({"ExclusiveStartKey": middle} if where == "from the middle" else {}),
        **page,
    }


def _target(server: Running, name: str, body: Body) -> Prepared:
    """One Query, again and again."""
    query = row_of("Query of 10", TABLE)
    return Prepared(
        replace(query, name=name, bodies=lambda *_: repeat(body), right=lambda answer: answer["Count"] > 0, requests=1),
        server,
        server,
    )


def report(options: Options) -> Iterator[str]:
    """The section."""
    folder = options.folder / "partition"
    with serving(folder, verify=False) as server:
        fill(server, TABLE)
    if options.load_only:
        return
    yield "| page | where | connections | p50 ms, 10 thousand items | 1 million items | ratio | p99 ms, 1 million |"
    yield "|---|---|---|---|---|---|---|"
    into_memory(folder)
    with serving(folder) as server:
        for page, parameters in _PAGES.items():
            for where in _PLACES:
                targets = {
                    name: _target(server, name, _query(numbers, where, parameters))
                    for name, numbers in _COLLECTIONS.items()
                }
                yield from _lines(f"{page} | {where}", targets, options)
        yield ""
        yield f"Private memory afterwards: {server.memory().private / MB:.0f} MB."


def _lines(page: str, targets: Mapping[str, Prepared], options: Options) -> Iterator[str]:
    for connections in options.shape.connections:
        runs = in_turns(targets, connections, options.shape)
        small, big = runs["small"], runs["big"]
        yield (
            f"| {page} | {connections} | {small.p50:.3f} | {big.p50:.3f} | {big.p50 / small.p50:.2f} | {big.p99:.2f} |"
        )
