"""How many backups' restores, exports, imports and bulk puts there may be at once in a region."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jedlik.aws.errors import LimitExceededException
from jedlik.background import job_records
from jedlik.dynamodb.backups import bulk_puts, exporting, importing, recovery_plans, restores
from jedlik.dynamodb.errors import BackupNotFoundException, TableNotFoundException
from jedlik.regions.object_places import ObjectPlaces
from jedlik.storage.engine import Writes
from testing.dynamodb import handlers
from testing.dynamodb.definitions import attributes, key_schema
from testing.dynamodb.handlers import Handlers
from testing.regions import write
from testing.storage.objects import MemoryObjects

TABLE = "arn:aws:dynamodb:us-east-1:000000000000:table/music"
NEW = {"KeySchema": key_schema("p"), "AttributeDefinitions": attributes(p="S"), "BillingMode": "PAY_PER_REQUEST"}
BUCKET = {"S3Bucket": "any-bucket"}

RESTORE = ("RestoreTableFromBackup", {"BackupArn": f"{TABLE}/backup/01489602797149-73d8d5bc", "TargetTableName": "new"})
TO_A_TIME = (
    "RestoreTableToPointInTime",
    {"SourceTableName": "music", "TargetTableName": "new", "UseLatestRestorableTime": True},
)
EXPORT = ("ExportTableToPointInTime", {"TableArn": TABLE, **BUCKET})
IMPORT = (
    "ImportTable",
    {
        "S3BucketSource": BUCKET,
        "InputFormat": "DYNAMODB_JSON",
        "TableCreationParameters": {"TableName": "new", **NEW},
    },
)
BULK = (
    "StartBulkPutItems",
    {
        "TableName": "music",
        "InputS3Configuration": {**BUCKET, "InputFormat": "DYNAMODB_JSON"},
        "OutputS3Configuration": {**BUCKET, "OutputType": ["ERROR"]},
    },
)


async def begun(own: Handlers, kind: str, number: int) -> None:
    own.region.places = ObjectPlaces(MemoryObjects(), {})

    def submit(writes: Writes) -> None:
        for n in range(number):
            job_records.submit(f"{kind} {n}", kind, {}, writes)

    await write(own.region, submit)


@pytest.mark.parametrize(
    ("asked", "kind", "most", "what"),
    [
        (RESTORE, restores.KIND, 50, "restores"),
        (RESTORE, recovery_plans.KIND, 50, "restores"),
        (TO_A_TIME, restores.KIND, 50, "restores"),
        (EXPORT, exporting.KIND, 300, "exports"),
        (IMPORT, importing.KIND, 50, "imports"),
        (BULK, bulk_puts.KIND, 50, "bulk operations"),
    ],
)
def test_no_more_than_awss_number_of_jobs_at_once(
    tmp_path: Path, asked: tuple[str, dict[str, Any]], kind: str, most: int, what: str
) -> None:
    operation, request = asked

    async def refused(own: Handlers) -> None:
        await begun(own, kind, most)
        with pytest.raises(LimitExceededException) as error:
            await own.call(operation, **request)
        assert error.value.message == f"Subscriber limit exceeded: There is a limit of {most} concurrent {what}"

    handlers.run(tmp_path, refused)


@pytest.mark.parametrize(
    ("asked", "kind", "most", "next_refusal"),
    [
        (RESTORE, restores.KIND, 49, BackupNotFoundException),
        (RESTORE, importing.KIND, 50, BackupNotFoundException),
        (EXPORT, exporting.KIND, 299, TableNotFoundException),
    ],
)
def test_one_less_and_jobs_of_other_kinds_are_in_nobodys_way(
    tmp_path: Path, asked: tuple[str, dict[str, Any]], kind: str, most: int, next_refusal: type[Exception]
) -> None:
    operation, request = asked

    async def passes(own: Handlers) -> None:
        await begun(own, kind, most)
        with pytest.raises(next_refusal):
            await own.call(operation, **request)

    handlers.run(tmp_path, passes)
