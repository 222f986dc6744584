"""The stores of a process: one for each region of each account, each in a folder of its own (`layout`).

A region without a store answers as an empty one does, and costs nothing; the first request that writes creates its
store. Existing stores of the server's own account are opened at the start, so that their background work goes on. Those
of other accounts are opened by requests, and checked one after the other: those with background work stay open. A store
that has been idle for five minutes, and has no background work, is closed. If the greatest number is open, the one that
has been idle for longest makes room; if it had work, it is opened again when there is room. A new store gets its format
and its secret before anything is written to it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from jedlik.clock import Clock, boot_clock, system_clock
from jedlik.config import Settings
from jedlik.regions import clock_watch, keyspaces, layout, object_places, store_keys
from jedlik.regions.peers import NoPeers, Peers
from jedlik.regions.region import NoAccount, NotServed, Region, TooManyOpen
from jedlik.regions.store_keys import Seals
from jedlik.storage.empty import EmptyEngine, NoStore
from jedlik.storage.engine import Engine, StorageError, Writes
from jedlik.storage.lmdb import idle_committers
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine

T = TypeVar("T")

OPEN_STORES = 64
"""At once. Each that is written to costs a process and a few files."""
QUIET_SECONDS = 10.0
"""How long a store that makes room for another has been idle."""
TURN_SECONDS = 30.0
"""How long a store with background work stays open before it makes room for another with such work."""
MADE_ACCOUNTS = 1000
"""Accounts beyond which requests create no others: if signatures are not verified, requests may name any account."""
IDLE_SECONDS = 300.0
"""How long a store is idle before it is closed."""

REFUSED_SECONDS = 60.0
"""How long a server is not ready because a store could not be opened: then a request may try again."""
PROBE_SECONDS = 2.0
"""From the end of one attempt to write to a store in trouble to the next."""

_log = logging.getLogger(__name__)


async def _nothing_to_end(region: Region) -> None:
    """The default, which starts nothing with a region."""


async def _nothing_to_do(region: Region) -> bool:
    """The default, which has no background work."""
    return False


class Stores:
    """The open stores. `opened` is called with each region as it is opened, on the event loop; `closing` ends what that
    has started, before the store is closed because it is idle. One that is `busy` is never idle."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock = system_clock,
        steady: Callable[[], float] = boot_clock,
        opened: Callable[[Region], None] = lambda region: None,
        closing: Callable[[Region], Awaitable[None]] = _nothing_to_end,
        busy: Callable[[Region], Awaitable[bool]] = _nothing_to_do,
        seals: Seals = store_keys.NO_SEALS,
    ) -> None:
        self._settings = settings
        self._seals = seals
        self._places = object_places.of_settings(settings)
        self._clock = clock
        self._steady = steady
        self._opened = opened
        self._closing = closing
        self._busy = busy
        self.peers_of: Callable[[str], Peers] = lambda account: NoPeers()
        """The peers of the regions of an account that are opened from now on."""
        self._regions: dict[str, Region] = {}
        """By the names of their stores, like all that follow."""
        self._engines: dict[str, LmdbEngine] = {}
        """What keeps their rows, sealed or plain."""
        self._opening: dict[str, asyncio.Task[Region]] = {}
        self._being_closed: dict[str, asyncio.Task[None]] = {}
        self._quiet: dict[str, tuple[int, float]] = {}
        """The number of requests to a region when it was last found busy, and when that was."""
        self._opened_at: dict[str, float] = {}
        self._refused: dict[str, float] = {}
        """The last time at which a region's store could not be opened."""
        self._probing: dict[str, asyncio.Task[None]] = {}
        self._unseen: deque[str] = deque()
        """Stores that may have background work, and are not open."""
        self._looked_into: set[str] = set()
        """Those of them that are being opened for that alone, as long as no request needs them."""

    async def find(self, name: str) -> Region:
        """The region whose store is called `name` (`layout.store_name`), without waiting.

        If it has no store, it is empty: a write raises NoStore, and the caller must ask for `region` instead. Raises
        the errors of that.
        """
        region = self._regions.get(name)
        if region is not None:
            return region
        self._check_served(name)
        if name not in self._opening and not self._is_there(name):
            return self._empty(name)
        return await self.region(name)

    async def find_any(self, name: str) -> Region:
        """The same for a region that need not be served; then it is one without a store, and writes to it are
        refused."""
        account, region = self._parts(name)
        if self._settings.serves(region):
            return await self.find(name)
        self._check_account(account)
        return self._empty(name)

    def _empty(self, name: str) -> Region:
        return self._region(name, EmptyEngine(), b"")

    def _region(self, name: str, engine: Engine, secret: bytes) -> Region:
        account, region_name = self._parts(name)
        region = Region(region_name, account, engine, self._clock, secret, self.peers_of(account), self._steady)
        region.store = name
        region.elsewhere = _OfAccount(self, account)
        region.places = self._places
        region.root_key = self._seals.root_key
        region.most_tables = self._settings.max_tables
        return region

    def _parts(self, name: str) -> tuple[str, str]:
        """The account and the region of a store."""
        account, _, region = name.rpartition("/")
        return account or self._settings.account, region

    async def use(self, name: str, work: Callable[[Region], Awaitable[T]]) -> T:
        """The result of `work` with the region called `name`. If it writes, its store is created, and `work` starts
        again."""
        try:
            return await _counted(await self.find(name), work)
        except NoStore:
            return await _counted(await self.region(name), work)

    async def region(self, name: str) -> Region:
        """The region whose store is called `name`, with the store, which is created if need be.

        Raises NotServed, NoAccount, TooManyOpen, and StorageError if its store cannot be opened.
        """
        region = self._regions.get(name)
        if region is not None:
            return region
        self._check_served(name)
        self._looked_into.discard(name)
        return await self._opened_once(name)

    async def _opened_once(self, name: str) -> Region:
        opening = self._opening.get(name)
        if opening is None:
            self._check_room_for_account(name)
            if len(self._regions) + len(self._opening) >= OPEN_STORES and not self._make_room(QUIET_SECONDS, 0.0):
                raise TooManyOpen(f"This server has {OPEN_STORES} stores of regions open, and opens no more")
            opening = self._opening[name] = asyncio.get_running_loop().create_task(self._open(name))
            opening.add_done_callback(lambda _: self._opening.pop(name))
        return await asyncio.shield(opening)

    def named(self, account: str, region: str) -> str:
        """The name of the store of a region of an account."""
        return layout.store_name(region, None if account == self._settings.account else account)

    def regions(self) -> list[Region]:
        """The regions whose stores are open."""
        return list(self._regions.values())

    def opened(self, name: str) -> Region | None:
        """The region called `name`, if its store is open."""
        return self._regions.get(name)

    async def open_existing(self) -> None:
        """Open the existing stores of the server's own account, of regions that are served, and note the others
        (`look_into_next`). Raises StorageError if one cannot be opened, or if all are in their former place."""
        settings = self._settings
        if layout.former(settings.data_dir, settings.account):
            raise StorageError(layout.former_refusal(settings.data_dir))
        for stored in layout.stores(settings.data_dir, settings.account):
            if settings.serves(stored.region):
                if stored.is_own and len(self._regions) < OPEN_STORES:
                    await self.region(stored.name)
                else:
                    self._unseen.append(stored.name)

    async def look_into_next(self) -> bool:
        """Open the next store that may have background work, and leave it open if it has. Returns whether there is
        another."""
        if not self._unseen:
            return False
        if len(self._regions) + len(self._opening) >= OPEN_STORES and not self._make_room(QUIET_SECONDS, TURN_SECONDS):
            return False
        name = self._unseen.popleft()
        if name not in self._regions and name not in self._opening:
            self._looked_into.add(name)
            try:
                region = await self._opened_once(name)
                is_wanted = await self._busy(region) or region.begun > 0 or name not in self._looked_into
            except (StorageError, TooManyOpen):
                is_wanted = True  # The reason why it could not be opened has been noted and logged.
            if not is_wanted and self._regions.get(name) is region:
                await asyncio.shield(self._take_away(region))
            self._looked_into.discard(name)
        return bool(self._unseen)

    def _make_room(self, quiet: float, turn: float) -> bool:
        """Begin to close the store that has been idle for longest, if it has been idle for `quiet` seconds and open for
        `turn` seconds. Returns whether there is one."""
        now = asyncio.get_running_loop().time()
        found: tuple[float, Region] | None = None
        for name, region in self._regions.items():
            since = self._quiet_since(region, now)
            if since is None or now - since < quiet or now - self._opened_at[name] < turn:
                continue
            if found is None or since < found[0]:
                found = since, region
        if found is None:
            return False
        self._unseen.append(found[1].store)
        self._take_away(found[1])
        return True

    def _quiet_since(self, region: Region, now: float) -> float | None:
        """Since when a region has been idle; None if it has had a request since the last check, or is answering one."""
        begun, since = self._quiet.get(region.store, (-1, now))
        if region.begun != begun or region.ended != begun:
            self._quiet[region.store] = region.begun, now
            return None
        return since

    def _take_away(self, region: Region) -> asyncio.Task[None]:
        """Begin to close a store. From here on no request finds it; those that need it wait for the end."""
        del self._regions[region.store]
        del self._engines[region.store]
        self._quiet.pop(region.store, None)
        self._opened_at.pop(region.store, None)
        task = self._being_closed[region.store] = asyncio.get_running_loop().create_task(self._close(region))
        return task

    async def close(self) -> None:
        """Close all stores when their pending writes are done."""
        await asyncio.gather(*self._being_closed.values())
        for region in self._regions.values():
            await region.engine.close()
        self._regions.clear()

    def look(self, most: int) -> None:
        """Watch over the open stores, once a second: a commit that is unanswered at `most` checks has failed, and most
        committers that have nothing to do end."""
        engines = {name: self._engines[name] for name in self._regions if name in self._engines}
        for name, engine in engines.items():
            engine.look(most)
            if engine.trouble is not None and name not in self._probing:
                # A load balancer sends no requests to a server that is not ready, so the server must find out itself.
                probing = self._probing[name] = asyncio.get_running_loop().create_task(_probe(engine))
                probing.add_done_callback(partial(self._probed, name))
        idle_committers.end_most(engines.values())

    def _probed(self, name: str, _: asyncio.Task[None]) -> None:
        del self._probing[name]

    def troubles(self) -> dict[str, str]:
        """The regions that cannot be written to, as far as is known, with the reason."""
        now = asyncio.get_running_loop().time()
        found = {
            name: "the store cannot be opened; the log says why"
            for name, since in self._refused.items()
            if now - since < REFUSED_SECONDS
        }
        for name in self._regions:
            if name in self._engines and (trouble := self._engines[name].trouble) is not None:
                found[name] = trouble
        return found

    async def close_idle(self) -> None:
        """Close the stores that have been idle for a while, and have no background work."""
        now = asyncio.get_running_loop().time()
        for name, region in list(self._regions.items()):
            begun = region.begun
            since = self._quiet_since(region, now)
            if since is None:
                continue
            try:
                wanted = now - since < IDLE_SECONDS or await self._busy(region)
            except StorageError:  # It is not idle, but in trouble; requests to it are answered with the reason.
                continue
            # A request may have come meanwhile. From here to where the region is taken away, none can.
            if not wanted and region.begun == begun == region.ended and self._regions.get(name) is region:
                await asyncio.shield(self._take_away(region))

    async def _close(self, region: Region) -> None:
        try:
            await self._closing(region)
            await region.engine.close()
        except StorageError:
            _log.exception("an idle store was not closed in order", extra={"region": region.store})
        finally:
            del self._being_closed[region.store]

    def _check_served(self, name: str) -> None:
        """Raise NotServed or NoAccount if there can be no such region. If signatures are not verified, a missing
        account is empty, and the first write creates it."""
        account, region = self._parts(name)
        if not self._settings.serves(region):
            raise NotServed(region)
        self._check_account(account)

    def _check_account(self, account: str) -> None:
        if self._settings.auth == "on" and not self._has_account(account):
            raise NoAccount(account)

    def _has_account(self, account: str) -> bool:
        if account == self._settings.account:
            return True
        return layout.account_folder(self._settings.data_dir, account).is_dir()

    def _check_room_for_account(self, name: str) -> None:
        account, _ = self._parts(name)
        if not self._has_account(account) and len(layout.accounts(self._settings.data_dir)) >= MADE_ACCOUNTS:
            raise TooManyOpen(
                f"This server has {MADE_ACCOUNTS} accounts, and makes no more without `jedlik account create`"
            )

    def _path(self, name: str) -> Path:
        return layout.store_folder(self._settings.data_dir, *self._parts(name))

    def _is_there(self, name: str) -> bool:
        """Whether there is anything in a store's place; also if it cannot be read, because then opening it reports the
        reason."""
        try:
            os.stat(self._path(name))
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True
        return True

    async def _open(self, name: str) -> Region:
        if name in self._being_closed:
            await asyncio.wait([self._being_closed[name]])
        try:
            region = await self._opened_region(name)
        except StorageError:
            self._note_refusal(name)
            raise
        self._refused.pop(name, None)
        self._regions[name] = region
        self._opened_at[name] = asyncio.get_running_loop().time()
        self._opened(region)
        return region

    async def _opened_region(self, name: str) -> Region:
        settings = self._settings
        path = self._path(name)
        lmdb = LmdbEngine.open(path, durable=not settings.in_memory)
        try:
            opening = store_keys.Opening(path, *self._parts(name), self._seals)
            known = await store_keys.known(lmdb, opening, seals=settings.seal_tables)
            sealed = None if known.key is None else store_keys.sealed_engine(lmdb, known.key, opening)
            engine = sealed or lmdb
            region = self._region(name, engine, known.secret)
            region.sealed = sealed
            if known.key is not None and not settings.in_memory:  # Nobody has the root key of what is in memory later.
                region.piece_key = store_keys.piece_key(known.key, opening)
            await clock_watch.begin(region)
        except BaseException:
            await lmdb.close()
            raise
        self._engines[name] = lmdb
        return region

    def _note_refusal(self, name: str) -> None:
        now = asyncio.get_running_loop().time()
        self._refused = {one: since for one, since in self._refused.items() if now - since < REFUSED_SECONDS}
        if len(self._refused) < OPEN_STORES:  # Strangers can name many.
            self._refused[name] = now


class _OfAccount:
    """The regions of an account, for each other."""

    def __init__(self, stores: Stores, account: str) -> None:
        self._stores = stores
        self._account = account

    async def use(self, name: str, work: Callable[[Region], Awaitable[T]]) -> T:
        return await self._stores.use(self._stores.named(self._account, name), work)

    def requests(self) -> int:
        return sum(region.begun for region in self._stores.regions())


async def _counted(region: Region, work: Callable[[Region], Awaitable[T]]) -> T:
    region.begun += 1
    try:
        return await work(region)
    finally:
        region.ended += 1


async def _probe(engine: Engine) -> None:
    """Write a value that is already stored, to find out whether writing is possible."""

    def decide(found: Sequence[bytes | None]) -> tuple[Writes, None]:
        writes = Writes()
        writes.puts[keyspaces.format_key()] = found[0]
        return writes, None

    with suppress(StorageError):  # The engine has logged it, and knows it.
        await engine.mutate([keyspaces.format_key()], decide)
        return
    await asyncio.sleep(PROBE_SECONDS)
