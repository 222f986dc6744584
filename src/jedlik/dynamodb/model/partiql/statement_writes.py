"""Writes: statements as operations of the write path.

The conditions of a statement on the present item become the operation's condition. If there is no item, an UPDATE and
an EXISTS fail, a DELETE does nothing, and only an INSERT takes effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from jedlik.dynamodb.errors import DuplicateItemException
from jedlik.dynamodb.model import key_values, keys, limits, values, writes
from jedlik.dynamodb.model.expressions import conditions, updates
from jedlik.dynamodb.model.expressions.ast import And, Condition, Item, Values
from jedlik.dynamodb.model.expressions.conditions import Compiled, Predicate
from jedlik.dynamodb.model.partiql.errors import NO_KEY, invalid
from jedlik.dynamodb.model.partiql.key_terms import check_key, refuse_second_values, single_item
from jedlik.dynamodb.model.partiql.statements import (
    CACHED,
    DeleteStatement,
    ExistsStatement,
    InsertStatement,
    UpdateStatement,
)
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.model.values import AttributeValue


def predicate(parts: tuple[Condition, ...], given: Values) -> Predicate | None:
    """Whether an item meets all of some conditions, whose values have been checked; None without conditions."""
    return conditions.bound(_compiled(parts), given, "WHERE") if parts else None


@lru_cache(CACHED)
def _compiled(parts: tuple[Condition, ...]) -> Compiled:
    return conditions.compile_condition(parts[0] if len(parts) == 1 else And(parts))


def item_of(insert: InsertStatement, parameters: Sequence[AttributeValue]) -> tuple[Item, int]:
    """The item of an INSERT, normalised, and its size in bytes. Raises ValidationException."""
    item = {name: parameters[value] if isinstance(value, int) else value for name, value in insert.attributes.items()}
    normalised, size = values.normalise_item(item)
    if size > limits.ITEM_SIZE:
        raise invalid("Item size has exceeded the maximum allowed size")
    return normalised, size


def put(table: Table, item: Item, size: int, secret: bytes) -> writes.Put:
    """An INSERT of an item of `size` bytes. Raises ValidationException."""
    check_key(table, item)
    key_values.check_item_keys(table, item)
    return writes.put(table, item, size, secret, _absent)


def _absent(item: Item) -> bool:
    if item:
        raise DuplicateItemException("Duplicate primary key exists in table")
    return True


def update(statement: UpdateStatement, table: Table, given: Values, secret: bytes, returns_old: bool) -> writes.Update:
    """An UPDATE. Raises ValidationException."""
    key, condition = _key_and_condition(table, statement.where, given)
    action = updates.BoundUpdate(statement.plan, given)
    action.refuse_key_attributes(table)

    def is_met(item: Item) -> bool:
        return bool(item) and (condition is None or condition(item))

    return writes.Update(table, keys.item_key(table, key, secret), key, action, is_met, returns_old)


def delete(statement: DeleteStatement, table: Table, given: Values, secret: bytes, returns_old: bool) -> writes.Delete:
    """A DELETE. Raises ValidationException."""
    key, condition = _key_and_condition(table, statement.where, given)

    def is_met(item: Item) -> bool:
        return condition is None or not item or condition(item)

    item_key = keys.item_key(table, key, secret)
    return writes.Delete(table, item_key, key, None if condition is None else is_met, returns_old)


def _key_and_condition(table: Table, where: Condition | None, given: Values) -> tuple[Item, Predicate | None]:
    single = single_item(table, where, given)
    if not single.is_complete(table):
        raise invalid(NO_KEY)
    check_key(table, single.key)
    refuse_second_values(table, single, given)
    return key_values.check_key(table, single.key), predicate(single.rest, given)


def condition_check(
    statement: ExistsStatement, table: Table, given: Values, secret: bytes, returns_old: bool
) -> writes.ConditionCheck:
    """An EXISTS. Raises ValidationException."""
    single = single_item(table, statement.where, given)
    condition = predicate(single.rest, given)
    if not single.is_complete(table) or condition is None:
        raise invalid("EXISTS() must contain a single item read with additional condition")
    check_key(table, single.key)
    key = key_values.check_key(table, single.key)

    def is_met(item: Item) -> bool:
        return bool(item) and condition(item)

    return writes.ConditionCheck(table, keys.item_key(table, key, secret), is_met, returns_old)
