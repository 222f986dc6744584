"""An authenticator that takes requests to one region only: a VPC endpoint leads to the tables of one."""

from __future__ import annotations

from jedlik.aws.routing import Authenticator
from jedlik.aws.sigv4 import Signed
from jedlik.regions.region import NotServed
from jedlik.wire.messages import Request


class InRegion:
    """Identifies the signers of requests to one region, and takes no others."""

    def __init__(self, authenticator: Authenticator, region: str) -> None:
        self._authenticator = authenticator
        self._region = region
        self.verifies = authenticator.verifies

    def signed(self, request: Request, service: str) -> Signed:
        """The signer. Raises NotServed for another region."""
        found = self._authenticator.signed(request, service)
        if found.region != self._region:
            raise NotServed(found.region)
        return found

    def recognised(self, request: Request, service: str) -> Signed | None:
        """The same for a known signer; None for another region, too."""
        found = self._authenticator.recognised(request, service)
        return found if found is not None and found.region == self._region else None
