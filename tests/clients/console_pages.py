"""What tests of the console do on its pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

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
    page.goto(f"{server.url}/console/#{path}")


def choose(page: Page, button: str, item: str) -> None:
    """Choose an item of a button's menu."""
    page.get_by_role("button", name=button, exact=True).click()
    page.get_by_role("menuitem", name=item, exact=True).click()


def row(page: Page, text: str) -> Any:
    return page.get_by_role("row").filter(has_text=text)
