"""What a region is asked by a peer about the replicas of a global table, beside their changes (`replication.serving`).

    LookUp   whether a table of some name is here, and of what sort
    Join     have a replica here: make the table, or make one of an empty table that is there
    Leave    tell that the changes made here have come to the peer, up to a position, for the replica here is to go

Each may be asked any number of times. A region that can never join refuses with ResourceInUseException; whatever else
goes wrong, it is asked again (`replication.membership`).
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import orjson

from jedlik.aws.context import Context
from jedlik.aws.errors import ServiceUnavailable, ValidationException
from jedlik.dynamodb.errors import ResourceInUseException
from jedlik.dynamodb.model import descriptors, keys, replicas, shared_settings, streams
from jedlik.dynamodb.model.definitions import new_table
from jedlik.dynamodb.model.replicas import DELETING, Group
from jedlik.dynamodb.model.tables import Document
from jedlik.dynamodb.replication import group_documents, membership, serving
from jedlik.dynamodb.replication.aside import PutAside
from jedlik.dynamodb.tables import index_definitions, purge, table_names
from jedlik.regions.region import Region
from jedlik.storage.counters import counter
from jedlik.storage.engine import Writes

Request = dict[str, Any]
Response = dict[str, Any]


def validate(operation: str, request: Request) -> Request:
    """The request, if it is one that a peer may make. Raises ValidationException."""
    serving.validate(operation, request)
    if operation == "Join":
        _check_definition(request)
    return request


def _check_definition(request: Request) -> None:
    """The key and the local indexes of a replica are what those of a new table may be. Raises ValidationException."""
    schemas = [request["KeySchema"], *(index["KeySchema"] for index in request["LocalSecondaryIndexes"])]
    used = {element["AttributeName"] for schema in schemas for element in schema}
    local = request["LocalSecondaryIndexes"]
    index_definitions.check_new_table(
        {
            "KeySchema": request["KeySchema"],
            # Those of global indexes are there as well; their definitions come with the settings.
            "AttributeDefinitions": [d for d in request["AttributeDefinitions"] if d["AttributeName"] in used],
        }
        | ({"LocalSecondaryIndexes": local} if local else {})
    )


def _check_merged(document: Document, merged: Group) -> None:
    """The same for what it comes to with the one here."""
    try:
        group_documents.check_merged(document, merged)
    except PutAside as error:
        raise ValidationException(error.reason) from error


def _check_group(group: Group, now: float) -> None:
    """Raises ValidationException for the document of a group that cannot be merged."""
    try:
        group_documents.check(group, now)
    except PutAside as error:
        raise ValidationException(error.reason) from error


async def look_up(context: Context, request: Request) -> Response:
    """What there is of that name: Table is None, or has KeySchema, StreamSpecification, Indexes (the key schemas of
    its secondary indexes, by name), ItemCount, IsReplica and DeletionProtectionEnabled.
    """
    region = context.region
    [raw] = await region.engine.get([keys.descriptor_key(request["TableName"])])
    if raw is None:
        return {"Table": None}
    document = orjson.loads(raw)
    [items] = await region.engine.get([keys.item_count_key(keys.table_id(document["TableId"]), 0)])
    more = {
        "ItemCount": counter(items),
        "IsReplica": "Replication" in document,
        "DeletionProtectionEnabled": document["DeletionProtectionEnabled"],
    }
    return {"Table": comparable(document) | more}


async def join(context: Context, request: Request) -> Response:
    """Make the replica that the group document says is CREATING here.

    Raises ResourceInUseException where it cannot be made, and ServiceUnavailable when that cannot be told yet.
    """
    region = context.region
    name, group = request["TableName"], request["Group"]
    _check_group(group, region.clock())
    key, now, table_id = keys.descriptor_key(name), region.clock(), str(uuid.uuid4())
    [found] = await region.engine.get([key])
    there = None if found is None else orjson.loads(found)
    counters = [] if there is None else [keys.item_count_key(keys.table_id(there["TableId"]), 0)]

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, bool]:
        if values[0] != found:
            raise ServiceUnavailable("The table is being changed; ask again")
        writes = Writes()
        if there is None:
            document = _made(request, region, table_id, now, writes)
        elif "Replication" in there and there["Replication"]["GroupId"] == group["GroupId"]:
            merged = replicas.merge(there["Replication"], group)
            if merged == there["Replication"]:
                return writes, False
            _check_merged(there, merged)
            document = membership.follow(there, merged, now, writes)
        else:
            _check_existing(there, counter(values[1]), request, region.name)
            document = _begun(there, group, now, writes)
        writes.put(key, descriptors.serialize(document))
        return writes, True

    being_made = replicas.status(group, region.name)["Status"] == replicas.CREATING
    if being_made and await region.engine.mutate([key, *counters], decide):
        region.jobs_wanted.set()
    return {}


async def leave(context: Context, request: Request) -> Response:
    """Note that the peer has the changes made here. Gone says whether there is no such replica here any more."""
    region = context.region
    name, group = request["TableName"], request["Group"]
    _check_group(group, region.clock())
    try:
        await membership.adopt(region, name, group)
    except PutAside as error:
        raise ValidationException(error.reason) from error
    [raw] = await region.engine.get([keys.descriptor_key(name)])
    table = None if raw is None else descriptors.parse(raw)
    if table is None or table.replica is None or table.replica.group_id != group["GroupId"]:
        return {"Gone": True}
    if table.replica.status == DELETING and not await serving.has_changes_after(region, table, request["Position"]):
        await _note_left(region, name, group, request["Region"])
    return {"Gone": False}


def already_there(name: str) -> str:
    """What is said when a region that is to have a replica has a table of that name."""
    return (
        f"Failed to create a the new replica of table with name: ‘{name}’ because one or more replicas already "
        "existed as tables."
    )


def comparable(document: Document) -> Document:
    """What must be alike in tables that are to be replicas of each other: KeySchema, StreamSpecification, Indexes."""
    indexes = (*document.get("LocalSecondaryIndexes", ()), *document.get("GlobalSecondaryIndexes", ()))
    return {
        "KeySchema": document["KeySchema"],
        "StreamSpecification": document.get("StreamSpecification"),
        "Indexes": {index["IndexName"]: index["KeySchema"] for index in indexes},
    }


def _made(request: Request, region: Region, table_id: str, now: float, writes: Writes) -> Document:
    """The descriptor of the new replica, which is empty and so has nothing to fill its indexes with."""
    name, group = request["TableName"], request["Group"]
    arn = table_names.arn(region.name, region.account, name)
    document = new_table(name, table_id, arn, now, request) | {"Replication": group}
    document = shared_settings.applied(document, now).document
    if "GlobalSecondaryIndexes" in document:
        document["GlobalSecondaryIndexes"] = [
            {member: value for member, value in index.items() if member != "Backfilling"} | {"IndexStatus": "ACTIVE"}
            for index in document["GlobalSecondaryIndexes"]
        ]
    if "TimeToLive" in document:
        document["TimeToLive"] = document["TimeToLive"] | {"Status": "ENABLED"}
    view_type = replicas.settings(group)["StreamViewType"]
    return streams.with_all_images(streams.enable(document, view_type, now, writes))


def _check_existing(document: Document, items: int, request: Request, region: str) -> None:
    """Whether a replica may be made of a table that is there. Raises ResourceInUseException."""
    wanted = replicas.status(request["Group"], region).get("Existing", False)
    if not wanted or "Replication" in document or items or document["KeySchema"] != request["KeySchema"]:
        raise ResourceInUseException(already_there(document["TableName"]))


def _begun(document: Document, group: Group, now: float, writes: Writes) -> Document:
    """The descriptor of an ordinary, empty table that becomes a replica."""
    if "StreamSpecification" not in document:
        document = streams.enable(document, replicas.settings(group)["StreamViewType"], now, writes)
    purge.keep_replication(document, writes)
    return membership.follow(streams.with_all_images(document) | {"Replication": group}, group, now, writes)


async def _note_left(region: Region, name: str, group: Group, peer: str) -> None:
    key = keys.descriptor_key(name)

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        writes = Writes()
        document = {} if values[0] is None else orjson.loads(values[0])
        if document.get("Replication", {}).get("GroupId") == group["GroupId"]:
            writes.put(key, descriptors.serialize(membership.left(document, peer)))
        return writes, None

    await region.engine.mutate([key], decide)
    region.jobs_wanted.set()
