"""The peers of this process's regions: those that it serves itself, and those that the settings say where to find."""

from __future__ import annotations

from jedlik.aws import stored_items
from jedlik.aws.context import Context, own
from jedlik.aws.front import region_refusal
from jedlik.config import Settings
from jedlik.dynamodb.operations import PEER_OPERATIONS
from jedlik.memory import Share
from jedlik.regions.peers import Body, LocalPeers, Peers, RoutedPeers
from jedlik.regions.region import NotServed, Region, TooManyOpen
from jedlik.regions.stores import Stores


def known_to(settings: Settings, stores: Stores, memory: Share) -> Peers:
    """The regions that can be asked from here; those elsewhere may answer what there is memory for."""

    async def serve(region: str, operation: str, body: Body) -> Body:
        served = PEER_OPERATIONS[operation]

        async def answer(asked: Region) -> Body:
            context = Context(asked, "of a peer", own(asked))
            told: Body = stored_items.plain(await served.handler(context, served.validate(body)) or {})
            return told

        try:
            return await stores.use(region, answer)
        except (NotServed, TooManyOpen) as error:
            raise region_refusal(error) from error

    local = LocalPeers(serve)
    if not settings.peers:
        return local
    # Imported only where there are peers elsewhere: the client costs memory in every worker.
    from jedlik.dynamodb.replication.http_peers import HttpPeers

    elsewhere = HttpPeers(settings.peers, settings.peer_secrets[0], memory)
    return RoutedPeers(dict.fromkeys(settings.peers, elsewhere), local)
