"""What a handler works with: the region that it serves and who asks.

A process keeps the last descriptor that it saw of each table. It may be stale, for other processes share the store; so
what is built on it is only used together with a comparison of the descriptor's bytes, made in the snapshot of the read
or in the decision of the write. `Region.with_table` is that loop: try with the table as last seen, look again, retry.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from jedlik.aws.errors import DescriptorChanged, InternalServerError, ResourceNotFoundException, ValidationException
from jedlik.clock import Clock, TrustedClock
from jedlik.dynamodb.model import descriptors, keys
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.tables import table_names
from jedlik.regions.peers import NoPeers, Peers
from jedlik.storage.engine import Engine

T = TypeVar("T")

DESCRIPTOR_ATTEMPTS = 10
"""How often an operation is begun again because a table's descriptor changed under it. A descriptor changes with
UpdateTable and the steps of its jobs, so a second attempt is rare and a tenth means that something is wrong."""


class Region:
    """One region's store and what a process knows of it."""

    __slots__ = (
        "account",
        "begun",
        "clock",
        "ended",
        "engine",
        "jobs_wanted",
        "known",
        "name",
        "peers",
        "replicated",
        "secret",
    )

    def __init__(
        self,
        name: str,
        account: str,
        engine: Engine,
        clock: Clock,
        secret: bytes,
        peers: Peers | None = None,
        steady: Callable[[], float] | None = None,
    ) -> None:
        self.name = name
        self.account = account
        """Twelve digits, as in ARNs."""
        self.engine = engine
        self.clock = TrustedClock(clock, steady)
        """Says what time it is, also where `clock` jumps while `steady` does not."""
        self.secret = secret
        """The key of the store's hashes of partition keys."""
        self.peers = peers or NoPeers()
        """The other regions, as far as they are known here."""
        self.known: dict[str, Table] = {}
        """Tables as last seen, by name: usable ones. Possibly stale."""
        self.jobs_wanted = asyncio.Event()
        """Set when a background job has been written, so that the runner looks at once."""
        self.begun = 0
        """Requests that have come here. The store is closed only when all have ended."""
        self.ended = 0
        """Requests that have been answered, or have failed."""
        self.replicated = False
        """Whether any table was a replica when pulling last looked."""

    async def table(self, name: str, *, missing: str = "Requested resource not found") -> Table:
        """The table called `name` (or whose ARN it is) as it is now.

        Raises ResourceNotFoundException with the text `missing`, also for a replica that is being made or deleted:
        it is there for its description and for replication only.
        """
        name = table_names.resolve(name, self.name, self.account)
        [raw] = await self.engine.get((keys.descriptor_key(name),))
        table = None if raw is None else self.seen(name, raw)
        if table is None or not table.usable:
            self.known.pop(name, None)
            raise ResourceNotFoundException(missing)
        return table

    def seen(self, name: str, raw: bytes) -> Table:
        """The table that a descriptor just read describes; the same object as long as the bytes are the same."""
        table = self.known.get(name)
        if table is None or table.raw != raw:
            table = descriptors.parse(raw)
            self.known[name] = table
        return table

    async def with_table(self, name: str, attempt: Callable[[Table], Awaitable[T]]) -> T:
        """What `attempt` makes of the table called `name` (or whose ARN it is).

        `attempt` gets the table as last seen, compares its `raw` with the descriptor in the snapshot of what it reads
        or in the decision of what it writes, and raises DescriptorChanged where they differ; then it is called again.
        A refusal that rests on a stale table is tried again as well. Raises ResourceNotFoundException.
        """
        table = self.known.get(name)
        if table is not None:
            # Nearly always this is all.
            try:
                return await attempt(table)
            except DescriptorChanged:
                await self.table(name)
            except ValidationException as refusal:
                if await self.table(name) is table:
                    refusal.bare = True
                    raise
        return await self.with_tables((name,), lambda tables: attempt(tables[0]))

    async def with_tables(self, names: Sequence[str], attempt: Callable[[Sequence[Table]], Awaitable[T]]) -> T:
        """The same for several tables, which `attempt` gets in the order of `names`."""
        names = [table_names.resolve(name, self.name, self.account) for name in names]
        for _ in range(DESCRIPTOR_ATTEMPTS):
            tables = [self.known.get(name) or await self.table(name) for name in names]
            try:
                return await attempt(tables)
            except DescriptorChanged:
                for name in names:
                    await self.table(name)
            except ValidationException as refusal:
                if [await self.table(name) for name in names] == tables:
                    refusal.bare = True
                    raise
        raise InternalServerError("The definition of a table keeps changing")


class Context:
    """One request: where it is served and who asks."""

    __slots__ = ("access_key", "host", "region", "request_id")

    def __init__(self, region: Region, request_id: str, access_key: str | None, host: bytes) -> None:
        self.region = region
        self.request_id = request_id
        self.access_key = access_key
        self.host = host
        """The Host that the client has asked: a name, and perhaps a port; empty if it has not said."""
