"""Section `purge`: a table of a million items is deleted while another one serves reads and writes."""

from __future__ import annotations

import time
from collections.abc import Iterator

from bench import rows
from bench.growth import beside
from bench.growth.beside import ITEMS, Others
from bench.growth.loading import Loader
from bench.growth.options import Options
from bench.growth.service import STORE, into_memory, make_table, serving
from bench.rows import BATCH_ITEMS
from jedlik.storage import lmdb_file

MB = 1_000_000
TABLE = "big"
BIG = 1_000_000
_ROWS_BESIDES = 100
"""Rows that are neither table's: descriptors, counters, leases."""
_ALL_TAKEN = b'{"UnprocessedItems":{}}'


def report(options: Options) -> Iterator[str]:
    """The section."""
    folder = options.folder / "purge"
    store = (folder / STORE).parent

    def rows_left() -> int:
        with lmdb_file.view(store) as view:
            return view.pages.rows - ITEMS

    with serving(folder, verify=False) as server:
        client = server.client()
        known = client.call("ListTables", {})["TableNames"]
        if beside.TABLE not in known:
            beside.fill(server)
        if TABLE not in known:
            make_table(client, {**rows.CREATE_TABLE, "TableName": TABLE})
            begun = time.perf_counter()
            batches = (rows.batch(first, table=TABLE) for first in range(0, BIG, BATCH_ITEMS))
            Loader(server.signer).send(batches, lambda answer: answer == _ALL_TAKEN)
            options.say(f"{BIG:,} items: {time.perf_counter() - begun:.1f} s")
    if options.load_only:
        return
    size = (folder / STORE).stat().st_size
    into_memory(folder)
    with serving(folder) as server:
        others = Others.prepare(server, options)
        client = server.client()
        begun = 0.0

        def delete() -> None:
            nonlocal begun
            client.call("DeleteTable", {"TableName": TABLE})
            begun = time.perf_counter()

        yield from others.compare(delete, lambda: rows_left() > _ROWS_BESIDES)
        seconds = time.perf_counter() - begun
        removed = BIG - max(0, rows_left())
    yield ""
    yield f"{removed:,} rows were removed meanwhile in {seconds:.0f} s, {removed / seconds:,.0f} a second."
    yield f"The file had {size / MB:,.0f} MB before and {(folder / STORE).stat().st_size / MB:,.0f} MB then."
