"""Who strangers are, by their web identity tokens. A worker looks at a limited number of each address."""

from __future__ import annotations

from jedlik.aws.context import Caller
from jedlik.iam.attempts import Attempts
from jedlik.iam.errors import Throttling
from jedlik.iam.identity_stores import AccountIdentity, IdentityStores
from jedlik.iam.issuer_keys import IssuerKeys
from jedlik.iam.oidc_providers import of_issuer
from jedlik.iam.web_tokens import WebIdentity, verified

BURST = 100
PER_SECOND = 20.0
"""Tokens of one address that a worker verifies. STS's own limit is in the hundreds for an account."""


class WebIdentities:
    """The verifier of tokens of a worker."""

    def __init__(self, stores: IdentityStores) -> None:
        self._stores = stores
        self._keys = IssuerKeys((stores.settings.oidc_hosts or "").replace(" ", "").split(","))
        self._attempts = Attempts(BURST, PER_SECOND)

    async def verified(self, identity: AccountIdentity, caller: Caller, token: str) -> WebIdentity:
        """Who a token is of, for an account. Raises what refuses it, and Throttling."""
        if not self._attempts.try_take(caller.source_address):
            raise Throttling("Rate exceeded")
        return await verified(token, lambda issuer: of_issuer(identity, issuer), self._keys, self._stores.clock())
