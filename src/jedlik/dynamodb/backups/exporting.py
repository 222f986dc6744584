"""Exporting: how a table's state at a time is written into a bucket, in the layout of AWS's full exports.

The job makes a plan as a restore to a point in time does (`recovery_plans`). Then it goes over the base copy, a piece
in each step, and writes the items of each that have not changed up to the time as one data file; at the end come those
that have, as the changes and segments of the plan leave them. So that these fit into memory, the table is taken in
ranges of its keys, one after the other. A data file is stored first, and then noted with the job's place in one commit.

    PREFIX/AWSDynamoDB/ID/_started                 empty: the bucket can be written to
    PREFIX/AWSDynamoDB/ID/data/NAME.json.gz        a line for each item: {"Item": {...}}
    PREFIX/AWSDynamoDB/ID/manifest-files.json      a line for each data file
    PREFIX/AWSDynamoDB/ID/manifest-summary.json    what was exported; written last, and each manifest has a .md5

Source: "DynamoDB table export output format" in the developer guide.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import md5
from typing import TYPE_CHECKING

import orjson

from jedlik.background import job_records
from jedlik.background.job_records import Job, JobMoved, JobWaits
from jedlik.background.work import JobKind
from jedlik.dynamodb.backups import (
    backup_records,
    backup_removal,
    export_records,
    manifests,
    pieces,
    recovery_plans,
    recovery_records,
)
from jedlik.dynamodb.backups.export_records import Export
from jedlik.dynamodb.backups.manifests import DamagedManifest, Manifest
from jedlik.dynamodb.backups.pieces import ABSENT, STAMP, DamagedPiece, Rows
from jedlik.dynamodb.backups.recovery_plans import Unplannable
from jedlik.dynamodb.backups.recovery_records import Recovery
from jedlik.dynamodb.backups.transfers import COMPLETED, FAILED
from jedlik.dynamodb.model import items
from jedlik.dynamodb.model.limits import MIB
from jedlik.dynamodb.tables import table_names
from jedlik.regions import keyspaces
from jedlik.regions.object_places import NoBucket
from jedlik.storage.engine import Row, Writes
from jedlik.storage.object_store import ObjectMissing, ObjectStore, ObjectStoreError

if TYPE_CHECKING:
    from jedlik.regions.region import Region

KIND = "EXPORT"

RANGE_BYTES = 64 * MIB
"""Bytes of changes that are in memory at once."""
MOST_RANGES = 1 << 16
WAIT_SECONDS = 5.0
PATIENCE_SECONDS = 60 * 60.0
"""An export fails that has not come on for so long."""
OPEN_RANGES = 2
TIDIED_AT_ONCE = 500
_LEVEL = 6
"""The level of gzip."""

_log = logging.getLogger(__name__)


def submit(found: Export, recovery: Recovery, now: float, writes: Writes) -> None:
    """Begin an export, in the commit that makes its record."""
    state = {
        "TableName": found.table,
        "TableId": found.table_id,
        "Export": found.key.hex(),
        "Source": recovery.key.hex(),
        "History": recovery.history,
        "Until": round(found.at * 1e6),
        "Folder": None,
        "Range": 0,
        "Piece": 0,
        "Files": 0,
        "Items": 0,
        "Size": 0,
        "Moved": now,
        "Over": False,
    }
    writes.append(backup_records.mark_log(found.id), b"")
    job_records.submit(f"export/{found.id}", KIND, state, writes)


async def step(region: Region, job: Job) -> None:
    """Plan, write the next data file, or the manifests. Raises JobMoved and JobWaits."""
    assert region.places is not None, "a region with exports has buckets"
    [raw] = await region.engine.get([bytes.fromhex(job.state["Export"])])
    if raw is None:
        raise JobMoved
    found = export_records.parse(raw)
    if job.state["Over"]:
        await _tidy(region, job, found)
        return
    try:
        bucket = region.places.bucket(found.request["S3Bucket"])
        if job.state["Folder"] is None:
            await _plan(region, job, found, bucket, region.places.backups)
        else:
            await _write(region, job, found, bucket, region.places.backups)
    except NoBucket:
        await _end(region, job, found, ("S3NoSuchBucket", "The specified bucket does not exist"))
    except (Unplannable, DamagedManifest, DamagedPiece, ObjectMissing) as error:
        await _end(region, job, found, ("InternalServerError", str(error)))
    except ObjectStoreError as error:
        if region.clock() - job.state["Moved"] > PATIENCE_SECONDS:
            await _end(region, job, found, ("S3Error", str(error)))
            return
        _log.warning("an export waits: %s", error, extra={"region": region.store, "table": found.table})
        raise JobWaits(WAIT_SECONDS) from error


async def _plan(region: Region, job: Job, found: Export, bucket: ObjectStore, store: ObjectStore) -> None:
    await bucket.put(found.name("_started"), b"")
    folder = await recovery_plans.planned(region, job.state, found.id, store)
    if folder is not None:
        await _move(region, job, {"Folder": folder})


async def _move(region: Region, job: Job, changed: dict[str, object], more: Sequence[Row] = ()) -> None:
    """Move the job on, and write some rows with that."""
    after = job.state | changed | {"Moved": region.clock()}

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        job.check(values[0])
        writes = Writes()
        for key, value in more:
            writes.put(key, value)
        job.advance(after, writes)
        return writes, None

    await region.engine.mutate([job.key], decide)


@dataclass(slots=True)
class _Range:
    """A range of keys, as a worker exports it."""

    manifest: Manifest
    number: int
    count: int
    """The number of ranges."""
    changed: dict[bytes, bytes]
    """The items that have changed since they were copied, by key, as they were at the time."""

    def holds(self, key: bytes) -> bool:
        """Whether a key is in the range."""
        return self.count == 1 or int.from_bytes(key[:2], "big") * self.count >> 16 == self.number

    @classmethod
    async def of(cls, region: Region, job: Job, store: ObjectStore) -> _Range:
        """The range that the job exports now. Raises ObjectStoreError, DamagedManifest and DamagedPiece."""
        name = f"{region.store}/{job.name}"
        known = _open.pop(name, None)
        if known is None or known.number != job.state["Range"]:
            manifest = await manifests.read(store, job.state["Folder"], manifests.PLAN)
            size = sum(piece.size for piece in manifest.pieces if piece.kind is not Rows.ITEMS)
            known = cls(manifest, job.state["Range"], min(size // RANGE_BYTES + 1, MOST_RANGES), {})
            await known._read(store)
        _open[name] = known
        while len(_open) > OPEN_RANGES:
            _open.popitem(last=False)
        return known

    async def _read(self, store: ObjectStore) -> None:
        """Read what has changed: first what was before the changes, then what the segments leave."""
        for piece in reversed(self.manifest.of(Rows.CHANGES)):
            for key, value in reversed(await _rows(store, piece.name)):
                if self.holds(key):
                    self.changed[key] = value
        until = self.manifest.until
        for piece in self.manifest.of(Rows.SEGMENT):
            for stamped, value in await _rows(store, piece.name):
                position, at = STAMP.unpack_from(stamped)
                key = stamped[STAMP.size :]
                if position > self.manifest.position and (until is None or at <= until) and self.holds(key):
                    self.changed[key] = value


_open: OrderedDict[str, _Range] = OrderedDict()
"""By store and job, what this worker has read."""


async def _rows(store: ObjectStore, name: str) -> list[Row]:
    content = await store.get(name)
    _, rows = await asyncio.to_thread(pieces.unpacked, content)
    return rows


async def _write(region: Region, job: Job, found: Export, bucket: ObjectStore, store: ObjectStore) -> None:
    """Write the next data file, or the manifests."""
    state = job.state
    part = await _Range.of(region, job, store)
    if part.number >= part.count:
        await _write_manifests(region, job, found, bucket)
        return
    copied = part.manifest.of(Rows.ITEMS)
    if state["Piece"] < len(copied):
        rows = await _rows(store, copied[state["Piece"]].name)
        stored = [value for key, value in rows if part.holds(key) and key not in part.changed]
        behind = {"Piece": state["Piece"] + 1}
    else:
        stored = [value for value in part.changed.values() if not value.startswith(ABSENT)]
        behind = {"Piece": 0, "Range": part.number + 1}
    if not stored:
        await _move(region, job, behind)
        return
    content = await asyncio.to_thread(_data_file, stored)
    digest = md5(content, usedforsecurity=False)
    name = f"data/{state['Files']:08d}-{digest.hexdigest()}.json.gz"
    await bucket.put(found.name(name), content)
    line = {
        "itemCount": len(stored),
        "md5Checksum": b64encode(digest.digest()).decode(),
        "etag": f"{digest.hexdigest()}-1",
        "dataFileS3Key": found.name(name),
    }
    counts = {
        "Files": state["Files"] + 1,
        "Items": state["Items"] + len(stored),
        "Size": state["Size"] + items.total_size(stored),
    }
    key = backup_records.piece_key(found.id, Rows.ITEMS, state["Files"])
    await _move(region, job, behind | counts, [(key, orjson.dumps(line))])


def _data_file(stored: list[bytes]) -> bytes:
    lines = b"".join([b'{"Item":' + items.json_of(value) + b"}\n" for value in stored])
    return gzip.compress(lines, _LEVEL, mtime=0)


async def _write_manifests(region: Region, job: Job, found: Export, bucket: ObjectStore) -> None:
    lines = []
    start, end = backup_records.pieces_range(found.id)
    while rows := await region.engine.range(start, end, TIDIED_AT_ONCE, MIB):
        lines += [raw + b"\n" for _, raw in rows]
        start = rows[-1][0] + b"\0"
    ended = region.clock()
    request = found.request
    summary = {
        "version": "2020-06-30",
        "exportArn": export_records.arn(region, found),
        "startTime": _time(found.started),
        "endTime": _time(ended),
        "tableArn": table_names.arn(region.name, region.account, found.table),
        "tableId": found.table_id,
        "exportTime": _time(found.at),
        "s3Bucket": request["S3Bucket"],
        "s3Prefix": request.get("S3Prefix"),
        "s3SseAlgorithm": None,
        "s3SseKmsKeyId": None,
        "manifestFilesS3Key": found.name("manifest-files.json"),
        "billedSizeBytes": job.state["Size"],
        "itemCount": job.state["Items"],
        "outputFormat": "DYNAMODB_JSON",
        "exportType": "FULL_EXPORT",
    }
    for name, content in (("manifest-files", b"".join(lines)), ("manifest-summary", orjson.dumps(summary))):
        digest = b64encode(md5(content, usedforsecurity=False).digest())
        await bucket.put(found.name(f"{name}.md5"), digest)
        await bucket.put(found.name(f"{name}.json"), content)
    await _end(region, job, found, None)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def _end(region: Region, job: Job, found: Export, failure: tuple[str, str] | None) -> None:
    """Record what has become of an export; then tidy up."""
    state = job.state
    source = bytes.fromhex(state["Source"])
    marks = backup_records.mark_log(found.id)
    mark_rows = await region.engine.range(marks, keyspaces.prefix_end(marks), 1, 1)

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        job.check(values[0])
        writes = Writes()
        found.put(
            writes,
            status=COMPLETED if failure is None else FAILED,
            ended=region.clock(),
            items=state["Items"],
            size=state["Size"],
            failure=failure,
        )
        if values[1] is not None:
            recovery = recovery_records.parse(values[1])
            recovery.put(writes, restoring=tuple(one for one in recovery.restoring if one != found.id))
        if state["Folder"] is not None:
            backup_removal.submit(f"plan-{found.id}", state["Folder"], writes)
        for key, _ in mark_rows:
            writes.delete(key)
        job.advance(state | {"Over": True}, writes)
        return writes, None

    await region.engine.mutate([job.key, source], decide)
    region.jobs_wanted.set()
    _open.pop(f"{region.store}/{job.name}", None)


async def _tidy(region: Region, job: Job, found: Export) -> None:
    """Remove the notes of data files, and end the job."""
    start, end = backup_records.pieces_range(found.id)
    doomed = await region.engine.range(start, end, TIDIED_AT_ONCE, MIB)

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        job.check(values[0])
        writes = Writes()
        for key, _ in doomed:
            writes.delete(key)
        if len(doomed) < TIDIED_AT_ONCE:
            job.finish(writes)
        return writes, None

    await region.engine.mutate([job.key], decide)


def forget() -> None:
    """Forget what this worker has read: the next step reads it again."""
    _open.clear()


JOB = JobKind(
    KIND,
    step,
    state={"TableName": str, "TableId": str, "Export": str, "Source": str, "Range": int, "Piece": int},
)
