"""CBOR as DAX has it: attribute values, and the values that requests are made of.

An attribute value is the CBOR value of its kind: a text, bytes, a number, true, null, an array, a map. Tags 3321 to
3323 make sets of arrays, and 3324 an index of a list in a path. Here attribute values are what they are in the rest of
Jedlik, DynamoDB's JSON: {"S": "..."}, with base64 for bytes.

A map without a length is needed where a client takes no other (`stream`), and definite lengths everywhere else.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from jedlik.aws.protocols.cbor_values import (
    ARRAY,
    BYTES,
    MAP,
    MOST_VALUES,
    NEGATIVE,
    TAG,
    TEXT,
    UNSIGNED,
    NotCbor,
    Reader,
    write_head,
)
from jedlik.dax import wire_numbers
from jedlik.dax.wire_numbers import DECIMAL, NEGATIVE_BIGNUM, POSITIVE_BIGNUM

STRING_SET, NUMBER_SET, BINARY_SET, LIST_INDEX = 3321, 3322, 3323, 3324
"""DAX's tags."""
SETS = {STRING_SET: ("SS", "S"), NUMBER_SET: ("NS", "N"), BINARY_SET: ("BS", "B")}
DEEPEST = 400
"""Levels of an expression, which nests with each AND. DynamoDB takes 300 operators."""

TRUE, FALSE, NULL, STREAM, BREAK = b"\xf5", b"\xf4", b"\xf6", b"\xbf", b"\xff"

Attribute = dict[str, Any]
"""An attribute value in DynamoDB's JSON."""
Item = dict[str, Attribute]


class Index(NamedTuple):
    """The index of a list's element in a path."""

    number: int


class WireReader(Reader):
    """Reads what DAX's clients send."""

    __slots__ = ()

    def __init__(self, data: bytes) -> None:
        super().__init__(data, MOST_VALUES, DEEPEST)

    def key(self, depth: int) -> Any:
        """A text, or the number of a parameter."""
        key = self.value(depth + 1)
        if type(key) not in (str, int):
            raise NotCbor("a key of a map is no text and no integer")
        return key

    def tagged(self, tag: int, depth: int) -> Any:
        """An index of a list, or what a client tags without need: an array of names, or a number in what is skipped."""
        value = self.value(depth + 1)
        if tag == LIST_INDEX:
            if type(value) is not int or value < 0:
                raise NotCbor("an index of a list is none")
            return Index(value)
        if tag not in SETS and tag not in (POSITIVE_BIGNUM, NEGATIVE_BIGNUM, DECIMAL):
            raise NotCbor(f"tag {tag} is not known")
        return value

    def attribute(self, depth: int = 0) -> Attribute:
        """The next attribute value, as it came: numbers are in any form."""
        if depth > self._deepest:
            raise NotCbor("the value is nested too deeply")
        before = self.position
        major, low = self.head()
        if major == TEXT:
            return {"S": self.text(self.argument(low))}
        if major == UNSIGNED:
            return {"N": str(self.argument(low))}
        if major == NEGATIVE:
            return {"N": str(-1 - self.argument(low))}
        if major == BYTES:
            return {"B": base64(self.take(self.argument(low)))}
        if major == TAG:
            return self._tagged_attribute(self.argument(low), depth)
        if major in (ARRAY, MAP):
            return self._document(major, before, depth)
        self.position = before
        value = self.value()
        if value is None:
            return {"NULL": True}
        if type(value) is bool:
            return {"BOOL": value}
        return {"N": wire_numbers.float_text(value)}

    def _document(self, major: int, before: int, depth: int) -> Attribute:
        """A list or a map, whose head began at `before`."""
        low = self._data[before] & 31
        count = None if low == 31 else self.argument(low)
        if count is not None:
            self.check_room(count)
        members: Any = [] if major == ARRAY else {}
        number = 0
        while (number != count) if count is not None else not self.ends():
            number += 1
            if major == ARRAY:
                members.append(self.attribute(depth + 1))
                continue
            name = self.value(depth + 1)
            if type(name) is not str:
                raise NotCbor("the name of an attribute is no text")
            members[name] = self.attribute(depth + 1)
        return {"L" if major == ARRAY else "M": members}

    def _tagged_attribute(self, tag: int, depth: int) -> Attribute:
        if tag in SETS:
            kind, member = SETS[tag]
            members = self.attribute(depth + 1).get("L")
            if members is None or not all(member in one for one in members):
                raise NotCbor("a set is none, or has members of another kind")
            return {kind: [one[member] for one in members]}
        if tag == DECIMAL:
            pair = self.value(depth + 1)
            if type(pair) is not list or len(pair) != 2 or not all(type(one) is int for one in pair):
                raise NotCbor("a decimal is none")
            return {"N": wire_numbers.text(pair[1], pair[0])}
        if tag in (POSITIVE_BIGNUM, NEGATIVE_BIGNUM):
            return {"N": wire_numbers.text(wire_numbers.bignum(self.value(depth + 1), tag == NEGATIVE_BIGNUM))}
        raise NotCbor(f"tag {tag} is no attribute's")


def base64(raw: bytes) -> str:
    """Bytes as DynamoDB's JSON has them."""
    return binascii.b2a_base64(raw, newline=False).decode()


def attribute(value: Mapping[str, Any], into: bytearray) -> None:
    """Write an attribute value, normalised as DynamoDB answers it."""
    ((kind, content),) = value.items()
    _WRITERS[kind](content, into)


def text(value: str, into: bytearray) -> None:
    """Write a text."""
    raw = value.encode()
    write_head(TEXT, len(raw), into)
    into += raw


def binary(raw: bytes | bytearray, into: bytearray) -> None:
    """Write bytes."""
    write_head(BYTES, len(raw), into)
    into += raw


def integer(number: int, into: bytearray) -> None:
    """Write an integer of at most 64 bits."""
    write_head(UNSIGNED if number >= 0 else NEGATIVE, number if number >= 0 else -1 - number, into)


def array(count: int, into: bytearray) -> None:
    """Write the head of an array."""
    write_head(ARRAY, count, into)


def pairs(count: int, into: bytearray) -> None:
    """Write the head of a map."""
    write_head(MAP, count, into)


def attributes(item: Mapping[str, Attribute], into: bytearray) -> None:
    """Write a map of attributes without a length, as clients want it of keys of an index."""
    into += STREAM
    for name, value in item.items():
        text(name, into)
        attribute(value, into)
    into += BREAK


def _list(members: Iterable[Attribute], into: bytearray) -> None:
    members = list(members)
    array(len(members), into)
    for member in members:
        attribute(member, into)


def _map(members: Mapping[str, Attribute], into: bytearray) -> None:
    pairs(len(members), into)
    for name, member in members.items():
        text(name, into)
        attribute(member, into)


def _base64(content: str, into: bytearray) -> None:
    binary(binascii.a2b_base64(content), into)


def _set(tag: int) -> Callable[[Any, bytearray], None]:
    member = SETS[tag][1]

    def write(members: list[str], into: bytearray) -> None:
        write_head(TAG, tag, into)
        array(len(members), into)
        for one in members:
            _WRITERS[member](one, into)

    return write


def _boolean(content: bool, into: bytearray) -> None:
    into += TRUE if content else FALSE


def _null(content: bool, into: bytearray) -> None:
    into += NULL


_WRITERS: dict[str, Callable[[Any, bytearray], None]] = {
    "S": text,
    "N": wire_numbers.write,
    "B": _base64,
    "BOOL": _boolean,
    "NULL": _null,
    "L": _list,
    "M": _map,
    "SS": _set(STRING_SET),
    "NS": _set(NUMBER_SET),
    "BS": _set(BINARY_SET),
}
