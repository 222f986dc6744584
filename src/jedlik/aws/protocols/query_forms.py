"""The bodies of the query protocol: forms whose fields are paths into the input of an operation.

    Tags.member.1.Key=team      the first element of the list Tags, its member Key
    Attributes.entry.1.key=a    the first entry of the map Attributes, its key

In EC2's variant the elements of a list follow its own name (`Filter.1.Value.2`), and names begin with a capital letter.

The length of a form, the number of its fields, the lengths of their names and the depth of their paths are limited
before anything is made from them.

Source: "AWS Query protocol" and "AWS EC2 Query protocol" in Smithy's documentation.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from jedlik.aws.protocols.wire_models import Definition, WireModel

MOST_FIELDS = 20_000
"""Fields of a form: as many as the elements of a collection elsewhere for which AWS states no limit."""
LARGEST = 1 << 20
"""Bytes of a form, which take up to 75 times as many for the fifth of a second in which they are read. No service
accepts more: this is the limit of CloudWatch, which accepts the most."""
LONGEST_NAME = 1024
"""Characters of a field's name: many times as many as in the longest path of any input."""
DEEPEST = 32
"""Steps of a field's path. No input of a service has as many."""
LONGEST_NUMBER = 9
"""Digits of an element's number."""

Tree = dict[str, Any]
"""Fields by the steps of their paths: a text at the end of each, or a Tree."""


class Malformed(Exception):
    """A form that is malformed, or whose fields make no input. The message gives the reason."""


class WrongValue(Exception):
    """A field whose value has the wrong type. The message gives the reason."""


def fields(body: bytes) -> dict[str, str]:
    """The fields of a form; if several have one name, the first. Raises Malformed."""
    if len(body) > LARGEST:
        raise Malformed(f"The form is larger than {LARGEST:,} bytes.")
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError:
        raise Malformed("The request body is no form, or has too many fields.") from None
    for name, _ in pairs:
        if len(name) > LONGEST_NAME:
            raise Malformed(f"The name of a field is longer than {LONGEST_NAME} characters.")
        if name.count(".") >= DEEPEST:
            raise Malformed(f"A field is nested more deeply than {DEEPEST} levels.")
    return dict(reversed(pairs))


def input_of(model: WireModel, shape: str | None, given: dict[str, str]) -> dict[str, Any]:
    """The input in the fields, typed as in the model; members that the model does not have are left out.

    Raises Malformed, and WrongValue.
    """
    if shape is None:
        return {}
    found: dict[str, Any] = _structure(model, model.shapes[shape], _tree(model, shape, given))
    return found


def _tree(model: WireModel, shape: str, given: dict[str, str]) -> Tree:
    """The fields that belong to an input."""
    members = model.shapes[shape]["members"].items()
    known = {_name_of(model, name, member) for name, member in members}
    tree: Tree = {}
    for name, text in given.items():
        first, *rest = name.split(".")
        if first not in known:
            continue
        at = tree
        steps = [first, *rest]
        for step in steps[:-1]:
            at = at.setdefault(step, {})
            if not isinstance(at, dict):
                raise Malformed(f"{name} and another field cannot both be given.")
        if steps[-1] in at:
            raise Malformed(f"{name} and another field cannot both be given.")
        at[steps[-1]] = text
    return tree


def names(model: WireModel, shape: str | None) -> Mapping[str, str]:
    """The members of a structure, each with its name in forms; none if there is no structure."""
    members = {} if shape is None else model.shapes[shape]["members"]
    return {name: _name_of(model, name, member) for name, member in members.items()}


def _name_of(model: WireModel, name: str, member: Definition) -> str:
    """The name of a member in forms: a list without a level of its own may be called like its elements."""
    if model.is_ec2:
        location = str(member.get("locationName", name))
        return str(member.get("queryName", location[:1].upper() + location[1:]))
    definition = model.shapes[member["shape"]]
    if definition["type"] == "list" and definition.get("flattened") and "locationName" in definition["member"]:
        return str(definition["member"]["locationName"])
    return str(member.get("locationName", name))


def _value(model: WireModel, shape: str, path: str, given: str | Tree) -> Any:
    definition = model.shapes[shape]
    kind = definition["type"]
    if kind in _SCALARS:
        if not isinstance(given, str):
            raise Malformed(f"{path} is a {kind}, and a structure is given for it.")
        try:
            return _SCALARS[kind](given)
        except (ValueError, OverflowError):
            raise WrongValue(f"The value of {path} is no {kind}.") from None
    if not isinstance(given, dict):
        if kind in ("list", "map") and not given:
            return [] if kind == "list" else {}
        raise Malformed(f"{path} is a {kind}, and a value is given for it.")
    if kind == "structure":
        return _structure(model, definition, given, f"{path}.")
    return _list(model, definition, path, given) if kind == "list" else _map(model, definition, path, given)


def _structure(model: WireModel, definition: Definition, given: Tree, prefix: str = "") -> dict[str, Any]:
    found = {}
    for name, member in definition["members"].items():
        called = _name_of(model, name, member)
        if called in given:
            found[name] = _value(model, member["shape"], prefix + called, given[called])
    return found


def _inside(given: Tree, step: str, path: str) -> Tree:
    """The elements, which are one level down and nowhere else."""
    inner = given.get(step, {})
    if isinstance(inner, dict) and given.keys() <= {step}:
        return inner
    raise Malformed(f"The elements of {path} are not in {path}.{step}.")


def _numbered(path: str, given: Tree) -> list[tuple[str, str | Tree]]:
    """Elements in the order of their numbers, with their paths."""
    for number in given:
        if not (number.isascii() and number.isdecimal() and len(number) <= LONGEST_NUMBER):
            raise Malformed(f"An element of {path} has no number.")
    return [(f"{path}.{number}", given[number]) for number in sorted(given, key=int)]


def _list(model: WireModel, definition: Definition, path: str, given: Tree) -> list[Any]:
    member = definition["member"]
    if not definition.get("flattened") and not model.is_ec2:
        step = member.get("locationName", "member")
        given, path = _inside(given, step, path), f"{path}.{step}"
    return [_value(model, member["shape"], place, element) for place, element in _numbered(path, given)]


def _map(model: WireModel, definition: Definition, path: str, given: Tree) -> dict[str, Any]:
    if not definition.get("flattened"):
        given, path = _inside(given, "entry", path), f"{path}.entry"
    key, value = (definition[part].get("locationName", part) for part in ("key", "value"))
    found = {}
    for place, entry in _numbered(path, given):
        if not isinstance(entry, dict) or key not in entry or value not in entry:
            raise Malformed(f"{place} lacks its {key} or its {value}.")
        name = _value(model, definition["key"]["shape"], f"{place}.{key}", entry[key])
        found[name] = _value(model, definition["value"]["shape"], f"{place}.{value}", entry[value])
    return found


_WHOLE = re.compile(r"[+-]?[0-9]{1,20}")
_DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?|NaN|-?Infinity")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)


def _matching(pattern: re.Pattern[str], convert: Callable[[str], Any]) -> Callable[[str], Any]:
    """Python reads more as numbers and dates than AWS does."""

    def read(text: str) -> Any:
        if pattern.fullmatch(text) is None:
            raise ValueError(text)
        return convert(text)

    return read


def _seconds(text: str) -> float:
    """Seconds since the epoch."""
    return (datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()


_SCALARS: dict[str, Callable[[str], Any]] = {
    "string": str,
    "integer": _matching(_WHOLE, int),
    "long": _matching(_WHOLE, int),
    "float": _matching(_DECIMAL, float),
    "double": _matching(_DECIMAL, float),
    "boolean": _matching(re.compile("true|false"), "true".__eq__),
    "blob": lambda text: b64decode(text, validate=True),
    "timestamp": _matching(_MOMENT, _seconds),
}
