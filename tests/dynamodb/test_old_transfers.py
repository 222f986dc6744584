"""Records of imports, exports and bulk puts, and logs of imports' errors: they go when nothing shows them any more."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest

from jedlik.background import job_records
from jedlik.background.job_records import JobMoved
from jedlik.dynamodb.backups import old_transfers, transfers
from jedlik.dynamodb.backups.bulk_records import BulkOperation
from jedlik.dynamodb.backups.export_records import Export
from jedlik.dynamodb.errors import ImportNotFoundException
from jedlik.dynamodb.model.limits import MIB
from jedlik.regions.object_places import ObjectPlaces
from jedlik.storage.engine import Writes
from testing import jobs
from testing.dynamodb import handlers
from testing.dynamodb.definitions import attributes, key_schema
from testing.dynamodb.handlers import START, Handlers
from testing.storage.objects import MemoryObjects

TABLE = {"KeySchema": key_schema("p"), "AttributeDefinitions": attributes(p="S"), "BillingMode": "PAY_PER_REQUEST"}
DAY = 24 * 60 * 60.0


def with_objects(own: Handlers, monkeypatch: pytest.MonkeyPatch) -> MemoryObjects:
    objects = MemoryObjects()
    own.region.places = ObjectPlaces(objects, {})
    monkeypatch.setattr(own.region.places, "bucket_with", lambda name, options: objects)
    objects.kept["object"] = orjson.dumps({"Item": {"p": {"S": "a"}}}) + b"\nbroken\n"
    return objects


async def begin(own: Handlers, table: str) -> str:
    answer = await own.call(
        "ImportTable",
        S3BucketSource={"S3Bucket": "any-bucket", "S3KeyPrefix": "object"},
        InputFormat="DYNAMODB_JSON",
        TableCreationParameters={"TableName": table, **TABLE},
    )
    arn: str = answer["ImportTableDescription"]["ImportArn"]
    return arn


async def all_jobs(own: Handlers, random: Random | None = None) -> None:
    """Do all jobs; with `random`, also as workers do that are late."""
    late = []
    while rows := await own.region.engine.range(*job_records.job_range(), 1, MIB):
        late.append(job_records.parse(rows[0]))
        for job in (late[-1], late[-1] if random is None else random.choice(late)):
            with suppress(JobMoved):
                await jobs.step(own.region, job)


async def imported(own: Handlers, table: str) -> str:
    """Import, and delete the table."""
    arn = await begin(own, table)
    await all_jobs(own)
    await own.call("DeleteTable", TableName=table)
    await all_jobs(own)
    return arn


def logs(objects: MemoryObjects) -> set[str]:
    """The imports of which there are logs."""
    return {name.split("/")[3].removesuffix("-errors") for name in objects.kept if "-errors/" in name}


def id_of(arn: str) -> str:
    return arn.rpartition("/")[2]


def test_what_is_not_listed_any_more_goes_whatever_workers_die(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(own: Handlers) -> None:
        objects = with_objects(own, monkeypatch)
        old = [await imported(own, table) for table in ("first", "second", "first")]
        own.now += 10 * DAY
        younger = await imported(own, "first")
        assert logs(objects) == {id_of(arn) for arn in (*old, younger)}
        own.now = START + transfers.LISTED_SECONDS - 1
        last = await imported(own, "third")
        assert logs(objects) == {id_of(arn) for arn in (*old, younger, last)}
        own.now = START + transfers.LISTED_SECONDS + 1
        arn = await begin(own, "first")
        await all_jobs(own, Random(1))
        assert logs(objects) == {id_of(arn) for arn in (younger, last, arn)}
        listed = (await own.call("ListImports"))["ImportSummaryList"]
        assert {one["ImportArn"] for one in listed} == {younger, last, arn}
        for gone in old:
            with pytest.raises(ImportNotFoundException):
                await own.call("DescribeImport", ImportArn=gone)
        assert (await own.call("DescribeImport", ImportArn=younger))["ImportTableDescription"]["ErrorCount"] == 1

    handlers.run(tmp_path / "store", test)


@pytest.mark.parametrize("at_once", [2, 500])
def test_a_region_forgets_exports_and_bulk_puts_that_are_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(old_transfers, "REMOVED_AT_ONCE", at_once)

    async def test(own: Handlers) -> None:
        def bulk(number: int, days: float, **more: Any) -> BulkOperation:
            started = own.now - days * DAY
            return BulkOperation(f"{int(started * 1000):014d}-{number:08x}", "table", "id", started, {}, **more)

        def export(number: int, days: float, table: str) -> Export:
            started = own.now - days * DAY
            return Export(f"{int(started * 1000):014d}-{number:08x}", table, "id", started, started, {})

        made: Sequence[BulkOperation | Export] = [
            *(bulk(number, 91 - number / 10) for number in range(5)),
            bulk(5, 91),
            bulk(6, 1),
            *(export(number, 91, table) for table in ("a", "ab", "b") for number in range(3)),
            *(export(number, 89, table) for table in ("ab", "b", "c") for number in range(3)),
        ]
        writes = Writes()
        for one in made:
            one.put(writes)
        [goes_on] = [one for one in made if one.id.endswith("-00000005")]
        job_records.submit(goes_on.job, "BULK_PUT", {}, writes)

        async def write(_: Sequence[bytes | None] = ()) -> None:
            await own.region.engine.mutate([], lambda values: (writes, None))

        await write()
        for _ in range(10):
            await old_transfers.remove(own.region)
        left = [one for one in made if (await own.region.engine.get([one.key]))[0] is not None]
        assert left == [one for one in made if one is goes_on or own.now - one.started < 90 * DAY]

    handlers.run(tmp_path / "store", test)
