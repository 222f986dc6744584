"""The changes that an update makes at the end of a path, and the values that go into them.

A change is a function of the present value and of the item as it was before the update.

Source: "Using update expressions" in the developer guide; errors as DynamoDB words them.
"""

from __future__ import annotations

from collections.abc import Callable

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.model import numbers
from jedlik.dynamodb.model.expressions.ast import (
    Action,
    Arithmetic,
    AttributeValue,
    Call,
    Item,
    Literal,
    Operand,
    Path,
    ValuePlaceholder,
    Values,
)
from jedlik.dynamodb.model.expressions.operands import getter
from jedlik.dynamodb.model.values import ordered

PathChange = Callable[[AttributeValue | None, Item, Values], AttributeValue | None]
"""Returns the new value at the end of a path, given the old one (None if missing) and the item before the
update."""
ChangeMaker = Callable[[Action], PathChange]
"""Creates the change that an action stands for."""
Source = Callable[[Item, Values], AttributeValue]
"""What SET assigns."""

_WRONG_TYPE = "An operand in the update expression has an incorrect data type"
_MISSING = "The provided expression refers to an attribute that does not exist in the item"


def _set(action: Action) -> PathChange:
    assert action.value is not None
    source = _source(action.value)
    return lambda _, item, values: source(item, values)


def remove(_: Action) -> PathChange:
    """The change that removes a value."""
    return lambda _, __, ___: None


def operation(operate: Callable[[AttributeValue | None, AttributeValue], AttributeValue | None]) -> ChangeMaker:
    """A kind of change that depends on the present value, or None, and the action's own value."""

    def make(action: Action) -> PathChange:
        assert action.value is not None
        operand = _source(action.value)
        return lambda value, item, values: operate(value, operand(item, values))

    return make


def _add(value: AttributeValue | None, operand: AttributeValue) -> AttributeValue:
    return operand if value is None else added(value, operand, _WRONG_TYPE)


def _delete(value: AttributeValue | None, operand: AttributeValue) -> AttributeValue | None:
    return None if value is None else deleted(value, operand, _WRONG_TYPE)


def added(value: AttributeValue, operand: AttributeValue, mismatch: str) -> AttributeValue:
    """The sum of two numbers or the union of two sets of a type. Raises ValidationException(mismatch) for others."""
    ((type_, content),) = operand.items()
    if type_ not in value:
        raise ValidationException(mismatch)
    there = value[type_]
    if type_ == "N":
        return {"N": numbers.add(there, content)}
    return {type_: ordered(type_, {*there, *content})}


def deleted(value: AttributeValue, operand: AttributeValue, mismatch: str) -> AttributeValue | None:
    """A set without the members of another; None if no member is left. Raises ValidationException(mismatch) for
    others."""
    ((type_, content),) = operand.items()
    if type_ not in value:
        raise ValidationException(mismatch)
    taken = set(content)
    left = [member for member in value[type_] if member not in taken]
    return {type_: left} if left else None


CHANGES: dict[str, ChangeMaker] = {
    "SET": _set,
    "REMOVE": remove,
    "ADD": operation(_add),
    "DELETE": operation(_delete),
}
"""The changes of the verbs of update expressions."""


# What SET assigns


def _source(operand: Operand) -> Source:
    match operand:
        case ValuePlaceholder(placeholder):
            return lambda _, values: values[placeholder]
        case Literal(value):
            return lambda _, __: value
        case Path():
            return _attribute(operand)
        case Arithmetic(operator, left, right):
            operate = numbers.add if operator == "+" else numbers.subtract
            return _arithmetic(operate, _source(left), _source(right))
        case Call("if_not_exists", (Path() as path, default)):
            return _if_not_exists(path, _source(default))
        case Call("list_append", (first, second)):
            return _list_append(_source(first), _source(second))
    raise AssertionError(f"not an operand of an update: {operand}")


def _attribute(path: Path) -> Source:
    get = getter(path)

    def source(item: Item, values: Values) -> AttributeValue:
        value = get(item, values)
        if value is None:
            raise ValidationException(_MISSING)
        return value

    return source


def _arithmetic(operate: Callable[[str, str], str], left: Source, right: Source) -> Source:
    def source(item: Item, values: Values) -> AttributeValue:
        a, b = left(item, values), right(item, values)
        if "N" not in a or "N" not in b:
            raise ValidationException(_WRONG_TYPE)
        return {"N": operate(a["N"], b["N"])}

    return source


def _if_not_exists(path: Path, default: Source) -> Source:
    get = getter(path)

    def source(item: Item, values: Values) -> AttributeValue:
        value = get(item, values)
        return default(item, values) if value is None else value

    return source


def _list_append(first: Source, second: Source) -> Source:
    def source(item: Item, values: Values) -> AttributeValue:
        a, b = first(item, values), second(item, values)
        if "L" not in a or "L" not in b:
            raise ValidationException(_WRONG_TYPE)
        return {"L": a["L"] + b["L"]}

    return source
