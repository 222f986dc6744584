"""Requests that are no operation: health, a browser's preflight, and the pages for people.

None of them needs a signature. Anything else is answered with DynamoDB's 404.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from jedlik.aws import answers, welcome
from jedlik.aws.errors import ServiceError
from jedlik.aws.origins import Origins
from jedlik.aws.request_log import log_fault
from jedlik.aws.web_pages import Pages
from jedlik.wire.messages import Request, Response

if TYPE_CHECKING:
    from jedlik.regions.stores import Stores

PREFLIGHT = {
    b"access-control-request-headers": b"Access-Control-Allow-Headers: %b\r\n",
    b"access-control-request-method": b"Access-Control-Allow-Methods: %b\r\n",
}
"""What a preflight asks for, and the line that allows it."""
PREFLIGHT_LIFETIME = b"Access-Control-Max-Age: 172800\r\n"

HEALTHY = b"/healthz"
"""As the root, answered as long as the event loop turns."""
ICON = b"/favicon.ico"
READY = b"/readyz"
"""Whether the stores that this worker has open can be written to."""


class OtherRequests:
    """Answers what is no operation, at one listener."""

    def __init__(self, stores: Stores, origins: Origins, services: Sequence[str]) -> None:
        """`services` are the names to show of those that are served."""
        self._stores = stores
        self._origins = origins
        self._services = services
        self.welcome = welcome.Welcome()
        self.identity_home: Callable[[], Mapping[str, Any] | None] = no_home
        """What is known of the server at which identity is changed, and whether that is too old."""
        self.pages: Pages | None = None
        """What is served to browsers, the one page of `welcome` aside."""

    async def answer(self, request: Request, request_id: str) -> Response:
        """The answer to a request that names no operation."""
        if self.pages is not None and request.method == b"POST" and self.pages.takes(request.target):
            return await self._posted(self.pages, request, request_id)
        headers = request.headers
        more = self._origins.allowance(headers) if b"origin" in headers else b""
        if request.method == b"OPTIONS" and more:
            more += b"".join(line % headers[name] for name, line in PREFLIGHT.items() if name in headers)
            return answers.response(200, answers.TEXT, b"", request_id, more + PREFLIGHT_LIFETIME)
        if request.method in (b"GET", b"HEAD"):
            seen = self._seen(request, request_id, more)
            if seen is not None:
                return seen
        return answers.response(404, answers.XML, answers.NOT_AN_OPERATION, request_id, more)

    async def _posted(self, pages: Pages, request: Request, request_id: str) -> Response:
        """The answer to what a page of the server has sent to it. No other page may read it."""
        try:
            page = await pages.posted(request.headers, request.body, request.source, request_id)
        except ServiceError as error:
            return answers.response(error.status, answers.JSON, answers.error_body(error), request_id)
        except (Exception, asyncio.CancelledError) as error:
            log_fault(request, request_id, error)
            return answers.response(answers.FAULT.status, answers.JSON, answers.error_body(answers.FAULT), request_id)
        return answers.response(page.status, page.content_type, page.body, request_id, page.lines)

    def _seen(self, request: Request, request_id: str, more: bytes) -> Response | None:
        """What may be looked at: health, the page for people and its icon; None if there is no such thing."""
        headers = request.headers
        if request.target == READY:
            return self._readiness(request_id, more)
        if request.target == ICON:
            return answers.response(200, welcome.SVG, welcome.ICON, request_id, more + welcome.KEPT_LONG)
        is_root = at_root(request.target)
        wants_page = is_root and welcome.is_wanted(headers.get(b"accept", b""))
        if self.pages is not None:
            home = self.pages.home
            path, _, _ = request.target.partition(b"?")
            if path == home[:-1] or (wants_page and self.pages.are_here):
                away = b"Location: %b\r\nVary: Accept\r\n" % home
                return answers.response(302, answers.TEXT, b"", request_id, more + away)
            if path.startswith(home):
                shown = self.pages.page(path, headers)
                if shown is None:
                    return None
                return answers.response(shown.status, shown.content_type, shown.body, request_id, more + shown.lines)
        if wants_page:
            page = self.welcome.page(headers.get(b"host", b""), self._services)
            return answers.response(200, welcome.HTML, page, request_id, more + welcome.HEADERS)
        if is_root or request.target == HEALTHY:
            body = b"healthy: %b " % headers.get(b"host", b"")
            return answers.response(200, answers.TEXT, body, request_id, more)
        return None

    def _readiness(self, request_id: str, more: bytes) -> Response:
        """Whether this worker can write, and what it knows of its home of identity."""
        troubles = self._stores.troubles()
        identity = self.identity_home()
        is_ready = not troubles and not (identity or {}).get("stale")
        answer = {"ready": is_ready, "regions": troubles or None, "identity": identity}
        body = orjson.dumps({name: value for name, value in answer.items() if value is not None})
        return answers.response(200 if is_ready else 503, answers.JSON, body, request_id, more)


def no_home() -> None:
    """For a server at which identity is changed."""


def at_root(target: bytes) -> bool:
    """Whether a request's target is the one path that there is, with or without a query string."""
    return target == b"/" or target.startswith(b"/?")
