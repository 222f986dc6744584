"""getItem, putItem, updateItem and deleteItem: through the item cache.

An eventually consistent read is answered from the cache, or fills it. A write goes to the table first, and from then on
the cache has what it wrote. A strongly consistent read passes by.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jedlik.aws.errors import ServiceError
from jedlik.dax import call_parameters, results_on_the_wire, wire_values
from jedlik.dax.call_parameters import CallParameters
from jedlik.dax.expression_texts import Expressions, Steps
from jedlik.dax.plane import Call, Plane, raw_bytes, table_name
from jedlik.dax.results_on_the_wire import SUCCESS
from jedlik.dax.wire_keys import KeySchema
from jedlik.dax.wire_values import BREAK, STREAM, Item


async def get_item(plane: Plane, call: Call) -> bytes:
    """Table, key, parameters."""
    raw_table, raw_key, given = call.arguments
    table, parameters = table_name(raw_table), CallParameters(given)
    schema = await plane.schema(call, table)
    key = schema.key(raw_bytes(raw_key, "a key"))
    paths = parameters.projection
    request: dict[str, Any] = {"TableName": table, "Key": key}
    if paths is not None:
        expressions = Expressions()
        request["ProjectionExpression"] = plane.projection(expressions, paths)
        request |= expressions.parameters
    if parameters.capacity != "NONE":
        request["ReturnConsumedCapacity"] = parameters.capacity
    if parameters.flag(call_parameters.CONSISTENT_READ):
        request["ConsistentRead"] = True
        result = await plane.ask(call, "GetItem", request)
        item, capacity = await _item(plane, call, schema, paths, result), result.get("ConsumedCapacity")
        return results_on_the_wire.found(item, results_on_the_wire.consumed(capacity) if capacity else None)
    variant = parameters.raw(call_parameters.PROJECTION) or b""
    place = plane.item_key(call, table, schema, key)
    kept = plane.cache.find(place, variant)
    if kept is not None:
        call.asker.counts.item_hits.add(1)
        return kept
    call.asker.counts.item_misses.add(1)
    leases = await plane.leases(call, table, schema, [place])
    try:
        result = await plane.ask(call, "GetItem", request)
        item = await _item(plane, call, schema, paths, result)
        answer = results_on_the_wire.found(item)
        if leases is not None:
            plane.cache.fill(place, leases[0], variant, answer, (await plane.lives(call)).items)
    finally:
        if leases is not None:
            plane.cache.release(place, leases[0])
    capacity = result.get("ConsumedCapacity")
    return results_on_the_wire.found(item, results_on_the_wire.consumed(capacity)) if capacity else answer


async def _item(
    plane: Plane, call: Call, schema: KeySchema, paths: tuple[Steps, ...] | None, result: Mapping[str, Any]
) -> bytes | None:
    """The item of a result, as CBOR; None if nothing was found."""
    if "Item" not in result:
        return None
    item = results_on_the_wire.plain_item(result["Item"])
    return await plane.values(call, schema, item) if paths is None else results_on_the_wire.chosen(paths, item)


async def put_item(plane: Plane, call: Call) -> bytes:
    """Table, key, values, parameters."""
    raw_table, raw_key, raw_values, given = call.arguments
    table, parameters = table_name(raw_table), CallParameters(given)
    schema = await plane.schema(call, table)
    key = schema.key(raw_bytes(raw_key, "a key"))
    item = await plane.item(call, schema, key, raw_bytes(raw_values, "an item"))
    request: dict[str, Any] = {"TableName": table, "Item": item}
    return await _write(plane, call, "PutItem", request, parameters, schema, key)


async def delete_item(plane: Plane, call: Call) -> bytes:
    """Table, key, parameters."""
    raw_table, raw_key, given = call.arguments
    table, parameters = table_name(raw_table), CallParameters(given)
    schema = await plane.schema(call, table)
    key = schema.key(raw_bytes(raw_key, "a key"))
    return await _write(plane, call, "DeleteItem", {"TableName": table, "Key": key}, parameters, schema, key)


async def update_item(plane: Plane, call: Call) -> bytes:
    """Table, key, parameters."""
    raw_table, raw_key, given = call.arguments
    table, parameters = table_name(raw_table), CallParameters(given)
    schema = await plane.schema(call, table)
    key = schema.key(raw_bytes(raw_key, "a key"))
    return await _write(plane, call, "UpdateItem", {"TableName": table, "Key": key}, parameters, schema, key)


async def _write(
    plane: Plane,
    call: Call,
    operation: str,
    request: dict[str, Any],
    parameters: CallParameters,
    schema: KeySchema,
    key: Item,
) -> bytes:
    """Write one item to its table, then to the cache."""
    expressions = Expressions()
    update = parameters.raw(call_parameters.UPDATE)
    if update is not None:
        request["UpdateExpression"] = expressions.update(update)
    condition = parameters.raw(call_parameters.CONDITION)
    if condition is not None:
        request["ConditionExpression"] = expressions.condition(condition)
    request |= expressions.parameters
    returned = parameters.returned
    if returned != "NONE":
        request["ReturnValues"] = returned
    if parameters.capacity != "NONE":
        request["ReturnConsumedCapacity"] = parameters.capacity
    if parameters.metrics != "NONE":
        request["ReturnItemCollectionMetrics"] = parameters.metrics
    table = request["TableName"]
    try:
        result = await plane.ask(call, operation, request)
    except ServiceError:
        raise
    except BaseException:  # It may have been written.
        plane.cache.drop(plane.item_key(call, table, schema, key))
        raise
    await plane.read_again(call, table, schema, [key])
    return await _answer(plane, call, returned, result, schema)


async def _answer(plane: Plane, call: Call, returned: str, result: Mapping[str, Any], schema: KeySchema) -> bytes:
    """The answer to a write, with what was asked for: nothing but null, mostly."""
    into = bytearray()
    if "ConsumedCapacity" in result:
        wire_values.integer(results_on_the_wire.CONSUMED_CAPACITY, into)
        into += results_on_the_wire.consumed(result["ConsumedCapacity"])
    if returned != "NONE" and "Attributes" in result:
        attributes = results_on_the_wire.plain_item(result["Attributes"])
        wire_values.integer(results_on_the_wire.ATTRIBUTES, into)
        if returned.startswith("UPDATED"):
            names = tuple(sorted(attributes))
            into += results_on_the_wire.changed(await plane.list_number(call, names), names, attributes)
        else:
            into += await plane.values(call, schema, attributes)
    if "ItemCollectionMetrics" in result:
        wire_values.integer(results_on_the_wire.COLLECTION_METRICS, into)
        into += results_on_the_wire.collection_metrics(result["ItemCollectionMetrics"])
    return SUCCESS + STREAM + into + BREAK if into else SUCCESS + wire_values.NULL
