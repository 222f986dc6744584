"""The parameters that came before expressions, turned into the same predicates, updates and projections.

Expected, QueryFilter and ScanFilter become conditions on whole attributes, AttributeUpdates becomes actions, and
KeyConditions becomes the same conditions as a key condition expression. Each has its own checks and error texts.

Tables define which operators and types fit together. An unknown comparison operator is refused with the shape of the
request, before this module runs.

Source: "Legacy conditional parameters" in the developer guide; errors as DynamoDB words them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.model import limits, values
from jedlik.dynamodb.model.expressions import ast
from jedlik.dynamodb.model.expressions.ast import (
    Action,
    And,
    AttributeValue,
    Between,
    Call,
    Comparison,
    Condition,
    In,
    Not,
    Operand,
    Or,
    Path,
)
from jedlik.dynamodb.model.expressions.conditions import Predicate, compile_condition
from jedlik.dynamodb.model.expressions.key_conditions import AttributeCondition
from jedlik.dynamodb.model.expressions.path_changes import added, deleted, operation, remove
from jedlik.dynamodb.model.expressions.projections import Projection
from jedlik.dynamodb.model.expressions.updates import BoundUpdate, plan

if TYPE_CHECKING:
    pass

_INVALID = "One or more parameter values were invalid: "
_FILTERS = ("Expected", "QueryFilter", "ScanFilter")

_ARGUMENT_COUNTS = {
    "EQ": (1, 1),
    "NE": (1, 1),
    "LE": (1, 1),
    "LT": (1, 1),
    "GE": (1, 1),
    "GT": (1, 1),
    "CONTAINS": (1, 1),
    "NOT_CONTAINS": (1, 1),
    "BEGINS_WITH": (1, 1),
    "BETWEEN": (2, 2),
    "IN": (1, None),
    "NULL": (0, 0),
    "NOT_NULL": (0, 0),
}
"""The least and the most arguments of an operator."""
_SCALARS = frozenset("SNB")
_ARGUMENT_TYPES = {
    "LE": _SCALARS,
    "LT": _SCALARS,
    "GE": _SCALARS,
    "GT": _SCALARS,
    "CONTAINS": _SCALARS,
    "NOT_CONTAINS": _SCALARS,
    "BEGINS_WITH": frozenset("SB"),
    "BETWEEN": _SCALARS,
    "IN": _SCALARS,
}
"""Operators whose arguments may not be of every type."""
_COMPARISONS = {"EQ": "=", "NE": "<>", "LE": "<=", "LT": "<", "GE": ">=", "GT": ">"}
_KEY_OPERATORS = {
    "EQ": "=",
    "LE": "<=",
    "LT": "<",
    "GE": ">=",
    "GT": ">",
    "BETWEEN": "BETWEEN",
    "BEGINS_WITH": "begins_with",
}
_SETS = frozenset(("SS", "NS", "BS"))


def refuse_mixed_parameters(
    request: dict[str, Any], expressions: Sequence[str], non_expressions: Sequence[str]
) -> None:
    """Refuses a request that mixes old parameters with expressions, or has placeholders but no expression.

    `expressions` and `non_expressions` are the names of the operation's parameters, in DynamoDB's order, e.g.
    ("UpdateExpression", "ConditionExpression") and ("AttributeUpdates", "Expected", "ConditionalOperator").
    Raises ValidationException.
    """
    used = [name for name in expressions if request.get(name) is not None]
    old = [name for name in non_expressions if request.get(name) is not None]
    if "KeyConditionExpression" not in used and "KeyConditions" in old:
        # It may stand beside any expression except its own successor.
        old.remove("KeyConditions")
    if used and old:
        raise ValidationException(
            "Can not use both expression and non-expression parameters in the same request: "
            f"Non-expression parameters: {{{', '.join(old)}}} Expression parameters: {{{', '.join(used)}}}"
        )
    if not used and request.get("ExpressionAttributeNames") is not None:
        raise ValidationException("ExpressionAttributeNames can only be specified when using expressions")
    with_values = [name for name in expressions if name != "ProjectionExpression"]
    if request.get("ExpressionAttributeValues") is not None and not set(used) & set(with_values):
        are_null = (
            f": {' and '.join(with_values)} {'are' if len(with_values) > 1 else 'is'} null" if with_values else ""
        )
        text = "ExpressionAttributeValues can only be specified when using expressions"
        raise ValidationException(f"{text}{are_null}", text)


def check_conditional_operator(request: dict[str, Any]) -> None:
    """Refuses a ConditionalOperator without at least two conditions to join. Raises ValidationException."""
    if request.get("ConditionalOperator") is None:
        return
    joined = max(len(request.get(name) or ()) for name in _FILTERS)
    if joined == 0:
        raise ValidationException("ConditionalOperator cannot be used without Filter or Expected")
    if joined == 1:
        raise ValidationException(
            "ConditionalOperator can only be used when Filter or Expected has two or more elements"
        )


# Conditions


def expected(conditions: dict[str, Any], conditional_operator: str | None) -> Predicate:
    """The condition of Expected and ConditionalOperator on the item. Raises ValidationException."""
    _check_operands(conditions)
    made = [_expectation(name, condition) for name, condition in conditions.items()]
    return _predicate(made, conditional_operator, "Expected")


def filter_conditions(
    conditions: dict[str, Any], conditional_operator: str | None, kind: Literal["QueryFilter", "ScanFilter"]
) -> Predicate:
    """The condition of QueryFilter or ScanFilter on an item. Raises ValidationException."""
    _check_operands(conditions)
    made = []
    for name, condition in conditions.items():
        operator = condition["ComparisonOperator"]
        made.append(_condition(name, operator, _checked_arguments(operator, condition)))
    return _predicate(made, conditional_operator, kind)


def _predicate(conditions: Sequence[Condition], conditional_operator: str | None, name: str) -> Predicate:
    joined: Condition
    if len(conditions) == 1:
        joined = conditions[0]
    elif conditional_operator == "OR":
        joined = Or(tuple(conditions))
    else:
        joined = And(tuple(conditions))
    return Predicate(compile_condition(joined), {}, name)


def _expectation(name: str, condition: dict[str, Any]) -> Condition:
    value, arguments = condition.get("Value"), condition.get("AttributeValueList")
    operator, exists = condition.get("ComparisonOperator"), condition.get("Exists")
    if value is not None and arguments is not None:
        raise _invalid(name, "Value and AttributeValueList cannot be used together")
    if operator is not None:
        if exists is not None:
            raise _invalid(name, "Exists and ComparisonOperator cannot be used together")
        if value is not None:
            condition = {"AttributeValueList": [value]}
        elif arguments is None and operator not in ("NULL", "NOT_NULL"):
            raise _invalid(name, f"Value or AttributeValueList must be used with ComparisonOperator: {operator}")
        return _condition(name, operator, _checked_arguments(operator, condition))
    if arguments is not None:
        raise _invalid(name, "AttributeValueList can only be used with a ComparisonOperator")
    if exists is False:
        if value is not None:
            raise _invalid(name, "Value cannot be used when Exists is false")
        return _condition(name, "NULL", [])
    if value is None:
        raise _invalid(name, f"Value must be provided when Exists is {'true' if exists else 'null'}")
    return _condition(name, "EQ", [_normalised(value)])


def _check_operands(conditions: dict[str, Any]) -> None:
    """Expressions are limited by their length. A body of 16 MB holds a million of these conditions, and each takes a
    while."""
    operands = sum(len(condition.get("AttributeValueList") or ()) for condition in conditions.values())
    if operands > limits.COLLECTION_LENGTH:
        raise ValidationException(
            f"{_INVALID}Too many attribute values in conditions: {operands}, of at most {limits.COLLECTION_LENGTH}"
        )


def _invalid(name: str, rule: str) -> ValidationException:
    return ValidationException(f"{_INVALID}{rule} for Attribute: {name}")


def _normalised(raw: Any) -> AttributeValue:
    value, _ = values.normalise_value(raw)
    return value


def _checked_name(name: str) -> str:
    size = len(name.encode())
    if size == 0:
        raise ValidationException(f"{_INVALID}Empty attribute name")
    if size > limits.ATTRIBUTE_NAME_SIZE:
        raise ValidationException(
            f"{_INVALID}Attribute name is too large, must be less than {limits.ATTRIBUTE_NAME_SIZE + 1} bytes, "
            f"actual: {size}"
        )
    return name


def _checked_arguments(operator: str, condition: dict[str, Any]) -> list[AttributeValue]:
    """The normalised arguments of an operator. Checks their number, that they have one type, and that the operator
    takes it."""
    arguments = [_normalised(raw) for raw in condition.get("AttributeValueList") or ()]
    least, most = _ARGUMENT_COUNTS[operator]
    if len(arguments) < least or (most is not None and len(arguments) > most):
        raise ValidationException(f"{_INVALID}Invalid number of argument(s) for the {operator} ComparisonOperator")
    types = [values.type_of(argument) for argument in arguments]
    if len(set(types)) > 1:
        raise ValidationException(f"{_INVALID}AttributeValues inside AttributeValueList must be of same type")
    allowed = _ARGUMENT_TYPES.get(operator)
    for type_ in types:
        if allowed is not None and type_ not in allowed:
            raise ValidationException(
                f"{_INVALID}ComparisonOperator {operator} is not valid for {type_} AttributeValue type"
            )
    if operator == "BETWEEN" and (values.compare(*arguments) or 0) > 0:
        raise ValidationException(
            "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound"
        )
    return arguments


def _batched(operands: tuple[Operand, ...], size: int) -> Iterator[tuple[Operand, ...]]:
    for start in range(0, len(operands), size):
        yield operands[start : start + size]


def _condition(name: str, operator: str, arguments: Sequence[AttributeValue]) -> Condition:
    path = Path((_checked_name(name),))
    operands = tuple([ast.Literal(argument) for argument in arguments])
    if operator in _COMPARISONS:
        return Comparison(_COMPARISONS[operator], path, operands[0])
    exists = Call("attribute_exists", (path,))
    match operator:
        case "BETWEEN":
            return Between(path, *operands)
        case "IN":
            # The limit on IN's operands belongs to expressions; this older list may be longer.
            return Or(tuple([In(path, part) for part in _batched(operands, limits.IN_OPERANDS)]))
        case "BEGINS_WITH":
            return Call("begins_with", (path, *operands))
        case "CONTAINS":
            return Call("contains", (path, *operands))
        case "NOT_CONTAINS":
            # Unlike NE it is false, as CONTAINS is, if the attribute is missing.
            return And((exists, Not(Call("contains", (path, *operands)))))
        case "NOT_NULL":
            return exists
    return Not(exists)


def parse_key_conditions(conditions: dict[str, Any]) -> dict[str, AttributeCondition]:
    """The condition of KeyConditions on each attribute: all checks that need no table are made.

    Raises ValidationException.
    """
    _check_operands(conditions)
    made = {}
    for name, condition in conditions.items():
        operator = condition["ComparisonOperator"]
        arguments = _checked_arguments(operator, condition)
        made[name] = AttributeCondition(_KEY_OPERATORS.get(operator), tuple(arguments))
    return made


# Updates


def attribute_updates(updates: dict[str, Any]) -> BoundUpdate:
    """The change of AttributeUpdates. Raises ValidationException."""
    actions = [_action(name, update) for name, update in updates.items()]
    return BoundUpdate(plan(actions, (), _CHANGES), {})


def _action(name: str, update: dict[str, Any]) -> Action:
    verb = update.get("Action") or "PUT"
    path = Path((_checked_name(name),))
    if update.get("Value") is None:
        if verb != "DELETE":
            raise ValidationException(f"{_INVALID}Only DELETE action is allowed when no attribute value is specified")
        return Action("REMOVE", path, None)
    value = _normalised(update["Value"])
    type_ = values.type_of(value)
    if verb == "DELETE" and type_ not in _SETS:
        raise ValidationException(f"{_INVALID}DELETE action with value is not supported for the type {type_}")
    if verb == "ADD" and type_ not in _SETS and type_ not in ("N", "L"):
        raise ValidationException(f"{_INVALID}ADD action is not supported for the type {type_}")
    return Action(verb, path, ast.Literal(value))


_MISMATCH = "Type mismatch for attribute to update"


def _put(_: AttributeValue | None, operand: AttributeValue) -> AttributeValue:
    return operand


def _add(value: AttributeValue | None, operand: AttributeValue) -> AttributeValue:
    """Unlike an expression's ADD it also appends a list to a list."""
    if value is None:
        return operand
    if "L" in value and "L" in operand:
        return {"L": value["L"] + operand["L"]}
    return added(value, operand, _MISMATCH)


def _delete(value: AttributeValue | None, operand: AttributeValue) -> AttributeValue | None:
    return None if value is None else deleted(value, operand, _MISMATCH)


_CHANGES = {
    "PUT": operation(_put),
    "ADD": operation(_add),
    "DELETE": operation(_delete),
    "REMOVE": remove,
}


# Projections


def attributes_to_get(names: list[str]) -> Projection:
    """The projection of AttributesToGet. Raises ValidationException."""
    seen = set()
    for name in names:
        if name in seen:
            raise ValidationException(f"{_INVALID}Duplicate value in attribute name: {name}")
        seen.add(name)
    return Projection([Path((_checked_name(name),)) for name in names])
