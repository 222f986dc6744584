"""Exports of a table with recovery, over a store and a bucket in memory."""

from __future__ import annotations

import asyncio
import gzip
from base64 import b64encode
from contextlib import suppress
from hashlib import md5
from random import Random
from typing import Any

import orjson
import pytest

from jedlik.background import job_records
from jedlik.background.job_records import Job, JobMoved, JobWaits
from jedlik.clock import TrustedClock
from jedlik.dynamodb.backups import exporting
from jedlik.dynamodb.model.limits import MIB
from jedlik.regions.object_places import ObjectPlaces
from testing import jobs
from testing.dynamodb.definitions import attributes, definition, index, key_schema
from testing.dynamodb.handlers import Handlers
from testing.storage.objects import MemoryObjects

ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/source"


async def with_recovery(own: Handlers, monkeypatch: pytest.MonkeyPatch) -> MemoryObjects:
    """A table with recovery, and a bucket."""
    bucket = MemoryObjects()
    own.region.places = ObjectPlaces(MemoryObjects(), {})
    monkeypatch.setattr(own.region.places, "bucket_with", lambda name, options: bucket)
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


async def all_jobs_with_stale_workers(own: Handlers, random: Random) -> None:
    """Do all jobs to their end. Workers repeat earlier steps beside, and some have nothing open."""
    late: list[Job] = []
    while found := await current_jobs(own):
        late += found
        if random.random() < 0.3:
            exporting.forget()  # Another worker, which has nothing open.
        await asyncio.gather(*(step(own, job) for job in (*found, random.choice(late))))


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
    if description["ExportType"] == "FULL_EXPORT":
        data = {name for name in bucket.kept if name.startswith(f"{folder}/data/")}
    else:
        export_id = description["ExportArn"].rpartition("/")[2]
        data = {name for name in bucket.kept if name.startswith(f"{folder.rpartition('/')[0]}/data/{export_id}")}
    assert {line["dataFileS3Key"] for line in lines} == data
    assert bucket.kept[f"{folder}/_started"] == b""
    return lines


def records_of(bucket: MemoryObjects, description: dict[str, Any]) -> list[bytes]:
    """The lines of the data files of an export."""
    found = []
    for line in files_of(bucket, description):
        content = bucket.kept[line["dataFileS3Key"]]
        digest = md5(content, usedforsecurity=False)
        assert (line["md5Checksum"], line["etag"]) == (b64encode(digest.digest()).decode(), f"{digest.hexdigest()}-1")
        records = gzip.decompress(content).splitlines()
        assert len(records) == line["itemCount"]
        found += records
    assert len(found) == description["ItemCount"]
    return found
