"""Section `purge`: a table of a million items is deleted while another one serves reads and writes."""

from __future__ import annotations

import time
from collections.abc import Iterator

from bench.growth import beside
from bench.growth.beside import Others
from bench.growth.loading import fill
from bench.growth.options import Options
from bench.growth.service import STORE, into_memory, serving
from bench.memory import MB
from bench.tables import Table
from jedlik.storage.lmdb import lmdb_file

TABLE = Table("big", items=1_000_000)
_ROWS_BESIDES = 100
"""Rows that are neither table's: descriptors, counters, leases."""


def report(options: Options) -> Iterator[str]:
    """The section."""
    folder = options.folder / "purge"
    store = (folder / STORE).parent

    def rows_left() -> int:
        with lmdb_file.view(store) as view:
            return view.pages.rows - beside.TABLE.items

    with serving(folder, verify=False) as server:
        for table in (beside.TABLE, TABLE):
            fill(server, table)
    if options.load_only:
        return
    size = (folder / STORE).stat().st_size
    into_memory(folder)
    with serving(folder) as server:
        client = server.client()
        begun = 0.0

        def delete() -> None:
            nonlocal begun
            client.call("DeleteTable", {"TableName": TABLE.name})
            begun = time.perf_counter()

        yield from Others(server, options.shape).compare(delete, lambda: rows_left() > _ROWS_BESIDES)
        seconds = time.perf_counter() - begun
        removed = TABLE.items - max(0, rows_left())
    yield ""
    yield f"{removed:,} rows were removed meanwhile in {seconds:.0f} s, {removed / seconds:,.0f} a second."
    yield f"The file had {size / MB:,.0f} MB before and {(folder / STORE).stat().st_size / MB:,.0f} MB then."
