"""Section `sizes`: a table of 10 thousand items beside one of 1 million and one of 10 million, of 200 bytes each.

Three servers on three stores, each asked for items from the whole of its table. What a store's file holds for an item
is taken apart.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random

from bench import rows
from bench.growth.loading import CONNECTIONS, Loader
from bench.growth.measuring import Request, Target, in_turns
from bench.growth.memory import Memory
from bench.growth.options import Options
from bench.growth.service import STORE, into_memory, make_table, out_of_memory, serving
from bench.rows import BATCH_ITEMS, PARTITION_ITEMS, TABLE, VERSIONS
from bench.signing import Body, Client
from jedlik.model import keys
from jedlik.storage import lmdb_file

MB = 1_000_000
SEED = 20121008
GOAL = 1.5
"""The latency at the largest size over that at the smallest, at most."""
SAMPLE_ROWS = 10_000
"""Rows of the store that are looked at to say how long they are."""
COLD_CONNECTIONS = 16
COLD_SECONDS = 2
"""So short that nearly every request is for an item that has not been asked for before."""
_ROW_OVERHEAD = 10
"""Bytes that LMDB keeps with a row: a header of eight, and two in the page's list of rows."""
_ALL_TAKEN = b'{"UnprocessedItems":{}}'


def folder(options: Options, count: int) -> Path:
    """Where the store of `count` items is."""
    return options.folder / f"{count} items"


# Loading


def load(options: Options, count: int, at_most: int) -> None:
    """Put items into the store of `count` items until it has them, but not more than `at_most`."""
    with serving(folder(options, count), verify=False) as server:
        client = server.client()
        if TABLE not in client.call("ListTables", {})["TableNames"]:
            make_table(client, rows.CREATE_TABLE)
        # Items come in order but for those that are on their way: so many may have been lost on the last ones' account.
        there = _item_count(client)
        first = 0 if there == 0 else max(0, there - CONNECTIONS * BATCH_ITEMS) // BATCH_ITEMS * BATCH_ITEMS
        last = min(count, first + at_most)
        if there == count:
            return
        begun = time.perf_counter()
        batches = (rows.batch(number) for number in range(first, last, BATCH_ITEMS))
        Loader(server.signer).send(batches, lambda answer: answer == _ALL_TAKEN)
        seconds = time.perf_counter() - begun
        options.say(f"{first:,} to {last:,} of {count:,}: {seconds:.1f} s, {(last - first) / seconds:,.0f} items/s")


def _item_count(client: Client) -> int:
    count: int = client.call("DescribeTable", {"TableName": TABLE})["Table"]["ItemCount"]
    return count


# What is asked


def _get(count: int) -> Iterator[Body]:
    random = Random(SEED)
    while True:
        yield {"TableName": TABLE, "Key": rows.key(random.randrange(count))}


def _query(count: int) -> Iterator[Body]:
    random = Random(SEED)
    while True:
        yield {
            "TableName": TABLE,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": rows.key(random.randrange(count))["pk"]},
        }


def _put(count: int) -> Iterator[Body]:
    """As many different items whatever the size, each put in two versions by turns."""
    numbers = Random(SEED).sample(range(count), rows.REQUESTS // len(VERSIONS))
    for version in VERSIONS:
        for number in numbers:
            yield {"TableName": TABLE, "Item": rows.item(number, version)}


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of the table."""

    name: str
    operation: str
    bodies: Callable[[int], Iterator[Body]]
    right: Callable[[Body], bool]

    def request(self, count: int) -> Request:
        return Request(self.operation, lambda: self.bodies(count), self.right)


_ROWS = (
    _Row("GetItem", "GetItem", _get, lambda answer: "Item" in answer),
    _Row("Query of 10", "Query", _query, lambda answer: answer["Count"] == PARTITION_ITEMS),
    _Row("PutItem", "PutItem", _put, lambda answer: not answer),
)


# The report


def report(options: Options) -> Iterator[str]:
    """The section."""
    for count in options.counts:
        load(options, count, at_most=count)
    if options.load_only:
        return
    yield from _speed(options)
    yield ""
    yield from _cold(options)
    yield ""
    yield from _files(options)


def _wanted(options: Options) -> list[_Row]:
    return [row for row in _ROWS if not options.rows or row.name in options.rows]


def _speed(options: Options) -> Iterator[str]:
    smallest = str(options.counts[0])
    yield "| row | connections | items | answers/s | p50 ms | p99 ms | p50 ÷ smallest | at most 1.5 |"
    yield "|---|---|---|---|---|---|---|---|"
    with ExitStack() as stack:
        servers = {str(n): stack.enter_context(serving(folder(options, n))) for n in options.counts}
        idle = {name: Memory.of(server.processes()) for name, server in servers.items()}
        for count in options.counts:
            into_memory(folder(options, count))
        for row in _wanted(options):
            targets = {
                name: Target.prepare(server, row.request(int(name)), options.folder / f"{row.operation} {name}")
                for name, server in servers.items()
            }
            for connections in options.connections:
                measured = in_turns(targets, connections, options.seconds, options.rounds)
                for name, run in measured.items():
                    ratio = run.p50 / measured[smallest].p50
                    yield (
                        f"| {row.name} | {connections} | {int(name):,} | {run.per_second:,.0f} | {run.p50:.3f} "
                        f"| {run.p99:.2f} | {ratio:.2f} | {'yes' if ratio <= GOAL else '**no**'} |"
                    )
        yield ""
        yield "| items | private memory at start, MB | after the runs, MB | mapped file in memory, MB |"
        yield "|---|---|---|---|"
        for name, server in servers.items():
            now = Memory.of(server.processes())
            yield (
                f"| {int(name):,} | {idle[name].private / MB:.0f} | {now.private / MB:.0f} | {now.mapped / MB:,.0f} |"
            )


def _cold(options: Options) -> Iterator[str]:
    """The largest store when nothing of it is in memory: each page that is asked for first comes from the disk."""
    count = options.counts[-1]
    yield "| row, nothing of the store in memory | connections | items | answers/s | p50 ms | p99 ms |"
    yield "|---|---|---|---|---|---|"
    for row in _wanted(options):
        out_of_memory(folder(options, count))
        with serving(folder(options, count)) as server:
            target = Target.prepare(server, row.request(count), options.folder / f"{row.operation} cold")
            run = target.run(COLD_CONNECTIONS, COLD_SECONDS)
        yield f"| {row.name} | {COLD_CONNECTIONS} | {count:,} | {run.per_second:,.0f} | {run.p50:.2f} | {run.p99:.2f} |"


def _files(options: Options) -> Iterator[str]:
    yield (
        "| items | file, MB | bytes an item | of them: key | value | LMDB's row header | unfilled | branch pages "
        "| free pages |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for count in options.counts:
        path = folder(options, count) / STORE
        size = path.stat().st_size
        with lmdb_file.view(path.parent) as view:
            pages = view.pages
            sampled = [row for row, _ in zip(view.rows(*keys.space_range("rows")), range(SAMPLE_ROWS), strict=False)]
        key = sum(len(row[0]) for row in sampled) / len(sampled)
        value = sum(len(row[1]) for row in sampled) / len(sampled)
        in_leaves = pages.leaves * pages.page_size / count
        yield (
            f"| {count:,} | {size / MB:,.1f} | {size / count:.0f} | {key:.0f} | {value:.0f} | {_ROW_OVERHEAD} "
            f"| {in_leaves - key - value - _ROW_OVERHEAD:.0f} | {pages.branches * pages.page_size / count:.0f} "
            f"| {(size - pages.used * pages.page_size) / count:.0f} |"
        )
