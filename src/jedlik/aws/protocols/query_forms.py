"""The bodies of the query protocol: forms whose fields are paths into the input of an operation.

    Tags.member.1.Key=team      the first element of the list Tags, its member Key
    Attributes.entry.1.key=a    the first entry of the map Attributes, its key

Source: "AWS Query protocol" in Smithy's documentation.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from jedlik.aws.protocols.wire_models import Definition, WireModel

MOST_FIELDS = 20_000
"""Of a form: as many elements as a collection may have elsewhere where AWS states no limit."""
LONGEST_NUMBER = 9
"""Digits of an element's number."""
DEEPEST = 32
"""Levels of a form's paths. No input of a service has as many."""

Tree = dict[str, Any]
"""Fields by the steps of their paths: a text at the end of each, or a Tree."""


class Malformed(Exception):
    """A form that is no input. The message says why."""


def fields(body: bytes) -> dict[str, str]:
    """The fields of a form; of those with one name, the first. Raises Malformed."""
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError:
        raise Malformed("The request body is no form, or has too many fields.") from None
    return dict(reversed(pairs))


def input_of(model: WireModel, shape: str | None, given: dict[str, str]) -> dict[str, Any]:
    """The input that fields are, as the values of JSON; what it does not have is left out. Raises Malformed."""
    if shape is None:
        return {}
    members = model.shapes[shape]["members"].keys()
    tree: Tree = {}
    for name, text in given.items():
        steps = name.split(".")
        if steps[0] not in members:
            continue
        if len(steps) > DEEPEST:
            raise Malformed("The form is nested too deeply.")
        at = tree
        for step in steps[:-1]:
            inner = at.setdefault(step, {})
            if not isinstance(inner, dict):
                raise Malformed(f"{name} and {step} cannot both be given.")
            at = inner
        if isinstance(at.get(steps[-1]), dict):
            raise Malformed(f"{name} is given as a value and as a structure.")
        at[steps[-1]] = text
    found: dict[str, Any] = _value(model, shape, tree)
    return found


def _value(model: WireModel, shape: str, given: str | Tree) -> Any:
    definition = model.shapes[shape]
    kind = definition["type"]
    if kind in _SCALARS:
        if not isinstance(given, str):
            raise Malformed(f"A structure is given for a {kind}.")
        try:
            return _SCALARS[kind](given)
        except ValueError:
            raise Malformed(f"'{given}' is no {kind}.") from None
    if not isinstance(given, dict):
        if kind in ("list", "map") and not given:
            return [] if kind == "list" else {}
        raise Malformed(f"'{given}' is given for a {kind}.")
    if kind == "structure":
        return {
            name: _value(model, member["shape"], given[name])
            for name, member in definition["members"].items()
            if name in given
        }
    return _list(model, definition, given) if kind == "list" else _map(model, definition, given)


def _numbered(given: Tree) -> list[str | Tree]:
    """Elements in the order of their numbers."""
    if not all(number.isascii() and number.isdecimal() and len(number) <= LONGEST_NUMBER for number in given):
        raise Malformed("An element of a list has no number.")
    return [given[number] for number in sorted(given, key=int)]


def _list(model: WireModel, definition: Definition, given: Tree) -> list[Any]:
    member = definition["member"]
    if not definition.get("flattened"):
        inner = given.get(member.get("locationName", "member"), {})
        given = inner if isinstance(inner, dict) else {}
    return [_value(model, member["shape"], element) for element in _numbered(given)]


def _map(model: WireModel, definition: Definition, given: Tree) -> dict[str, Any]:
    if not definition.get("flattened"):
        inner = given.get("entry", {})
        given = inner if isinstance(inner, dict) else {}
    key, value = definition["key"], definition["value"]
    found = {}
    for entry in _numbered(given):
        if not isinstance(entry, dict) or key.get("locationName", "key") not in entry:
            raise Malformed("An entry of a map has no key.")
        name = _value(model, key["shape"], entry[key.get("locationName", "key")])
        found[name] = _value(model, value["shape"], entry.get(value.get("locationName", "value"), ""))
    return found


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


def _timestamp(text: str) -> float:
    """Seconds since the epoch."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


_SCALARS: dict[str, Callable[[str], Any]] = {
    "string": str,
    "integer": int,
    "long": int,
    "float": float,
    "double": float,
    "boolean": _boolean,
    "blob": lambda text: b64decode(text, validate=True),
    "timestamp": _timestamp,
}
