"""Signature Version 4: who has signed a request, and for which region.

Theory: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html. A signature is
in the Authorization header or, presigned, in the query string. What is checked, in which order and with which
text, is DynamoDB's. What stays the same from one request of a client to the next, which is everything but time,
body and signature, is checked and turned into a signing key once and remembered. Then a request costs the hash of
its body, the hash of its canonical form, one HMAC and one comparison in constant time.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable, Iterable
from hashlib import sha256
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from urllib.parse import quote

from jedlik.aws.credentials import Credential, CredentialsError, KeySource
from jedlik.aws.errors import (
    IncompleteSignatureException,
    UnrecognizedClientException,
)
from jedlik.aws.principals import ANYBODY, Principal
from jedlik.aws.signature_claims import (
    ALGORITHM,
    SKEW,
    TERMINATOR,
    check_region,
    check_scope,
    check_signed_headers,
    check_time,
    check_token,
    claim,
    credential_parts,
    epoch,
    mismatch,
    query_pairs,
    raw,
)
from jedlik.clock import Clock, steady_clock
from jedlik.config import DEFAULT_ACCOUNT
from jedlik.regions.layout import is_account, store_name
from jedlik.wire.messages import HeadForm, Request

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

log = logging.getLogger(__name__)

KNOWN_SIGNERS = 4096
"""Clients remembered at a time."""
LONGEST_FIXED = 1024
"""Bytes of an Authorization header, and of a canonical request, that is remembered: more than SDKs send."""
REFRESH_SECONDS = 1.0
"""How often it is looked whether the credentials have changed."""
HEADER_SETS = 8
"""Sets of header names that are remembered of a signer. A client has one or two, and a proxy may add to them."""
LONGEST_HEADER_SET = 1024
"""Characters of the names in one that is remembered."""
SESSION_TOKEN = b"x-amz-security-token"

SHA256_BLOCK = 64
"""Bytes to which a key is filled up in HMAC; a signing key has 32."""
SPACE, TAB = b" \t"
"""As numbers, which `in` finds many times faster in bytes than it does bytes."""
INNER_PAD = bytes(byte ^ 0x36 for byte in range(256))
OUTER_PAD = bytes(byte ^ 0x5C for byte in range(256))


T = TypeVar("T")


class Signed(NamedTuple):
    """Who has signed a request, and for what."""

    access_key: str
    region: str
    service: str
    """As credential scopes call it."""
    session: str | None
    """The session token of a temporary key, verified; None for other keys."""
    store: str
    """What the store is called that the request is for."""
    principal: Principal | None = None
    """Who the key belongs to; None for the account itself."""

    @classmethod
    def of(
        cls,
        access_key: str,
        region: str,
        service: str,
        session: str | None = None,
        account: str | None = None,
        principal: Principal | None = None,
    ) -> Signed:
        """One whose key belongs to an account; None stands for the server's own."""
        store = region if account is None else store_name(region, account)
        return cls(access_key, region, service, session, store, principal)


UNSIGNED = Signed.of("", "us-east-1", "", principal=ANYBODY)
"""Who calls an operation that needs no signature (`Operation.unsigned`), of a service without regions."""


class Signer:
    """What the requests of one client have in common for a day, derived once."""

    __slots__ = (
        "_asked",
        "_begun",
        "_canonical",
        "_date",
        "_form",
        "_hashed",
        "_headers",
        "_inner",
        "_outer",
        "_picked",
        "_picks",
        "_signed_at",
        "_to_sign",
        "covered",
        "credential",
        "moment",
        "names",
        "service",
        "signed",
        "time",
    )

    def __init__(self, signed: Signed, credential: Credential, date: str, signed_headers: str) -> None:
        self.signed = signed
        self.service = signed.service
        self.credential = credential
        self._date = date.encode()
        self.time = b""
        self.moment = 0
        """The last time that was of this day, as requests have it and in epoch seconds: the next often has the same."""
        self.covered: set[tuple[bytes, ...]] = set()
        """The names of headers as requests had them in which all were signed that must be."""
        self.names: tuple[bytes, ...] = ()
        """Those of them that were looked up last: to compare objects is faster than to look up again."""
        names = raw(signed_headers)
        self._headers = names.lower().split(b";")
        lines = [b"%b", b"%b", b"%b", *[name.replace(b"%", b"%%") + b":%b" for name in self._headers]]
        self._canonical = b"\n".join([*lines, b"", names.replace(b"%", b"%%"), b""])
        """The canonical request up to the body's hash, but for method, path, query string and the headers' values."""
        self._asked: list[bytes] = []
        self._hashed = sha256()
        """Those of the last request, and the hash that has taken in what they make: the requests of a client for one
        operation in one second mostly have the same."""
        self._form: HeadForm | None = None
        self._picks: Callable[[tuple[bytes, ...]], object] = tuple
        self._picked: object = None
        """The form of the last head that had one, what picks the signed ones of a request's own values, and those that
        the hash has taken in, if it was for this form: where they are the same, so is all else that it takes."""
        scope = f"{date}/{signed.region}/{signed.service}/{TERMINATOR}".encode()
        self._to_sign = b"AWS4-HMAC-SHA256\n%b\n" + scope + b"\n"
        key = b"AWS4" + credential.secret.encode()
        for part in scope.split(b"/"):
            key = hmac.digest(key, part, "sha256")
        # HMAC's two hashes (RFC 2104) with the key taken in: copying them costs half of what copying an HMAC does.
        block = key.ljust(SHA256_BLOCK, b"\0")
        self._inner = sha256(block.translate(INNER_PAD))
        self._outer = sha256(block.translate(OUTER_PAD))
        self._signed_at = b""
        self._begun = self._inner
        """The time of the last request, and the inner hash that has taken in what goes before its canonical form."""

    def signature(self, request: Request, query: bytes, time: bytes, path: bytes = b"/") -> bytes:
        """The signature that the request should have."""
        form = request.form
        if form is None or query or path != b"/":
            hashed = self._hash(self._asked_of(request, query, path), None)
        else:
            if form is not self._form:
                self._form, self._picks, self._picked = form, picks(form, self._headers), None
            picked = self._picks(request.values)
            if picked == self._picked:
                hashed = self._hashed.copy()
            else:
                hashed = self._hash(self._asked_of(request, query, path), picked)
        hashed.update(sha256(request.body).hexdigest().encode())
        if time != self._signed_at:
            begun = self._inner.copy()
            begun.update(self._to_sign % time)
            self._signed_at, self._begun = time, begun
        inner, outer = self._begun.copy(), self._outer.copy()
        inner.update(hashed.hexdigest().encode())
        outer.update(inner.digest())
        return outer.hexdigest().encode()

    def _asked_of(self, request: Request, query: bytes, path: bytes) -> list[bytes]:
        """What the canonical request of a request has, but for names and the body's hash."""
        headers = request.headers
        try:
            return [request.method, path, query, *map(headers.__getitem__, self._headers)]
        except KeyError:  # Who signs a header that is not sent has signed it as empty.
            return [request.method, path, query, *[headers.get(name, b"") for name in self._headers]]

    def _hash(self, asked: list[bytes], picked: object) -> Hash:
        """The hash that has taken in the canonical request up to the body's hash. It is remembered if it is short."""
        if asked == self._asked:
            self._picked = picked
            return self._hashed.copy()
        canonical = self._canonical % tuple(asked)
        if SPACE in canonical or TAB in canonical:  # Hardly ever: few values that are signed are several words.
            canonical = self._canonical % (*asked[:3], *map(single_spaced, asked[3:]))
        hashed = sha256(canonical)
        if len(canonical) <= LONGEST_FIXED:
            self._asked, self._hashed, self._picked = asked, hashed.copy(), picked
        return hashed

    def is_of_day(self, time: bytes) -> bool:
        """Whether a time is one of the day for which the key is good; if so, it is remembered."""
        moment = epoch(time) if time[:8] == self._date else None
        if moment is None:
            return False
        self.time, self.moment = time, moment
        return True

    def covers(self, names: tuple[bytes, ...]) -> bool:
        """Whether of these headers all are signed that must be, as far as is known."""
        if names not in self.covered:
            return False
        self.names = names
        return True

    def cover(self, names: tuple[bytes, ...]) -> None:
        """Remember that of these headers all are signed that must be."""
        if sum(map(len, names)) <= LONGEST_HEADER_SET:
            if len(self.covered) >= HEADER_SETS:
                self.covered.clear()
                self.names = ()
            self.covered.add(names)


class Verifier:
    """Verifies the signer of a request. Without credentials it believes the request's claim."""

    def __init__(
        self,
        credentials: KeySource | None,
        clock: Clock,
        steady: Callable[[], float] = steady_clock,
        own_account: str = DEFAULT_ACCOUNT,
    ) -> None:
        self._credentials = credentials
        self._own_account = own_account
        self.verifies = credentials is not None
        self._clock = clock
        self._steady = steady
        self._refresh_at = steady() + REFRESH_SECONDS
        """On the steady clock: while the other is behind, a key that has been deleted would stay good."""
        self._signers: dict[bytes, Signer] = {}
        """By the Authorization header up to its signature."""
        self._forgotten: list[tuple[Signed, int]] = []
        """Signers that were forgotten, with the time of their last request, until somebody has looked."""
        self._believed: dict[bytes, Signed] = {}
        """The same, where nothing is verified."""

    def signed(self, request: Request, service: str) -> Signed:
        """Who has signed the request to a service, which is what credential scopes call it.

        Raises the error that DynamoDB would for each way of being wrong. Where nothing is verified, the service may be
        another.
        """
        found = self.recognised(request, service)
        if found is not None:
            return found
        fixed, _, signature = request.headers.get(b"authorization", b"").rpartition(b"Signature=")
        if self._credentials is None:
            return self._believe(request, fixed, signature)
        return self._meet(request, service, fixed, signature)

    def recognised(self, request: Request, service: str) -> Signed | None:
        """Who has signed the request, if it is like one that was verified before and its signature is right too."""
        fixed, _, signature = request.header(b"authorization").rpartition(b"Signature=")
        if self._credentials is None:
            return self._believed.get(fixed)
        if self._steady() >= self._refresh_at:
            self._refresh()
        signer = self._signers.get(fixed)
        if signer is None:
            return None
        time = request.header(b"x-amz-date")
        now = self._clock()
        if (
            signer.service != service
            or request.target != b"/"
            or (time != signer.time and not signer.is_of_day(time))
            or not -SKEW <= signer.moment - now <= SKEW
            or ((names := request.names) is not signer.names and not signer.covers(names or tuple(request.headers)))
            or not hmac.compare_digest(signer.signature(request, b"", time), signature)
        ):
            return None
        if signer.credential.session_token is not None or request.has(SESSION_TOKEN):
            check_token(signer.credential, request.headers.get(SESSION_TOKEN), now)
        return signer.signed

    def _believe(self, request: Request, fixed: bytes, rest: bytes) -> Signed:
        """Take the credential scope on trust. An access key that is the id of an account is that account's."""
        said = claim(request)
        access_key, _, region, service, _ = credential_parts(said.credential)
        check_region(region)
        signed = Signed.of(
            access_key, region, service, None, self._other(access_key if is_account(access_key) else None)
        )
        if raw(said.signature) == rest:
            remember(self._believed, fixed, signed)
        return signed

    def _meet(self, request: Request, service: str, fixed: bytes, rest: bytes) -> Signed:
        """Verify a request whose signer is not known, or that something is wrong with: check by check."""
        said = claim(request)
        now = self._clock()
        check_time(said.time, said.lifetime, now)
        check_signed_headers(said.signed_headers.lower().split(";"), request.headers)
        if said.algorithm != ALGORITHM:
            raise IncompleteSignatureException(
                f"Unsupported AWS 'algorithm': '{said.algorithm}' (only {ALGORITHM} for now). "
            )
        access_key, date, region, claimed, terminator = credential_parts(said.credential)
        check_scope(service, date, region, claimed, terminator, said.time)
        credential = self._credential(access_key, said.token)
        signed = Signed.of(
            access_key,
            region,
            service,
            credential.session_token,
            self._other(credential.account),
            credential.principal,
        )
        signer = Signer(signed, credential, date, said.signed_headers)
        query, path = canonical_query(request.target), canonical_path(request.target)
        signature = signer.signature(request, query, raw(said.time), path)
        if not hmac.compare_digest(signature, raw(said.signature)):
            raise mismatch()
        check_token(credential, raw(said.token) if said.token is not None else None, now)
        if raw(said.signature) == rest:  # Otherwise other parts follow the signature in the header, or it is presigned.
            signer = self._signers.get(fixed) or signer
            signer.cover(tuple(request.headers))
            signer.is_of_day(raw(said.time))
            remember(self._signers, fixed, signer)
        return signed

    def _other(self, account: str | None) -> str | None:
        """An account, if it is another than the server's own."""
        return None if account == self._own_account else account

    def _credential(self, access_key: str, token: str | None) -> Credential:
        assert self._credentials is not None
        credential = self._credentials.get(access_key, token)
        if credential is None:
            self._refresh()
            credential = self._credentials.get(access_key, token)
        if credential is None:
            raise UnrecognizedClientException("The security token included in the request is invalid.")
        return credential

    def forget(self) -> None:
        """Forget the callers that are known: what they may do, or who they are, has changed."""
        if len(self._forgotten) < KNOWN_SIGNERS:
            self._forgotten += [(signer.signed, signer.moment) for signer in self._signers.values()]
        self._signers.clear()

    def last_uses(self) -> list[tuple[Signed, int]]:
        """The callers that are known, or were until the last call, each with the time of its last request, in epoch
        seconds."""
        forgotten, self._forgotten = self._forgotten, []
        return forgotten + [(signer.signed, signer.moment) for signer in self._signers.values()]

    def _refresh(self) -> None:
        """Look whether the credentials have changed; if they have become unusable, keep those that were."""
        assert self._credentials is not None
        self._refresh_at = self._steady() + REFRESH_SECONDS
        try:
            if self._credentials.refresh():
                self.forget()
        except CredentialsError as error:
            log.error("credentials not renewed: %s", error)


def picks(form: HeadForm, names: Iterable[bytes]) -> Callable[[tuple[bytes, ...]], object]:
    """What picks the values of these headers of a request's own values. Two requests of a form for which that is equal
    have the same values of all of these headers."""
    places = [place for name in names if (place := form.place(name)) is not None]
    return itemgetter(*places) if places else lambda _: ()


def canonical_path(target: bytes) -> bytes:
    """The path of a request's target as it is signed: quoted once more than it is sent."""
    return quote(target.partition(b"?")[0], safe="/-_.~").encode()


def canonical_query(target: bytes) -> bytes:
    """The query string as it is signed: sorted, in one way of quoting, without the signature itself."""
    pairs = [
        (quote(name, safe="-_.~"), quote(value, safe="-_.~"))
        for name, value in query_pairs(target)
        if name != "X-Amz-Signature"
    ]
    return "&".join(f"{name}={value}" for name, value in sorted(pairs)).encode()


def single_spaced(value: bytes) -> bytes:
    """A header's value as it is signed: with nothing around its words, and single spaces between them."""
    value = value.strip()
    return b" ".join(value.split()) if b"  " in value else value


def remember(known: dict[bytes, T], fixed: bytes, what: T) -> None:
    """Keep what follows from a header up to its signature; forget all when it has become too much."""
    if len(fixed) > LONGEST_FIXED:
        return
    if len(known) >= KNOWN_SIGNERS:
        known.clear()
    known[fixed] = what
