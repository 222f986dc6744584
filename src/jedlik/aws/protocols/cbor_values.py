"""CBOR, as far as Smithy's protocols use it: the values of JSON, with byte strings and timestamps as well.

The reader accepts definite and indefinite lengths, and numbers in any width. The writer uses definite lengths, the
shortest integers, and doubles. Refused are simple values except false, true, null and undefined, tags except that of a
timestamp, keys except texts, and anything nested more deeply than `DEEPEST` or with more values than `MOST_VALUES`.
DAX's protocol has tags and keys of its own: its `Reader` (`dax/wire_values.py`) adds them.

Sources: RFC 8949; "Smithy RPC v2 CBOR protocol" in Smithy's documentation, for the parts that it uses.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

DEEPEST = 64
"""Levels of arrays and maps. No input of a service has as many, and each is a frame of the reader."""
MOST_VALUES = 100_000
"""In one body, keys and parts of strings included. A value of one byte takes 60 bytes and two microseconds to read, and
meanwhile no other request is served: 16 MB of them would take a gigabyte and half a minute."""

UNSIGNED, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG, _SIMPLE = range(8)
"""Major types."""
INDEFINITE = 31
BREAK = 0xFF
_EPOCH_SECONDS = 1
"""The tag of a timestamp."""
_CONSTANTS = {20: False, 21: True, 22: None, 23: None}
_FLOATS = {25: struct.Struct(">e"), 26: struct.Struct(">f"), 27: struct.Struct(">d")}
WIDTHS = {24: 1, 25: 2, 26: 4, 27: 8}
"""Bytes of an argument that follow the first byte, by its low five bits."""


class Timestamp(NamedTuple):
    """A moment, to be written with its tag. It is read as a number."""

    seconds: float
    """Since the epoch."""


class NotCbor(Exception):
    """Bytes that are not one value, or a value that is not supported here. The message gives the reason."""


def decoded(data: bytes) -> Any:
    """The one value in `data`. Raises NotCbor."""
    reader = Reader(data)
    value = reader.value(0)
    reader.check_end()
    return value


class Reader:
    """A place in bytes that hold values, one after the other. All methods raise NotCbor."""

    __slots__ = ("_data", "_deepest", "_left", "_most", "position")

    def __init__(self, data: bytes, most_values: int = MOST_VALUES, deepest: int = DEEPEST) -> None:
        self._data = data
        self._most = self._left = most_values
        self._deepest = deepest
        self.position = 0

    def is_at_end(self) -> bool:
        """Whether no byte is left."""
        return self.position == len(self._data)

    def check_end(self) -> None:
        """Refuse bytes behind the last value."""
        if not self.is_at_end():
            raise NotCbor("bytes follow the value")

    def value(self, depth: int = 0) -> Any:
        """The next value."""
        if depth > self._deepest:
            raise NotCbor("the value is nested too deeply")
        major, low = self.head()
        if major == _SIMPLE:
            return self._simple(low)
        if low == INDEFINITE:
            return self._indefinite(major, depth)
        argument = self.argument(low)
        if major == UNSIGNED:
            return argument
        if major == NEGATIVE:
            return -1 - argument
        if major == BYTES:
            return self.take(argument)
        if major == TEXT:
            return self.text(argument)
        if major == ARRAY:
            self.check_room(argument)
            values = []
            for _ in range(argument):
                values.append(self.value(depth + 1))  # Not a comprehension, which would be a frame more for each level.
            return values
        if major == MAP:
            self.check_room(2 * argument)
            pairs = {}
            for _ in range(argument):
                key = self.key(depth)
                pairs[key] = self.value(depth + 1)
            return pairs
        return self.tagged(argument, depth)

    def tagged(self, tag: int, depth: int) -> Any:
        """The value behind a tag."""
        if tag != _EPOCH_SECONDS:
            raise NotCbor(f"tag {tag} is not known")
        seconds = self.value(depth + 1)
        if type(seconds) not in (int, float):
            raise NotCbor("a timestamp is no number")
        return seconds

    def key(self, depth: int) -> Any:
        """The next key of a map."""
        key = self.value(depth + 1)
        if type(key) is not str:
            raise NotCbor("a key of a map is no text")
        return key

    def head(self) -> tuple[int, int]:
        """The major type of the next value, and the low five bits of its first byte."""
        self._left -= 1
        if self._left < 0:
            raise NotCbor(f"there are more than {self._most:,} values")
        (byte,) = self.take(1)
        return byte >> 5, byte & 31

    def take(self, count: int) -> bytes:
        """The next bytes."""
        end = self.position + count
        if end > len(self._data):
            raise NotCbor("the value is cut off")
        taken = self._data[self.position : end]
        self.position = end
        return taken

    def rest(self) -> bytes:
        """All bytes that are left."""
        return self.take(len(self._data) - self.position)

    def check_room(self, values: int) -> None:
        """Each value takes a byte at least, so a false length is found before anything is made from it."""
        if values > len(self._data) - self.position:
            raise NotCbor("the value is cut off")

    def argument(self, low: int) -> int:
        """The number in a head: a value or a length, which may not be indefinite."""
        if low < 24:
            return low
        width = WIDTHS.get(low)
        if width is None:
            raise NotCbor("a length is malformed")
        return int.from_bytes(self.take(width), "big")

    def text(self, length: int) -> str:
        """The next bytes, as a text."""
        try:
            return self.take(length).decode()
        except UnicodeDecodeError:
            raise NotCbor("a text is not UTF-8") from None

    def _simple(self, low: int) -> Any:
        if low in _CONSTANTS:
            return _CONSTANTS[low]
        if low not in _FLOATS:
            raise NotCbor(f"the simple value {low} is not known")
        (number,) = _FLOATS[low].unpack(self.take(WIDTHS[low]))
        return number

    def ends(self) -> bool:
        """Whether the break of a value without a length comes next; if so, it is consumed."""
        (byte,) = self.take(1)
        if byte != BREAK:
            self.position -= 1
        return byte == BREAK

    def _indefinite(self, major: int, depth: int) -> Any:
        if major == ARRAY:
            values = []
            while not self.ends():
                values.append(self.value(depth + 1))
            return values
        if major == MAP:
            pairs = {}
            while not self.ends():
                key = self.key(depth)
                pairs[key] = self.value(depth + 1)
            return pairs
        if major not in (BYTES, TEXT):
            raise NotCbor("a length is malformed")
        parts: list[Any] = []
        while not self.ends():
            part_major, low = self.head()
            if part_major != major or low == INDEFINITE:
                raise NotCbor("a string has parts of another type")
            length = self.argument(low)
            parts.append(self.take(length) if major == BYTES else self.text(length))
        return b"".join(parts) if major == BYTES else "".join(parts)


def encoded(value: Any) -> bytes:
    """The bytes of a value: of None, a boolean, number, text, bytes, Timestamp, or of lists and dicts of these."""
    written = bytearray()
    write(value, written)
    return bytes(written)


def write(value: Any, into: bytearray) -> None:
    """Write a value behind others."""
    if value is None:
        into.append(0xF6)
    elif value is True or value is False:
        into.append(0xF5 if value else 0xF4)
    elif isinstance(value, int):
        write_head(UNSIGNED if value >= 0 else NEGATIVE, value if value >= 0 else -1 - value, into)
    elif isinstance(value, float):
        into.append(0xFB)
        into += _FLOATS[27].pack(value)
    elif isinstance(value, str):
        raw = value.encode()
        write_head(TEXT, len(raw), into)
        into += raw
    elif isinstance(value, bytes):
        write_head(BYTES, len(value), into)
        into += value
    elif isinstance(value, dict):
        write_head(MAP, len(value), into)
        for key, member in value.items():
            write(key, into)
            write(member, into)
    elif isinstance(value, Timestamp):
        write_head(TAG, _EPOCH_SECONDS, into)
        write(value.seconds, into)
    elif isinstance(value, list | tuple):
        write_head(ARRAY, len(value), into)
        for member in value:
            write(member, into)
    else:
        raise TypeError(f"{type(value).__name__} is no value of CBOR here")


def write_head(major: int, argument: int, into: bytearray) -> None:
    """Write a type and its number, in the shortest form."""
    if argument < 24:
        into.append(major << 5 | argument)
        return
    for low, width in WIDTHS.items():
        if argument < 1 << 8 * width:
            into.append(major << 5 | low)
            into += argument.to_bytes(width, "big")
            return
    raise OverflowError(f"{argument} has more than 64 bits")
