"""ImportTable, DescribeImport and ListImports.

Sources: "DynamoDB data import from Amazon S3" in the developer guide, and the API reference.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from jedlik.aws.context import Context
from jedlik.aws.errors import ValidationException
from jedlik.background import job_records
from jedlik.dynamodb import catalog
from jedlik.dynamodb.backups import backup_records, import_records, importing, ion_records, transfers
from jedlik.dynamodb.backups.import_records import Import
from jedlik.dynamodb.backups.transfers import IN_PROGRESS
from jedlik.dynamodb.encryption import chosen_keys
from jedlik.dynamodb.errors import ImportConflictException, ResourceInUseException
from jedlik.dynamodb.model.definitions import Descriptor
from jedlik.dynamodb.model.limits import CONCURRENT_IMPORTS
from jedlik.dynamodb.tables import table_names
from jedlik.dynamodb.tables.table_operations import check_new, check_table_count, new_table
from jedlik.regions.region import Region
from jedlik.storage.engine import Writes

Request = dict[str, Any]
Response = dict[str, Any]


async def import_table(context: Context, request: Request) -> Response:
    """Make a table, and fill it from objects of a bucket."""
    region = context.region
    parameters = request["TableCreationParameters"]
    _check(request)
    check_new(parameters, region)
    name = parameters["TableName"]
    now = region.clock()
    again = await _same_token(region, request, now)
    if again is not None:
        return {"ImportTableDescription": await _description(region, again)}
    await check_table_count(region)
    await transfers.check_concurrent(region, CONCURRENT_IMPORTS, "imports", importing.KIND)
    table_id = str(uuid.uuid4())
    found = Import(backup_records.new_id(now, secrets.token_hex(4)), name, table_id, now, request)
    made = replace(new_table(parameters, name, table_id, region, now), importing=import_records.arn(region, found))

    wish = chosen_keys.wanted(parameters.get("SSESpecification", {}))

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, Descriptor]:
        if values[0] is not None:
            raise ResourceInUseException(f"Table already exists: {name}")
        writes = Writes()
        table = key.of_new(made, writes)
        catalog.put(table, writes)
        found.put(writes)
        importing.submit(found, now, writes)
        return writes, table

    try:
        async with chosen_keys.chosen(context, name, wish) as key:
            key.learn(region, await region.engine.mutate([catalog.key(name)], decide))
    except ResourceInUseException:
        again = await _same_token(region, request, now)  # It may have begun meanwhile.
        if again is None:
            raise
        return {"ImportTableDescription": await _description(region, again)}
    region.jobs_wanted.set()
    return {"ImportTableDescription": await _description(region, found)}


def _check(request: Request) -> None:
    """All that can be wrong with an import before the table is looked at."""
    if request["InputFormat"] == "ION" and not ion_records.is_installed():
        raise ValidationException(ion_records.MISSING)
    if request["InputFormat"] != "CSV" and "InputFormatOptions" in request:
        raise ValidationException("InputFormatOptions can only be specified for InputFormat CSV")
    transfers.check_prefix(request["S3BucketSource"].get("S3KeyPrefix", ""))


async def describe_import(context: Context, request: Request) -> Response:
    """Show an import."""
    found = await import_records.find(context.region, request["ImportArn"])
    return {"ImportTableDescription": await _description(context.region, found)}


async def list_imports(context: Context, request: Request) -> Response:
    """The imports of the last 90 days, by table and time."""
    region = context.region
    name = request.get("TableArn")
    if name is not None:
        name = table_names.resolve(name, region.name, region.account)
    start, end = import_records.import_range(name)
    if "NextToken" in request:
        start = max(start, transfers.key_of_token(request["NextToken"], import_records.import_range(None)))
    limit = request.get("PageSize", transfers.PAGE)
    found = await transfers.listed(region, import_records.parse, start, end, limit)
    response: Response = {"ImportSummaryList": [_summary(region, one) for one in found[:limit]]}
    if len(found) > limit:
        response["NextToken"] = transfers.token(found[limit].key)
    return response


async def _same_token(region: Region, request: Request, now: float) -> Import | None:
    """The import that was begun with the same client token. Raises ImportConflictException if it is another one."""
    conflict = ImportConflictException(
        "There was a conflict when importing from the specified S3 source. This can occur when the "
        "current import conflicts with a previous import request that had the same client token."
    )
    between = import_records.import_range(None)
    return await transfers.same_token(region, import_records.parse, between, request, now, conflict)


async def _description(region: Region, found: Import) -> Response:
    request = found.request
    shown = _summary(region, found) | {
        "TableId": found.table_id,
        "InputCompressionType": request.get("InputCompressionType", "NONE"),
    }
    for member in ("ClientToken", "InputFormatOptions", "TableCreationParameters"):
        if member in request:
            shown[member] = request[member]
    counts = found.processed, found.imported, found.errors, found.size
    if found.status == IN_PROGRESS:
        counts = await _counts(region, found)
    processed, imported, errors, size = counts
    shown |= {
        "ProcessedItemCount": processed,
        "ImportedItemCount": imported,
        "ErrorCount": errors,
        "ProcessedSizeBytes": size,
    }
    if found.failure is not None:
        shown["FailureCode"], shown["FailureMessage"] = found.failure
    return shown


async def _counts(region: Region, found: Import) -> tuple[int, int, int, int]:
    """How far an import is, by its job."""
    key = job_records.job_key(found.job)
    [raw] = await region.engine.get([key])
    if raw is None:
        return 0, 0, 0, 0
    state = job_records.parse((key, raw)).state
    return state["Processed"], state["Imported"], state["Errors"], state["Size"]


def _summary(region: Region, found: Import) -> Response:
    shown: Response = {
        "ImportArn": import_records.arn(region, found),
        "ImportStatus": found.status,
        "TableArn": table_names.arn(region.name, region.account, found.table),
        "S3BucketSource": {"S3BucketOwner": region.account} | found.request["S3BucketSource"],
        "InputFormat": found.request["InputFormat"],
        "StartTime": found.started,
    }
    if found.ended is not None:
        shown["EndTime"] = found.ended
    return shown
