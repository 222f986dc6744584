"""ExportTableToPointInTime, DescribeExport and ListExports.

Sources: "DynamoDB data export to Amazon S3" in the developer guide, and the API reference.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, NamedTuple

from jedlik.aws.context import Context
from jedlik.aws.errors import LimitExceededException, ValidationException
from jedlik.dynamodb import catalog
from jedlik.dynamodb.backups import (
    archiving,
    backup_records,
    export_records,
    export_selections,
    exporting,
    recovery_records,
    transfers,
)
from jedlik.dynamodb.backups.export_records import Export
from jedlik.dynamodb.backups.recovery_operations import check_keys, latest
from jedlik.dynamodb.backups.recovery_operations import found as found_table
from jedlik.dynamodb.backups.transfers import COMPLETED
from jedlik.dynamodb.errors import (
    ExportConflictException,
    InvalidExportTimeException,
    PointInTimeRecoveryUnavailableException,
)
from jedlik.dynamodb.model import keys
from jedlik.dynamodb.model.definitions import Descriptor
from jedlik.dynamodb.model.limits import CONCURRENT_EXPORTS, LONGEST_EXPORT_SECONDS, SHORTEST_EXPORT_SECONDS
from jedlik.dynamodb.tables import table_names
from jedlik.regions.region import Region
from jedlik.storage.engine import Writes

Request = dict[str, Any]
Response = dict[str, Any]


_ECHOED = (
    "ClientToken",
    "FilterSpecification",
    "S3Bucket",
    "S3BucketOwner",
    "S3Prefix",
    "S3SseAlgorithm",
    "S3SseKmsKeyId",
)
"""Members of the request that are shown as they were given."""


class _BegunMeanwhile(Exception):
    """Another export of the table may have begun, with the same client token."""


async def export_table_to_point_in_time(context: Context, request: Request) -> Response:
    """Write what a table held at a time into a bucket."""
    for _ in range(CONCURRENT_EXPORTS):
        try:
            return {"ExportDescription": _description(context.region, await _begun(context.region, request))}
        except _BegunMeanwhile:
            continue
    raise LimitExceededException(f"Too many exports of {request['TableArn']} begin at once")


async def _begun(region: Region, request: Request) -> Export:
    """Begin an export, or find the one that the same client token has begun."""
    _check(request, region)
    name = table_names.resolve(request["TableArn"], region.name, region.account)
    now = region.clock()
    there = await catalog.find(region, name)
    before = None if there is None else await recovery_records.of_table(region, there.descriptor)
    again = await _same_token(region, request, now)
    if again is not None:
        return again
    await transfers.check_concurrent(region, CONCURRENT_EXPORTS, "exports", exporting.KIND)
    table = found_table(name, there)
    _check_filter(request, table, region)
    earliest = now if before is None else await archiving.earliest(region, before, now)
    last = now if before is None else latest(before, earliest, now, await region.engine.last_time())
    window = _window(request, last)
    await check_keys(region, table, before, window.end if window.begin is None else window.begin)
    export = Export(
        backup_records.new_id(now, secrets.token_hex(4)), name, table.id, now, window.end, request, since=window.begin
    )

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        found_table(name, catalog.stored(values[0]))
        recovery = None if values[1] is None else recovery_records.parse(values[1])
        if recovery is None or before is None or recovery.history != before.history:
            raise PointInTimeRecoveryUnavailableException(f"Point in time recovery is not enabled for table '{name}'")
        if "ClientToken" in request and values[1] != before.raw:
            raise _BegunMeanwhile  # Each export of the table changes the record.
        for member, at in window.times():
            if not earliest <= at <= (last if recovery.suspended else max(earliest, now, last)):
                raise InvalidExportTimeException(
                    f"The specified {member} is outside of the point in time recovery window."
                )
        writes = Writes()
        export.put(writes)
        recovery.put(writes, restoring=(*recovery.restoring, export.id))
        exporting.submit(export, recovery, now, writes)
        return writes, None

    recovery_key = recovery_records.recovery_key(keys.table_id(table.id))
    await region.engine.mutate([catalog.key(name), recovery_key], decide)
    region.jobs_wanted.set()
    return export


def _check(request: Request, region: Region) -> None:
    """All that can be wrong with an export before the table is looked at."""
    is_incremental = request.get("ExportType", export_records.FULL) == export_records.INCREMENTAL
    if is_incremental != ("IncrementalExportSpecification" in request):
        raise ValidationException(
            "IncrementalExportSpecification must be provided for an export of type INCREMENTAL_EXPORT, and only for it"
        )
    if is_incremental and "ExportTime" in request:
        raise ValidationException("ExportTime cannot be specified for an export of type INCREMENTAL_EXPORT")
    transfers.check_output(region, request, request.get("S3Prefix", ""))


def _check_filter(request: Request, table: Descriptor, region: Region) -> None:
    export_selections.selection(request.get("FilterSpecification"), catalog.table_of(table), region.secret)


class _Window(NamedTuple):
    """The times of an export, in seconds since the epoch."""

    begin: float | None
    """The beginning of the window of an incremental export."""
    end: float
    """The end of its window, or the time whose state a full export has."""

    def times(self) -> list[tuple[str, float]]:
        """The times that must be restorable, each with the member that it is in."""
        if self.begin is None:
            return [("ExportTime", self.end)]
        return [("ExportFromTime", self.begin), ("ExportToTime", self.end)]


def _window(request: Request, latest: float) -> _Window:
    """What is exported. Raises ValidationException."""
    specification = request.get("IncrementalExportSpecification")
    if specification is None:
        return _Window(None, request.get("ExportTime", latest))
    if "ExportFromTime" not in specification:
        raise ValidationException("ExportFromTime must be provided in IncrementalExportSpecification")
    window = _Window(specification["ExportFromTime"], specification.get("ExportToTime", latest))
    if not SHORTEST_EXPORT_SECONDS <= window.end - specification["ExportFromTime"] <= LONGEST_EXPORT_SECONDS:
        raise ValidationException(
            "The difference between ExportFromTime and ExportToTime must be at least 15 minutes and at most 24 hours"
        )
    return window


async def describe_export(context: Context, request: Request) -> Response:
    """Show an export."""
    found = await export_records.find(context.region, request["ExportArn"])
    return {"ExportDescription": _description(context.region, found)}


async def list_exports(context: Context, request: Request) -> Response:
    """The exports of the last 90 days, by table and time, from the last one on: so the latest of a table come first."""
    region = context.region
    name = request.get("TableArn")
    if name is not None:
        name = table_names.resolve(name, region.name, region.account)
    start, end = export_records.export_range(name)
    if "NextToken" in request:
        end = min(end, _place(request["NextToken"]) + b"\0")
    limit = request.get("MaxResults", transfers.PAGE)
    found = await transfers.listed(region, export_records.parse, start, end, limit, reverse=True)
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


def _description(region: Region, found: Export) -> Response:
    request = found.request
    shown = _summary(region, found) | {
        "StartTime": found.started,
        "TableArn": table_names.arn(region.name, region.account, found.table),
        "TableId": found.table_id,
        "ExportFormat": found.format,
    }
    if found.is_incremental:
        shown["IncrementalExportSpecification"] = {
            "ExportFromTime": found.since,
            "ExportToTime": found.at,
            "ExportViewType": found.view,
        }
    else:
        shown["ExportTime"] = found.at
    for member in _ECHOED:
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
        "ExportType": found.type,
    }
