"""Exports beside the samples of "DynamoDB table export output format" in the developer guide, field by field.

Times, ids and names of files are this store's own. A manifest's checksum has the suffix .md5, as in the guide's tree of
an export; its list of files calls it .checksum.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from testing.dynamodb import handlers
from testing.dynamodb.exports import all_jobs, exported, files_of, records_of, with_recovery
from testing.dynamodb.handlers import Handlers
from testing.storage.objects import MemoryObjects

BOOK = (
    b'{"Item":{"Authors":{"SS":["Author1","Author2"]},"Dimensions":{"S":"8.5 x 11.0 x 1.5"},'
    b'"ISBN":{"S":"333-3333333333"},"Id":{"N":"103"},"InPublication":{"BOOL":false},"PageCount":{"N":"600"},'
    b'"Price":{"N":"2000"},"ProductCategory":{"S":"Book"},"Title":{"S":"Book 103 Title"}}}'
)
ION_BOOK = (
    b'$ion_1_0 {Item:{Authors:$dynamodb_SS::["Author1","Author2"],Dimensions:"8.5 x 11.0 x 1.5",'
    b'ISBN:"333-3333333333",Id:103.,InPublication:false,PageCount:6d2,Price:2d3,ProductCategory:"Book",'
    b'Title:"Book 103 Title"}}'
)
FULL = [
    "version",
    "exportArn",
    "startTime",
    "endTime",
    "tableArn",
    "tableId",
    "exportTime",
    "s3Bucket",
    "s3Prefix",
    "s3SseAlgorithm",
    "s3SseKmsKeyId",
    "manifestFilesS3Key",
    "billedSizeBytes",
    "itemCount",
    "outputFormat",
    "exportType",
]
INCREMENTAL = [
    "version",
    "exportArn",
    "startTime",
    "endTime",
    "tableArn",
    "tableId",
    "exportFromTime",
    "exportToTime",
    "s3Bucket",
    "s3Prefix",
    "s3SseAlgorithm",
    "s3SseKmsKeyId",
    "manifestFilesS3Key",
    "billedSizeBytes",
    "itemCount",
    "outputFormat",
    "outputView",
    "exportType",
]

CUSTOMER = {"p": {"S": "CUST#100"}, "FirstName": {"S": "John"}, "LastName": {"S": "Don"}}


async def whole(own: Handlers, bucket: MemoryObjects, **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """An export that is done, and its summary."""
    begun = await exported(own, **more)
    await all_jobs(own)
    done = (await own.call("DescribeExport", ExportArn=begun["ExportArn"]))["ExportDescription"]
    return done, orjson.loads(bucket.kept[done["ExportManifest"]])


@pytest.mark.parametrize(("form", "line", "suffix"), [("DYNAMODB_JSON", BOOK, "json.gz"), ("ION", ION_BOOK, "ion.gz")])
def test_a_full_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, line: bytes, suffix: str) -> None:
    async def test(own: Handlers) -> None:
        bucket = await with_recovery(own, monkeypatch)
        item = orjson.loads(BOOK)["Item"]
        await own.call("PutItem", TableName="source", Item=item | {"p": {"S": "z"}})
        own.now += 2
        done, summary = await whole(own, bucket, ExportFormat=form, S3Prefix="2020-Nov")
        assert list(summary) == FULL
        assert (summary["version"], summary["exportType"], summary["outputFormat"], summary["itemCount"]) == (
            "2020-06-30", "FULL_EXPORT", form, 1,
        )  # fmt: skip
        [file] = files_of(bucket, done)
        assert list(file) == ["itemCount", "md5Checksum", "etag", "dataFileS3Key"]
        assert file["dataFileS3Key"].endswith(suffix)
        # The guide's item, behind the key that this table has.
        [found] = records_of(bucket, done)
        key = b'"p":{"S":"z"}' if form == "DYNAMODB_JSON" else b'p:"z"'
        assert found.replace(b"," + key, b"").replace(key + b",", b"") == line

    handlers.run(tmp_path / "store", test)


def test_an_incremental_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(own: Handlers) -> None:
        bucket = await with_recovery(own, monkeypatch)
        changed = CUSTOMER | {"FirstName": {"S": "Mary"}, "LastName": {"S": "Grace"}}
        lines: dict[str, list[bytes]] = {"DYNAMODB_JSON": [], "ION": []}
        stamps = []
        for write, request in (
            ("PutItem", {"Item": CUSTOMER}),
            ("PutItem", {"Item": changed}),
            ("DeleteItem", {"Key": {"p": CUSTOMER["p"]}}),
        ):
            own.now += 10
            begin = own.now
            own.now += 1.5
            stamps.append(str(round(own.now * 1e6)))
            await own.call(write, TableName="source", **request)
            own.now += 1000
            for form in lines:
                window = {"ExportFromTime": begin, "ExportToTime": begin + 900}
                done, summary = await whole(
                    own,
                    bucket,
                    ExportFormat=form,
                    ExportType="INCREMENTAL_EXPORT",
                    IncrementalExportSpecification=window,
                )
                assert list(summary) == INCREMENTAL
                assert (summary["version"], summary["outputView"]) == ("2023-08-01", "NEW_AND_OLD_IMAGES")
                lines[form] += records_of(bucket, done)
        key = {"p": CUSTOMER["p"]}
        metadata = [{"WriteTimestampMicros": {"N": stamp}} for stamp in stamps]
        assert [orjson.loads(line) for line in lines["DYNAMODB_JSON"]] == [
            {"Metadata": metadata[0], "Keys": key, "NewImage": CUSTOMER},
            {"Metadata": metadata[1], "Keys": key, "OldImage": CUSTOMER, "NewImage": changed},
            {"Metadata": metadata[2], "Keys": key, "OldImage": changed},
        ]
        first, second = (
            '{p:"CUST#100",FirstName:"John",LastName:"Don"}',
            '{p:"CUST#100",FirstName:"Mary",LastName:"Grace"}',
        )
        micros = [f"{stamp.rstrip('0')}d{len(stamp) - len(stamp.rstrip('0'))}" for stamp in stamps]
        assert [line.decode() for line in lines["ION"]] == [
            f'$ion_1_0 {{Record:{{Metadata:{{WriteTimestampMicros:{at}}},Keys:{{p:"CUST#100"}},{images}}}}}'
            for at, images in zip(
                micros, (f"NewImage:{first}", f"OldImage:{first},NewImage:{second}", f"OldImage:{second}"), strict=True
            )
        ]

    handlers.run(tmp_path / "store", test)
