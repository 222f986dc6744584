"""Leases: which of the workers that share a store runs a job.

A lease is a value in the store that names its holder and the moment until which it holds. A worker that finds it absent
or expired takes it; its holder renews it while it works. The leases of a dead worker expire. They are a courtesy, not a
lock: clocks differ and workers stall, so work under a lease must be safe to run twice (`job_records`). Gray and
Cheriton, "Leases", SOSP 1989.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import orjson

from jedlik.regions.keyspaces import Keyspace, Owner
from jedlik.storage.engine import Writes

if TYPE_CHECKING:
    from jedlik.regions.region import Region

KEYSPACE = Keyspace("leases", b"\x48", Owner.STORE, "leases", (("name", "lease"),), lost="nothing")

LEASE_SECONDS = 3.0
"""How long a lease holds: how long a job waits when its worker has died."""
RENEWAL_SECONDS = 1.0
"""How old a lease is when it is renewed: early enough that a worker which stalls for a while does not lose it."""


class Leases:
    """The leases of one worker in one region."""

    def __init__(self, region: Region, holder: str) -> None:
        self._region = region
        self._holder = holder
        """Identifies this worker among all that ever share the store."""
        self._taken: dict[str, float] = {}
        """When each lease that we hold was taken or renewed, in seconds since the epoch."""

    async def hold(self, name: str) -> bool:
        """Take the lease called `name` or keep it; False if another worker has it."""
        now = self._region.clock()
        if 0 <= now - self._taken.get(name, -LEASE_SECONDS) < RENEWAL_SECONDS:
            return True
        key = lease_key(name)
        [raw] = await self._region.engine.get([key])
        if self._is_anothers(raw, now) or not await self._take(key, now):
            self._taken.pop(name, None)
            return False
        self._taken[name] = now
        return True

    async def release(self, name: str) -> None:
        """Give up the lease called `name`, if we hold it."""
        if self._taken.pop(name, None) is None:
            return
        key = lease_key(name)

        def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
            writes = Writes()
            if values[0] is not None and orjson.loads(values[0])["Holder"] == self._holder:
                writes.delete(key)
            return writes, None

        await self._region.engine.mutate([key], decide)

    async def release_all(self) -> None:
        """Give up every lease, so that other workers need not wait for them to run out."""
        for name in list(self._taken):
            await self.release(name)

    async def _take(self, key: bytes, now: float) -> bool:
        def decide(values: Sequence[bytes | None]) -> tuple[Writes, bool]:
            writes = Writes()
            if self._is_anothers(values[0], now):
                return writes, False
            writes.put(key, orjson.dumps({"Holder": self._holder, "Until": now + LEASE_SECONDS}))
            return writes, True

        return await self._region.engine.mutate([key], decide)

    def _is_anothers(self, raw: bytes | None, now: float) -> bool:
        if raw is None:
            return False
        lease = orjson.loads(raw)
        until: float = lease["Until"]
        # A lease from a clock that is ahead of ours must not hold for longer than any lease does.
        return lease["Holder"] != self._holder and now < until <= now + LEASE_SECONDS


def lease_key(name: str) -> bytes:
    """The key of the lease called `name`."""
    return KEYSPACE.prefix + name.encode()
