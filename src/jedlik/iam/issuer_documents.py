"""What issuers of web identity tokens publish: discovery documents, and the keys with which they sign.

An issuer is asked over HTTPS, for a megabyte at most, without redirects, and at no address of a private network unless
the settings allow the host (`oidc_hosts`). Names are resolved off the event loop, and the address that was checked is
the one that is connected to. This module is imported when an issuer is first asked, for aiohttp takes a tenth of a
second to import.

Sources: OpenID Connect Discovery 1.0; RFC 7517.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson
from aiohttp.abc import AbstractResolver, ResolveResult

DISCOVERY = "/.well-known/openid-configuration"
MOST_BYTES = 1 << 20
"""The largest answer that is read."""
_OK = 200


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


async def keys_of(issuer: str, allowed: Collection[str]) -> tuple[dict[str, Any], ...]:
    """The keys that an issuer, given by its URL, has for signatures. `allowed` are hosts that may be in private
    networks, in lower case. Raises OSError if the issuer cannot be asked, and ValueError if its answer is not what it
    must be."""
    try:
        connector = aiohttp.TCPConnector(resolver=_CheckedResolver(allowed), use_dns_cache=False)
        async with aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
        ) as session:
            document = await _document(session, allowed, issuer.rstrip("/") + DISCOVERY)
            if document.get("issuer") != issuer or not isinstance(document.get("jwks_uri"), str):
                raise ValueError("its discovery document is for another issuer, or names no keys")
            keys = (await _document(session, allowed, document["jwks_uri"])).get("keys")
    except aiohttp.ClientError as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
        raise ValueError("its keys are not a list of keys")
    return tuple(key for key in keys if key.get("use", "sig") == "sig")


async def _document(session: aiohttp.ClientSession, allowed: Collection[str], url: str) -> dict[str, Any]:
    """What is published at an URL. Raises as `keys_of` does, and aiohttp.ClientError."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if parts.scheme != "https" or not host:
        raise ValueError("its keys are not at an https URL")
    is_address = ":" in host or host.replace(".", "").isdecimal()
    if is_address and not is_public(host) and host not in allowed:  # Addresses are not resolved.
        raise OSError(f"{host} is not a public address")
    headers = {"Accept-Encoding": "identity", "Accept": "application/json"}
    async with session.get(url, headers=headers, allow_redirects=False) as response:
        if response.status != _OK or "Content-Encoding" in response.headers:
            raise OSError(f"{host} answers with status {response.status}")
        body = await response.content.read(MOST_BYTES + 1)
        while not response.content.at_eof() and len(body) <= MOST_BYTES:
            body += await response.content.read(MOST_BYTES + 1 - len(body))
    if len(body) > MOST_BYTES:
        raise ValueError("an answer is larger than a megabyte")
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise ValueError("an answer is no JSON") from None
    if not isinstance(found, dict):
        raise ValueError("an answer is no JSON object")
    return found
