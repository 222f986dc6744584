"""ExportTableToPointInTime, DescribeExport and ListExports: the state of a time, in AWS's layout."""

from __future__ import annotations

import asyncio
import gzip
import re
from base64 import b64encode
from hashlib import md5
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest

from jedlik.aws.errors import ServiceError
from jedlik.dynamodb.backups import archiving, export_ranges, table_copies
from jedlik.dynamodb.model import spaces
from jedlik.dynamodb.model.limits import MIB
from testing.dynamodb import handlers
from testing.dynamodb.definitions import attributes, key_schema
from testing.dynamodb.exports import (
    ARN,
    all_jobs,
    all_jobs_with_stale_workers,
    current_jobs,
    exported,
    files_of,
    records_of,
    step,
    with_recovery,
)
from testing.dynamodb.handlers import Handlers
from testing.dynamodb.histories import History, State
from testing.jedlik_process import Server, eventually
from testing.storage.objects import MemoryObjects


def held(bucket: MemoryObjects, description: dict[str, Any]) -> State:
    """The items in an export."""
    found: State = {}
    for record in records_of(bucket, description):
        item = orjson.loads(record)["Item"]
        assert item["p"]["S"] not in found
        found[item["p"]["S"]] = item
    return found


@pytest.mark.parametrize(("seed", "range_bytes"), [(0, MIB), (1, 800), (2, 300)])
def test_an_export_is_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, range_bytes: int) -> None:
    monkeypatch.setattr(table_copies, "PIECE_BYTES", 600)
    monkeypatch.setattr(archiving, "SEGMENT_BYTES", 500)
    monkeypatch.setattr(export_ranges, "RANGE_BYTES", range_bytes)
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
        await all_jobs_with_stale_workers(own, random)
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
        name = line["dataFileS3Key"]
        digest = md5(bucket.kept[name], usedforsecurity=False)
        assert line == {
            "itemCount": 1,
            "md5Checksum": b64encode(digest.digest()).decode(),
            "etag": f"{digest.hexdigest()}-1",
            "dataFileS3Key": name,
        }
        assert re.fullmatch(rf"{folder}/data/[^/]+\.json\.gz", name)
        assert gzip.decompress(bucket.kept[name]) == b'{"Item":{"p":{"S":"a"},"x":{"N":"1"}}}\n'
        arns = [begun["ExportArn"]]
        for _ in range(2):
            own.now += 1
            arns.append((await exported(own))["ExportArn"])
        # The latest first: the API reference has "in reverse alphanumeric order of ExportArn".
        page = await own.call("ListExports", MaxResults=2)
        assert [one["ExportArn"] for one in page["ExportSummaries"]] == arns[:0:-1]
        rest = await own.call("ListExports", TableArn=ARN, NextToken=page["NextToken"])
        assert [one["ExportArn"] for one in rest["ExportSummaries"]] == arns[:1]
        assert "NextToken" not in rest
        assert rest["ExportSummaries"][0].keys() == {"ExportArn", "ExportStatus", "ExportType"}

    handlers.run(tmp_path / "store", test)


@pytest.mark.parametrize("form", ["DYNAMODB_JSON", "ION"])
def test_a_full_export_without_items_has_an_empty_data_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """ "For partitions that are empty, your export request will create an empty file": so the developer guide."""

    async def test(own: Handlers) -> None:
        bucket = await with_recovery(own, monkeypatch)
        own.now += 2
        begun = await exported(own, ExportFormat=form)
        await all_jobs_with_stale_workers(own, Random(3))
        done = (await own.call("DescribeExport", ExportArn=begun["ExportArn"]))["ExportDescription"]
        assert (done["ExportStatus"], done["ItemCount"]) == ("COMPLETED", 0)
        [file] = files_of(bucket, done)
        assert file["itemCount"] == 0
        assert records_of(bucket, done) == []

    handlers.run(tmp_path / "store", test)


def test_a_client_token_begins_one_export_however_many_ask_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(own: Handlers) -> None:
        await with_recovery(own, monkeypatch)
        own.now += 10
        begun = await asyncio.gather(*(exported(own, ClientToken="mine") for _ in range(5)))
        assert len({one["ExportArn"] for one in begun}) == 1
        assert len((await own.call("ListExports"))["ExportSummaries"]) == 1
        # Each of several exports with tokens of their own begins.
        others = await asyncio.gather(*(exported(own, ClientToken=f"token-{number}") for number in range(5)))
        assert len({one["ExportArn"] for one in others}) == 5

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
        for member in (
            {"ExportType": "INCREMENTAL_EXPORT"},
            {"S3Prefix": "a/../../b"},
            {"S3SseAlgorithm": "AES256", "S3SseKmsKeyId": "key"},
        ):
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

    def run(bucket: str, **more: Any) -> dict[str, Any]:
        begun = client.export_table_to_point_in_time(TableArn=arn, S3Bucket=bucket, **more)
        export = begun["ExportDescription"]["ExportArn"]

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
    filtered = run(
        "my-exports",
        S3Prefix="filtered",
        S3BucketOwner="000000000000",
        ExportFormat="ION",
        ExportType="FULL_EXPORT",
        FilterSpecification={
            "KeyConditionExpression": "#p = :p",
            "FilterExpression": "#t = :t",
            "ProjectionExpression": "#p",
            "ExpressionAttributeNames": {"#p": "p", "#t": "text"},
            "ExpressionAttributeValues": {":p": {"S": "007"}, ":t": {"S": "ű"}},
        },
    )
    assert (filtered["ExportStatus"], filtered["ItemCount"], filtered["ExportFormat"]) == ("COMPLETED", 1, "ION")
    [data] = (tmp_path / "bucket" / filtered["ExportManifest"]).parent.glob("data/*.ion.gz")
    assert gzip.decompress(data.read_bytes()) == b'$ion_1_0 {Item:{p:"007"}}\n'
