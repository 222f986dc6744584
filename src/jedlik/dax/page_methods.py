"""query and scan: through the query cache.

A page is remembered under all parameters of its request but whether capacity is to be reported, with numbers in normal
form. Writes do not touch it: only its time to live renews it, as on AWS. A strongly consistent read passes by.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from jedlik.aws.protocols.cbor_values import NotCbor
from jedlik.dax import call_parameters, results_on_the_wire, wire_numbers, wire_values
from jedlik.dax.cache import Key
from jedlik.dax.call_parameters import CallParameters
from jedlik.dax.expression_texts import Expressions, Steps
from jedlik.dax.plane import QUERIES, Call, Plane, raw_bytes, table_name
from jedlik.dax.results_on_the_wire import SUCCESS, plain_item
from jedlik.dax.wire_keys import KeySchema
from jedlik.dax.wire_values import BREAK, STREAM, Attribute, Item, WireReader

WHOLE = (
    (call_parameters.LIMIT, "Limit"),
    (call_parameters.SEGMENT, "Segment"),
    (call_parameters.SEGMENTS, "TotalSegments"),
)
"""The parameters that are integers here and there."""


async def query(plane: Plane, call: Call) -> bytes:
    """Table, key condition, parameters."""
    raw_table, condition, given = call.arguments
    request: dict[str, Any] = {}
    expressions = Expressions()
    if condition is not None:
        request["KeyConditionExpression"] = expressions.condition(raw_bytes(condition, "a key condition"))
    return await _page(plane, call, "Query", table_name(raw_table), request, expressions, CallParameters(given))


async def scan(plane: Plane, call: Call) -> bytes:
    """Table, parameters."""
    raw_table, given = call.arguments
    return await _page(plane, call, "Scan", table_name(raw_table), {}, Expressions(), CallParameters(given))


async def _page(
    plane: Plane,
    call: Call,
    operation: str,
    table: str,
    request: dict[str, Any],
    expressions: Expressions,
    parameters: CallParameters,
) -> bytes:
    schema = await plane.schema(call, table)
    paths = parameters.projection
    request["TableName"] = table
    _add_parameters(plane, call, request, expressions, parameters, schema)
    if parameters.flag(call_parameters.CONSISTENT_READ):
        request["ConsistentRead"] = True
        result = await _result(plane, call, operation, request, parameters)
        return await _answer(plane, call, result, schema, paths, request, with_capacity=True)
    hits, misses = call.asker.counts.page_hits[operation], call.asker.counts.page_misses[operation]
    place = _place(call, operation, request, parameters)
    kept = plane.cache.find(place)
    if kept is not None:
        hits.add(1)
        return kept
    misses.add(1)
    lease = plane.cache.lease(place)
    try:
        result = await _result(plane, call, operation, request, parameters)
        answer = await _answer(plane, call, result, schema, paths, request, with_capacity=False)
        life = (await plane.lives(call)).queries
        if life > 0:
            plane.cache.fill(place, lease, b"", answer, life)
    finally:
        plane.cache.release(place, lease)
    if "ConsumedCapacity" not in result:
        return answer
    return await _answer(plane, call, result, schema, paths, request, with_capacity=True)


async def _result(
    plane: Plane, call: Call, operation: str, request: dict[str, Any], parameters: CallParameters
) -> Mapping[str, Any]:
    if parameters.capacity != "NONE":
        request = request | {"ReturnConsumedCapacity": parameters.capacity}
    return await plane.ask(call, operation, request)


def _add_parameters(
    plane: Plane,
    call: Call,
    request: dict[str, Any],
    expressions: Expressions,
    parameters: CallParameters,
    schema: KeySchema,
) -> None:
    """Add all that a Query and a Scan may have. Raises NotCbor."""
    condition = parameters.raw(call_parameters.FILTER)
    if condition is not None:
        request["FilterExpression"] = expressions.condition(condition)
    paths = parameters.projection
    if paths is not None:
        request["ProjectionExpression"] = plane.projection(expressions, paths)
    index = parameters.named(call_parameters.INDEX)
    if index is not None:
        request["IndexName"] = index
    for number, name in WHOLE:
        value = parameters.whole(number)
        if value is not None:
            request[name] = value
    forward = parameters.flag(call_parameters.FORWARD)
    if forward is not None and "KeyConditionExpression" in request:
        request["ScanIndexForward"] = forward
    select = parameters.select
    if select is not None and not (call.asker.selects_all and select == "ALL_ATTRIBUTES"):
        request["Select"] = select
    start = parameters.raw(call_parameters.START_KEY)
    if start is not None:
        request["ExclusiveStartKey"] = schema.key(start) if index is None else _compound_key(start)
    for placeholder, one in expressions.values.items():
        expressions.values[placeholder] = in_normal_form(one)
    request |= expressions.parameters


def _place(call: Call, operation: str, request: dict[str, Any], parameters: CallParameters) -> Key:
    """Where the page's entry is. How a projection numbers its paths is part of it."""
    projection = parameters.raw(call_parameters.PROJECTION) or b""
    plain = orjson.dumps([operation, request], option=orjson.OPT_SORT_KEYS)
    return (call.asker.store, QUERIES), plain + b"\x00" + projection


def in_normal_form(value: Attribute) -> Attribute:
    """An attribute value with its numbers in normal form, and its sets in order."""
    ((kind, content),) = value.items()
    if kind == "N":
        return {"N": wire_numbers.plain(content)}
    if kind == "L":
        return {"L": [in_normal_form(one) for one in content]}
    if kind == "M":
        return {"M": {name: in_normal_form(one) for name, one in content.items()}}
    if kind == "NS":
        return {"NS": sorted([wire_numbers.plain(one) for one in content])}
    if kind in ("SS", "BS"):
        return {kind: sorted(content)}
    return value


def _compound_key(raw: bytes) -> Item:
    """A key of a table and an index together. Raises NotCbor."""
    reader = WireReader(raw)
    key = reader.attribute().get("M")
    reader.check_end()
    if key is None:
        raise NotCbor("a starting key is no map")
    found: Item = in_normal_form({"M": key})["M"]
    return found


async def _answer(
    plane: Plane,
    call: Call,
    result: Mapping[str, Any],
    schema: KeySchema,
    paths: tuple[Steps, ...] | None,
    request: Mapping[str, Any],
    *,
    with_capacity: bool,
) -> bytes:
    into = bytearray(SUCCESS + STREAM)
    if with_capacity and "ConsumedCapacity" in result:
        wire_values.integer(results_on_the_wire.CONSUMED_CAPACITY, into)
        into += results_on_the_wire.consumed(result["ConsumedCapacity"])
    if "Items" in result:
        items = result["Items"]
        plain: list[Item] = items if type(items) is list else items.value
        wire_values.integer(results_on_the_wire.ITEMS, into)
        wire_values.array(len(plain), into)
        for one in plain:
            item = plain_item(one)
            if paths is not None:
                into += results_on_the_wire.chosen(paths, item)
                continue
            wire_values.array(2, into)
            wire_values.binary(schema.encoded(item), into)
            into += await plane.values(call, schema, item)
    for number, name in ((results_on_the_wire.COUNT, "Count"), (results_on_the_wire.SCANNED_COUNT, "ScannedCount")):
        wire_values.integer(number, into)
        wire_values.integer(result[name], into)
    if "LastEvaluatedKey" in result:
        last = result["LastEvaluatedKey"]
        wire_values.integer(results_on_the_wire.LAST_EVALUATED_KEY, into)
        if "IndexName" in request:
            compound = bytearray()
            wire_values.attributes(last, compound)
            wire_values.binary(compound, into)
        else:
            wire_values.binary(schema.encoded(last), into)
    into += BREAK
    return bytes(into)
