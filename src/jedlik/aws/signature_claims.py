"""What a request claims about its signature, and the checks of it that need no signing key.

Theory: `sigv4.py`, which verifies the signature. The order of the checks and their texts are DynamoDB's. A client comes
here with its first request, and when something is wrong; what follows from its claim is then remembered.
"""

from __future__ import annotations

import hmac
from calendar import timegm
from collections.abc import Iterable
from functools import lru_cache
from time import gmtime, strftime, strptime
from typing import NamedTuple
from urllib.parse import parse_qsl

from jedlik import region_names
from jedlik.aws.credentials import Credential
from jedlik.aws.errors import (
    ExpiredTokenException,
    IncompleteSignatureException,
    InvalidSignatureException,
    MissingAuthenticationTokenException,
    UnrecognizedClientException,
)
from jedlik.wire.messages import Request

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"
SCOPE_PARTS = 5
"""The parts of a credential: access key, date, region, service, terminator."""
SKEW = 15 * 60
"""Seconds that a client's clock may be off."""
LONGEST_PRESIGNED = 7 * 24 * 3600
"""Seconds that a presigned request may be good for."""
AMZ = "x-amz-"
"""What the names of headers begin with that must be signed, if they are sent."""
NEED_NOT_BE_SIGNED = {
    "x-amz-cf-id",  # CloudFront adds it to what it passes on.
    "x-amz-content-sha256",  # The hash of the body, which the signature covers anyway; some SDKs add it afterwards.
    "x-amz-security-token",  # Compared with the key's own; AWS's documentation lets it be added afterwards.
}
BASIC_FORMAT = "%Y%m%dT%H%M%SZ"
"""ISO 8601's, without separators."""
BASIC_LENGTH = 16
HEADER_PARTS = ("Credential", "Signature", "SignedHeaders")
QUERY_PARTS = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
    "X-Amz-Date",
)


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


def raw(text: str) -> bytes:
    """What a client sent, as bytes again. What cannot have come in a header becomes what matches nothing."""
    return text.encode("latin-1", "replace")
