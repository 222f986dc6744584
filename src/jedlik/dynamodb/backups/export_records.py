"""Exports as a region knows them: a record for each, which DescribeExport shows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import orjson

from jedlik.dynamodb.backups import transfers
from jedlik.dynamodb.backups.transfers import IN_PROGRESS
from jedlik.dynamodb.errors import ExportNotFoundException
from jedlik.dynamodb.model import spaces
from jedlik.dynamodb.tables import table_names
from jedlik.regions import keyspaces
from jedlik.storage.engine import Writes

if TYPE_CHECKING:
    from jedlik.regions.region import Region

FULL = "FULL_EXPORT"
INCREMENTAL = "INCREMENTAL_EXPORT"
BOTH_IMAGES = "NEW_AND_OLD_IMAGES"


@dataclass(frozen=True, slots=True)
class Export:
    """An export."""

    id: str
    table: str
    """The table's name."""
    table_id: str
    started: float
    """Seconds since the epoch."""
    at: float
    """The time whose state it has; of an incremental export, the end of its window, which is not in it."""
    request: dict[str, Any]
    """What was asked for."""
    status: str = IN_PROGRESS
    ended: float | None = None
    items: int = 0
    size: int = 0
    """Bytes of the items, as DynamoDB counts them."""
    failure: tuple[str, str] | None = None
    """Code and message."""
    since: float | None = None
    """The beginning of the window of an incremental export, which is in it."""

    @property
    def key(self) -> bytes:
        """The key of its record."""
        return export_key(self.table, self.id)

    @property
    def job(self) -> str:
        """The name of its job."""
        return f"export/{self.id}"

    @property
    def type(self) -> str:
        """FULL_EXPORT or INCREMENTAL_EXPORT."""
        type_: str = self.request.get("ExportType", FULL)
        return type_

    @property
    def is_incremental(self) -> bool:
        """Whether it has the changes of a window."""
        return self.type == INCREMENTAL

    @property
    def format(self) -> str:
        """DYNAMODB_JSON or ION."""
        format_: str = self.request.get("ExportFormat", "DYNAMODB_JSON")
        return format_

    @property
    def view(self) -> str:
        """NEW_IMAGE or NEW_AND_OLD_IMAGES, of an incremental export."""
        view: str = self.request.get("IncrementalExportSpecification", {}).get("ExportViewType", BOTH_IMAGES)
        return view

    @property
    def has_old_images(self) -> bool:
        """Whether each change has the item before it."""
        return self.view == BOTH_IMAGES

    def name(self, file: str) -> str:
        """The name of a file in the bucket."""
        return self._behind_prefix(f"AWSDynamoDB/{self.id}/{file}")

    def data_name(self, number: int, digest: str, suffix: str) -> str:
        """The name of a data file in the bucket. Incremental exports have one folder for all."""
        if self.is_incremental:
            return self._behind_prefix(f"AWSDynamoDB/data/{self.id}-{number:08d}-{digest}.{suffix}")
        return self.name(f"data/{number:08d}-{digest}.{suffix}")

    def _behind_prefix(self, name: str) -> str:
        prefix = self.request.get("S3Prefix", "").strip("/")
        return f"{prefix}/{name}" if prefix else name

    def put(self, writes: Writes, **changed: Any) -> None:
        """Write the record, with other values of some fields."""
        new = replace(self, **changed)
        document = {
            "Id": new.id,
            "TableName": new.table,
            "TableId": new.table_id,
            "Started": new.started,
            "At": new.at,
            "Request": new.request,
            "Status": new.status,
            "Ended": new.ended,
            "Items": new.items,
            "Size": new.size,
            "Failure": new.failure,
            "Since": new.since,
        }
        writes.put(new.key, orjson.dumps(document))


def parse(raw: bytes) -> Export:
    """The export of a record."""
    record = orjson.loads(raw)
    return Export(
        id=record["Id"],
        table=record["TableName"],
        table_id=record["TableId"],
        started=record["Started"],
        at=record["At"],
        request=record["Request"],
        status=record["Status"],
        ended=record["Ended"],
        items=record["Items"],
        size=record["Size"],
        failure=None if record["Failure"] is None else tuple(record["Failure"]),
        since=record.get("Since"),
    )


def export_key(table: str, export_id: str) -> bytes:
    """The key of the record of an export."""
    return spaces.EXPORTS.prefix + table.encode() + b"\0" + export_id.encode()


def export_range(table: str | None) -> tuple[bytes, bytes]:
    """Where the records of all exports stand, or of those of tables of a name."""
    prefix = spaces.EXPORTS.prefix if table is None else export_key(table, "")
    return prefix, keyspaces.prefix_end(prefix)


def arn(region: Region, found: Export) -> str:
    """The ARN of an export."""
    return f"{table_names.arn(region.name, region.account, found.table)}/export/{found.id}"


async def find(region: Region, export_arn: str) -> Export:
    """The export that has an ARN. Raises ExportNotFoundException, ValidationException and AccessDeniedException."""
    return parse(await transfers.find(region, export_arn, "export", export_key, ExportNotFoundException))
