"""BatchGetItem and BatchWriteItem: many items of many tables in one request.

A batch is read in one snapshot and written in one commit. DynamoDB promises neither, but here it is the cheapest way,
and the only unprocessed elements are those that exceed the size of an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from jedlik.aws.context import Context
from jedlik.aws.errors import ValidationException
from jedlik.aws.meter import Meter
from jedlik.dynamodb import catalog, mini_transaction
from jedlik.dynamodb.capacity import charging
from jedlik.dynamodb.items import item_collections, parameters
from jedlik.dynamodb.items.parameters import Request, Response
from jedlik.dynamodb.items.turns import by_turns
from jedlik.dynamodb.model import items, key_values, keys, limits, values, writes
from jedlik.dynamodb.model.expressions.projections import Projection
from jedlik.dynamodb.model.mutations import Mutation
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.model.values import Item
from jedlik.dynamodb.model.writes import ItemChange, ItemWrite, check_descriptor, check_item_size, perform

_DUPLICATES = "Provided list of item keys contains duplicates"


@dataclass(frozen=True, slots=True)
class _Gets:
    """A BatchGetItem's request about one table."""

    name: str
    request: Request
    keys: list[Item]
    projection: Projection | None
    consistent: bool


async def batch_get_item(context: Context, request: Request) -> Response:
    """Items of one or more tables, up to 100 and 16 MB; those beyond 16 MB are UnprocessedKeys."""
    region = context.region
    _refuse_mixed(request["RequestItems"])
    wanted = await by_turns(request["RequestItems"].items(), lambda pair: _gets(*pair))
    if sum(len(gets.keys) for gets in wanted) > limits.BATCH_GET_ITEMS:
        raise ValidationException("Too many items requested for the BatchGetItem call")

    async def attempt(tables: Sequence[Table]) -> tuple[Sequence[Table], list[bytes | None]]:
        wanted_items = []
        for table, gets in zip(tables, wanted, strict=True):
            if gets.projection is not None:
                gets.projection.refuse_nested_keys(table)
            for key in gets.keys:
                key_values.check_key(table, key)
                wanted_items.append(keys.item_key(table, key, region.secret))
        if len(set(wanted_items)) < len(wanted_items):
            raise ValidationException(_DUPLICATES)
        read = [table.descriptor_key for table in tables] + wanted_items
        found = await region.engine.get(read, any(gets.consistent for gets in wanted))
        for table, raw in zip(tables, found, strict=False):
            check_descriptor(table, raw)
        return tables, found[len(tables) :]

    tables, read = await catalog.with_tables(region, [gets.name for gets in wanted], attempt)
    found = iter(read)
    meter = context.meter
    responses: dict[str, list[Any]] = {}
    unprocessed: dict[str, Request] = {}
    room = limits.BATCH_GET_SIZE
    for table, gets in zip(tables, wanted, strict=True):
        answered = responses[gets.name] = []
        left: list[Item] = []
        charge = meter.of(table, gets.name, False)
        for key in gets.keys:
            stored = next(found)
            size = 0 if stored is None else items.size(stored)
            if size > room:
                room = 0
                left.append(key)
                continue
            room -= size
            charging.add_read(meter, charge, stored, gets.consistent)
            if stored is not None:
                answered.append(_answer(stored, gets.projection))
        if left:
            unprocessed[gets.name] = gets.request | {"Keys": left}
    return {
        "Responses": responses,
        "UnprocessedKeys": unprocessed,
        **_consumed(request, meter),
    }


def _refuse_mixed(request_items: dict[str, Request]) -> None:
    """Raises ValidationException for old parameters together with expressions, even for different tables."""
    together: Request = {}
    for asked in request_items.values():
        together.update(asked)
    parameters.refuse_mixed(parameters.GET, together)


def _gets(name: str, asked: Request) -> _Gets:
    """Checks the request about one table, as far as that is possible without the table. Raises ValidationException."""
    projection = None
    if parameters.refuse_mixed(parameters.GET, asked):
        known = parameters.placeholders(asked)
        projection = parameters.projection(asked, known)
        known.check_all_used()
    seen = set()
    for key in asked["Keys"]:
        values.normalise_item(key)
        seen.add(orjson.dumps(key, option=orjson.OPT_SORT_KEYS))
    if len(seen) < len(asked["Keys"]):
        raise ValidationException(_DUPLICATES)
    return _Gets(name, asked, asked["Keys"], projection, asked.get("ConsistentRead", False))


def _answer(stored: bytes, projection: Projection | None) -> Any:
    return items.whole(stored) if projection is None else projection.apply(items.decode(stored))


class _Delete:
    """One delete of a BatchWriteItem, waiting for its table."""

    __slots__ = ("item",)

    def __init__(self, key: Item) -> None:
        self.item = key

    def prepared(self, table: Table, secret: bytes, keep: bool) -> ItemWrite:
        """The operation. Raises ValidationException."""
        key_values.check_key(table, self.item)
        return writes.Delete(table, keys.item_key(table, self.item, secret), self.item)


class _Put:
    """One put of a BatchWriteItem, waiting for its table.

    Once it is prepared, most tables need its item in its stored form only. The parsed one takes ten times as much
    memory, for as long as the batch waits for its commit, and with many clients that is more than a processor's cache.
    """

    __slots__ = ("_item", "_size", "_stored")

    def __init__(self, item: Item, size: int) -> None:
        self._item: Item | None = item
        self._size = size
        self._stored = b""
        """The item, once it was let go."""

    @property
    def item(self) -> Item:
        """The item, parsed."""
        return items.decode(self._stored) if self._item is None else self._item

    def prepared(self, table: Table, secret: bytes, keep: bool) -> ItemWrite:
        """The operation. Unless the item is to be kept, it is let go if the table does not need it parsed.

        Raises ValidationException.
        """
        item = self.item
        key_values.check_batch_item_keys(table, item)
        operation = writes.put(table, item, self._size, secret)
        if keep or table.needs_attributes:
            return operation
        self._item, self._stored = None, operation.stored
        return writes.Put(table, operation.key, None, operation.stored)


async def batch_write_item(context: Context, request: Request) -> Response:
    """Put and delete up to 25 items of one or more tables, all in one commit."""
    region = context.region
    if not request["RequestItems"]:
        raise ValidationException("The requestItems parameter is required for BatchWriteItem")
    wanted = {name: await by_turns(elements, _element) for name, elements in request["RequestItems"].items()}
    request["RequestItems"].clear()  # The elements have the items, and let go of them.
    with_metrics = request.get("ReturnItemCollectionMetrics") == "SIZE"
    if sum(map(len, wanted.values())) > limits.BATCH_WRITE_ITEMS:
        raise ValidationException("Too many items requested for the BatchWriteItem call")

    async def attempt(tables: Sequence[Table]) -> tuple[Sequence[Table], list[tuple[ItemWrite, ItemChange]]]:
        operations = [
            element.prepared(table, region.secret, with_metrics)
            for table, elements in zip(tables, wanted.values(), strict=True)
            for element in elements
        ]
        if len({operation.key for operation in operations}) < len(operations):
            raise ValidationException(_DUPLICATES)
        full = await item_collections.full(region, operations)

        def decide(mutation: Mutation) -> list[tuple[ItemWrite, ItemChange]]:
            return [(operation, perform(operation, mutation)) for operation in operations]

        named = ((operation.table, operation.key) for operation in operations)
        return tables, await mini_transaction.mutate(region, tables, named, decide, full=full)

    tables, changes = await catalog.with_tables(region, list(wanted), attempt)
    done = iter(changes)
    meter = context.meter
    metrics: dict[str, list[Any]] = {}
    for table, (name, elements) in zip(tables, wanted.items(), strict=True):
        charge = meter.of(table, name, True)
        written = [next(done) for _ in elements]
        for _, change in written:
            charging.add_write(meter, charge, change)
        if with_metrics:
            pairs = [(operation, element.item) for (operation, _), element in zip(written, elements, strict=True)]
            told = [m for m in await item_collections.metrics(region, pairs) if m is not None]
            if told:
                metrics[name] = told
    response: Response = {"UnprocessedItems": {}, **_consumed(request, meter)}
    if metrics:
        response["ItemCollectionMetrics"] = metrics
    return response


def _element(element: Request) -> _Put | _Delete:
    """Checks one put or delete, as far as that is possible without its table. Raises ValidationException."""
    if len(element) != 1:
        raise ValidationException(
            "Supplied AttributeValue has more than one datatypes set, "
            "must contain exactly one of the supported datatypes"
        )
    if "DeleteRequest" in element:
        key, _ = values.normalise_item(element["DeleteRequest"]["Key"])
        return _Delete(key)
    item, size = values.normalise_item(element["PutRequest"]["Item"])
    check_item_size(size)
    return _Put(item, size)


def _consumed(request: Request, meter: Meter) -> Response:
    detail = request.get("ReturnConsumedCapacity", "NONE")
    if detail == "NONE":
        return {}
    return {"ConsumedCapacity": charging.each_consumed(meter, detail)}
