"""How errors show what they refuse: as Java prints it, or as the original JSON.

An error may show everything that a client sent. So there are limits that AWS never needs: to the elements of a
collection, to the depth, and to the text as a whole.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

import orjson

from jedlik.aws.shapes.service_shapes import Definitions, ServiceShapes
from jedlik.aws.shapes.shape_rules import shown_scalar

ELEMENTS = 1000
"""Elements of a collection that are shown. The text of each may be many times as long as the original."""
LENGTH = 1 << 16
"""Characters of the whole."""
_DEPTH = 40
"""Levels that are shown, more than an item can have."""
_SENSITIVE = "*** Sensitive Data Redacted ***"
"""What is shown of secrets inside something else."""


def shown(service: ServiceShapes, shapes: Definitions, name: str, value: Any) -> str:
    """A value of the shape called `name` as an error shows it."""
    if name in service.shown_as_json:
        try:
            return orjson.dumps(value).decode()[:LENGTH]
        except orjson.JSONEncodeError:
            pass  # It is nested too deeply to be shown.
    return _Java(service, shapes).text(name, value)


def java_type(service: ServiceShapes, shapes: Definitions, name: str) -> str:
    """Java's name for the type of a shape."""
    definition = shapes[name]
    match definition["type"]:
        case "structure":
            return f"{service.package}{name}"
        case "list":
            return f"java.util.List<{java_type(service, shapes, definition['member']['shape'])}>"
        case "map":
            return f"java.util.Map<java.lang.String, {java_type(service, shapes, definition['value']['shape'])}>"
        case scalar:
            return f"java.lang.{scalar.capitalize()}"


class _Java:
    """Prints a value as Java does, up to the limits."""

    def __init__(self, service: ServiceShapes, shapes: Definitions) -> None:
        self._service = service
        self._shapes = shapes
        self._left = LENGTH

    def text(self, name: str, value: Any, depth: int = 0) -> str:
        if value is None:
            return "null"
        if self._left <= 0 or depth > _DEPTH:
            return "..."
        show_opaque = self._service.opaque.get(name)
        if show_opaque is not None:
            return show_opaque(self, value, depth)
        definition = self._shapes[name]
        if definition.get("sensitive"):
            return self.counted(_SENSITIVE)
        match definition["type"]:
            case "structure":
                parts = [(member, value.get(member), shape) for member, shape in definition["members"].items()]
                shown_parts = [f"{m[0].lower()}{m[1:]}={self.text(shape, v, depth + 1)}" for m, v, shape in parts]
                shown_parts += [f"{member}=null" for member in self._service.hidden_members.get(name, ())]
                return self.counted(f"{name}({', '.join(shown_parts)})")
            case "list":
                return self._list(value, definition["member"]["shape"], depth)
            case "map":
                return self._map(value, definition["value"]["shape"], depth)
            case _:
                return self.counted(shown_scalar(value))

    def content(self, content: Any, element: str, depth: int) -> str:
        match content:
            case dict():
                return self._map(content, element, depth)
            case list():
                inner = [
                    self.text(element, v, depth + 1) if type(v) is dict else shown_scalar(v)
                    for v in islice(content, ELEMENTS)
                ]
                return f"[{', '.join(inner)}]"
            case _:
                return self.counted(shown_scalar(content)[:LENGTH])

    def _list(self, value: Any, element: str, depth: int) -> str:
        return f"[{', '.join([self.text(element, v, depth + 1) for v in islice(value, ELEMENTS)])}]"

    def _map(self, value: Any, element: str, depth: int) -> str:
        first = islice(value.items(), ELEMENTS)
        parts = [f"{self.counted(key)}={self.text(element, v, depth + 1)}" for key, v in first]
        return f"{{{', '.join(parts)}}}"

    def counted(self, text: str) -> str:
        self._left -= len(text)
        return text
