"""The functions of expressions: where each may stand and how many operands it takes.

Source: "Condition and filter expressions, operators, and functions" and "Using update expressions" in the developer
guide.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from jedlik.dynamodb.model.expressions.ast import (
    Action,
    And,
    Call,
    Condition,
    InvalidExpression,
    Node,
    Not,
    Or,
    Path,
    parts,
)
from jedlik.dynamodb.model.expressions.reserved import is_reserved

OPERAND_COUNTS = {
    "attribute_exists": 1,
    "attribute_not_exists": 1,
    "attribute_type": 2,
    "begins_with": 2,
    "contains": 2,
    "size": 1,
    "if_not_exists": 2,
    "list_append": 2,
}
CONDITIONS = frozenset(("attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains"))
"""Functions that return true or false. `size` returns a value to compare."""
UPDATES = frozenset(("if_not_exists", "list_append"))
"""Functions of update expressions."""
PATHS_ONLY = frozenset(("attribute_exists", "attribute_not_exists", "if_not_exists"))
"""Functions whose first operand must be a document path."""

MAXIMUM_LIST_INDEX = 2**31 - 1


def check_condition(condition: Condition) -> None:
    """Refuses misplaced functions, and reserved words as names, in the order of the text."""
    pending: list[tuple[Node, bool]] = [(condition, True)]
    while pending:
        node, is_condition = pending.pop()
        match node:
            case Path():
                _check_path(node)
            case Call(function):
                _check_known(function)
                if function in UPDATES:
                    raise InvalidExpression(
                        f"The function is not allowed in a condition expression; function: {function}"
                    )
                if (function in CONDITIONS) != is_condition:
                    raise _misused(function)
        below = isinstance(node, And | Or | Not)
        pending.extend((part, below) for part in reversed(parts(node)))


def check_actions(actions: Sequence[Action]) -> None:
    """Refuses functions that are misplaced in an update, and reserved words, in the order of the text."""
    pending: list[tuple[Node, bool]] = [(action, False) for action in reversed(actions)]
    while pending:
        node, is_nested = pending.pop()
        match node:
            case Path():
                _check_path(node)
            case Call(function):
                _check_known(function)
                if function not in UPDATES:
                    raise InvalidExpression(
                        f"The function is not allowed in an update expression; function: {function}"
                    )
                if function == "list_append" and is_nested:
                    raise _misused(function)
        below = not isinstance(node, Action)
        pending.extend((part, below) for part in reversed(parts(node)))


def check_paths(paths: Iterable[Path]) -> None:
    """Refuses reserved words in the paths of a projection."""
    for path in paths:
        _check_path(path)


def _check_known(function: str) -> None:
    if function not in OPERAND_COUNTS:
        raise InvalidExpression(f"Invalid function name; function: {function}")


def _misused(function: str) -> InvalidExpression:
    return InvalidExpression(f"The function is not allowed to be used this way in an expression; function: {function}")


def _check_path(path: Path) -> None:
    for step in path.steps:
        if isinstance(step, str):
            if is_reserved(step):
                raise InvalidExpression(f"Attribute name is a reserved keyword; reserved keyword: {step}")
        elif isinstance(step, int) and step > MAXIMUM_LIST_INDEX:
            raise InvalidExpression(f"List index is not within the allowable range; index: [{step}]")
