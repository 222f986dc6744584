"""CreateTable, DescribeTable, ListTables and DeleteTable. UpdateTable is in `table_updates`.

A table is created and deleted in one commit, so it is ACTIVE as soon as CreateTable has answered CREATING, and gone as
soon as DeleteTable has answered DELETING: a client that waits for either finds it at its first check. A table's rows
are removed in the background (`tables.purge`).
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson

from jedlik.aws.context import Context
from jedlik.aws.errors import LimitExceededException, ValidationException
from jedlik.dynamodb import catalog, mini_transaction
from jedlik.dynamodb.backups import last_backups
from jedlik.dynamodb.capacity import throughput
from jedlik.dynamodb.changes import readers
from jedlik.dynamodb.encryption import chosen_keys
from jedlik.dynamodb.errors import ResourceInUseException, ResourceNotFoundException
from jedlik.dynamodb.model import definitions, keys, replicas, streams
from jedlik.dynamodb.model.definitions import PAY_PER_REQUEST, PROVISIONED, Billing, Descriptor, TableClass
from jedlik.dynamodb.model.mutations import Mutation
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.replication import membership, replica_descriptions, replica_updates
from jedlik.dynamodb.tables import (
    busy_tables,
    descriptions,
    index_definitions,
    purge,
    resource_policies,
    table_names,
    table_settings,
)
from jedlik.dynamodb.tables.tags import check_tags
from jedlik.regions.region import Region
from jedlik.storage.engine import Writes

Request = dict[str, Any]
Response = dict[str, Any]

_LIST_LIMIT = 100
"""The most names in a ListTables answer."""


async def create_table(context: Context, request: Request) -> Response:
    """Make a table."""
    region = context.region
    check_new(request, region)
    name = table_names.resolve(request["TableName"], region.name, region.account)
    if "ResourcePolicy" in request:
        arn = table_names.arn(region.name, region.account, name)
        resource_policies.check_new(request["ResourcePolicy"], context.caller, arn)
    await check_table_count(region)
    now = region.clock()
    made = new_table(request, name, str(uuid.uuid4()), region, now)
    tags = {tag["Key"]: tag["Value"] for tag in request.get("Tags", ())}
    if (await region.engine.get([catalog.key(name)])) != [None]:
        raise _is_there(name)
    wish = chosen_keys.wanted(request.get("SSESpecification", {}))

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, Descriptor]:
        if values[0] is not None:
            raise _is_there(name)
        writes = Writes()
        table = key.of_new(made, writes)
        if request.get("StreamSpecification", {}).get("StreamEnabled"):
            table = streams.enable(table, request["StreamSpecification"]["StreamViewType"], now, writes)
        catalog.put(table, writes)
        if tags:
            writes.put(keys.tags_key(keys.table_id(table.id)), orjson.dumps(tags))
        return writes, table

    async with chosen_keys.chosen(context, name, wish) as key:
        table = await region.engine.mutate([catalog.key(name)], decide)
        key.learn(region, table)
    description = descriptions.description(table, {}, "ACTIVE", now)
    return {"TableDescription": descriptions.created(description, request)}


def _is_there(name: str) -> ResourceInUseException:
    return ResourceInUseException(f"Table already exists: {name}")


async def describe_table(context: Context, request: Request) -> Response:
    """Show a table."""
    region = context.region
    table = await described(region, request["TableName"])
    counts = await descriptions.counts(region, table)
    status = replica_descriptions.table_status(table)
    shown = descriptions.description(table, counts, status, region.clock())
    await replica_descriptions.say_copied_again(region, table, shown)
    return {"Table": shown}


async def list_tables(context: Context, request: Request) -> Response:
    """The names of the region's tables, in byte order."""
    limit = request.get("Limit", _LIST_LIMIT)
    names = await catalog.names(context.region, request.get("ExclusiveStartTableName"), limit + 1)
    response: Response = {"TableNames": names[:limit]}
    if len(names) > limit:
        response["LastEvaluatedTableName"] = names[limit - 1]
    return response


async def delete_table(context: Context, request: Request) -> Response:
    """Delete a table, unless it is protected or an index is being created.

    A replica is deleted when the others have its last changes (`replication.membership`). With a table that is being
    imported, its import is cancelled.
    """
    region = context.region
    found = await described(region, request["TableName"])
    busy_tables.check_deletable(found)
    replica_updates.check_not_moving(found)
    counts = await descriptions.counts(region, found)
    name = table_names.resolve(request["TableName"], region.name, region.account)
    now = region.clock()

    starts = await readers.starting(region)

    async def attempt(table: Table) -> Descriptor:
        read = [catalog.key(name), *last_backups.reads(table.id), *streams.current_key(table.descriptor)]
        return await mini_transaction.mutate_keys(region, read, decide)

    def decide(mutation: Mutation) -> Descriptor:
        table = stored(name, mutation.found[catalog.key(name)])
        stream = streams.current(table, mutation)
        busy_tables.check_deletable(table)
        busy_tables.check_not_backed_up(table)
        replica_updates.check_not_moving(table)
        if table.group is not None:
            replica_updates.check_deletable(table, region.name, now)
        if table.protected:
            raise ValidationException(
                "Resource cannot be deleted as it is currently protected against deletion. "
                "Disable deletion protection first."
            )
        if any(index.status != "ACTIVE" for index in table.global_indexes):
            raise ResourceInUseException(
                "Attempt to change a resource which is still in use: "
                "Cannot delete table while indexes are being created, updated, or deleted."
            )
        if table.group is not None:
            group = replicas.moved(table.group, region.name, replicas.DELETING, now)
            table = membership.follow(table, group, now, mutation.writes)
            catalog.put(table, mutation.writes)
        elif not last_backups.begin(table, stream, starts, now, mutation):
            purge.delete_table(table, stream, now, mutation.writes)
        return table

    if found.importing is None and not found.is_closed:
        table = await catalog.with_table(region, name, attempt)
    else:
        table = await attempt(catalog.table_of(found))  # One that may not be used is not in the catalogue's cache.
    region.jobs_wanted.set()
    description = descriptions.description(table, counts, "DELETING", region.clock())
    return {"TableDescription": descriptions.deleted(description)}


async def described(region: Region, name_or_arn: str) -> Descriptor:
    """The descriptor of a table in whatever state. Raises ResourceNotFoundException."""
    name = table_names.resolve(name_or_arn, region.name, region.account)
    return _descriptor(name, await catalog.find(region, name))


def stored(name: str, raw: bytes | None) -> Descriptor:
    """The descriptor that a mutation has found for the table called `name`. Raises ResourceNotFoundException."""
    return _descriptor(name, catalog.stored(raw))


def _descriptor(name: str, table: Table | None) -> Descriptor:
    if table is None:
        raise ResourceNotFoundException(f"Requested resource not found: Table: {name} not found")
    return table.descriptor


async def check_table_count(region: Region) -> None:
    """The region may have this many tables. It is a soft limit: two requests at once may both create the last one."""
    most = region.most_tables
    if len(await catalog.names(region, None, most)) >= most:
        raise LimitExceededException(f"Subscriber limit exceeded: There is a limit of {most} tables per subscriber")


# CreateTable


def check_new(request: Request, region: Region) -> None:
    """All checks of a new table, in DynamoDB's order."""
    mode = request.get("BillingMode", PROVISIONED)
    provisioned = request.get("ProvisionedThroughput")
    throughput.check_mode(mode, provisioned)
    index_definitions.check_new_table(request)
    table_settings.check_table_class(request)
    table_settings.check_encryption(request)
    table_settings.check_stream(request, creating=True)
    throughput.check_new(request, throughput.TABLE, mode, region.name)
    for index in request.get("GlobalSecondaryIndexes", ()):
        throughput.check_new_index(index, mode, region.name)
    check_tags(request.get("Tags", ()))
    table_settings.check_supported(request)


def new_table(request: Request, name: str, table_id: str, region: Region, now: float) -> Descriptor:
    """The descriptor of a table that a request asks for."""
    arn = table_names.arn(region.name, region.account, name)
    table = replace(definitions.new_table(name, table_id, arn, now, request), **throughput.initial(request))
    for index in request.get("GlobalSecondaryIndexes", ()):
        state = {"status": "ACTIVE", **throughput.initial(index)}
        table = definitions.with_index(table, index, state, request["AttributeDefinitions"])
    return replace(
        table,
        protected=request.get("DeletionProtectionEnabled", False),
        billing=Billing(PAY_PER_REQUEST, now) if request.get("BillingMode") == PAY_PER_REQUEST else None,
        table_class=TableClass(request["TableClass"]) if "TableClass" in request else None,
        policy=resource_policies.first(request),
    )
