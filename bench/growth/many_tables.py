"""Section `tables`: 1,000 tables of one item each, beside one table of 1,000 items.

How long making them takes, listing them, starting with them; Get and Put across all of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from random import Random

from bench import rows
from bench.growth.measuring import Request, Target, in_turns
from bench.growth.memory import Memory
from bench.growth.options import Options
from bench.growth.service import make_table, serving
from bench.signing import Body, Client

MB = 1_000_000
TABLES = 1_000
_SEED = 1_000


def _name(number: int) -> str:
    return f"table-{number:04}"


def _places() -> dict[str, list[tuple[str, int]]]:
    """By how they are spread: tables and numbers of items."""
    return {
        "one table": [(rows.TABLE, number) for number in range(TABLES)],
        "1,000 tables": [(_name(number), number) for number in range(TABLES)],
    }


def _gets(places: list[tuple[str, int]]) -> Iterator[Body]:
    for table, number in Random(_SEED).choices(places, k=rows.REQUESTS):
        yield {"TableName": table, "Key": rows.key(number)}


def _puts(places: list[tuple[str, int]]) -> Iterator[Body]:
    shuffled = Random(_SEED).sample(places, len(places))
    for version in rows.VERSIONS:
        for table, number in shuffled:
            yield {"TableName": table, "Item": rows.item(number, version)}


def report(options: Options) -> Iterator[str]:
    """The section."""
    folder = options.folder / "tables"
    with serving(folder) as server:
        client = server.client()
        empty = Memory.of(server.processes())
        start_empty = server.first_answer
        known = set(_list(client)[0])
        begun = time.perf_counter()
        for name in (rows.TABLE, *map(_name, range(TABLES))):
            if name not in known:
                make_table(client, {**rows.CREATE_TABLE, "TableName": name})
        making = time.perf_counter() - begun
        for places in _places().values():
            for table, number in places:
                client.call("PutItem", {"TableName": table, "Item": rows.item(number)})
        begun = time.perf_counter()
        names, pages = _list(client)
        listing = time.perf_counter() - begun
        if len(names) != TABLES + 1:
            raise AssertionError(f"{len(names)} tables are listed")
        yield f"- Making {TABLES:,} tables, one after another: {making:.1f} s, each with a look whether it is ACTIVE."
        yield f"- Listing them, {pages} pages: {listing * 1000:.0f} ms."
    with serving(folder) as server:
        full = Memory.of(server.processes())
        yield (
            f"- Start to first answer: {server.first_answer * 1000:.0f} ms ({start_empty * 1000:.0f} without tables). "
            f"Private memory then: {full.private / MB:.0f} MB ({empty.private / MB:.0f})."
        )
        yield ""
        yield "| row | connections | where | answers/s | p50 ms | p99 ms | p50 ÷ one table |"
        yield "|---|---|---|---|---|---|---|"
        for row, bodies, right in (("GetItem", _gets, _has_item), ("PutItem", _puts, _is_empty)):
            targets = {
                name: Target.prepare(
                    server,
                    Request(row, partial(bodies, places), right),
                    options.folder / f"tables {row} {name}",
                )
                for name, places in _places().items()
            }
            for connections in options.connections:
                runs = in_turns(targets, connections, options.seconds, options.rounds)
                for name, run in runs.items():
                    yield (
                        f"| {row} | {connections} | {name} | {run.per_second:,.0f} | {run.p50:.3f} | {run.p99:.2f} "
                        f"| {run.p50 / runs['one table'].p50:.2f} |"
                    )
        yield ""
        yield f"Private memory when all tables have been used: {Memory.of(server.processes()).private / MB:.0f} MB."


def _list(client: Client) -> tuple[list[str], int]:
    """All tables, and how many pages ListTables took."""
    names: list[str] = []
    pages = 0
    start: Body = {}
    while True:
        answer = client.call("ListTables", start)
        names += answer["TableNames"]
        pages += 1
        if "LastEvaluatedTableName" not in answer:
            return names, pages
        start = {"ExclusiveStartTableName": answer["LastEvaluatedTableName"]}


def _has_item(answer: Body) -> bool:
    return "Item" in answer


def _is_empty(answer: Body) -> bool:
    return not answer
