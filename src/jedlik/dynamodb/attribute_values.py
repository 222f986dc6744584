"""The places of attribute values in the requests of each operation, according to the service's model.

Needed only when a request is refused: wrong types in attribute values come before every broken rule, and the depth of
the values determines the words of the refusal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from jedlik.aws.shapes import service_model
from jedlik.aws.shapes.service_shapes import Definitions, ServiceShapes
from jedlik.dynamodb import shape_overrides as overrides

Finder = Callable[[Any], Iterator[Any]]
"""Yields the attribute values in any data that a client sent."""


def find(service: ServiceShapes, operation: str, request: Any) -> Iterator[Any]:
    """The attribute values in a request of an operation, whatever its other faults are."""
    return _in_requests(service, operation)(request)


def finder(shapes: Definitions, name: str) -> Finder:
    """The function that finds the attribute values in the shape called `name`."""
    return _finder(shapes, name) or _none


@cache
def _in_requests(service: ServiceShapes, operation: str) -> Finder:
    model = service_model.model(service)
    return finder(model.shapes, model.operations[operation])


def _finder(shapes: Definitions, name: str) -> Finder | None:
    """The function that finds the attribute values in a shape; None if it can have none."""
    if name in overrides.OPAQUE:
        return lambda value: iter((value,))
    definition = shapes[name]
    match definition["type"]:
        case "structure":
            return _in_structure(shapes, definition["members"])
        case "list":
            element = _finder(shapes, definition["member"]["shape"])
            return None if element is None else _in_collection(element, list, iter)
        case "map":
            element = _finder(shapes, definition["value"]["shape"])
            return None if element is None else _in_collection(element, dict, lambda given: iter(given.values()))
    return None


def _in_structure(shapes: Definitions, members: dict[str, str]) -> Finder | None:
    finders = {}
    for member, name in members.items():
        finder = _finder(shapes, name)
        if finder is not None:
            finders[member] = finder
    if not finders:
        return None

    def find(value: Any) -> Iterator[Any]:
        if type(value) is dict:
            for member, finder in finders.items():
                if member in value:
                    yield from finder(value[member])

    return find


def _in_collection(element: Finder, collection: type, elements: Callable[[Any], Iterator[Any]]) -> Finder:
    def find(value: Any) -> Iterator[Any]:
        if type(value) is collection:
            for one in elements(value):
                yield from element(one)

    return find


def _none(value: Any) -> Iterator[Any]:
    return iter(())
