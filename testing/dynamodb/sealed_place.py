"""A sealed region in the test's own process, with a clock and a table whose key is a customer's.

Its duties and jobs are done by hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from jedlik.aws import stored_items, table_keys
from jedlik.aws.context import Context, own
from jedlik.aws.table_keys import Adopted, KeyAway
from jedlik.background import job_records
from jedlik.background.job_records import JobMoved, JobWaits
from jedlik.dynamodb import catalog
from jedlik.dynamodb.encryption import key_watch, open_keys
from jedlik.dynamodb.operations import OPERATIONS
from jedlik.kms import due_keys
from jedlik.kms import service as kms
from jedlik.process.services import KEY_NUMBERS, KEY_SPACES
from jedlik.regions import store_keys
from jedlik.regions.object_places import ObjectPlaces
from jedlik.regions.region import Region
from jedlik.root_key import RootKey, new_key
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
from testing import jobs
from testing.dynamodb.definitions import definition
from testing.kms_operations import OneRegion, call
from testing.storage.objects import MemoryObjects

ACCOUNT, REGION = "000000000000", "us-east-1"
DAY = 24 * 60 * 60.0
CLOSED = "INACCESSIBLE_ENCRYPTION_CREDENTIALS"


class Keys:
    """The keys of KMS, which can be away."""

    def __init__(self) -> None:
        self.real = kms.keys_of_tables(OneRegion())
        self.is_away = False

    def _check(self) -> None:
        if self.is_away:
            raise KeyAway("nobody listens")

    async def adopt(self, context: Context, key: str | None, pairs: Mapping[str, str]) -> tuple[Adopted, bytes]:
        self._check()
        return await self.real.adopt(context, key, pairs)

    async def open(self, region: Region, adopted: Adopted, pairs: Mapping[str, str]) -> bytes:
        self._check()
        return await self.real.open(region, adopted, pairs)

    async def check(self, region: Region, adopted: Adopted, pairs: Mapping[str, str]) -> None:
        self._check()
        await self.real.check(region, adopted, pairs)

    async def drop(self, region: Region, adopted: Adopted) -> None:
        self._check()
        await self.real.drop(region, adopted)

    async def changes(self, region: Region, adopted: Adopted) -> int:
        self._check()
        return await self.real.changes(region, adopted)

    async def close(self) -> None:
        pass


class Place:
    """A sealed region with a table whose key is a customer's."""

    def __init__(self, region: Region, keys: Keys) -> None:
        self.region = region
        self.keys = keys
        self.watch = key_watch.KeyWatch()
        self.key = ""
        self.now = 1_800_000_000.0

    async def do(self, operation: str, **request: Any) -> Any:
        served = OPERATIONS[operation]
        context = Context(self.region, "request", own(self.region), b"localhost")
        return stored_items.plain(await served.handler(context, served.validate(request)))

    async def status(self) -> str:
        shown = await self.do("DescribeTable", TableName="music")
        return str(shown["Table"]["TableStatus"])

    async def passes(self, seconds: float) -> None:
        """Let time pass, and what is done meanwhile."""
        self.now += seconds
        await self.watch.run(self.region)
        await catalog.look(self.region)
        await open_keys.open_some(self.region)

    async def delete_due_keys(self, seconds: float) -> None:
        """Let time pass, and delete the keys of KMS whose time has come."""
        self.now += seconds
        while await due_keys.run(self.region):
            pass

    async def work(self) -> None:
        """Do all jobs."""
        start, end = job_records.job_range()
        for _ in range(1000):
            rows = await self.region.engine.range(start, end, 10, 1 << 20)
            if not rows:
                return
            for row in rows:
                try:
                    await jobs.step(self.region, job_records.parse(row))
                except (JobMoved, JobWaits):
                    continue
        raise AssertionError("the jobs do not end")


def run(folder: Path, scenario: Callable[[Place], Awaitable[None]]) -> None:
    async def main() -> None:
        lmdb = LmdbEngine.open(folder, durable=False)
        root = RootKey(new_key())
        opening = store_keys.Opening(folder, ACCOUNT, REGION, store_keys.Seals(root, KEY_SPACES, KEY_NUMBERS))
        known = await store_keys.known(lmdb, opening, seals=True)
        assert known.key is not None
        sealed = store_keys.sealed_engine(lmdb, known.key, opening)
        keys = Keys()
        table_keys.provide(keys)
        made: list[Place] = []
        region = Region(REGION, ACCOUNT, sealed, lambda: made[0].now if made else 1_800_000_000.0, known.secret)
        region.sealed, region.root_key = sealed, root
        region.piece_key = store_keys.piece_key(known.key, opening)
        region.places = ObjectPlaces(MemoryObjects(), {})
        place = Place(region, keys)
        made.append(place)
        try:
            place.key = (await call(region, "CreateKey"))["KeyMetadata"]["Arn"]
            by = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": place.key}
            await place.do("CreateTable", **definition(TableName="music", SSESpecification=by))
            for number in range(30):
                await place.do("PutItem", TableName="music", Item=item(number))
            await scenario(place)
        finally:
            await lmdb.close()

    asyncio.run(main())


def item(number: int) -> dict[str, Any]:
    return {"p": {"S": f"{number:02}"}, "note": {"S": "what nobody may find"}}
