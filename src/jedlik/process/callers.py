"""Callers: how a process finds out who signed a request, and what policies allow."""

from __future__ import annotations

from collections.abc import Sequence

from jedlik.aws.credentials import Credentials
from jedlik.aws.sigv4 import Verifier
from jedlik.aws.unsigned import Trusting
from jedlik.clock import system_clock
from jedlik.config import Settings
from jedlik.dynamodb.tables.tagged_tables import TaggedTables
from jedlik.ec2.endpoint_ways import EndpointWay
from jedlik.ec2.service import tagged_endpoints
from jedlik.iam.authorizing import PolicyAuthorizer
from jedlik.iam.identity_stores import IdentityStores
from jedlik.iam.known_keys import KnownKeys
from jedlik.iam.last_uses import LastUses
from jedlik.iam.resource_tags import ResourceTags
from jedlik.regions.stores import Stores


class Callers:
    """The access keys, identities and policies that a process knows."""

    def __init__(
        self,
        settings: Settings,
        credentials: Credentials | None,
        regions: Stores,
        identities: IdentityStores,
        *,
        is_secure: bool,
        ways: Sequence[EndpointWay] = (),
    ) -> None:
        """Without `credentials`, no signatures are verified."""
        self._identities = identities
        self.keys = None if credentials is None else KnownKeys(credentials, identities)
        self.verifier = (
            Trusting(settings.served, system_clock, settings.account)
            if self.keys is None
            else Verifier(self.keys, system_clock, own_account=settings.account)
        )
        identities.changed = self.verifier.forget
        self._last_uses = LastUses(identities, self.verifier.last_uses)
        self.authorizer: PolicyAuthorizer | None = None
        """None where signatures are not verified: everybody may do everything."""
        if self.keys is not None:
            tags = ResourceTags(regions, identities, (TaggedTables(), tagged_endpoints(ways)))
            self.authorizer = PolicyAuthorizer(identities, is_secure=is_secure, tags_of=tags.of)

    def look(self, most_looks: int) -> None:
        """Once a second: look whether identities have changed, look after their stores, and note last uses."""
        self._identities.look()
        self._identities.look_after(most_looks)
        self._last_uses.look()
