"""What a region is asked by a peer about the replicas of a global table, beside their changes (`replication.serving`).

    LookUp   whether a table of some name is here, and of what sort
    Join     have a replica here: make the table, or make one of an empty table that is there
    Leave    tell that the changes made here have come to the peer, up to a position, for the replica here is to go

Each may be asked any number of times. A region that can never join refuses with ResourceInUseException; whatever else
goes wrong, it is asked again (`jobs.membership`).
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import orjson

from jedlik.api import table_names
from jedlik.api.context import Context, Region
from jedlik.jobs import membership
from jedlik.model import keys, replicas, shared_settings, streams, tables
from jedlik.model.definitions import key_schemas, stored_definitions, stored_index
from jedlik.model.errors import ResourceInUseException
from jedlik.model.replicas import DELETING, Group
from jedlik.model.tables import Document
from jedlik.replication import serving
from jedlik.storage.counters import counter
from jedlik.storage.engine import Writes

Request = dict[str, Any]
Response = dict[str, Any]

SHAPES: dict[str, dict[str, type | tuple[type, ...]]] = {
    "LookUp": {"TableName": str},
    "Join": {
        "TableName": str,
        "Group": dict,
        "KeySchema": list,
        "LocalSecondaryIndexes": list,
        "AttributeDefinitions": list,
    },
    "Leave": {"TableName": str, "Group": dict, "Region": str, "Position": int},
}
"""The members of each request, all of which must be there, and their types."""


def validate(operation: str, request: Request) -> Request:
    """The request, if it has the shape of `operation`'s. Raises ValidationException."""
    serving.check_shape(request, SHAPES[operation])
    return request


async def look_up(context: Context, request: Request) -> Response:
    """Whether there is a table of that name: Table is None, or has KeySchema, LocalSecondaryIndexes and ItemCount."""
    region = context.region
    [raw] = await region.engine.get([keys.descriptor_key(request["TableName"])])
    if raw is None:
        return {"Table": None}
    document = orjson.loads(raw)
    [items] = await region.engine.get([keys.item_count_key(keys.table_id(document["TableId"]), 0)])
    shown = {member: document.get(member) for member in ("KeySchema", "StreamSpecification", "Replication")}
    return {"Table": shown | {"GlobalSecondaryIndexes": indexes(document), "ItemCount": counter(items)}}


async def join(context: Context, request: Request) -> Response:
    """Make the replica that the group document says is CREATING here.

    Raises ResourceInUseException where there is another table of that name.
    """
    region = context.region
    name, group = request["TableName"], request["Group"]
    key, now, table_id = keys.descriptor_key(name), region.clock(), str(uuid.uuid4())

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, bool]:
        writes = Writes()
        if values[0] is None:
            document = _made(request, region, table_id, now, writes)
        else:
            document = orjson.loads(values[0])
            if document.get("Replication", {}).get("GroupId") != group["GroupId"]:
                raise ResourceInUseException(already_there(name))
            merged = replicas.merge(document["Replication"], group)
            if merged == document["Replication"]:
                return writes, False
            document = membership.follow(document, merged, now, writes)
        writes.put(key, tables.serialize(document))
        return writes, True

    if replicas.status(group, region.name)["Status"] == replicas.CREATING and await region.engine.mutate([key], decide):
        region.jobs_wanted.set()
    return {}


async def leave(context: Context, request: Request) -> Response:
    """Note that the peer has the changes made here. Gone says whether there is no such replica here any more."""
    region = context.region
    name, group = request["TableName"], request["Group"]
    await membership.adopt(region, name, group)
    [raw] = await region.engine.get([keys.descriptor_key(name)])
    table = None if raw is None else tables.parse(raw)
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


def indexes(document: Document) -> dict[str, Any]:
    """The key schemas of a table's global indexes, by name."""
    return {index["IndexName"]: index["KeySchema"] for index in document.get("GlobalSecondaryIndexes", ())}


def _made(request: Request, region: Region, table_id: str, now: float, writes: Writes) -> Document:
    """The descriptor of the new replica, which is empty and so has nothing to fill its indexes with."""
    name, group = request["TableName"], request["Group"]
    document: Document = {
        "TableName": name,
        "TableId": table_id,
        "TableArn": table_names.arn(region.name, region.account, name),
        "CreationDateTime": now,
        "KeySchema": request["KeySchema"],
        "DeletionProtectionEnabled": False,
        "Replication": group,
        "NextIndexNumber": 1 + len(request["LocalSecondaryIndexes"]),
    }
    if request["LocalSecondaryIndexes"]:
        document["LocalSecondaryIndexes"] = [
            stored_index(index, number) for number, index in enumerate(request["LocalSecondaryIndexes"], 1)
        ]
    document["AttributeDefinitions"] = stored_definitions(request["AttributeDefinitions"], key_schemas(document))
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


async def _note_left(region: Region, name: str, group: Group, peer: str) -> None:
    key = keys.descriptor_key(name)

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        writes = Writes()
        document = {} if values[0] is None else orjson.loads(values[0])
        if document.get("Replication", {}).get("GroupId") == group["GroupId"]:
            writes.put(key, tables.serialize(membership.left(document, peer)))
        return writes, None

    await region.engine.mutate([key], decide)
    region.jobs_wanted.set()
