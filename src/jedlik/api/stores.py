"""The stores of a process: one for each region, each in a folder of its own.

A region's store is opened when the region is first asked for, or at the start when its folder is there already, so that
its background jobs go on. A new store gets its format and its secret before anything is written to it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

from jedlik import region_names
from jedlik.api.context import Region
from jedlik.clock import Clock, boot_clock, system_clock
from jedlik.config import Settings
from jedlik.jobs import clock_watch
from jedlik.model import keys, store_format
from jedlik.model.errors import InvalidSignatureException, LimitExceededException
from jedlik.replication.peers import NoPeers, Peers
from jedlik.storage.engine import Engine, StorageError, Writes
from jedlik.storage.lmdb import LmdbEngine

SECRET_BYTES = 32
REGIONS = 64
"""Stores open at once. AWS has fewer regions; each costs a thread and a few files."""


class Stores:
    """The open stores. `opened` is called with each region as it is opened, on the event loop."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock = system_clock,
        steady: Callable[[], float] = boot_clock,
        opened: Callable[[Region], None] = lambda region: None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._steady = steady
        self._opened = opened
        self.peers: Peers = NoPeers()
        """What the regions opened from now on know each other by."""
        self._regions: dict[str, Region] = {}
        self._opening: dict[str, asyncio.Task[Region]] = {}

    async def region(self, name: str) -> Region:
        """The region called `name`.

        Raises StorageError if its store cannot be opened, LimitExceededException, and InvalidSignatureException for a
        region that is not served here, which is what AWS's endpoint of one region answers to a request for another.
        """
        region = self._regions.get(name)
        if region is not None:
            return region
        if not self._settings.serves(name):
            raise InvalidSignatureException(f"Credential should be scoped to a valid region, not '{name}'. ")
        opening = self._opening.get(name)
        if opening is None:
            if len(self._regions) + len(self._opening) >= REGIONS:
                raise LimitExceededException(f"This server has the stores of {REGIONS} regions open, and opens no more")
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
        for region in self._regions.values():
            await region.engine.close()
        self._regions.clear()

    async def _open(self, name: str) -> Region:
        settings = self._settings
        path = settings.data_dir / region_names.folder(name)
        engine = LmdbEngine.open(path, durable=not settings.in_memory)
        try:
            secret = await _secret(engine, path)
            region = Region(name, settings.account, engine, self._clock, secret, self.peers, self._steady)
            await clock_watch.begin(region)
        except BaseException:
            await engine.close()
            raise
        self._regions[name] = region
        self._opened(region)
        return region


async def _secret(engine: Engine, path: Path) -> bytes:
    """The secret of the store in `path`, made if the store is new. Raises StorageError for one of another format."""
    offered = secrets.token_bytes(SECRET_BYTES)

    def decide(found: Sequence[bytes | None]) -> tuple[Writes, bytes]:
        record, secret = found
        writes = Writes()
        if record is None and secret is None:
            writes.put(keys.format_key(), store_format.record())
            writes.put(keys.secret_key(), offered)
            return writes, offered
        reason = store_format.refusal(record)
        if reason is not None:
            raise StorageError(f"the store in {path} {reason}")
        if secret is None:
            raise StorageError(f"the store in {path} has lost its secret: no key of an item can be worked out")
        return writes, secret

    return await engine.mutate([keys.format_key(), keys.secret_key()], decide)
