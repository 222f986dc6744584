"""The syntax tree of a statement: what the parser has read, before it gets a meaning.

In PartiQL a statement is an expression like any other, and DynamoDB parses the whole language before it refuses the
parts that it does not execute. So the tree has more nodes than DynamoDB executes, and each node keeps the token that
messages point at.
"""

from __future__ import annotations

from dataclasses import dataclass

from jedlik.dynamodb.model.partiql.partiql_lexer import Token


@dataclass(frozen=True, slots=True)
class Node:
    """A part of a statement."""

    token: Token
    """The part of the text that messages quote: the node's first token, or an operator's own."""


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A string, a number, TRUE, FALSE or NULL: the token's kind, or its text, distinguishes them."""

    text: str
    """The token's text, with the sign that stood before a number."""


@dataclass(frozen=True, slots=True)
class Missing(Node):
    """MISSING."""


@dataclass(frozen=True, slots=True)
class Ion(Node):
    """`A literal in Amazon Ion`, which DynamoDB reads and refuses."""


@dataclass(frozen=True, slots=True)
class Parameter(Node):
    """A question mark."""

    index: int
    """The number of its parameter in the request, from 0."""


@dataclass(frozen=True, slots=True)
class Name(Node):
    """An attribute's or a table's name."""

    name: str


@dataclass(frozen=True, slots=True)
class Star(Node):
    """The star of `path.*`."""


@dataclass(frozen=True, slots=True)
class Path(Node):
    """Steps into a document."""

    root: Node
    steps: tuple[Node, ...]
    """A Name for `.name`, a Literal for `['name']` and `[0]`, or any other node that the text has there."""


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function call."""

    name: str
    """In lower case: functions are found in any case."""
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """`not`, `-` or `+` before an expression."""

    operator: str
    operand: Node


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """A comparison, an arithmetic operation, `in`, `like` or a set operation."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Logical(Node):
    """`and` or `or` between two or more expressions."""

    operator: str
    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Between(Node):
    """`operand BETWEEN low AND high`."""

    operand: Node
    low: Node
    high: Node


@dataclass(frozen=True, slots=True)
class Is(Node):
    """`operand IS type`."""

    operand: Node
    type: str
    """In capitals, aliases resolved."""


@dataclass(frozen=True, slots=True)
class ListOf(Node):
    """[...] or (..., ...)."""

    members: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Bag(Node):
    """<<...>>."""

    members: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Struct(Node):
    """{'name': value, ...}."""

    fields: tuple[tuple[Node, Node], ...]


@dataclass(frozen=True, slots=True)
class Query(Node):
    """SELECT."""

    projection: tuple[Node, ...] | None
    """None for the star."""
    sources: tuple[Node, ...]
    where: Node | None
    order: tuple[tuple[Node, bool], ...]
    """Expressions, and whether their order is descending."""


@dataclass(frozen=True, slots=True)
class Assignment(Node):
    """SET target = value."""

    target: Node
    value: Node


@dataclass(frozen=True, slots=True)
class Removal(Node):
    """REMOVE target."""

    target: Node


@dataclass(frozen=True, slots=True)
class Insertion(Node):
    """INSERT INTO target VALUE value, or without VALUE."""

    target: Node
    value: Node
    has_value: bool


Action = Assignment | Removal | Insertion


@dataclass(frozen=True, slots=True)
class Manipulation(Node):
    """Changes to items: actions on the sources. A deletion has no actions, a bare action no sources."""

    sources: tuple[Node, ...]
    actions: tuple[Action, ...]
    where: Node | None
    returning: str | None
    """ALL OLD, ALL NEW, MODIFIED OLD or MODIFIED NEW."""


@dataclass(frozen=True, slots=True)
class Definition(Node):
    """CREATE TABLE and DROP TABLE, which DynamoDB reads and refuses."""

    operation: str
