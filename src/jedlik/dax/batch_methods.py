"""batchGetItem and batchWriteItem: many items, each through the item cache.

A batch of reads asks the table for what the cache does not have. Tables that are read strongly consistently pass by it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jedlik.aws.errors import ServiceError
from jedlik.aws.protocols.cbor_values import NotCbor
from jedlik.dax import results_on_the_wire, wire_values
from jedlik.dax.cache import Key, Lease
from jedlik.dax.call_parameters import CallParameters
from jedlik.dax.expression_texts import Expressions, Steps, projected
from jedlik.dax.plane import Call, Plane, raw_bytes, table_name
from jedlik.dax.results_on_the_wire import SUCCESS, plain_item
from jedlik.dax.wire_keys import KeySchema
from jedlik.dax.wire_values import Item
from jedlik.memory import MIB

MOST_READ = 100
"""Items of a batch."""
MOST_BYTES = 16 * MIB
"""An answer has as much as the table's would have, also if all of it is in the cache."""


@dataclass(slots=True)
class _Reads:
    """What a batch asks of one table."""

    name: str
    schema: KeySchema
    consistent: bool
    projection: bytes | None
    keys: list[Item]
    paths: tuple[Steps, ...] | None
    found: dict[int, bytes] = field(default_factory=dict)
    """The items as CBOR, by the place of their keys."""
    absent: set[int] = field(default_factory=set)
    """The places of keys that have no item."""


async def batch_get_item(plane: Plane, call: Call) -> bytes:
    """A map from tables to consistency, projection and keys; parameters."""
    asked, given = call.arguments
    parameters = CallParameters(given)
    reads = [await _reads(plane, call, table_name(name), one) for name, one in _map(asked).items()]
    if sum(len(one.keys) for one in reads) <= MOST_READ and not any(map(_repeats, reads)):  # Else DynamoDB refuses it.
        for one in reads:
            _look_up(plane, call, one)
    left: dict[str, list[bytes]] = {}
    capacities: list[Any] = []
    missing = [one for one in reads if len(one.found) + len(one.absent) < len(one.keys)]
    if missing or not reads:
        capacities = await _read(plane, call, missing, parameters, left)
    _leave_too_much(reads, left)
    into = bytearray(SUCCESS)
    wire_values.array(2, into)  # Three values follow, and clients count on that.
    wire_values.pairs(len(reads), into)
    for one in reads:
        wire_values.text(one.name, into)
        places = sorted(one.found)
        wire_values.array(len(places) * (1 if one.paths is not None else 2), into)
        for place in places:
            if one.paths is None:
                wire_values.binary(one.schema.encoded(one.keys[place]), into)
            into += one.found[place]
    wire_values.pairs(len(left), into)
    for name, keys in left.items():
        wire_values.text(name, into)
        wire_values.array(len(keys), into)
        for key in keys:
            wire_values.binary(key, into)
    wire_values.array(len(capacities), into)
    for capacity in capacities:
        into += results_on_the_wire.consumed(capacity)
    return bytes(into)


def _leave_too_much(reads: list[_Reads], left: dict[str, list[bytes]]) -> None:
    """Leave what does not fit into an answer for the client to ask again."""
    taken = 0
    for one in reads:
        for place in sorted(one.found):
            taken += len(one.found[place])
            if taken > MOST_BYTES:
                del one.found[place]
                left.setdefault(one.name, []).append(one.schema.encoded(one.keys[place]))


async def _reads(plane: Plane, call: Call, name: str, asked: Any) -> _Reads:
    if type(asked) is not list or len(asked) != 3 or type(asked[2]) is not list:
        raise NotCbor("what is asked of a table in a batch is malformed")
    consistent, projection, keys = asked
    schema = await plane.schema(call, name)
    paths = None if projection is None else projected(raw_bytes(projection, "a projection"))
    read = [schema.key(raw_bytes(key, "a key")) for key in keys]
    return _Reads(name, schema, bool(consistent), projection, read, paths)


def _repeats(reads: _Reads) -> bool:
    return len({reads.schema.encoded(key) for key in reads.keys}) < len(reads.keys)


def _look_up(plane: Plane, call: Call, reads: _Reads) -> None:
    """Take from the cache what it has."""
    if reads.consistent:
        return
    for place, key in enumerate(reads.keys):
        kept = plane.cache.find(plane.item_key(call, reads.name, reads.schema, key), reads.projection or b"")
        (call.asker.counts.item_misses if kept is None else call.asker.counts.item_hits).add(1)
        if kept is None:
            continue
        item = results_on_the_wire.item_in(kept)
        if item is None:
            reads.absent.add(place)
        else:
            reads.found[place] = item


async def _read(
    plane: Plane, call: Call, missing: list[_Reads], parameters: CallParameters, left: dict[str, list[bytes]]
) -> list[Any]:
    """Read what is missing from the tables, and keep it. Returns the capacity of each table."""
    request: dict[str, Any] = {"RequestItems": {}}
    if parameters.capacity != "NONE":
        request["ReturnConsumedCapacity"] = parameters.capacity
    leases: list[tuple[Key, Lease]] = []
    wanted: dict[str, list[int]] = {}
    for one in missing:
        places = [place for place in range(len(one.keys)) if place not in one.found and place not in one.absent]
        wanted[one.name] = places
        asked: dict[str, Any] = {"Keys": [dict(one.keys[place]) for place in places]}
        if one.consistent:
            asked["ConsistentRead"] = True
        if one.paths is not None:
            expressions = Expressions()
            # Items that are not there leave no gap, so the key must come along.
            more = tuple((name,) for name in one.schema.names if (name,) not in one.paths)
            asked["ProjectionExpression"] = plane.projection(expressions, one.paths + more)
            asked |= expressions.parameters
        request["RequestItems"][one.name] = asked
        if not one.consistent:
            keys = [plane.item_key(call, one.name, one.schema, one.keys[place]) for place in places]
            leases += zip(keys, await plane.leases(call, one.name, one.schema, keys) or (), strict=False)
    try:
        result = await plane.ask(call, "BatchGetItem", request)
        held = dict(leases)
        for one in missing:
            unread = result["UnprocessedKeys"].get(one.name, {}).get("Keys", [])
            encoded = {one.schema.encoded(key) for key in unread}
            if encoded:
                left[one.name] = list(encoded)
            items = {one.schema.encoded(item): item for item in map(plain_item, result["Responses"][one.name])}
            for place in wanted[one.name]:
                raw_key = one.schema.encoded(one.keys[place])
                if raw_key in encoded:
                    continue
                if raw_key in items:
                    one.found[place] = await _as_cbor(plane, call, one, items[raw_key])
                key = plane.item_key(call, one.name, one.schema, one.keys[place])
                if key in held:
                    answer = results_on_the_wire.found(one.found.get(place))
                    plane.cache.fill(key, held[key], one.projection or b"", answer, (await plane.lives(call)).items)
    finally:
        for key, lease in leases:
            plane.cache.release(key, lease)
    capacities: list[Any] = result.get("ConsumedCapacity", [])
    return capacities


async def _as_cbor(plane: Plane, call: Call, reads: _Reads, item: Item) -> bytes:
    if reads.paths is None:
        return await plane.values(call, reads.schema, item)
    return results_on_the_wire.chosen(reads.paths, item)


async def batch_write_item(plane: Plane, call: Call) -> bytes:
    """A map from tables to keys and values, null for a deletion; parameters."""
    asked, given = call.arguments
    parameters = CallParameters(given)
    request: dict[str, Any] = {"RequestItems": {}}
    writes: list[tuple[str, KeySchema, list[Item]]] = []
    for raw_name, elements in _map(asked).items():
        name = table_name(raw_name)
        if type(elements) is not list or len(elements) % 2:
            raise NotCbor("the writes of a batch are malformed")
        schema = await plane.schema(call, name)
        made = request["RequestItems"][name] = []
        written: list[Item] = []
        writes.append((name, schema, written))
        for raw_key, values in zip(elements[::2], elements[1::2], strict=True):
            key = schema.key(raw_bytes(raw_key, "a key"))
            written.append(dict(key))
            if values is None:
                made.append({"DeleteRequest": {"Key": key}})
                continue
            item = await plane.item(call, schema, key, raw_bytes(values, "an item"))
            made.append({"PutRequest": {"Item": item}})
    if parameters.capacity != "NONE":
        request["ReturnConsumedCapacity"] = parameters.capacity
    if parameters.metrics != "NONE":
        request["ReturnItemCollectionMetrics"] = parameters.metrics
    try:
        result = await plane.ask(call, "BatchWriteItem", request)
    except ServiceError:
        raise
    except BaseException:  # They may have been written.
        for name, schema, keys in writes:
            for key in keys:
                plane.cache.drop(plane.item_key(call, name, schema, key))
        raise
    for name, schema, keys in writes:
        await plane.read_again(call, name, schema, keys)
    into = bytearray(SUCCESS)
    wire_values.pairs(0, into)  # Nothing is left unprocessed: a batch is written as a whole.
    capacities = result.get("ConsumedCapacity", [])
    wire_values.array(len(capacities), into)
    for capacity in capacities:
        into += results_on_the_wire.consumed(capacity)
    results_on_the_wire.collection_metrics_by_table(result.get("ItemCollectionMetrics", {}), into)
    return bytes(into)


def _map(asked: Any) -> dict[Any, Any]:
    if type(asked) is not dict:
        raise NotCbor("what a batch asks is no map")
    return asked
