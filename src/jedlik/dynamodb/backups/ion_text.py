"""Amazon Ion's text form of items, as exports have it. Imports read Ion with a library (`ion_records`).

A number is a decimal, and a binary value a blob. Ion has no sets: one is a list with an annotation of its type.

Source: "DynamoDB table export output format" in the developer guide, and the Ion 1.0 specification.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from jedlik.dynamodb.model.values import Item

VERSION = "$ion_1_0 "
"""What begins each line."""

_IDENTIFIER = re.compile(r"(?!\$[0-9]+\Z|(?:null|true|false|nan)\Z)[A-Za-z_$][A-Za-z0-9_$]*")
_ESCAPED = re.compile(r"""[\x00-\x1f\x7f"'\\]""")


def item(attributes: Item) -> str:
    """An item as a struct."""
    return struct({name: value(of) for name, of in attributes.items()})


def struct(fields: Mapping[str, str]) -> str:
    """A struct of fields that are Ion already."""
    return "{" + ",".join(f"{_symbol(name)}:{text}" for name, text in fields.items()) + "}"


def value(attribute: Mapping[str, Any]) -> str:
    """An attribute value."""
    [(type_, content)] = attribute.items()
    return _OF_TYPES[type_](content)


def number(text: str) -> str:
    """A number in DynamoDB's normal form, as a decimal. Zeros at the end of an integer are an exponent, as on AWS."""
    exponential = text.replace("E", "d").replace("e", "d")
    if "." in text or exponential != text:
        return exponential
    digits = text.rstrip("0")
    return f"{digits}d{len(text) - len(digits)}" if digits and digits != text else f"{text}."


def _symbol(name: str) -> str:
    return name if _IDENTIFIER.fullmatch(name) else "'" + _ESCAPED.sub(_escape, name) + "'"


def _string(text: str) -> str:
    return '"' + _ESCAPED.sub(_escape, text) + '"'


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    return f"\\{character}" if character in "\"'\\" else f"\\x{ord(character):02x}"


def _blob(base64: str) -> str:
    return "{{" + base64 + "}}"


def _set(type_: str, element: Callable[[str], str]) -> Callable[[list[str]], str]:
    return lambda elements: f"$dynamodb_{type_}::[" + ",".join(map(element, elements)) + "]"


_OF_TYPES: dict[str, Callable[[Any], str]] = {
    "S": _string,
    "N": number,
    "B": _blob,
    "BOOL": lambda truth: "true" if truth else "false",
    "NULL": lambda _: "null",
    "L": lambda elements: "[" + ",".join(map(value, elements)) + "]",
    "M": item,
    "SS": _set("SS", _string),
    "NS": _set("NS", number),
    "BS": _set("BS", _blob),
}
