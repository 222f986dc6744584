"""Pulling: keeps the replicas of a region up to date with their peers.

For each region with which a table here is shared there is a puller in each worker. The one whose worker has the lease
exchanges with the peer (`exchange`), again and again. After a failure it tries again, with a pause that grows up to a
bound; a peer that cannot be reached is logged when it is lost and when it is found. One that refuses this region,
because their secrets differ, is asked again as often, and shown by `jedlik stats`. The number of applied changes, and
their latency, are logged once a minute.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

from jedlik.background.leases import Leases
from jedlik.dynamodb.errors import DescriptorChanged
from jedlik.dynamodb.replication import replicated
from jedlik.dynamodb.replication.exchange import Exchange
from jedlik.dynamodb.replication.pull_positions import PositionMoved
from jedlik.dynamodb.replication.replicated import Replicated
from jedlik.dynamodb.replication.serving import LONGEST_WAIT
from jedlik.regions.peers import PeerRefuses, PeerUnreachable

if TYPE_CHECKING:
    from jedlik.regions.region import Region

LOOK_SECONDS = 1.0
"""How soon a worker notices that a table has become a replica, or that another worker's lease has run out."""
IDLE_SECONDS = 0.1
"""How long a puller pauses when it has nothing to request."""
FIRST_RETRY_SECONDS = 0.1
LAST_RETRY_SECONDS = 2.0
"""How long a puller pauses after a failure: twice as long each time, within these bounds."""
REPORT_SECONDS = 60.0

_log = logging.getLogger(__name__)


async def run(region: Region, stop: asyncio.Event) -> None:
    """Pull from the peers of a region's tables until `stop` is set."""
    tables = SharedTables(region)
    pullers: dict[str, asyncio.Task[None]] = {}
    while not stop.is_set():
        try:
            await tables.look()
            region.replicated = bool(tables.peers())
        except Exception:
            _log.exception("the replicated tables cannot be read", extra={"region": region.store})
        pullers = {peer: puller for peer, puller in pullers.items() if not puller.done()}
        for peer in tables.peers() - pullers.keys():
            running = Puller(region, peer, tables, stop).run()
            pullers[peer] = asyncio.create_task(running, name=f"pulling of {region.name} from {peer}")
        await _rest(stop, LOOK_SECONDS)
    for puller in pullers.values():
        puller.cancel()  # It may be waiting for its peer. It is safe to stop it at any point.
    await asyncio.gather(*pullers.values(), return_exceptions=True)


async def _rest(stop: asyncio.Event, seconds: float) -> None:
    """Until `stop` is set, but not for longer than `seconds`."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


class SharedTables:
    """The replicated tables of a region, as last seen."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._found: list[Replicated] = []

    async def look(self) -> None:
        """See them as they are now."""
        self._found = await replicated.all_of(self._region)

    def peers(self) -> set[str]:
        """The regions with which any of them is shared."""
        return {peer for found in self._found for peer in found.replica.peers}

    def with_peer(self, peer: str) -> list[Replicated]:
        """Those that are shared with a region, and whose keys can be used."""
        return [found for found in self._found if peer in found.replica.peers and not found.table.descriptor.is_closed]


class Puller:
    """Pulls from one peer while its worker has the lease."""

    def __init__(self, region: Region, peer: str, tables: SharedTables, stop: asyncio.Event) -> None:
        self._peer = peer
        self._tables = tables
        self._stop = stop
        self._leases = Leases(region, secrets.token_hex(8))
        self._exchange = Exchange(region, peer)
        self._failures = 0
        """Since the last success."""
        self._said = ""
        """The reason of the peer's refusal, as last logged since the last success."""
        self._reported = 0
        """Changes that had been applied at the last report."""
        self._report_due = 0.0
        self._context = {"region": region.store, "peer": peer}

    async def run(self) -> None:
        """Pull until stopped, or until no table is shared with the peer any more."""
        try:
            while not self._stop.is_set() and self._tables.with_peer(self._peer):
                rest = await self._turn()
                self._report()
                if rest:
                    await _rest(self._stop, rest)
        finally:
            await self._leases.release_all()

    async def _turn(self) -> float:
        """Exchange once with the peer. Returns how long to pause, in seconds."""
        try:
            if not await self._leases.hold(f"pulling/{self._peer}"):
                self._exchange.forget()
                return LOOK_SECONDS
            busy = await self._round()
        except (PositionMoved, DescriptorChanged):
            self._exchange.forget()
            await self._tables.look()
            return IDLE_SECONDS
        except Exception as error:
            return self._failed(error)
        if self._failures:
            self._failures, self._said = 0, ""
            _log.info("peer reached again", extra=self._context)
        return 0.0 if busy else IDLE_SECONDS

    async def _round(self) -> bool:
        """Do a piece of work for all tables that are shared with the peer. Returns whether there was any."""
        tables = self._tables.with_peer(self._peer)
        try:
            return await self._exchange.round(tables, LONGEST_WAIT)
        except PeerRefuses as error:
            await self._exchange.refused(tables, error)
            raise

    def _failed(self, error: Exception) -> float:
        """Log the refusal, the first time and for each new reason. Returns how long to pause, in seconds."""
        refusal = str(error) if isinstance(error, PeerRefuses) else self._said
        if not self._failures or refusal != self._said:
            self._said = refusal
            if isinstance(error, PeerUnreachable):
                _log.warning("peer lost: %s", error, extra=self._context)
            else:
                _log.error("pulling failed: %s", error, exc_info=error, extra=self._context)
        rest: float = min(FIRST_RETRY_SECONDS * 2.0**self._failures, LAST_RETRY_SECONDS)
        self._failures = min(self._failures + 1, 10)
        return rest

    def _report(self) -> None:
        now = asyncio.get_running_loop().time()
        latency = self._exchange.latency
        if now < self._report_due or latency.applied == self._reported:
            return
        self._report_due = now + REPORT_SECONDS
        applied, self._reported = latency.applied - self._reported, latency.applied
        milliseconds = {f"latency_{name.lower()}_ms": value for name, value in latency.summary().items()}
        _log.info("replication", extra={**self._context, "applied": applied, **milliseconds})
