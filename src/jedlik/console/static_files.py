"""Serves the console's files, as they were built (`console/build.py` in a checkout), with what they cannot know.

Files are kept compressed, in memory: there are few, and most browsers take them as they are. Their names change with
their content, so a browser may keep them for ever, all but `index.html`. They are read again when that has changed:
a checkout may build the console while the server runs.

    /console/                   the page; below it everything is of the page's own making (behind the #)
    /console/assets/...         its parts
    /console/settings.json      what it must know of the server: version, account, regions, whether it signs
    /console/sign-in            where a user's password is sent, with POST (`sign_in_requests`)
"""

from __future__ import annotations

import gzip
import html
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import orjson

from jedlik import __version__
from jedlik.aws.shapes import service_model
from jedlik.aws.web_pages import Page
from jedlik.console.sign_in_requests import SignInRequests
from jedlik.wire.messages import Source

HOME = b"/console/"
SIGN_IN = b"/console/sign-in"
BUILT = Path(__file__).parent / "built"
"""Where a build puts the files, each compressed by gzip."""
STATE = Path(__file__).parent / "build-state.json"
"""What a build that runs, or has failed, writes about itself."""

INDEX = "index.html"
TYPES = {
    ".css": b"text/css; charset=utf-8",
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
    ".woff2": b"font/woff2",
}
"""Content types of the files that there may be."""
JSON = b"application/json"

POLICY = (
    b"Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    b"frame-ancestors 'none'\r\nX-Frame-Options: DENY\r\n"
    b"X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"
)
"""The page loads what is its own, asks its own server, and is shown in nobody's frame."""
FRESH = b"Cache-Control: no-cache\r\n"
KEPT = b"Cache-Control: public, max-age=31536000, immutable\r\n"
GZIPPED = b"Content-Encoding: gzip\r\n"

PARTITION = "aws"
"""The one whose regions are offered where any may be used."""


class StaticFiles:
    """The console of one server."""

    home = HOME

    def __init__(
        self,
        *,
        account: str,
        regions: Sequence[str],
        used: Callable[[], Sequence[str]],
        verifies: bool,
        sign_in_requests: SignInRequests | None = None,
        built: Path = BUILT,
    ) -> None:
        """`regions` are those that are served; empty where any is. `used` are those that have data."""
        self._sign_in_requests = sign_in_requests
        self._built = built
        self._files: dict[str, bytes] = {}
        self._read_of: tuple[int, ...] | None = None
        """Which index page they were read with. Two builds may be of one moment, as file systems count."""
        self._account = account
        self._regions = regions
        self._used = used
        self._verifies = verifies

    @property
    def are_here(self) -> bool:
        """Whether the console is built."""
        return (self._built / f"{INDEX}.gz").exists()

    def page(self, path: bytes, headers: Mapping[bytes, bytes]) -> Page | None:
        """A file, or a page that explains its absence."""
        name = path.removeprefix(HOME).decode("latin-1") or INDEX
        if name == "settings.json":
            return Page(200, JSON, self._settings(), FRESH + POLICY)
        is_built = self._read()
        if name == INDEX and not is_built:
            return Page(503, TYPES[".html"], missing(), FRESH + POLICY)
        content = self._files.get(name)
        if content is None:
            return None
        lines = POLICY + (FRESH if name == INDEX else KEPT) + b"Vary: Accept-Encoding\r\n"
        kind = TYPES[Path(name).suffix]
        if b"gzip" in headers.get(b"accept-encoding", b""):
            return Page(200, kind, content, lines + GZIPPED)
        return Page(200, kind, gzip.decompress(content), lines)

    def takes(self, path: bytes) -> bool:
        """Whether a path is that of sign-ins."""
        return self._sign_in_requests is not None and path == SIGN_IN

    async def posted(self, headers: Mapping[bytes, bytes], body: bytes, source: Source, request_id: str) -> Page:
        """The answer to a sign-in."""
        assert self._sign_in_requests is not None
        return await self._sign_in_requests.answer(headers, body, source, request_id)

    def _read(self) -> bool:
        """Read the files, if they are there and have changed. Returns whether they are there."""
        try:
            status = (self._built / f"{INDEX}.gz").stat()
        except OSError:
            return False
        index = status.st_mtime_ns, status.st_ino, status.st_size
        if index != self._read_of:
            paths = [path for path in self._built.rglob("*.gz") if path.with_suffix("").suffix in TYPES]
            named = {path.relative_to(self._built).with_suffix("").as_posix(): path for path in paths}
            self._files = {name: path.read_bytes() for name, path in named.items()}
            self._read_of = index
        return True

    def _settings(self) -> bytes:
        return orjson.dumps(
            {
                "version": __version__,
                "auth": self._verifies,
                "account": self._account,
                "regions": self._offered(),
            }
        )

    def _offered(self) -> list[str]:
        """The regions to choose from, the one to begin with first. Where any may be used, also by a name of one's own,
        that is one with data; strangers to a server that verifies signatures do not learn which these are."""
        if self._regions:
            return list(self._regions)
        used = [] if self._verifies else sorted(self._used(), key=_order)
        return used + [name for name in known_regions() if name not in used]


@cache
def known_regions() -> list[str]:
    """The names of AWS's regions, those that most people use first."""
    partitions = orjson.loads((service_model.data_folder() / "partitions.json").read_bytes())["partitions"]
    [regions] = [partition["regions"] for partition in partitions if partition["id"] == PARTITION]
    return sorted((name for name in regions if "global" not in name), key=_order)


def _order(name: str) -> tuple[int, str]:
    area = name.partition("-")[0]
    return ({"us": 0, "eu": 1}.get(area, 2), name)


def missing() -> bytes:
    """The page that is shown where the console is not built: why, and what to do."""
    try:
        state = json.loads(STATE.read_text())
    except (OSError, ValueError):
        state = {}
    if state.get("state") == "building":
        head = '<meta http-equiv="refresh" content="2">'
        text = "The console is being built. That takes about a minute the first time; this page then shows it."
    elif state.get("state") == "failed":
        head = ""
        text = f"The console could not be built: {state.get('why', '')}"
    else:
        head = ""
        text = "The console is not built here. Run make console in a checkout, and install Jedlik from it again."
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Jedlik console</title>{head}</head>'
        f"<body><h1>Jedlik console</h1><p>{html.escape(text)}</p>"
        "<p>The services answer all the same.</p></body></html>\n"
    ).encode()
