"""Section `tables`: 1,000 tables of one item each, beside one table of 1,000 items.

Measured are the time to create them, to list them and to start a server with them, and Get and Put across all of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from operator import attrgetter
from random import Random

from bench.growth import turns
from bench.growth.options import Options
from bench.growth.service import serving
from bench.measuring import Prepared, make
from bench.memory import MB
from bench.rows import VERSIONS, Call, row_of
from bench.signing import Body, Client
from bench.tables import Table

TABLES = 1_000
ONE = Table("one", items=TABLES)
"""Each of the other tables has one of its items."""


def _name(number: int) -> str:
    return f"table-{number:04}"


def _gets(_: Table, __: Call, random: Random) -> Iterator[Body]:
    while True:
        number = random.randrange(TABLES)
        yield {"TableName": _name(number), "Key": ONE.key(number)}


def _puts(_: Table, __: Call, random: Random) -> Iterator[Body]:
    shuffled = random.sample(range(TABLES), TABLES)
    for version in VERSIONS:
        for number in shuffled:
            yield {"TableName": _name(number), "Item": ONE.item(number, version)}


def report(options: Options) -> Iterator[str]:
    """The section."""
    folder = options.folder / "tables"
    with serving(folder) as server:
        client = server.client()
        empty = server.memory()
        start_empty = server.first_answer
        known = set(_list(client)[0])
        begun = time.perf_counter()
        for name in (ONE.name, *map(_name, range(TABLES))):
            if name not in known:
                make(client, Table(name))
        making = time.perf_counter() - begun
        for number in range(TABLES):
            for name in (ONE.name, _name(number)):
                client.call("PutItem", {"TableName": name, "Item": ONE.item(number)})
        if options.load_only:
            return
        begun = time.perf_counter()
        names, pages = _list(client)
        listing = time.perf_counter() - begun
        if len(names) != TABLES + 1:
            raise AssertionError(f"{len(names)} tables are listed")
        yield f"- Making {TABLES:,} tables, one after another: {making:.1f} s, each with a look whether it is ACTIVE."
        yield f"- Listing them, {pages} pages: {listing * 1000:.0f} ms."
    with serving(folder) as server:
        yield (
            f"- Start to first answer: {server.first_answer * 1000:.0f} ms ({start_empty * 1000:.0f} without tables). "
            f"Private memory then: {server.memory().private / MB:.0f} MB ({empty.private / MB:.0f})."
        )
        yield ""
        yield from turns.table("where", "p50 ÷ one table")
        for name, bodies in (("GetItem", _gets), ("PutItem", _puts)):
            one = row_of(name, ONE)
            spread = replace(one, name=f"{name} across tables", bodies=bodies)
            targets = {"one table": Prepared(one, server, server), "1,000 tables": Prepared(spread, server, server)}
            yield from turns.lines(name, targets, options.shape, attrgetter("p50"))
        yield ""
        yield f"Private memory when all tables have been used: {server.memory().private / MB:.0f} MB."


def _list(client: Client) -> tuple[list[str], int]:
    """All tables, and the number of pages that ListTables took."""
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
