"""The stores of a process: one for each region, each in a folder of its own.

A region without a store answers as an empty one does, and costs nothing; its store is made by the first request that
writes. A store that is there is opened at the start, so that its background work goes on, or when its region is asked
for. One that nobody has asked for in five minutes, and that has no background work, is closed. A new store gets its
format and its secret before anything is written to it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from jedlik import region_names
from jedlik.clock import Clock, boot_clock, system_clock
from jedlik.config import Settings
from jedlik.regions import clock_watch, keyspaces, store_format
from jedlik.regions.peers import NoPeers, Peers
from jedlik.regions.region import NotServed, Region, TooManyOpen
from jedlik.storage.empty import EmptyEngine, NoStore
from jedlik.storage.engine import Engine, StorageError, Writes
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine

T = TypeVar("T")

SECRET_BYTES = 32
REGIONS = 64
"""Stores open at once. AWS has fewer regions; each costs a process and a few files."""
IDLE_SECONDS = 300.0
"""After which a store that nobody has asked for is closed."""

REFUSED_SECONDS = 60.0
"""For which a server is not ready because a store could not be opened: then it may be asked for once more."""
PROBE_SECONDS = 2.0
"""From the end of one attempt to write to a store in trouble to the next."""

_log = logging.getLogger(__name__)


async def _nothing_to_end(region: Region) -> None:
    """For who begins nothing with a region."""


async def _nothing_to_do(region: Region) -> bool:
    """For who does no background work."""
    return False


class Stores:
    """The open stores. `opened` is called with each region as it is opened, on the event loop; `closing` ends what that
    has begun, before the store is closed because it is idle. One that is `busy` is never idle."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock = system_clock,
        steady: Callable[[], float] = boot_clock,
        opened: Callable[[Region], None] = lambda region: None,
        closing: Callable[[Region], Awaitable[None]] = _nothing_to_end,
        busy: Callable[[Region], Awaitable[bool]] = _nothing_to_do,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._steady = steady
        self._opened = opened
        self._closing = closing
        self._busy = busy
        self.peers: Peers = NoPeers()
        """What the regions opened from now on know each other by."""
        self._regions: dict[str, Region] = {}
        self._opening: dict[str, asyncio.Task[Region]] = {}
        self._being_closed: dict[str, asyncio.Task[None]] = {}
        self._quiet: dict[str, tuple[int, float]] = {}
        """How many requests had come to a region when it was last found busy, and when that was."""
        self._refused: dict[str, float] = {}
        """When a region's store could last not be opened."""
        self._probing: dict[str, asyncio.Task[None]] = {}

    async def find(self, name: str) -> Region:
        """The region called `name`, to be asked at once. If it has no store, it is empty: who writes gets NoStore, and
        must ask for `region` instead. Raises what that does."""
        region = self._regions.get(name)
        if region is not None:
            return region
        self._check_served(name)
        if name not in self._opening and not self._is_there(name):
            return self._empty(name)
        return await self.region(name)

    async def find_any(self, name: str) -> Region:
        """The same for a region that need not be served: one without a store, then. Who writes to that is refused."""
        if self._settings.serves(name):
            return await self.find(name)
        return self._empty(name)

    def _empty(self, name: str) -> Region:
        return Region(name, self._settings.account, EmptyEngine(), self._clock, b"", self.peers, self._steady)

    async def use(self, name: str, work: Callable[[Region], Awaitable[T]]) -> T:
        """What `work` makes of the region called `name`. Its store is made, and `work` begun again, if it writes."""
        try:
            return await _counted(await self.find(name), work)
        except NoStore:
            return await _counted(await self.region(name), work)

    async def region(self, name: str) -> Region:
        """The region called `name`, with a store, which is made if need be.

        Raises NotServed, TooManyOpen, and StorageError if its store cannot be opened.
        """
        region = self._regions.get(name)
        if region is not None:
            return region
        self._check_served(name)
        opening = self._opening.get(name)
        if opening is None:
            if len(self._regions) + len(self._opening) >= REGIONS:
                raise TooManyOpen(f"This server has the stores of {REGIONS} regions open, and opens no more")
            opening = self._opening[name] = asyncio.get_running_loop().create_task(self._open(name))
            opening.add_done_callback(lambda _: self._opening.pop(name))
        return await asyncio.shield(opening)

    def opened(self, name: str) -> Region | None:
        """The region called `name`, if its store is open."""
        return self._regions.get(name)

    async def open_existing(self) -> None:
        """Open the stores that are there, of regions that are served. Raises StorageError if one cannot be opened."""
        folder = self._settings.data_dir
        if not folder.is_dir():
            return
        for path in sorted(path for path in folder.iterdir() if path.is_dir()):
            name = region_names.of_folder(path.name)
            if name is not None and self._settings.serves(name):
                await self.region(name)

    async def close(self) -> None:
        """Close all stores, when what is being written has been written, and the ways to other regions."""
        await self.peers.close()
        await asyncio.gather(*self._being_closed.values())
        for region in self._regions.values():
            await region.engine.close()
        self._regions.clear()

    def look(self, most: int) -> None:
        """Look after the open stores, once a second: a commit that `most` looks find unanswered has failed."""
        for name, region in self._regions.items():
            engine = region.engine
            if not isinstance(engine, LmdbEngine):
                continue
            engine.look(most)
            if engine.trouble is not None and name not in self._probing:
                # Whoever sends requests to servers that are ready sends none here, so we must find out ourselves.
                probing = self._probing[name] = asyncio.get_running_loop().create_task(_probe(engine))
                probing.add_done_callback(partial(self._probed, name))

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
        for name, region in self._regions.items():
            if isinstance(region.engine, LmdbEngine) and (trouble := region.engine.trouble) is not None:
                found[name] = trouble
        return found

    async def close_idle(self) -> None:
        """Close the stores that nobody has asked for in a while, where nothing is to be done."""
        now = asyncio.get_running_loop().time()
        for name, region in list(self._regions.items()):
            begun, since = self._quiet.get(name, (-1, now))
            if region.begun != begun or region.ended != begun:
                self._quiet[name] = (region.begun, now)
                continue
            try:
                wanted = now - since < IDLE_SECONDS or await self._busy(region)
            except StorageError:  # It is not idle, but in need of help; who asks it is answered with the reason.
                continue
            # A request may have come meanwhile. From here to where the region is taken away, none can.
            if not wanted and region.begun == begun and self._regions.get(name) is region:
                del self._regions[name]
                del self._quiet[name]
                task = self._being_closed[name] = asyncio.get_running_loop().create_task(self._close(region))
                await asyncio.shield(task)

    async def _close(self, region: Region) -> None:
        try:
            await self._closing(region)
            await region.engine.close()
        except StorageError:
            _log.exception("an idle store was not closed in order", extra={"region": region.name})
        finally:
            del self._being_closed[region.name]

    def _check_served(self, name: str) -> None:
        if not self._settings.serves(name):
            raise NotServed(name)

    def _path(self, name: str) -> Path:
        return self._settings.data_dir / region_names.folder(name)

    def _is_there(self, name: str) -> bool:
        """Whether there is anything where a store would be; also if it cannot be looked at, for then to open it says
        why."""
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
        self._opened(region)
        return region

    async def _opened_region(self, name: str) -> Region:
        settings = self._settings
        path = self._path(name)
        engine = LmdbEngine.open(path, durable=not settings.in_memory)
        try:
            secret = await _secret(engine, path)
            region = Region(name, settings.account, engine, self._clock, secret, self.peers, self._steady)
            await clock_watch.begin(region)
        except BaseException:
            await engine.close()
            raise
        return region

    def _note_refusal(self, name: str) -> None:
        now = asyncio.get_running_loop().time()
        self._refused = {one: since for one, since in self._refused.items() if now - since < REFUSED_SECONDS}
        if len(self._refused) < REGIONS:  # Strangers can name many.
            self._refused[name] = now


async def _counted(region: Region, work: Callable[[Region], Awaitable[T]]) -> T:
    region.begun += 1
    try:
        return await work(region)
    finally:
        region.ended += 1


async def _probe(engine: Engine) -> None:
    """Write what is there already, to find out whether that can be done."""

    def decide(found: Sequence[bytes | None]) -> tuple[Writes, None]:
        writes = Writes()
        writes.puts[keyspaces.format_key()] = found[0]
        return writes, None

    with suppress(StorageError):  # The engine has logged it, and knows it.
        await engine.mutate([keyspaces.format_key()], decide)
        return
    await asyncio.sleep(PROBE_SECONDS)


async def _secret(engine: Engine, path: Path) -> bytes:
    """The secret of the store in `path`, made if the store is new. Raises StorageError for one of another format."""
    offered = secrets.token_bytes(SECRET_BYTES)

    def decide(found: Sequence[bytes | None]) -> tuple[Writes, bytes]:
        record, secret = found
        writes = Writes()
        if record is None and secret is None:
            writes.put(keyspaces.format_key(), store_format.record())
            writes.put(keyspaces.secret_key(), offered)
            return writes, offered
        reason = store_format.refusal(record)
        if reason is not None:
            raise StorageError(f"the store in {path} {reason}")
        if secret is None:
            raise StorageError(f"the store in {path} has lost its secret: no key of an item can be worked out")
        return writes, secret

    read = [keyspaces.format_key(), keyspaces.secret_key()]
    writes, secret = decide(await engine.get(read))
    return await engine.mutate(read, decide) if writes.puts else secret
