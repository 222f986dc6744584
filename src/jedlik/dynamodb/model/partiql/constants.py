"""The values that a statement's expressions refer to: its literals and the parameters of a request.

Both are placeholders in the expressions, so that a statement is compiled once for its text and bound to the parameters
of each request. Literals are evaluated with the text, so faults in them are reported before any table is read.
"""

from __future__ import annotations

from collections.abc import Sequence

from jedlik.dynamodb.model.expressions.ast import ValuePlaceholder, Values
from jedlik.dynamodb.model.partiql import literals
from jedlik.dynamodb.model.partiql.errors import PARAMETER_COUNT, invalid
from jedlik.dynamodb.model.partiql.syntax import Node, Parameter
from jedlik.dynamodb.model.values import AttributeValue, type_of

_SETS = ("SS", "NS", "BS")


class Constants:
    """The literals and parameters of one statement, filled while it is translated."""

    __slots__ = ("_sets", "_values", "parameters")

    def __init__(self, parameters: int) -> None:
        self.parameters = parameters
        """The number of parameters that the statement takes."""
        self._values: dict[str, AttributeValue] = {}
        self._sets: list[tuple[str, str]] = []
        """Placeholders that must be sets, and the refusal if they are not."""

    def operand(self, node: Node) -> ValuePlaceholder:
        """The placeholder of a literal or a parameter in an expression. Raises ValidationException."""
        if isinstance(node, Parameter):
            return _placeholder(node.index)
        return self.value(literals.constant(node))

    def value(self, value: AttributeValue) -> ValuePlaceholder:
        """The placeholder of a value in an expression."""
        name = f"literal {len(self._values)}"
        self._values[name] = value
        return ValuePlaceholder(name)

    def require_set(self, placeholder: ValuePlaceholder, refusal: str) -> None:
        """Refuse a request with `refusal` if the value of the placeholder is not a set."""
        self._sets.append((placeholder.text, refusal))

    def values(self, parameters: Sequence[AttributeValue]) -> Values:
        """The values of all placeholders for a request's normalised parameters. Raises ValidationException."""
        if len(parameters) != self.parameters:
            raise invalid(PARAMETER_COUNT)
        given = self._values.copy()
        for index, parameter in enumerate(parameters):
            given[_placeholder(index).text] = parameter
        for name, refusal in self._sets:
            if type_of(given[name]) not in _SETS:
                raise invalid(refusal)
        return given


def _placeholder(parameter: int) -> ValuePlaceholder:
    return ValuePlaceholder(f"?{parameter}")
