"""Paths of a statement, as paths of expressions."""

from __future__ import annotations

from jedlik.dynamodb.model.expressions import ast
from jedlik.dynamodb.model.partiql.errors import EMPTY_COMPONENT, invalid
from jedlik.dynamodb.model.partiql.partiql_lexer import INTEGER_MAX
from jedlik.dynamodb.model.partiql.syntax import Literal, Name, Node, Path, Star, Unary


def path(node: Node) -> ast.Path:
    """The way into an item that a name or a path stands for. Raises ValidationException."""
    if isinstance(node, Path):
        return ast.Path((_name(node.root), *(_step(step) for step in node.steps)))
    return ast.Path((_name(node),))


def table_path(node: Node) -> tuple[str, ...]:
    """The table's name and the rest of the path of a FROM clause. Raises ValidationException."""
    parts = (node.root, *node.steps) if isinstance(node, Path) else (node,)
    names: list[str] = []
    for part in parts:
        if not isinstance(part, Name) and not (names and isinstance(part, Literal) and part.token.kind == "string"):
            raise invalid("Unexpected from source")
        names.append(part.name if isinstance(part, Name) else part.text)
        if not names[-1]:
            raise invalid(EMPTY_COMPONENT)
    return tuple(names)


def _name(node: Node) -> str:
    if not isinstance(node, Name):
        raise _unexpected(node)
    if not node.name:
        raise invalid(EMPTY_COMPONENT)
    return node.name


def _step(node: Node) -> ast.Step:
    match node:
        case Name():
            return _name(node)
        case Star():
            raise invalid("Changing item's hierarchy while reading isn't supported")
        case Literal(token, text) if token.kind == "string":
            if not text:
                raise invalid(EMPTY_COMPONENT)
            return text
        case Literal(token, text) if token.kind == "number" and token.text.isdigit():
            if text.startswith("-") or len(text) > 10 or int(text) > INTEGER_MAX:
                raise invalid(f"List index is not within the allowable range; index: [{text}] at {token.place}")
            return int(text)
    raise _unexpected(node.operand if isinstance(node, Unary) else node)


def _unexpected(node: Node) -> Exception:
    return invalid(f"Unexpected path component at {node.token.place}")
