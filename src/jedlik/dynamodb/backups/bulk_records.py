"""Bulk operations as a region knows them: a record for each, which DescribeBulkOperation shows, the newest first.

What was not written is noted in rows, in the commit that passes over it, until it is in the files of the report
(`bulk_reports`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import orjson

from jedlik.aws.errors import AccessDeniedException, ValidationException
from jedlik.dynamodb.backups.transfers import IN_PROGRESS
from jedlik.dynamodb.errors import ResourceNotFoundException
from jedlik.dynamodb.model import spaces
from jedlik.dynamodb.tables import table_names
from jedlik.regions import keyspaces
from jedlik.storage.engine import Writes

if TYPE_CHECKING:
    from jedlik.regions.region import Region

COMPLETED_WITH_ERRORS = "COMPLETED_WITH_ERRORS"
CANCELLING = "CANCELLING"

_ARN = re.compile(r"arn:[^:]*:dynamodb:([^:]*):([^:]*):table/([^/]+)/bulk-operation/([0-9]{14}-[0-9a-f]{8})")
_LATEST = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class BulkOperation:
    """A bulk operation."""

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
    counts: dict[str, Any] | None = None
    """What its job counted, once it is over."""
    failure: tuple[str, str] | None = None
    """Code and message."""

    @property
    def key(self) -> bytes:
        """The key of its record."""
        return bulk_key(self.id)

    @property
    def job(self) -> str:
        """The name of its job."""
        return f"bulk/{self.id}"

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
            "Counts": new.counts,
            "Failure": new.failure,
        }
        writes.put(new.key, orjson.dumps(document))


def parse(raw: bytes) -> BulkOperation:
    """The bulk operation of a record."""
    record = orjson.loads(raw)
    return BulkOperation(
        id=record["Id"],
        table=record["TableName"],
        table_id=record["TableId"],
        started=record["Started"],
        request=record["Request"],
        status=record["Status"],
        ended=record["Ended"],
        counts=record["Counts"],
        failure=None if record["Failure"] is None else tuple(record["Failure"]),
    )


def bulk_key(bulk_id: str) -> bytes:
    """The key of the record of a bulk operation: the newest come first."""
    milliseconds = int(bulk_id.partition("-")[0])
    return spaces.BULKS.prefix + (_LATEST - milliseconds).to_bytes(8, "big") + bulk_id.encode()


def arn(region: Region, found: BulkOperation) -> str:
    """The ARN of a bulk operation."""
    return f"{table_names.arn(region.name, region.account, found.table)}/bulk-operation/{found.id}"


def key_of_arn(region: Region, bulk_arn: str) -> bytes:
    """The key of the record of the bulk operation with an ARN.

    Raises ValidationException, AccessDeniedException and ResourceNotFoundException.
    """
    match = _ARN.fullmatch(bulk_arn)
    if match is None:
        raise ValidationException(f"Invalid bulk operation ARN: {bulk_arn}", bare=True)
    if match[2] != region.account:
        raise AccessDeniedException("Access is denied")
    if match[1] != region.name:
        raise ResourceNotFoundException(f"Bulk operation not found: {bulk_arn}")
    return bulk_key(match[4])


def found(raw: bytes | None, bulk_arn: str) -> BulkOperation:
    """The bulk operation whose record a read has found. Raises ResourceNotFoundException."""
    if raw is None:
        raise ResourceNotFoundException(f"Bulk operation not found: {bulk_arn}")
    return parse(raw)


def report_key(bulk_id: str, kind: int, number: int) -> bytes:
    """The key of a row of the report of a bulk operation."""
    return report_range(bulk_id, kind)[0] + number.to_bytes(8, "big")


def report_range(bulk_id: str, kind: int | None = None) -> tuple[bytes, bytes]:
    """Where the rows of a report stand, all of them or those of a kind."""
    prefix = spaces.BULK_REPORTS.prefix + bulk_id.encode() + b"\0" + (b"" if kind is None else bytes((kind,)))
    return prefix, keyspaces.prefix_end(prefix)
