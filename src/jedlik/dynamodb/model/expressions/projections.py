"""Projection expressions: which parts of an item to return.

Source: "Using projection expressions" in the developer guide.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.model.expressions import ast, paths
from jedlik.dynamodb.model.expressions.ast import InvalidExpression, Item, Path
from jedlik.dynamodb.model.expressions.key_attributes import refuse_nested_keys
from jedlik.dynamodb.model.expressions.parser import parse_projection
from jedlik.dynamodb.model.expressions.placeholders import Placeholders
from jedlik.dynamodb.model.expressions.remembering import remembering

if TYPE_CHECKING:
    from jedlik.dynamodb.model.tables import Table


class Projection:
    """Disjoint paths into an item, their names known."""

    __slots__ = ("_nested", "_tree", "top_level_names")

    top_level_names: frozenset[str]
    """Top-level attributes that it reads."""

    def __init__(self, projected: Collection[Path]) -> None:
        self._tree = paths.tree((path, None) for path in projected)
        self._nested = frozenset(paths.attribute(path) for path in projected if len(path.steps) > 1)
        self.top_level_names = frozenset(paths.attribute(path) for path in projected)

    def apply(self, item: Item) -> Item:
        """The parts of an item that the paths lead to, in their places: a new item that shares them."""
        return paths.select(self._tree, item)

    def refuse_nested_keys(self, table: Table) -> None:
        """Raises ValidationException if a path goes into a key attribute."""
        refuse_nested_keys(table, self._nested)


def projection(text: str, placeholders: Placeholders) -> Projection:
    """The projection of a ProjectionExpression. Raises ValidationException."""
    try:
        names = ast.name_placeholders(parse_projection(text))
        return _projection(text, names, placeholders.use(names, ()))
    except InvalidExpression as refusal:
        raise ValidationException(f"Invalid ProjectionExpression: {refusal}") from None


@remembering
def _projection(text: str, placeholders: tuple[str, ...], names: tuple[str | None, ...]) -> Projection:
    behind = dict(zip(placeholders, names, strict=True))
    projected = [ast.with_names(path, behind) for path in parse_projection(text)]
    for path in projected:
        paths.check_defined(path)
    paths.check_disjoint(projected)
    return Projection(projected)
