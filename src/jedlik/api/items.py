"""PutItem, GetItem, UpdateItem and DeleteItem.

Each checks what can be said of the request alone, in the order in which DynamoDB does, then makes its keys and its
operation from the table as last seen, and reads or mutates once. Sources: the API reference; errors as DynamoDB
words them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from jedlik.api import item_collections, parameters, prepared
from jedlik.api.context import Context, Region
from jedlik.api.parameters import Request, Response
from jedlik.api.prepared import Prepared
from jedlik.model import items, key_values, keys, values, writes
from jedlik.model.capacity import Consumed, read_units
from jedlik.model.indexes import has_collections
from jedlik.model.tables import Table
from jedlik.model.writes import Change, Operation, check_descriptor, perform
from jedlik.storage.engine import Writes


async def get_item(context: Context, request: Request) -> Response:
    """An item, or the parts of it that are asked for; nothing if there is none."""
    region = context.region
    has_parameters = parameters.refuse_mixed(parameters.GET, request)
    key, _ = values.normalise_item(request["Key"])
    projection = None
    if has_parameters:
        known = parameters.placeholders(request)
        projection = parameters.projection(request, known)
        known.check_all_used()
    consistent = request.get("ConsistentRead", False)

    async def attempt(table: Table) -> bytes | None:
        key_values.check_key(table, key)
        if projection is not None:
            projection.refuse_nested_keys(table)
        read = (keys.descriptor_key(table.name), keys.item_key(table, key, region.secret))
        raw, stored = await region.engine.get(read, consistent)
        check_descriptor(table, raw)
        return stored

    stored = await region.with_table(request["TableName"], attempt)
    response: Response = {}
    if stored is not None:
        response["Item"] = items.fragment(stored) if projection is None else projection.apply(items.decode(stored))
    detail = request.get("ReturnConsumedCapacity", "NONE")
    if detail != "NONE":
        consumed = Consumed("Read")
        consumed.add(read_units(0 if stored is None else items.size(stored), consistent))
        response["ConsumedCapacity"] = consumed.document(request["TableName"], detail)
    return response


async def put_item(context: Context, request: Request) -> Response:
    """Store an item in place of the one with its key, if there is one."""
    return await _write(context.region, request, prepared.put(request, context.region.secret))


async def update_item(context: Context, request: Request) -> Response:
    """Change attributes of an item, or make it if there is none."""
    return await _write(context.region, request, prepared.update(request, context.region.secret))


async def delete_item(context: Context, request: Request) -> Response:
    """Delete an item; fine if there is none."""
    return await _write(context.region, request, prepared.delete(request, context.region.secret))


async def _write(region: Region, request: Request, write: Prepared) -> Response:
    """Do one write, and answer as the request asks."""

    async def attempt(table: Table) -> tuple[Operation, Change]:
        operation = write.operation(table)
        [full] = await item_collections.are_full(region, [operation]) if has_collections(table) else [False]
        at = region.clock()

        def decide(found: Sequence[bytes | None]) -> tuple[Writes, Change]:
            check_descriptor(table, found[0])
            into = Writes()
            change = perform(operation, found[1], into, region.secret, at)
            if full:
                item_collections.refuse_growth(change)
            return into, change

        read = (keys.descriptor_key(table.name), operation.key)
        return operation, await region.engine.mutate(read, decide)

    operation, change = await region.with_table(request["TableName"], attempt)
    response: Response = {}
    returned = request.get("ReturnValues", "NONE")
    if returned != "NONE":
        attributes = _RETURNED[returned](operation, change)
        if attributes:
            response["Attributes"] = attributes
    detail = request.get("ReturnConsumedCapacity", "NONE")
    if detail != "NONE":
        consumed = Consumed("Write")
        consumed.add_write(change)
        response["ConsumedCapacity"] = consumed.document(request["TableName"], detail)
    if request.get("ReturnItemCollectionMetrics") == "SIZE":
        [metrics] = await item_collections.metrics(region, [(operation, write.attributes)])
        if metrics is not None:
            response["ItemCollectionMetrics"] = metrics
    return response


def _whole(stored: bytes | None) -> Any:
    return None if stored is None else items.fragment(stored)


def _updated(operation: Operation, stored: bytes | None) -> Any:
    """Of an item before or after an update, what the update touches."""
    if stored is None or not isinstance(operation, writes.Update) or operation.action is None:
        return None
    return operation.action.updated(items.decode(stored))


_RETURNED: dict[str, Callable[[Operation, Change], Any]] = {
    "ALL_OLD": lambda _, change: _whole(change.old),
    "ALL_NEW": lambda _, change: _whole(change.new),
    "UPDATED_OLD": lambda operation, change: _updated(operation, change.old),
    "UPDATED_NEW": lambda operation, change: _updated(operation, change.new),
}
"""ReturnValues to the Attributes of the answer; where there is nothing to return there are no Attributes."""
