"""The requests of a peer about the replicas of a global table, besides their changes (`replication.serving`).

    LookUp   whether a table of some name is here, and its properties
    Join     make a replica here: create the table, or use an existing empty one
    Leave    the replica here is being deleted, and the peer has its changes up to a position

Each may be repeated any number of times. A region that can never join refuses with ResourceInUseException; after any
other failure it is asked again (`replication.membership`).
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from jedlik.aws.context import Context
from jedlik.aws.errors import ServiceUnavailable, ValidationException
from jedlik.dynamodb import catalog, mini_transaction
from jedlik.dynamodb.encryption import key_changes
from jedlik.dynamodb.errors import ResourceInUseException
from jedlik.dynamodb.model import keys, log_readers, replicas, shared_settings, streams
from jedlik.dynamodb.model.definitions import Descriptor, filled, new_table
from jedlik.dynamodb.model.mutations import Mutation
from jedlik.dynamodb.model.replicas import DELETING, Group
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.replication import closed_replicas, group_documents, membership, serving
from jedlik.dynamodb.replication.aside import PutAside
from jedlik.dynamodb.tables import index_definitions, purge, table_names
from jedlik.regions.region import Region
from jedlik.storage.counters import counter
from jedlik.storage.engine import Writes

Request = dict[str, Any]
Response = dict[str, Any]


def validate(operation: str, request: Request) -> Request:
    """The request, if a peer may make it. Raises ValidationException."""
    serving.validate(operation, request)
    if operation == "Join":
        _check_definition(request)
    return request


def _check_definition(request: Request) -> None:
    """The key and the local indexes of a replica are valid for a new table. Raises ValidationException."""
    schemas = [request["KeySchema"], *(index["KeySchema"] for index in request["LocalSecondaryIndexes"])]
    used = {element["AttributeName"] for schema in schemas for element in schema}
    local = request["LocalSecondaryIndexes"]
    index_definitions.check_new_table(
        {
            "KeySchema": request["KeySchema"],
            # Those of global indexes are among them; their definitions come with the settings.
            "AttributeDefinitions": [d for d in request["AttributeDefinitions"] if d["AttributeName"] in used],
        }
        | ({"LocalSecondaryIndexes": local} if local else {})
    )


def _check_merged(table: Descriptor, merged: Group) -> None:
    """The same for the result of merging it with the one here."""
    try:
        group_documents.check_merged(table, merged)
    except PutAside as error:
        raise ValidationException(error.reason) from error


def _check_group(group: Group, now: float) -> None:
    """Raises ValidationException for the document of a group that cannot be merged."""
    try:
        group_documents.check(group, now)
    except PutAside as error:
        raise ValidationException(error.reason) from error


async def look_up(context: Context, request: Request) -> Response:
    """The table of that name: Table is null, or has KeySchema, StreamSpecification, Indexes (the key schemas of its
    secondary indexes, by name), ItemCount, IsReplica and DeletionProtectionEnabled.
    """
    region = context.region
    table = await catalog.find(region, request["TableName"])
    if table is None:
        return {"Table": None}
    [items] = await region.engine.get([keys.item_count_key(table.id, 0)])
    more = {
        "ItemCount": counter(items),
        "IsReplica": table.replica is not None,
        "DeletionProtectionEnabled": table.descriptor.protected,
    }
    return {"Table": comparable(table.descriptor) | more}


async def join(context: Context, request: Request) -> Response:
    """Make the replica that is CREATING here according to the group document.

    Raises ResourceInUseException if it cannot be made, and ServiceUnavailable if that is not known yet.
    """
    region = context.region
    name, group = request["TableName"], request["Group"]
    _check_group(group, region.clock())
    now, table_id = region.clock(), str(uuid.uuid4())
    found = await catalog.find(region, name)
    there = None if found is None else found.descriptor
    counters = [] if found is None else [keys.item_count_key(found.id, 0)]

    def decide(mutation: Mutation) -> bool:
        if mutation.found[catalog.key(name)] != (None if found is None else found.raw):
            raise ServiceUnavailable("The table is being changed; ask again")
        writes = mutation.writes
        if there is None:
            table = _made(request, region, table_id, now, writes)
        elif there.group is not None and there.group["GroupId"] == group["GroupId"]:
            merged = replicas.merge(there.group, group)
            if merged == there.group:
                return False
            _check_merged(there, merged)
            table = membership.follow(there, merged, now, writes)
        else:
            items = sum(counter(mutation.found[key]) for key in counters)
            _check_existing(there, items, request, region.name)
            table = _begun(there, group, now, writes)
        catalog.put(table, writes)
        return True

    being_made = replicas.status(group, region.name)["Status"] == replicas.CREATING
    if being_made and await mini_transaction.mutate_keys(region, [catalog.key(name), *counters], decide):
        region.jobs_wanted.set()
    return {}


async def leave(context: Context, request: Request) -> Response:
    """Record that the peer has the changes of this region. Gone is whether the replica no longer exists here."""
    region = context.region
    name, group = request["TableName"], request["Group"]
    _check_group(group, region.clock())
    try:
        await membership.adopt(region, name, group)
    except PutAside as error:
        raise ValidationException(error.reason) from error
    table = await catalog.find(region, name)
    if table is None or table.replica is None or table.replica.group_id != group["GroupId"]:
        return {"Gone": True}
    if table.replica.status == DELETING and await _has_all(region, table, request["Position"]):
        await _note_left(region, name, group, request["Region"])
    return {"Gone": False}


async def _has_all(region: Region, table: Table, position: int) -> bool:
    """Whether a peer that has the changes up to a position needs no other."""
    if closed_replicas.needs_no_reading(table.descriptor):
        return True
    return not await serving.has_changes_after(region, table, position)


def already_there(name: str) -> str:
    """The refusal when a region that shall have a replica has a table of that name."""
    return (
        f"Failed to create a the new replica of table with name: ‘{name}’ because one or more replicas already "
        "existed as tables."
    )


def comparable(table: Descriptor) -> Response:
    """The members that must be equal in tables that become replicas of each other: KeySchema, StreamSpecification,
    Indexes."""
    stream = table.stream
    return {
        "KeySchema": table.key_schema,
        "StreamSpecification": stream and {"StreamEnabled": stream.enabled, "StreamViewType": stream.view_type},
        "Indexes": {index.name: index.key_schema for index in table.indexes},
    }


def _made(request: Request, region: Region, table_id: str, now: float, writes: Writes) -> Descriptor:
    """The descriptor of the new replica, which is empty, so its indexes need no backfill."""
    name, group = request["TableName"], request["Group"]
    arn = table_names.arn(region.name, region.account, name)
    empty = replace(new_table(name, table_id, arn, now, request), group=group)
    table = shared_settings.applied(empty, now).table
    if table.encryption is not None:
        key_changes.submit(table, writes, adopts=True)
    table = replace(
        table,
        global_indexes=tuple(filled(index) for index in table.global_indexes),
        expiry=table.expiry and replace(table.expiry, status="ENABLED"),
    )
    view_type = replicas.settings(group)["StreamViewType"]
    return streams.enable(table, view_type, now, writes)


def _check_existing(table: Descriptor, items: int, request: Request, region: str) -> None:
    """Whether an existing table may become a replica. Raises ResourceInUseException."""
    wanted = replicas.status(request["Group"], region).get("Existing", False)
    if not wanted or table.group is not None or items or table.key_schema != request["KeySchema"]:
        raise ResourceInUseException(already_there(table.name))


def _begun(table: Descriptor, group: Group, now: float, writes: Writes) -> Descriptor:
    """The descriptor of an ordinary, empty table that becomes a replica."""
    if table.stream is None:
        table = streams.enable(table, replicas.settings(group)["StreamViewType"], now, writes)
    purge.keep_replication(table, writes)
    return membership.follow(log_readers.settled(replace(table, group=group), writes), group, now, writes)


async def _note_left(region: Region, name: str, group: Group, peer: str) -> None:
    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        writes = Writes()
        table = catalog.stored(values[0])
        if table is not None and table.replica is not None and table.replica.group_id == group["GroupId"]:
            catalog.put(membership.left(table.descriptor, peer), writes)
        return writes, None

    await region.engine.mutate([catalog.key(name)], decide)
    region.jobs_wanted.set()
