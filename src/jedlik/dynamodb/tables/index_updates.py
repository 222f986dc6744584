"""Changes of a table's global indexes by UpdateTable: one created or deleted at a time, any number updated.

A new index takes the table's next index number, which no index of the table ever had, and is CREATING until its
backfill, which begins with the commit, has filled it (`tables.backfill`). A deleted one disappears with the commit, and
its entries are removed in the background (`tables.purge`).

Sources: "Managing global secondary indexes" in the developer guide; the texts are DynamoDB's answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jedlik.aws.errors import LimitExceededException, ValidationException
from jedlik.dynamodb.capacity import throughput
from jedlik.dynamodb.capacity.throughput import INVALID, Of
from jedlik.dynamodb.errors import ResourceInUseException, ResourceNotFoundException
from jedlik.dynamodb.model.definitions import (
    PAY_PER_REQUEST,
    PROVISIONED,
    Definitions,
    Descriptor,
    IndexDefinition,
    with_index,
    without_index,
)
from jedlik.dynamodb.model.limits import GLOBAL_INDEXES
from jedlik.dynamodb.tables import backfill, index_definitions, purge

if TYPE_CHECKING:
    from jedlik.dynamodb.tables.unfinished_update import TableUpdate

IndexUpdate = dict[str, Any]
"""An element of GlobalSecondaryIndexUpdates: Create, Update or Delete."""

_ACTIONS = ("Update", "Create", "Delete")


def check(changes: Sequence[IndexUpdate], definitions: Definitions | None) -> None:
    """All checks of changes that need no table. Raises ValidationException."""
    seen = set()
    for change in changes:
        actions = [action for action in _ACTIONS if action in change]
        if not actions:
            names = ", ".join(f"GlobalSecondaryIndexUpdate.{action}" for action in _ACTIONS)
            raise ValidationException(f"{INVALID}One of {names} must not be null")
        if len(actions) > 1:
            raise ValidationException(
                f"{INVALID}Only one global secondary index action is allowed per GlobalSecondaryIndexUpdate object"
            )
        name = change[actions[0]]["IndexName"]
        if name in seen:
            raise ValidationException(
                f"{INVALID}Only one global secondary index update per index is allowed simultaneously. Index: {name}"
            )
        seen.add(name)
        if change.get("Update", {}).get("WarmThroughput") == {}:
            raise ValidationException(
                f"{INVALID}WarmThroughput must have at least one of ReadUnitsPerSecond or WriteUnitsPerSecond "
                f"specified for index: {name}"
            )
        if "Create" in change:
            _check_new(change["Create"], definitions)


def _check_new(index: dict[str, Any], definitions: Definitions | None) -> None:
    if not definitions:
        raise ValidationException(f"{INVALID}AttributeDefinitions is not specified for index: {index['IndexName']}")
    index_definitions.check_global_key(index["KeySchema"], definitions)
    index_definitions.check_projection(index["Projection"])


def switch(update: TableUpdate, changes: Sequence[IndexUpdate], mode: str) -> None:
    """Adapt the indexes when the table's billing mode changes to `mode`.

    A change to provisioned throughput must give each index some in the same request. Raises ValidationException.
    """
    units = {
        change["Update"]["IndexName"]: change["Update"]["ProvisionedThroughput"]
        for change in changes
        if "ProvisionedThroughput" in change.get("Update", {})
    }
    names = [index.name for index in update.table.global_indexes]
    missing = [name for name in names if name not in units]
    if mode == PROVISIONED and missing:
        raise ValidationException(f"{INVALID}ProvisionedThroughput must be specified for index: {','.join(missing)}")
    switched = (throughput.switched(index, units.get(index.name)) for index in update.table.global_indexes)
    update.table = replace(update.table, global_indexes=tuple(switched))
    update.shown_indexes |= {name: {"IndexStatus": "UPDATING"} for name in names}


def apply(update: TableUpdate, changes: Sequence[IndexUpdate], definitions: Definitions) -> None:
    """Make the changes. Raises the errors of `check` that need the table."""
    _check_one_at_a_time(update.table, changes)
    for change in changes:
        if "ProvisionedThroughput" in change.get("Update", {}):
            throughput.check_index_bounds(change["Update"]["ProvisionedThroughput"])
    for change in changes:
        for action, settings in change.items():
            _APPLY[action](update, settings, definitions)


def _check_one_at_a_time(table: Descriptor, changes: Sequence[IndexUpdate]) -> None:
    """Only one index at a time may be under creation or deletion. It may be deleted while it is being created."""
    moving = {index.name for index in table.global_indexes if index.status == "CREATING"}
    for change in changes:
        if "Create" in change:
            moving.add(change["Create"]["IndexName"])
        if "Delete" in change:
            moving.add(change["Delete"]["IndexName"])
    if any("Update" not in change for change in changes) and len(moving) > 1:
        raise LimitExceededException(
            "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table"
        )


def _create(update: TableUpdate, settings: dict[str, Any], definitions: Definitions) -> None:
    table, name = update.table, settings["IndexName"]
    if any(index.name == name for index in table.indexes):
        raise ValidationException("Attempting to create an index which already exists")
    if len(table.global_indexes) >= GLOBAL_INDEXES:
        raise LimitExceededException(
            f"Subscriber limit exceeded: Number of global secondary indexes exceeds per-table limit of {GLOBAL_INDEXES}"
        )
    index_definitions.check_not_redefined(settings["KeySchema"], definitions, table.attributes)
    index_definitions.check_projected_count([*(index.projection for index in table.indexes), settings["Projection"]])
    _check_new_throughput(update, settings)
    being_made = {"status": "CREATING", "backfilling": True, **throughput.initial(settings)}
    update.table = with_index(table, settings, being_made, definitions)
    update.status = "UPDATING"
    update.shown_indexes[name] = {"Backfilling": False}
    backfill.submit(update.table, table.next_index, update.writes)


def _check_new_throughput(update: TableUpdate, settings: dict[str, Any]) -> None:
    name, units = settings["IndexName"], settings.get("ProvisionedThroughput")
    mode = update.table.billing_mode
    if mode == PAY_PER_REQUEST and units is not None:
        raise ValidationException(
            f"{INVALID}Neither ReadCapacityUnits nor WriteCapacityUnits can be specified for index: {name} "
            "when BillingMode is PAY_PER_REQUEST"
        )
    if mode == PROVISIONED and units is None:
        raise _units_missing(name)
    if units is not None:
        throughput.check_maximum(units, Of(name), update.region.name)
    throughput.check_on_demand(settings.get("OnDemandThroughput", {}), Of(name), mode, creating=True)
    throughput.check_first_warm(settings.get("WarmThroughput", {}), Of(name), units)


def _update(update: TableUpdate, settings: dict[str, Any], definitions: Definitions) -> None:
    name = settings["IndexName"]
    before = _existing(update.table, name, "update")
    if before.status == "CREATING":
        raise ResourceInUseException(
            "Attempt to change a resource which is still in use: Index is being created. "
            f"Table: {update.table.name} Index: {name}"
        )
    mode = update.table.billing_mode
    units, on_demand = settings.get("ProvisionedThroughput"), settings.get("OnDemandThroughput")
    warm = settings.get("WarmThroughput")
    if mode == PAY_PER_REQUEST and (units is not None or not (on_demand or warm)):
        raise ValidationException(
            f"{INVALID}The only Updates for index: {name} when TableThroughputMode is PAY_PER_REQUEST can be to "
            "OnDemandThroughput, WarmThroughput"
        )
    if units is None and not (on_demand or warm):
        raise _units_missing(name)
    after, shown = before, update.shown_indexes.setdefault(name, {})
    if units is not None and not update.switched:
        throughput.check_maximum(units, Of(name), update.region.name)
        after = throughput.with_units(after, units, update.now, Of(name))
        shown |= {"IndexStatus": "UPDATING", "ProvisionedThroughput": throughput.not_yet(before, after)}
    if on_demand:
        throughput.check_on_demand(on_demand, Of(name), mode, creating=False)
        after = throughput.with_on_demand(after, on_demand)
        shown |= {"IndexStatus": "UPDATING"}
    if warm:
        throughput.check_warmer(warm, before.warm, Of(name))
        after = throughput.with_warm(after, warm)
        shown |= {"WarmThroughput": before.warm | {"Status": "UPDATING"}}
    indexes = (after if index is before else index for index in update.table.global_indexes)
    update.table = replace(update.table, global_indexes=tuple(indexes))


def _delete(update: TableUpdate, settings: dict[str, Any], definitions: Definitions) -> None:
    name = settings["IndexName"]
    deleted = _existing(update.table, name, "delete")
    update.table = without_index(update.table, name)
    update.status = "UPDATING"
    update.deleted_indexes.append(replace(deleted, backfilling=None))
    update.shown_indexes[name] = {"IndexStatus": "DELETING"}
    purge.submit_index(update.table, deleted.number, update.writes)


_APPLY: dict[str, Callable[[TableUpdate, dict[str, Any], Definitions], None]] = {
    "Create": _create,
    "Update": _update,
    "Delete": _delete,
}


def _existing(table: Descriptor, name: str, verb: str) -> IndexDefinition:
    for index in table.global_indexes:
        if index.name == name:
            return index
    if any(index.name == name for index in table.local_indexes):
        raise ValidationException(f"Cannot {verb} an index that is not a GlobalSecondaryIndex: {name}")
    raise ResourceNotFoundException(f"Requested resource not found: Index {name} for table {table.name}")


def _units_missing(name: str) -> ValidationException:
    return ValidationException(
        f"{INVALID}Both ReadCapacityUnits and WriteCapacityUnits must be specified for index: {name}"
    )
