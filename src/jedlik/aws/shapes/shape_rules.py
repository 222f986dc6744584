"""The rules of the service model, and the words that refuse a request which breaks one.

The words are those of AWS's checker, and show that it is written in Java: types have their Java names, and the checker
writes "Member must ..." about everything.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterable
from math import isfinite
from typing import Any, NamedTuple, Never

from jedlik.aws.errors import SerializationException
from jedlik.aws.shapes import java_patterns
from jedlik.utf16 import text_length

Convert = Callable[[Any], Any]
"""Converts a member that is not null to the value that is used; raises SerializationException."""
Accept = Callable[[Any], bool]
"""Whether a value is valid as it is, so that no conversion is needed and no constraint need be checked. A value that is
valid only after conversion is not accepted, nor is null."""

Constrain = Callable[[Any, str, list[str]], None]
"""Takes a converted value and its path, and adds its faults to a list."""

NOT_NULL = "Member must not be null"
STRUCTURE_UNEXPECTED = "Start of structure or map found where not expected"
_CAST = (
    "class sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl cannot be cast to class java.lang.Class "
    "(sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl and java.lang.Class are in module java.base "
    "of loader 'bootstrap')"
)


class Rule(NamedTuple):
    """A constraint on one value."""

    holds: Callable[[Any], bool]
    text: str


def broken(shown: str, path: str, text: str) -> str:
    """The fault that the value at `path` breaks a rule. `shown` is the value in quotes, or null."""
    return f"Value {shown} at '{path}' failed to satisfy constraint: {text}"


def unshown(path: str, text: str) -> str:
    """The same for a value that is not shown."""
    return f"Value at '{path}' failed to satisfy constraint: {text}"


def rules_of(definition: dict[str, Any]) -> tuple[Rule, ...]:
    """The rules of a shape on a value itself, in the order of single faults."""
    rules = []
    enum = definition.get("enum")
    if enum is not None:
        allowed = frozenset(enum)
        rules.append(Rule(allowed.__contains__, f"Member must satisfy enum value set: [{', '.join(enum)}]"))
    pattern = definition.get("pattern")
    if pattern is not None:
        matches: Callable[[Any], Any] = java_patterns.compiled(pattern).fullmatch
        rules.append(Rule(matches, f"Member must satisfy regular expression pattern: {pattern}"))
    least, most = definition.get("min"), definition.get("max")
    if definition["type"] in ("integer", "long", "float", "double"):
        measure: Callable[[Any], Any] = _itself
        what = "value"
    else:
        measure = text_length if definition["type"] == "string" else len
        what = "length"
    if least is not None:
        rules.append(Rule(lambda v: measure(v) >= least, f"Member must have {what} greater than or equal to {least}"))
    if most is not None:
        rules.append(Rule(lambda v: measure(v) <= most, f"Member must have {what} less than or equal to {most}"))
    return tuple(rules)


def together(rules: tuple[Rule, ...]) -> str:
    """Rules on the elements of a collection, which are reported together, in reverse order."""
    return f"[{', '.join(rule.text for rule in reversed(rules))}]"


def enumerated(allowed: Iterable[str], listed: str) -> Constrain:
    """The constraint of an enumeration, in the words of AWS's newer checker: it does not name the member.

    `listed` is the list of `allowed` values in the text.
    """
    allowed = frozenset(allowed)
    text = f"Failed to satisfy constraint: Member must satisfy enum value set: [{listed}]"

    def constrain(value: Any, path: str, errors: list[str]) -> None:
        if value not in allowed:
            errors.append(text)

    return constrain


def terse(rules: tuple[Rule, ...], inside: Constrain | None) -> Constrain:
    """Rules whose faults do not show the value, and name members as in the request."""

    def constrain(value: Any, path: str, errors: list[str]) -> None:
        for rule in rules:
            if not rule.holds(value):
                first, dot, rest = path.rpartition(".")
                named = first[:1].upper() + first[1:] + dot + rest[0].upper() + rest[1:]
                errors.append(unshown(named, rule.text))
        if inside is not None:
            inside(value, path, errors)

    return constrain


def shown_scalar(value: Any) -> str:
    """A scalar as an error shows it."""
    if type(value) is bytes:
        return f"java.nio.HeapByteBuffer[pos=0 lim={len(value)} cap={len(value)}]"
    return str(value).lower() if type(value) is bool else str(value)


# Types. A scalar of the wrong type is named by what the parser saw; a collection by the expected type.


def _wrong_scalar(value: Any, java_type: str) -> Never:
    match value:
        case bool():
            seen = f"{str(value).upper()}_VALUE"
        case int():
            seen = "NUMBER_VALUE"
        case float():
            seen = "DECIMAL_VALUE"
        case str():
            seen = "STRING_VALUE"
        case bytes():
            seen = "BLOB_VALUE"
        case list():
            raise SerializationException(f"Unrecognized collection type class java.lang.{java_type}")
        case _:
            raise SerializationException(STRUCTURE_UNEXPECTED)
    raise SerializationException(f"{seen} cannot be converted to {java_type}")


def _string(value: Any) -> Any:
    if type(value) is not str:
        _wrong_scalar(value, "String")
    return value


_INTEGERS = range(-(1 << 31), 1 << 31)
_LONGS = range(-(1 << 63), 1 << 63)
_BOOLEANS = {"TRUE": True, "1": True, "YES": True, "FALSE": False, "0": False, "NO": False}


def _boolean(value: Any) -> Any:
    if type(value) is bool:
        return value
    if type(value) is not str:
        _wrong_scalar(value, "Boolean")
    try:
        return _BOOLEANS[value.upper()]
    except KeyError:
        raise SerializationException("Unexpected token received from parser") from None


def _whole(java_type: str, fitting: range) -> Convert:
    def convert(value: Any) -> Any:
        if type(value) is not int:
            if type(value) is not float:
                _wrong_scalar(value, java_type)
            if not isfinite(value):  # CBOR has such numbers.
                _wrong_scalar(value, java_type)
            value = int(value)
        if value not in fitting:
            _wrong_scalar(value, java_type)
        return value

    return convert


def _double(value: Any) -> Any:
    if type(value) not in (int, float):
        _wrong_scalar(value, "Double")
    return value


def _moment(value: Any) -> Any:
    if type(value) not in (int, float) or not isfinite(value):
        _wrong_scalar(value, "Date")
    return value


def _blob_in_text(value: Any) -> Any:
    if type(value) is not str:
        _wrong_scalar(value, "Blob")
    try:
        return b64decode(value, validate=True)
    except ValueError:
        raise SerializationException("A blob is not valid base64") from None


def _blob(value: Any) -> Any:
    if type(value) is not bytes:
        _wrong_scalar(value, "Blob")
    return value


class Scalar(NamedTuple):
    """A scalar type of the model, as a protocol's values have it."""

    convert: Convert
    accepted: type | None
    """The type of values that may be valid as they are; None if all have to be converted."""


Scalars = dict[str, Scalar]
"""By the model's name of a scalar type."""

JSON_SCALARS: Scalars = {
    "string": Scalar(_string, str),
    "boolean": Scalar(_boolean, bool),
    "integer": Scalar(_whole("Integer", _INTEGERS), int),
    "long": Scalar(_whole("Long", _LONGS), int),
    "float": Scalar(_double, float),
    "double": Scalar(_double, float),
    "timestamp": Scalar(_moment, float),
    "blob": Scalar(_blob_in_text, None),
}
"""For values that were JSON, which has no bytes."""
TYPED_SCALARS = JSON_SCALARS | {"blob": Scalar(_blob, bytes)}
"""For values that were read with their types."""

_FITTING = {
    "integer": (Rule(_INTEGERS.__contains__, ""),),
    "long": (Rule(_LONGS.__contains__, ""),),
    "timestamp": (Rule(isfinite, ""),),
}
"""Types that `_whole` and `_moment` refuse in their own words."""


def accepting(scalars: Scalars, scalar: str, rules: tuple[Rule, ...]) -> Accept:
    """Accepts scalars of one of the model's types that break no rule."""
    type_ = scalars[scalar].accepted
    rules = _FITTING.get(scalar, ()) + rules
    if type_ is None:
        return lambda value: False
    if not rules:
        return lambda value: type(value) is type_
    return lambda value: type(value) is type_ and first_broken(rules, value) is None


def first_broken(rules: tuple[Rule, ...], value: Any) -> Rule | None:
    """The first rule that a value breaks."""
    for rule in rules:
        if not rule.holds(value):
            return rule
    return None


def wrong_collection(value: Any, wanted: str, java_type: str, nested: bool) -> Never:
    """Refuse a value that is not of the collection type `wanted`: "structure", "list" or "map".

    `java_type` is the expected type; `nested` means that it is in a list or a map.
    """
    if type(value) is dict:
        raise SerializationException(STRUCTURE_UNEXPECTED)
    if type(value) is list:
        raise SerializationException(f"Unrecognized collection type {java_type}")
    if not nested:
        raise SerializationException("Unexpected field type")
    raise SerializationException("Unexpected value type in payload" if wanted == "structure" else _CAST)


def _itself(value: Any) -> Any:
    return value
