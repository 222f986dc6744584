"""CreateGlobalTable, UpdateGlobalTable, DescribeGlobalTable and ListGlobalTables: global tables as of 2017.

They act on the same group documents as UpdateTable's ReplicaUpdates (`replica_updates`), so a global table that was
created in one way can be seen and changed in the other. The differences: they make replicas of existing empty tables,
with the same keys and indexes and a stream of new and old images, and a replica that is removed stays as a table.

AWS still answers these operations, but creates no new global tables with them.

Source: the API reference; the texts are DynamoDB's answers where these are known.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any

from jedlik.aws.context import Context
from jedlik.aws.errors import ValidationException
from jedlik.dynamodb import catalog
from jedlik.dynamodb.capacity.throughput import INVALID
from jedlik.dynamodb.errors import (
    GlobalTableAlreadyExistsException,
    GlobalTableNotFoundException,
    ReplicaAlreadyExistsException,
    ReplicaNotFoundException,
    ResourceInUseException,
    TableNotFoundException,
)
from jedlik.dynamodb.model import keys, replicas
from jedlik.dynamodb.model.definitions import Descriptor
from jedlik.dynamodb.model.replicas import ACTIVE, DELETED, DELETING
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.replication import members, membership, replica_descriptions, replica_updates, replicated
from jedlik.regions.region import Region
from jedlik.storage.counters import counter
from jedlik.storage.engine import Writes

Request = dict[str, Any]
Response = dict[str, Any]
DescriptorChange = Callable[[Descriptor, float, Writes], Descriptor]
"""Makes another descriptor of a descriptor, at a time."""

_LIST_LIMIT = 100
"""The most names in a ListGlobalTables answer."""
_BOTH_IMAGES = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}


async def create_global_table(context: Context, request: Request) -> Response:
    """Make a global table of existing empty tables."""
    region, name = context.region, request["GlobalTableName"]
    wanted = [member.get("RegionName") for member in request["ReplicationGroup"]]
    if not wanted:
        raise ValidationException(f"{INVALID}Global table must have atleast one replica")
    if None in wanted:
        raise ValidationException(f"{INVALID}ReplicationGroup members must specify RegionName")
    if region.name not in wanted:
        raise ValidationException(f"{INVALID}ReplicationGroup must contain the region of the request: {region.name}")
    others = [other for other in dict.fromkeys(wanted) if other != region.name]
    table = await _table(region, name, TableNotFoundException(f"Table not found: {name}"))
    if table.replica is not None:
        raise GlobalTableAlreadyExistsException(f"Global table with name: '{name}' already exists")
    [items] = await region.engine.get([keys.item_count_key(table.id, 0)])
    _check_empty(name, region.name, counter(items))
    for other in others:
        await _check_alike(region, table.descriptor, other)
    group_id = str(uuid.uuid4())

    def begin(ordinary: Descriptor, now: float, writes: Writes) -> Descriptor:
        table = replica_updates.started(ordinary, group_id, now, writes)
        group = table.shared_group
        for other in others:
            group = replicas.created(group, other, region.name, region.name, now, existing=True)
        return membership.follow(table, group, now, writes) if others else table

    changed = await change(region, table, begin)
    return {"GlobalTableDescription": _description(changed) | {"GlobalTableStatus": "CREATING"}}


async def update_global_table(context: Context, request: Request) -> Response:
    """Add existing empty tables as replicas to a global table, and remove replicas, whose tables stay."""
    region, name = context.region, request["GlobalTableName"]
    added, removed = _updates(request["ReplicaUpdates"])
    table = await global_table(region, name)
    group = table.descriptor.shared_group
    there = {r for r in replicas.regions(group) if replicas.status(group, r)["Status"] != DELETING}
    for other in added:
        if replicas.status(group, other)["Status"] != DELETED:
            raise ReplicaAlreadyExistsException(f"Failed to add: {other} already has a replica of '{name}'")
        await _check_alike(region, table.descriptor, other)
    for other in removed:
        if other not in there:
            raise ReplicaNotFoundException(f"Failed to remove: {other} has no replica of '{name}'")
    if not (there - set(removed)):
        raise ValidationException(f"{INVALID}Global table must have atleast one replica")

    def update(table: Descriptor, now: float, writes: Writes) -> Descriptor:
        group = table.shared_group
        for other in added:
            group = replicas.created(group, other, region.name, region.name, now, existing=True)
        for other in removed:
            group = replicas.moved(group, other, DELETING, now, kept=True)
        return membership.follow(table, group, now, writes)

    changed = await change(region, table, update)
    return {"GlobalTableDescription": _description(changed) | {"GlobalTableStatus": "UPDATING"}}


async def describe_global_table(context: Context, request: Request) -> Response:
    """Show a global table."""
    table = await global_table(context.region, request["GlobalTableName"])
    return {"GlobalTableDescription": _description(table.descriptor)}


async def list_global_tables(context: Context, request: Request) -> Response:
    """The global tables that have a replica here and, if it is given, in another region; by name."""
    region = context.region
    limit, other = request.get("Limit", _LIST_LIMIT), request.get("RegionName", region.name)
    found: list[Response] = []
    async for raw in catalog.raw_descriptors(region, request.get("ExclusiveStartGlobalTableName")):
        table = replicated.parse(raw)
        if table is not None and other in replicas.regions(table.group):
            there = [{"RegionName": member} for member in replicas.regions(table.group)]
            found.append({"GlobalTableName": table.table.name, "ReplicationGroup": there})
        if len(found) > limit:
            break
    response: Response = {"GlobalTables": found[:limit]}
    if len(found) > limit:
        response["LastEvaluatedGlobalTableName"] = found[limit - 1]["GlobalTableName"]
    return response


async def global_table(region: Region, name: str) -> Table:
    """The global table called `name`, as it is now. Raises GlobalTableNotFoundException."""
    missing = GlobalTableNotFoundException(f"Global table not found: Global table with name: '{name}' does not exist.")
    table = await _table(region, name, missing)
    if table.replica is None:
        raise missing
    return table


async def change(region: Region, table: Table, made: DescriptorChange) -> Descriptor:
    """DescriptorChange a table's descriptor, against which the request has been checked. Returns the new one.

    Raises ResourceInUseException if it has changed since.
    """
    now, key = region.clock(), table.descriptor_key

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, Descriptor]:
        if values[0] != table.raw:
            raise ResourceInUseException(f"Table is being updated: {table.name}")
        writes = Writes()
        changed = made(table.descriptor, now, writes)
        catalog.put(changed, writes)
        return writes, changed

    changed = await region.engine.mutate([key], decide)
    region.jobs_wanted.set()
    return changed


async def _table(region: Region, name: str, missing: Exception) -> Table:
    table = await catalog.find(region, name)
    if table is None:
        raise missing
    return table


async def _check_alike(region: Region, table: Descriptor, other: str) -> None:
    """Whether the table of the same name in another region can become a replica of a table."""
    name = table.name
    found = await replica_updates.look_up(region, other, name)
    if found is None:
        raise TableNotFoundException(f"Table not found: {name} in region {other}")
    if found["IsReplica"]:
        raise ReplicaAlreadyExistsException(f"Failed to add: {other} already has a replica of another '{name}'")
    _check_empty(name, other, found["ItemCount"])
    ours = members.comparable(table)
    for member, what in (("KeySchema", "key schema"), ("Indexes", "indexes")):
        if found[member] != ours[member]:
            raise ValidationException(f"{INVALID}Table {name} in region {other} has another {what}")
    for region_name, one in ((region.name, ours), (other, found)):
        if one["StreamSpecification"] != _BOTH_IMAGES:
            raise ValidationException(
                f"{INVALID}Table {name} in region {region_name} must have a stream with NEW_AND_OLD_IMAGES"
            )


def _check_empty(name: str, region: str, items: int) -> None:
    if items:
        raise ValidationException(f"{INVALID}Table {name} in region {region} is not empty")


def _updates(updates: Sequence[Request]) -> tuple[list[str], list[str]]:
    """The regions whose replicas are to be added and removed. Raises ValidationException."""
    if not updates or not all(update.keys() & {"Create", "Delete"} for update in updates):
        raise ValidationException(INVALID.removesuffix(": "))
    if any(update.keys() >= {"Create", "Delete"} for update in updates):
        raise ValidationException(
            f"{INVALID}A ReplicaUpdate structure cannot contain both a create replica action and a delete replica "
            "action"
        )
    regions = {kind: [u[kind]["RegionName"] for u in updates if kind in u] for kind in ("Create", "Delete")}
    return list(dict.fromkeys(regions["Create"])), list(dict.fromkeys(regions["Delete"]))


def _description(table: Descriptor) -> Response:
    group, name = table.shared_group, table.name
    there = replicas.regions(group)
    moving = any(replicas.status(group, region)["Status"] != ACTIVE for region in there)
    return {
        "ReplicationGroup": [replica_descriptions.description(table, region) for region in there],
        "GlobalTableArn": f"arn:aws:dynamodb::{table.account}:global-table/{name}",
        "CreationDateTime": replicas.begun(group),
        "GlobalTableStatus": "UPDATING" if moving else "ACTIVE",
        "GlobalTableName": name,
    }
