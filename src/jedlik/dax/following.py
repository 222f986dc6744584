"""Following: what is written to a table past this node drops what the node has of it.

A table is followed from its first cached item on, until nothing of it has been cached for longer than entries live. An
entry has the position of the last write that was there for certain when it was read. A later write of the item ends it;
an earlier one does not, so what a node has written itself stays.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

from jedlik.aws.errors import ServiceError
from jedlik.aws.followed_tables import Follow, Followed, Lost
from jedlik.dax.cache import Cache
from jedlik.dax.wire_keys import KeySchema, item_entry, table_entries
from jedlik.regions.region import NotServed, Region
from jedlik.regions.stores import Stores
from jedlik.storage.engine import StorageError

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.03
"""How often it is looked for writes: a write is to be seen within 100 ms."""
LIFE_MARGIN = 5.0
"""Seconds for which a table is followed beyond the life of its last entry: that begins when it has been read."""
RENEW_SECONDS = 15.0
"""How often it is shown that this node still follows, which lets the log be trimmed."""


@dataclass(slots=True)
class _Table:
    """A table that is followed."""

    followed: Followed
    schema: KeySchema
    until: float
    """When all that is cached of it is too old, by the event loop's clock."""
    renewed: float


@dataclass(slots=True)
class _Store:
    """The tables of one store."""

    position: int = -1
    """Up to where the store's writes have been looked at."""
    tables: dict[str, _Table] = field(default_factory=dict)


class Following:
    """All tables that a node follows. Without `follow`, it follows none."""

    def __init__(self, cache: Cache, follow: Follow | None, name: str) -> None:
        self.stores: Stores
        """Set once, when they are made: they ask here which of them must stay open."""
        self._cache = cache
        self._follow = follow
        self._name = name
        self._followed: dict[str, _Store] = {}
        self._beginning: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._changing = asyncio.Lock()
        """Held while one begins or ends: both go by the name of the follower."""

    async def position(self, store: str, table: str, schema: KeySchema, life: float) -> int | None:
        """The position of the last write before all that is read from now on, which is to be kept for `life` seconds;
        the table is followed from there. None if it cannot be followed, so that nothing of it may be kept."""
        if self._follow is None:
            return 0
        now = asyncio.get_running_loop().time()
        known = self._followed.get(store)
        followed = None if known is None else known.tables.get(table)
        if followed is None or followed.schema != schema:
            try:
                await self._begin_once(store, table, schema, life)
            except (Lost, ServiceError) as error:
                log.debug("%s is not followed: %s", table, error)
                return None
        else:
            followed.until = max(followed.until, now + life + LIFE_MARGIN)
        region = await self._region(store)
        return await region.engine.last_position()

    async def _region(self, store: str) -> Region:
        return self.stores.opened(store) or await self.stores.find(store)

    async def _begin_once(self, store: str, table: str, schema: KeySchema, life: float) -> None:
        beginning = self._beginning.get((store, table))
        if beginning is None:
            work = self._begin(store, table, schema, life)
            beginning = self._beginning[store, table] = asyncio.get_running_loop().create_task(work)
            beginning.add_done_callback(lambda _: self._beginning.pop((store, table)))
        await asyncio.shield(beginning)

    async def _begin(self, store: str, table: str, schema: KeySchema, life: float) -> None:
        follow = self._follow
        assert follow is not None
        now = asyncio.get_running_loop().time()
        async with self._changing:
            followed = await self.stores.use(store, lambda region: follow(region, table, self._name))
            self._cache.drop_all(table_entries(store, table))
            self._followed.setdefault(store, _Store()).tables[table] = _Table(
                followed, schema, now + life + LIFE_MARGIN, now
            )

    async def follow_all(self) -> None:
        """Look for writes for as long as the node runs."""
        while True:
            for name, store in list(self._followed.items()):
                try:
                    await self._look(name, store)
                except Exception as error:  # Whatever it is, nothing may be answered that is true no more.
                    trace = None if isinstance(error, StorageError | NotServed) else error
                    log.error("the writes of %s are not known: %s", name, error, exc_info=trace)
                    self._forget(name)
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self, name: str, store: _Store) -> None:
        """Drop what has been written to the tables of a store."""
        region = self.stores.opened(name)
        if region is None:  # It was closed, and with it went all that was known of its writes.
            self._forget(name)
            return
        now = asyncio.get_running_loop().time()
        last = await region.engine.last_position()
        for table, one in list(store.tables.items()):
            try:
                if last > store.position:
                    await self._drop_written(name, table, one)
                if now > one.until:
                    async with self._changing:
                        del store.tables[table]
                        await one.followed.end()
                elif now - one.renewed > RENEW_SECONDS:
                    one.renewed = now
                    await one.followed.renew()
            except Lost:
                store.tables.pop(table, None)
                self._cache.drop_all(table_entries(name, table))
        store.position = last
        if not store.tables:
            del self._followed[name]

    async def _drop_written(self, store: str, table: str, one: _Table) -> None:
        more = True
        while more:
            written, more = await one.followed.changes()
            for position, key in written:
                self._cache.changed(item_entry(store, table, one.schema.encoded(dict(key))), position)

    def _forget(self, name: str) -> None:
        """Follow the tables of a store no more; of what is cached of them nothing is certain."""
        for table in self._followed.pop(name).tables:
            self._cache.drop_all(table_entries(name, table))

    async def wanted(self, region: Region) -> bool:
        """Whether a store must stay open, because its tables are followed."""
        return region.store in self._followed

    async def end(self) -> None:
        """Follow nothing any more: the node stops."""
        for name, store in self._followed.items():
            region = self.stores.opened(name)
            for one in store.tables.values():
                if region is not None:
                    await one.followed.end()
        self._followed.clear()
