"""A sealed region in the test's own process, with a clock and a table whose key is a customer's.

Its duties and jobs are done by hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from jedlik.aws import stored_items, table_keys
from jedlik.aws.context import Context, own
from jedlik.aws.table_keys import Adopted, KeyAway
from jedlik.background import job_records
from jedlik.background.job_records import JobMoved, JobWaits
from jedlik.dynamodb import catalog
from jedlik.dynamodb.encryption import key_watch, open_keys
from jedlik.dynamodb.operations import OPERATIONS, PEER_OPERATIONS
from jedlik.dynamodb.replication import replicated
from jedlik.dynamodb.replication.exchange import Exchange
from jedlik.kms import due_keys
from jedlik.kms import service as kms
from jedlik.process.services import KEY_NUMBERS, KEY_SPACES
from jedlik.regions import store_keys
from jedlik.regions.object_places import ObjectPlaces
from jedlik.regions.peers import Body, LocalPeers
from jedlik.regions.region import Region
from jedlik.root_key import RootKey, new_key
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
from testing import jobs
from testing.dynamodb.definitions import definition
from testing.kms_operations import OneRegion, call
from testing.storage.objects import MemoryObjects

ACCOUNT, REGION = "000000000000", "us-east-1"
START = 1_800_000_000.0
"""When the clocks start, in seconds since the epoch."""
DAY = 24 * 60 * 60.0
CLOSED = "INACCESSIBLE_ENCRYPTION_CREDENTIALS"


class Keys:
    """The keys of KMS, which can be away."""

    def __init__(self) -> None:
        self.real = kms.keys_of_tables(OneRegion())
        self.is_away = False
        self.opened = 0
        """How often a key was asked for."""

    def _check(self) -> None:
        if self.is_away:
            raise KeyAway("nobody listens")

    async def adopt(self, context: Context, key: str | None, pairs: Mapping[str, str]) -> tuple[Adopted, bytes]:
        self._check()
        return await self.real.adopt(context, key, pairs)

    async def open(self, region: Region, adopted: Adopted, pairs: Mapping[str, str]) -> bytes:
        self._check()
        self.opened += 1
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
        self.now = START
        self.exchanges: dict[str, Exchange] = {}
        """By peer."""

    async def do(self, operation: str, **request: Any) -> Any:
        served = OPERATIONS[operation]
        context = Context(self.region, "request", own(self.region), b"localhost")
        return stored_items.plain(await served.handler(context, served.validate(request)))

    async def ask(self, operation: str, **request: Any) -> Any:
        """Do an operation as a peer requests it."""
        served = PEER_OPERATIONS[operation]
        context = Context(self.region, "request", own(self.region), b"localhost")
        return stored_items.plain(await served.handler(context, served.validate(request)))

    async def pull(self, peer: str) -> None:
        """One exchange with a peer about the tables that can be used."""
        exchange = self.exchanges.setdefault(peer, Exchange(self.region, peer, lambda: self.now))
        shared = [found for found in await replicated.all_of(self.region) if peer in found.replica.peers]
        await exchange.round([found for found in shared if not found.table.descriptor.is_closed], 0.0)

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

    async def work_on(self) -> None:
        """Do a step of each job that does not wait."""
        for row in await self.region.engine.range(*job_records.job_range(), 10, 1 << 20):
            with suppress(JobMoved, JobWaits):
                await jobs.step(self.region, job_records.parse(row))


def run(folder: Path, scenario: Callable[[Place], Awaitable[None]]) -> None:
    """Run a scenario in a region, whose table has thirty items and a customer's key."""

    async def in_one(places: Sequence[Place]) -> None:
        [place] = places
        await _make_table(place)
        await scenario(place)

    run_in_regions(folder, [REGION], in_one)


def run_in_regions(folder: Path, names: Sequence[str], scenario: Callable[[Sequence[Place]], Awaitable[None]]) -> None:
    """Run a scenario in regions that are each other's peers. Each has a customer's key, and no table yet."""

    async def main() -> None:
        root, keys = RootKey(new_key()), Keys()
        table_keys.provide(keys)
        places: dict[str, Place] = {}

        async def serve(region: str, operation: str, body: Body) -> Body:
            answer: Body = await places[region].ask(operation, **body)
            return answer

        engines = []
        try:
            for name in names:
                lmdb = LmdbEngine.open(folder / name, durable=False)
                engines.append(lmdb)
                place = places[name] = await _opened(lmdb, folder / name, name, root, keys)
                place.region.peers = LocalPeers(serve)
                place.key = (await call(place.region, "CreateKey"))["KeyMetadata"]["Arn"]
            await scenario(list(places.values()))
        finally:
            for engine in engines:
                await engine.close()

    asyncio.run(main())


async def _opened(lmdb: LmdbEngine, folder: Path, name: str, root: RootKey, keys: Keys) -> Place:
    opening = store_keys.Opening(folder, ACCOUNT, name, store_keys.Seals(root, KEY_SPACES, KEY_NUMBERS))
    known = await store_keys.known(lmdb, opening, seals=True)
    assert known.key is not None
    sealed = store_keys.sealed_engine(lmdb, known.key, opening)
    made: list[Place] = []
    region = Region(name, ACCOUNT, sealed, lambda: made[0].now if made else START, known.secret)
    region.sealed, region.root_key = sealed, root
    region.piece_key = store_keys.piece_key(known.key, opening)
    region.places = ObjectPlaces(MemoryObjects(), {})
    made.append(Place(region, keys))
    return made[0]


async def _make_table(place: Place) -> None:
    by = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": place.key}
    await place.do("CreateTable", **definition(TableName="music", SSESpecification=by))
    for number in range(30):
        await place.do("PutItem", TableName="music", Item=item(number))


def item(number: int) -> dict[str, Any]:
    return {"p": {"S": f"{number:02}"}, "note": {"S": "what nobody may find"}}
