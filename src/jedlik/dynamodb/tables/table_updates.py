"""UpdateTable.

DynamoDB makes one sort of change at a time: all except changes of throughput and indexes must be alone in their
request. Each sort is a function here, which changes the update's descriptor. Changes take effect with the commit, yet
the answer shows them as under way, as DynamoDB's does: a client that waits for ACTIVE finds it at its first check. Only
a new index takes time; it is filled in the background.

Sources: the API reference of UpdateTable, and "Managing global secondary indexes" in the developer guide; which changes
fit together, what is refused first, and in what words, are DynamoDB's answers.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from jedlik.aws.context import Context
from jedlik.aws.errors import ValidationException
from jedlik.dynamodb import catalog, mini_transaction
from jedlik.dynamodb.capacity import throughput
from jedlik.dynamodb.capacity.throughput import INVALID, TABLE
from jedlik.dynamodb.encryption import chosen_keys, key_changes, open_keys
from jedlik.dynamodb.encryption.chosen_keys import Wanted
from jedlik.dynamodb.errors import DescriptorChanged
from jedlik.dynamodb.model import descriptors, keys, shared_settings, streams
from jedlik.dynamodb.model.definitions import PAY_PER_REQUEST, PROVISIONED, Billing, Descriptor, TableClass
from jedlik.dynamodb.model.mutations import Mutation
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.replication import replica_updates
from jedlik.dynamodb.tables import busy_tables, descriptions, index_updates, table_names, table_settings
from jedlik.dynamodb.tables.table_operations import described, stored
from jedlik.dynamodb.tables.unfinished_update import TableUpdate
from jedlik.regions import table_keyring

Request = dict[str, Any]
Response = dict[str, Any]

_ALONE = {
    "ReplicaUpdates": "Replica modification",
    "SSESpecification": "Server-Side Encryption modification",
    "TableClass": "TableClass modification",
    "DeletionProtectionEnabled": "DeletionProtection modification",
    "DisassociationProtectionEnabled": "DisassociationProtection modification",
    "WarmThroughput": "WarmThroughput",
}
"""Members that must be the only change in a request, in the order in which the error lists them."""

_CHANGES = (
    "ProvisionedThroughput",
    "BillingMode",
    "GlobalSecondaryIndexUpdates",
    "StreamSpecification",
    "SSESpecification",
    "DeletionProtectionEnabled",
    "DisassociationProtectionEnabled",
    "OnDemandThroughput",
    "WarmThroughput",
    "TableClass",
    "ReplicaUpdates",
)
"""Members that change something, unless they are an empty list or structure that changes nothing."""
_MAY_BE_EMPTY = ("SSESpecification",)


async def update_table(context: Context, request: Request) -> Response:
    """Change a table's settings, or add or delete a global index or a replica."""
    region = context.region
    changes = _check(request, region.name)
    found = await described(region, request["TableName"])
    busy_tables.check_changeable(found)
    await open_keys.ready(region, keys.table_id(found.id))
    replica_updates.check_usable(found, request)
    if "ReplicaUpdates" in changes:
        await replica_updates.check_elsewhere(region, found, request)
    counts = await descriptions.counts(region, found)
    name = table_names.resolve(request["TableName"], region.name, region.account)
    now, group_id = region.clock(), str(uuid.uuid4())
    keys_row = table_keyring.row(keys.table_id(found.id))
    wish = chosen_keys.wanted(request.get("SSESpecification", {}))
    if "SSESpecification" in changes:
        _check_new_key(found, wish)

    async def attempt(table: Table) -> TableUpdate:
        read = [catalog.key(name), *streams.current_key(table.descriptor)]
        if "SSESpecification" in changes:
            read.append(keys_row)
        return await mini_transaction.mutate_keys(region, read, decide)

    def decide(mutation: Mutation) -> TableUpdate:
        table = stored(name, mutation.found[catalog.key(name)])
        busy_tables.check_changeable(table)
        replica_updates.check_usable(table, request)
        if table.id != found.id:
            raise DescriptorChanged
        stream, keys_record = streams.current(table, mutation), mutation.found.get(keys_row)
        update = TableUpdate(table, region, now, stream, group_id, key, keys_record, mutation.writes)
        for member, change in _APPLY.items():
            if member in changes:
                change(update, request)
        update.table = shared_settings.noted(replica_updates.overruled(update.table, request, now), now)
        catalog.put(update.table, update.writes)
        return update

    async with chosen_keys.chosen(context, name, wish) as key:
        update = await catalog.with_table(region, name, attempt)
        if update.changes_key:
            key.learn(region, update.table)
    region.jobs_wanted.set()
    return {"TableDescription": update.answer(counts)}


# Checks of the request alone


def _check(request: Request, region: str) -> set[str]:
    """All checks of a request that need no table. Returns the members that change something."""
    table_settings.check_supported(request)
    changes = {m for m in _CHANGES if m in request and (m in _MAY_BE_EMPTY or request[m] not in ([], {}))}
    if not changes:
        raise ValidationException(
            "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates, "
            "SSESpecification, ReplicaUpdates, MultiAccountReplicaReady, ReplicaTransitRoleArn, "
            f"{'' if 'MultiRegionConsistency' in request else 'MultiRegionConsistency, '}"
            "DeletionProtectionEnabled, OnDemandThroughput, WarmThroughput or TableClass is required"
        )
    index_changes = request.get("GlobalSecondaryIndexUpdates")
    if index_changes == []:
        raise ValidationException(f"{INVALID}List of GlobalSecondaryIndexUpdates is empty")
    _check_combination(changes, request)
    _check_units(request)
    if index_changes is not None:
        index_updates.check(index_changes, request.get("AttributeDefinitions"))
    table_settings.check_table_class(request)
    table_settings.check_encryption(request)
    table_settings.check_stream(request, creating=False)
    if "ReplicaUpdates" in changes:
        replica_updates.check(request, region)
    return changes


def _check_combination(changes: set[str], request: Request) -> None:
    indexes = request.get("GlobalSecondaryIndexUpdates", ())
    if "WarmThroughput" in changes and any("Create" in change for change in indexes):
        raise ValidationException(
            f"{INVALID}Create global secondary index cannot be specified when updating WarmThroughput"
        )
    if "MultiRegionConsistency" in request and "ReplicaUpdates" in changes and len(changes) > 1:
        raise ValidationException("Requests that modify replicas or witnesses must not also modify other fields")
    for member, what in _ALONE.items():
        if member in changes and len(changes) > 1:
            raise ValidationException(f"{INVALID}{what} must be the only operation in the request")
    if "OnDemandThroughput" in changes and not changes <= {"OnDemandThroughput", "BillingMode"}:
        raise ValidationException(
            f"{INVALID}OnDemandThroughput can only be combined with BillingMode in an UpdateTable request"
        )
    stream = "StreamSpecification" in changes
    units = "ProvisionedThroughput" in changes
    if stream and (units or request.get("BillingMode") == PROVISIONED):
        raise ValidationException(f"{INVALID}You cannot modify stream status while updating table IOPS")
    if (stream or units) and any("Update" not in change for change in indexes):
        what = "changing stream status" if stream else "updating table IOPS"
        raise ValidationException(f"{INVALID}You cannot create or delete index while {what}")


def _check_units(request: Request) -> None:
    mode, units = request.get("BillingMode"), request.get("ProvisionedThroughput")
    if mode == PROVISIONED and units is None:
        raise ValidationException(f"{INVALID}ProvisionedThroughput must be specified when BillingMode is PROVISIONED")
    if mode == PAY_PER_REQUEST and units is not None:
        raise _no_units()
    if units is not None:
        throughput.check_bounds(units)


def _no_units() -> ValidationException:
    return ValidationException(
        f"{INVALID}Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is "
        "PAY_PER_REQUEST"
    )


# The changes


def _change_units(update: TableUpdate, request: Request) -> None:
    before, units = update.table, request["ProvisionedThroughput"]
    mode = before.billing_mode
    if request.get("BillingMode", mode) == PAY_PER_REQUEST:
        raise _no_units()
    throughput.check_maximum(units, TABLE, update.region.name)
    if mode == PROVISIONED:
        update.table = throughput.with_units(before, units, update.now, TABLE)
        update.shown["ProvisionedThroughput"] = throughput.not_yet(before, update.table)
        update.status = "UPDATING"


def _change_billing_mode(update: TableUpdate, request: Request) -> None:
    wanted = request["BillingMode"]
    update.status = "UPDATING"
    if wanted == update.table.billing_mode:
        return
    index_updates.switch(update, request.get("GlobalSecondaryIndexUpdates", ()), wanted)
    billing = update.table.billing or Billing(wanted)
    since = update.now if wanted == PAY_PER_REQUEST else billing.on_demand_since
    switched = throughput.switched(update.table, request.get("ProvisionedThroughput"))
    update.table = replace(switched, billing=replace(billing, mode=wanted, on_demand_since=since))
    update.switched = True
    update.shown["BillingModeSummary"] = {"BillingMode": wanted}


def _change_indexes(update: TableUpdate, request: Request) -> None:
    index_updates.apply(update, request["GlobalSecondaryIndexUpdates"], request.get("AttributeDefinitions", []))


def _change_on_demand(update: TableUpdate, request: Request) -> None:
    wanted = request["OnDemandThroughput"]
    throughput.check_on_demand(wanted, TABLE, update.table.billing_mode, creating=False)
    update.shown["OnDemandThroughput"] = (update.table.on_demand or {}) | wanted
    update.table = throughput.with_on_demand(update.table, wanted)


def _change_warm(update: TableUpdate, request: Request) -> None:
    wanted, current = request["WarmThroughput"], update.table.warm
    throughput.check_warmer(wanted, current, TABLE)
    update.table = throughput.with_warm(update.table, wanted)
    update.shown["WarmThroughput"] = current | {"Status": "UPDATING"}


def _change_stream(update: TableUpdate, request: Request) -> None:
    specification = request["StreamSpecification"]
    name = update.table.name
    if specification["StreamEnabled"]:
        if update.stream is not None:
            raise ValidationException(f"Table already has an enabled stream: TableName: {name}")
        view_type = specification["StreamViewType"]
        update.table = streams.enable(update.table, view_type, update.now, update.writes)
    else:
        if update.stream is None:
            raise ValidationException(f"Table has no stream to disable: TableName: {name}")
        update.table = streams.disable(update.table, update.stream, update.now, update.writes)
    update.status = "UPDATING"


def _check_new_key(table: Descriptor, wish: Wanted) -> None:
    """Whether a table may have a key of this kind."""
    current = table.encryption if table.key_number else None
    if not wish.by_kms and current is None:
        raise ValidationException(f"{INVALID}Table is already encrypted by default")
    replica_updates.check_encryption(table, wish.by_kms and wish.key is not None)


def _change_encryption(update: TableUpdate, request: Request) -> None:
    table, chosen = update.table, update.key.encryption
    _check_new_key(table, chosen_keys.wanted(request["SSESpecification"]))
    current = table.encryption if table.key_number else None
    update.shown["SSEDescription"] = descriptors.document(table).get("SSEDescription", {}) | {"Status": "UPDATING"}
    if current is not None and chosen is not None and chosen.key_arn == current.key_arn:
        if "KMSMasterKeyId" in request["SSESpecification"]:
            raise ValidationException(
                f"{INVALID}Table is already encrypted with given KMSMasterKeyId. "
                "Use KMSMasterKeyId parameter if you want to change Master Key"
            )
        return
    update.table = update.key.of_changed(table, update.keys_record, update.writes)
    update.changes_key = True
    key_changes.submit(update.table, update.writes)


def _change_table_class(update: TableUpdate, request: Request) -> None:
    wanted = request["TableClass"]
    current = "STANDARD" if update.table.table_class is None else update.table.table_class.name
    update.status = "UPDATING"
    if wanted == current:
        return
    if update.table.table_class is not None:
        update.shown["TableClassSummary"] = descriptors.document(update.table)["TableClassSummary"]
    update.table = replace(update.table, table_class=TableClass(wanted, update.now))


def _change_deletion_protection(update: TableUpdate, request: Request) -> None:
    update.table = replace(update.table, protected=request["DeletionProtectionEnabled"])


_APPLY: dict[str, Callable[[TableUpdate, Request], None]] = {
    "ProvisionedThroughput": _change_units,
    "BillingMode": _change_billing_mode,
    "GlobalSecondaryIndexUpdates": _change_indexes,
    "OnDemandThroughput": _change_on_demand,
    "WarmThroughput": _change_warm,
    "StreamSpecification": _change_stream,
    "SSESpecification": _change_encryption,
    "TableClass": _change_table_class,
    "DeletionProtectionEnabled": _change_deletion_protection,
    "DisassociationProtectionEnabled": replica_updates.change_protection,
    "ReplicaUpdates": replica_updates.change,
}
"""The changes of the request's members, in the order in which they are made: a change of billing mode comes after the
changes that the old mode would refuse, and before those that need the new one."""
