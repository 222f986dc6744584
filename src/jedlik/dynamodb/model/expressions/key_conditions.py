"""Key conditions: which part of which item collection a Query reads.

A KeyConditionExpression has the grammar of a condition, but may contain much less: conditions on key attributes joined
by AND, one for each attribute, which compare it with a value. KeyConditions, its predecessor, is reduced to the same
conditions. Both are then matched with the key that is queried, a table's or an index's. An index may have up to four
attributes in either part of its key: all of the partition key need an equality, and those of the sort key are used from
left to right, only the last of them with another operator.

Source: "Key condition expressions for the Query operation" and "Multi-attribute keys pattern" in the developer guide;
errors as DynamoDB words them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.model import key_values, limits
from jedlik.dynamodb.model.expressions import ast, paths
from jedlik.dynamodb.model.expressions.ast import (
    And,
    AttributeValue,
    Between,
    Call,
    Check,
    Comparison,
    Condition,
    In,
    InvalidExpression,
    Not,
    Operand,
    Or,
    Path,
    ValuePlaceholder,
    Values,
)
from jedlik.dynamodb.model.expressions.operands import Refusal, checks, getter
from jedlik.dynamodb.model.expressions.parser import condition_placeholders, parse_condition
from jedlik.dynamodb.model.expressions.placeholders import Placeholders
from jedlik.dynamodb.model.expressions.remembering import remembering

if TYPE_CHECKING:
    from jedlik.dynamodb.model.tables import Index, KeyAttribute, Table

_SHORT = limits.SORT_KEY_SIZE // (4 * limits.INDEX_KEY_ATTRIBUTES)
"""Values of this many characters, of up to four bytes each, need not be measured, however many the key has. Most keys
are shorter."""
_MIRRORED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
"""The comparison that has the same meaning with its operands exchanged."""


class KeyCondition(NamedTuple):
    """Values for the whole partition key, then for sort key attributes from left to right."""

    partition_values: tuple[AttributeValue, ...]
    """One for each attribute of the partition key, in the key's order."""
    equal_sort_values: tuple[AttributeValue, ...]
    """Sort key attributes fixed by equality, in the key's order."""
    operator: str | None
    """A range on the next sort key attribute: "<", "<=", ">", ">=", "BETWEEN", "begins_with"; None without a range."""
    operands: tuple[AttributeValue, ...]
    """The operator's values: two for BETWEEN, one for the others, none without an operator."""


class AttributeCondition(NamedTuple):
    """The condition on one key attribute."""

    operator: str | None
    """"=", or as in KeyCondition; None for an operator of KeyConditions that no query can use."""
    operands: tuple[AttributeValue, ...]


def parse_key_condition(text: str, placeholders: Placeholders) -> dict[str, AttributeCondition]:
    """The condition of a KeyConditionExpression on each attribute that it names.

    All checks that need no table are made here; `against_key` makes the others. Raises ValidationException.
    """
    try:
        names, used_values = condition_placeholders(text)
        compiled = _compiled(text, names, placeholders.use(names, used_values))
        for check in compiled.checks:
            check(placeholders.values)
    except InvalidExpression as refusal:
        raise ValidationException(f"Invalid KeyConditionExpression: {refusal}") from None
    if compiled.refusal is not None:
        raise ValidationException(compiled.refusal)
    values = placeholders.values
    return {
        name: AttributeCondition(operator, tuple([get(values) for get in operands]))
        for name, (operator, operands) in compiled.conditions.items()
    }


_CONDITIONS_OF_OLD = 2
"""The most conditions that a query could have before keys had several attributes. More than these are refused in the
words of that time."""


def against_key(
    conditions: Mapping[str, AttributeCondition], table: Table, index: Index | None, longest: int = sys.maxsize
) -> KeyCondition:
    """Matches conditions on attributes with the key of a table or index. Raises ValidationException.

    `longest` is a number of bytes that no value exceeds, as far as the caller knows.
    """
    of = table if index is None else index
    partition_key, sort_key = of.partition_key, of.sort_key
    if len(conditions) > len(partition_key) + len(sort_key):
        if len(conditions) <= _CONDITIONS_OF_OLD:
            raise ValidationException("Query key condition not supported")
        raise ValidationException(
            f"The number of query conditions ({len(conditions)}) exceeds the number of key attributes defined "
            f"in the schema ({len(partition_key) + len(sort_key)})"
        )
    partition_values = _partition_values(conditions, partition_key)
    named = [attribute for attribute in sort_key if attribute.name in conditions]
    if len(conditions) > len(partition_key) + len(named):
        # A condition is on an attribute that is not in the key: DynamoDB names the attribute that it expects.
        missed = next(attribute for attribute in sort_key if attribute.name not in conditions)
        raise ValidationException(f"Query condition missed key schema element: {missed.name}")
    for attribute in named:
        _check_operands(attribute, conditions[attribute.name])
    if not named:
        found = KeyCondition(partition_values, (), None, ())
    else:
        *before, last = [conditions[attribute.name] for attribute in named]
        _check_prefix(conditions, sort_key, named[-1])
        equal = tuple([condition.operands[0] for condition in before])
        if last.operator == "=":
            found = KeyCondition(partition_values, (*equal, last.operands[0]), None, ())
        else:
            found = KeyCondition(partition_values, equal, last.operator, last.operands)
    if longest > _SHORT:
        _check_sizes(found)
    return found


def _partition_values(
    conditions: Mapping[str, AttributeCondition], partition_key: tuple[KeyAttribute, ...]
) -> tuple[AttributeValue, ...]:
    found = []
    for attribute in partition_key:
        condition = conditions.get(attribute.name)
        if condition is not None:
            _check_operands(attribute, condition)
            if condition.operator == "=":
                found.append(condition.operands[0])
                continue
        if len(partition_key) == 1:
            raise ValidationException(
                f"Query condition missed key schema element: {attribute.name}"
                if condition is None
                else "Query key condition not supported"
            )
        raise ValidationException(
            f"HASH key attributes {attribute.name} must have equality conditions specified in the query"
        )
    return tuple(found)


def _check_operands(attribute: KeyAttribute, condition: AttributeCondition) -> None:
    if condition.operator is None:
        raise ValidationException("Attempted conditional constraint is not an indexable operation")
    for operand in condition.operands:
        if attribute.type not in operand:
            raise ValidationException(
                "One or more parameter values were invalid: Condition parameter type does not match schema type"
            )
        if not operand[attribute.type]:
            raise key_values.empty(attribute)


def _check_sizes(asked: KeyCondition) -> None:
    """Refuses values that are longer than the key can be, with any operator."""
    equal = asked.equal_sort_values
    for value in asked.partition_values + equal + asked.operands:
        for text in value.values():
            if len(text) > _SHORT:
                rows = [(*equal, operand) for operand in asked.operands] or [equal]
                key_values.check_condition_sizes(asked.partition_values, rows)
                return


def _check_prefix(
    conditions: Mapping[str, AttributeCondition], sort_key: Iterable[KeyAttribute], last: KeyAttribute
) -> None:
    """Refuses conditions on sort key attributes unless all before the last one are fixed by equality."""
    for attribute in sort_key:
        if attribute == last:
            return
        condition = conditions.get(attribute.name)
        if condition is None or condition.operator != "=":
            raise ValidationException(
                f"RANGE key attributes {attribute.name} must have equality conditions specified in the query "
                f"because a condition is present on key attribute {last.name}"
            )


# From a condition's tree to conditions on attributes

ValueGetter = Callable[[Values], AttributeValue]


class _Compiled(NamedTuple):
    """A key condition expression ready to be bound to values."""

    checks: tuple[Check, ...]
    refusal: str | None
    """The fault of the key condition. It is raised only if the expression is otherwise well formed."""
    conditions: dict[str, tuple[str, tuple[ValueGetter, ...]]]
    """The operator and operands for each attribute; empty if the condition is refused."""


_INVALID_CONDITION = "Invalid KeyConditionExpression: Invalid condition in KeyConditionExpression: "


class _NotAKeyCondition(Exception):
    """A well-formed condition that no query can use. The message is DynamoDB's."""


@remembering
def _compiled(text: str, placeholders: tuple[str, ...], names: tuple[str | None, ...]) -> _Compiled:
    condition = ast.condition_with_names(parse_condition(text), dict(zip(placeholders, names, strict=True)))
    made = checks(condition)
    if any(isinstance(check, Refusal) for check in made):
        return _Compiled(made, None, {})
    try:
        return _Compiled(made, None, _by_attribute(condition))
    except _NotAKeyCondition as refusal:
        return _Compiled(made, str(refusal), {})


def _by_attribute(condition: Condition) -> dict[str, tuple[str, tuple[ValueGetter, ...]]]:
    found: dict[str, tuple[str, tuple[ValueGetter, ...]]] = {}
    pending: list[Condition] = [condition]
    while pending:
        node = pending.pop()
        if isinstance(node, And):
            pending.extend(reversed(node.conditions))
            continue
        operator, operands = _operator_and_operands(node)
        name = _key_attribute(operator, operands)
        if name in found:
            raise _NotAKeyCondition(
                "Invalid KeyConditionExpression: KeyConditionExpressions must only contain one condition per key"
            )
        if not isinstance(operands[0], Path):
            operator, operands = _MIRRORED[operator], operands[::-1]
        found[name] = operator, tuple([_value_getter(operand) for operand in operands[1:]])
    return found


def _operator_and_operands(condition: Condition) -> tuple[str, tuple[Operand, ...]]:
    match condition:
        case Comparison(operator, left, right) if operator != "<>":
            return operator, (left, right)
        case Between(operand, low, high):
            return "BETWEEN", (operand, low, high)
        case Call("begins_with" as function, arguments):
            return function, arguments
        case Comparison(operator) | Call(operator):
            used = operator
        case In() | Or() | Not() | And():
            used = type(condition).__name__.upper()
    raise _NotAKeyCondition(f"Invalid operator used in KeyConditionExpression: {used}")


def _key_attribute(operator: str, operands: tuple[Operand, ...]) -> str:
    """The single attribute among a condition's operands."""
    if operator in ("BETWEEN", "begins_with") and not isinstance(operands[0], Path):
        raise _NotAKeyCondition(
            f"{_INVALID_CONDITION}{operator} operator must have the key attribute as its first operand"
        )
    name = None
    for operand in operands:
        if isinstance(operand, Call):
            raise _NotAKeyCondition(
                "Invalid KeyConditionExpression: KeyConditionExpressions cannot contain nested operations"
            )
        if not isinstance(operand, Path):
            continue
        if name is not None:
            raise _NotAKeyCondition(f"{_INVALID_CONDITION}Multiple attribute names used in one condition")
        if len(operand.steps) > 1:
            raise _NotAKeyCondition(
                "Invalid KeyConditionExpression: KeyConditionExpressions cannot have conditions on nested attributes"
            )
        name = paths.attribute(operand)
    if name is None:
        raise _NotAKeyCondition(f"{_INVALID_CONDITION}No key attribute specified")
    return name


def _value_getter(operand: Operand) -> ValueGetter:
    if isinstance(operand, ValuePlaceholder):  # Nearly all are.
        return itemgetter(operand.text)
    get = getter(operand)

    def value(values: Values) -> AttributeValue:
        found = get({}, values)
        assert found is not None
        return found

    return value
