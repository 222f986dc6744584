"""The parsed form of an expression: a tree of immutable nodes.

The same nodes serve condition, filter, key condition, update and projection expressions, the legacy parameters and
statements. A value as an operand may be a placeholder, to be looked up in the request, or a literal. A parenthesis
leaves no node, and chains of AND and of OR are flat. So a tree is at most as deep as it has operators, and that limit
bounds every recursion over it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from jedlik.dynamodb.model.values import AttributeValue as AttributeValue
from jedlik.dynamodb.model.values import Item as Item

Values = Mapping[str, AttributeValue]
"""Normalised attribute values by :placeholder."""


class InvalidExpression(Exception):
    """The fault of an expression, in DynamoDB's words, without the kind of the expression."""


@dataclass(frozen=True, slots=True)
class NamePlaceholder:
    """A #name, not looked up yet."""

    text: str


Step = str | int | NamePlaceholder
"""An attribute's name, a list index, or a name to be looked up."""


@dataclass(frozen=True, slots=True)
class Path:
    """A way into an item; the first step is an attribute's name."""

    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class ValuePlaceholder:
    """A :value of the request."""

    text: str


@dataclass(frozen=True, slots=True)
class Literal:
    """A value written in the expression itself, normalised."""

    value: AttributeValue


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments: a condition or an operand, depending on the function."""

    function: str
    arguments: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Two numbers and "+" or "-". Only the whole value that SET assigns may be one."""

    operator: str
    left: Operand
    right: Operand


Operand = Path | ValuePlaceholder | Literal | Call | Arithmetic


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two operands and one of = <> < <= > >=."""

    operator: str
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class Between:
    """Whether an operand lies between two others, or equals one of them."""

    operand: Operand
    low: Operand
    high: Operand


@dataclass(frozen=True, slots=True)
class In:
    """Whether an operand equals one of several."""

    operand: Operand
    candidates: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Not:
    condition: Condition


@dataclass(frozen=True, slots=True)
class And:
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or:
    conditions: tuple[Condition, ...]


Condition = Comparison | Between | In | Call | Not | And | Or


@dataclass(frozen=True, slots=True)
class Action:
    """One change of an update: its verb is SET, REMOVE, ADD or DELETE. Only REMOVE has no value."""

    verb: str
    path: Path
    value: Operand | None


Node = Operand | Condition | Action


def parts(node: Node) -> tuple[Node, ...]:
    """The parts of a node, in the order in which they are written."""
    match node:
        case Call():
            return node.arguments
        case Comparison() | Arithmetic():
            return (node.left, node.right)
        case Between():
            return (node.operand, node.low, node.high)
        case In():
            return (node.operand, *node.candidates)
        case And() | Or():
            return node.conditions
        case Not():
            return (node.condition,)
        case Action():
            return (node.path,) if node.value is None else (node.path, node.value)
    return ()


def walk(nodes: Iterable[Node]) -> Iterator[Node]:
    """All nodes, each before its parts, in the order in which they are written."""
    pending = list(nodes)[::-1]
    while pending:
        node = pending.pop()
        yield node
        pending.extend(reversed(parts(node)))


def paths(nodes: Iterable[Node]) -> Iterator[Path]:
    """All paths in the nodes, in the order in which they are written."""
    return (node for node in walk(nodes) if isinstance(node, Path))


def name_placeholders(nodes: Iterable[Node]) -> tuple[str, ...]:
    """The #names in the nodes, each once."""
    found = (step.text for path in paths(nodes) for step in path.steps if isinstance(step, NamePlaceholder))
    return tuple(dict.fromkeys(found))


def value_placeholders(nodes: Iterable[Node]) -> tuple[str, ...]:
    """The :values in the nodes, each once."""
    return tuple(dict.fromkeys(node.text for node in walk(nodes) if isinstance(node, ValuePlaceholder)))


def with_names(path: Path, names: Mapping[str, str | None]) -> Path:
    """The path with its #names looked up. A name that is not defined stays a placeholder."""
    return Path(tuple([(names[s.text] or s) if isinstance(s, NamePlaceholder) else s for s in path.steps]))


def operand_with_names(operand: Operand, names: Mapping[str, str | None]) -> Operand:
    """An operand with the #names of its paths looked up."""
    match operand:
        case Path():
            return with_names(operand, names)
        case Call(function, arguments):
            return Call(function, tuple([operand_with_names(a, names) for a in arguments]))
        case Arithmetic(operator, left, right):
            return Arithmetic(operator, operand_with_names(left, names), operand_with_names(right, names))
    return operand


def condition_with_names(condition: Condition, names: Mapping[str, str | None]) -> Condition:
    """A condition with the #names of its paths looked up."""

    def operand(node: Operand) -> Operand:
        return operand_with_names(node, names)

    match condition:
        case Comparison(operator, left, right):
            return Comparison(operator, operand(left), operand(right))
        case Between(middle, low, high):
            return Between(operand(middle), operand(low), operand(high))
        case In(first, candidates):
            return In(operand(first), tuple([operand(c) for c in candidates]))
        case Call(function, arguments):
            return Call(function, tuple([operand(a) for a in arguments]))
        case Not(negated):
            return Not(condition_with_names(negated, names))
        case And(conditions):
            return And(tuple([condition_with_names(c, names) for c in conditions]))
        case Or(conditions):
            return Or(tuple([condition_with_names(c, names) for c in conditions]))


def action_with_names(action: Action, names: Mapping[str, str | None]) -> Action:
    """An action with the #names of its paths looked up."""
    value = action.value
    return Action(
        action.verb,
        with_names(action.path, names),
        None if value is None else operand_with_names(value, names),
    )


Check = Callable[[Values], None]
"""Checks the values of a request. Raises InvalidExpression if they do not fit the expression."""
