"""Export files: the data files and manifests of an export, in AWS's layout.

A full export:

    PREFIX/AWSDynamoDB/ID/_started                 empty: the bucket can be written to
    PREFIX/AWSDynamoDB/ID/data/NAME.json.gz        a line for each item: {"Item": {...}}; there is at least one file
    PREFIX/AWSDynamoDB/ID/manifest-files.json      a line for each data file
    PREFIX/AWSDynamoDB/ID/manifest-summary.json    what was exported; written last, and each manifest has a .md5

An incremental export has its data files in PREFIX/AWSDynamoDB/data, with those of other incremental exports. A line is
a changed item: the time of its last change, its key, and its images as far as the view has them. An item that was put
and deleted within the window is not there. In Amazon Ion, names end with .ion.gz.

Sources: "DynamoDB table export output format" in the developer guide. The text of an incremental summary's version is
that of AWS's exports.
"""

from __future__ import annotations

import gzip
from base64 import b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from hashlib import md5
from typing import Any, NamedTuple

import orjson

from jedlik.dynamodb.backups import ion_text
from jedlik.dynamodb.backups.export_ranges import Changed
from jedlik.dynamodb.backups.export_records import Export
from jedlik.dynamodb.backups.export_selections import Selection
from jedlik.dynamodb.backups.pieces import ABSENT
from jedlik.dynamodb.model import items, keys
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.model.values import Item
from jedlik.storage.engine import Row

_LEVEL = 6
"""The level of gzip."""
_FULL_VERSION = "2020-06-30"
_INCREMENTAL_VERSION = "2023-08-01"

Images = dict[str, Item]
"""Those of a changed item, by name."""


class DataFile(NamedTuple):
    """A data file, ready to be stored."""

    content: bytes
    digest: bytes
    """MD5 of the content."""
    records: int
    size: int
    """Bytes of the items, as DynamoDB counts them."""

    @property
    def hexdigest(self) -> str:
        """The digest in hexadecimal."""
        return self.digest.hex()

    def note(self, name: str) -> bytes:
        """The line of the manifest of files."""
        return orjson.dumps(
            {
                "itemCount": self.records,
                "md5Checksum": b64encode(self.digest).decode(),
                "etag": f"{self.hexdigest}-1",
                "dataFileS3Key": name,
            }
        )


def _json_item(item: Item) -> bytes:
    return b'{"Item":' + orjson.dumps(item) + b"}\n"


def _ion_item(item: Item) -> bytes:
    return f"{ion_text.VERSION}{{Item:{ion_text.item(item)}}}\n".encode()


def _json_change(at: int, images: Images) -> bytes:
    return orjson.dumps({"Metadata": {"WriteTimestampMicros": {"N": str(at)}}, **images}) + b"\n"


def _ion_change(at: int, images: Images) -> bytes:
    metadata = ion_text.struct({"WriteTimestampMicros": ion_text.number(str(at))})
    record = {"Metadata": metadata, **{name: ion_text.item(image) for name, image in images.items()}}
    return f"{ion_text.VERSION}{ion_text.struct({'Record': ion_text.struct(record)})}\n".encode()


class _Format(NamedTuple):
    suffix: str
    item: Callable[[Item], bytes]
    change: Callable[[int, Images], bytes]


_FORMATS = {
    "DYNAMODB_JSON": _Format("json.gz", _json_item, _json_change),
    "ION": _Format("ion.gz", _ion_item, _ion_change),
}


def suffix(found: Export) -> str:
    """What the names of an export's data files end with."""
    return _FORMATS[found.format].suffix


def of_items(found: Export, selection: Selection, rows: Sequence[Row]) -> DataFile | None:
    """A data file of items, or None if nothing of them is exported. Takes a while: call it in a thread."""
    if selection.is_everything and found.format == "DYNAMODB_JSON":
        stored = [value for _, value in rows]
        lines = [b'{"Item":' + items.json_of(value) + b"}\n" for value in stored]
        return _file(lines, items.total_size(stored))
    lines, size = [], 0
    line = _FORMATS[found.format].item
    for key, value in rows:
        if selection.holds(key):
            item = items.decode(value)
            if selection.keeps(item):
                lines.append(line(selection.shown(item)))
                size += items.size(value)
    return _file(lines, size)


def of_changes(found: Export, table: Table, selection: Selection, changes: Sequence[Changed]) -> DataFile | None:
    """The same of changes."""
    lines, size = [], 0
    line = _FORMATS[found.format].change
    for change in changes:
        absent = change.new.startswith(ABSENT)
        if not selection.holds(change.key) or (absent and change.old is None):
            continue
        new = None if absent else items.decode(change.new)
        old = None if change.old is None else items.decode(change.old)
        if not any(item is not None and selection.keeps(item) for item in (new, old)):
            continue
        images: Images = {"Keys": keys.key_of(table, None, new or old or {})}
        if old is not None and found.has_old_images:
            images["OldImage"] = selection.shown(old)
        if new is not None:
            images["NewImage"] = selection.shown(new)
        lines.append(line(change.at, images))
        size += sum(items.size(stored) for stored in (change.old, None if absent else change.new) if stored)
    return _file(lines, size)


def _file(lines: list[bytes], size: int) -> DataFile | None:
    return _packed(lines, size) if lines else None


def _packed(lines: list[bytes], size: int) -> DataFile:
    content = gzip.compress(b"".join(lines), _LEVEL, mtime=0)
    return DataFile(content, md5(content, usedforsecurity=False).digest(), len(lines), size)


EMPTY = _packed([], 0)
"""The data file of a full export without items. A partition that is empty has such a file on AWS."""


def summary(found: Export, export_arn: str, table_arn: str, ended: float, counts: dict[str, Any]) -> bytes:
    """The summary of an export. `counts` has its Items and Size."""
    request = found.request
    if found.is_incremental:
        version = _INCREMENTAL_VERSION
        of_when = {"exportFromTime": _time(found.since or 0.0), "exportToTime": _time(found.at)}
    else:
        version = _FULL_VERSION
        of_when = {"exportTime": _time(found.at)}
    document = {
        "version": version,
        "exportArn": export_arn,
        "startTime": _time(found.started),
        "endTime": _time(ended),
        "tableArn": table_arn,
        "tableId": found.table_id,
        **of_when,
        "s3Bucket": request["S3Bucket"],
        "s3Prefix": request.get("S3Prefix"),
        "s3SseAlgorithm": request.get("S3SseAlgorithm"),
        "s3SseKmsKeyId": request.get("S3SseKmsKeyId"),
        "manifestFilesS3Key": found.name("manifest-files.json"),
        "billedSizeBytes": counts["Size"],
        "itemCount": counts["Items"],
        "outputFormat": found.format,
        **({"outputView": found.view} if found.is_incremental else {}),
        "exportType": found.type,
    }
    return orjson.dumps(document)


def checksum(content: bytes) -> bytes:
    """The content of a manifest's .md5."""
    return b64encode(md5(content, usedforsecurity=False).digest())


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
