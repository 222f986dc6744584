"""transactGetItems and transactWriteItems: past the cache.

Reads of transactions are neither answered from the cache nor kept. The items that a transaction has written are dropped
from it, and read again in the background, as AWS does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jedlik.aws.errors import ServiceError
from jedlik.aws.protocols.cbor_values import NotCbor
from jedlik.dax import call_parameters, results_on_the_wire, wire_values
from jedlik.dax.cache import Key, Lease
from jedlik.dax.call_parameters import CallParameters
from jedlik.dax.cluster_access import CHECK, DELETE, PUT, UPDATE
from jedlik.dax.expression_texts import Expressions, projected
from jedlik.dax.plane import Call, Plane, raw_bytes, table_name
from jedlik.dax.results_on_the_wire import SUCCESS, plain_item
from jedlik.dax.wire_keys import KeySchema
from jedlik.dax.wire_values import NULL, Item

OPERATIONS = {PUT: "Put", DELETE: "Delete", UPDATE: "Update", CHECK: "ConditionCheck"}
RETURNED_ON_FAILURE = {1: "NONE", 2: "ALL_OLD"}


class _Written(NamedTuple):
    """An item that a transaction writes."""

    table: str
    schema: KeySchema
    key: Item
    place: Key


async def transact_get_items(plane: Plane, call: Call) -> bytes:
    """Tables, keys, projections, parameters."""
    tables, keys, projections, given = call.arguments
    parameters = CallParameters(given)
    count = len(_list(tables))
    elements, schemas, paths = [], [], []
    for name, raw_key, projection in zip(tables, _each(keys, count), _each(projections, count), strict=True):
        table = table_name(name)
        schema = await plane.schema(call, table)
        get: dict[str, Any] = {"TableName": table, "Key": schema.key(raw_bytes(raw_key, "a key"))}
        chosen = None if projection is None else projected(raw_bytes(projection, "a projection"))
        if chosen is not None:
            expressions = Expressions()
            get["ProjectionExpression"] = plane.projection(expressions, chosen)
            get |= expressions.parameters
        elements.append({"Get": get})
        schemas.append(schema)
        paths.append(chosen)
    request: dict[str, Any] = {"TransactItems": elements}
    if parameters.capacity != "NONE":
        request["ReturnConsumedCapacity"] = parameters.capacity
    result = await _asked(plane, call, "TransactGetItems", request, schemas)
    into = bytearray(SUCCESS)
    wire_values.array(2, into)
    wire_values.array(count, into)
    for response, schema, chosen in zip(result["Responses"], schemas, paths, strict=True):
        if "Item" not in response:
            into += NULL
        elif chosen is None:
            into += await plane.values(call, schema, plain_item(response["Item"]))
        else:
            into += results_on_the_wire.chosen(chosen, plain_item(response["Item"]))
    _write_capacities(result, into)
    return bytes(into)


async def transact_write_items(plane: Plane, call: Call) -> bytes:
    """Operations, tables, keys, items, null, what to return of a failure, conditions, updates, parameters."""
    operations, tables, keys, values, _, on_failure, conditions, updates, given = call.arguments
    parameters = CallParameters(given)
    count = len(_list(operations))
    columns = [_each(column, count) for column in (tables, keys, values, on_failure, conditions, updates)]
    elements, schemas = [], []
    places: list[Key] = []
    written: list[_Written] = []
    for operation, name, raw_key, item, returned, condition, update in zip(operations, *columns, strict=True):
        table = table_name(name)
        schema = await plane.schema(call, table)
        key = schema.key(raw_bytes(raw_key, "a key"))
        element = await _element(plane, call, schema, operation, key, item)
        expressions = Expressions()
        if update is not None:
            element["UpdateExpression"] = expressions.update(raw_bytes(update, "an update"))
        if condition is not None:
            element["ConditionExpression"] = expressions.condition(raw_bytes(condition, "a condition"))
        if returned is not None:
            element["ReturnValuesOnConditionCheckFailure"] = _returned(returned)
        elements.append({OPERATIONS[operation]: {"TableName": table, **element, **expressions.parameters}})
        schemas.append(schema)
        if OPERATIONS[operation] != "ConditionCheck":
            places.append(plane.item_key(call, table, schema, key))
            written.append(_Written(table, schema, dict(key), places[-1]))
    request: dict[str, Any] = {"TransactItems": elements}
    if parameters.capacity != "NONE":
        request["ReturnConsumedCapacity"] = parameters.capacity
    if parameters.metrics != "NONE":
        request["ReturnItemCollectionMetrics"] = parameters.metrics
    token = parameters.named(call_parameters.TOKEN)
    if token is not None:
        request["ClientRequestToken"] = token
    try:
        result = await _asked(plane, call, "TransactWriteItems", request, schemas)
    except ServiceError:
        raise
    except BaseException:  # It may have been done.
        _drop(plane, places)
        raise
    _drop(plane, places)
    if written:
        plane.begin(_refresh(plane, call, written))
    into = bytearray(SUCCESS)
    wire_values.array(3, into)
    wire_values.array(0, into)
    _write_capacities(result, into)
    results_on_the_wire.collection_metrics_by_table(result.get("ItemCollectionMetrics", {}), into)
    return bytes(into)


async def _element(plane: Plane, call: Call, schema: KeySchema, operation: Any, key: Item, item: Any) -> dict[str, Any]:
    """The item or the key of one write. Raises NotCbor."""
    if type(operation) is not int or operation not in OPERATIONS:
        raise NotCbor("a transaction has no such operation")
    if OPERATIONS[operation] != "Put":
        return {"Key": key}
    return {"Item": await plane.item(call, schema, key, raw_bytes(item, "an item"))}


def _returned(number: Any) -> str:
    if type(number) is not int or number not in RETURNED_ON_FAILURE:
        raise NotCbor("there is no such ReturnValuesOnConditionCheckFailure")
    return RETURNED_ON_FAILURE[number]


def _drop(plane: Plane, places: Sequence[Key]) -> None:
    for place in places:
        plane.cache.drop(place)


async def _refresh(plane: Plane, call: Call, written: Sequence[_Written]) -> None:
    """Read what a transaction has written, in another, into the cache."""
    leases: list[Lease] = []
    try:
        for one in written:
            taken = await plane.leases(call, one.table, one.schema, [one.place])
            if taken is None:
                return
            leases += taken
        gets = [{"Get": {"TableName": one.table, "Key": one.key}} for one in written]
        result = await plane.ask(call, "TransactGetItems", {"TransactItems": gets})
        for response, one, lease in zip(result["Responses"], written, leases, strict=True):
            item = await plane.values(call, one.schema, plain_item(response["Item"])) if "Item" in response else None
            plane.cache.fill(one.place, lease, b"", results_on_the_wire.found(item), (await plane.lives(call)).items)
    except ServiceError:
        return  # The items are read when they are asked for.
    finally:
        for one, lease in zip(written, leases, strict=False):
            plane.cache.release(one.place, lease)


async def _asked(
    plane: Plane, call: Call, operation: str, request: dict[str, Any], schemas: Sequence[KeySchema]
) -> Mapping[str, Any]:
    """The result of a transaction. The items in the reasons of one that is cancelled become CBOR."""
    try:
        return await plane.ask(call, operation, request)
    except ServiceError as error:
        for reason, schema in zip(error.fields.get("CancellationReasons", ()), schemas, strict=False):
            if "Item" in reason:
                reason["Item"] = await plane.values(call, schema, plain_item(reason["Item"]))
        raise


def _write_capacities(result: Mapping[str, Any], into: bytearray) -> None:
    capacities = result.get("ConsumedCapacity", [])
    wire_values.array(len(capacities), into)
    for capacity in capacities:
        results_on_the_wire.consumed_by_transaction(capacity, into)


def _list(column: Any) -> list[Any]:
    if type(column) is not list:
        raise NotCbor("the elements of a transaction are no array")
    return column


def _each(column: Any, count: int) -> list[Any]:
    """One argument of each element; None for all where the whole is null."""
    if column is None:
        return [None] * count
    if len(_list(column)) != count:
        raise NotCbor("the arguments of a transaction are not of one length")
    return _list(column)
