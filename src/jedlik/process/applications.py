"""The applications of a worker: what answers the requests of its ordinary port, and of each VPC endpoint.

They are over the same stores, callers and memory, and differ in what the listener knows of a request: its services, its
region, and the policy that limits it.
"""

from __future__ import annotations

from collections.abc import Sequence

from jedlik.aws.authorizer import Authorizer, Everybody
from jedlik.aws.front import Dispatcher
from jedlik.aws.one_region import InRegion
from jedlik.aws.origins import AnyOrigin, Origins, OwnOrigins
from jedlik.aws.peer_signatures import PeerVerifier
from jedlik.aws.private_ways import SERVED
from jedlik.aws.request_log import RequestLog
from jedlik.aws.routing import Router
from jedlik.aws.welcome import Welcome
from jedlik.clock import system_clock
from jedlik.config import Settings
from jedlik.console.sign_in_requests import SignInRequests
from jedlik.console.static_files import StaticFiles
from jedlik.dynamodb.service import PEERS
from jedlik.ec2.endpoint_ways import EndpointWay
from jedlik.iam import identity_copies
from jedlik.iam.endpoint_authorizing import EndpointAuthorizer
from jedlik.iam.identity_stores import IdentityStores
from jedlik.iam.issuing import PolicySessions
from jedlik.iam.signing_in import PasswordSignIns
from jedlik.memory import Memory
from jedlik.process.callers import Callers
from jedlik.process.services import served
from jedlik.process.serving_process import limits_of
from jedlik.process.site import Site
from jedlik.regions import layout
from jedlik.regions.stores import Stores


class Applications:
    """Makes the applications of one worker."""

    def __init__(
        self,
        site: Site,
        stores: Stores,
        identities: IdentityStores,
        callers: Callers,
        ways: Sequence[EndpointWay],
        memory: Memory,
    ) -> None:
        settings = site.settings
        self._site = site
        self._stores = stores
        self._identities = identities
        self._callers = callers
        self._memory = memory
        self._services = served(
            settings.account, callers.keys, identities, callers.authorizer, site.clusters, stores, ways
        )
        is_logged = settings.access_log or settings.slow_request is not None
        self._log = RequestLog(every=settings.access_log, slow=settings.slow_request) if is_logged else None

    def ordinary(self) -> Dispatcher:
        """That of the ordinary port: all services, the regions as peers, and the console."""
        settings = self._site.settings
        peers = PeerVerifier(settings.peer_secrets, system_clock, settings.account)
        router = Router(self._services, self._callers.verifier, {PEERS.name: peers, identity_copies.NAME: peers})
        is_secure = self._site.tls is not None
        made = self._application(
            router,
            settings.host,
            self._callers.authorizer or Everybody(),
            Welcome(settings.served, is_secure=is_secure),
        )
        if settings.console == "on":
            made.others.pages = StaticFiles(
                account=settings.account,
                regions=settings.served,
                used=lambda: [one.region for one in layout.stores_of(settings.data_dir, settings.account, is_own=True)],
                verifies=settings.auth == "on",
                sign_in_requests=self._sign_in_requests(),
            )
        return made

    def of_endpoint(self, way: EndpointWay, host: str) -> Dispatcher:
        """That of a VPC endpoint which listens on `host`: the services that it serves, in its region."""
        authorizer = self._callers.authorizer
        return self._application(
            Router(
                [one for one in self._services if one.signing_name == SERVED],
                InRegion(self._callers.verifier, way.region),
            ),
            host,
            Everybody(way) if authorizer is None else EndpointAuthorizer(authorizer, way),
            Welcome((way.region,), is_secure=way.is_secure),
        )

    def _application(self, router: Router, host: str, authorizer: Authorizer, welcome: Welcome) -> Dispatcher:
        settings = self._site.settings
        made = Dispatcher(
            self._stores,
            router,
            origins_of(settings, host),
            authorizer,
            body_limit=limits_of(settings).body,
            memory=self._memory,
            log=self._log,
        )
        made.others.identity_home = self._identities.home.document
        made.others.welcome = welcome
        return made

    def _sign_in_requests(self) -> SignInRequests | None:
        """What answers people who sign in to the console; None where nobody needs to."""
        identities, authorizer, settings = self._identities, self._callers.authorizer, self._site.settings
        if authorizer is None:
            return None
        sign_ins = PasswordSignIns(identities, authorizer, PolicySessions(identities, authorizer))
        return SignInRequests(sign_ins, (settings.host, *settings.hosts), is_secure=self._site.tls is not None)


def origins_of(settings: Settings, host: str) -> Origins:
    """Which web pages may use a listener on `host`."""
    return AnyOrigin() if settings.auth == "on" else OwnOrigins((host, *settings.hosts), settings.origins)
