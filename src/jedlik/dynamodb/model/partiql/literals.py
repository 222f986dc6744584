"""Literal values in a statement: 'text', 1.5, true, null, [...], {'name': ...} and <<...>>.

A number is read as Java's BigDecimal reads one, because DynamoDB's PartiQL does so, unlike its other operations: a
number with an exponent beyond 32 bits is malformed, and one close to that wraps around.

Sources: "PartiQL data types for DynamoDB" in the developer guide; refusals as measured on AWS.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.model import numbers, values
from jedlik.dynamodb.model.partiql.errors import EMPTY_COMPONENT, invalid
from jedlik.dynamodb.model.partiql.partiql_lexer import INTEGER_MAX
from jedlik.dynamodb.model.partiql.syntax import (
    Bag,
    Between,
    Binary,
    Call,
    Ion,
    Is,
    ListOf,
    Literal,
    Logical,
    Missing,
    Name,
    Node,
    Parameter,
    Path,
    Query,
    Struct,
    Unary,
)
from jedlik.dynamodb.model.values import AttributeValue

_CONSTANTS: dict[str, AttributeValue] = {"true": {"BOOL": True}, "false": {"BOOL": False}, "null": {"NULL": True}}
_BAG_MEMBERS = "Unsupported data type in Bag. DynamoDB only supports either numbers or strings in bags"
_EXPONENT = re.compile(r"([0-9]*)(?:\.([0-9]*))?[eE]([+-]?)([0-9]+)")
_UNDERFLOW = "Number underflow. Attempting to store a number with magnitude smaller than supported range"
_NOT_A_NUMBER = "The parameter cannot be converted to a numeric value"

_KINDS: dict[type[Node], str] = {
    Missing: "LiteralMissing",
    Parameter: "Parameter",
    Name: "VariableReference",
    Path: "Path",
    ListOf: "Seq",
    Bag: "Seq",
    Struct: "Struct",
    Is: "IsType",
    Query: "Select",
    Call: "NAry",
    Unary: "NAry",
    Binary: "NAry",
    Between: "NAry",
    Logical: "NAry",
}


def kind(node: Node) -> str:
    """DynamoDB's name for a part of a statement in its messages."""
    if isinstance(node, Literal):
        return ("INT" if node.token.text.isdigit() else "DECIMAL") if node.token.kind == "number" else "Literal"
    return _KINDS.get(type(node), "Literal")


def constant(node: Node) -> AttributeValue:
    """The normalised value of a literal. Raises ValidationException."""
    value, _ = values.normalise_value(_value(node, "root"))
    return value


def attributes(node: Struct) -> dict[str, AttributeValue | int]:
    """The attributes of an INSERT: their values, not normalised, or the numbers of their parameters.

    Raises ValidationException.
    """
    return {
        name: content.index if isinstance(content, Parameter) else _value(content, "root")
        for name, content in _fields(node, "root")
    }


def _value(node: Node, place: str) -> AttributeValue:
    """`place` is the node's place in the value of an attribute, which is the root."""
    match node:
        case Literal(token, text):
            return _scalar(token.kind, text, place)
        case ListOf(members=members):
            return {"L": [_value(member, f"{place}[{i}]") for i, member in enumerate(members)]}
        case Struct():
            return {"M": {name: _value(content, f"{place}.{name}") for name, content in _fields(node, place)}}
        case Bag(members=members):
            return _set(members, place)
        case Ion(token):
            raise invalid(f"Ion Literals are not supported under key {place} at {token.place}")
    what = "MISSING" if isinstance(node, Missing) else node.token.text
    if place != "root" and kind(node) != "NAry":
        what = kind(node)
    raise invalid(f"Unsupported data type: {what} under key {place} at {node.token.place}")


def _scalar(kind: str, text: str, place: str) -> AttributeValue:
    if kind == "number":
        try:
            return {"N": number(text)}
        except ValidationException as error:
            raise invalid(f"{error.message} under {place}") from None
    return {"S": text} if kind == "string" else dict(_CONSTANTS[text])


def _fields(node: Struct, place: str) -> Iterator[tuple[str, Node]]:
    """Names and contents of a tuple."""
    seen = set()
    for field, content in node.fields:
        if not isinstance(field, Literal) or field.token.kind != "string":
            at = f"{place} at {field.token.place}"
            raise invalid(f"Tuple keys must be of type String. Actual type: {kind(field)} under {at}")
        if field.text in seen:
            raise invalid(f"Duplicate keys in tuple. Key: {field.text} under {place} at {field.token.place}")
        if not field.text:
            raise invalid(EMPTY_COMPONENT)
        seen.add(field.text)
        yield field.text, content


def _set(members: tuple[Node, ...], place: str) -> AttributeValue:
    if not members:
        raise invalid("Empty bags are not supported")
    kinds = {member.token.kind if isinstance(member, Literal) else "" for member in members}
    if kinds not in ({"string"}, {"number"}):
        raise invalid(_BAG_MEMBERS)
    contents: list[Any] = [_scalar(m.token.kind, m.text, place) for m in members if isinstance(m, Literal)]
    if kinds == {"string"}:
        return {"SS": [content["S"] for content in contents]}
    return {"NS": [content["N"] for content in contents]}


# Numbers and parameters


def number(text: str) -> str:
    """The normal form of a number in a statement or in its parameters. Raises ValidationException."""
    match = _EXPONENT.fullmatch(text.lstrip("+-"))
    if match is not None:
        whole, fraction, sign, digits = match.groups("")
        magnitude = numbers.whole_number(digits, INTEGER_MAX)
        if magnitude is None:
            raise invalid(f"{_NOT_A_NUMBER}: {text}")
        precision = len((whole + fraction).lstrip("0")) or 1
        if not sign == "-" and precision - len(fraction) + magnitude > INTEGER_MAX:
            raise invalid(_UNDERFLOW)
    return numbers.normalise(text)


def parameter(raw: Any) -> AttributeValue:
    """A parameter's normalised value. Raises SerializationException and ValidationException."""
    try:
        value, _ = values.normalise_value(raw)
    except ValidationException as error:
        if error.message.startswith("Number "):
            for text in _numbers(raw):
                number(text)
        raise
    return value


def _numbers(raw: Any) -> Iterator[str]:
    """The texts of all numbers in a value, in order."""
    for type_, content in raw.items():
        if type_ == "N":
            yield content
        elif type_ == "NS":
            yield from content
        elif type_ == "L":
            for member in content:
                yield from _numbers(member)
        elif type_ == "M":
            for member in content.values():
                yield from _numbers(member)
