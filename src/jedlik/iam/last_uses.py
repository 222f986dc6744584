"""When access keys and roles were last used, as GetAccessKeyLastUsed and GetRole show it.

A request pays nothing for it: the verifier knows the time of each caller's last request. Once a second it is looked
whether there are new ones; one that is known is written again after a minute, and only by the worker that has seen it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jedlik.aws.errors import ServiceError
from jedlik.aws.principals import ROLE_SESSION
from jedlik.aws.sigv4 import Signed
from jedlik.iam.identity_rows import last_use_key
from jedlik.iam.identity_stores import AccountIdentity, IdentityStores, Rows
from jedlik.storage.engine import StorageError

log = logging.getLogger(__name__)

REST_SECONDS = 60.0
"""Between two writes of one key's last use."""
MOST_KNOWN = 10_000
"""Keys whose last write is remembered."""

Uses = Callable[[], Iterable[tuple[Signed, int]]]


class LastUses:
    """What a worker has seen and written of last uses."""

    def __init__(self, stores: IdentityStores, uses: Uses) -> None:
        self._stores = stores
        self._uses = uses
        self._written: dict[str, tuple[int, float]] = {}
        """The last use of each key or role that was written, and when that was."""
        self._writing: asyncio.Task[None] | None = None

    def look(self) -> None:
        """Begin to write what is due, once a second."""
        if self._writing is not None and not self._writing.done():
            return
        now = time.monotonic()
        due: dict[str, dict[str, tuple[Signed, int]]] = {}
        for signed, moment in self._uses():
            who = signed.principal
            if who is None or not who.subject or not moment:
                continue
            of = who.subject if who.kind == ROLE_SESSION else signed.access_key
            last, written = self._written.get(of, (0, -REST_SECONDS))
            if moment > last and now - written >= REST_SECONDS:
                account = who.arn.split(":", 5)[4]
                found = due.setdefault(account, {})
                if of not in found or found[of][1] < moment:
                    found[of] = signed, moment
        if due:
            self._writing = asyncio.get_running_loop().create_task(self._write(due, now))

    async def _write(self, due: Mapping[str, Mapping[str, tuple[Signed, int]]], now: float) -> None:
        for account, uses in due.items():
            try:
                await _write(self._stores.of(account), uses)
            except (StorageError, ServiceError) as error:
                log.warning("the last use of access keys was not written: %s", error)
                continue
            if len(self._written) > MOST_KNOWN:
                self._written.clear()
            self._written |= {of: (moment, now) for of, (_, moment) in uses.items()}


async def _write(identity: AccountIdentity, uses: Mapping[str, tuple[Signed, int]]) -> None:
    """Write last uses, unless a later one is there."""
    keys = [last_use_key(of) for of in uses]

    def decide(rows: Rows) -> None:
        for of, (signed, moment) in uses.items():
            found: dict[str, Any] = rows.get(last_use_key(of)) or {}
            if found.get("LastUsedDate", 0.0) < moment:
                used = {"LastUsedDate": float(moment), "ServiceName": signed.service, "Region": signed.region}
                rows.put(last_use_key(of), used)

    await identity.change(keys, decide, is_noticed=False)
