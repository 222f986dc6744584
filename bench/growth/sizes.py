"""Section `sizes`: a table of 10 thousand items beside one of 1 million and one of 10 million, of 200 bytes each.

Three servers with three stores each get requests for items from the whole of their table. The size of a store's file
per item is split into its parts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from operator import attrgetter
from pathlib import Path

from bench.growth import turns
from bench.growth.loading import fill
from bench.growth.options import Options
from bench.growth.service import STORE, into_memory, out_of_memory, serving
from bench.measuring import Prepared
from bench.memory import MB
from bench.rows import Row, row_of
from bench.tables import MAIN, Table
from jedlik.dynamodb.model import spaces
from jedlik.storage.lmdb import lmdb_file

ROWS = ("GetItem", "Query of 10", "PutItem")
GOAL = 1.5
"""The most that the latency at the largest size may be, as a multiple of that at the smallest."""
SAMPLE_ROWS = 10_000
"""Rows of the store whose length is measured."""
COLD_CONNECTIONS = 16
COLD_SECONDS = 2
"""Seconds of a run: so short that nearly every request is for an item that was not requested before."""
_ROW_OVERHEAD = 10
"""Bytes that LMDB stores with a row: a header of eight, and two in the page's list of rows."""


def folder(options: Options, count: int) -> Path:
    """The folder of the store of `count` items."""
    return options.folder / f"{count} items"


def _table(count: int) -> Table:
    return replace(MAIN, items=count)


def load(options: Options, count: int, at_most: int) -> None:
    """Put items into the store of `count` items until it has all of them, but not more than `at_most`."""
    with serving(folder(options, count), verify=False) as server:
        fill(server, _table(count), at_most)


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


def _rows(options: Options, count: int) -> list[Row]:
    """The requests for the table of `count` items."""
    return [row_of(name, _table(count)) for name in options.rows or ROWS]


def _speed(options: Options) -> Iterator[str]:
    yield from turns.table("items", f"p50 ÷ smallest, at most {GOAL}")
    with ExitStack() as stack:
        servers = {n: stack.enter_context(serving(folder(options, n))) for n in options.counts}
        idle = {count: server.memory() for count, server in servers.items()}
        for count in options.counts:
            into_memory(folder(options, count))
        for rows in zip(*(_rows(options, count) for count in servers), strict=True):
            targets = {
                f"{row.table.items:,}": Prepared(row, server, server)
                for row, server in zip(rows, servers.values(), strict=True)
            }
            yield from turns.lines(rows[0].name, targets, options.shape, attrgetter("p50"))
        yield ""
        yield "| items | private memory at start, MB | after the runs, MB | mapped file in memory, MB |"
        yield "|---|---|---|---|"
        for count, server in servers.items():
            now = server.memory()
            yield f"| {count:,} | {idle[count].private / MB:.0f} | {now.private / MB:.0f} | {now.mapped / MB:,.0f} |"


def _cold(options: Options) -> Iterator[str]:
    """The largest store when none of it is in memory: the first request for a page reads it from the disk."""
    count = options.counts[-1]
    yield "| row, nothing of the store in memory | connections | items | answers/s | p50 ms | p99 ms |"
    yield "|---|---|---|---|---|---|"
    for row in _rows(options, count):
        out_of_memory(folder(options, count))
        with serving(folder(options, count)) as server:
            run = Prepared(row, server, server).run(COLD_CONNECTIONS, COLD_SECONDS, options.shape.threads)
        yield (
            f"| {row.name} | {COLD_CONNECTIONS} | {count:,} | {run.per_second:,.0f} | {run.p50:.2f} | {run.p99:.2f} |"
        )


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
            sampled = list(islice(view.rows(*spaces.ROWS.range), SAMPLE_ROWS))
        key = sum(len(row[0]) for row in sampled) / len(sampled)
        value = sum(len(row[1]) for row in sampled) / len(sampled)
        in_leaves = pages.leaves * pages.page_size / count
        yield (
            f"| {count:,} | {size / MB:,.1f} | {size / count:.0f} | {key:.0f} | {value:.0f} | {_ROW_OVERHEAD} "
            f"| {in_leaves - key - value - _ROW_OVERHEAD:.0f} | {pages.branches * pages.page_size / count:.0f} "
            f"| {(size - pages.used * pages.page_size) / count:.0f} |"
        )
