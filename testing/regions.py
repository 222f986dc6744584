"""A region in the test's own process, on a store in a folder and with a clock that the test sets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from jedlik.regions.region import Region
from jedlik.storage.engine import Row, Writes
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine

T = TypeVar("T")


class SetClock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 1_000_000_000.0

    def __call__(self) -> float:
        return self.now


def run(folder: Path, scenario: Callable[[Region, SetClock], Awaitable[T]]) -> T:
    """What `scenario` makes of a region whose store is in `folder`."""

    async def main() -> T:
        engine = LmdbEngine.open(folder, durable=False)
        clock = SetClock()
        try:
            return await scenario(Region("us-east-1", "000000000000", engine, clock, b"s" * 32), clock)
        finally:
            await engine.close()

    return asyncio.run(main())


async def write(region: Region, fill: Callable[[Writes], None]) -> None:
    """Commit what `fill` writes."""

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        writes = Writes()
        fill(writes)
        return writes, None

    await region.engine.mutate([], decide)


async def everything(region: Region) -> list[Row]:
    """All that is in the store."""
    return await region.engine.range(b"\x01", b"\xff", 1_000_000, 1 << 40)
