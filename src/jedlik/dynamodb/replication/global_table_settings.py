"""DescribeGlobalTableSettings and UpdateGlobalTableSettings: the settings of global tables as of 2017.

Write capacity and the billing mode are the same for all replicas: they are the shared settings of a group document
(`model.shared_settings`). Read capacity and the table class belong to each replica: they are overrides.

Source: the API reference.
"""

from __future__ import annotations

from typing import Any

from jedlik.aws.context import Context
from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.capacity.throughput import INVALID
from jedlik.dynamodb.errors import GlobalTableNotFoundException, IndexNotFoundException, ReplicaNotFoundException
from jedlik.dynamodb.model import replicas, shared_settings
from jedlik.dynamodb.model.definitions import PAY_PER_REQUEST, PROVISIONED, Descriptor, IndexDefinition
from jedlik.dynamodb.model.replicas import DELETED, Group
from jedlik.dynamodb.model.shared_settings import INDEX_THROUGHPUT
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.replication import global_tables, membership
from jedlik.dynamodb.tables import table_settings
from jedlik.storage.engine import Writes

Request = dict[str, Any]
Response = dict[str, Any]

_NOT_SCALED = {"AutoScalingDisabled": True}
_READ = "ProvisionedThroughputOverride"


async def describe_global_table_settings(context: Context, request: Request) -> Response:
    """Show the settings of each replica."""
    table = await _global_table(context, request["GlobalTableName"])
    return _settings(table.descriptor)


async def update_global_table_settings(context: Context, request: Request) -> Response:
    """Change the settings of all replicas, or the overrides of each."""
    table = await _global_table(context, request["GlobalTableName"])
    _check(request, table.descriptor)

    def update(replica: Descriptor, now: float, writes: Writes) -> Descriptor:
        own = replica.region
        group = replicas.with_settings(replica.shared_group, _shared(request, replica), own, now)
        for of_replica in request.get("ReplicaSettingsUpdate", ()):
            group = replicas.with_overrides(group, of_replica["RegionName"], _overrides(of_replica), own, now)
        return membership.follow(replica, group, now, writes)

    return _settings(await global_tables.change(context.region, table, update))


async def _global_table(context: Context, name: str) -> Table:
    try:
        return await global_tables.global_table(context.region, name)
    except GlobalTableNotFoundException as error:
        raise GlobalTableNotFoundException(f"Global table with name: '{name}' does not exist.") from error


# What is shown


def _settings(table: Descriptor) -> Response:
    group = table.shared_group
    return {
        "GlobalTableName": table.name,
        "ReplicaSettings": [_of_replica(table, group, region) for region in replicas.regions(group)],
    }


def _of_replica(table: Descriptor, group: Group, region: str) -> Response:
    overrides = replicas.overrides(group, region)
    shown: Response = {
        "RegionName": region,
        "ReplicaStatus": replicas.status(group, region)["Status"],
        "ReplicaBillingModeSummary": {"BillingMode": table.billing_mode},
        **_units("Replica", table, overrides.get(_READ, {})),
    }
    if table.global_indexes:
        shown["ReplicaGlobalSecondaryIndexSettings"] = [
            {"IndexName": index.name, "IndexStatus": index.status}
            | _units("", index, overrides.get(f"{index.name}/{_READ}", {}))
            for index in table.global_indexes
        ]
    table_class = overrides.get("TableClassOverride") or replicas.settings(group).get("TableClass")
    if table_class is not None:
        shown["ReplicaTableClassSummary"] = {"TableClass": table_class}
    return shown


def _units(whose: str, of: Descriptor | IndexDefinition, override: Request) -> Response:
    units = of.provisioned | override
    return {
        f"{whose}ProvisionedReadCapacityUnits": units["ReadCapacityUnits"],
        f"{whose}ProvisionedReadCapacityAutoScalingSettings": _NOT_SCALED,
        f"{whose}ProvisionedWriteCapacityUnits": units["WriteCapacityUnits"],
        f"{whose}ProvisionedWriteCapacityAutoScalingSettings": _NOT_SCALED,
    }


# What is changed


def _check(request: Request, table: Descriptor) -> None:
    """All checks of a request that need no table. Raises the errors of UpdateGlobalTableSettings."""
    if request.keys() == {"GlobalTableName"}:
        raise ValidationException(INVALID.removesuffix(": "))
    of_replicas = request.get("ReplicaSettingsUpdate", [])
    of_indexes = request.get("GlobalTableGlobalSecondaryIndexSettingsUpdate", [])
    indexes_of_replicas = [
        index for of in of_replicas for index in of.get("ReplicaGlobalSecondaryIndexSettingsUpdate", ())
    ]
    for settings in (request, *of_replicas, *of_indexes, *indexes_of_replicas):
        for member in settings:
            if member.endswith("AutoScalingSettingsUpdate"):
                raise ValidationException(f"Jedlik does not support auto scaling yet: {member}")
    group, name = table.shared_group, table.name
    for of in of_replicas:
        if replicas.status(group, of["RegionName"])["Status"] == DELETED:
            raise ReplicaNotFoundException(f"{of['RegionName']} has no replica of '{name}'")
        if "ReplicaTableClass" in of:
            table_settings.check_table_class({"TableClass": of["ReplicaTableClass"]})
    known = {index.name for index in table.global_indexes}
    for index in (*of_indexes, *indexes_of_replicas):
        if index["IndexName"] not in known:
            raise IndexNotFoundException(f"Index not found: {index['IndexName']} of '{name}'")
    _check_units(request, table, known)


def _check_units(request: Request, table: Descriptor, indexes: set[str]) -> None:
    """Units belong to provisioned throughput; a change to it must give units for writing and for reading to all."""
    mode = request.get("GlobalTableBillingMode", table.billing_mode)
    units = "GlobalTableProvisionedWriteCapacityUnits" in request
    if mode == PAY_PER_REQUEST and units:
        raise ValidationException(
            f"{INVALID}Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is "
            "PAY_PER_REQUEST"
        )
    if mode == PROVISIONED and table.billing_mode == PAY_PER_REQUEST:
        given = {i["IndexName"] for i in request.get("GlobalTableGlobalSecondaryIndexSettingsUpdate", ())}
        if not units or indexes - given:
            raise ValidationException(
                f"{INVALID}ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is "
                "PROVISIONED"
            )


def _shared(request: Request, table: Descriptor) -> Request:
    """The shared settings as the request changes them."""
    settings = shared_settings.shared(table)
    mode = request.get("GlobalTableBillingMode", settings["Throughput"]["BillingMode"])
    if mode != settings["Throughput"]["BillingMode"]:
        settings = {
            name: _switched(value, mode) if name == "Throughput" or name.startswith(INDEX_THROUGHPUT) else value
            for name, value in settings.items()
        }
        settings["Throughput"]["BillingMode"] = mode
    if "GlobalTableProvisionedWriteCapacityUnits" in request:
        units = {"WriteCapacityUnits": request["GlobalTableProvisionedWriteCapacityUnits"]}
        settings["Throughput"] = settings["Throughput"] | units
    for index in request.get("GlobalTableGlobalSecondaryIndexSettingsUpdate", ()):
        if "ProvisionedWriteCapacityUnits" in index:
            name = INDEX_THROUGHPUT + index["IndexName"]
            settings[name] = settings[name] | {"WriteCapacityUnits": index["ProvisionedWriteCapacityUnits"]}
    return settings


def _switched(throughput: Request, mode: str) -> Request:
    """Throughput in another billing mode: none on demand; provisioned, one unit where the request names none."""
    units = 1 if mode == PROVISIONED else 0
    kept = {member: value for member, value in throughput.items() if member != "OnDemand"}
    return kept | {"ReadCapacityUnits": units, "WriteCapacityUnits": units}


def _overrides(of_replica: Request) -> Request:
    """The overrides that the request gives a replica."""
    given: Request = {}
    if "ReplicaProvisionedReadCapacityUnits" in of_replica:
        given[_READ] = {"ReadCapacityUnits": of_replica["ReplicaProvisionedReadCapacityUnits"]}
    if "ReplicaTableClass" in of_replica:
        given["TableClassOverride"] = of_replica["ReplicaTableClass"]
    for index in of_replica.get("ReplicaGlobalSecondaryIndexSettingsUpdate", ()):
        if "ProvisionedReadCapacityUnits" in index:
            units = {"ReadCapacityUnits": index["ProvisionedReadCapacityUnits"]}
            given[f"{index['IndexName']}/{_READ}"] = units
    return given
