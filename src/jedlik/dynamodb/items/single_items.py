"""PutItem, GetItem, UpdateItem and DeleteItem.

Each first checks the request alone, in DynamoDB's order, then makes its keys and its operation from the table as last
seen, and reads or mutates once. Sources: the API reference; errors as DynamoDB words them.
"""

from __future__ import annotations

from jedlik.aws.context import Context
from jedlik.aws.errors import ValidationException
from jedlik.aws.meter import Meter
from jedlik.aws.stored_items import StoredItem
from jedlik.dynamodb import catalog
from jedlik.dynamodb.capacity import charging
from jedlik.dynamodb.items import item_collections, parameters, prepared, single_writes
from jedlik.dynamodb.items.parameters import Request, Response
from jedlik.dynamodb.items.prepared import Prepared
from jedlik.dynamodb.model import items, key_values, keys, values
from jedlik.dynamodb.model.expressions.projections import Projection
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.model.writes import check_descriptor


async def get_item(context: Context, request: Request) -> Response:
    """An item, or the requested parts of it; nothing if it does not exist."""
    region = context.region
    has_parameters = parameters.refuse_mixed(parameters.GET, request)
    key, _ = values.normalise_item(request["Key"])
    projection = None
    if has_parameters:
        placeholders = parameters.placeholders(request)
        projection = parameters.projection(request, placeholders)
        placeholders.check_all_used()
    consistent = request.get("ConsistentRead", False)
    name = request["TableName"]

    if projection is None:
        # Nearly always the table is as it was last seen, and this is all.
        known = catalog.last_seen(region, name)
        if known is not None:
            try:
                key_values.check_key(known, key)
                read = known.descriptor_key, keys.item_key(known, key, region.secret)
                raw, stored = await region.engine.get(read, consistent)
            except ValidationException:
                raw = None  # The present table decides.
            if raw == known.raw:
                charging.got(context.meter, known, name, stored, consistent)
                if "ReturnConsumedCapacity" in request or stored is None:
                    return _answer(context.meter, request, stored, None)
                return {"Item": StoredItem(stored, items.HEADER)}

    async def attempt(table: Table) -> bytes | None:
        key_values.check_key(table, key)
        if projection is not None:
            projection.refuse_nested_keys(table)
        read = (table.descriptor_key, keys.item_key(table, key, region.secret))
        raw, stored = await region.engine.get(read, consistent)
        check_descriptor(table, raw)
        charging.got(context.meter, table, name, stored, consistent)
        return stored

    stored = await catalog.with_table(region, name, attempt)
    return _answer(context.meter, request, stored, projection)


def _answer(meter: Meter, request: Request, stored: bytes | None, projection: Projection | None) -> Response:
    """The answer of a GetItem, which has been charged."""
    response: Response = {}
    if stored is not None:
        response["Item"] = items.whole(stored) if projection is None else projection.apply(items.decode(stored))
    if "ReturnConsumedCapacity" in request and request["ReturnConsumedCapacity"] != "NONE":
        response["ConsumedCapacity"] = charging.consumed(meter, request["ReturnConsumedCapacity"])
    return response


async def put_item(context: Context, request: Request) -> Response:
    """Store an item in place of the one with its key, if that exists."""
    return await _write(context, request, prepared.put(request, context.region.secret))


async def update_item(context: Context, request: Request) -> Response:
    """Change attributes of an item, or create the item."""
    return await _write(context, request, prepared.update(request, context.region.secret, alone=True))


async def delete_item(context: Context, request: Request) -> Response:
    """Delete an item; it need not exist."""
    return await _write(context, request, prepared.delete(request, context.region.secret))


async def _write(context: Context, request: Request, write: Prepared) -> Response:
    """Do one write, and answer as the request demands."""
    operation, change = await single_writes.write(context, request["TableName"], write.operation)
    response = single_writes.answer(context, request, operation, change)
    if request.get("ReturnItemCollectionMetrics") == "SIZE":
        [metrics] = await item_collections.metrics(context.region, [(operation, write.attributes)])
        if metrics is not None:
            response["ItemCollectionMetrics"] = metrics
    return response
