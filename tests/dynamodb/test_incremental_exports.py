"""Incremental exports and filters of exports: the changes of a window, and the items that satisfy expressions."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest

from jedlik.aws.errors import ServiceError
from jedlik.dynamodb.backups import archiving, export_ranges, ion_text, table_copies
from jedlik.dynamodb.model.limits import MIB
from testing.dynamodb import handlers
from testing.dynamodb.exports import (
    ARN,
    all_jobs,
    all_jobs_with_stale_workers,
    current_jobs,
    exported,
    records_of,
    step,
    with_recovery,
)
from testing.dynamodb.handlers import Handlers
from testing.dynamodb.histories import History, State
from testing.storage.objects import MemoryObjects

INCREMENTAL = "INCREMENTAL_EXPORT"
Record = dict[str, Any]


async def increment(own: Handlers, begin: float, end: float, view: str | None = None, **more: Any) -> dict[str, Any]:
    window = {"ExportFromTime": begin, "ExportToTime": end} | ({} if view is None else {"ExportViewType": view})
    return await exported(own, ExportType=INCREMENTAL, IncrementalExportSpecification=window, **more)


def changes_between(history: History, times: list[float], begin: float, end: float) -> dict[str, Record]:
    """What an export of a window must have, by key. `times` are those of the history's writes."""
    before = history.states[max(number for number, at in enumerate(times) if at < begin)]
    after: State = before
    found: dict[str, Record] = {}
    for number, at in enumerate(times):
        if begin <= at < end and number:
            after = history.states[number]
            earlier = history.states[number - 1]
            for key in after.keys() | earlier.keys():
                if after.get(key) != earlier.get(key):
                    found[key] = {"Metadata": {"WriteTimestampMicros": {"N": str(round(at * 1e6))}}}
    for key, record in list(found.items()):
        record["Keys"] = {"p": {"S": key}}
        if key in before:
            record["OldImage"] = before[key]
        if key in after:
            record["NewImage"] = after[key]
        if key not in before and key not in after:
            del found[key]
    return found


def held(bucket: MemoryObjects, description: dict[str, Any]) -> dict[str, Record]:
    found: dict[str, Record] = {}
    for line in records_of(bucket, description):
        record = orjson.loads(line)
        assert list(record) == [name for name in ("Metadata", "Keys", "OldImage", "NewImage") if name in record]
        assert found.setdefault(record["Keys"]["p"]["S"], record) is record
    return found


@pytest.mark.parametrize(("seed", "range_bytes"), [(0, MIB), (1, 800), (2, 300)])
def test_an_incremental_export_is_exact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, range_bytes: int
) -> None:
    monkeypatch.setattr(table_copies, "PIECE_BYTES", 600)
    monkeypatch.setattr(archiving, "SEGMENT_BYTES", 500)
    monkeypatch.setattr(archiving, "LEAST_BETWEEN_BASES", 1500)
    monkeypatch.setattr(export_ranges, "RANGE_BYTES", range_bytes)
    random = Random(seed)

    async def test(own: Handlers) -> None:
        bucket = await with_recovery(own, monkeypatch)
        history = History(own, "source", random)
        times = [own.now]
        for _ in range(150):
            own.now += random.choice((0.0, 1.0, 100.0))
            await history.write()
            times.append(own.now)
            if random.random() < 0.15:
                await archiving.archive(own.region)
            if random.random() < 0.2 and (found := await current_jobs(own)):
                await step(own, found[0])
        own.now += 5
        wanted = {}
        for number in range(5):
            begin, end = random.uniform(times[0] + 1, own.now - 1000), random.choice(times)
            if number == 0:
                begin = next(at for at in times if at > times[0] + 1)  # The time of a write.
            end = min(max(end, begin + 900), own.now)
            view = random.choice((None, "NEW_IMAGE", "NEW_AND_OLD_IMAGES"))
            wanted[(await increment(own, begin, end, view, S3Prefix="mine"))["ExportArn"]] = (begin, end, view)
            await history.write()
            times.append(own.now)
        await all_jobs_with_stale_workers(own, random)
        for arn, (begin, end, view) in wanted.items():
            description = (await own.call("DescribeExport", ExportArn=arn))["ExportDescription"]
            expected = changes_between(history, times, begin, end)
            if view == "NEW_IMAGE":
                for record in expected.values():
                    record.pop("OldImage", None)
            assert held(bucket, description) == expected

    handlers.run(tmp_path / "store", test)


def test_an_incremental_export_has_the_layout_of_aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(own: Handlers) -> None:
        bucket = await with_recovery(own, monkeypatch)
        begin = own.now + 1
        await own.call("PutItem", TableName="source", Item={"p": {"S": "a"}})
        own.now += 10
        await own.call("PutItem", TableName="source", Item={"p": {"S": "a"}, "x": {"N": "1"}})
        await own.call("PutItem", TableName="source", Item={"p": {"S": "b"}})
        await own.call("DeleteItem", TableName="source", Key={"p": {"S": "b"}})
        own.now += 1000
        begun = await increment(own, begin, begin + 900, S3Prefix="mine")
        table = (await own.call("DescribeTable", TableName="source"))["Table"]
        assert begun == {
            "ExportArn": begun["ExportArn"],
            "ExportStatus": "IN_PROGRESS",
            "StartTime": own.now,
            "TableArn": ARN,
            "TableId": table["TableId"],
            "S3Bucket": "bucket",
            "S3Prefix": "mine",
            "ExportFormat": "DYNAMODB_JSON",
            "ExportType": INCREMENTAL,
            "IncrementalExportSpecification": {
                "ExportFromTime": begin,
                "ExportToTime": begin + 900,
                "ExportViewType": "NEW_AND_OLD_IMAGES",
            },
        }
        await all_jobs(own)
        done = (await own.call("DescribeExport", ExportArn=begun["ExportArn"]))["ExportDescription"]
        folder = f"mine/AWSDynamoDB/{begun['ExportArn'].rpartition('/')[2]}"
        assert orjson.loads(bucket.kept[f"{folder}/manifest-summary.json"]) == {
            "version": "2023-08-01",
            "exportArn": begun["ExportArn"],
            "startTime": "2027-01-15T08:16:50.000Z",
            "endTime": "2027-01-15T08:16:50.000Z",
            "tableArn": ARN,
            "tableId": table["TableId"],
            "exportFromTime": "2027-01-15T08:00:01.000Z",
            "exportToTime": "2027-01-15T08:15:01.000Z",
            "s3Bucket": "bucket",
            "s3Prefix": "mine",
            "s3SseAlgorithm": None,
            "s3SseKmsKeyId": None,
            "manifestFilesS3Key": f"{folder}/manifest-files.json",
            "billedSizeBytes": done["BilledSizeBytes"],
            "itemCount": 1,
            "outputFormat": "DYNAMODB_JSON",
            "outputView": "NEW_AND_OLD_IMAGES",
            "exportType": INCREMENTAL,
        }
        # What was put and deleted within the window is not there.
        assert records_of(bucket, done) == [
            b'{"Metadata":{"WriteTimestampMicros":{"N":"1800000010000000"}},"Keys":{"p":{"S":"a"}},'
            b'"OldImage":{"p":{"S":"a"}},"NewImage":{"p":{"S":"a"},"x":{"N":"1"}}}'
        ]
        [line] = [name for name in bucket.kept if "/data/" in name]
        assert line.startswith("mine/AWSDynamoDB/data/")
        as_ion = await increment(own, begin, begin + 900, ExportFormat="ION")
        await all_jobs(own)
        done = (await own.call("DescribeExport", ExportArn=as_ion["ExportArn"]))["ExportDescription"]
        assert records_of(bucket, done) == [
            b"$ion_1_0 {Record:{Metadata:{WriteTimestampMicros:180000001d7},"
            b'Keys:{p:"a"},OldImage:{p:"a"},NewImage:{p:"a",x:1.}}}'
        ]

    handlers.run(tmp_path / "store", test)


FORMS: dict[str, tuple[list[str | None], str, str]] = {
    # What was there before the window and what was written in it (None is a delete); the members of the record; those
    # of one with new images only. Source: "DynamoDB table export output format" in the developer guide.
    "insert": (["", "n"], "Metadata Keys NewImage", "Metadata Keys NewImage"),
    "update": (["o", "n"], "Metadata Keys OldImage NewImage", "Metadata Keys NewImage"),
    "delete": (["o", None], "Metadata Keys OldImage", "Metadata Keys"),
    "insert and delete": (["", "n", None], "", ""),
    "insert and update": (["", "m", "n"], "Metadata Keys NewImage", "Metadata Keys NewImage"),
    "delete and insert": (["o", None, "n"], "Metadata Keys OldImage NewImage", "Metadata Keys NewImage"),
    "update and delete": (["o", "m", None], "Metadata Keys OldImage", "Metadata Keys"),
}


def test_a_record_has_the_form_of_what_happened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(own: Handlers) -> None:
        bucket = await with_recovery(own, monkeypatch)

        async def write(key: str, value: str | None) -> None:
            if value is None:
                await own.call("DeleteItem", TableName="source", Key={"p": {"S": key}})
            elif value:
                await own.call("PutItem", TableName="source", Item={"p": {"S": key}, "y": {"S": value}})

        for key, (values, *_) in FORMS.items():
            await write(key, values[0])
        own.now += 10
        begin, times = own.now, dict[str, int]()
        for key, (values, *_) in FORMS.items():
            for value in values[1:]:
                own.now += 1
                times[key] = round(own.now * 1_000_000)
                await write(key, value)
        own.now += 1000

        async def lines(view: str | None, form: str) -> list[bytes]:
            begun = await increment(own, begin, begin + 900, view, ExportFormat=form)
            await all_jobs(own)
            done = (await own.call("DescribeExport", ExportArn=begun["ExportArn"]))["ExportDescription"]
            return records_of(bucket, done)

        for view, place in ((None, 1), ("NEW_AND_OLD_IMAGES", 1), ("NEW_IMAGE", 2)):
            wanted, as_ion = {}, set()
            for key, form in FORMS.items():
                before, *_, after = form[0]
                keys = {"p": {"S": key}}
                record: Record = {
                    "Metadata": {"WriteTimestampMicros": {"N": str(times[key])}},
                    "Keys": keys,
                    "OldImage": keys | {"y": {"S": before}},
                    "NewImage": keys | {"y": {"S": after}},
                }
                members = str(form[place]).split()
                if members:
                    wanted[key] = {name: record[name] for name in members}
                    texts = {
                        "Metadata": f"{{WriteTimestampMicros:{ion_text.number(str(times[key]))}}}",
                        "Keys": f'{{p:"{key}"}}',
                        "OldImage": f'{{p:"{key}",y:"{before}"}}',
                        "NewImage": f'{{p:"{key}",y:"{after}"}}',
                    }
                    inner = ",".join(f"{name}:{texts[name]}" for name in members)
                    as_ion.add(f"$ion_1_0 {{Record:{{{inner}}}}}".encode())
            found = [orjson.loads(line) for line in await lines(view, "DYNAMODB_JSON")]
            assert {record["Keys"]["p"]["S"]: record for record in found} == wanted
            assert len(found) == len(wanted)
            assert set(await lines(view, "ION")) == as_ion

    handlers.run(tmp_path / "store", test)


WINDOWS: list[tuple[dict[str, float], str]] = [
    ({}, "ExportFromTime must be provided in IncrementalExportSpecification"),
    ({"ExportFromTime": 0, "ExportToTime": 899}, "at least 15 minutes"),
    ({"ExportFromTime": 0, "ExportToTime": 86401}, "at most 24 hours"),
    ({"ExportFromTime": 900, "ExportToTime": 0}, "at least 15 minutes"),
    ({"ExportFromTime": -10, "ExportToTime": 900}, "The specified ExportFromTime is outside"),
    ({"ExportFromTime": 86400, "ExportToTime": 2 * 86400}, "The specified ExportToTime is outside"),
]


def test_windows_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(own: Handlers) -> None:
        await with_recovery(own, monkeypatch)
        begin = own.now
        own.now += 90_000

        async def refused(**request: Any) -> ServiceError:
            with pytest.raises(ServiceError) as caught:
                await exported(own, **request)
            return caught.value

        for window, message in WINDOWS:
            times = {name: begin + after for name, after in window.items()}
            refusal = await refused(ExportType=INCREMENTAL, IncrementalExportSpecification=times)
            assert message in refusal.message
            assert refusal.name == ("InvalidExportTimeException" if "outside" in message else "ValidationException")
        whole = {"ExportFromTime": begin + 1, "ExportToTime": begin + 901}
        for request in (
            {"IncrementalExportSpecification": whole},
            {"ExportType": INCREMENTAL},
            {"ExportType": INCREMENTAL, "IncrementalExportSpecification": whole, "ExportTime": begin + 1},
        ):
            assert (await refused(**request)).name == "ValidationException"
        latest = await exported(
            own, ExportType=INCREMENTAL, IncrementalExportSpecification={"ExportFromTime": own.now - 1000}
        )
        assert latest["IncrementalExportSpecification"]["ExportToTime"] == own.now - 1

    handlers.run(tmp_path / "store", test)


FILTERS: list[tuple[dict[str, Any], list[Record]]] = [
    ({"FilterExpression": "x >= :x", "ExpressionAttributeValues": {":x": {"N": "3"}}}, [{"x": 3}, {"x": 4}]),
    ({"FilterExpression": "p = :p", "ExpressionAttributeValues": {":p": {"S": "k1"}}}, [{"x": 1}]),
    ({"KeyConditionExpression": "p = :p", "ExpressionAttributeValues": {":p": {"S": "k2"}}}, [{"x": 2}]),
    (
        {
            "KeyConditionExpression": "p = :p",
            "FilterExpression": "#x > :x",
            "ExpressionAttributeNames": {"#x": "x"},
            "ExpressionAttributeValues": {":p": {"S": "k2"}, ":x": {"N": "2"}},
        },
        [],
    ),
]


def test_an_export_has_what_satisfies_its_filter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(own: Handlers) -> None:
        bucket = await with_recovery(own, monkeypatch)
        for number in range(5):
            item = {"p": {"S": f"k{number}"}, "x": {"N": str(number)}, "more": {"S": "y"}}
            await own.call("PutItem", TableName="source", Item=item)
        own.now += 10

        async def records(**request: Any) -> list[Record]:
            begun = await exported(own, **request)
            assert begun["FilterSpecification"] == request["FilterSpecification"]
            await all_jobs(own)
            done = (await own.call("DescribeExport", ExportArn=begun["ExportArn"]))["ExportDescription"]
            return [orjson.loads(line) for line in records_of(bucket, done)]

        for specification, wanted in FILTERS:
            found = await records(FilterSpecification=specification)
            numbers = sorted(int(record["Item"]["x"]["N"]) for record in found)
            assert numbers == [record["x"] for record in wanted]
        [only] = await records(
            FilterSpecification={
                "KeyConditionExpression": "p = :p",
                "ProjectionExpression": "x",
                "ExpressionAttributeValues": {":p": {"S": "k2"}},
            }
        )
        assert only == {"Item": {"x": {"N": "2"}}}
        # An item that has left the selection is in an incremental export, and so is one that has come.
        begin = own.now
        own.now += 1
        for key, number in (("k3", 0), ("k0", 9), ("k1", 2)):
            await own.call("PutItem", TableName="source", Item={"p": {"S": key}, "x": {"N": str(number)}})
        own.now += 1000
        found = await records(
            ExportType=INCREMENTAL,
            IncrementalExportSpecification={"ExportFromTime": begin, "ExportToTime": begin + 900},
            FilterSpecification={"FilterExpression": "x >= :x", "ExpressionAttributeValues": {":x": {"N": "3"}}},
        )
        assert {record["Keys"]["p"]["S"] for record in found} == {"k3", "k0"}
        for specification, message in (
            ({"FilterExpression": "x ="}, "Invalid FilterExpression: Syntax error"),
            (
                {"FilterExpression": "x = :x", "ExpressionAttributeValues": {":x": {"N": "1"}, ":y": {"N": "1"}}},
                "unused in expressions",
            ),
            (
                {"KeyConditionExpression": "x = :x", "ExpressionAttributeValues": {":x": {"N": "1"}}},
                "Query condition missed key schema element: p",
            ),
            (
                {
                    "KeyConditionExpression": "p = :p",
                    "FilterExpression": "p = :p",
                    "ExpressionAttributeValues": {":p": {"S": "k"}},
                },
                "Filter Expression can only contain non-primary key attributes",
            ),
        ):
            with pytest.raises(ServiceError) as caught:
                await exported(own, FilterSpecification=specification)
            assert message in caught.value.message

    handlers.run(tmp_path / "store", test)
