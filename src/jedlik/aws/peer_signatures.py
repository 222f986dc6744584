"""Requests of peers: signed with the secret that the servers of all regions share, and with nobody's access key.

The proof is Signature Version 4, as for everybody else (`sigv4`), with the secret in the place of an access key's and a
service of its own in the credential scope. So it covers method, path, host, operation, time, region and body; an access
key cannot make one, and it is good for nothing but the operations of peers. It is good for a quarter of an hour, the
time that clocks may differ by. Within that time it may be sent again, which changes nothing: whatever peers ask of each
other may be asked any number of times.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from jedlik.aws import sigv4
from jedlik.aws.credentials import Credential
from jedlik.aws.errors import AccessDeniedException, IncompleteSignatureException, InvalidSignatureException
from jedlik.aws.sigv4 import Signed, Signer
from jedlik.clock import Clock
from jedlik.wire.messages import Request

SERVICE = "jedlik-peers"
"""In the credential scope."""
KEY = "JEDLIKPEER"
"""In the place of the id of an access key."""

# The texts have no figures that move: they are logged, and shown by `jedlik stats`, once for each.
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


class PeerVerifier:
    """Tells whether a peer has signed a request, by any of several secrets."""

    verifies = True

    def __init__(self, secrets: Sequence[str], clock: Clock) -> None:
        self._credentials = [Credential(KEY, secret) for secret in secrets]
        self._clock = clock

    def signed(self, request: Request, service: str) -> Signed:
        """Which region a peer has signed the request for. Raises the error that refuses it."""
        if request.target != b"/":
            raise IncompleteSignatureException("A peer signs in the Authorization header, without a query string.")
        said = sigv4.claim(request)
        access_key, date, region, claimed, terminator = sigv4.credential_parts(said.credential)
        if not self._credentials:
            raise AccessDeniedException(NO_SECRET)
        if (access_key, claimed) != (KEY, service):
            raise AccessDeniedException(ACCESS_KEY)
        moment = sigv4.epoch(sigv4.raw(said.time))
        if moment is None or abs(moment - self._clock()) > sigv4.SKEW:
            raise InvalidSignatureException(ANOTHER_TIME)
        sigv4.check_signed_headers(said.signed_headers.lower().split(";"), request.headers)
        sigv4.check_region(region)
        if said.algorithm != sigv4.ALGORITHM or terminator != sigv4.TERMINATOR or date != said.time[:8]:
            raise InvalidSignatureException("The credential scope of a peer's request is not that of its time.")
        signed, signature = Signed(KEY, region, service), sigv4.raw(said.signature)
        for credential in self._credentials:
            signer = Signer(signed, credential, date, said.signed_headers)
            if hmac.compare_digest(signer.signature(request, b"", sigv4.raw(said.time)), signature):
                return signed
        raise AccessDeniedException(ANOTHER_SECRET)
