"""Results of operations in the form of their shapes: handlers' results, with each scalar in a protocol's form.

Handlers return plain values: texts, numbers, booleans, bytes for blobs, seconds since the epoch for timestamps, lists
and dicts. A value that its shape does not have is a fault of ours and raises, before any of it reaches a client.
Members without a value are left out. Stored items are JSON already: they are copied into JSON, and parsed for other
forms.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from jedlik.aws.protocols.cbor_values import Timestamp
from jedlik.aws.protocols.wire_models import Definition, WireModel
from jedlik.aws.stored_items import StoredItem, StoredItems

Form = Callable[[Any, Definition], Any]
"""The form of a shape's scalar."""
Forms = Mapping[str, Form]
"""By the model's name of a scalar type."""


class NotOfItsShape(TypeError):
    """A result does not fit the model."""


def shaped(model: WireModel, shape: str, value: Any, forms: Forms) -> Any:
    """A value of a shape, with its scalars in these forms. Raises NotOfItsShape."""
    if isinstance(value, StoredItem | StoredItems):
        return value if forms is JSON else shaped(model, shape, value.value, forms)
    definition = model.shapes[shape]
    kind = definition["type"]
    if kind == "structure":
        members = definition["members"]
        if not isinstance(value, Mapping) or not value.keys() <= members.keys():
            raise NotOfItsShape(f"{shape} cannot be {_type_of(value)}")
        given = ((name, content) for name, content in value.items() if content is not None)
        return {name: shaped(model, members[name]["shape"], content, forms) for name, content in given}
    if kind == "list":
        if not isinstance(value, list | tuple):
            raise NotOfItsShape(f"{shape} cannot be {_type_of(value)}")
        element = definition["member"]["shape"]
        return [shaped(model, element, one, forms) for one in value]
    if kind == "map":
        if not isinstance(value, Mapping) or not all(type(key) is str for key in value):
            raise NotOfItsShape(f"{shape} cannot be {_type_of(value)}")
        element = definition["value"]["shape"]
        return {key: shaped(model, element, one, forms) for key, one in value.items()}
    if type(value) not in _TYPES[kind]:
        raise NotOfItsShape(f"{shape} cannot be {_type_of(value)}")
    return forms[kind](value, definition)


def _type_of(value: Any) -> str:
    """The type of a value, without a content that may be secret."""
    return f"one with {', '.join(map(str, value))}" if isinstance(value, Mapping) else f"a {type(value).__name__}"


_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (float, int),
    "double": (float, int),
    "timestamp": (float, int),
    "blob": (bytes,),
}
"""The Python types that handlers return, by the model's name of a scalar type."""


def _itself(value: Any, definition: Definition) -> Any:
    return value


def _number(value: float, definition: Definition) -> float | str:
    """JSON has no infinities and no NaN, so they are texts."""
    return value if math.isfinite(value) else _decimal(value, definition)


def _decimal(value: float, definition: Definition) -> str:
    if math.isnan(value):
        return "NaN"
    return str(value) if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")


def _base64(value: bytes, definition: Definition) -> str:
    return b64encode(value).decode()


def _epoch(value: float, definition: Definition) -> float | str:
    return _moment(value) if definition.get("timestampFormat") == "iso8601" else value


def _iso(value: float, definition: Definition) -> str:
    return str(value) if definition.get("timestampFormat") == "unixTimestamp" else _moment(value)


def _moment(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + (f".{moment.microsecond // 1000:03}Z" if moment.microsecond else "Z")


_SAME = dict.fromkeys(_TYPES, _itself)
JSON: Forms = _SAME | {"float": _number, "double": _number, "blob": _base64, "timestamp": _epoch}
CBOR: Forms = _SAME | {"timestamp": lambda value, definition: Timestamp(value)}
XML: Forms = {
    "string": _itself,
    "boolean": lambda value, definition: "true" if value else "false",
    "integer": lambda value, definition: str(value),
    "long": lambda value, definition: str(value),
    "float": _decimal,
    "double": _decimal,
    "timestamp": _iso,
    "blob": _base64,
}
"""All of them are texts."""
