"""Requests of peers: signed with the secret that the servers of all regions share, and with no access key.

The proof is Signature Version 4, as for every other caller (`sigv4`), with the secret in place of an access key's and a
service of its own in the credential scope. So it covers method, path, host, operation, time, region and body; an access
key cannot make one, and it is valid only for the operations of peers. It is valid for a quarter of an hour, the time by
which clocks may differ. Within that time it may be repeated, which changes nothing: any question of a peer may be asked
any number of times.

The name of that service contains the account whose region is asked, unless it is the server's own. So questions of
earlier versions are understood, and those versions refuse questions for another account than their own.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from jedlik.aws import signature_claims
from jedlik.aws.credentials import Credential
from jedlik.aws.errors import AccessDeniedException, IncompleteSignatureException, InvalidSignatureException
from jedlik.aws.sigv4 import Signed, Signer
from jedlik.clock import Clock
from jedlik.config import DEFAULT_ACCOUNT
from jedlik.regions.layout import is_account
from jedlik.wire.messages import Request

SERVICE = "jedlik-peers"
"""In the credential scope, for regions of the server's own account."""
KEY = "JEDLIKPEER"
"""In place of the id of an access key."""

# The texts contain no figures that move: they are logged, and shown by `jedlik stats`, once each.
NO_SECRET = (
    "Only regions of global tables may ask for this, and this server does not know any: it has no peer_secret. "
    "Set the same one for the servers of all regions (--peer-secret-file)."
)
ACCESS_KEY = (
    "Only regions of global tables may ask for this, and they are known by a peer_secret and not by an access key. "
    "Set the same one for the servers of all regions (--peer-secret-file)."
)
ANOTHER_SECRET = (
    "The request is signed with another peer_secret than the one of this server. "
    "Set the same one for the servers of all regions (--peer-secret-file)."
)
ANOTHER_TIME = "The request was signed at a time that differs from the clock here by more than 15 minutes."


def service_of(account: str | None) -> str:
    """The service in the credential scope for regions of an account, None for the server's own."""
    return SERVICE if account is None else f"{SERVICE}-{account}"


class PeerVerifier:
    """Verifies that a peer has signed a request, with any of several secrets."""

    verifies = True

    def __init__(self, secrets: Sequence[str], clock: Clock, own_account: str = DEFAULT_ACCOUNT) -> None:
        self._own_account = own_account
        self._credentials = [Credential(KEY, secret) for secret in secrets]
        self._clock = clock

    def recognised(self, request: Request, service: str) -> Signed | None:
        """None: peers' requests are few, and each is examined closely."""
        return None

    def signed(self, request: Request, service: str) -> Signed:
        """The region for which the peer has signed the request. Raises the error that refuses it."""
        if request.target != b"/":
            raise IncompleteSignatureException("A peer signs in the Authorization header, without a query string.")
        said = signature_claims.claim(request)
        access_key, date, region, claimed, terminator = signature_claims.credential_parts(said.credential)
        if not self._credentials:
            raise AccessDeniedException(NO_SECRET)
        account = claimed.removeprefix(f"{service}-") if claimed != service else self._own_account
        if access_key != KEY or not is_account(account):
            raise AccessDeniedException(ACCESS_KEY)
        moment = signature_claims.epoch(signature_claims.raw(said.time))
        if moment is None or abs(moment - self._clock()) > signature_claims.SKEW:
            raise InvalidSignatureException(ANOTHER_TIME)
        signature_claims.check_signed_headers(said.signed_headers.lower().split(";"), request.headers)
        signature_claims.check_region(region)
        if (
            said.algorithm != signature_claims.ALGORITHM
            or terminator != signature_claims.TERMINATOR
            or date != said.time[:8]
        ):
            raise InvalidSignatureException("The credential scope of a peer's request is not that of its time.")
        other = None if account == self._own_account else account
        signed, signature = Signed.of(KEY, region, claimed, None, other), signature_claims.raw(said.signature)
        for credential in self._credentials:
            signer = Signer(signed, credential, date, said.signed_headers)
            if hmac.compare_digest(signer.signature(request, b"", signature_claims.raw(said.time)), signature):
                return signed
        raise AccessDeniedException(ANOTHER_SECRET)
