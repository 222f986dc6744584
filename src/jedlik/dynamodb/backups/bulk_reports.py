"""Bulk reports: what a bulk put has not written, and why, in the bucket that its request names.

    PREFIX/AWSDynamoDB/ID/errors/NAME.json.gz                      records that are no items of the table
    PREFIX/AWSDynamoDB/ID/condition-check-failures/NAME.json.gz    items whose condition was false
    PREFIX/AWSDynamoDB/ID/manifest-files.json                      a line for each of these files
    PREFIX/AWSDynamoDB/ID/manifest-summary.json                    what was done; written last

A line of the first has the object, the number of the record in it, the reason and the record; one of the second has the
item, and the item that was there, if there was one. Rows are noted in the commit that passes over their records, and
leave the store in the commit that notes their file: so each is in the report once, whatever workers die.

AWS's pages mention a manifest, and files for both kinds. What they look like is not known here: the names follow those
of exports.
"""

from __future__ import annotations

import asyncio
import gzip
from base64 import b64encode
from enum import IntEnum
from hashlib import md5
from typing import TYPE_CHECKING, Any

import orjson

from jedlik.background.job_records import Job
from jedlik.dynamodb.backups import bulk_records, transfers
from jedlik.dynamodb.backups.bulk_records import BulkOperation
from jedlik.dynamodb.model.limits import MIB
from jedlik.storage.engine import Row, Writes
from jedlik.storage.object_store import ObjectStore

if TYPE_CHECKING:
    from jedlik.regions.region import Region

FILE_ROWS = 5000
FILE_BYTES = 4 * MIB
"""The most rows of a file, and bytes of them."""


class Kind(IntEnum):
    """What a row of a report is."""

    FILE = 0
    """A line of the manifest of files."""
    ERROR = 1
    CONDITION_CHECK_FAILURE = 2


_FOLDERS = {Kind.ERROR: "errors", Kind.CONDITION_CHECK_FAILURE: "condition-check-failures"}


def kinds(found: BulkOperation) -> frozenset[Kind]:
    """What the report has, as the request wants it."""
    return frozenset(Kind[name] for name in found.request["OutputS3Configuration"]["OutputType"])


def name(found: BulkOperation, file: str) -> str:
    """The name of a file of the report in its bucket."""
    prefix = found.request["OutputS3Configuration"].get("S3KeyPrefix", "").strip("/")
    name = f"AWSDynamoDB/{found.id}/{file}"
    return f"{prefix}/{name}" if prefix else name


def bucket(region: Region, found: BulkOperation) -> ObjectStore:
    """Where the report goes. Raises NoBucket and BucketOfOther."""
    return transfers.bucket(region, found.request["OutputS3Configuration"])


async def write_next(region: Region, job: Job, found: BulkOperation) -> bool:
    """Write a file of rows, and move the job on; whether there was any.

    Raises ObjectStoreError, NoBucket, BucketOfOther and JobMoved.
    """
    for kind, folder in _FOLDERS.items():
        rows = await region.engine.range(*bulk_records.report_range(found.id, kind), FILE_ROWS, FILE_BYTES)
        if rows:
            await _write(region, job, found, (kind, folder), rows)
            return True
    return False


async def _write(region: Region, job: Job, found: BulkOperation, to: tuple[Kind, str], rows: list[Row]) -> None:
    kind, folder = to
    content = await asyncio.to_thread(_compressed, rows)
    digest = md5(content, usedforsecurity=False)
    number = job.state["Files"]
    file = name(found, f"{folder}/{number:08d}-{digest.hexdigest()}.json.gz")
    await bucket(region, found).put(file, content)
    line = {
        "outputType": kind.name,
        "itemCount": len(rows),
        "md5Checksum": b64encode(digest.digest()).decode(),
        "etag": f"{digest.hexdigest()}-1",
        "dataFileS3Key": file,
    }

    def decide(values: Any) -> tuple[Writes, None]:
        job.check(values[0])
        writes = Writes()
        for key, _ in rows:
            writes.delete(key)
        writes.put(bulk_records.report_key(found.id, Kind.FILE, number), orjson.dumps(line))
        pending = max(job.state["Pending"] - sum(len(row) for _, row in rows), 0)
        job.advance(job.state | {"Files": number + 1, "Pending": pending, "Moved": region.clock()}, writes)
        return writes, None

    await region.engine.mutate([job.key], decide)


def _compressed(rows: list[Row]) -> bytes:
    return gzip.compress(b"".join(row + b"\n" for _, row in rows), mtime=0)


async def write_manifests(region: Region, found: BulkOperation, summary: dict[str, Any]) -> None:
    """Write the manifests. Raises ObjectStoreError, NoBucket and BucketOfOther."""
    lines: list[bytes] = []
    start, end = bulk_records.report_range(found.id, Kind.FILE)
    while rows := await region.engine.range(start, end, FILE_ROWS, MIB):
        lines += [row + b"\n" for _, row in rows]
        start = rows[-1][0] + b"\0"
    store = bucket(region, found)
    for file, content in (("manifest-files", b"".join(lines)), ("manifest-summary", orjson.dumps(summary))):
        digest = b64encode(md5(content, usedforsecurity=False).digest())
        await store.put(name(found, f"{file}.md5"), digest)
        await store.put(name(found, f"{file}.json"), content)
