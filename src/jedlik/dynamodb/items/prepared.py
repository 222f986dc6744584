"""Prepared writes: a Put, Update, Delete or ConditionCheck, checked as far as possible without its table.

The members of a PutItem request and those of a Put in a transaction are the same, and so are their checks. Preparing
makes the checks that need only the request, in DynamoDB's order; `operation` makes the rest, and the operation, with
the table as last seen (see `catalog.with_tables`).
"""

from __future__ import annotations

from collections.abc import Callable

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.items import parameters
from jedlik.dynamodb.items.parameters import Request
from jedlik.dynamodb.model import key_values, keys, values, writes
from jedlik.dynamodb.model.expressions import update_forms
from jedlik.dynamodb.model.expressions.updates import BoundUpdate
from jedlik.dynamodb.model.quick_values import quick_value
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.model.values import Item
from jedlik.dynamodb.model.writes import Condition, ItemWrite


@quick_value
class Prepared:
    """A write that waits for its table."""

    attributes: Item
    """The item of a put, the key of any other."""
    size: int
    """Their bytes, as DynamoDB counts them."""
    operation: Callable[[Table], ItemWrite]
    """Makes the operation. Raises ValidationException if the request does not fit the table."""


def put(request: Request, secret: bytes) -> Prepared:
    """The members of a PutItem. Raises ValidationException."""
    has_parameters = parameters.refuse_mixed(parameters.PUT, request)
    item, size = values.normalise_item(request["Item"])
    _check_return_values(request)
    writes.check_item_size(size)
    condition = _condition(request) if has_parameters else None

    def operation(table: Table) -> ItemWrite:
        key_values.check_item_keys(table, item)
        return writes.put(table, item, size, secret, condition, _returns_old_on_failure(request))

    return Prepared(item, size, operation)


def delete(request: Request, secret: bytes) -> Prepared:
    """The members of a DeleteItem. Raises ValidationException."""
    has_parameters = parameters.refuse_mixed(parameters.DELETE, request)
    key, size = values.normalise_item(request["Key"])
    _check_return_values(request)
    condition = _condition(request) if has_parameters else None

    def operation(table: Table) -> ItemWrite:
        key_values.check_key(table, key)
        item_key = keys.item_key(table, key, secret)
        return writes.Delete(table, item_key, key, condition, _returns_old_on_failure(request))

    return Prepared(key, size, operation)


def update(request: Request, secret: bytes, alone: bool = False) -> Prepared:
    """The members of an UpdateItem, `alone` or an element of a transaction. Raises ValidationException."""
    action: BoundUpdate | None
    formed = update_forms.formed(request)
    if formed is not None:
        key, size = values.normalise_item(request["Key"])
        action, condition, charged = formed
    else:
        parameters.refuse_mixed(parameters.UPDATE, request)
        key, size = values.normalise_item(request["Key"])
        known = parameters.placeholders(request)
        action = parameters.update(request, known)
        condition = parameters.condition(request, known)
        known.check_all_used()
        charged = known.size

    def operation(table: Table) -> ItemWrite:
        key_values.check_key(table, key)
        if action is not None:
            action.refuse_key_attributes(table)
            if alone:
                action.check_charge(charged)
        item_key = keys.item_key(table, key, secret)
        return writes.Update(table, item_key, key, action, condition, _returns_old_on_failure(request))

    return Prepared(key, size, operation)


def condition_check(request: Request, secret: bytes) -> Prepared:
    """The members of a ConditionCheck. Raises ValidationException."""
    key, size = values.normalise_item(request["Key"])
    condition = _condition(request)
    assert condition is not None, "the shape requires a ConditionExpression"

    def operation(table: Table) -> ItemWrite:
        key_values.check_key(table, key)
        item_key = keys.item_key(table, key, secret)
        return writes.ConditionCheck(table, item_key, condition, _returns_old_on_failure(request))

    return Prepared(key, size, operation)


def check_expressions(request: Request) -> None:
    """Raises ValidationException for faults of the expressions of any of these."""
    known = parameters.placeholders(request)
    parameters.update(request, known)
    parameters.condition(request, known)
    known.check_all_used()


def _condition(request: Request) -> Condition | None:
    known = parameters.placeholders(request)
    condition = parameters.condition(request, known)
    known.check_all_used()
    return condition


def _check_return_values(request: Request) -> None:
    if request.get("ReturnValues", "NONE") not in ("NONE", "ALL_OLD"):
        raise ValidationException("ReturnValues can only be ALL_OLD or NONE")


def _returns_old_on_failure(request: Request) -> bool:
    return request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
