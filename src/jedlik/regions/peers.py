"""Peers: the other regions, as those that ask them see them.

A question is an operation's name and a JSON object, and so is the answer. A region that is served by this process is
asked without the network, by the same code as any other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import orjson

Body = dict[str, Any]


class PeerUnreachable(Exception):
    """A region could not be asked, or did not answer: it, or the way there, is down. Says which and why."""


class PeerRefuses(PeerUnreachable):
    """A region does not take this one for its peer. Says which and why, fit for a log; nothing goes on until that is
    put right there or here."""


class Peers(Protocol):
    """The other regions."""

    async def call(self, region: str, operation: str, body: Body) -> Body:
        """What `region` answers, unchecked (`answers.ask`).

        Raises PeerUnreachable (PeerRefuses), WrongAnswer, and what the region refuses with, which is a ServiceError.
        """
        ...


class NoPeers:
    """For a region that stands alone."""

    async def call(self, region: str, operation: str, body: Body) -> Body:
        """Raises PeerUnreachable."""
        raise PeerUnreachable(f"{region}: no such region is known here")


Serve = Callable[[str, str, Body], Awaitable[Body]]
"""Has a region of this process do an operation: region, name of the operation, body. The answer shares nothing with
what the region keeps."""


class LocalPeers:
    """The regions that this process serves itself."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve

    async def call(self, region: str, operation: str, body: Body) -> Body:
        """What the region answers, as it would come over a wire: the two share nothing that either may change."""
        return await self._serve(region, operation, orjson.loads(orjson.dumps(body)))


class RoutedPeers:
    """Some regions by a way of their own, all others by another."""

    def __init__(self, ways: Mapping[str, Peers], others: Peers) -> None:
        self._ways = ways
        self._others = others

    async def call(self, region: str, operation: str, body: Body) -> Body:
        """What the region answers by its way."""
        return await self._ways.get(region, self._others).call(region, operation, body)
