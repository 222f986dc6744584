"""The handlers of a region over a store in memory, without a server: for tests that need another clock or another
store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from jedlik.aws import stored_items
from jedlik.aws.context import Context, own
from jedlik.dynamodb.operations import OPERATIONS
from jedlik.regions.region import Region
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine

START = 1_800_000_000.0
"""When the clock starts, in seconds since the epoch."""


class Handlers:
    """A region, its clock, and its operations by name."""

    def __init__(self, engine: LmdbEngine) -> None:
        self.now = START
        self.region = Region("us-east-1", "000000000000", engine, lambda: self.now, b"s" * 32)

    async def call(self, operation: str, **request: Any) -> Any:
        """Do an operation. Request and answer are as on the wire."""
        served = OPERATIONS[operation]
        context = Context(self.region, "request", own(self.region), b"localhost")
        return stored_items.plain(await served.handler(context, served.validate(request)))


def run(folder: Path, test: Callable[[Handlers], Awaitable[None]]) -> None:
    """Run a test over a new store in `folder`."""

    async def over_store() -> None:
        engine = LmdbEngine.open(folder, durable=False)
        try:
            await test(Handlers(engine))
        finally:
            await engine.close()

    asyncio.run(over_store())
