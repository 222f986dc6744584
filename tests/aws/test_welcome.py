"""The page for a browser, and the unchanged answers for programs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests

from jedlik import __version__
from testing.jedlik_process import Server

NO_CONSOLE = {"console": "off"}
"""With one, a browser is led there."""
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def test_a_browser_is_shown_a_page(start_server: Callable[..., Server]) -> None:
    server = start_server(**NO_CONSOLE)
    answer = requests.get(server.url, headers={"Accept": BROWSER}, timeout=60)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; ")
    assert f"<dt>Version</dt><dd>{__version__}</dd>" in answer.text
    assert "<dt>Regions</dt><dd>any; each has tables of its own</dd>" in answer.text
    assert f"export AWS_ENDPOINT_URL_DYNAMODB={server.url}\n" in answer.text
    for path in ("/healthz", "/readyz", "/favicon.ico"):
        assert f'href="{path}"' in answer.text
        assert requests.get(server.url + path, timeout=60).status_code == 200


def test_the_page_names_the_regions_that_are_served(start_server: Callable[..., Server]) -> None:
    server = start_server(regions="eu-west-1,us-east-1", **NO_CONSOLE)
    text = requests.get(server.url, headers={"Accept": BROWSER}, timeout=60).text
    assert "<dt>Regions</dt><dd>eu-west-1, us-east-1</dd>" in text
    assert "export AWS_DEFAULT_REGION=eu-west-1\n" in text


@pytest.mark.parametrize("accept", ["*/*", "", "application/json"])
def test_programs_are_answered_as_before(accept: str, server: Server) -> None:
    answer = requests.get(server.url, headers={"Accept": accept}, timeout=60)
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.text.startswith("healthy: ")


def test_the_icon_is_an_image(server: Server) -> None:
    answer = requests.get(f"{server.url}/favicon.ico", timeout=60)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/svg+xml")
    assert answer.text.startswith("<svg ")


def test_an_invalid_host_is_not_repeated(start_server: Callable[..., Server]) -> None:
    server = start_server(auth="on", **NO_CONSOLE)
    headers = {"Accept": BROWSER, "Host": "<script>alert(1)</script>"}
    text = requests.get(server.url, headers=headers, timeout=60).text
    assert "script" not in text
    assert "export AWS_ENDPOINT_URL_DYNAMODB=http://127.0.0.1:8000\n" in text
