"""Statements: the meaning of a text, before a table or a parameter is read.

Source: "PartiQL statements for DynamoDB" in the developer guide.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.model.expressions import ast, operands, paths, updates
from jedlik.dynamodb.model.expressions.ast import Check, InvalidExpression, Item, Values
from jedlik.dynamodb.model.expressions.path_changes import CHANGES
from jedlik.dynamodb.model.expressions.updates import Plan
from jedlik.dynamodb.model.partiql import literals, update_clauses, where_clauses
from jedlik.dynamodb.model.partiql.constants import Constants
from jedlik.dynamodb.model.partiql.errors import EXISTS_OUTSIDE, ONE_SOURCE, UNEXPECTED_SOURCE, invalid
from jedlik.dynamodb.model.partiql.statement_parser import parse
from jedlik.dynamodb.model.partiql.statement_paths import path, table_path
from jedlik.dynamodb.model.partiql.syntax import (
    Assignment,
    Call,
    Definition,
    Insertion,
    Literal,
    Manipulation,
    Name,
    Node,
    Path,
    Query,
    Removal,
    Struct,
)
from jedlik.dynamodb.model.values import AttributeValue

CACHED = 1024
"""The number of parsed statements that are kept. Those with parameters recur; those with literals mostly do not."""

RETURN_VALUES = {
    "ALL OLD": "ALL_OLD",
    "ALL NEW": "ALL_NEW",
    "MODIFIED OLD": "UPDATED_OLD",
    "MODIFIED NEW": "UPDATED_NEW",
}
"""RETURNING, as ReturnValues."""

_TABLE_NAME = re.compile(r"(?:arn:(?:[^:]*:){4}table/)?[A-Za-z0-9_.-]{3,255}")
_TABLE_NAME_RULE = (
    "Table name should be within the length [3, 255] and only contain 'a-z', 'A-Z', '0-9', '-', '_', '.'."
)
_STRUCT_ONLY = (
    "Unsupported format in item expression. Please use struct format {...} to express item values for insert statement."
)


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """What all statements have."""

    table: str
    """The table's name."""
    constants: Constants
    checks: tuple[Check, ...]
    """What must be true of the values for the statement to be well formed."""

    def bound(self, parameters: Sequence[AttributeValue]) -> Values:
        """The values that the statement's conditions and changes refer to. Raises ValidationException."""
        given = self.constants.values(parameters)
        try:
            for check in self.checks:
                check(given)
        except InvalidExpression as refusal:
            raise invalid(str(refusal)) from None
        return given


@dataclass(frozen=True, slots=True, eq=False)
class SelectStatement(Statement):
    """A read."""

    index: str | None
    projection: Projection | None
    """None for all attributes."""
    where: ast.Condition | None
    order: tuple[tuple[str, bool], ...]
    """Attributes, and whether their order is descending."""
    refusal: str | None
    """The fault of the projection in a read of an index, which is checked first."""


@dataclass(frozen=True, slots=True, eq=False)
class InsertStatement(Statement):
    """Creates an item that does not exist yet."""

    attributes: dict[str, AttributeValue | int]
    """Values, not normalised, or the numbers of their parameters."""


@dataclass(frozen=True, slots=True, eq=False)
class UpdateStatement(Statement):
    """A change to an existing item."""

    plan: Plan
    names: tuple[str, ...]
    """Attributes that it changes or assigns from."""
    where: ast.Condition | None
    returning: str | None
    """ALL OLD, ALL NEW, MODIFIED OLD or MODIFIED NEW."""


@dataclass(frozen=True, slots=True, eq=False)
class DeleteStatement(Statement):
    """Removes an item, if it exists."""

    where: ast.Condition | None
    returning: str | None
    """ALL OLD, if anything."""


@dataclass(frozen=True, slots=True, eq=False)
class ExistsStatement(Statement):
    """A condition on an item that a transaction makes."""

    where: ast.Condition | None


WriteStatement = InsertStatement | UpdateStatement | DeleteStatement | ExistsStatement


class Projection:
    """The result of a SELECT list for an item: one attribute for each path, named after the path's last name."""

    __slots__ = ("_getters", "names")

    def __init__(self, projected: Sequence[ast.Path]) -> None:
        self.names = tuple(dict.fromkeys(paths.attribute(path) for path in projected))
        """The attributes of the item that are read, in the order of the list."""
        self._getters = [(_column(path), operands.getter(path)) for path in projected]

    def apply(self, item: Item) -> Item:
        """The selected parts of the item. Missing attributes are left out."""
        nothing: Values = {}
        found = [(column, get(item, nothing)) for column, get in self._getters]
        return {column: value for column, value in found if value is not None}


@lru_cache(CACHED)
def statement(text: str) -> SelectStatement | WriteStatement:
    """The statement of a text. Raises ValidationException."""
    node, parameters = parse(text)
    constants = Constants(parameters)
    match node:
        case Query():
            return _select(node, constants)
        case Manipulation(actions=(Insertion() as insertion,), where=None, sources=()):
            return _insert(insertion, constants)
        case Manipulation():
            return _manipulation(node, constants)
        case Call(name="exists", arguments=(Query() as query,)):
            return _exists(query, constants)
        case Definition(operation=operation):
            raise invalid(f"Unsupported operation: {operation}")
    kind = "Literal" if isinstance(node, Literal) else literals.kind(node)
    raise invalid(EXISTS_OUTSIDE if kind == "NAry" else f"Unsupported operation: {kind}")


def _select(node: Query, constants: Constants) -> SelectStatement:
    table, index = _source(node.sources)
    if index is not None:
        _check_name(index)
    projection, refusal = None, None
    try:
        projection = None if node.projection is None else _projection(node.projection)
    except ValidationException as error:
        if index is None:
            raise
        refusal = error.message
    where = _where(node.where, constants)
    order = tuple([(_ordering(key), descends) for key, descends in node.order])
    return SelectStatement(table, constants, _checks(where), index, projection, where, order, refusal)


def _where(node: Node | None, constants: Constants) -> ast.Condition | None:
    return None if node is None else where_clauses.where(node, constants)


def _checks(where: ast.Condition | None) -> tuple[Check, ...]:
    return () if where is None else operands.checks(where)


def _source(sources: Sequence[Node]) -> tuple[str, str | None]:
    """The table and the index that a FROM clause names."""
    if len(sources) != 1:
        raise invalid(ONE_SOURCE)
    if not isinstance(sources[0], Name | Path):
        raise invalid(UNEXPECTED_SOURCE)
    table, *others = table_path(sources[0])
    if len(others) > 1:
        raise invalid("A path may contain at most 2 components in the FROM clause")
    _check_name(table)
    return table, others[0] if others else None


def _check_name(name: str) -> None:
    if not _TABLE_NAME.fullmatch(name):
        raise invalid(_TABLE_NAME_RULE)


def _projection(nodes: Sequence[Node]) -> Projection:
    projected = [path(node) for node in nodes]
    columns = set()
    for each in projected:
        column = _column(each)
        if column in columns:
            raise invalid(f"Duplicate identifiers in select clause: {column}")
        columns.add(column)
    _check_disjoint(projected)
    return Projection(projected)


def _check_disjoint(disjoint: Sequence[ast.Path]) -> None:
    try:
        for each in disjoint:
            paths.check_defined(each)
        paths.check_disjoint(disjoint)
    except InvalidExpression as refusal:
        raise invalid(str(refusal)) from None


def _column(path: ast.Path) -> str:
    """The name of a path in the result: its last name, with the list indexes that follow it."""
    last = max(i for i, step in enumerate(path.steps) if isinstance(step, str))
    return "".join(f"[{step}]" if isinstance(step, int) else str(step) for step in path.steps[last:])


def _ordering(node: Node) -> str:
    if not isinstance(node, Name):
        kind = "PATH" if isinstance(node, Path) else node.token.text
        raise invalid(f"Argument to ORDER BY must be of type VariableReference. Type: {kind}")
    return node.name


def _insert(node: Insertion, constants: Constants) -> InsertStatement:
    if not node.has_value:
        raise invalid("Unsupported operation: InsertOp")
    if not isinstance(node.target, Name):
        raise invalid("FROM clause may only contain a single table name in data manipulation statements")
    (table,) = table_path(node.target)
    _check_name(table)
    if not isinstance(node.value, Struct):
        raise invalid(f"{_STRUCT_ONLY} at {node.value.token.place}")
    return InsertStatement(table, constants, (), literals.attributes(node.value))


def _manipulation(node: Manipulation, constants: Constants) -> UpdateStatement | DeleteStatement:
    if any(isinstance(action, Insertion) for action in node.actions):
        raise invalid(f"Unsupported FROM ... WHERE ... clause in INSERT statement. at {node.token.place}")
    table, index = _source(node.sources)
    if index is not None:
        raise invalid("This operation is not supported on an index")
    where = _where(node.where, constants)
    if node.actions:
        clauses = [action for action in node.actions if isinstance(action, Assignment | Removal)]
        actions = update_clauses.actions(clauses, constants)
        plan = _plan(actions)
        names = tuple(dict.fromkeys(map(paths.attribute, ast.paths(actions))))
        return UpdateStatement(table, constants, (*_checks(where), *plan.checks), plan, names, where, node.returning)
    if node.returning not in (None, "ALL OLD"):
        raise invalid(
            f"Invalid returning clause: RETURNING {node.returning} *. "
            "Only RETURNING ALL OLD * is allowed in DELETE statements."
        )
    return DeleteStatement(table, constants, _checks(where), where, node.returning)


def _plan(actions: Sequence[ast.Action]) -> Plan:
    _check_disjoint([action.path for action in actions])
    assigned = [action.value for action in actions if action.value is not None]
    checks = tuple([check for value in assigned for check in operands.operand_checks(value)])
    return updates.plan(actions, checks, CHANGES)


def _exists(node: Query, constants: Constants) -> ExistsStatement:
    table, index = _source(node.sources)
    if index is not None:
        raise invalid("Operations on indices are not supported in transactions")
    where = _where(node.where, constants)
    return ExistsStatement(table, constants, _checks(where), where)
