"""The keys with which issuers of web identity tokens sign, fetched from the issuers and kept.

An issuer is asked over HTTPS for its discovery document and then for its keys: within five seconds, a megabyte each, no
redirects, and at no address of a private network unless the settings allow the host (`oidc_hosts`). Names are resolved
off the event loop, and the address that was checked is the one that is connected to. What was fetched, or that it could
not be fetched, is kept for a while, so a stranger's tokens cause few requests.

Sources: OpenID Connect Discovery 1.0; RFC 7517.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Collection
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import orjson
from aiohttp.abc import AbstractResolver, ResolveResult

DISCOVERY = "/.well-known/openid-configuration"
SECONDS = 5.0
"""For both answers together."""
MOST_BYTES = 1 << 20
"""The largest answer that is read."""
KEPT_SECONDS = 3600.0
AGAIN_SECONDS = 10.0
"""Between two fetches of one issuer's keys: after a failure, or for a key that it did not have."""
MOST_ISSUERS = 256
MOST_FETCHES = 8
"""At once."""
_OK = 200


class Unreachable(Exception):
    """The issuer could not be asked."""


class WrongDocument(Exception):
    """The issuer's answer is not what it must be."""


class Kept(NamedTuple):
    """What is known of an issuer."""

    keys: tuple[dict[str, Any], ...]
    error: Exception | None
    fetched: float


class _CheckedResolver(AbstractResolver):
    """Resolves names, and leaves out addresses that must not be connected to."""

    def __init__(self, allowed: Collection[str]) -> None:
        self._resolver = aiohttp.ThreadedResolver()
        self._allowed = allowed

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        if host.lower() not in self._allowed:
            found = [one for one in found if is_public(one["host"])]
        if not found:
            raise OSError(f"{host} has no public address")
        return found

    async def close(self) -> None:
        await self._resolver.close()


def is_public(address: str) -> bool:
    """Whether an address is one of the internet's; no name is."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_global and not found.is_multicast


class IssuerKeys:
    """The keys of issuers, as a worker knows them."""

    def __init__(self, allowed: Collection[str] = ()) -> None:
        """`allowed` are hosts that may be in private networks."""
        self._allowed = frozenset(host.lower() for host in allowed)
        self._kept: dict[str, Kept] = {}
        self._fetching: dict[str, asyncio.Task[Kept]] = {}

    async def of(self, issuer: str, key_id: str | None) -> tuple[dict[str, Any], ...]:
        """The keys of an issuer, given by its URL, that a token may be signed with. Raises Unreachable and
        WrongDocument."""
        kept = self._kept.get(issuer)
        age = float("inf") if kept is None else time.monotonic() - kept.fetched
        if kept is None or age > KEPT_SECONDS or (age > AGAIN_SECONDS and not _fitting(kept.keys, key_id)):
            kept = await self._fetched(issuer)
        if kept.error is not None:
            raise kept.error
        return _fitting(kept.keys, key_id)

    async def _fetched(self, issuer: str) -> Kept:
        task = self._fetching.get(issuer)
        if task is None:
            if len(self._fetching) >= MOST_FETCHES:
                raise Unreachable("too many issuers are being asked")
            task = self._fetching[issuer] = asyncio.get_running_loop().create_task(self._fetch(issuer))
            task.add_done_callback(lambda _: self._fetching.pop(issuer))
        return await asyncio.shield(task)

    async def _fetch(self, issuer: str) -> Kept:
        keys: tuple[dict[str, Any], ...] = ()
        error: Exception | None = None
        try:
            async with asyncio.timeout(SECONDS):
                keys = await self._ask(issuer)
        except (Unreachable, WrongDocument) as found:
            error = found
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as found:
            error = Unreachable(f"{type(found).__name__}: {str(found)[:200]}")
        if len(self._kept) >= MOST_ISSUERS:
            del self._kept[next(iter(self._kept))]
        kept = self._kept[issuer] = Kept(keys, error, time.monotonic())
        return kept

    async def _ask(self, issuer: str) -> tuple[dict[str, Any], ...]:
        connector = aiohttp.TCPConnector(resolver=_CheckedResolver(self._allowed), use_dns_cache=False)
        async with aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
        ) as session:
            document = await self._get(session, issuer.rstrip("/") + DISCOVERY)
            if document.get("issuer") != issuer or not isinstance(document.get("jwks_uri"), str):
                raise WrongDocument("its discovery document is for another issuer, or names no keys")
            keys = (await self._get(session, document["jwks_uri"])).get("keys")
        if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
            raise WrongDocument("its keys are not a list of keys")
        return tuple(key for key in keys if key.get("use", "sig") == "sig")

    async def _get(self, session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        if parts.scheme != "https" or not host:
            raise WrongDocument("its keys are not at an https URL")
        is_address = ":" in host or host.replace(".", "").isdecimal()
        if is_address and not is_public(host) and host not in self._allowed:  # Addresses are not resolved.
            raise Unreachable(f"{host} is not a public address")
        headers = {"Accept-Encoding": "identity", "Accept": "application/json"}
        async with session.get(url, headers=headers, allow_redirects=False) as response:
            if response.status != _OK or "Content-Encoding" in response.headers:
                raise Unreachable(f"{host} answers with status {response.status}")
            body = await response.content.read(MOST_BYTES + 1)
            while not response.content.at_eof() and len(body) <= MOST_BYTES:
                body += await response.content.read(MOST_BYTES + 1 - len(body))
        if len(body) > MOST_BYTES:
            raise WrongDocument("an answer is larger than a megabyte")
        try:
            found = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise WrongDocument("an answer is no JSON") from None
        if not isinstance(found, dict):
            raise WrongDocument("an answer is no JSON object")
        return found


def _fitting(keys: tuple[dict[str, Any], ...], key_id: str | None) -> tuple[dict[str, Any], ...]:
    """The keys that a token may be signed with: that of its id, or the only one."""
    if key_id is None:
        return keys if len(keys) == 1 else ()
    return tuple(key for key in keys if key.get("kid") == key_id)
