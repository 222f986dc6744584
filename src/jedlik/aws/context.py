"""The context of a request: what a handler knows besides what it was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from jedlik.aws.access import Access, Scope
from jedlik.aws.meter import Meter
from jedlik.aws.principals import Principal
from jedlik.regions.region import Region
from jedlik.wire.messages import LatestHead, Source

if TYPE_CHECKING:
    from jedlik.aws.private_ways import PrivateWay
    from jedlik.aws.sigv4 import Signed

PARTITION = "aws"
"""The partition of every ARN that is made here."""


class Caller(NamedTuple):
    """Who asks."""

    account: str
    """Twelve digits."""
    principal: str
    """The ARN of the caller: a user's, a session's, or that of the account itself (`root`)."""
    access_key: str | None = None
    """None for a part of this server."""
    session: str | None = None
    """The session token that came with a temporary key, verified; None for keys without one."""
    source_address: str = ""
    """The address that the request came from, as the socket has it; empty for a part of this server."""
    listener: str = ""
    """Where it came in: the address and port of the socket that took the connection."""
    who: Principal | None = None
    """Whose policies hold; None for the account itself, and for a part of this server, which may do everything."""
    region: str = ""
    """That was asked, as the credential scope names it."""
    scope: Scope | None = None
    """Where its requests are served, as ARNs express it; None for a part of this server."""
    latest: LatestHead | None = None
    """The headers of its connection's request; None for a part of this server."""
    way: PrivateWay | None = None
    """The VPC endpoint that it comes by; None on the ordinary port."""
    tls_subject: str | None = None
    """Whom the certificate names that the client has shown; None if it has shown none."""


def root(account: str) -> str:
    """The ARN of an account itself, whose keys may do everything in it."""
    return f"arn:{PARTITION}:iam::{account}:root"


def caller_of(signed: Signed, region: Region, source: Source, way: PrivateWay | None = None) -> Caller:
    """Who has signed a request to a region, and by which VPC endpoint it came."""
    account, who = region.account, signed.principal
    return Caller(
        account=account,
        principal=root(account) if who is None else who.arn,
        access_key=signed.access_key,
        session=signed.session,
        source_address=source.address,
        who=who,
        region=signed.region,
        scope=Scope(PARTITION, account, region.name),
        listener=source.listener,
        latest=source.latest,
        way=way,
        tls_subject=source.tls_subject,
    )


def own(region: Region) -> Caller:
    """A part of this server that asks for something in its own name."""
    return Caller(region.account, root(region.account))


class Context:
    """One request: where it is served and who asks."""

    __slots__ = ("accesses", "caller", "host", "meter", "region", "request_id")

    def __init__(self, region: Region, request_id: str, caller: Caller, host: bytes = b"") -> None:
        self.region = region
        self.request_id = request_id
        self.caller = caller
        self.meter = Meter()
        """What the request has used."""
        self.host = host
        """The Host of the request: a name, and perhaps a port; empty if it has none."""
        self.accesses: tuple[Access, ...] | None = None
        """What the request needs to be allowed, which has been; None where it was not looked at: the caller may do
        everything."""

    @property
    def scope(self) -> Scope:
        """The place where the request is served, in the terms of ARNs."""
        return Scope(PARTITION, self.region.account, self.region.name)
