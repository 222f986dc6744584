"""The operations on parameter groups: how long the caches of a cluster keep what.

Sources: the API reference of DAX; "Configuring TTL settings" in the developer guide for the two parameters.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from jedlik.aws.context import Context
from jedlik.dax import cluster_events, cluster_records
from jedlik.dax.cluster_records import (
    DEFAULT_CLUSTER,
    DEFAULT_GROUP,
    DEFAULTS,
    EVENTS_KEY,
    MOST_GROUPS,
    NAMES_KEY,
    Cluster,
    ParameterGroup,
    cluster_key,
    group_key,
)
from jedlik.dax.errors import (
    InvalidParameterGroupStateFault,
    InvalidParameterValueException,
    ParameterGroupAlreadyExistsFault,
    ParameterGroupNotFoundFault,
    ParameterGroupQuotaExceededFault,
)
from jedlik.dax.listing import check_group_name, page
from jedlik.storage.engine import Writes

Request = dict[str, Any]
_WHOLE = re.compile(r"[0-9]{1,15}")
"""Milliseconds: up to thirty thousand years."""
_DESCRIPTIONS = {
    cluster_records.QUERY_LIFE: "Duration (in milliseconds) for queries to remain cached",
    cluster_records.ITEM_LIFE: "Duration (in milliseconds) for records to remain valid in cache",
}


async def create_parameter_group(context: Context, request: Request) -> Request:
    """Make a group in which all parameters have their defaults."""
    name = request["ParameterGroupName"]
    check_group_name("ParameterGroupName", name)
    group = ParameterGroup(name, request.get("Description"))
    existing = await cluster_records.all_groups(context.region)
    if len(existing) > MOST_GROUPS:
        raise ParameterGroupQuotaExceededFault(f"A region may have {MOST_GROUPS} parameter groups")

    def decide(found: Sequence[bytes | None]) -> tuple[Writes, None]:
        if found[0] is not None:
            raise ParameterGroupAlreadyExistsFault(f"ParameterGroup already exists: {name}")
        writes = Writes()
        writes.put(group_key(name), group.packed())
        _add_event(context, found[1], writes, name, "created")
        return writes, None

    await context.region.engine.mutate([group_key(name), EVENTS_KEY], decide)
    return {"ParameterGroup": group.shown()}


async def update_parameter_group(context: Context, request: Request) -> Request:
    """Set parameters of a group. Nodes take them for what they cache from then on."""
    name = request["ParameterGroupName"]
    values = {one.get("ParameterName"): one.get("ParameterValue") for one in request["ParameterNameValues"]}
    for parameter, value in values.items():
        if parameter not in DEFAULTS:
            raise InvalidParameterValueException(f"Unknown parameter: {parameter}")
        if value is None or not _WHOLE.fullmatch(value):
            raise InvalidParameterValueException(f"Invalid value for {parameter}: {value}. Allowed values: 0-")
    _refuse_default(name)

    def decide(found: Sequence[bytes | None]) -> tuple[Writes, ParameterGroup]:
        if found[0] is None:
            raise _missing(name)
        group = ParameterGroup.unpacked(name, found[0])
        group = replace(group, values={**group.values, **values})
        writes = Writes()
        writes.put(group_key(name), group.packed())
        _add_event(context, found[1], writes, name, "updated")
        return writes, group

    group = await context.region.engine.mutate([group_key(name), EVENTS_KEY], decide)
    return {"ParameterGroup": group.shown()}


async def delete_parameter_group(context: Context, request: Request) -> Request:
    """Delete a group that no cluster uses."""
    name = request["ParameterGroupName"]
    _refuse_default(name)
    clusters = [DEFAULT_CLUSTER, *await cluster_records.made_clusters(context.region)]

    def decide(found: Sequence[bytes | None]) -> tuple[Writes, bool]:
        group, events, names, *records = found
        if group is None:
            raise _missing(name)
        if any(Cluster.unpacked(record).group == name for record in records):
            raise InvalidParameterGroupStateFault(f"ParameterGroup {name} is in use by a cluster")
        writes = Writes()
        if set(cluster_records.names_in(names)) - set(clusters):  # One has been made since.
            return writes, False
        writes.delete(group_key(name))
        _add_event(context, events, writes, name, "deleted")
        return writes, True

    keys = [group_key(name), EVENTS_KEY, NAMES_KEY, *map(cluster_key, clusters)]
    if not await context.region.engine.mutate(keys, decide):
        return await delete_parameter_group(context, request)
    return {"DeletionMessage": f"Parameter group {name} has been deleted."}


async def describe_parameter_groups(context: Context, request: Request) -> Request:
    """The groups of a region, or those that are named."""
    groups = await cluster_records.all_groups(context.region)
    names = request.get("ParameterGroupNames")
    if names:
        known = {group.name: group for group in groups}
        for name in names:
            if name not in known:
                raise _missing(name)
        groups = [known[name] for name in names]
    shown, more = page(groups, request, lambda group: group.name)
    return {"ParameterGroups": [group.shown() for group in shown], **more}


async def describe_parameters(context: Context, request: Request) -> Request:
    """The parameters of a group."""
    group = await cluster_records.group_of(context.region, request["ParameterGroupName"])
    if group is None:
        raise _missing(request["ParameterGroupName"])
    shown = [_shown(name, group) for name in DEFAULTS]
    source = request.get("Source")
    found = [one for one in shown if source in (None, one["Source"])]
    kept, more = page(found, request, lambda one: str(one["ParameterName"]))
    return {"Parameters": kept, **more}


async def describe_default_parameters(context: Context, request: Request) -> Request:
    """The parameters of the default group."""
    found = [_shown(name, cluster_records.BUILT_IN) for name in DEFAULTS]
    shown, more = page(found, request, lambda one: str(one["ParameterName"]))
    return {"Parameters": shown, **more}


def _shown(name: str, group: ParameterGroup) -> Request:
    return {
        "ParameterName": name,
        "ParameterType": "DEFAULT",
        "ParameterValue": group.values.get(name, DEFAULTS[name]),
        "NodeTypeSpecificValues": [],
        "Description": _DESCRIPTIONS[name],
        "Source": "user" if name in group.values else "system",
        "DataType": "integer",
        "AllowedValues": "0-",
        "IsModifiable": "TRUE",
        "ChangeType": "IMMEDIATE",
    }


def _add_event(context: Context, stored: bytes | None, writes: Writes, name: str, what: str) -> None:
    message = f"Parameter group {name} {what}."
    cluster_events.add(stored, writes, context.region.clock(), cluster_events.PARAMETER_GROUP, name, [message])


def _refuse_default(name: str) -> None:
    if name == DEFAULT_GROUP:
        raise InvalidParameterGroupStateFault(f"The default parameter group {name} cannot be changed or deleted")


def _missing(name: str) -> ParameterGroupNotFoundFault:
    return ParameterGroupNotFoundFault(f"ParameterGroup not found: {name}")
