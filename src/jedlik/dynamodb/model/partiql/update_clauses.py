"""SET and REMOVE, as the actions of an update of `model.expressions`.

`SET a = set_add(a, <<...>>)` is ADD and set_delete is DELETE; the rest is SET as in update expressions, except that
sums may be longer.

Sources: "PartiQL update statements for DynamoDB" in the developer guide; refusals as measured on AWS.
"""

from __future__ import annotations

from collections.abc import Sequence

from jedlik.dynamodb.model.expressions import ast, functions
from jedlik.dynamodb.model.partiql.constants import Constants
from jedlik.dynamodb.model.partiql.errors import invalid
from jedlik.dynamodb.model.partiql.statement_paths import path
from jedlik.dynamodb.model.partiql.syntax import (
    Assignment,
    Bag,
    Binary,
    Call,
    Is,
    Logical,
    Missing,
    Name,
    Node,
    Parameter,
    Path,
    Query,
    Removal,
    Unary,
)
from jedlik.dynamodb.model.partiql.where_clauses import MISSING, subquery, unrecognized, unsupported, wrong_count

_SET_VERBS = {"set_add": "ADD", "set_delete": "DELETE"}


def actions(nodes: Sequence[Assignment | Removal], constants: Constants) -> tuple[ast.Action, ...]:
    """The actions of an UPDATE's clauses, in their order. Raises ValidationException."""
    return tuple([_action(node, constants) for node in nodes])


def _action(node: Assignment | Removal, constants: Constants) -> ast.Action:
    target = path(node.target)
    if isinstance(node, Removal):
        return ast.Action("REMOVE", target, None)
    if isinstance(node.value, Call) and node.value.name in _SET_VERBS:
        return _set_action(target, node.value, constants)
    return ast.Action("SET", target, _operand(node.value, constants))


def _set_action(target: ast.Path, call: Call, constants: Constants) -> ast.Action:
    function = call.name.upper()
    if len(call.arguments) != 2:
        raise invalid(f"{function} must have exactly two arguments at {call.token.place}")
    changed, members = call.arguments
    if not isinstance(changed, Name | Path) or path(changed) != target:
        raise invalid(f"The first argument to {function} must equal the assignment value at {call.token.place}")
    refusal = f"The second argument to {function} must be a value with type SET at {changed.token.place}"
    if not isinstance(members, Bag | Parameter):
        raise invalid(refusal)
    added = constants.operand(members)
    constants.require_set(added, refusal)
    return ast.Action(_SET_VERBS[call.name], target, added)


def _operand(node: Node, constants: Constants) -> ast.Operand:
    match node:
        case Name() | Path():
            return path(node)
        case Missing():
            raise invalid(MISSING)
        case Binary(operator=operator, left=left, right=right) if operator in ("+", "-"):
            return ast.Arithmetic(operator, _operand(left, constants), _operand(right, constants))
        case Binary(operator=operator) | Logical(operator=operator):
            raise unsupported("Update", operator)
        case Unary(operator="not"):
            raise unsupported("Update", "not")
        case Unary(operator=operator):
            raise wrong_count(operator)
        case Is():
            raise unsupported("Update", "is")
        case Call():
            return _call(node, constants)
        case Query():
            raise subquery(node)
    return constants.operand(node)


def _call(node: Call, constants: Constants) -> ast.Operand:
    if node.name in functions.UPDATES:
        return ast.Call(node.name, tuple([_operand(argument, constants) for argument in node.arguments]))
    if node.name in functions.OPERAND_COUNTS:
        raise invalid(f"The function is not allowed in an update expression; function: {node.name}")
    raise unrecognized(node)
