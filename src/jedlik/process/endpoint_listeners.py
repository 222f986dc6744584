"""What listens at VPC endpoints: sockets of their own, taken once by the parent, and their certificates."""

from __future__ import annotations

import dataclasses
import socket
from dataclasses import dataclass

from jedlik.aws.policies.policy_parser import MalformedPolicy
from jedlik.aws.private_ways import check_policy
from jedlik.config import Settings, SettingsError
from jedlik.process.listeners import StartError, take_port
from jedlik.vpc_endpoints import VpcEndpoint
from jedlik.wire.certificates import CertificateError, CertificateFiles, Certificates


@dataclass(frozen=True, slots=True)
class EndpointListener:
    """A VPC endpoint, and where it listens."""

    endpoint: VpcEndpoint
    listening: list[socket.socket]
    tls: Certificates | None


def taken(settings: Settings) -> tuple[EndpointListener, ...]:
    """Listen at all VPC endpoints. Raises StartError, and listens nowhere then."""
    checked = [(one, _tls(one)) for one in settings.vpc_endpoints.values()]
    found: list[EndpointListener] = []
    try:
        for endpoint, tls in checked:
            found.append(EndpointListener(endpoint, take_port(endpoint.host, endpoint.port), tls))
    except StartError:
        for each in found:
            for one in each.listening:
                one.close()
        raise
    return tuple(found)


def renewed(former: tuple[EndpointListener, ...], settings: Settings) -> tuple[EndpointListener, ...]:
    """The same listeners with settings read again. Raises StartError, and SettingsError if there are others."""
    again = settings.vpc_endpoints
    if {one.endpoint.id: one.endpoint.listen for one in former} != {one.id: one.listen for one in again.values()}:
        raise SettingsError("vpc_endpoints can be added, removed and moved only by stopping the server and starting it")
    return tuple(
        dataclasses.replace(one, endpoint=again[one.endpoint.id], tls=_tls(again[one.endpoint.id])) for one in former
    )


def _tls(endpoint: VpcEndpoint) -> Certificates | None:
    """What TLS needs at an endpoint, whose policy is checked, too."""
    if endpoint.policy is not None:
        try:
            check_policy(endpoint.policy)
        except MalformedPolicy as error:
            raise StartError(f"vpc_endpoints.{endpoint.id}: the policy cannot be used: {error}") from error
    if endpoint.tls_cert is None or endpoint.tls_key is None:
        return None
    files = CertificateFiles(
        endpoint.tls_cert,
        endpoint.tls_key,
        endpoint.tls_client_ca,
        endpoint.needs_client_certs,
        endpoint.tls_client_crl,
    )
    try:
        return Certificates(files)
    except CertificateError as error:
        raise StartError(f"vpc_endpoints.{endpoint.id}: {error}") from error
