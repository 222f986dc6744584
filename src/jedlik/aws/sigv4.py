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
from calendar import timegm
from collections.abc import Callable, Iterable
from functools import lru_cache
from hashlib import sha256
from operator import itemgetter
from time import gmtime, strftime, strptime
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from urllib.parse import parse_qsl, quote

from jedlik import region_names
from jedlik.aws.credentials import Credential, CredentialsError, KeySource
from jedlik.aws.errors import (
    ExpiredTokenException,
    IncompleteSignatureException,
    InvalidSignatureException,
    MissingAuthenticationTokenException,
    UnrecognizedClientException,
)
from jedlik.aws.principals import ANYBODY, Principal
from jedlik.clock import Clock, steady_clock
from jedlik.config import DEFAULT_ACCOUNT
from jedlik.regions.layout import is_account, store_name
from jedlik.wire.messages import HeadForm, Request

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

log = logging.getLogger(__name__)

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"
SCOPE_PARTS = 5
"""The parts of a credential: access key, date, region, service, terminator."""
SKEW = 15 * 60
"""Seconds that a client's clock may be off."""
LONGEST_PRESIGNED = 7 * 24 * 3600
"""Seconds that a presigned request may be good for."""
KNOWN_SIGNERS = 4096
"""Clients remembered at a time."""
LONGEST_FIXED = 1024
"""Bytes of an Authorization header, and of a canonical request, that is remembered: more than SDKs send."""
REFRESH_SECONDS = 1.0
"""How often it is looked whether the credentials have changed."""
AMZ = "x-amz-"
"""What the names of headers begin with that must be signed, if they are sent."""
NEED_NOT_BE_SIGNED = {
    "x-amz-cf-id",  # CloudFront adds it to what it passes on.
    "x-amz-content-sha256",  # The hash of the body, which the signature covers anyway; some SDKs add it afterwards.
    "x-amz-security-token",  # Compared with the key's own; AWS's documentation lets it be added afterwards.
}
HEADER_SETS = 8
"""Sets of header names that are remembered of a signer. A client has one or two, and a proxy may add to them."""
LONGEST_HEADER_SET = 1024
"""Characters of the names in one that is remembered."""
SESSION_TOKEN = b"x-amz-security-token"
BASIC_FORMAT = "%Y%m%dT%H%M%SZ"
"""ISO 8601's, without separators."""
BASIC_LENGTH = 16

SHA256_BLOCK = 64
"""Bytes to which a key is filled up in HMAC; a signing key has 32."""
SPACE, TAB = b" \t"
"""As numbers, which `in` finds many times faster in bytes than it does bytes."""
INNER_PAD = bytes(byte ^ 0x36 for byte in range(256))
OUTER_PAD = bytes(byte ^ 0x5C for byte in range(256))

HEADER_PARTS = ("Credential", "Signature", "SignedHeaders")
QUERY_PARTS = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
    "X-Amz-Date",
)


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


class Claim(NamedTuple):
    """A request's claim about its signature, in the same form for the header and the query string."""

    algorithm: str
    credential: str
    signed_headers: str
    signature: str
    time: str
    lifetime: int
    """Seconds for which it is good."""
    token: str | None


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


def claim(request: Request) -> Claim:
    """The request's claim about its signature. Raises if it is missing, or has too few or too many parts."""
    authorization = request.headers.get(b"authorization", b"").decode("latin-1")
    query = dict(query_pairs(request.target))
    if authorization and "X-Amz-Algorithm" in query:
        raise InvalidSignatureException(
            "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."
        )
    if "X-Amz-Algorithm" in query:
        return query_claim(query)
    if not authorization.strip().startswith("AWS4-"):
        raise MissingAuthenticationTokenException("Request is missing Authentication Token")
    return header_claim(authorization, request.headers)


def header_claim(authorization: str, headers: dict[bytes, bytes]) -> Claim:
    """The claim in an Authorization header."""
    algorithm, *words = authorization.replace(",", " ").split()
    parts: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise IncompleteSignatureException(
                f"'{word}' not a valid key=value pair (missing equal-sign) in Authorization header: '{authorization}'."
            )
        parts[name] = value
    missing = [f"Authorization header requires '{name}' parameter. " for name in HEADER_PARTS if name not in parts]
    time = headers.get(b"x-amz-date") or headers.get(b"date")
    if time is None:
        missing.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ")
    if missing:
        raise IncompleteSignatureException("".join(missing) + f"Authorization={authorization}")
    assert time is not None
    token = headers.get(b"x-amz-security-token")
    return Claim(
        algorithm,
        parts["Credential"],
        parts["SignedHeaders"],
        parts["Signature"],
        basic_time(time.decode("latin-1")),
        SKEW,
        token.decode("latin-1") if token is not None else None,
    )


def query_claim(query: dict[str, str]) -> Claim:
    """The claim in the query string of a presigned request."""
    missing = [f"AWS query-string parameters must include '{name}'. " for name in QUERY_PARTS if not query.get(name)]
    if missing:
        raise IncompleteSignatureException("".join(missing) + "Re-examine the query-string parameters.")
    lifetime = query.get("X-Amz-Expires", str(SKEW))
    digits = lifetime.lstrip("0")  # int() refuses more than 4,300 digits, of which most may be zeros.
    seconds = int(digits) if digits.isdecimal() and len(digits) <= len(str(LONGEST_PRESIGNED)) else 0
    if not 0 < seconds <= LONGEST_PRESIGNED:
        raise IncompleteSignatureException(
            f"X-Amz-Expires must be a number of seconds between 1 and {LONGEST_PRESIGNED}, not '{lifetime}'."
        )
    algorithm, credential, signature, signed_headers, time = (query[name] for name in QUERY_PARTS)
    token = query.get("X-Amz-Security-Token")
    return Claim(algorithm, credential, signed_headers, signature, time, seconds, token)


def basic_time(time: str) -> str:
    """A Date header's time as signatures have it; what is in neither form comes back as it is."""
    try:
        return strftime(BASIC_FORMAT, strptime(time, "%a, %d %b %Y %H:%M:%S GMT"))
    except ValueError:
        return time


def epoch(time: bytes) -> int | None:
    """Epoch seconds of a time in the basic format; None for what is not one."""
    return _epoch(time) if len(time) == BASIC_LENGTH else None  # What strangers send is not kept at any length.


@lru_cache(maxsize=1024)
def _epoch(time: bytes) -> int | None:
    try:
        return timegm(strptime(time.decode("ascii"), BASIC_FORMAT))
    except ValueError:
        return None


def check_time(time: str, lifetime: int, now: float) -> None:
    """Raise when a signature is expired, of the future, or of no time."""
    moment = epoch(raw(time))
    if moment is None:
        raise IncompleteSignatureException(
            f"Date must be in ISO-8601 'basic format'. Got '{time}'. See http://en.wikipedia.org/wiki/ISO_8601"
        )
    shown = strftime(BASIC_FORMAT, gmtime(now))
    if moment < now - lifetime:
        oldest = strftime(BASIC_FORMAT, gmtime(now - lifetime))
        span = f"{lifetime // 60} min." if lifetime % 60 == 0 else f"{lifetime} sec."
        raise InvalidSignatureException(f"Signature expired: {time} is now earlier than {oldest} ({shown} - {span})")
    if moment > now + SKEW:
        newest = strftime(BASIC_FORMAT, gmtime(now + SKEW))
        raise InvalidSignatureException(
            f"Signature not yet current: {time} is still later than {newest} ({shown} + {SKEW // 60} min.)"
        )


def check_signed_headers(signed: list[str], given: Iterable[bytes]) -> None:
    """Raise unless Host is signed, and of the headers that are `given` all that AWS gives a meaning to.

    Source: "Create a signed request" in the IAM user guide. DynamoDB's words are known for Host only; they are the same
    for the others, one of which names the operation.
    """
    if "host" not in signed:
        raise InvalidSignatureException("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
    for header in given:
        name = header.decode("latin-1")
        if name.startswith(AMZ) and name not in signed and name not in NEED_NOT_BE_SIGNED:
            raise InvalidSignatureException(f"'{name}' must be a 'SignedHeader' in the AWS Authorization.")


def credential_parts(credential: str) -> list[str]:
    """Access key, date, region, service and terminator."""
    parts = credential.rstrip("/").split("/")
    if len(parts) != SCOPE_PARTS:
        raise IncompleteSignatureException(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, "
            f"got '{credential}'"
        )
    return parts


def check_region(region: str) -> None:
    """Raise when no region can have such a name."""
    if not region_names.is_name(region):
        raise InvalidSignatureException(
            f"Credential should be scoped to a valid region, not '{region}'. "
            f"A region's name is {region_names.FORM}, and one of AWS's with --auth on."
        )


def check_scope(service: str, date: str, region: str, claimed: str, terminator: str, time: str) -> None:
    """Raise if a credential is scoped to anything but a service; all its faults are reported at once."""
    wrong = []
    if not region_names.is_aws(region):
        wrong.append(f"Credential should be scoped to a valid region, not '{region}'. ")
    if claimed != service:
        wrong.append(f"Credential should be scoped to correct service: '{service}'. ")
    if terminator != TERMINATOR:
        wrong.append(f"Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{terminator}'. ")
    if date != time[:8]:
        wrong.append(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{date}' != '{time[:8]}', from '{time}'."
        )
    if wrong:
        raise InvalidSignatureException("".join(wrong))


def check_token(credential: Credential, token: bytes | None, now: float) -> None:
    """Raise unless the session token is the credential's own and its time is not over."""
    expected = credential.session_token
    if expected is None and token is None:
        return
    if expected is None or token is None or not hmac.compare_digest(expected.encode(), token):
        raise UnrecognizedClientException("The security token included in the request is invalid")
    if credential.expires is not None and credential.expires < now:
        raise ExpiredTokenException("The security token included in the request is expired")


def mismatch() -> InvalidSignatureException:
    """The signature is not what it should be."""
    return InvalidSignatureException(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
        "Access Key and signing method. Consult the service documentation for details."
    )


def query_pairs(target: bytes) -> list[tuple[str, str]]:
    """Names and values in the query string of a request's target."""
    query = target.partition(b"?")[2]
    return parse_qsl(query.decode("latin-1"), keep_blank_values=True) if query else []


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


def raw(text: str) -> bytes:
    """What a client sent, as bytes again. What cannot have come in a header becomes what matches nothing."""
    return text.encode("latin-1", "replace")


def remember(known: dict[bytes, T], fixed: bytes, what: T) -> None:
    """Keep what follows from a header up to its signature; forget all when it has become too much."""
    if len(fixed) > LONGEST_FIXED:
        return
    if len(known) >= KNOWN_SIGNERS:
        known.clear()
    known[fixed] = what
