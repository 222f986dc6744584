"""The members of requests and answers, as paths: `Item`, `Tags[].Key`, `RequestItems{}.Keys`.

`[]` stands for the elements of a list and `{}` for the values of a map. Paths do not go into attribute values, which
are the same everywhere.

Source: botocore's model of the service, by which the AWS SDK for Python sends its requests.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import botocore
import botocore.session

SERVICES = ("dynamodb", "dynamodbstreams")
VERSION: str = botocore.__version__
"""The version of the model: later ones may have more members."""
_OPAQUE = frozenset({"AttributeValue"})


@cache
def operations() -> dict[str, Any]:
    """botocore's models of all operations, by name."""
    found: dict[str, Any] = {}
    for service in SERVICES:
        model = botocore.session.get_session().get_service_model(service)
        found |= {name: model.operation_model(name) for name in model.operation_names}
    return dict(sorted(found.items()))


def names_of(service: str) -> tuple[str, ...]:
    """The names of all operations of a service of AWS."""
    return tuple(sorted(botocore.session.get_session().get_service_model(service).operation_names))


def all_of(shape: Any) -> list[str]:
    """The paths of all members of a shape, in the model's order, each before those in it. None has none."""
    return list(_declared(shape, "")) if shape is not None else []


def given(shape: Any, value: Any) -> set[str]:
    """The paths of the members that a value of a shape has. Members that the shape does not have are left out."""
    return set(_present(shape, value, "")) if shape is not None else set()


def top(path: str) -> str:
    """The outermost member of the request or answer that a path is in."""
    return path.partition(".")[0].rstrip("[]{}")


def _declared(shape: Any, prefix: str) -> Iterator[str]:
    if shape.name in _OPAQUE:
        return
    match shape.type_name:
        case "structure":
            for name, member in shape.members.items():
                yield prefix + name
                yield from _declared(member, f"{prefix}{name}.")
        case "list":
            yield from _declared(shape.member, _inside(prefix, "[]"))
        case "map":
            yield from _declared(shape.value, _inside(prefix, "{}"))


def _present(shape: Any, value: Any, prefix: str) -> Iterator[str]:
    if shape.name in _OPAQUE:
        return
    match shape.type_name, value:
        case "structure", dict():
            for name in value.keys() & shape.members.keys():
                yield prefix + name
                yield from _present(shape.members[name], value[name], f"{prefix}{name}.")
        case "list", list() | tuple():
            for element in value:
                yield from _present(shape.member, element, _inside(prefix, "[]"))
        case "map", dict():
            for element in value.values():
                yield from _present(shape.value, element, _inside(prefix, "{}"))


def _inside(prefix: str, kind: str) -> str:
    return f"{prefix.removesuffix('.')}{kind}."
