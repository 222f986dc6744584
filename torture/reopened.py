"""A store after a power cut: it must open, agree with itself, contain what was acknowledged, and go on from there.

`python -m torture.reopened STORE FIRST` is a store's next life, which is recorded and cut off in its turn. It opens the
store and writes some items, numbered from FIRST. For each it reports the acknowledgement and the length of the
recording at that time (`Reopened.puts`).
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from jedlik.aws import stored_items
from jedlik.aws.context import Context, own
from jedlik.clock import system_clock
from jedlik.config import ROOT_KEY_VARIABLE
from jedlik.dynamodb.operations import OPERATIONS
from jedlik.process.services import SERVICES
from jedlik.regions import keyspaces
from jedlik.regions.region import Region
from jedlik.root_key import RootKey
from jedlik.storage.engine import StorageError
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
from jedlik.storage.lmdb.view import FIRST_KEY
from jedlik.upkeep.check import StoreCheck
from jedlik.upkeep.opening import Reader
from testing.data_folders import stored
from torture.expected import demand
from torture.writers import TABLE, Item, item

REGION = "us-east-1"
OWNER = "after a cut"
"""The writer of the items that are written in order to go on."""
PUTS = 20
LAST_KEY = b"\xff" * 9
NO_SECRET = bytes(32)
ROOT_KEY = bytes(range(32))
ENVIRONMENT = {ROOT_KEY_VARIABLE: ROOT_KEY.hex()}
"""The environment of servers whose stores are opened again without their folders, where the root key would be named."""
READER = Reader(SERVICES, lambda: RootKey(ROOT_KEY))


class Reopened:
    """A store with the writers' table, opened without its server."""

    def __init__(self, inner: LmdbEngine, store: Path) -> None:
        self._store = stored(store)
        engine = self._engine = READER.engine(inner, self._store)
        with inner.view() as view:
            secret = view.get(keyspaces.secret_key())
            row = view.first(FIRST_KEY, LAST_KEY)
        # If the first record is lost, the secret is, and all that came later depends on it.
        demand(secret is not None or row is None, f"there are rows in a store without its secret: {row}")
        self._region = Region(REGION, "000000000000", engine, system_clock, secret or NO_SECRET)

    def check(self, when: str) -> None:
        """Check that it agrees with itself."""
        with self._engine.view() as view:
            problems = list(StoreCheck(view, SERVICES, self._store).problems())
        demand(not problems, f"{when}: {problems}")

    async def items(self) -> list[Item]:
        """All items of the table."""
        items: list[Item] = []
        request: dict[str, Any] = {"TableName": TABLE}
        while True:
            answer = await self.call("Scan", **request)
            items += answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return items
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    async def puts(self, first: int) -> AsyncIterator[int]:
        """Go on: write items, and yield the number of each when it is acknowledged."""
        for number in range(first, first + PUTS):
            await self.call("PutItem", TableName=TABLE, Item=item(OWNER, number, number))
            yield number

    async def call(self, operation: str, **request: Any) -> Any:
        """The answer of an operation. Raises the errors of its handler."""
        served = OPERATIONS[operation]
        context = Context(self._region, "torture", own(self._region), b"localhost")
        answer = await served.handler(context, served.validate(request))
        return stored_items.plain(answer)


@asynccontextmanager
async def reopened(store: Path, durable: bool, when: str) -> AsyncIterator[Reopened]:
    """The store in a directory, if it opens. Raises Broken."""
    try:
        engine = LmdbEngine.open(store, durable)
    except StorageError as error:
        demand(False, f"{when}: {error}")
        return
    try:
        yield Reopened(engine, store)
    finally:
        await engine.close()


async def main(store: Path, first: int) -> None:
    """Open the store and go on with it."""
    async with reopened(store, True, "another life") as left:
        async for number in left.puts(first):
            print(number, os.stat(os.environ["DISK_RECORDING"]).st_size, flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
