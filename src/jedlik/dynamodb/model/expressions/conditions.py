"""Condition and filter expressions: a tree is compiled to closures that decide whether an item satisfies it.

A text with its attribute names is compiled once, and the result is remembered. For each request, only its values are
checked and kept beside the closures.

Comparisons with a missing attribute are false, except for <>, which is true; so are those between different types.
Nothing in an item can make a condition fail with an error.

Source: "Condition and filter expressions, operators, and functions" in the developer guide.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.model import values
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
    Item,
    Not,
    Or,
    Values,
)
from jedlik.dynamodb.model.expressions.key_attributes import refuse_filtered_keys, refuse_nested_keys
from jedlik.dynamodb.model.expressions.operands import Getter, Refusal, checks, getter
from jedlik.dynamodb.model.expressions.parser import condition_placeholders, parse_condition
from jedlik.dynamodb.model.expressions.placeholders import Placeholders
from jedlik.dynamodb.model.expressions.remembering import remembering

if TYPE_CHECKING:
    from jedlik.dynamodb.model.tables import Index, Table

Kind = Literal["ConditionExpression", "FilterExpression"]
Test = Callable[[Item, Values], bool]


class Predicate:
    """A condition on an item, bound to its values. Call it with the item ({} if it does not exist)."""

    __slots__ = ("_compiled", "_name", "_test", "_values")

    def __init__(self, compiled: Compiled, values: Values, name: str) -> None:
        self._compiled = compiled
        self._test = compiled.test
        self._values = values
        self._name = name

    @property
    def attribute_names(self) -> frozenset[str]:
        """Top-level attributes that it reads."""
        return self._compiled.attribute_names

    def __call__(self, item: Item) -> bool:
        return self._test(item, self._values)

    def refuse_key_attributes(self, table: Table, index: Index | None) -> None:
        """Raises ValidationException if a Query's filter reads an attribute of the queried key."""
        refuse_filtered_keys(table, index, self._name, self._compiled.attribute_names)

    def refuse_nested_keys(self, table: Table) -> None:
        """Raises ValidationException if a path goes into a key attribute."""
        refuse_nested_keys(table, self._compiled.nested_names)


class Compiled(NamedTuple):
    """A condition ready to be bound to values."""

    test: Test
    checks: tuple[Check, ...]
    attribute_names: frozenset[str]
    """Top-level attributes that it reads."""
    nested_names: frozenset[str]
    """Those into which it looks."""


def condition(text: str, placeholders: Placeholders, kind: Kind) -> Predicate:
    """The predicate of an expression's text. Raises ValidationException."""
    try:
        return bound(
            compiled(text, placeholders),
            placeholders.values,
            "Filter Expression" if kind == "FilterExpression" else kind,
        )
    except InvalidExpression as refusal:
        raise ValidationException(f"Invalid {kind}: {refusal}") from None


def compiled(text: str, placeholders: Placeholders) -> Compiled:
    """A condition whose values are not checked yet. Raises InvalidExpression."""
    names, used_values = condition_placeholders(text)
    return _compiled(text, names, placeholders.use(names, used_values))


def bound(compiled: Compiled, values: Values, name: str) -> Predicate:
    """A predicate of a compiled condition and values. Raises InvalidExpression if the values do not fit the
    condition."""
    for check in compiled.checks:
        check(values)
    return Predicate(compiled, values, name)


@remembering
def _compiled(text: str, placeholders: tuple[str, ...], names: tuple[str | None, ...]) -> Compiled:
    behind = dict(zip(placeholders, names, strict=True))
    return compile_condition(ast.condition_with_names(parse_condition(text), behind))


def compile_condition(condition: Condition) -> Compiled:
    """A condition ready to be bound to values.

    A condition that is malformed for any values is never evaluated: a check refuses it first.
    """
    made = checks(condition)
    read = [path for path in ast.paths((condition,)) if isinstance(path.steps[0], str)]
    return Compiled(
        test=_never if any(isinstance(check, Refusal) for check in made) else _test(condition),
        checks=made,
        attribute_names=frozenset(paths.attribute(path) for path in read),
        nested_names=frozenset(paths.attribute(path) for path in read if len(path.steps) > 1),
    )


def _never(_: Item, __: Values) -> bool:
    raise AssertionError("a malformed condition is refused before it is evaluated")


def _test(condition: Condition) -> Test:
    match condition:
        case And(conditions):
            return _all([_test(c) for c in conditions])
        case Or(conditions):
            return _any([_test(c) for c in conditions])
        case Not(negated):
            return _negation(_test(negated))
        case Comparison("=", left, right):
            return _equality(getter(left), getter(right))
        case Comparison("<>", left, right):
            return _negation(_equality(getter(left), getter(right)))
        case Comparison(operator, left, right):
            return _order(_ORDERS[operator], getter(left), getter(right))
        case Between(operand, low, high):
            return _between(getter(operand), getter(low), getter(high))
        case In(operand, candidates):
            return _membership(getter(operand), [getter(c) for c in candidates])
        case Call(function, arguments):
            return _FUNCTIONS[function](*[getter(a) for a in arguments])


def _all(tests: list[Test]) -> Test:
    if len(tests) == 2:
        first, second = tests
        return lambda item, given: first(item, given) and second(item, given)
    return lambda item, given: all(each(item, given) for each in tests)


def _any(tests: list[Test]) -> Test:
    return lambda item, given: any(each(item, given) for each in tests)


def _negation(negated: Test) -> Test:
    return lambda item, given: not negated(item, given)


def _equality(left: Getter, right: Getter) -> Test:
    def test(item: Item, given: Values) -> bool:
        a, b = left(item, given), right(item, given)
        return a is not None and b is not None and values.equal(a, b)

    return test


_ORDERS: dict[str, Callable[[int], bool]] = {
    "<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
    ">": lambda order: order > 0,
    ">=": lambda order: order >= 0,
}


def _order(is_met: Callable[[int], bool], left: Getter, right: Getter) -> Test:
    def test(item: Item, given: Values) -> bool:
        a, b = left(item, given), right(item, given)
        if a is None or b is None:
            return False
        order = values.compare(a, b)
        return order is not None and is_met(order)

    return test


def _between(operand: Getter, low: Getter, high: Getter) -> Test:
    at_least = _order(_ORDERS[">="], operand, low)
    at_most = _order(_ORDERS["<="], operand, high)
    return lambda item, given: at_least(item, given) and at_most(item, given)


def _membership(operand: Getter, candidates: list[Getter]) -> Test:
    def test(item: Item, given: Values) -> bool:
        value = operand(item, given)
        if value is None:
            return False
        for get in candidates:
            candidate = get(item, given)
            if candidate is not None and values.equal(value, candidate):
                return True
        return False

    return test


def _existence(operand: Getter) -> Test:
    return lambda item, given: operand(item, given) is not None


def _absence(operand: Getter) -> Test:
    return lambda item, given: operand(item, given) is None


def _type(operand: Getter, name: Getter) -> Test:
    def test(item: Item, given: Values) -> bool:
        value, wanted = operand(item, given), name(item, given)
        return value is not None and wanted is not None and wanted["S"] in value

    return test


def _relation(holds: Callable[[AttributeValue, AttributeValue], bool]) -> Callable[[Getter, Getter], Test]:
    """A function of two operands that is false if one is missing."""

    def compiled(left: Getter, right: Getter) -> Test:
        def test(item: Item, given: Values) -> bool:
            a, b = left(item, given), right(item, given)
            return a is not None and b is not None and holds(a, b)

        return test

    return compiled


def _begins_with(whole: AttributeValue, beginning: AttributeValue) -> bool:
    if "S" in whole and "S" in beginning:
        return bool(whole["S"].startswith(beginning["S"]))
    if "B" in whole and "B" in beginning:
        return values.binary(whole).startswith(values.binary(beginning))
    return False


def _contains(whole: AttributeValue, part: AttributeValue) -> bool:
    """Whether a string or binary is in another, a member in a set, or an element in a list."""
    ((type_, content),) = whole.items()
    match type_:
        case "S":
            return "S" in part and part["S"] in content
        case "B":
            return "B" in part and values.binary(part) in values.binary(whole)
        case "SS" | "NS" | "BS":
            member = part.get(type_[0])
            return member is not None and member in content
        case "L":
            return any(values.equal(element, part) for element in content)
    return False


_FUNCTIONS: dict[str, Callable[..., Test]] = {
    "attribute_exists": _existence,
    "attribute_not_exists": _absence,
    "attribute_type": _type,
    "begins_with": _relation(_begins_with),
    "contains": _relation(_contains),
}
"""A test compiled from the compiled operands; the checks have counted them."""
