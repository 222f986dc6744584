"""The site of a server: what its workers and nodes share, made once by the process that starts them."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass, field

from jedlik.config import Settings
from jedlik.dax.cluster_views import ClusterHost
from jedlik.ec2.endpoint_ways import EndpointWay
from jedlik.iam.failed_sign_ins import FailedSignIns
from jedlik.peer_certificate import PeerCertificate
from jedlik.process.endpoint_listeners import EndpointListener
from jedlik.regions.root_key_record import Found
from jedlik.regions.stores import Stores
from jedlik.root_key import ABSENT, RootKey
from jedlik.wire.certificates import Certificates
from jedlik.wire.loads import Loads


@dataclass(frozen=True, slots=True)
class Site:
    """What the workers of a server share."""

    settings: Settings
    listening: list[socket.socket]
    tls: Certificates | None
    loads: Loads
    dax_url: str | None = None
    """Where the first node of the server's own cluster of DAX is to be found."""
    root_key: RootKey = ABSENT
    """Made before the workers are forked, and shared with them."""
    key: Found | None = None
    """Where the root key came from; None for a server without one."""
    since: float = field(default_factory=time.time)
    """When the server began, in seconds since the epoch."""
    failed_sign_ins: FailedSignIns = field(default_factory=FailedSignIns)
    endpoints: tuple[EndpointListener, ...] = ()
    """The VPC endpoints."""
    peer_certificate: PeerCertificate | None = None
    """What is shown to servers of other regions, and to the home of identities."""
    kms_certificate: PeerCertificate | None = None
    """What is shown to another KMS."""

    @property
    def sockets(self) -> list[socket.socket]:
        """All sockets on which the workers listen."""
        return [*self.listening, *(each for one in self.endpoints for each in one.listening)]

    @property
    def certificates(self) -> list[Certificates]:
        """What TLS needs at the listeners that speak it."""
        return [tls for tls in (self.tls, *(one.tls for one in self.endpoints)) if tls is not None]

    @property
    def url(self) -> str:
        """Where the server is to be found."""
        return f"{'https' if self.tls else 'http'}://{authority(self.listening)}"

    def ways(self, stores: Stores) -> list[EndpointWay]:
        """The VPC endpoints, over the stores of a process."""
        settings = self.settings
        return [
            EndpointWay(
                one.endpoint, authority(one.listening), settings.account, settings.region_of(one.endpoint), stores
            )
            for one in self.endpoints
        ]

    @property
    def endpoint_urls(self) -> dict[str, str]:
        """Where each VPC endpoint is to be found."""
        return {
            one.endpoint.id: f"{'https' if one.tls else 'http'}://{authority(one.listening)}" for one in self.endpoints
        }

    @property
    def clusters(self) -> ClusterHost:
        """What clusters of DAX depend on."""
        return ClusterHost(
            address=self.listening[0].getsockname()[0],
            announced=self.settings.dax_address,
            has_certificate=self.tls is not None,
            has_default=self.settings.dax,
            since=self.since,
            role=self.settings.dax_role,
        )


def authority(listening: list[socket.socket]) -> str:
    """The address and port of sockets, as a URL has them."""
    host, port = listening[0].getsockname()[:2]
    return f"{f'[{host}]' if ':' in host else host}:{port}"
