"""The console with the most tables that a region may have, all of them real."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from jedlik.config import MOST_TABLES, Settings
from jedlik.dynamodb import catalog
from jedlik.dynamodb.tables import table_operations
from jedlik.regions.stores import Stores
from jedlik.storage.engine import Writes
from testing.jedlik_process import Server, eventually
from tests.clients.console_pages import PATIENCE, go, row

NAMES = [f"table-{number:05}" for number in range(MOST_TABLES)]
AT_ONCE = 500
"""Tables in a commit."""


def put_all(writes: Writes, _: Sequence[bytes | None]) -> tuple[Writes, None]:
    return writes, None


async def make(data_dir: Path, names: Sequence[str]) -> None:
    """Create tables as CreateTable does, but many in each commit."""
    opened = Stores(Settings(data_dir=data_dir))
    try:
        region = await opened.region("us-east-1")
        request = {
            "AttributeDefinitions": [{"AttributeName": "p", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
        }
        for start in range(0, len(names), AT_ONCE):
            writes = Writes()
            for name in names[start : start + AT_ONCE]:
                made = table_operations.new_table(request, name, str(uuid.uuid4()), region, region.clock())
                catalog.put(made, writes)
            await region.engine.mutate([], partial(put_all, writes))
    finally:
        await opened.close()


@pytest.fixture(scope="module")
def running(
    browser: Browser, start_shared_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory
) -> Server:
    folder = tmp_path_factory.mktemp("many")
    with ThreadPoolExecutor() as thread:  # The browser has an event loop in this one.
        thread.submit(asyncio.run, make(folder / "data", NAMES)).result()
    return start_shared_server(data_dir=folder / "data", max_tables=MOST_TABLES)


def test_ten_thousand_tables(page: Page, running: Server) -> None:
    """The names come in a hundred pages; only the tables that are shown are described. A hundred are then deleted."""
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.headers.get("x-amz-target", "").rpartition(".")[2]))
    go(page, running, "/dynamodb/tables")
    expect(page.get_by_role("heading", name=f"Tables ({MOST_TABLES})")).to_be_visible()
    expect(page.get_by_role("row")).to_have_count(21)
    expect(row(page, NAMES[0])).to_contain_text("Active")
    assert asked.count("ListTables") == MOST_TABLES // 100
    assert asked.count("DescribeTable") <= 2 * 20

    page.get_by_role("button", name="Page 500", exact=False).click()
    expect(row(page, NAMES[-1])).to_contain_text("Active")
    page.get_by_role("button", name="Name", exact=True).press("Enter")
    page.get_by_role("button", name="Name", exact=True).press("Enter")
    expect(page.get_by_role("row").nth(1)).to_contain_text(NAMES[-1])

    page.get_by_label("Find tables by name").fill("09999")
    expect(page.get_by_role("row")).to_have_count(2)
    page.get_by_role("button", name=f"Add to favourites: {NAMES[-1]}").click()
    page.get_by_label("Find tables by name").fill("table-05")
    page.get_by_role("button", name="Preferences").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("100 tables").check()
    dialog.get_by_role("checkbox", name="Total size").uncheck(force=True)
    dialog.get_by_role("button", name="Save changes").click()
    expect(page.get_by_role("row")).to_have_count(101)
    expect(page.get_by_role("columnheader", name="Total size")).to_have_count(0)

    page.get_by_role("checkbox", name="Select all tables").check(force=True)
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(dialog).to_contain_text("Delete 100 tables")
    dialog.get_by_label("To confirm the deletion").fill("confirm")
    dialog.get_by_role("button", name="Delete").click()
    expect(dialog).to_have_count(0, timeout=3 * PATIENCE)
    page.get_by_label("Find tables by name").fill("")
    expect(page.get_by_role("heading", name=f"Tables ({MOST_TABLES - 100})")).to_be_visible()
    eventually(lambda: sum(1 for _ in names(running)) == MOST_TABLES - 100)

    page.reload()
    expect(page.get_by_role("row")).to_have_count(101)
    expect(page.get_by_role("row").nth(1)).to_contain_text(NAMES[-1])  # The favourite.


def names(server: Server) -> Iterator[str]:
    for page in server.client().get_paginator("list_tables").paginate():
        yield from page["TableNames"]


def test_a_table_is_found_among_ten_thousand_wherever_one_is_chosen(page: Page, running: Server) -> None:
    go(page, running, "/dynamodb/items")
    page.get_by_role("button", name="Choose a table").click()
    page.get_by_role("combobox").or_(page.get_by_role("searchbox")).last.fill(NAMES[-2])
    page.get_by_role("option", name=NAMES[-2]).click()
    expect(page.get_by_text("Items returned: 0.")).to_be_visible()
