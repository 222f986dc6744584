"""The keys with which issuers of web identity tokens sign, fetched from the issuers and kept.

What was fetched (`issuer_documents`) within five seconds, or that it could not be fetched, is kept for a while, so a
stranger's tokens cause few requests.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from typing import Any, NamedTuple

SECONDS = 5.0
"""For both answers together."""
KEPT_SECONDS = 3600.0
AGAIN_SECONDS = 10.0
"""Between two fetches of one issuer's keys: after a failure, or for a key that it did not have."""
MOST_ISSUERS = 256
MOST_FETCHES = 8
"""At once."""


class Unreachable(Exception):
    """The issuer could not be asked."""


class WrongDocument(Exception):
    """The issuer's answer is not what it must be."""


class Kept(NamedTuple):
    """What is known of an issuer."""

    keys: tuple[dict[str, Any], ...]
    error: Exception | None
    fetched: float


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
        from jedlik.iam.issuer_documents import keys_of

        keys: tuple[dict[str, Any], ...] = ()
        error: Exception | None = None
        try:
            async with asyncio.timeout(SECONDS):
                keys = await keys_of(issuer, self._allowed)
        except OSError as found:
            error = Unreachable(str(found)[:200] or type(found).__name__)
        except ValueError as found:
            error = WrongDocument(str(found)[:200])
        if len(self._kept) >= MOST_ISSUERS:
            del self._kept[next(iter(self._kept))]
        kept = self._kept[issuer] = Kept(keys, error, time.monotonic())
        return kept


def _fitting(keys: tuple[dict[str, Any], ...], key_id: str | None) -> tuple[dict[str, Any], ...]:
    """The keys that a token may be signed with: that of its id, or the only one."""
    if key_id is None:
        return keys if len(keys) == 1 else ()
    return tuple(key for key in keys if key.get("kid") == key_id)
