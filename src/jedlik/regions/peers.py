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
    """A region could not be asked, or did not answer: it, or the way there, is down. The text names the region and the
    reason."""


class PeerRefuses(PeerUnreachable):
    """A region does not accept this one as its peer. The text names the region and the reason, in a form for the log;
    nothing goes on until one of the two is corrected."""


class Peers(Protocol):
    """The other regions."""

    async def call(self, region: str, operation: str, body: Body) -> Body:
        """The unchecked answer of `region` (`peer_answers.ask`).

        Raises PeerUnreachable (PeerRefuses), WrongAnswer, and the region's refusal, which is a ServiceError.
        """
        ...


class NoPeers:
    """For a region that stands alone."""

    async def call(self, region: str, operation: str, body: Body) -> Body:
        """Raises PeerUnreachable."""
        raise PeerUnreachable(f"{region}: no such region is known here")


Serve = Callable[[str, str, Body], Awaitable[Body]]
"""Lets a region of this process do an operation: region, name of the operation, body. The answer shares nothing with
the region's own data."""


class LocalPeers:
    """The regions that this process serves itself."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve

    async def call(self, region: str, operation: str, body: Body) -> Body:
        """The region's answer, as if it came over a wire: the two regions share nothing that either may change."""
        return await self._serve(region, operation, orjson.loads(orjson.dumps(body)))


class RoutedPeers:
    """Reaches some regions in one way, and all others in another."""

    def __init__(self, ways: Mapping[str, Peers], others: Peers) -> None:
        self._ways = ways
        self._others = others

    async def call(self, region: str, operation: str, body: Body) -> Body:
        """The region's answer, in the region's way."""
        return await self._ways.get(region, self._others).call(region, operation, body)
