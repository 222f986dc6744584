"""ExportTableToPointInTime, DescribeExport and ListExports. Full exports in DynamoDB JSON.

Sources: "DynamoDB data export to Amazon S3" in the developer guide, and the API reference.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from jedlik.aws.context import Context
from jedlik.aws.errors import LimitExceededException, ValidationException
from jedlik.background import job_records
from jedlik.dynamodb import catalog
from jedlik.dynamodb.backups import archiving, backup_records, export_records, exporting, recovery_records, transfers
from jedlik.dynamodb.backups.export_records import Export
from jedlik.dynamodb.backups.recovery_operations import LAG_SECONDS
from jedlik.dynamodb.backups.recovery_operations import found as found_table
from jedlik.dynamodb.backups.transfers import COMPLETED
from jedlik.dynamodb.errors import (
    ExportConflictException,
    InvalidExportTimeException,
    PointInTimeRecoveryUnavailableException,
)
from jedlik.dynamodb.model import keys
from jedlik.dynamodb.tables import table_names
from jedlik.regions.region import Region
from jedlik.storage.engine import Writes

Request = dict[str, Any]
Response = dict[str, Any]

EXPORTS = 300
"""At once, in a region: AWS's limit for an account."""

_UNSUPPORTED = {
    "IncrementalExportSpecification": "incremental exports",
    "FilterSpecification": "filters of exports",
    "S3SseAlgorithm": "encryption by the bucket as a request names it",
    "S3SseKmsKeyId": "encryption by the bucket as a request names it",
}
"""Members for which nothing is built yet."""


async def export_table_to_point_in_time(context: Context, request: Request) -> Response:
    """Write what a table held at a time into a bucket."""
    region = context.region
    _check(request)
    name = table_names.resolve(request["TableArn"], region.name, region.account)
    now = region.clock()
    again = await _same_token(region, request, now)
    if again is not None:
        return {"ExportDescription": _description(region, again)}
    await _check_room(region)
    table = found_table(name, await catalog.find(region, name))
    before = await recovery_records.of_table(region, table)
    earliest = now if before is None else await archiving.earliest(region, before, now)
    at = request.get("ExportTime", max(earliest, now - LAG_SECONDS))
    export = Export(backup_records.new_id(now, secrets.token_hex(4)), name, table.id, now, at, request)

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        found_table(name, catalog.stored(values[0]))
        recovery = None if values[1] is None else recovery_records.parse(values[1])
        if recovery is None or before is None or recovery.history != before.history:
            raise PointInTimeRecoveryUnavailableException(f"Point in time recovery is not enabled for table '{name}'")
        if not earliest <= at <= max(earliest, now):
            raise InvalidExportTimeException(
                "The specified ExportTime is outside of the point in time recovery window."
            )
        writes = Writes()
        export.put(writes)
        recovery.put(writes, restoring=(*recovery.restoring, export.id))
        exporting.submit(export, recovery, now, writes)
        return writes, None

    recovery_key = recovery_records.recovery_key(keys.table_id(table.id))
    await region.engine.mutate([catalog.key(name), recovery_key], decide)
    region.jobs_wanted.set()
    return {"ExportDescription": _description(region, export)}


def _check(request: Request) -> None:
    """All that can be wrong with an export before the table is looked at."""
    for member, what in _UNSUPPORTED.items():
        if member in request:
            raise ValidationException(f"Jedlik does not support {what} yet: {member}")
    if request.get("ExportFormat", "DYNAMODB_JSON") == "ION":
        raise ValidationException("Jedlik does not support exports in Amazon Ion yet: ExportFormat")
    if request.get("ExportType", "FULL_EXPORT") != "FULL_EXPORT":
        raise ValidationException("Jedlik does not support incremental exports yet: ExportType")


async def describe_export(context: Context, request: Request) -> Response:
    """Show an export."""
    found = await export_records.find(context.region, request["ExportArn"])
    return {"ExportDescription": _description(context.region, found)}


async def list_exports(context: Context, request: Request) -> Response:
    """The exports of the last 90 days, by table and time."""
    region = context.region
    name = request.get("TableArn")
    if name is not None:
        name = table_names.resolve(name, region.name, region.account)
    start, end = export_records.export_range(name)
    if "NextToken" in request:
        start = max(start, _place(request["NextToken"]))
    limit = request.get("MaxResults", transfers.PAGE)
    found = await transfers.listed(region, export_records.parse, start, end, limit)
    response: Response = {"ExportSummaries": [_summary(region, one) for one in found[:limit]]}
    if len(found) > limit:
        response["NextToken"] = found[limit].key.hex()
    return response


def _place(token: str) -> bytes:
    """The key in a token. Raises ValidationException."""
    try:
        key = bytes.fromhex(token)
    except ValueError:
        key = b""
    if not key.startswith(export_records.export_range(None)[0]):
        raise ValidationException("Invalid NextToken")
    return key


async def _same_token(region: Region, request: Request, now: float) -> Export | None:
    """The export that was begun with the same client token. Raises ExportConflictException if it is another one."""
    conflict = ExportConflictException(
        "There was a conflict when writing to the specified S3 bucket. The client token was used for another export."
    )
    between = export_records.export_range(None)
    return await transfers.same_token(region, export_records.parse, between, request, now, conflict)


async def _check_room(region: Region) -> None:
    """Whether another export may begin. Two that begin at once may both be the last: it is a soft limit."""
    running = await job_records.count_of_kinds(region.engine, exporting.KIND)
    if running >= EXPORTS:
        raise LimitExceededException(f"Subscriber limit exceeded: There is a limit of {EXPORTS} concurrent exports")


def _description(region: Region, found: Export) -> Response:
    request = found.request
    shown = _summary(region, found) | {
        "StartTime": found.started,
        "TableArn": table_names.arn(region.name, region.account, found.table),
        "TableId": found.table_id,
        "ExportTime": found.at,
        "ExportFormat": "DYNAMODB_JSON",
    }
    for member in ("ClientToken", "S3Bucket", "S3BucketOwner", "S3Prefix"):
        if member in request:
            shown[member] = request[member]
    if found.ended is not None:
        shown["EndTime"] = found.ended
    if found.status == COMPLETED:
        shown |= {
            "ExportManifest": found.name("manifest-summary.json"),
            "BilledSizeBytes": found.size,
            "ItemCount": found.items,
        }
    if found.failure is not None:
        shown["FailureCode"], shown["FailureMessage"] = found.failure
    return shown


def _summary(region: Region, found: Export) -> Response:
    return {
        "ExportArn": export_records.arn(region, found),
        "ExportStatus": found.status,
        "ExportType": "FULL_EXPORT",
    }
