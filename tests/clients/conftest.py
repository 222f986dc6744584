"""The console in a browser, for all tests of it: one browser and one server for each module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from testing.jedlik_process import Server
from tests.clients import browser as browsers
from tests.clients.console_pages import PATIENCE, served


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    browsers.console()
    expect.set_options(timeout=PATIENCE)
    with browsers.browser() as running:
        yield running


@pytest.fixture(scope="module")
def running(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without signatures, for all tests of a module; each has tables of its own."""
    server = served(tmp_path_factory.mktemp("console"))
    yield server
    server.kill()


@pytest.fixture
def page(browser: Browser, running: Server) -> Iterator[Page]:
    """The console's first page. No script may fail, and nothing may be blocked by the page's own policy."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000}, color_scheme="light")
    opened = context.new_page()
    opened.set_default_timeout(PATIENCE)
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda told: wrong.append(told.text) if "Content Security Policy" in told.text else None)
    opened.goto(running.url)
    yield opened
    context.close()
    assert wrong == []
