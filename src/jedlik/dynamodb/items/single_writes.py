"""One write: an operation on one item in a mini-transaction of its own."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable
from typing import Any

from jedlik.aws.context import Context
from jedlik.dynamodb import catalog, mini_transaction
from jedlik.dynamodb.capacity import charging
from jedlik.dynamodb.errors import ConditionalCheckFailedException, DuplicateItemException
from jedlik.dynamodb.items import item_collections
from jedlik.dynamodb.items.parameters import Request, Response
from jedlik.dynamodb.model import items, writes
from jedlik.dynamodb.model.mutations import NONE_FULL, Mutation
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.model.writes import ItemChange, ItemWrite, perform
from jedlik.regions.region import Region

STOPPED = (ConditionalCheckFailedException, DuplicateItemException)
"""The errors that stop a write which is charged all the same."""


async def write(
    context: Context, table_name: str, operation_of: Callable[[Table], ItemWrite]
) -> tuple[ItemWrite, ItemChange]:
    """Do the operation that `operation_of` makes for a table. A write that a condition stops is charged; the caller
    charges one that succeeds.

    Raises ResourceNotFoundException, and the errors of `operation_of` and the operation.
    """
    region = context.region

    async def attempt(table: Table) -> tuple[ItemWrite, ItemChange]:
        single = SingleWrite(operation_of(table))
        full = await item_collections.full(region, (single.operation,))
        try:
            return single.operation, await single.begin(region, full)
        except STOPPED:
            charging.stopped(context.meter, table_name, single.operation, single.stored)
            raise

    return await catalog.with_table(region, table_name, attempt)


class SingleWrite:
    """The mini-transaction that does one operation."""

    __slots__ = ("operation", "stored")

    def __init__(self, operation: ItemWrite) -> None:
        self.operation = operation
        self.stored: bytes | None = None
        """The item as it was found by the decision."""

    def begin(self, region: Region, full: frozenset[bytes] = NONE_FULL) -> Future[ItemChange]:
        """Pass the operation to the engine. `full`: see `Mutation`."""
        table, key = self.operation.table, self.operation.key
        if table.replica is None and not full:
            return mini_transaction.mutate_one(region, table, key, self._decide)
        return mini_transaction.mutate(region, (table,), ((table, key),), self._decide, full=full)

    def _decide(self, mutation: Mutation) -> ItemChange:
        operation = self.operation
        self.stored = mutation.found[operation.key]
        return perform(operation, mutation)


def answer(context: Context, request: Request, operation: ItemWrite, change: ItemChange) -> Response:
    """The answer of a PutItem, UpdateItem or DeleteItem, which is charged."""
    name = request["TableName"]
    charging.wrote(context.meter, operation.table, name, change)
    response: Response = {}
    returned = request.get("ReturnValues", "NONE")
    if returned != "NONE":
        attributes = RETURNED[returned](operation, change)
        if attributes:
            response["Attributes"] = attributes
    detail = request.get("ReturnConsumedCapacity", "NONE")
    if detail != "NONE":
        response["ConsumedCapacity"] = charging.consumed(context.meter, detail)
    return response


def _whole(stored: bytes | None) -> Any:
    return None if stored is None else items.whole(stored)


def _updated(operation: ItemWrite, stored: bytes | None) -> Any:
    """The parts of an item, before or after an update, that the update touches."""
    if stored is None or not isinstance(operation, writes.Update) or operation.action is None:
        return None
    return operation.action.updated(items.decode(stored))


RETURNED: dict[str, Callable[[ItemWrite, ItemChange], Any]] = {
    "ALL_OLD": lambda _, change: _whole(change.old),
    "ALL_NEW": lambda _, change: _whole(change.new),
    "UPDATED_OLD": lambda operation, change: _updated(operation, change.old),
    "UPDATED_NEW": lambda operation, change: _updated(operation, change.new),
}
"""Maps ReturnValues to the attributes that a write returns; empty results are left out."""
