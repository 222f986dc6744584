"""How errors show what they refuse: as Java prints it, or as the JSON that it was.

What is shown may be all that a client sent, so there is a limit to it that what AWS shows has no need of: of a
collection, of how deep things are nested, and of the text as a whole.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

import orjson

from jedlik.aws.shapes.shape_rules import PACKAGE, shown_scalar
from jedlik.dynamodb import shape_overrides as overrides

ELEMENTS = 1000
"""Elements of a collection that are shown. The text of each may be many times as long as what was sent."""
_LENGTH = 1 << 16
"""Characters of the whole."""
_DEPTH = 40
"""Levels that are shown, more than an item can have."""
_VALUE_MEMBERS = (
    "s", "n", "b", "iNT", "dECIMAL", "dOUBLE", "sS", "nS", "bS", "iNTSET", "dECIMALSET", "dOUBLESET", "m", "l",
    "nULL", "bOOL",
)  # fmt: skip
"""Of an attribute value, in the order in which they are printed. Some are AWS's own."""
_MORE_MEMBERS = {"PutRequest": ("workloadProfileName",)}
"""Members of structures that AWS has beyond those of its published model."""


def shown(shapes: dict[str, dict[str, Any]], name: str, value: Any) -> str:
    """A value of the shape called `name` as an error shows it."""
    if name in overrides.SHOWN_AS_JSON:
        try:
            return orjson.dumps(value).decode()[:_LENGTH]
        except orjson.JSONEncodeError:
            pass  # It is nested too deeply for that.
    return _Java(shapes).text(name, value)


def java_type(shapes: dict[str, dict[str, Any]], name: str) -> str:
    """What Java calls the type of a shape."""
    definition = shapes[name]
    match definition["type"]:
        case "structure":
            return f"{PACKAGE}{name}"
        case "list":
            return f"java.util.List<{java_type(shapes, definition['member']['shape'])}>"
        case "map":
            return f"java.util.Map<java.lang.String, {java_type(shapes, definition['value']['shape'])}>"
        case scalar:
            return f"java.lang.{scalar.capitalize()}"


class _Java:
    """Prints a value as Java does, up to the limits."""

    def __init__(self, shapes: dict[str, dict[str, Any]]) -> None:
        self._shapes = shapes
        self._left = _LENGTH

    def text(self, name: str, value: Any, depth: int = 0) -> str:
        if value is None:
            return "null"
        if self._left <= 0 or depth > _DEPTH:
            return "..."
        if name in overrides.OPAQUE:
            return self._attribute_value(value, depth)
        definition = self._shapes[name]
        match definition["type"]:
            case "structure":
                parts = [(member, value.get(member), shape) for member, shape in definition["members"].items()]
                shown_parts = [f"{m[0].lower()}{m[1:]}={self.text(shape, v, depth + 1)}" for m, v, shape in parts]
                shown_parts += [f"{member}=null" for member in _MORE_MEMBERS.get(name, ())]
                return self._counted(f"{name}({', '.join(shown_parts)})")
            case "list":
                inner = definition["member"]["shape"]
                return self._list([self.text(inner, v, depth + 1) for v in islice(value, ELEMENTS)])
            case "map":
                inner = definition["value"]["shape"]
                first = islice(value.items(), ELEMENTS)
                return self._map([f"{self._counted(key)}={self.text(inner, v, depth + 1)}" for key, v in first])
            case _:
                return self._counted(shown_scalar(value))

    def _attribute_value(self, value: Any, depth: int) -> str:
        if type(value) is not dict:
            return self._counted(str(value)[:_LENGTH])
        given = {f"{member[0].lower()}{member[1:]}": content for member, content in value.items()}
        parts = [f"{member}={self._content(given.get(member), depth)}" for member in _VALUE_MEMBERS]
        return self._counted(f"AttributeValue({', '.join(parts)})")

    def _content(self, content: Any, depth: int) -> str:
        match content:
            case None:
                return "null"
            case dict():
                first = islice(content.items(), ELEMENTS)
                return self._map(
                    [f"{self._counted(key)}={self.text('AttributeValue', v, depth + 1)}" for key, v in first]
                )
            case list():
                return self._list(
                    [
                        self.text("AttributeValue", v, depth + 1) if type(v) is dict else shown_scalar(v)
                        for v in islice(content, ELEMENTS)
                    ]
                )
            case _:
                return self._counted(shown_scalar(content)[:_LENGTH])

    def _list(self, parts: list[str]) -> str:
        return f"[{', '.join(parts)}]"

    def _map(self, parts: list[str]) -> str:
        return f"{{{', '.join(parts)}}}"

    def _counted(self, text: str) -> str:
        self._left -= len(text)
        return text
