"""StartBulkPutItems, DescribeBulkOperation, ListBulkOperations and CancelBulkOperation.

Sources: the API reference, and the heads of the developer guide's pages on bulk put items.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from jedlik.aws.context import Context
from jedlik.aws.errors import ValidationException
from jedlik.background import job_records
from jedlik.dynamodb import catalog
from jedlik.dynamodb.backups import backup_records, bulk_puts, bulk_records, ion_records, transfers
from jedlik.dynamodb.backups.bulk_records import CANCELLING, BulkOperation
from jedlik.dynamodb.backups.transfers import IN_PROGRESS
from jedlik.dynamodb.errors import (
    IdempotentParameterMismatchException,
    ResourceInUseException,
    ResourceNotFoundException,
)
from jedlik.dynamodb.model import spaces
from jedlik.dynamodb.model.limits import CONCURRENT_BULK_OPERATIONS
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.tables import table_names
from jedlik.regions.region import Region
from jedlik.storage.engine import Writes

Request = dict[str, Any]
Response = dict[str, Any]

PAGE = 10
"""Bulk operations in an answer of ListBulkOperations that names no number."""


async def start_bulk_put_items(context: Context, request: Request) -> Response:
    """Begin to put the records of a bucket's objects into a table."""
    region = context.region
    _check(region, request)
    name = table_names.resolve(request["TableName"], region.name, region.account)
    now = region.clock()
    conflict = IdempotentParameterMismatchException(
        "The request was rejected because it was retried with the same client token but with different parameters"
    )
    again = await transfers.same_token(region, bulk_records.parse, spaces.BULKS.range, request, now, conflict)
    if again is not None:
        return {"BulkOperationDescription": await _description(region, again)}
    await transfers.check_concurrent(region, CONCURRENT_BULK_OPERATIONS, "bulk operations", bulk_puts.KIND)
    bulk_id = backup_records.new_id(now, secrets.token_hex(4))

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, BulkOperation]:
        table = _fitting(name, catalog.stored(values[0]))
        writes = Writes()
        made = BulkOperation(bulk_id, name, table.descriptor.id, now, request)
        made.put(writes)
        bulk_puts.submit(made, now, writes)
        return writes, made

    made = await region.engine.mutate([catalog.key(name)], decide)
    region.jobs_wanted.set()
    return {"BulkOperationDescription": await _description(region, made)}


def _check(region: Region, request: Request) -> None:
    """All that can be wrong with a bulk put before the table is looked at."""
    source, output = request["InputS3Configuration"], request["OutputS3Configuration"]
    if source["InputFormat"] == "ION" and not ion_records.is_installed():
        raise ValidationException(ion_records.MISSING)
    if "S3Bucket" not in output:
        raise ValidationException("OutputS3Configuration must have S3Bucket")
    if not output["OutputType"] or len(set(output["OutputType"])) != len(output["OutputType"]):
        raise ValidationException("OutputType must have one or both of ERROR and CONDITION_CHECK_FAILURE, each once")
    transfers.check_prefix(source.get("S3KeyPrefix", ""))
    transfers.check_output(region, output, output.get("S3KeyPrefix", ""))


def _fitting(name: str, table: Table | None) -> Table:
    """A table into which records may be put in bulk."""
    if table is None:
        raise ResourceNotFoundException(f"Requested resource not found: Table: {name} not found")
    if not table.usable:
        raise ResourceInUseException(f"Attempt to change a resource which is still in use: Table: {name}")
    if table.descriptor.group is not None:
        raise ValidationException("Bulk put items is not supported for tables of a global table")
    if any(index.status == "CREATING" for index in table.descriptor.global_indexes):
        raise ResourceInUseException(
            f"Attempt to change a resource which is still in use: Index is being created. Table: {name}"
        )
    return table


async def describe_bulk_operation(context: Context, request: Request) -> Response:
    """Show a bulk operation."""
    region, arn = context.region, request["BulkOperationArn"]
    [raw] = await region.engine.get([bulk_records.key_of_arn(region, arn)])
    return {"BulkOperationDescription": await _description(region, bulk_records.found(raw, arn))}


async def list_bulk_operations(context: Context, request: Request) -> Response:
    """The bulk operations of the last 90 days, the newest first."""
    region = context.region
    start, end = spaces.BULKS.range
    if "NextToken" in request:
        start = transfers.key_of_token(request["NextToken"], spaces.BULKS.range)
    limit = request.get("MaxResults", PAGE)
    found = await transfers.listed(region, bulk_records.parse, start, end, limit)
    response: Response = {"BulkOperationsSummaryList": [_summary(region, one) for one in found[:limit]]}
    if len(found) > limit:
        response["NextToken"] = transfers.token(found[limit].key)
    return response


async def cancel_bulk_operation(context: Context, request: Request) -> Response:
    """End a bulk operation. What it has written stays."""
    region, arn = context.region, request["BulkOperationArn"]

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        found = bulk_records.found(values[0], arn)
        if found.status not in (IN_PROGRESS, CANCELLING):
            raise ValidationException(f"The bulk operation is {found.status}, and cannot be cancelled")
        writes = Writes()
        found.put(writes, status=CANCELLING)
        return writes, None

    await region.engine.mutate([bulk_records.key_of_arn(region, arn)], decide)
    return {"BulkOperationArn": arn, "BulkOperationStatus": CANCELLING}


async def _description(region: Region, found: BulkOperation) -> Response:
    request = found.request
    counts = found.counts or await _counts(region, found)
    shown = _summary(region, found) | {
        "TableDetails": [{"TableName": found.table, "TableId": found.table_id}],
        "InputS3Configuration": request["InputS3Configuration"],
        "OutputS3Configuration": request["OutputS3Configuration"],
        "PerformanceTier": request.get("PerformanceTier", "STANDARD"),
        "ProcessedItemCount": counts["Processed"],
        "FailedItemCount": counts["Failed"],
        "ProcessedInputBytes": counts["Size"],
        "BulkOperationUsage": [_usage(found, counts["Usage"])],
    }
    if counts["Total"] is not None:
        shown["TotalInputBytes"] = counts["Total"]
    for member in ("ClientToken", "MaxWriteRequestUnits"):
        if member in request:
            shown[member] = request[member]
    if found.failure is not None:
        shown["FailureCode"], shown["FailureMessage"] = found.failure
    return shown


async def _counts(region: Region, found: BulkOperation) -> dict[str, Any]:
    """How far a bulk operation is, by its job."""
    key = job_records.job_key(found.job)
    [raw] = await region.engine.get([key])
    assert raw is not None, "a bulk operation that is not over has a job"
    return bulk_puts.counted(job_records.parse((key, raw)).state)


def _usage(found: BulkOperation, counted: dict[str, Any]) -> Response:
    kinds = ("LocalSecondaryIndexes", "GlobalSecondaryIndexes")
    total = counted["Table"] + sum(sum(counted[kind].values()) for kind in kinds)
    shown: Response = {
        "TableName": found.table,
        "BulkPutBytes": total,
        "Table": {"BulkPutBytes": counted["Table"]},
    }
    for kind in kinds:
        if counted[kind]:
            shown[kind] = {name: {"BulkPutBytes": size} for name, size in counted[kind].items()}
    return shown


def _summary(region: Region, found: BulkOperation) -> Response:
    shown: Response = {
        "BulkOperationArn": bulk_records.arn(region, found),
        "BulkOperationStatus": found.status,
        "StartTime": found.started,
    }
    if found.ended is not None:
        shown["EndTime"] = found.ended
    return shown
