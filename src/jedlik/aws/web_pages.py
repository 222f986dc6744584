"""Web pages that are served beside the services: what the front asks for one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from jedlik.wire.messages import Source


class Page(NamedTuple):
    """A file for a browser, or the reason for its absence."""

    status: int
    content_type: bytes
    body: bytes
    lines: bytes = b""
    """Header lines, each with its end."""


class Pages(Protocol):
    """Pages below one path."""

    home: bytes
    """The path of the first one. What begins with it is asked for here."""

    @property
    def are_here(self) -> bool:
        """Whether there is anything to show, so that a browser is sent there."""
        ...

    def page(self, path: bytes, headers: Mapping[bytes, bytes]) -> Page | None:
        """What a path below `home`, without its query, is answered with; None if it leads nowhere."""
        ...

    def takes(self, path: bytes) -> bool:
        """Whether something may be sent to a path, with POST."""
        ...

    async def posted(self, headers: Mapping[bytes, bytes], body: bytes, source: Source, request_id: str) -> Page:
        """What is answered to what was sent to such a path, from an address. Raises ServiceError and StorageError."""
        ...
