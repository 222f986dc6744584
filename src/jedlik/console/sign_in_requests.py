"""The one POST of the console: a user signs in with a password, and the page gets temporary keys.

There is no cookie, so a foreign page gains nothing by a reader's being signed in. It must not try passwords through the
reader's browser either, nor see the answer: the Origin must be that of the server's own page. A page under a name that
leads here (DNS rebinding) has such an Origin, so without TLS, whose certificate no other name has, the Host must be an
address, a name of this machine, or one of the settings.

Source: OWASP, "Cross-Site Request Forgery Prevention Cheat Sheet", for the headers.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping

import orjson

from jedlik.aws.origins import SHOWN, host_of, is_loopback, plain
from jedlik.aws.sign_ins import Attempt, SignedIn, SignInRefused, SignIns
from jedlik.aws.web_pages import Page
from jedlik.wire.messages import Source

JSON = b"application/json"
LARGEST = 4096
"""Bytes of a request."""
LINES = b"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
MEMBERS = {"account", "user", "password", "newPassword"}


class SignInRequests:
    """Answers the requests of one server."""

    def __init__(self, sign_ins: SignIns, hosts: Iterable[str], *, is_secure: bool) -> None:
        """`hosts` are the names that the settings give the server."""
        self._sign_ins = sign_ins
        self._hosts = frozenset(map(plain, hosts))
        self._is_secure = is_secure

    async def answer(self, headers: Mapping[bytes, bytes], body: bytes, source: Source, request_id: str) -> Page:
        """The answer to a request. Raises ServiceError and StorageError."""
        refusal = self._refusal(headers)
        if refusal is not None:
            return _refused(refusal)
        attempt = _attempt(headers, body, source, request_id)
        if attempt is None:
            return _refused(SignInRefused(400, "Malformed", "The request must be JSON with user and password."))
        try:
            signed_in = await self._sign_ins.sign_in(attempt)
        except SignInRefused as error:
            return _refused(error)
        return Page(200, JSON, orjson.dumps(_shown(signed_in)), LINES)

    def _refusal(self, headers: Mapping[bytes, bytes]) -> SignInRefused | None:
        """Why nobody may sign in from where the request comes from."""
        host, origin = headers.get(b"host", b""), headers.get(b"origin", b"")
        scheme, _, authority = origin.partition(b"://")
        is_same = scheme in (b"http", b"https") and authority.lower() == host.lower() and host != b""
        if not is_same or headers.get(b"sec-fetch-site", b"same-origin") != b"same-origin":
            return SignInRefused(403, "ForeignOrigin", "Only the console's own page may sign somebody in.")
        name = host_of(host.decode("latin-1"))
        if not self._is_secure and not self._is_own(name):
            return SignInRefused(
                403,
                "UnknownHost",
                f"This server does not know the name '{(name or '')[:SHOWN]}'. If it is one of yours, start Jedlik "
                f"with --allowed-hosts {(name or 'NAME')[:SHOWN]}",
            )
        return None

    def _is_own(self, name: str | None) -> bool:
        if name is None:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in self._hosts or is_loopback(name)
        return True  # A page cannot make an address lead elsewhere.


def _attempt(headers: Mapping[bytes, bytes], body: bytes, source: Source, request_id: str) -> Attempt | None:
    """What a request asks for; None for one that is malformed."""
    if headers.get(b"content-type", b"").partition(b";")[0].strip() != JSON or len(body) > LARGEST:
        return None
    try:
        data = orjson.loads(body)
    except ValueError:
        return None
    if (
        not isinstance(data, dict)
        or not MEMBERS.issuperset(data)
        or not all(isinstance(one, str) for one in data.values())
    ):
        return None
    user, password = data.get("user", ""), data.get("password", "")
    if not user or not password:
        return None
    account, new = data.get("account", "").strip(), data.get("newPassword")
    return Attempt(account, user, password, new, source.address, request_id, source.tls_subject)


def _shown(signed_in: SignedIn) -> dict[str, object]:
    issued = signed_in.issued
    return {
        "account": signed_in.account,
        "user": signed_in.user,
        "accessKeyId": issued.access_key,
        "secretAccessKey": issued.secret,
        "sessionToken": issued.token,
        "expires": issued.expires,
    }


def _refused(error: SignInRefused) -> Page:
    after = b"Retry-After: %d\r\n" % error.seconds if error.seconds else b""
    body = {"error": error.code, "message": error.message} | ({"seconds": error.seconds} if error.seconds else {})
    return Page(error.status, JSON, orjson.dumps(body), LINES + after)
