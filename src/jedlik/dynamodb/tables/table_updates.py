"""UpdateTable.

DynamoDB makes one sort of change at a time: all but changes of throughput and indexes must be alone in their
request. Each sort is a function here, which takes the update on from the table's document to the changed one.
Changes take effect with the commit, yet the answer shows them as under way, as DynamoDB's does: a client that
waits for ACTIVE finds it at its first look. Only a new index takes time; it is filled in the background.

Sources: the API reference of UpdateTable, and "Managing global secondary indexes" in the developer guide;
what goes together, what is refused first, and in what words, are DynamoDB's answers.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any

from jedlik.aws.context import Context
from jedlik.aws.errors import ValidationException
from jedlik.dynamodb import catalog
from jedlik.dynamodb.capacity import throughput
from jedlik.dynamodb.capacity.throughput import INVALID, TABLE
from jedlik.dynamodb.model import descriptors, keys, shared_settings, streams, tables
from jedlik.dynamodb.model.tables import PAY_PER_REQUEST, PROVISIONED, Table
from jedlik.dynamodb.replication import replica_updates
from jedlik.dynamodb.tables import descriptions, index_updates, table_names, table_settings
from jedlik.dynamodb.tables.table_operations import parse_document, read_document
from jedlik.dynamodb.tables.unfinished_update import Update
from jedlik.storage.engine import Writes

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
"""What must be the only change in a request, in the order in which it is said."""

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
"""Members that change something, if they are not an empty list or structure where that says nothing."""
_MAY_BE_EMPTY = ("SSESpecification",)


async def update_table(context: Context, request: Request) -> Response:
    """Change a table's settings, or add or delete a global index or a replica."""
    region = context.region
    changes = _check(request, region.name)
    found = await read_document(region, request["TableName"])
    replica_updates.check_usable(found, request)
    if "ReplicaUpdates" in changes:
        await replica_updates.check_elsewhere(region, found, request)
    counts = await descriptions.counts(region, found)
    name = table_names.resolve(request["TableName"], region.name, region.account)
    now, group_id = region.clock(), str(uuid.uuid4())

    async def attempt(table: Table) -> Update:
        return await region.engine.mutate([keys.descriptor_key(name), *streams.current_key(table.document)], decide)

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, Update]:
        document = parse_document(name, values[0])
        replica_updates.check_usable(document, request)
        update = Update(document, region, now, streams.current(document, values[1:]), group_id)
        for member, change in _APPLY.items():
            if member in changes:
                change(update, request)
        update.document = shared_settings.noted(replica_updates.overruled(update.document, request, now), now)
        update.writes.put(keys.descriptor_key(name), descriptors.serialize(update.document))
        return update.writes, update

    update = await catalog.with_table(region, name, attempt)
    region.jobs_wanted.set()
    return {"TableDescription": update.answer(counts)}


# What can be said of the request alone


def _check(request: Request, region: str) -> set[str]:
    """All that can be said against a request without its table; returns the members that change something."""
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


def _change_units(update: Update, request: Request) -> None:
    document, units = update.document, request["ProvisionedThroughput"]
    mode = tables.billing_mode(document)
    if request.get("BillingMode", mode) == PAY_PER_REQUEST:
        raise _no_units()
    throughput.check_maximum(units, TABLE, update.region.name)
    if mode == PROVISIONED:
        update.document = throughput.with_units(document, units, update.now, TABLE)
        update.shown["ProvisionedThroughput"] = throughput.not_yet(document, update.document)
        update.status = "UPDATING"


def _change_billing_mode(update: Update, request: Request) -> None:
    wanted = request["BillingMode"]
    update.status = "UPDATING"
    if wanted == tables.billing_mode(update.document):
        return
    index_updates.switch(update, request.get("GlobalSecondaryIndexUpdates", ()), wanted)
    summary = update.document.get("BillingModeSummary", {}) | {"BillingMode": wanted}
    if wanted == PAY_PER_REQUEST:
        summary["LastUpdateToPayPerRequestDateTime"] = update.now
    switched = throughput.switched(update.document, request.get("ProvisionedThroughput"))
    update.document = switched | {"BillingModeSummary": summary}
    update.switched = True
    update.shown["BillingModeSummary"] = {"BillingMode": wanted}


def _change_indexes(update: Update, request: Request) -> None:
    index_updates.apply(update, request["GlobalSecondaryIndexUpdates"], request.get("AttributeDefinitions", []))


def _change_on_demand(update: Update, request: Request) -> None:
    wanted = request["OnDemandThroughput"]
    throughput.check_on_demand(wanted, TABLE, tables.billing_mode(update.document), creating=False)
    update.shown["OnDemandThroughput"] = update.document.get("OnDemandThroughput", {}) | wanted
    update.document = throughput.with_on_demand(update.document, wanted)


def _change_warm(update: Update, request: Request) -> None:
    wanted, current = request["WarmThroughput"], update.document["WarmThroughput"]
    throughput.check_warmer(wanted, current, TABLE)
    update.document = throughput.with_warm(update.document, wanted)
    update.shown["WarmThroughput"] = current | {"Status": "UPDATING"}


def _change_stream(update: Update, request: Request) -> None:
    specification = request["StreamSpecification"]
    name = update.document["TableName"]
    if specification["StreamEnabled"]:
        if update.stream is not None:
            raise ValidationException(f"Table already has an enabled stream: TableName: {name}")
        view_type = specification["StreamViewType"]
        update.document = streams.enable(update.document, view_type, update.now, update.writes)
    else:
        if update.stream is None:
            raise ValidationException(f"Table has no stream to disable: TableName: {name}")
        update.document = streams.disable(update.document, update.stream, update.now, update.writes)
    update.status = "UPDATING"


def _change_encryption(update: Update, request: Request) -> None:
    current = update.document.get("SSEDescription")
    wanted = table_settings.encryption(request["SSESpecification"], update.region.name, update.region.account)
    if wanted is None and current is None:
        raise ValidationException(f"{INVALID}Table is already encrypted by default")
    if wanted == current and "KMSMasterKeyId" in request["SSESpecification"]:
        raise ValidationException(
            f"{INVALID}Table is already encrypted with given KMSMasterKeyId. "
            "Use KMSMasterKeyId parameter if you want to change Master Key"
        )
    replica_updates.check_encryption(update.document, wanted)
    update.document = {name: value for name, value in update.document.items() if name != "SSEDescription"}
    if wanted is not None:
        update.document["SSEDescription"] = wanted
    update.shown["SSEDescription"] = (current or {}) | {"Status": "UPDATING"}


def _change_table_class(update: Update, request: Request) -> None:
    wanted = request["TableClass"]
    current = update.document.get("TableClassSummary", {}).get("TableClass", "STANDARD")
    update.status = "UPDATING"
    if wanted == current:
        return
    if "TableClassSummary" in update.document:
        update.shown["TableClassSummary"] = update.document["TableClassSummary"]
    update.document = update.document | {"TableClassSummary": {"TableClass": wanted, "LastUpdateDateTime": update.now}}


def _change_deletion_protection(update: Update, request: Request) -> None:
    update.document = update.document | {"DeletionProtectionEnabled": request["DeletionProtectionEnabled"]}


_APPLY: dict[str, Callable[[Update, Request], None]] = {
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
"""The change that a member asks for, in the order in which they are made: a change of billing mode comes
after what would be wrong in the old one, and before what it makes right."""
