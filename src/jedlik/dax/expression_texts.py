"""Expressions: the trees that clients send, written out again as DynamoDB's text, for the handlers of its operations.

A client parses an expression and sends [1, tree, values], a projection [1, paths]. The handlers take text, and check
what it means; so a tree becomes the shortest text that means it, with placeholders for all names and values. Parsing
that again costs little: handlers remember expressions by their text, and one shape of tree always has one text.
"""

from __future__ import annotations

from typing import Any

from jedlik.aws.protocols.cbor_values import ARRAY, NotCbor
from jedlik.dax.wire_values import Attribute, Index, WireReader

VERSION = 1
AND, OR, NOT, BETWEEN, IN = 6, 7, 8, 9, 10
SIZE, VALUE, PATH = 16, 17, 18
SET, ADD, DELETE, REMOVE = 19, 20, 21, 22
COMPARISONS = {0: "=", 1: "<>", 2: "<", 3: ">=", 4: ">", 5: "<="}
PREDICATES = {
    11: ("attribute_exists", 1),
    12: ("attribute_not_exists", 1),
    13: ("attribute_type", 2),
    14: ("begins_with", 2),
    15: ("contains", 2),
}
"""Functions that make a condition, and how many arguments they have."""
OPERAND_FUNCTIONS = {SIZE: ("size", 1), 23: ("if_not_exists", 2), 24: ("list_append", 2)}
ARITHMETIC = {25: "+", 26: "-"}
CLAUSES = {SET: "SET", REMOVE: "REMOVE", ADD: "ADD", DELETE: "DELETE"}

Steps = tuple[str | int, ...]
"""A document path: names, and indexes of lists."""


class Expressions:
    """The expressions of one request, which share their placeholders."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        """Placeholders by name."""
        self.values: dict[str, Attribute] = {}
        self._given: list[Attribute] = []
        self._numbers: dict[int, str] = {}

    @property
    def parameters(self) -> dict[str, Any]:
        """The ExpressionAttributeNames and ExpressionAttributeValues of the request, as far as there are any."""
        found: dict[str, Any] = {}
        if self._names:
            found["ExpressionAttributeNames"] = {placeholder: name for name, placeholder in self._names.items()}
        if self.values:
            found["ExpressionAttributeValues"] = self.values
        return found

    def condition(self, raw: bytes) -> str:
        """The text of a condition, a filter or a key condition. Raises NotCbor."""
        return self._condition(self._tree(raw))

    def update(self, raw: bytes) -> str:
        """The text of an update. Raises NotCbor."""
        clauses: dict[int, list[str]] = {}
        for action in _list(self._tree(raw)):
            operator, operands = _operation(action)
            if operator not in CLAUSES:
                raise NotCbor("an update has no such action")
            path = self._path(_at(operands, 0))
            if operator == SET:
                path += f" = {self._operand(_at(operands, 1))}"
            elif operator != REMOVE:
                path += f" {self._operand(_at(operands, 1))}"
            clauses.setdefault(operator, []).append(path)
        return " ".join([f"{CLAUSES[operator]} {', '.join(actions)}" for operator, actions in clauses.items()])

    def projection(self, paths: tuple[Steps, ...]) -> str:
        """The text of a projection."""
        return ", ".join([self._written(steps) for steps in paths])

    def _tree(self, raw: bytes) -> Any:
        """The tree of an expression; its values are remembered."""
        reader = WireReader(raw)
        _check_version(reader, 3)
        tree = reader.value()
        values = reader.attribute().get("L")
        reader.check_end()
        if values is None:
            raise NotCbor("the values of an expression are no array")
        self._given = values
        self._numbers = {}
        return tree

    def _condition(self, tree: Any) -> str:
        operator, operands = _operation(tree)
        if operator in COMPARISONS:
            return f"{self._operand(_at(operands, 0))} {COMPARISONS[operator]} {self._operand(_at(operands, 1))}"
        if operator in (AND, OR):
            word, looser = (" AND ", (OR,)) if operator == AND else (" OR ", ())
            return self._within(_at(operands, 0), looser) + word + self._within(_at(operands, 1), looser)
        if operator == NOT:
            return f"NOT {self._within(_at(operands, 0), (AND, OR))}"
        if operator == BETWEEN:
            value, low, high = (self._operand(_at(operands, number)) for number in range(3))
            return f"{value} BETWEEN {low} AND {high}"
        if operator == IN:
            choices = [self._operand(one) for one in _list(_at(operands, 1))]
            return f"{self._operand(_at(operands, 0))} IN ({', '.join(choices)})"
        if operator in PREDICATES:
            return self._call(PREDICATES[operator], operands)
        raise NotCbor("an expression has no such condition")

    def _within(self, tree: Any, looser: tuple[int, ...]) -> str:
        """A part of a condition, in parentheses if it would come apart otherwise."""
        written = self._condition(tree)
        return f"({written})" if tree[0] in looser else written

    def _operand(self, tree: Any) -> str:
        operator, operands = _operation(tree)
        if operator == PATH:
            return self._path(tree)
        if operator == VALUE:
            return self._value(_at(operands, 0))
        if operator in OPERAND_FUNCTIONS:
            return self._call(OPERAND_FUNCTIONS[operator], operands)
        if operator in ARITHMETIC:
            return f"{self._operand(_at(operands, 0))} {ARITHMETIC[operator]} {self._operand(_at(operands, 1))}"
        raise NotCbor("an expression has no such operand")

    def _call(self, function: tuple[str, int], operands: list[Any]) -> str:
        name, count = function
        return f"{name}({', '.join([self._operand(_at(operands, number)) for number in range(count)])})"

    def _path(self, tree: Any) -> str:
        operator, steps = _operation(tree)
        if operator != PATH:
            raise NotCbor("an expression has an operand where a path should be")
        return self._written(_steps(steps))

    def _written(self, steps: Steps) -> str:
        written = ""
        for step in steps:
            if type(step) is int:
                written += f"[{step}]"
                continue
            name = str(step)
            placeholder = self._names.setdefault(name, f"#{len(self._names)}")
            written += f".{placeholder}" if written else placeholder
        return written

    def _value(self, number: Any) -> str:
        if type(number) is not int or not 0 <= number < len(self._given):
            raise NotCbor("an expression has no such value")
        placeholder = self._numbers.get(number)
        if placeholder is None:
            placeholder = self._numbers[number] = f":{len(self.values)}"
            self.values[placeholder] = self._given[number]
        return placeholder


def projected(raw: bytes) -> tuple[Steps, ...]:
    """The paths of a projection, in their order. Raises NotCbor."""
    reader = WireReader(raw)
    _check_version(reader, 2)
    paths = []
    for tree in _list(reader.value()):
        operator, steps = _operation(tree)
        if operator != PATH:
            raise NotCbor("a projection has something else than paths")
        paths.append(_steps(steps))
    reader.check_end()
    return tuple(paths)


def _check_version(reader: WireReader, members: int) -> None:
    if reader.head() != (ARRAY, members) or reader.value() != VERSION:
        raise NotCbor("an expression has an unknown form")


def _steps(steps: list[Any]) -> Steps:
    made: list[str | int] = []
    for step in steps:
        if isinstance(step, Index):
            made.append(step.number)
        elif type(step) is str:
            made.append(step)
        else:
            raise NotCbor("a path has something else than names and indexes")
    if not made or type(made[0]) is not str:
        raise NotCbor("a path begins with no name")
    return tuple(made)


def _operation(tree: Any) -> tuple[int, list[Any]]:
    """An operator's number, and its operands."""
    operator, *operands = _list(tree)
    if type(operator) is not int:
        raise NotCbor("an operator is not a number")
    return operator, operands


def _list(tree: Any) -> list[Any]:
    if type(tree) is not list or not tree:
        raise NotCbor("a part of an expression is no array, or an empty one")
    return tree


def _at(operands: list[Any], number: int) -> Any:
    if number >= len(operands):
        raise NotCbor("an operator has too few operands")
    return operands[number]
