"""The page for a browser that visits the server: what this is, and how to use it."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from jedlik import __version__

HTML = b"text/html; charset=utf-8"
SVG = b"image/svg+xml"
HEADERS = (
    b"Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; base-uri 'none'; "
    b"form-action 'none'; frame-ancestors 'none'\r\nX-Content-Type-Options: nosniff\r\nVary: Accept\r\n"
)
"""The page loads nothing but its icon, and does nothing."""
KEPT_LONG = b"Cache-Control: max-age=86400\r\n"

ICON = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="8" fill="#17324d"/>'
    b'<path d="M9.5 2 4 9h3.2L6.5 14 12 7H8.8z" fill="#ffd34d"/></svg>\n'
)
"""A spark: Jedlik built a dynamo."""

HOST = re.compile(rb"[A-Za-z0-9._-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")
"""A Host that may be shown as part of a URL."""
LONGEST_HOST = 255


def is_wanted(accept: bytes) -> bool:
    """Whether an Accept header comes from a person's browser. Programs accept anything, or send none."""
    return b"text/html" in accept


class Welcome:
    """The page of one server."""

    def __init__(self, regions: Sequence[str] = (), *, is_secure: bool = False) -> None:
        """`regions` are those that are served; empty if any is."""
        self._regions = regions
        self._scheme = "https" if is_secure else "http"

    def page(self, host: bytes, services: Sequence[str]) -> bytes:
        """The page for a request with this Host."""
        is_shown = len(host) <= LONGEST_HOST and HOST.fullmatch(host)
        url = f"{self._scheme}://{host.decode('latin-1') if is_shown else '127.0.0.1:8000'}"
        region = self._regions[0] if self._regions else "eu-central-1"
        commands = (
            f"export AWS_ENDPOINT_URL_DYNAMODB={url}\n"
            f"export AWS_ENDPOINT_URL_DYNAMODB_STREAMS={url}\n"
            f"export AWS_DEFAULT_REGION={region}\n"
            "aws dynamodb list-tables"
        )
        return PAGE.format(
            version=html.escape(__version__),
            regions=html.escape(", ".join(self._regions) or "any; each has tables of its own"),
            services=html.escape(", ".join(services)),
            commands=html.escape(commands),
        ).encode()


PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Jedlik</title>
<link rel="icon" href="/favicon.ico" type="image/svg+xml">
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto; padding: 0 1rem; color: #17324d }}
h1 {{ margin-bottom: 0 }} dt {{ font-weight: 600 }} dd {{ margin: 0 0 .5rem }}
pre {{ background: #eef2f6; padding: 1rem; overflow-x: auto; border-radius: .3rem }}
@media (prefers-color-scheme: dark) {{ body {{ background: #10202f; color: #dfe8f0 }} pre {{ background: #1b3044 }}
a {{ color: #8fc3ff }} }}
</style>
<h1>Jedlik</h1>
<p>An open, self-hosted DynamoDB. This server works: you have reached it with a browser, and programs use it.</p>
<dl>
<dt>Version</dt><dd>{version}</dd>
<dt>Regions</dt><dd>{regions}</dd>
<dt>Services</dt><dd>{services}</dd>
</dl>
<p>The AWS CLI and every SDK come here with this in their environment, and with credentials:</p>
<pre>{commands}</pre>
<p><a href="/healthz">Is it healthy?</a> <a href="/readyz">Can it write?</a>
<a href="https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/">DynamoDB's own documentation</a></p>
</html>
"""
