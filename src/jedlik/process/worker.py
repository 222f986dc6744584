"""One worker: an event loop that serves the stores over HTTP, and does their background work."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable

from jedlik.aws import table_keys
from jedlik.aws.authorizer import Everybody
from jedlik.aws.credentials import Credentials
from jedlik.aws.front import Dispatcher
from jedlik.aws.one_region import InRegion
from jedlik.aws.origins import AnyOrigin, Origins, OwnOrigins
from jedlik.aws.peer_signatures import PeerVerifier
from jedlik.aws.private_ways import SERVED
from jedlik.aws.request_log import RequestLog
from jedlik.aws.routing import Router
from jedlik.aws.service import background_work
from jedlik.aws.welcome import Welcome
from jedlik.background import runner
from jedlik.clock import system_clock
from jedlik.config import Settings
from jedlik.console.sign_in_requests import SignInRequests
from jedlik.console.static_files import StaticFiles
from jedlik.dynamodb.replication import known_peers, pulling
from jedlik.dynamodb.service import PEERS
from jedlik.iam import identity_copies
from jedlik.iam.authorizing import PolicyAuthorizer
from jedlik.iam.endpoint_authorizing import EndpointAuthorizer
from jedlik.iam.identity_stores import IdentityStores
from jedlik.iam.issuing import PolicySessions
from jedlik.iam.signing_in import PasswordSignIns
from jedlik.memory import Memory
from jedlik.process.callers import Callers
from jedlik.process.services import KEY_NUMBERS, KEY_SPACES, SERVICES, provide_table_keys, served
from jedlik.process.serving_process import (
    RETIRE,
    close_idle,
    keep_watch,
    limits_of,
    log_failure,
    look_at_certificates,
    run,
    stop_when_asked,
)
from jedlik.process.site import Site
from jedlik.regions import layout
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

    watch = loop.create_task(keep_watch(stores, look, beat), name="watch")
    watch.add_done_callback(log_failure)
    idle = loop.create_task(close_idle(stores), name="closing of idle stores")
    idle.add_done_callback(log_failure)
    looking = loop.create_task(_look_into(stores), name="looking into stores")
    looking.add_done_callback(log_failure)
    following: asyncio.Task[None] | None = None
    try:
        provide_table_keys(settings, stores, identities, callers.authorizer, site.kms_certificate)
        await stores.open_existing()
        limits = limits_of(settings)
        authorizer = callers.authorizer
        is_logged = settings.access_log or settings.slow_request is not None
        peer_verifier = PeerVerifier(settings.peer_secrets, system_clock, settings.account)
        request_log = RequestLog(every=settings.access_log, slow=settings.slow_request) if is_logged else None
        services = served(settings.account, callers.keys, identities, authorizer, site.clusters, stores, ways)
        dispatcher = Dispatcher(
            stores,
            Router(services, callers.verifier, {PEERS.name: peer_verifier, identity_copies.NAME: peer_verifier}),
            origins_of(settings, settings.host),
            authorizer or Everybody(),
            body_limit=limits.body,
            memory=memory,
            log=request_log,
        )
        dispatcher.others.identity_home = identities.home.document
        dispatcher.others.welcome = Welcome(settings.served, is_secure=site.tls is not None)
        if settings.console == "on":
            dispatcher.others.pages = StaticFiles(
                account=settings.account,
                regions=settings.served,
                used=lambda: [one.region for one in layout.stores_of(settings.data_dir, settings.account, is_own=True)],
                verifies=settings.auth == "on",
                sign_in_requests=sign_in_requests(site, identities, authorizer),
            )
        server = HttpServer(dispatcher, limits, site.loads, number, memory)
        server.spin = spin(settings.spin)
        server.start(site.listening, site.tls, settings.proxies)
        for one, way in zip(site.endpoints, ways, strict=True):
            reached = [each for each in services if each.signing_name == SERVED]
            behind = Dispatcher(
                stores,
                Router(reached, InRegion(callers.verifier, way.region)),
                origins_of(settings, one.endpoint.host),
                Everybody(way) if authorizer is None else EndpointAuthorizer(authorizer, way),
                body_limit=limits.body,
                memory=memory,
                log=request_log,
            )
            behind.others.identity_home = identities.home.document
            behind.others.welcome = Welcome((way.region,), is_secure=way.is_secure)
            server.listen(one.listening, one.tls, behind, settings.proxies)

        def retire() -> None:  # From now on there may be clients.
            jobs.stop()
            server.retire(stop.set)

        loop.add_signal_handler(RETIRE, retire)
        if settings.identity_home is not None and number == 0:
            # Imported only where there is a home: the client costs memory.
            from jedlik.iam.identity_following import Following

            home = Following(identities, settings.peer_secrets[0], site.peer_certificate)
            following = loop.create_task(home.run(), name="following")
            following.add_done_callback(log_failure)
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


def sign_in_requests(
    site: Site, identities: IdentityStores, authorizer: PolicyAuthorizer | None
) -> SignInRequests | None:
    """What answers people who sign in to the console; None where nobody needs to."""
    if authorizer is None:
        return None
    sign_ins = PasswordSignIns(identities, authorizer, PolicySessions(identities, authorizer))
    settings = site.settings
    return SignInRequests(sign_ins, (settings.host, *settings.hosts), is_secure=site.tls is not None)


def origins_of(settings: Settings, host: str) -> Origins:
    """Which web pages may use a listener on `host`."""
    return AnyOrigin() if settings.auth == "on" else OwnOrigins((host, *settings.hosts), settings.origins)


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
        for name, work in running.items():
            task = asyncio.get_running_loop().create_task(work, name=f"{name} of {region.store}")
            task.add_done_callback(log_failure)
            tasks.append(task)

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
