"""One write: an operation on one item in a mini-transaction of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from jedlik.aws.context import Context
from jedlik.dynamodb import catalog
from jedlik.dynamodb.capacity import charging
from jedlik.dynamodb.errors import ConditionalCheckFailedException, DuplicateItemException
from jedlik.dynamodb.items import item_collections
from jedlik.dynamodb.model import items, writes
from jedlik.dynamodb.model.indexes import has_collections
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.model.writes import Change, Operation, check_descriptor, perform, version_keys
from jedlik.storage.engine import Writes


async def write(
    context: Context, table_name: str, operation_of: Callable[[Table], Operation]
) -> tuple[Operation, Change]:
    """Do the operation that `operation_of` makes of a table. A write that a condition stops is charged; one that
    succeeds is for the caller to charge.

    Raises ResourceNotFoundException, and what `operation_of` and the operation raise.
    """
    region = context.region

    async def attempt(table: Table) -> tuple[Operation, Change]:
        stored: bytes | None = None
        operation = operation_of(table)
        [full] = await item_collections.are_full(region, [operation]) if has_collections(table) else [False]
        at = 0.0 if table.log is None else region.clock()  # A change is dated in the log, and nowhere else.

        def decide(found: Sequence[bytes | None]) -> tuple[Writes, Change]:
            nonlocal stored
            check_descriptor(table, found[0])
            stored = found[1]
            into = Writes()
            version = None if table.replica is None else found[2]
            change = perform(operation, stored, into, region.secret, at, version)
            if full:
                item_collections.refuse_growth(change)
            return into, change

        read: tuple[bytes, ...] = (table.descriptor_key, operation.key)
        if table.replica is not None:
            read += tuple(version_keys((operation,)))
        try:
            return operation, await region.engine.mutate(read, decide)
        except (ConditionalCheckFailedException, DuplicateItemException):
            charging.stopped(context.meter, table_name, operation, stored)
            raise

    return await catalog.with_table(region, table_name, attempt)


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
