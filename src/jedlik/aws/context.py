"""The context of a request: what a handler knows besides what it was sent."""

from __future__ import annotations

from jedlik.regions.region import Region


class Context:
    """One request: where it is served and who asks."""

    __slots__ = ("access_key", "host", "region", "request_id")

    def __init__(self, region: Region, request_id: str, access_key: str | None, host: bytes) -> None:
        self.region = region
        self.request_id = request_id
        self.access_key = access_key
        self.host = host
        """The Host that the client has asked: a name, and perhaps a port; empty if it has not said."""
