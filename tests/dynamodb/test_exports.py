"""ExportTableToPointInTime, DescribeExport and ListExports: the state of a time, in AWS's layout."""

from __future__ import annotations

import asyncio
import gzip
from base64 import b64encode
from contextlib import suppress
from hashlib import md5
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest

from jedlik.aws.errors import ServiceError
from jedlik.background import job_records
from jedlik.background.job_records import Job, JobMoved, JobWaits
from jedlik.clock import TrustedClock
from jedlik.dynamodb.backups import archiving, exporting, table_copies
from jedlik.dynamodb.model import spaces
from jedlik.dynamodb.model.limits import MIB
from jedlik.regions.object_places import ObjectPlaces
from testing import jobs
from testing.dynamodb import handlers
from testing.dynamodb.definitions import attributes, definition, index, key_schema
from testing.dynamodb.handlers import Handlers
from testing.dynamodb.histories import History, State
from testing.jedlik_process import Server, eventually
from testing.storage.objects import MemoryObjects

ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/source"


async def with_recovery(own: Handlers, monkeypatch: pytest.MonkeyPatch) -> MemoryObjects:
    """A table with recovery, and a bucket."""
    bucket = MemoryObjects()
    own.region.places = ObjectPlaces(MemoryObjects(), {})
    monkeypatch.setattr(own.region.places, "bucket", lambda name: bucket)
    own.region.clock = own.region.engine.clock = TrustedClock(lambda: own.now, lambda: own.now)
    settings = definition(
        TableName="source",
        KeySchema=key_schema("p"),
        AttributeDefinitions=attributes(p="S", x="N"),
        GlobalSecondaryIndexes=[index("by-x", "x")],
    )
    await own.call("CreateTable", **settings)
    on = {"PointInTimeRecoveryEnabled": True}
    await own.call("UpdateContinuousBackups", TableName="source", PointInTimeRecoverySpecification=on)
    return bucket


async def current_jobs(own: Handlers) -> list[Job]:
    start, end = job_records.job_range()
    return [job_records.parse(row) for row in await own.region.engine.range(start, end, 100, MIB)]


async def step(own: Handlers, job: Job) -> None:
    with suppress(JobMoved, JobWaits):
        await jobs.step(own.region, job)


async def all_jobs(own: Handlers) -> None:
    for _ in range(3000):
        found = await current_jobs(own)
        if not found:
            return
        for job in found:
            await step(own, job)
    raise AssertionError("jobs are still in progress")


async def exported(own: Handlers, **more: Any) -> dict[str, Any]:
    answer = await own.call("ExportTableToPointInTime", TableArn=ARN, S3Bucket="bucket", **more)
    description: dict[str, Any] = answer["ExportDescription"]
    return description


def files_of(bucket: MemoryObjects, description: dict[str, Any]) -> list[dict[str, Any]]:
    """The lines of the manifest of files, after all that can be compared in an export."""
    manifest = description["ExportManifest"]
    folder = manifest.rpartition("/")[0]
    for name in ("manifest-summary", "manifest-files"):
        content = bucket.kept[f"{folder}/{name}.json"]
        assert bucket.kept[f"{folder}/{name}.md5"] == b64encode(md5(content, usedforsecurity=False).digest())
    summary = orjson.loads(bucket.kept[manifest])
    assert summary["manifestFilesS3Key"] == f"{folder}/manifest-files.json"
    assert (summary["itemCount"], summary["billedSizeBytes"]) == (
        description["ItemCount"],
        description["BilledSizeBytes"],
    )
    lines = [orjson.loads(line) for line in bucket.kept[f"{folder}/manifest-files.json"].splitlines()]
    data = {name for name in bucket.kept if name.startswith(f"{folder}/data/")}
    assert {line["dataFileS3Key"] for line in lines} == data
    assert bucket.kept[f"{folder}/_started"] == b""
    return lines


def held(bucket: MemoryObjects, description: dict[str, Any]) -> State:
    """The items in an export."""
    found: State = {}
    for line in files_of(bucket, description):
        content = bucket.kept[line["dataFileS3Key"]]
        digest = md5(content, usedforsecurity=False)
        assert (line["md5Checksum"], line["etag"]) == (b64encode(digest.digest()).decode(), f"{digest.hexdigest()}-1")
        records = [orjson.loads(record)["Item"] for record in gzip.decompress(content).splitlines()]
        assert len(records) == line["itemCount"]
        for record in records:
            assert record["p"]["S"] not in found
            found[record["p"]["S"]] = record
    assert len(found) == description["ItemCount"]
    return found


@pytest.mark.parametrize(("seed", "range_bytes"), [(0, MIB), (1, 800), (2, 300)])
def test_an_export_is_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, range_bytes: int) -> None:
    monkeypatch.setattr(table_copies, "PIECE_BYTES", 600)
    monkeypatch.setattr(archiving, "SEGMENT_BYTES", 500)
    monkeypatch.setattr(exporting, "RANGE_BYTES", range_bytes)
    random = Random(seed)

    async def test(own: Handlers) -> None:
        bucket = await with_recovery(own, monkeypatch)
        history = History(own, "source", random)
        times = [own.now]
        for _ in range(120):
            own.now += random.choice((0.0, 0.5, 3.0))
            await history.write()
            times.append(own.now)
            if random.random() < 0.1:
                await archiving.archive(own.region)
            if random.random() < 0.2 and (found := await current_jobs(own)):
                await step(own, found[0])
        own.now += 5
        wanted = {}
        for number in range(4):
            at = random.uniform(times[0] + 0.1, own.now - 1)
            wanted[(await exported(own, ExportTime=at, S3Prefix=f"mine/{number}"))["ExportArn"]] = at
            await history.write()
        late: list[Job] = []
        while found := await current_jobs(own):
            late += found
            if random.random() < 0.3:
                exporting.forget()  # Another worker, which has nothing open.
            await asyncio.gather(*(step(own, job) for job in (*found, random.choice(late))))
        for arn, at in wanted.items():
            description = (await own.call("DescribeExport", ExportArn=arn))["ExportDescription"]
            assert description["ExportStatus"] == "COMPLETED"
            last = max(number for number, when in enumerate(times) if when <= at)
            assert held(bucket, description) == history.states[last]
        start, end = spaces.PIECES.range
        assert await own.region.engine.range(start, end, 1, 1) == []

    handlers.run(tmp_path / "store", test)


def test_an_export_has_the_layout_of_aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(own: Handlers) -> None:
        bucket = await with_recovery(own, monkeypatch)
        await own.call("PutItem", TableName="source", Item={"p": {"S": "a"}, "x": {"N": "1"}})
        own.now += 2
        begun = await exported(own, S3Prefix="2026-Nov", ClientToken="mine")
        table = (await own.call("DescribeTable", TableName="source"))["Table"]
        assert begun == {
            "ExportArn": begun["ExportArn"],
            "ExportStatus": "IN_PROGRESS",
            "StartTime": own.now,
            "TableArn": ARN,
            "TableId": table["TableId"],
            "ExportTime": own.now - 1,
            "ClientToken": "mine",
            "S3Bucket": "bucket",
            "S3Prefix": "2026-Nov",
            "ExportFormat": "DYNAMODB_JSON",
            "ExportType": "FULL_EXPORT",
        }
        assert (await exported(own, S3Prefix="2026-Nov", ClientToken="mine"))["ExportArn"] == begun["ExportArn"]
        await all_jobs(own)
        done = (await own.call("DescribeExport", ExportArn=begun["ExportArn"]))["ExportDescription"]
        export_id = begun["ExportArn"].rpartition("/")[2]
        folder = f"2026-Nov/AWSDynamoDB/{export_id}"
        assert done == begun | {
            "ExportStatus": "COMPLETED",
            "EndTime": own.now,
            "ExportManifest": f"{folder}/manifest-summary.json",
            "BilledSizeBytes": table["TableSizeBytes"],
            "ItemCount": 1,
        }
        assert orjson.loads(bucket.kept[f"{folder}/manifest-summary.json"]) == {
            "version": "2020-06-30",
            "exportArn": begun["ExportArn"],
            "startTime": "2027-01-15T08:00:02.000Z",
            "endTime": "2027-01-15T08:00:02.000Z",
            "tableArn": ARN,
            "tableId": table["TableId"],
            "exportTime": "2027-01-15T08:00:01.000Z",
            "s3Bucket": "bucket",
            "s3Prefix": "2026-Nov",
            "s3SseAlgorithm": None,
            "s3SseKmsKeyId": None,
            "manifestFilesS3Key": f"{folder}/manifest-files.json",
            "billedSizeBytes": table["TableSizeBytes"],
            "itemCount": 1,
            "outputFormat": "DYNAMODB_JSON",
            "exportType": "FULL_EXPORT",
        }
        [line] = files_of(bucket, done)
        assert gzip.decompress(bucket.kept[line["dataFileS3Key"]]) == b'{"Item":{"p":{"S":"a"},"x":{"N":"1"}}}\n'
        arns = [begun["ExportArn"]]
        for _ in range(2):
            own.now += 1
            arns.append((await exported(own))["ExportArn"])
        page = await own.call("ListExports", MaxResults=2)
        assert [one["ExportArn"] for one in page["ExportSummaries"]] == arns[:2]
        rest = await own.call("ListExports", TableArn=ARN, NextToken=page["NextToken"])
        assert [one["ExportArn"] for one in rest["ExportSummaries"]] == arns[2:]
        assert rest["ExportSummaries"][0].keys() == {"ExportArn", "ExportStatus", "ExportType"}

    handlers.run(tmp_path / "store", test)


def test_what_cannot_be_exported_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refusal(own: Handlers, operation: str, **request: Any) -> tuple[str, str]:
        with pytest.raises(ServiceError) as caught:
            await own.call(operation, **request)
        return caught.value.name, caught.value.message

    async def test(own: Handlers) -> None:
        await with_recovery(own, monkeypatch)
        own.now += 10
        to = {"TableArn": ARN, "S3Bucket": "bucket"}
        code, _ = await refusal(own, "ExportTableToPointInTime", ExportTime=own.now + 5, **to)
        assert code == "InvalidExportTimeException"
        code, _ = await refusal(own, "ExportTableToPointInTime", ExportTime=own.now - 100, **to)
        assert code == "InvalidExportTimeException"
        for member in ({"ExportFormat": "ION"}, {"ExportType": "INCREMENTAL_EXPORT"}):
            assert (await refusal(own, "ExportTableToPointInTime", **member, **to))[0] == "ValidationException"
        await exported(own, ClientToken="mine")
        code, _ = await refusal(own, "ExportTableToPointInTime", ClientToken="mine", S3Prefix="other", **to)
        assert code == "ExportConflictException"
        code, _ = await refusal(own, "DescribeExport", ExportArn=f"{ARN}/export/01234567890123-a1b2c3d4")
        assert code == "ExportNotFoundException"
        await all_jobs(own)
        off = {"PointInTimeRecoveryEnabled": False}
        await own.call("UpdateContinuousBackups", TableName="source", PointInTimeRecoverySpecification=off)
        assert await refusal(own, "ExportTableToPointInTime", **to) == (
            "PointInTimeRecoveryUnavailableException",
            "Point in time recovery is not enabled for table 'source'",
        )

    handlers.run(tmp_path / "store", test)


def test_an_export_can_be_imported(start_server: Any, tmp_path: Path) -> None:
    settings = tmp_path / "jedlik.toml"
    settings.write_text(f'[buckets.my-exports]\nurl = "{(tmp_path / "bucket").as_uri()}"\n')
    server: Server = start_server(config=settings, in_memory=True)
    client = server.client()
    table = {"KeySchema": key_schema("p"), "AttributeDefinitions": attributes(p="S"), "BillingMode": "PAY_PER_REQUEST"}
    client.create_table(TableName="source", **table)
    on = {"PointInTimeRecoveryEnabled": True}
    client.update_continuous_backups(TableName="source", PointInTimeRecoverySpecification=on)
    items = [{"p": {"S": f"{number:03}"}, "text": {"S": "ű"}} for number in range(100)]
    for item in items:
        client.put_item(TableName="source", Item=item)
    arn = client.describe_table(TableName="source")["Table"]["TableArn"]

    def run(bucket: str) -> dict[str, Any]:
        export = client.export_table_to_point_in_time(TableArn=arn, S3Bucket=bucket)["ExportDescription"]["ExportArn"]

        def described() -> dict[str, Any]:
            found: dict[str, Any] = client.describe_export(ExportArn=export)["ExportDescription"]
            return found

        eventually(lambda: described()["ExportStatus"] != "IN_PROGRESS")
        return described()

    eventually(lambda: run("my-exports").get("ItemCount") == 100)
    done = run("my-exports")
    assert (run("other")["ExportStatus"], run("other")["FailureCode"]) == ("FAILED", "S3NoSuchBucket")
    folder = done["ExportManifest"].rpartition("/")[0]
    begun = client.import_table(
        S3BucketSource={"S3Bucket": "my-exports", "S3KeyPrefix": f"{folder}/data/"},
        InputFormat="DYNAMODB_JSON",
        InputCompressionType="GZIP",
        TableCreationParameters={"TableName": "target", **table},
    )["ImportTableDescription"]
    eventually(lambda: client.describe_table(TableName="target")["Table"]["TableStatus"] == "ACTIVE")
    assert client.describe_import(ImportArn=begun["ImportArn"])["ImportTableDescription"]["ImportedItemCount"] == 100
    assert sorted(client.scan(TableName="target")["Items"], key=lambda item: str(item["p"]["S"])) == items
    assert len(client.list_exports(TableArn=arn)["ExportSummaries"]) >= 3
