"""StartBulkPutItems and the operations on bulk operations: from objects of a bucket into a table that is in use."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import orjson
import pytest
import zstandard
from botocore.exceptions import ClientError

from jedlik.aws.errors import ServiceError
from jedlik.background import job_records
from jedlik.background.job_records import JobMoved, JobWaits
from jedlik.dynamodb.backups import bulk_puts, bulk_reports, open_sources
from jedlik.dynamodb.backups.open_sources import BUSY, Amount
from jedlik.dynamodb.model import spaces
from jedlik.dynamodb.model.limits import MIB
from jedlik.regions.object_places import ObjectPlaces
from testing import jobs
from testing.dynamodb import handlers
from testing.dynamodb.definitions import attributes, definition, index, key_schema
from testing.dynamodb.handlers import Handlers
from testing.jedlik_process import Server, eventually
from testing.storage.objects import MemoryObjects

OUTPUT = ["ERROR", "CONDITION_CHECK_FAILURE"]
TABLE = {
    "KeySchema": key_schema("p", "s"),
    "AttributeDefinitions": attributes(p="S", s="N", x="N"),
    "GlobalSecondaryIndexes": [index("by-x", "x")],
    "BillingMode": "PAY_PER_REQUEST",
}
Record = dict[str, Any]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("buckets")


@pytest.fixture(scope="module")
def loader(place: Path) -> Iterator[Server]:
    """A server with two buckets."""
    settings = place / "jedlik.toml"
    buckets = [f'[buckets.my-{name}]\nurl = "{(place / name).as_uri()}"\n' for name in ("in", "out")]
    settings.write_text("".join(buckets))
    server = Server(place / "log", config=settings, data_dir=place / "store", in_memory=True)
    yield server
    server.kill()


@pytest.fixture
def client(loader: Server) -> Any:
    return loader.client()


@pytest.fixture
def name(client: Any) -> Iterator[str]:
    """A new table."""
    name = f"table-{uuid4().hex}"
    client.create_table(TableName=name, **TABLE)
    yield name
    client.delete_table(TableName=name)


def item(number: int, **more: Any) -> Record:
    return {"p": {"S": "a"}, "s": {"N": f"{number}"}, **more}


def lines(*records: Record) -> bytes:
    return b"".join(orjson.dumps(record) + b"\n" for record in records)


def put(place: Path, name: str, content: bytes) -> str:
    """Put an object into the bucket, under a prefix of its own; the prefix."""
    prefix = uuid4().hex
    path = place / "in" / prefix / name
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return prefix


def begun(client: Any, name: str, prefix: str, **more: Any) -> Record:
    source = {"S3Bucket": "my-in", "S3KeyPrefix": f"{prefix}/", "InputFormat": "DYNAMODB_JSON"} | more.pop("source", {})
    output = {"S3Bucket": "my-out", "S3KeyPrefix": prefix, "OutputType": OUTPUT} | more.pop("output", {})
    answer: Record = client.start_bulk_put_items(
        TableName=name, InputS3Configuration=source, OutputS3Configuration=output, **more
    )["BulkOperationDescription"]
    return answer


def described(client: Any, arn: str) -> Record:
    found: Record = client.describe_bulk_operation(BulkOperationArn=arn)["BulkOperationDescription"]
    return found


def done(client: Any, arn: str) -> Record:
    eventually(lambda: described(client, arn)["BulkOperationStatus"] not in ("IN_PROGRESS", "CANCELLING"))
    return described(client, arn)


def report(place: Path, prefix: str) -> tuple[Record, dict[str, list[Record]]]:
    """The summary of a report, and the rows of each kind, in order."""
    [folder] = (place / "out" / prefix / "AWSDynamoDB").iterdir()
    rows: dict[str, list[Record]] = {}
    for line in (folder / "manifest-files.json").read_bytes().splitlines():
        file = orjson.loads(line)
        content = gzip.decompress((place / "out" / file["dataFileS3Key"]).read_bytes())
        found = [orjson.loads(row) for row in content.splitlines()]
        assert len(found) == file["itemCount"]
        rows.setdefault(file["outputType"], []).extend(found)
    return orjson.loads((folder / "manifest-summary.json").read_bytes()), rows


def test_records_are_put_into_a_table_in_use(client: Any, place: Path, name: str) -> None:
    client.put_item(TableName=name, Item=item(1, old={"BOOL": True}))
    unless_there: Record = {"ConditionExpression": "attribute_not_exists(p)"}
    above: Record = {
        "ConditionExpression": "#x < :x",
        "ExpressionAttributeNames": {"#x": "x"},
        "ExpressionAttributeValues": {":x": {"N": "5"}},
    }
    records: list[Record] = [
        {"Item": item(0, x={"N": "1"})},
        {"Item": item(1), **unless_there},
        {"Item": item(2), **unless_there},
        {"Item": item(0, x={"N": "2"}), **above},
        {"Item": item(3), **above},
        {"Item": {"p": {"S": "a"}}},
        {"Item": item(4), "ConditionExpression": "nonsense ("},
        {"Item": item(4), "ConditionExpression": "p = :p"},
    ]
    prefix = put(place, "part", lines(*records) + b"not JSON\n")
    first = begun(client, name, prefix, ClientToken=f"token-{prefix}", MaxWriteRequestUnits=5000)
    table = client.describe_table(TableName=name)["Table"]
    size = (place / "in" / prefix / "part").stat().st_size
    assert first["BulkOperationStatus"] == "IN_PROGRESS"
    again = begun(client, name, prefix, ClientToken=f"token-{prefix}", MaxWriteRequestUnits=5000)
    assert again["BulkOperationArn"] == first["BulkOperationArn"]
    found = done(client, first["BulkOperationArn"])
    assert found["EndTime"] >= found["StartTime"]
    assert {member: value for member, value in found.items() if not member.endswith("Time")} == {
        "BulkOperationArn": first["BulkOperationArn"],
        "BulkOperationStatus": "COMPLETED_WITH_ERRORS",
        "TableDetails": [{"TableName": name, "TableId": table["TableId"]}],
        "ClientToken": f"token-{prefix}",
        "InputS3Configuration": {"S3Bucket": "my-in", "S3KeyPrefix": f"{prefix}/", "InputFormat": "DYNAMODB_JSON"},
        "OutputS3Configuration": {"S3Bucket": "my-out", "S3KeyPrefix": prefix, "OutputType": OUTPUT},
        "MaxWriteRequestUnits": 5000,
        "PerformanceTier": "STANDARD",
        "ProcessedItemCount": 9,
        "FailedItemCount": 4,
        "ProcessedInputBytes": size,
        "TotalInputBytes": size,
        "BulkOperationUsage": [
            {
                "TableName": name,
                "BulkPutBytes": 33,
                "Table": {"BulkPutBytes": 19},
                "GlobalSecondaryIndexes": {"by-x": {"BulkPutBytes": 14}},
            }
        ],
    }
    held = client.scan(TableName=name)["Items"]
    assert sorted(held, key=lambda one: str(one["s"])) == [
        item(0, x={"N": "2"}),
        item(1, old={"BOOL": True}),
        item(2),
    ]
    summary, rows = report(place, prefix)
    assert (summary["bulkOperationStatus"], summary["failedItemCount"]) == ("COMPLETED_WITH_ERRORS", 4)
    key = f"{prefix}/part"
    assert rows["CONDITION_CHECK_FAILURE"] == [
        {"S3Key": key, "RecordNumber": 2, "Item": item(1), "ExistingItem": item(1, old={"BOOL": True})},
        {"S3Key": key, "RecordNumber": 5, "Item": item(3)},
    ]
    assert [(row["RecordNumber"], row["ErrorMessage"].partition(":")[0]) for row in rows["ERROR"]] == [
        (6, "One or more parameter values were invalid"),
        (7, "Invalid ConditionExpression"),
        (8, "Invalid ConditionExpression"),
        (9, 'it is not JSON of the form {"Item"'),
    ]
    assert rows["ERROR"][3]["Record"] == "not JSON"


def test_condition_failures_alone_are_no_errors(client: Any, place: Path, name: str) -> None:
    prefix = put(place, "part", gzip.compress(lines({"Item": item(1), "ConditionExpression": "attribute_exists(p)"})))
    arn = begun(
        client,
        name,
        prefix,
        source={"InputCompressionType": "GZIP", "S3BucketOwner": "000000000000"},
        output={"OutputType": ["ERROR"], "S3BucketOwner": "000000000000"},
        PerformanceTier="ACCELERATED",
    )["BulkOperationArn"]
    found = done(client, arn)
    assert (found["BulkOperationStatus"], found["ProcessedItemCount"]) == ("COMPLETED", 1)
    assert found["BulkOperationUsage"] == [{"TableName": name, "BulkPutBytes": 0, "Table": {"BulkPutBytes": 0}}]
    # Only what was asked for is in the report.
    assert report(place, prefix)[1] == {}


def test_a_bulk_put_is_cancelled(client: Any, place: Path, name: str) -> None:
    prefix = put(place, "part", lines(*({"Item": item(n, t={"S": "t" * 2000})} for n in range(20_000))))
    arn = begun(client, name, prefix, MaxWriteRequestUnits=1024)["BulkOperationArn"]
    eventually(lambda: described(client, arn)["ProcessedItemCount"] > 0)
    answer = client.cancel_bulk_operation(BulkOperationArn=arn)
    assert (answer["BulkOperationArn"], answer["BulkOperationStatus"]) == (arn, "CANCELLING")
    found = done(client, arn)
    assert (found["BulkOperationStatus"], found["FailureCode"]) == ("CANCELLED", "Cancelled")
    written = client.describe_table(TableName=name)["Table"]["ItemCount"]
    assert 0 < written == found["ProcessedItemCount"] < 20_000
    with pytest.raises(ClientError) as caught:
        client.cancel_bulk_operation(BulkOperationArn=arn)
    assert "is CANCELLED, and cannot be cancelled" in caught.value.response["Error"]["Message"]


def test_bulk_operations_are_listed_the_newest_first(client: Any, place: Path, name: str) -> None:
    prefix = put(place, "part", lines({"Item": item(1)}))
    arns = [begun(client, name, prefix, output={"S3KeyPrefix": f"{prefix}/{n}"})["BulkOperationArn"] for n in range(3)]
    for arn in arns:
        assert done(client, arn)["BulkOperationStatus"] == "COMPLETED"
    found: list[str] = []
    page = client.list_bulk_operations(MaxResults=2)
    while True:
        assert all(one.keys() >= {"BulkOperationStatus", "StartTime"} for one in page["BulkOperationsSummaryList"])
        found += [one["BulkOperationArn"] for one in page["BulkOperationsSummaryList"]]
        if "NextToken" not in page:
            break
        page = client.list_bulk_operations(MaxResults=2, NextToken=page["NextToken"])
    assert [arn for arn in found if arn in arns] == arns[::-1]


UNFIT = "The prefix cannot have control characters and empty parts"
REFUSED: list[tuple[Record, str, str]] = [
    ({"TableName": "missing"}, "ResourceNotFoundException", "Requested resource not found: Table: missing not found"),
    ({"output": {"OutputType": []}}, "ValidationException", "OutputType must have one or both"),
    ({"output": {"S3KeyPrefix": "a/../b"}}, "ValidationException", "The prefix cannot have the parts . and .."),
    (
        {"output": {"S3KeyPrefix": "a\nb"}},
        "ValidationException",
        UNFIT,
    ),
    (
        {"source": {"S3KeyPrefix": "a//b/"}},
        "ValidationException",
        UNFIT,
    ),
    ({"output": {"S3SseAlgorithm": "AES256"}}, "ValidationException", "is not in an object store that speaks S3"),
    ({"ClientToken": "used"}, "IdempotentParameterMismatchException", "different parameters"),
]


def test_what_cannot_be_put_is_refused(client: Any, place: Path, name: str) -> None:
    prefix = put(place, "part", lines({"Item": item(1)}))
    assert done(client, begun(client, name, prefix, ClientToken="used")["BulkOperationArn"])
    for change, code, message in REFUSED:
        change = dict(change)
        with pytest.raises(ClientError) as caught:
            begun(client, change.pop("TableName", name), f"{prefix}-other", **change)
        error = caught.value.response["Error"]
        assert (error["Code"], message in error["Message"]) == (code, True), error
    for bucket, code in ((("my-in", "nobody"), "S3NoSuchBucket"), (("nobody", "my-out"), "S3NoSuchBucket")):
        source, output = ({"S3Bucket": one} for one in bucket)
        found = done(client, begun(client, name, prefix, source=source, output=output)["BulkOperationArn"])
        assert (found["BulkOperationStatus"], found["FailureCode"]) == ("FAILED", code)
    found = done(client, begun(client, name, "nothing")["BulkOperationArn"])
    assert (found["BulkOperationStatus"], found["FailureCode"]) == ("FAILED", "S3NoSuchKey")
    for arn, code in ((f"{found['BulkOperationArn'][:-1]}x", "Validation"), ("a" * 40, "Validation")):
        with pytest.raises(ClientError) as caught:
            described(client, arn)
        assert caught.value.response["Error"]["Code"].startswith(code)


# Over a store in memory


async def over(own: Handlers, monkeypatch: pytest.MonkeyPatch) -> MemoryObjects:
    """A table, and a bucket."""
    objects = MemoryObjects()
    own.region.places = ObjectPlaces(objects, {})
    monkeypatch.setattr(own.region.places, "bucket_with", lambda name, options: objects)
    settings = definition(
        TableName="target", KeySchema=key_schema("p", "s"), AttributeDefinitions=attributes(p="S", s="N")
    )
    await own.call("CreateTable", **settings)
    return objects


async def start(own: Handlers, form: str = "DYNAMODB_JSON", source: Record | None = None, **more: Any) -> str:
    answer = await own.call(
        "StartBulkPutItems",
        TableName="target",
        InputS3Configuration={"S3Bucket": "any-bucket", "S3KeyPrefix": "part", "InputFormat": form, **(source or {})},
        OutputS3Configuration={"S3Bucket": "any-bucket", "OutputType": OUTPUT},
        **more,
    )
    arn: str = answer["BulkOperationDescription"]["BulkOperationArn"]
    return arn


async def described_here(own: Handlers, arn: str) -> Record:
    found: Record = (await own.call("DescribeBulkOperation", BulkOperationArn=arn))["BulkOperationDescription"]
    return found


def test_each_record_counts_once_whatever_workers_die(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(bulk_puts.AMOUNTS, "STANDARD", Amount(4, MIB))
    monkeypatch.setattr(bulk_puts, "PENDING_BYTES", 300)
    monkeypatch.setattr(bulk_reports, "FILE_ROWS", 3)
    random = Random(1)

    async def test(own: Handlers) -> None:
        objects = await over(own, monkeypatch)
        for part in range(5):
            records: list[Record] = []
            for number in range(part * 30, part * 30 + 30):
                unless_there: Record = {"ConditionExpression": "attribute_not_exists(p)"} if number % 3 == 0 else {}
                records.append({"Item": item(number), **unless_there})
            # The condition of a record is false if the one before it has put its item.
            records += [records[0], {"Item": {}}]
            objects.kept[f"part-{part}"] = lines(*records)
        arn = await start(own)
        late = []
        while rows := await own.region.engine.range(*job_records.job_range(), 1, MIB):
            late.append(job_records.parse(rows[0]))
            if random.random() < 0.3:
                open_sources.forget()  # Another worker, which has nothing open.
            for job in (late[-1], random.choice(late)):
                with suppress(JobMoved, JobWaits):
                    await jobs.step(own.region, job)
        found = await described_here(own, arn)
        assert (found["BulkOperationStatus"], found["ProcessedItemCount"]) == ("COMPLETED_WITH_ERRORS", 160)
        assert found["FailedItemCount"] == 5
        assert (await own.call("DescribeTable", TableName="target"))["Table"]["ItemCount"] == 150
        manifest = next(name for name in objects.kept if name.endswith("manifest-files.json"))
        files = [orjson.loads(line) for line in objects.kept[manifest].splitlines()]
        assert len(files) > 2
        rows_of_files = [
            orjson.loads(row)
            for file in files
            for row in gzip.decompress(objects.kept[file["dataFileS3Key"]]).splitlines()
        ]
        places = sorted((row["S3Key"], row["RecordNumber"]) for row in rows_of_files)
        assert places == [(f"part-{part}", number) for part in range(5) for number in (31, 32)]
        assert await own.region.engine.range(*spaces.BULK_REPORTS.range, 1, 1) == []

    handlers.run(tmp_path / "store", test)


@pytest.mark.parametrize("compression", ["NONE", "GZIP", "ZSTD"])
def test_what_is_read_of_objects_is_counted_as_they_are_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: str
) -> None:
    monkeypatch.setitem(bulk_puts.AMOUNTS, "STANDARD", Amount(5, MIB))
    ways: dict[str, Callable[[bytes], bytes]] = {
        "NONE": bytes,
        "GZIP": gzip.compress,
        "ZSTD": zstandard.ZstdCompressor().compress,
    }
    packed = ways[compression]

    async def test(own: Handlers) -> None:
        objects = await over(own, monkeypatch)
        for part in range(3):
            random = Random(part)
            records = [{"Item": item(n, t={"S": random.randbytes(20).hex()})} for n in range(30)]
            # An object may end without the end of a line, and with empty lines.
            content = lines(*records)[:-1] if part == 0 else lines(*records) + b"\n" * part
            objects.kept[f"part-{part}"] = packed(content)
        total = sum(map(len, objects.kept.values()))
        arn = await start(own, source={"InputCompressionType": compression})
        counts: list[int] = []
        while rows := await own.region.engine.range(*job_records.job_range(), 1, MIB):
            if len(counts) % 4 == 3:
                open_sources.forget()  # Another worker, which has nothing open.
            await jobs.step(own.region, job_records.parse(rows[0]))
            found = await described_here(own, arn)
            counts.append(found["ProcessedInputBytes"])
            assert found["TotalInputBytes"] == total
        assert counts == sorted(counts)
        assert len(set(counts)) > (6 if compression == "NONE" else 2)
        assert (found["BulkOperationStatus"], counts[-1]) == ("COMPLETED", total)

    handlers.run(tmp_path / "store", test)


def test_a_rate_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(own: Handlers) -> None:
        objects = await over(own, monkeypatch)
        # An item of 4,020 bytes takes four units.
        records = [{"Item": item(number % 10, t={"S": "t" * 4011})} for number in range(5120)]
        objects.kept["part"] = lines(*records)
        arn = await start(own, MaxWriteRequestUnits=1024)
        begun = own.now
        while rows := await own.region.engine.range(*job_records.job_range(), 1, MIB):
            try:
                await jobs.step(own.region, job_records.parse(rows[0]))
            except JobWaits as waits:
                own.now += waits.seconds
        assert (await described_here(own, arn))["BulkOperationStatus"] == "COMPLETED"
        assert own.now - begun == pytest.approx(20, rel=0.05)

    handlers.run(tmp_path / "store", test)


def test_a_bulk_put_ends_with_its_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(own: Handlers) -> None:
        objects = await over(own, monkeypatch)
        objects.kept["part"] = lines(*({"Item": item(number)} for number in range(1000)))
        arn = await start(own)
        [row] = await own.region.engine.range(*job_records.job_range(), 1, MIB)
        await jobs.step(own.region, job_records.parse(row))
        await own.call("DeleteTable", TableName="target")
        while rows := await own.region.engine.range(*job_records.job_range(), 1, MIB):
            await jobs.step(own.region, job_records.parse(rows[0]))
        found = await described_here(own, arn)
        assert (found["BulkOperationStatus"], found["FailureCode"]) == ("FAILED", "ResourceNotFoundException")
        assert found["ProcessedItemCount"] == BUSY.records
        with pytest.raises(ServiceError) as caught:
            await described_here(own, arn.replace("us-east-1", "eu-west-1"))
        assert caught.value.name == "ResourceNotFoundException"

    handlers.run(tmp_path / "store", test)
