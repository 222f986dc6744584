"""The charge of an UpdateItem for its statement, which may not be more than an item may hold.

DynamoDB measures an UpdateItem twice: the resulting item, as for every write, and the statement itself: the values and
names in its clauses, with a fixed cost for each clause, function and element of a path. The second figure does not
include the key and attributes that the statement leaves alone, and the item does not matter to it, so it is known from
the request. With a short key it is the larger of the two: an item that PutItem can store may be too large for
UpdateItem. Only an UpdateExpression of UpdateItem is charged in this way: AttributeUpdates, PartiQL and transactions
measure the item alone.

Source: the Parity Suite's recordings of 2026-08-18, 2026-08-19 and 2026-10-09 (80 probes, each to the byte); us-east-1
and 21 other regions of 33 charge so, the rest measure the item alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from jedlik.dynamodb.model.expressions import ast
from jedlik.dynamodb.model.expressions.ast import Action, Operand, Path, ValuePlaceholder, Values
from jedlik.dynamodb.model.values import text_size, value_size

_UPDATE = 3
"""Every update."""
_WRITING = 19
"""SET and ADD, beside the target and the value assigned or added."""
_CLEARING = 1
"""REMOVE and DELETE, beside the target: the removed value is free."""
_STEP = 4
"""Each element of a target after the first, beside its text."""
_READ = 1
"""A path that is read: the value that it leads to is free."""
_READ_STEP = 14
"""Each element of such a path, beside its text."""
_FUNCTIONS = {"+": 34, "-": 37, "if_not_exists": 39, "list_append": 37}
"""Beside the operands, whatever their result."""


class Charge(NamedTuple):
    """The charge of an update, as far as it is known without the request's values."""

    fixed: int
    values: tuple[str, ...]
    """The :values that are charged for, each as often as it occurs."""

    def total(self, values: Values) -> int:
        """The charge in bytes."""
        return self.fixed + sum([value_size(values[name]) for name in self.values])


def charge(actions: Sequence[Action]) -> Charge:
    """The charge of well-formed actions."""
    fixed = _UPDATE
    values: list[str] = []
    for action in actions:
        first, *rest = action.path.steps
        fixed += _text(first) + sum(_STEP + _text(step) for step in rest)
        if action.verb in ("REMOVE", "DELETE"):
            fixed += _CLEARING
            continue
        assert action.value is not None
        fixed += _WRITING + _operand(action.value, values)
    return Charge(fixed, tuple(values))


def _operand(operand: Operand, values: list[str]) -> int:
    """The fixed part of an operand's charge; the :values in it are added to `values`."""
    fixed = 0
    for node in ast.walk([operand]):
        match node:
            case Path(steps):
                fixed += _READ + sum(_READ_STEP + _text(step) for step in steps)
            case ValuePlaceholder(name):
                values.append(name)
            case ast.Call(name) | ast.Arithmetic(name):
                fixed += _FUNCTIONS[name]
            case _:
                raise AssertionError(f"not an operand of an update: {node}")
    return fixed


def _text(step: ast.Step) -> int:
    """The bytes of a name, or the digits of an index."""
    assert not isinstance(step, ast.NamePlaceholder), "names have been looked up"
    return text_size(str(step))
