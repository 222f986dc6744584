"""One write: an operation on one item in a mini-transaction of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from jedlik.aws.context import Context
from jedlik.dynamodb import catalog
from jedlik.dynamodb.capacity import charging
from jedlik.dynamodb.errors import ConditionalCheckFailedException, DuplicateItemException
from jedlik.dynamodb.items import item_collections
from jedlik.dynamodb.items.parameters import Request, Response
from jedlik.dynamodb.model import items, writes
from jedlik.dynamodb.model.indexes import has_collections
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.model.writes import Change, Operation, check_descriptor, perform, version_keys
from jedlik.regions.region import Region
from jedlik.storage.engine import Writes

STOPPED = (ConditionalCheckFailedException, DuplicateItemException)
"""What stops a write that is charged all the same."""


async def write(
    context: Context, table_name: str, operation_of: Callable[[Table], Operation]
) -> tuple[Operation, Change]:
    """Do the operation that `operation_of` makes of a table. A write that a condition stops is charged; one that
    succeeds is for the caller to charge.

    Raises ResourceNotFoundException, and what `operation_of` and the operation raise.
    """
    region = context.region

    async def attempt(table: Table) -> tuple[Operation, Change]:
        operation = operation_of(table)
        [full] = await item_collections.are_full(region, [operation]) if has_collections(table) else [False]
        decision = Decision(region, operation, full)
        try:
            return operation, await region.engine.mutate(decision.reads, decision.decide)
        except STOPPED:
            charging.stopped(context.meter, table_name, operation, decision.stored)
            raise

    return await catalog.with_table(region, table_name, attempt)


class Decision:
    """The mutation that does one operation."""

    __slots__ = ("_at", "_full", "_operation", "_secret", "stored")

    def __init__(self, region: Region, operation: Operation, full: bool = False) -> None:
        """`full` if the collection of the item may not grow."""
        self._operation = operation
        self._secret = region.secret
        self._full = full
        self._at = 0.0 if operation.table.log is None else region.clock()
        """When the change is made. That is written into the log only."""
        self.stored: bytes | None = None
        """The item as it was found, when that was decided."""

    @property
    def reads(self) -> tuple[bytes, ...]:
        """The keys to be read."""
        operation = self._operation
        table = operation.table
        if table.replica is None:
            return table.descriptor_key, operation.key
        return table.descriptor_key, operation.key, *version_keys((operation,))

    def decide(self, found: Sequence[bytes | None]) -> tuple[Writes, Change]:
        """What is written, and how the item changes. Raises DescriptorChanged, and what `perform` raises."""
        operation = self._operation
        table = operation.table
        check_descriptor(table, found[0])
        stored = self.stored = found[1]
        into = Writes()
        version = None if table.replica is None else found[2]
        change = perform(operation, stored, into, self._secret, self._at, version)
        if self._full:
            item_collections.refuse_growth(change)
        return into, change


def answer(context: Context, request: Request, operation: Operation, change: Change) -> Response:
    """What a PutItem, UpdateItem or DeleteItem answers, which is charged."""
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


def _updated(operation: Operation, stored: bytes | None) -> Any:
    """Of an item before or after an update, what the update touches."""
    if stored is None or not isinstance(operation, writes.Update) or operation.action is None:
        return None
    return operation.action.updated(items.decode(stored))


RETURNED: dict[str, Callable[[Operation, Change], Any]] = {
    "ALL_OLD": lambda _, change: _whole(change.old),
    "ALL_NEW": lambda _, change: _whole(change.new),
    "UPDATED_OLD": lambda operation, change: _updated(operation, change.old),
    "UPDATED_NEW": lambda operation, change: _updated(operation, change.new),
}
"""ReturnValues to what a write returns of the item before or after it. What is empty or None is not to be told."""
