"""What tests of the console do on its pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, Route, expect

from testing.jedlik_process import Server

PATIENCE = 30_000.0
"""Milliseconds for which a page waits for what must come."""


def served(folder: Path) -> Server:
    """A server without signatures, whose jobs can be held, with a bucket called my-exports in `folder`."""
    settings = folder / "jedlik.toml"
    settings.write_text(f'[buckets.my-exports]\nurl = "{(folder / "bucket").as_uri()}"\n')
    return Server(
        folder / "log", holdable_jobs=True, in_memory=True, seal_tables=True, data_dir=folder / "data", config=settings
    )


def bucket(server: Server) -> Path:
    """The folder of the bucket that is called my-exports."""
    return Path(str(server.options["data_dir"])).parent / "bucket"


def go(page: Page, server: Server, path: str) -> None:
    """Go to a page. The one before is shown, and would be tested, until the code of the other is there."""
    page.goto(f"{server.url}/console/#{path}")
    expect(page.locator("[data-page]")).to_have_attribute("data-page", path.partition("?")[0])


def choose(page: Page, button: str, item: str) -> None:
    """Choose an item of a button's menu."""
    page.get_by_role("button", name=button, exact=True).click()
    page.get_by_role("menuitem", name=item, exact=True).click()


def row(page: Page, text: str) -> Any:
    return page.get_by_role("row").filter(has_text=text)


def expect_saved(button: Locator) -> None:
    """Wait until a form shows what is stored. Before, its button is busy, which is not the attribute of HTML."""
    expect(button).to_have_attribute("disabled", "")


@contextmanager
def held(page: Page, server: Server, operation: str) -> Iterator[None]:
    """Hold a page's requests of an operation until the block ends: what is done in it is done before the answer."""
    routes: list[Route] = []
    is_over = False

    def hold(route: Route) -> None:
        request = route.request
        target = request.headers.get("x-amz-target", "").rpartition(".")[2]
        if not is_over and (operation == target or f"Action={operation}&" in (request.post_data or "")):
            routes.append(route)
        else:
            route.fallback()

    page.route(f"{server.url}/", hold)
    try:
        yield
        assert routes, f"{operation} was not asked for"
    finally:
        is_over = True
        for route in routes:
            route.continue_()
        page.unroute(f"{server.url}/", hold)
