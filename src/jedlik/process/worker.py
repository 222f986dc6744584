"""One worker: an event loop that serves the stores over HTTP, and does their background work."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable

from jedlik.aws import table_keys
from jedlik.aws.credentials import Credentials
from jedlik.aws.policies import bound_policies
from jedlik.aws.service import background_work
from jedlik.background import runner
from jedlik.config import Settings
from jedlik.dynamodb.replication import known_peers, pulling
from jedlik.iam.identity_stores import IdentityStores
from jedlik.memory import Memory
from jedlik.process.applications import Applications
from jedlik.process.callers import Callers
from jedlik.process.services import KEY_NUMBERS, KEY_SPACES, SERVICES, provide_table_keys
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
from jedlik.wire.http import HttpServer
from jedlik.wire.spinning import spin

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often it is looked whether there is a store to look into."""


def work(site: Site, number: int, ready: Callable[[], None], parent: int, beat: memoryview[int]) -> int:
    """Serve until a signal to stop or to retire, or until the pipe `parent` closes because the parent is gone.

    Calls `ready` once it serves, and from then on counts `beat` up once a second. Returns the exit code.
    """
    return run(site, _serve(site, number, ready, parent, beat))


async def _serve(site: Site, number: int, ready: Callable[[], None], parent: int, beat: memoryview[int]) -> None:
    settings = site.settings
    loop = asyncio.get_running_loop()
    stop = stop_when_asked(parent)
    jobs = BackgroundWork(settings)
    stores = Stores(
        settings,
        opened=jobs.begin,
        closing=jobs.end_of,
        busy=jobs.wanted,
        seals=Seals(site.root_key, KEY_SPACES, KEY_NUMBERS),
    )
    memory = Memory()
    peers = known_peers.KnownPeers(settings, stores, memory.peers, site.peer_certificate)
    stores.peers_of = peers.of
    credentials = Credentials(settings.credentials_file, site.root_key) if settings.auth == "on" else None
    identities = IdentityStores(settings, root_key=site.root_key, failed_sign_ins=site.failed_sign_ins)
    ways = site.ways(stores)
    callers = Callers(settings, credentials, stores, identities, is_secure=site.tls is not None, ways=ways)
    most_looks = math.ceil(settings.hang_timeout)

    def look() -> None:
        stores.look(most_looks)
        callers.look(most_looks)
        for tls in site.certificates:
            look_at_certificates(tls)

    watch = begin(keep_watch(stores, look, beat), "watch")
    idle = begin(close_idle(stores), "closing of idle stores")
    looking = begin(_look_into(stores), "looking into stores")
    following: asyncio.Task[None] | None = None
    try:
        provide_table_keys(settings, stores, identities, callers.authorizer, site.kms_certificate)
        if callers.authorizer is not None:
            bound_policies.provide(identities.unique_id)
        await stores.open_existing()
        applications = Applications(site, stores, identities, callers, ways, memory)
        server = HttpServer(applications.ordinary(), limits_of(settings), site.loads, number, memory)
        server.spin = spin(settings.spin)
        server.start(site.listening, site.tls, settings.proxies)
        for one, way in zip(site.endpoints, ways, strict=True):
            behind = applications.of_endpoint(way, one.endpoint.host)
            server.listen(one.listening, one.tls, behind, settings.proxies)

        def retire() -> None:  # From now on there may be clients.
            jobs.stop()
            server.retire(stop.set)

        loop.add_signal_handler(RETIRE, retire)
        if settings.identity_home is not None and number == 0:
            # Imported only where there is a home: the client costs memory.
            from jedlik.iam.identity_following import Following

            home = Following(identities, settings.peer_secrets[0], site.peer_certificate)
            following = begin(home.run(), "following")
        ready()
        await stop.wait()
        cut_off = await server.stop(settings.stop_timeout)
        if cut_off:
            log.warning("connections cut off", extra={"connections": cut_off})
    finally:
        idle.cancel()
        looking.cancel()
        if following is not None:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        await jobs.end()
        await table_keys.close()
        await peers.close()
        await stores.close()
        await identities.close()
        watch.cancel()


async def _look_into(stores: Stores) -> None:
    """Look for background work in stores that are not open, for as long as the worker runs; at most for half of the
    time, and once a second when all have been looked into."""
    clock = asyncio.get_running_loop().time
    while True:
        begun = clock()
        more = await stores.look_into_next()
        await asyncio.sleep(clock() - begun if more else LOOK_SECONDS)


class BackgroundWork:
    """The jobs of the regions that are open."""

    def __init__(self, settings: Settings) -> None:
        self._work = background_work(SERVICES, settings)
        self._stopped = False
        self._running: dict[str, tuple[asyncio.Event, list[asyncio.Task[None]]]] = {}
        """For each store: the event that ends its jobs, and their tasks."""

    def begin(self, region: Region) -> None:
        """Do a region's jobs from now on."""
        stop = asyncio.Event()
        if self._stopped:
            stop.set()
        tasks: list[asyncio.Task[None]] = []
        self._running[region.store] = stop, tasks
        running = {"jobs": runner.run(region, stop, self._work), "pulling": pulling.run(region, stop)}
        tasks += (begin(work, f"{name} of {region.store}") for name, work in running.items())

    async def wanted(self, region: Region) -> bool:
        """Whether a region has any background work, now or later. Raises StorageError."""
        return await runner.has_work(region, self._work)

    async def end_of(self, region: Region) -> None:
        """Stop the jobs of a region, and wait for the end."""
        stop, tasks = self._running.pop(region.store)
        stop.set()
        await asyncio.gather(*tasks, return_exceptions=True)

    def stop(self) -> None:
        """Begin nothing more. Each job stops at a point from which another worker can go on."""
        self._stopped = True
        for stop, _ in self._running.values():
            stop.set()

    async def end(self) -> None:
        """Stop, and wait for the end."""
        self.stop()
        running = [task for _, tasks in self._running.values() for task in tasks]
        await asyncio.gather(*running, return_exceptions=True)
