"""The values of operands for an item, and the checks that come before.

An operand is compiled to a function of the item and of the request's values. The checks need only the values, and are
made for each request in DynamoDB's order: from left to right, and for each operator first that its operands are
defined, then their number, that they are distinct, and their types.

Source: "Condition and filter expressions, operators, and functions" in the developer guide; error texts and their
order as DynamoDB gives them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from jedlik.dynamodb.model import limits, values
from jedlik.dynamodb.model.expressions import paths
from jedlik.dynamodb.model.expressions.ast import (
    And,
    Arithmetic,
    AttributeValue,
    Between,
    Call,
    Check,
    Comparison,
    Condition,
    In,
    InvalidExpression,
    Item,
    Literal,
    Not,
    Operand,
    Or,
    Path,
    ValuePlaceholder,
    Values,
)
from jedlik.dynamodb.model.expressions.functions import OPERAND_COUNTS, PATHS_ONLY
from jedlik.utf16 import text_length

Getter = Callable[[Item, Values], AttributeValue | None]
"""An operand's value; None if the path leads nowhere, or a size has no meaning."""

TYPES = ("B", "NULL", "SS", "BOOL", "L", "BS", "N", "NS", "S", "M")
"""In the order in which DynamoDB lists them."""
_ORDERED = frozenset("SNB")
_OPERAND_TYPES: dict[str, frozenset[str]] = {
    "begins_with": frozenset("SB"),
    "size": frozenset(("S", "B", "SS", "NS", "BS", "L", "M")),
    "list_append": frozenset("L"),
    "+": frozenset("N"),
    "-": frozenset("N"),
    "<": _ORDERED,
    "<=": _ORDERED,
    ">": _ORDERED,
    ">=": _ORDERED,
    "BETWEEN": _ORDERED,
}
"""Operators and functions whose operands may not be of every type."""
_STATIC_TYPES = {"size": "N", "list_append": "L", "+": "N", "-": "N"}
"""The types that operators and functions return, if they are known without an item."""


def getter(operand: Operand) -> Getter:
    """The function that computes a condition's operand."""
    match operand:
        case Path((str(name),)):
            return lambda item, _: item.get(name)
        case Path():
            return _nested(operand)
        case ValuePlaceholder(placeholder):
            return lambda _, values: values[placeholder]
        case Literal(value):
            return lambda _, __: value
        case Call("size", (measured,)):
            return _size(getter(measured))
    raise AssertionError(f"not an operand of a condition: {operand}")


def _nested(path: Path) -> Getter:
    name = paths.attribute(path)
    steps = path.steps[1:]

    def get(item: Item, _: Values) -> AttributeValue | None:
        value = item.get(name)
        for step in steps:
            if value is None:
                return None
            if isinstance(step, int):
                elements = value.get("L", ())
                value = elements[step] if step < len(elements) else None
            else:
                value = value["M"].get(step) if "M" in value else None
        return value

    return get


def _size(measured: Getter) -> Getter:
    def get(item: Item, values_: Values) -> AttributeValue | None:
        value = measured(item, values_)
        if value is None:
            return None
        ((type_, content),) = value.items()
        if type_ in ("N", "BOOL", "NULL"):
            return None
        if type_ == "S":
            return {"N": str(text_length(content))}
        return {"N": str(values.value_size(value) if type_ == "B" else len(content))}

    return get


def checks(condition: Condition) -> tuple[Check, ...]:
    """What must be true of a request's values for a condition to be well formed."""
    return tuple(_condition_checks(condition))


def _condition_checks(condition: Condition) -> Iterator[Check]:
    match condition:
        case And(conditions) | Or(conditions):
            for part in conditions:
                yield from _condition_checks(part)
        case Not(negated):
            yield from _condition_checks(negated)
        case Comparison(operator, left, right):
            yield from _operator_checks(operator, (left, right))
        case Between(operand, low, high):
            yield from _operator_checks("BETWEEN", (operand, low, high))
            yield from _bounds_checks(low, high)
        case In(operand, candidates):
            yield from _operator_checks("IN", (operand, *candidates))
            if len(candidates) > limits.IN_OPERANDS:
                yield Refusal(
                    f"The IN operator is provided with too many operands; number of operands: {len(candidates)}"
                )
        case Call():
            yield from operand_checks(condition)


def operand_checks(operand: Operand) -> Iterator[Check]:
    """What must be true of a request's values for an operand, or a function that is a condition, to be well formed."""
    match operand:
        case Path():
            try:
                paths.check_defined(operand)
            except InvalidExpression as refusal:
                yield Refusal(str(refusal))
        case ValuePlaceholder(placeholder):
            yield _defined(placeholder)
        case Arithmetic(operator, left, right):
            yield from _operator_checks(operator, (left, right))
        case Call(function, arguments):
            for argument in arguments:
                yield from operand_checks(argument)
            if len(arguments) != OPERAND_COUNTS[function]:
                yield Refusal(
                    "Incorrect number of operands for operator or function; "
                    f"operator or function: {function}, number of operands: {len(arguments)}"
                )
                return
            if function in PATHS_ONLY and not isinstance(arguments[0], Path):
                yield Refusal(f"Operator or function requires a document path; operator or function: {function}")
            yield from _distinct_checks(function, arguments)
            yield from _type_checks(function, arguments)
            if function == "attribute_type":
                yield from _type_name_checks(arguments[1])


def _operator_checks(operator: str, operands: Sequence[Operand]) -> Iterator[Check]:
    for operand in operands:
        yield from operand_checks(operand)
    yield from _distinct_checks(operator, operands)
    yield from _type_checks(operator, operands)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A check that fails for any values, in its place among the others."""

    message: str

    def __call__(self, _: Values) -> None:
        raise InvalidExpression(self.message)


def _defined(placeholder: str) -> Check:
    def check(values: Values) -> None:
        if placeholder not in values:
            raise InvalidExpression(
                f"An expression attribute value used in expression is not defined; attribute value: {placeholder}"
            )

    return check


def _distinct_checks(operator: str, operands: Sequence[Operand]) -> Iterator[Check]:
    # list_append(a, a) and a + a have a meaning, and are allowed.
    first = operands[0]
    if isinstance(first, Path) and first in operands[1:] and operator not in ("list_append", "+", "-"):
        yield Refusal(
            "The first operand must be distinct from the remaining operands for this operator or function; "
            f"operator: {operator}, first operand: {paths.text(first)}"
        )


def _type_checks(operator: str, operands: Sequence[Operand]) -> Iterator[Check]:
    allowed = _OPERAND_TYPES.get(operator)
    if allowed is None:
        return
    for operand in operands:
        match operand:
            case ValuePlaceholder(placeholder):
                yield _type_check(operator, placeholder, allowed)
            case Literal(value):
                if values.type_of(value) not in allowed:
                    yield Refusal(_incorrect_type(operator, values.type_of(value)))
            case Call(name) | Arithmetic(name):
                given = _STATIC_TYPES.get(name)
                if given is not None and given not in allowed:
                    yield Refusal(_incorrect_type(operator, given))


def _type_check(operator: str, placeholder: str, allowed: frozenset[str]) -> Check:
    def check(given: Values) -> None:
        type_ = values.type_of(given[placeholder])
        if type_ not in allowed:
            raise InvalidExpression(_incorrect_type(operator, type_))

    return check


def _incorrect_type(operator: str, type_: str) -> str:
    return f"Incorrect operand type for operator or function; operator or function: {operator}, operand type: {type_}"


def _type_name_checks(operand: Operand) -> Iterator[Check]:
    all_types = f"{{{','.join(TYPES)}}}"
    match operand:
        case ValuePlaceholder() | Literal():
            get = getter(operand)
        case Call(function):
            yield Refusal(_incorrect_type("attribute_type", _STATIC_TYPES.get(function, all_types)))
            return
        case _:
            yield Refusal(_incorrect_type("attribute_type", all_types))
            return

    def check(given: Values) -> None:
        value = get({}, given)
        assert value is not None
        if "S" not in value:
            raise InvalidExpression(_incorrect_type("attribute_type", values.type_of(value)))
        if value["S"] not in TYPES:
            raise InvalidExpression(f"Invalid attribute type name found; type: {value['S']}, valid types: {all_types}")

    yield check


def _bounds_checks(low: Operand, high: Operand) -> Iterator[Check]:
    """Both bounds are known before there is an item only if neither is a path or a function."""
    if not (isinstance(low, ValuePlaceholder | Literal) and isinstance(high, ValuePlaceholder | Literal)):
        return
    get_low, get_high = getter(low), getter(high)

    def check(given: Values) -> None:
        lower, upper = get_low({}, given), get_high({}, given)
        assert lower is not None
        assert upper is not None
        order = values.compare(lower, upper)
        if order is None:
            raise InvalidExpression(
                f"The BETWEEN operator requires same data type for lower and upper bounds; {_bounds(lower, upper)}"
            )
        if order > 0:
            raise InvalidExpression(
                "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; "
                f"{_bounds(lower, upper)}"
            )

    yield check


def _bounds(lower: AttributeValue, upper: AttributeValue) -> str:
    ((low_type, low),) = lower.items()
    ((high_type, high),) = upper.items()
    return (
        f"lower bound operand: AttributeValue: {{{low_type}:{low}}}, "
        f"upper bound operand: AttributeValue: {{{high_type}:{high}}}"
    )
