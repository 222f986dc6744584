"""Section `partition`: an item collection of a million items beside one of ten thousand, in one table.

Pages of 1 MB and of 10 items, from either end and from the middle, and with a filter that leaves one item in a hundred.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bench import rows
from bench.growth.loading import Loader
from bench.growth.measuring import Request, Target, in_turns
from bench.growth.memory import Memory
from bench.growth.options import Options
from bench.growth.service import into_memory, make_table, serving
from bench.rows import BATCH_ITEMS
from bench.signing import Body

MB = 1_000_000
TABLE = "collections"
SIZES = {"small": 10_000, "big": 1_000_000}
"""Items in a collection, by its partition key."""
FILTERED = 100
"""One item in so many passes the filter."""
_FEW = 10
_ALL_TAKEN = b'{"UnprocessedItems":{}}'


def _item(partition: str, number: int) -> Body:
    """An item of about 200 bytes."""
    return {
        "pk": {"S": partition},
        "sk": {"S": f"sort-{number:07}"},
        "kind": {"N": str(number % FILTERED)},
        "v": {"S": f"{number:0160}"},
    }


def _batch(partition: str, first: int) -> Body:
    puts = [{"PutRequest": {"Item": _item(partition, number)}} for number in range(first, first + BATCH_ITEMS)]
    return {"RequestItems": {TABLE: puts}}


def _query(partition: str, where: str, **parameters: object) -> Body:
    """A Query of a page that begins at an end or in the middle."""
    start = {name: _item(partition, SIZES[partition] // 2)[name] for name in ("pk", "sk")}
    values = {":pk": {"S": partition}}
    if "FilterExpression" in parameters:
        values[":kind"] = {"N": "0"}
    return {
        "TableName": TABLE,
        "KeyConditionExpression": "pk = :pk",
        "ExpressionAttributeValues": values,
        "ScanIndexForward": where != "from the end",
        **({"ExclusiveStartKey": start} if where == "from the middle" else {}),
        **parameters,
    }


_PAGES: dict[str, dict[str, object]] = {
    "10 items": {"Limit": _FEW},
    "1 MB": {},
    "1 MB, one in 100 passes the filter": {"FilterExpression": "kind = :kind"},
}
_PLACES = ("from the beginning", "from the end", "from the middle")


def report(options: Options) -> Iterator[str]:
    """The section."""
    folder = options.folder / "partition"
    with serving(folder, verify=False) as server:
        client = server.client()
        if TABLE not in client.call("ListTables", {})["TableNames"]:
            make_table(client, {**rows.CREATE_TABLE, "TableName": TABLE})
            for partition, size in SIZES.items():
                batches = (_batch(partition, first) for first in range(0, size, BATCH_ITEMS))
                Loader(server.signer).send(batches, lambda answer: answer == _ALL_TAKEN)
    if options.load_only:
        return
    yield "| page | where | connections | p50 ms, 10 thousand items | 1 million items | ratio | p99 ms, 1 million |"
    yield "|---|---|---|---|---|---|---|"
    into_memory(folder)
    with serving(folder) as server:
        for page, parameters in _PAGES.items():
            for where in _PLACES:
                targets = {}
                for partition in SIZES:
                    body = _query(partition, where, **parameters)
                    request = Request("Query", partial(iter, [body]), lambda answer: answer["Count"] > 0, 1)
                    targets[partition] = Target.prepare(server, request, options.folder / f"partition {partition}")
                for connections in options.connections:
                    runs = in_turns(targets, connections, options.seconds, options.rounds)
                    small, big = runs["small"], runs["big"]
                    yield (
                        f"| {page} | {where} | {connections} | {small.p50:.3f} | {big.p50:.3f} "
                        f"| {big.p50 / small.p50:.2f} | {big.p99:.2f} |"
                    )
        yield ""
        yield f"Private memory afterwards: {Memory.of(server.processes()).private / MB:.0f} MB."
