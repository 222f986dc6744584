"""Attribute values as plain Python values, and their form on the wire.

A number is a Decimal, a string a str, a binary bytes, a set a frozenset, NULL is `None`, and booleans, lists and maps
are themselves. Some are equal in Python but not in DynamoDB (True and 1), so values are compared by `same`.
"""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import Any

Value = Any
"""A plain value, or MISSING."""
Item = dict[str, Value]
Wire = dict[str, Any]

MISSING = object()
"""Stands for a missing attribute. NULL is a value."""


def kind(value: Value) -> str:
    """DynamoDB's name of a value's type."""
    match value:
        case None:
            return "NULL"
        case bool():
            return "BOOL"
        case Decimal():
            return "N"
        case str():
            return "S"
        case bytes():
            return "B"
        case list():
            return "L"
        case dict():
            return "M"
        case frozenset():
            return kind(next(iter(value))) + "S"
    raise AssertionError(f"not a value: {value!r}")


def number(value: Decimal) -> str:
    """A number as DynamoDB writes it: without an exponent, and without insignificant zeros."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def on_wire(value: Value, backwards: bool = False) -> Wire:
    """A value as boto3's client takes it: binaries are bytes, and sets are lists, here in the order of their texts.

    `backwards` reverses the order of sets, which changes nothing.
    """
    type_ = kind(value)
    match type_:
        case "NULL":
            return {"NULL": True}
        case "N":
            return {"N": number(value)}
        case "L":
            return {"L": [on_wire(element, backwards) for element in value]}
        case "M":
            return {"M": {name: on_wire(member, backwards) for name, member in value.items()}}
        case "SS" | "BS":
            return {type_: sorted(value, reverse=backwards)}
        case "NS":
            return {type_: sorted(map(number, value), reverse=backwards)}
    return {type_: value}


def item_on_wire(item: Item) -> Wire:
    return {name: on_wire(value) for name, value in item.items()}


def canonical(answer: Any) -> Any:
    """A part of an answer, in a form in which equal ones are equal: binaries as bytes, and sets in the order of their
    texts."""
    match answer:
        case {"B": str(text)}:
            return {"B": base64.b64decode(text)}
        case {"BS": [*members]}:
            return {"BS": sorted(base64.b64decode(m) if isinstance(m, str) else m for m in members)}
        case {"SS": [*members]}:
            return {"SS": sorted(members)}
        case {"NS": [*members]}:
            return {"NS": sorted(members)}
        case dict():
            return {name: canonical(value) for name, value in answer.items()}
        case list():
            return [canonical(element) for element in answer]
    return answer


def same(a: Value, b: Value) -> bool:
    """Whether two values are equal in DynamoDB."""
    return on_wire(a) == on_wire(b)


def order(value: Value) -> Any:
    """A key that sorts values of one type as DynamoDB does: strings by their UTF-8 bytes."""
    return value.encode() if isinstance(value, str) else value


def size(value: Value) -> int:
    """The size of a value in bytes. Source: "DynamoDB item sizes and formats" in the developer guide."""
    match kind(value):
        case "S":
            return len(value.encode())
        case "B":
            return len(value)
        case "N":
            return _number_size(value)
        case "NULL" | "BOOL":
            return 1
        case "L":
            return 3 + sum(1 + size(element) for element in value)
        case "M":
            return 3 + len(value) + item_size(value)
    return sum(map(size, value))


def item_size(item: Item) -> int:
    return sum(len(name.encode()) + size(value) for name, value in item.items())


def _number_size(value: Decimal) -> int:
    """A byte, one for each two digits counted from the point, and one more for a sign; but 21 at most."""
    if not value:
        return 1
    whole, _, fraction = number(value.copy_abs()).partition(".")
    pairs = ("0" * (len(whole) % 2) + whole + fraction + "0" * (len(fraction) % 2)).rstrip("0")
    pairs += "0" * (len(pairs) % 2)
    while pairs.startswith("00"):
        pairs = pairs[2:]
    return min(1 + len(pairs) // 2 + (value < 0), 21)
