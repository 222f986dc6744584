"""WHERE, as a condition of `model.expressions`: which operands are compared; the comparison itself is defined there.

PartiQL has more forms than conditions have: IS, != and NOT IN, functions in any case, and a condition compared with
another or with a boolean. This module translates each into a condition.

Sources: "PartiQL arithmetic, comparison, and logical operators" and "Using PartiQL functions" in the developer guide;
refusals as measured on AWS.
"""

from __future__ import annotations

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.model.expressions import ast, functions
from jedlik.dynamodb.model.partiql.constants import Constants
from jedlik.dynamodb.model.partiql.errors import invalid
from jedlik.dynamodb.model.partiql.statement_paths import path
from jedlik.dynamodb.model.partiql.syntax import (
    Bag,
    Between,
    Binary,
    Call,
    Is,
    ListOf,
    Logical,
    Missing,
    Name,
    Node,
    Path,
    Query,
    Unary,
)

_COMPARATORS = frozenset(("=", "<>", "<", "<=", ">", ">="))

_NOT_BOOLEAN = "WHERE clause must contain an expression that resolves to a boolean"
_JUNCTION = "The arguments to AND/OR must be Expressions"
_NEGATION = "The argument to NOT must be a Type or Expression"
_MEMBERSHIP = (
    "IN operator must have a left hand argument of type Variable Reference "
    "and right hand argument of type Seq with at least one member"
)
MISSING = "MISSING must be compared using IS operator"

_ATTRIBUTE_TYPES = {
    "NULL": "NULL",
    "BOOLEAN": "BOOL",
    "BLOB": "B",
    "STRING": "S",
    "NUMERIC": "N",
    "STRUCT": "M",
    "TUPLE": "M",
    "LIST": "L",
}
"""Types that IS can test, as attribute_type calls them."""
_IS_TYPES = f"[{', '.join(('MISSING', *_ATTRIBUTE_TYPES))}]"


def where(node: Node, constants: Constants) -> ast.Condition:
    """The condition of a WHERE clause. Raises ValidationException."""
    return _condition(node, constants, _NOT_BOOLEAN)


def _condition(node: Node, constants: Constants, otherwise: str) -> ast.Condition:
    """`otherwise` is the error for an expression that is no condition."""
    match node:
        case Logical(operator=operator, operands=operands):
            conditions = tuple([_condition(operand, constants, _JUNCTION) for operand in operands])
            return ast.And(conditions) if operator == "and" else ast.Or(conditions)
        case Unary(operator="not", operand=operand):
            return ast.Not(_condition(operand, constants, _NEGATION))
        case Binary(operator="in", left=left, right=right):
            return _membership(left, right, constants)
        case Binary(operator=operator, left=left, right=right) if operator in _COMPARATORS:
            return _comparison(operator, left, right, constants)
        case Between(operand=middle, low=low, high=high):
            return ast.Between(_operand(middle, constants), _operand(low, constants), _operand(high, constants))
        case Is():
            return _type_test(node, constants)
        case Call(name=name) if name != "size":
            return _call(node, constants)
        case Binary(operator=operator):
            raise unsupported("Condition", operator)
        case Query():
            raise subquery(node)
    raise invalid(otherwise)


def _is_condition(node: Node) -> bool:
    match node:
        case Logical() | Between() | Is():
            return True
        case Unary(operator=operator):
            return operator == "not"
        case Binary(operator=operator):
            return operator == "in" or operator in _COMPARATORS
        case Call(name=name):
            return name in functions.CONDITIONS
    return False


def _comparison(operator: str, left: Node, right: Node, constants: Constants) -> ast.Condition:
    if not (_is_condition(left) or _is_condition(right)):
        return ast.Comparison(operator, _operand(left, constants), _operand(right, constants))
    if operator not in ("=", "<>"):
        raise invalid(
            f"Incorrect operand type for operator or function; operator or function: {operator}, operand type: BOOL"
        )
    # Two conditions are equal when both are true or both are false.
    both = ast.And((_truth(left, constants, True), _truth(right, constants, True)))
    neither = ast.And((_truth(left, constants, False), _truth(right, constants, False)))
    equality = ast.Or((both, neither))
    return equality if operator == "=" else ast.Not(equality)


def _truth(node: Node, constants: Constants, wanted: bool) -> ast.Condition:
    """A condition that another condition, or an operand that is a boolean, is true or is false."""
    if _is_condition(node):
        condition = _condition(node, constants, _NOT_BOOLEAN)
        return condition if wanted else ast.Not(condition)
    return ast.Comparison("=", _operand(node, constants), constants.value({"BOOL": wanted}))


def _membership(left: Node, right: Node, constants: Constants) -> ast.Condition:
    if not isinstance(right, ListOf | Bag) or not right.members:
        raise invalid(_MEMBERSHIP)
    return ast.In(_operand(left, constants), tuple([_operand(member, constants) for member in right.members]))


def _type_test(node: Is, constants: Constants) -> ast.Condition:
    if node.type == "MISSING":
        return ast.Call("attribute_not_exists", (path(node.operand),))
    if node.type not in _ATTRIBUTE_TYPES:
        raise invalid(
            f"Unsupported data type for IS operator: {node.type}. "
            f"Supported data types are {_IS_TYPES} at {node.token.place}"
        )
    return ast.Call("attribute_type", (path(node.operand), constants.value({"S": _ATTRIBUTE_TYPES[node.type]})))


def _call(node: Call, constants: Constants) -> ast.Condition:
    if node.name not in functions.CONDITIONS:
        raise unrecognized(node)
    return ast.Call(node.name, tuple([_operand(argument, constants) for argument in node.arguments]))


def _operand(node: Node, constants: Constants) -> ast.Operand:
    match node:
        case Name() | Path():
            return path(node)
        case Missing():
            raise invalid(MISSING)
        case Call(name="size", arguments=arguments):
            return ast.Call("size", tuple([_operand(argument, constants) for argument in arguments]))
        case Call(name=name):
            if name in functions.CONDITIONS:
                raise invalid("Only constants and document paths may be operands of a function")
            raise unrecognized(node)
        case Unary(operator=operator):
            raise wrong_count(operator)
        case Binary(operator=operator):
            raise unsupported("Condition", operator)
        case Query():
            raise subquery(node)
    return constants.operand(node)


# Refusals that updates share


def unsupported(kind: str, operator: str) -> ValidationException:
    """The refusal of an operator that PartiQL has and DynamoDB has not."""
    return invalid(f"Unsupported operator in {kind} Expression. Operator: {operator}")


def wrong_count(operator: str) -> ValidationException:
    """The refusal of a sign before something that is not a number."""
    return invalid(
        "Incorrect number of operands for operator or function; "
        f"operator or function: {operator}, number of operands: 1"
    )


def unrecognized(node: Call) -> ValidationException:
    """The refusal of a function that is not known in this place."""
    return invalid(f"Unrecognized function: {node.name} at {node.token.place}")


def subquery(node: Query) -> ValidationException:
    """The refusal of a SELECT within a statement."""
    return invalid(f"Unsupported token in expression: SELECT at {node.token.place}")
