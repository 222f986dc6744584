"""TransactWriteItems and TransactGetItems: many items of many tables, all or nothing, isolated from everything else.

A write transaction is one mini-transaction like any other write: it reads every item that it names, decides, and
commits, so nobody can see it half done, and no two of them overlap. Nothing ever holds an item between its reading and
its commit, so no transaction is refused for a conflict: where DynamoDB would cancel one of two that collide, here the
second is decided after the first. A read transaction is a read of one snapshot.

Faults are reported in one of two ways: those that show in the request itself refuse it, as they would a single write;
those that depend on its tables or items cancel the transaction, with a reason for each operation.

Source: "Managing complex workflows with DynamoDB transactions" in the developer guide.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from jedlik.aws.context import Context
from jedlik.aws.errors import ServiceError, ValidationException
from jedlik.aws.meter import Meter
from jedlik.dynamodb import catalog, mini_transaction
from jedlik.dynamodb.capacity import charging
from jedlik.dynamodb.errors import (
    ConditionalCheckFailedException,
    DuplicateItemException,
    EmptyKeyValueException,
    ItemCollectionSizeLimitExceededException,
    TooDeepException,
    TransactionCanceledException,
)
from jedlik.dynamodb.items import item_collections, parameters, prepared
from jedlik.dynamodb.items.client_tokens import ClientToken
from jedlik.dynamodb.items.parameters import Request, Response
from jedlik.dynamodb.items.prepared import Prepared
from jedlik.dynamodb.items.turns import by_turns
from jedlik.dynamodb.model import items, key_values, keys, limits, values
from jedlik.dynamodb.model.capacity import read_units
from jedlik.dynamodb.model.expressions.projections import Projection
from jedlik.dynamodb.model.mutations import NONE_FULL, Mutation
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.model.values import Item
from jedlik.dynamodb.model.writes import ConditionCheck, ItemChange, ItemWrite, check_descriptor, perform
from jedlik.regions.region import Region

T = TypeVar("T")
W = TypeVar("W")

_PREPARE = {
    "Put": prepared.put,
    "Update": prepared.update,
    "Delete": prepared.delete,
    "ConditionCheck": prepared.condition_check,
}
_NO_ACTION = "Invalid Request: TransactWriteRequest should contain Delete or Put or Update request"
_SEVERAL_ACTIONS = "TransactItems can only contain one of Check, Put, Update or Delete"
_ONE_ITEM_TWICE = "Transaction request cannot include multiple operations on one item"
CHARGED = 2
"""A transaction costs twice what its reads and writes would cost alone: it prepares and commits them."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a write transaction: the change of each operation, or the units of its replay."""

    operations: Sequence[ItemWrite]
    changes: Sequence[ItemChange]
    replayed: Sequence[float] | None = None
    """Read units of each operation, if the transaction had been done before; then nothing was written."""


async def transact_write_items(context: Context, request: Request) -> Response:
    """Do up to 100 writes and condition checks, all of them or none."""
    region = context.region
    elements = request["TransactItems"]
    wanted = await by_turns(elements, lambda one: element(one, region.secret))
    check_payload(elements, wanted)
    text = request.get("ClientRequestToken")
    token = None if text is None else ClientToken.of("TransactWriteItems", text, elements, region.clock)
    outcome = await write(context, wanted, token)
    response = told(request, context.meter)
    if request.get("ReturnItemCollectionMetrics") == "SIZE" and outcome.replayed is None:
        metrics = await _metrics(region, wanted, outcome)
        if metrics:
            response["ItemCollectionMetrics"] = metrics
    return response


async def write(context: Context, wanted: Sequence[tuple[str, Prepared]], token: ClientToken | None) -> Outcome:
    """Do writes, each with the name of its table, as one transaction, and charge them.

    Raises TransactionCanceledException with a reason for each, ValidationException when two are of one item, and
    IdempotentParameterMismatchException when the token has been used for something else.
    """
    region = context.region
    names = list(dict.fromkeys(name for name, _ in wanted))

    async def attempt(tables: Sequence[Table]) -> Outcome:
        table_of = dict(zip(names, tables, strict=True))
        operations = await _made(region, tables, wanted, lambda pair: pair[1].operation(table_of[pair[0]]))
        if are_of_one_item(operations):
            raise ValidationException(_ONE_ITEM_TWICE)
        full = await item_collections.full(region, operations)
        transaction = WriteTransaction([name for name, _ in wanted], operations, tables, token)
        try:
            outcome = await transaction.begin(region, full)
        except TransactionCanceledException:
            transaction.charge_canceled(context.meter)
            raise
        transaction.charge(context.meter, outcome)
        return outcome

    return await catalog.with_tables(region, names, attempt)


def are_of_one_item(operations: Sequence[ItemWrite]) -> bool:
    """Whether two operations are of one item."""
    return len({operation.key for operation in operations}) < len(operations)


class WriteTransaction:
    """The mini-transaction that does several operations."""

    __slots__ = ("_found", "_names", "_operations", "_tables", "_token")

    def __init__(
        self,
        names: Sequence[str],
        operations: Sequence[ItemWrite],
        tables: Sequence[Table],
        token: ClientToken | None,
    ) -> None:
        """`names` are what the request calls the tables of the operations; `tables` are all of these, each once."""
        self._names = names
        self._operations = operations
        self._tables = tables
        self._token = token
        self._found: Mapping[bytes, bytes | None] = {}
        """What was read when it was decided."""

    def begin(self, region: Region, full: frozenset[bytes] = NONE_FULL) -> Future[Outcome]:
        """Hand the operations to the engine. `full`: see `Mutation`."""
        named = [(operation.table, operation.key) for operation in self._operations]
        also = () if self._token is None else self._token.keys
        return mini_transaction.mutate(region, self._tables, named, self._decide, also, full)

    def _decide(self, mutation: Mutation) -> Outcome:
        operations, token = self._operations, self._token
        found = self._found = mutation.found
        if token is not None:
            replayed = token.find(found, self._tables)
            if replayed is not None:
                return Outcome(operations, (), replayed)
        changes = _perform_all(operations, mutation)
        if token is not None:
            token.record([_replay_units(change) for change in changes], self._tables, mutation.writes)
        return Outcome(operations, changes)

    def charge(self, meter: Meter, outcome: Outcome) -> None:
        """Charge the transaction. A replay has read."""
        if outcome.replayed is not None:
            for name, operation, units in zip(self._names, self._operations, outcome.replayed, strict=True):
                meter.of(operation.table, name, False).units += units
            return
        for name, operation, change in zip(self._names, self._operations, outcome.changes, strict=True):
            charging.add_write(meter, meter.of(operation.table, name, True), change, CHARGED)

    def charge_canceled(self, meter: Meter) -> None:
        """Charge the transaction, which was canceled."""
        for name, operation in zip(self._names, self._operations, strict=True):
            units = charging.attempted_units(operation, self._found[operation.key])
            meter.of(operation.table, name, True).stop(units, 0)


async def transact_get_items(context: Context, request: Request) -> Response:
    """Up to 100 items of one or more tables, as they are at one moment."""
    region = context.region
    wanted = await by_turns(request["TransactItems"], lambda element: _get(element["Get"]))
    names = list(dict.fromkeys(get.name for get in wanted))

    async def attempt(tables: Sequence[Table]) -> tuple[dict[str, Table], list[bytes | None]]:
        table_of = dict(zip(names, tables, strict=True))
        item_keys = await _made(region, tables, wanted, lambda get: get.item_key(table_of[get.name], region.secret))
        if len(set(item_keys)) < len(item_keys):
            raise ValidationException(_ONE_ITEM_TWICE)
        found = await region.engine.get([*(table.descriptor_key for table in tables), *item_keys])
        for table, raw in zip(tables, found, strict=False):
            check_descriptor(table, raw)
        return table_of, found[len(tables) :]

    table_of, found = await catalog.with_tables(region, names, attempt)
    sizes = [_size(stored) for stored in found]
    if sum(sizes) > limits.TRANSACTION_SIZE:
        raise ValidationException("The aggregate size of the items in the transaction cannot exceed 4 MB")
    meter = context.meter
    for get, stored in zip(wanted, found, strict=True):
        charging.add_read(meter, meter.of(table_of[get.name], get.name, False), stored, True, CHARGED)
    return {
        "Responses": [get.answer(stored) for get, stored in zip(wanted, found, strict=True)],
        **told(request, meter),
    }


def canceled(reasons: Sequence[Response]) -> TransactionCanceledException:
    """The error for a transaction with these CancellationReasons."""
    codes = ", ".join(reason["Code"] for reason in reasons)
    return TransactionCanceledException(
        f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]",
        CancellationReasons=reasons,
    )


@dataclass(frozen=True, slots=True)
class _Get:
    """One item that is asked for."""

    name: str
    """The name of its table."""
    key: Item
    projection: Projection | None

    def item_key(self, table: Table, secret: bytes) -> bytes:
        """The item's storage key. Raises ValidationException if the request does not fit the table."""
        key_values.check_key(table, self.key)
        if self.projection is not None:
            self.projection.refuse_nested_keys(table)
        return keys.item_key(table, self.key, secret)

    def answer(self, stored: bytes | None) -> Response:
        """The ItemResponse."""
        if stored is None:
            return {}
        if self.projection is None:
            return {"Item": items.whole(stored)}
        return {"Item": self.projection.apply(items.decode(stored))}


def _get(request: Request) -> _Get:
    parameters.refuse_mixed(parameters.GET, request)
    key, _ = values.normalise_item(request["Key"])
    known = parameters.placeholders(request)
    projection = parameters.projection(request, known)
    known.check_all_used()
    return _Get(request["TableName"], key, projection)


def element(element: Request, secret: bytes) -> tuple[str, Prepared]:
    """The name of the table of a TransactWriteItem, and the write. Raises ValidationException."""
    if len(element) != 1:
        raise ValidationException(_SEVERAL_ACTIONS if element else _NO_ACTION)
    [(action, members)] = element.items()
    try:
        return members["TableName"], _PREPARE[action](members, secret)
    except TooDeepException:
        prepared.check_expressions(members)
        raise


def check_payload(elements: Sequence[Request], wanted: Sequence[tuple[str, Prepared]]) -> None:
    """Raises ValidationException for more than 4 MB of items, keys and values in a request."""
    size = sum(write.size for _, write in wanted)
    for element in elements:
        [members] = element.values()
        size += values.item_size(members.get("ExpressionAttributeValues", {}))
    if size > limits.TRANSACTION_SIZE:
        refusal = "Transaction payload size cannot exceed 4MB. Payload Size: "
        raise ValidationException(f"{refusal}: {refusal}{size}")


async def _made(region: Region, tables: Sequence[Table], wanted: Sequence[W], make: Callable[[W], T]) -> list[T]:
    """The results of `make`, if all elements fit their tables.

    Raises TransactionCanceledException for the first that does not, except EmptyKeyValueException, which it raises as
    it is.
    """
    made: list[T] = []
    for one in wanted:
        try:
            made.append(make(one))
        except EmptyKeyValueException:
            raise
        except ValidationException as error:
            # Certain only if the tables are still as they were last seen.
            raws = await region.engine.get([table.descriptor_key for table in tables])
            for table, raw in zip(tables, raws, strict=True):
                check_descriptor(table, raw)
            reasons = [_NO_REASON] * len(wanted)
            reasons[len(made)] = _reason(error)
            raise canceled(reasons) from None
    return made


_REASON_CODES: dict[type[ServiceError], str] = {
    ConditionalCheckFailedException: "ConditionalCheckFailed",
    DuplicateItemException: "DuplicateItem",
    ItemCollectionSizeLimitExceededException: "ItemCollectionSizeLimitExceeded",
    ValidationException: "ValidationError",
}
_NO_REASON: Response = {"Code": "None"}


def _reason(error: ServiceError) -> Response:
    return {"Code": _REASON_CODES[type(error)], "Message": error.message, **error.fields}


def _perform_all(operations: Sequence[ItemWrite], mutation: Mutation) -> list[ItemChange]:
    """Perform every operation.

    Raises TransactionCanceledException with all their reasons if one fails, except EmptyKeyValueException, which it
    raises as it is.
    """
    changes: list[ItemChange] = []
    reasons: list[Response] = []
    for operation in operations:
        try:
            change = perform(operation, mutation)
        except EmptyKeyValueException:
            raise
        except tuple(_REASON_CODES) as error:
            reasons.append(_reason(error))
        else:
            changes.append(change)
            reasons.append(_NO_REASON)
    if len(changes) < len(operations):
        raise canceled(reasons)
    return changes


async def _metrics(region: Region, wanted: Sequence[tuple[str, Prepared]], outcome: Outcome) -> dict[str, list[Any]]:
    """The ItemCollectionMetrics by table: for each write, not for condition checks."""
    writes = [
        (name, (operation, write.attributes))
        for (name, write), operation in zip(wanted, outcome.operations, strict=True)
        if not isinstance(operation, ConditionCheck)
    ]
    metrics: dict[str, list[Any]] = {}
    told = await item_collections.metrics(region, [pair for _, pair in writes])
    for (name, _), metric in zip(writes, told, strict=True):
        if metric is not None:
            metrics.setdefault(name, []).append(metric)
    return metrics


def told(request: Request, meter: Meter) -> Response:
    """The ConsumedCapacity of a transaction, by table, if the request asks for it."""
    detail = request.get("ReturnConsumedCapacity", "NONE")
    return {} if detail == "NONE" else {"ConsumedCapacity": charging.each_consumed(meter, detail, in_transaction=True)}


def _replay_units(change: ItemChange) -> float:
    """The charge of a replay: a transactional read of the item."""
    return CHARGED * read_units(max(_size(change.old), _size(change.new)), consistent=True)


def _size(stored: bytes | None) -> int:
    return 0 if stored is None else items.size(stored)
