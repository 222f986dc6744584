"""A node of DAX: a process beside the workers, with an event loop that serves DAX's clients, and caches of its own.

It opens the same stores as the workers, which several processes may share, and calls the operations of DynamoDB as they
do. Background work is the workers'.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Mapping

from jedlik.aws import table_keys
from jedlik.aws.authorizer import Everybody
from jedlik.aws.calls import Calls
from jedlik.aws.credentials import Credentials
from jedlik.dax import cluster_records, node_board
from jedlik.dax.access_log import AccessLog
from jedlik.dax.attribute_lists import AttributeLists
from jedlik.dax.cache import Cache
from jedlik.dax.cluster_access import ClusterAccess
from jedlik.dax.following import Following
from jedlik.dax.listener import Listener
from jedlik.dax.node import Node, Place
from jedlik.dax.node_board import NodeName
from jedlik.dax.plane import Plane
from jedlik.dynamodb.changes import followers
from jedlik.dynamodb.model.expressions import projections
from jedlik.dynamodb.model.expressions.placeholders import Placeholders
from jedlik.dynamodb.service import SERVICE as DYNAMODB
from jedlik.iam.identity_stores import IdentityStores
from jedlik.iam.service_roles import ServiceRoles
from jedlik.memory import MIB, Memory
from jedlik.process.callers import Callers
from jedlik.process.node_seats import Seat
from jedlik.process.services import DAX_PRINCIPAL, KEY_NUMBERS, KEY_SPACES, provide_table_keys
from jedlik.process.serving_process import (
    RETIRE,
    begin,
    close_idle,
    keep_watch,
    limits_of,
    look_at_certificates,
    run,
    stop_when_asked,
)
from jedlik.process.site import Site
from jedlik.regions.region import Region
from jedlik.regions.store_keys import Seals
from jedlik.regions.stores import Stores
from jedlik.wire.spinning import spin

log = logging.getLogger(__name__)


def work(site: Site, seat: Seat, ready: Callable[[], None], parent: int, beat: memoryview[int]) -> int:
    """Be this node until a signal to stop or to retire, or until the pipe `parent` closes because the
    parent is gone.

    Calls `ready` once it serves, and from then on counts `beat` up once a second. Returns the exit code.
    """
    return run(site, _serve(site, seat, ready, parent, beat))


async def _serve(site: Site, seat: Seat, ready: Callable[[], None], parent: int, beat: memoryview[int]) -> None:
    settings = site.settings
    loop = asyncio.get_running_loop()
    stop = stop_when_asked(parent)
    cache = Cache(settings.dax_memory * MIB)
    name = seat.name
    follow = None if settings.dax_stale else followers.follow
    following = Following(cache, follow, f"dax/{name.node}")
    stores = following.stores = Stores(
        settings, busy=following.wanted, seals=Seals(site.root_key, KEY_SPACES, KEY_NUMBERS)
    )
    identities = IdentityStores(settings, root_key=site.root_key)
    credentials = Credentials(settings.credentials_file, site.root_key) if settings.auth == "on" else None
    callers = Callers(settings, credentials, stores, identities, is_secure=seat.is_encrypted)
    most_looks = math.ceil(settings.hang_timeout)

    tls = site.tls if seat.is_encrypted else None

    def look() -> None:
        stores.look(most_looks)
        callers.look(most_looks)
        look_at_certificates(tls)

    tasks = {
        "watch of a node of DAX": keep_watch(stores, look, beat),
        "closing of idle stores": close_idle(stores),
        "following of tables": following.follow_all(),
    }
    running = [begin(task, what) for what, task in tasks.items()]
    memory = Memory()
    try:
        authorizer = callers.authorizer
        provide_table_keys(settings, stores, identities, authorizer, site.kms_certificate)
        plane = Plane(
            Calls(stores, DYNAMODB.operations, authorizer or Everybody(), memory.answers),
            AttributeLists(stores),
            cache,
            check_projection,
            stores,
            following,
            name.cluster,
        )
        board = node_board.current()
        assert board is not None
        access = None
        if authorizer is not None:
            role = settings.dax_role if name.store == node_board.ANY_STORE else await _role(stores, name)
            access = ClusterAccess(authorizer, ServiceRoles(identities, DAX_PRINCIPAL), name.cluster, role or "")
        is_logged = settings.access_log or settings.slow_request is not None
        requests = AccessLog(name, every=settings.access_log, slow=settings.slow_request) if is_logged else None
        place = Place(name, board, settings.dax_address)
        node = Node(plane, callers.verifier, place, settings.account, access, requests)
        listener = Listener(node, limits_of(settings), memory)
        listener.spin = spin(settings.spin)
        listener.start(seat.listening, tls)
        loop.add_signal_handler(RETIRE, lambda: listener.retire(stop.set))
        ready()
        await stop.wait()
        cut_off = await listener.stop(settings.stop_timeout)
        if cut_off:
            log.warning("connections of DAX cut off", extra={"connections": cut_off})
    finally:
        for task in running:
            task.cancel()
        await following.end()
        await table_keys.close()
        await stores.close()
        await identities.close()


async def _role(stores: Stores, name: NodeName) -> str | None:
    """The role of a cluster that was made; None if it has just been deleted."""

    async def look_up(region: Region) -> str | None:
        made = (await cluster_records.cluster_of(region, name.cluster)).made
        return None if made is None else made.role

    return await stores.use(name.store, look_up)


def check_projection(text: str, names: Mapping[str, str]) -> None:
    """Refuse the text of a projection, with its names, that DynamoDB would refuse. Raises ValidationException."""
    projections.projection(text, Placeholders(dict(names), None))
