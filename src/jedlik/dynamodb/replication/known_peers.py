"""The peers of this process's regions: those that it serves itself, and those elsewhere that the settings name.

Replicas are within one account: a region asks for the region of its own account elsewhere.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from jedlik.aws import stored_items
from jedlik.aws.context import Context, own
from jedlik.aws.region_refusals import region_refusal
from jedlik.config import Settings
from jedlik.dynamodb.operations import PEER_OPERATIONS
from jedlik.memory import Share
from jedlik.peer_certificate import PeerCertificate
from jedlik.regions.layout import store_name
from jedlik.regions.peers import Body, LocalPeers, Peers, RoutedPeers
from jedlik.regions.region import NoAccount, NotServed, Region, TooManyOpen
from jedlik.regions.stores import Stores

if TYPE_CHECKING:
    from jedlik.dynamodb.replication.http_peers import HttpPeers


class KnownPeers:
    """The regions that can be asked from here; answers of those elsewhere share a limit of memory."""

    def __init__(
        self, settings: Settings, stores: Stores, memory: Share, certificate: PeerCertificate | None = None
    ) -> None:
        self._settings = settings
        self._stores = stores
        self._elsewhere: HttpPeers | None = None
        if settings.peers:
            # Imported only if there are peers elsewhere: the client costs memory in every worker.
            from jedlik.dynamodb.replication.http_peers import HttpPeers

            self._elsewhere = HttpPeers(settings.peers, settings.peer_secrets[0], memory, certificate)

    def of(self, account: str) -> Peers:
        """The regions that the regions of an account can ask."""
        other = None if account == self._settings.account else account
        local = LocalPeers(partial(self._serve, other))
        if self._elsewhere is None:
            return local
        return RoutedPeers(dict.fromkeys(self._settings.peers, self._elsewhere.of(other)), local)

    async def close(self) -> None:
        """Release the connections to regions elsewhere."""
        if self._elsewhere is not None:
            await self._elsewhere.close()

    async def _serve(self, account: str | None, region: str, operation: str, body: Body) -> Body:
        served = PEER_OPERATIONS[operation]

        async def answer(asked: Region) -> Body:
            context = Context(asked, "of a peer", own(asked))
            answer: Body = stored_items.plain(await served.handler(context, served.validate(body)) or {})
            return answer

        try:
            return await self._stores.use(store_name(region, account), answer)
        except (NotServed, NoAccount, TooManyOpen) as error:
            raise region_refusal(error) from error
