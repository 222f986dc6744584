"""Imports as a region knows them: a record for each, which DescribeImport shows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import orjson

from jedlik.dynamodb.backups import transfers
from jedlik.dynamodb.backups.transfers import IN_PROGRESS
from jedlik.dynamodb.errors import ImportNotFoundException
from jedlik.dynamodb.model import spaces
from jedlik.dynamodb.tables import table_names
from jedlik.regions import keyspaces
from jedlik.storage.engine import Writes

if TYPE_CHECKING:
    from jedlik.regions.region import Region


@dataclass(frozen=True, slots=True)
class Import:
    """An import."""

    id: str
    table: str
    """The table's name."""
    table_id: str
    started: float
    """Seconds since the epoch."""
    request: dict[str, Any]
    """What was asked for."""
    status: str = IN_PROGRESS
    ended: float | None = None
    processed: int = 0
    """Records of the source."""
    imported: int = 0
    errors: int = 0
    size: int = 0
    """Bytes of the source, uncompressed."""
    failure: tuple[str, str] | None = None
    """Code and message."""

    @property
    def key(self) -> bytes:
        """The key of its record."""
        return import_key(self.table, self.id)

    @property
    def job(self) -> str:
        """The name of its job."""
        return f"import/{self.table_id}"

    def put(self, writes: Writes, **changed: Any) -> None:
        """Write the record, with other values of some fields."""
        new = replace(self, **changed)
        document = {
            "Id": new.id,
            "TableName": new.table,
            "TableId": new.table_id,
            "Started": new.started,
            "Request": new.request,
            "Status": new.status,
            "Ended": new.ended,
            "Processed": new.processed,
            "Imported": new.imported,
            "Errors": new.errors,
            "Size": new.size,
            "Failure": new.failure,
        }
        writes.put(new.key, orjson.dumps(document))


def parse(raw: bytes) -> Import:
    """The import of a record."""
    record = orjson.loads(raw)
    return Import(
        id=record["Id"],
        table=record["TableName"],
        table_id=record["TableId"],
        started=record["Started"],
        request=record["Request"],
        status=record["Status"],
        ended=record["Ended"],
        processed=record["Processed"],
        imported=record["Imported"],
        errors=record["Errors"],
        size=record["Size"],
        failure=None if record["Failure"] is None else tuple(record["Failure"]),
    )


def import_key(table: str, import_id: str) -> bytes:
    """The key of the record of an import."""
    return spaces.IMPORTS.prefix + table.encode() + b"\0" + import_id.encode()


def import_range(table: str | None) -> tuple[bytes, bytes]:
    """Where the records of all imports stand, or of those into tables of a name."""
    prefix = spaces.IMPORTS.prefix if table is None else import_key(table, "")
    return prefix, keyspaces.prefix_end(prefix)


def arn(region: Region, found: Import) -> str:
    """The ARN of an import."""
    return f"{table_names.arn(region.name, region.account, found.table)}/import/{found.id}"


async def find(region: Region, import_arn: str) -> Import:
    """The import that has an ARN. Raises ImportNotFoundException, ValidationException and AccessDeniedException."""
    return parse(await transfers.find(region, import_arn, "import", import_key, ImportNotFoundException))
