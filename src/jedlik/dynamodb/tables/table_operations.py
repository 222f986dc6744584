"""CreateTable, DescribeTable, ListTables and DeleteTable. UpdateTable is in `table_updates`.

A table is made and deleted in one commit, so it is ACTIVE as soon as CreateTable has answered CREATING, and
gone as soon as DeleteTable has answered DELETING: a client that waits for either finds it at its first look.
A table's rows are removed in the background (`tables.purge`).
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import orjson

from jedlik.aws.context import Context
from jedlik.aws.errors import LimitExceededException, ValidationException
from jedlik.dynamodb import catalog
from jedlik.dynamodb.capacity import throughput
from jedlik.dynamodb.capacity.throughput import INVALID
from jedlik.dynamodb.errors import ResourceInUseException, ResourceNotFoundException
from jedlik.dynamodb.model import definitions, descriptors, keys, replicas, streams
from jedlik.dynamodb.model.limits import MIB, TABLES
from jedlik.dynamodb.model.tables import PAY_PER_REQUEST, PROVISIONED, Document, Table
from jedlik.dynamodb.replication import membership, replica_descriptions, replica_updates
from jedlik.dynamodb.tables import descriptions, index_definitions, purge, table_names, table_settings
from jedlik.dynamodb.tables.tags import check_tags
from jedlik.regions.region import Region
from jedlik.storage.engine import Writes

Request = dict[str, Any]
Response = dict[str, Any]

_LIST_LIMIT = 100
"""Names in a ListTables answer, at the most."""
_LIST_BYTES = 64 * MIB


async def create_table(context: Context, request: Request) -> Response:
    """Make a table."""
    region = context.region
    _check_new(request, region)
    name = table_names.resolve(request["TableName"], region.name, region.account)
    await _check_table_count(region)
    now = region.clock()
    document = _new_document(request, name, str(uuid.uuid4()), region, now)
    tags = {tag["Key"]: tag["Value"] for tag in request.get("Tags", ())}

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, Document]:
        if values[0] is not None:
            raise ResourceInUseException(f"Table already exists: {name}")
        writes = Writes()
        stored = document
        if request.get("StreamSpecification", {}).get("StreamEnabled"):
            stored = streams.enable(stored, request["StreamSpecification"]["StreamViewType"], now, writes)
        writes.put(keys.descriptor_key(name), descriptors.serialize(stored))
        if tags:
            writes.put(keys.tags_key(keys.table_id(stored["TableId"])), orjson.dumps(tags))
        return writes, stored

    stored = await region.engine.mutate([keys.descriptor_key(name)], decide)
    description = descriptions.description(stored, {}, "ACTIVE", now)
    return {"TableDescription": descriptions.created(description, request)}


async def describe_table(context: Context, request: Request) -> Response:
    """Show a table."""
    region = context.region
    document = await read_document(region, request["TableName"])
    counts = await descriptions.counts(region, document)
    status = replica_descriptions.table_status(document)
    shown = descriptions.description(document, counts, status, region.clock())
    await replica_descriptions.say_copied_again(region, document, shown)
    return {"Table": shown}


async def list_tables(context: Context, request: Request) -> Response:
    """The names of the region's tables, in byte order."""
    limit = request.get("Limit", _LIST_LIMIT)
    start, end = keys.descriptor_range(request.get("ExclusiveStartTableName"))
    rows = await context.region.engine.range(start, end, limit + 1, _LIST_BYTES)
    names = [keys.name_of_descriptor_key(key) for key, _ in rows]
    response: Response = {"TableNames": names[:limit]}
    if len(names) > limit:
        response["LastEvaluatedTableName"] = names[limit - 1]
    return response


async def delete_table(context: Context, request: Request) -> Response:
    """Delete a table, unless it is protected or an index is being made.

    A replica goes when the others have its last changes (`replication.membership`).
    """
    region = context.region
    found = await read_document(region, request["TableName"])
    replica_updates.check_not_moving(found)
    counts = await descriptions.counts(region, found)
    name = table_names.resolve(request["TableName"], region.name, region.account)
    now = region.clock()

    async def attempt(table: Table) -> Document:
        return await region.engine.mutate([keys.descriptor_key(name), *streams.current_key(table.document)], decide)

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, Document]:
        document = parse_document(name, values[0])
        stream = streams.current(document, values[1:])
        replica_updates.check_not_moving(document)
        if "Replication" in document:
            replica_updates.check_deletable(document, region.name, now)
        if document["DeletionProtectionEnabled"]:
            raise ValidationException(
                "Resource cannot be deleted as it is currently protected against deletion. "
                "Disable deletion protection first."
            )
        if any(index["IndexStatus"] != "ACTIVE" for index in document.get("GlobalSecondaryIndexes", ())):
            raise ResourceInUseException(
                "Attempt to change a resource which is still in use: "
                "Cannot delete table while indexes are being created, updated, or deleted."
            )
        writes = Writes()
        if "Replication" in document:
            group = replicas.moved(document["Replication"], region.name, replicas.DELETING, now)
            document = membership.follow(document, group, now, writes)
            writes.put(keys.descriptor_key(name), descriptors.serialize(document))
        else:
            purge.delete_table(document, stream, now, writes)
        return writes, document

    document = await catalog.with_table(region, name, attempt)
    region.jobs_wanted.set()
    description = descriptions.description(document, counts, "DELETING", region.clock())
    return {"TableDescription": descriptions.deleted(description)}


async def read_document(region: Region, name_or_arn: str) -> Document:
    """The document of a table. Raises ResourceNotFoundException."""
    name = table_names.resolve(name_or_arn, region.name, region.account)
    [raw] = await region.engine.get([keys.descriptor_key(name)])
    return parse_document(name, raw)


def parse_document(name: str, raw: bytes | None) -> Document:
    """The document that is stored for the table called `name`. Raises ResourceNotFoundException."""
    if raw is None:
        raise ResourceNotFoundException(f"Requested resource not found: Table: {name} not found")
    document: Document = orjson.loads(raw)
    return document


async def _check_table_count(region: Region) -> None:
    """The region may have so many tables. Two that are made at once may both be the last: it is a soft limit."""
    rows = await region.engine.range(*keys.descriptor_range(None), TABLES, _LIST_BYTES)
    if len(rows) >= TABLES:
        raise LimitExceededException(f"Subscriber limit exceeded: There is a limit of {TABLES} tables per subscriber")


# CreateTable


def _check_new(request: Request, region: Region) -> None:
    """All that can be said against a new table, in DynamoDB's order."""
    mode = request.get("BillingMode", PROVISIONED)
    provisioned = request.get("ProvisionedThroughput")
    if mode == PAY_PER_REQUEST:
        if provisioned is not None:
            raise ValidationException(
                f"{INVALID}Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is "
                "PAY_PER_REQUEST"
            )
    elif provisioned is None:
        raise ValidationException(
            f"{INVALID}ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED"
        )
    else:
        throughput.check_bounds(provisioned)
    index_definitions.check_new_table(request)
    table_settings.check_table_class(request)
    table_settings.check_encryption(request)
    table_settings.check_stream(request, creating=True)
    _check_throughput(request, throughput.TABLE, mode, region)
    for index in request.get("GlobalSecondaryIndexes", ()):
        name = index["IndexName"]
        if mode == PAY_PER_REQUEST and "ProvisionedThroughput" in index:
            raise ValidationException(
                f"{INVALID}ProvisionedThroughput should not be specified for index: {name} when BillingMode is "
                "PAY_PER_REQUEST"
            )
        if mode == PROVISIONED and "ProvisionedThroughput" not in index:
            raise ValidationException(f"{INVALID}ProvisionedThroughput is not specified for index: {name}")
        _check_throughput(index, throughput.Of(name), mode, region)
    check_tags(request.get("Tags", ()))
    table_settings.check_supported(request)


def _check_throughput(settings: Request, of: throughput.Of, mode: str, region: Region) -> None:
    provisioned = settings.get("ProvisionedThroughput")
    on_demand = settings.get("OnDemandThroughput", {})
    throughput.check_on_demand(on_demand, of, mode, creating=True)
    throughput.check_first_warm(settings.get("WarmThroughput", {}), of, provisioned)
    if provisioned is not None:
        throughput.check_maximum(provisioned, of, region.name)


def _new_document(request: Request, name: str, table_id: str, region: Region, now: float) -> Document:
    arn = table_names.arn(region.name, region.account, name)
    document = definitions.new_table(name, table_id, arn, now, request) | throughput.initial(request)
    for index in request.get("GlobalSecondaryIndexes", ()):
        state = {"IndexStatus": "ACTIVE"} | throughput.initial(index)
        document = definitions.with_index(document, index, state, request["AttributeDefinitions"])
    document["DeletionProtectionEnabled"] = request.get("DeletionProtectionEnabled", False)
    if request.get("BillingMode") == PAY_PER_REQUEST:
        document["BillingModeSummary"] = {
            "BillingMode": PAY_PER_REQUEST,
            "LastUpdateToPayPerRequestDateTime": now,
        }
    if "TableClass" in request:
        document["TableClassSummary"] = {"TableClass": request["TableClass"]}
    encryption = table_settings.encryption(request.get("SSESpecification", {}), region.name, region.account)
    if encryption is not None:
        document["SSEDescription"] = encryption
    return document
