"""The console's files: what a browser gets below `/console/`, built or not."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from jedlik.console import static_files
from jedlik.console.static_files import StaticFiles
from testing.dynamodb.definitions import attributes, key_schema
from testing.jedlik_process import Server

INDEX = b"<!doctype html><title>console</title>"
SCRIPT = b"export const one = 1;\n" * 100
BROWSER = {b"accept-encoding": b"gzip, deflate, br"}


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A console of two files."""
    folder = tmp_path / "built"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html.gz").write_bytes(gzip.compress(INDEX))
    (folder / "assets" / "index-1a.js.gz").write_bytes(gzip.compress(SCRIPT))
    (folder / "sources").write_text("a digest")
    return folder


def console(built: Path, *regions: str, used: tuple[str, ...] = (), verifies: bool = True) -> StaticFiles:
    return StaticFiles(account="111122223333", regions=regions, used=lambda: used, verifies=verifies, built=built)


def test_a_browser_gets_files_compressed_and_keeps_those_whose_names_change(built: Path) -> None:
    files = console(built)
    assert files.are_here
    script = files.page(b"/console/assets/index-1a.js", BROWSER)
    assert script is not None
    assert (script.status, script.content_type) == (200, b"text/javascript; charset=utf-8")
    assert gzip.decompress(script.body) == SCRIPT
    assert b"Content-Encoding: gzip\r\n" in script.lines
    assert b"immutable" in script.lines
    index = files.page(b"/console/", BROWSER)
    assert index is not None
    assert gzip.decompress(index.body) == INDEX
    assert b"Cache-Control: no-cache\r\n" in index.lines
    for page in (script, index):
        assert b"frame-ancestors 'none'" in page.lines
        assert b"script-src 'self';" in page.lines


def test_a_client_that_takes_no_gzip_gets_them_plain(built: Path) -> None:
    page = console(built).page(b"/console/index.html", {})
    assert page is not None
    assert page.body == INDEX
    assert b"Content-Encoding" not in page.lines


@pytest.mark.parametrize(
    "path",
    [
        b"/console/sources",
        b"/console/../static_files.py",
        b"/console/assets/",
        b"/console/assets/index-1a.js.gz",
        b"/console//",
    ],
)
def test_nothing_else_is_served(built: Path, path: bytes) -> None:
    assert console(built).page(path, BROWSER) is None


def test_a_new_build_is_served_without_a_restart(built: Path) -> None:
    files = console(built)
    files.page(b"/console/", {})
    (built / "assets" / "index-1a.js.gz").rename(built / "assets" / "index-2b.js.gz")
    new = INDEX + b"<p>new</p>"
    index = built / "index.html.gz"
    before = index.stat()
    index.write_bytes(gzip.compress(new))
    os.utime(index, ns=(before.st_atime_ns, before.st_mtime_ns))  # As if it was built within one tick of the clock.
    page = files.page(b"/console/", {})
    assert page is not None
    assert page.body == new
    assert files.page(b"/console/assets/index-1a.js", {}) is None
    assert files.page(b"/console/assets/index-2b.js", {}) is not None


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (
            None,
            "The console is not built here. Run make console in a checkout, and install Jedlik from it again.",
        ),
        ({"state": "building"}, "The console is being built."),
        ({"state": "failed", "why": "no <registry>"}, "The console could not be built: no &lt;registry&gt;"),
    ],
)
def test_without_files_the_page_explains_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: dict[str, str] | None, text: str
) -> None:
    said = tmp_path / "state.json"
    if state is not None:
        said.write_text(json.dumps(state))
    monkeypatch.setattr(static_files, "STATE", said)
    files = console(tmp_path / "nowhere")
    assert not files.are_here
    page = files.page(b"/console/", BROWSER)
    assert page is not None
    assert page.status == 503
    assert text in page.body.decode()


def test_the_page_learns_what_the_server_is(built: Path) -> None:
    page = console(built, "eu-west-1", "eu-west-2").page(b"/console/settings.json", {})
    assert page is not None
    told = json.loads(page.body)
    assert told["regions"] == ["eu-west-1", "eu-west-2"]
    assert (told["account"], told["auth"]) == ("111122223333", True)


def regions_offered(files: StaticFiles) -> list[str]:
    page = files.page(b"/console/settings.json", {})
    assert page is not None
    regions: list[str] = json.loads(page.body)["regions"]
    return regions


def test_where_any_region_may_be_used_those_with_data_come_first_but_not_for_strangers(built: Path) -> None:
    used = ("local", "eu-central-1")
    offered = regions_offered(console(built, used=used, verifies=False))
    assert offered[:3] == ["eu-central-1", "local", "us-east-1"]
    most_people_use = regions_offered(console(built, used=(*used, "us-east-1"), verifies=False))
    assert most_people_use[:3] == ["us-east-1", "eu-central-1", "local"]
    assert offered.count("eu-central-1") == 1
    assert regions_offered(console(built, used=used))[0] == "us-east-1"
    assert "local" not in regions_offered(console(built, used=used))
    assert regions_offered(console(built, "eu-west-1", used=used, verifies=False)) == ["eu-west-1"]


def test_the_regions_with_data_are_looked_up_again_each_time(start_server: Callable[..., Server]) -> None:
    server = start_server(in_memory=True)
    ask = f"{server.url}/console/settings.json"
    assert requests.get(ask, timeout=30).json()["regions"][0] == "us-east-1"
    server.client(region_name="local").create_table(
        TableName="table",
        KeySchema=key_schema("p"),
        AttributeDefinitions=attributes(p="S"),
        BillingMode="PAY_PER_REQUEST",
    )
    assert requests.get(ask, timeout=30).json()["regions"][:2] == ["local", "us-east-1"]


def test_a_server_serves_it_beside_the_services(server: Server) -> None:
    settings = requests.get(f"{server.url}/console/settings.json", timeout=30).json()
    assert settings["auth"] is False
    assert {"us-east-1", "eu-central-1"} < set(settings["regions"])
    away = requests.get(f"{server.url}/console", allow_redirects=False, timeout=30)
    assert (away.status_code, away.headers["Location"]) == (302, "/console/")
    page = requests.get(f"{server.url}/console/?from=here", timeout=30)
    assert page.status_code in (200, 503)  # As it is built or not.
    assert "Jedlik console" in page.text
    assert page.headers["X-Frame-Options"] == "DENY"
    assert requests.get(f"{server.url}/console/nothing.js", timeout=30).status_code == 404
    assert requests.post(f"{server.url}/console/", timeout=30).status_code == 404
    assert requests.get(server.url, timeout=30).text.startswith("healthy: ")  # Who does not want a page is no browser.
    foreign = requests.get(f"{server.url}/console/", headers={"Host": "evil.example"}, timeout=30)
    assert foreign.status_code == 403


def test_a_browser_is_led_to_a_console_that_is_built(server: Server) -> None:
    led = requests.get(server.url, headers={"Accept": "text/html"}, allow_redirects=False, timeout=30)
    is_built = static_files.BUILT.joinpath("index.html.gz").exists()
    assert (led.status_code, led.headers.get("Location")) == ((302, "/console/") if is_built else (200, None))


def test_the_settings_can_leave_it_out(start_server: Callable[..., Server]) -> None:
    server = start_server(console="off")
    assert requests.get(f"{server.url}/console/", timeout=30).status_code == 404
    led = requests.get(server.url, headers={"Accept": "text/html"}, allow_redirects=False, timeout=30)
    assert led.status_code == 200
