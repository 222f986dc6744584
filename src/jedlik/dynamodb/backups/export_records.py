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
    """The time whose state it has."""
    request: dict[str, Any]
    """What was asked for."""
    status: str = IN_PROGRESS
    ended: float | None = None
    items: int = 0
    size: int = 0
    """Bytes of the items, as DynamoDB counts them."""
    failure: tuple[str, str] | None = None
    """Code and message."""

    @property
    def key(self) -> bytes:
        """The key of its record."""
        return export_key(self.table, self.id)

    @property
    def folder(self) -> str:
        """Where its files are, behind the prefix."""
        return f"AWSDynamoDB/{self.id}"

    def name(self, file: str) -> str:
        """The name of a file in the bucket."""
        prefix = self.request.get("S3Prefix", "").strip("/")
        return f"{prefix}/{self.folder}/{file}" if prefix else f"{self.folder}/{file}"

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
