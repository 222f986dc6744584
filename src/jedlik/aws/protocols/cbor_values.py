"""CBOR, as far as Smithy's protocols use it: the values of JSON, with byte strings and timestamps as well.

What is read may have definite and indefinite lengths, and numbers in any width. What is written has definite lengths
and the shortest integers, and doubles. Simple values but false, true, null and undefined, tags but that of a timestamp,
and keys but texts are refused, as is what is nested more deeply than `DEEPEST` or has more values than `MOST_VALUES`.

Sources: RFC 8949; "Smithy RPC v2 CBOR protocol" in Smithy's documentation, for what of it is used.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

DEEPEST = 64
"""Levels of arrays and maps. No input of a service has as many, and each is a frame of the reader."""
MOST_VALUES = 100_000
"""In one body, keys and parts of strings included. A value of one byte takes 60 bytes and two microseconds to read, and
meanwhile nobody else is served: 16 MB of them would take a gigabyte and half a minute."""

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
"""Major types."""
_INDEFINITE = 31
_BREAK = 0xFF
_EPOCH_SECONDS = 1
"""The tag of a timestamp."""
_CONSTANTS = {20: False, 21: True, 22: None, 23: None}
_FLOATS = {25: struct.Struct(">e"), 26: struct.Struct(">f"), 27: struct.Struct(">d")}
_WIDTHS = {24: 1, 25: 2, 26: 4, 27: 8}
"""Bytes of an argument that follow the first byte, by its low five bits."""


class Timestamp(NamedTuple):
    """A moment, to be written with its tag. It is read as a number."""

    seconds: float
    """Since the epoch."""


class NotCbor(Exception):
    """Bytes that are not one value, or one that is not read here. The message says why."""


def decoded(data: bytes) -> Any:
    """The one value that `data` is. Raises NotCbor."""
    reader = _Reader(data)
    value = reader.value(0)
    if reader.position != len(data):
        raise NotCbor("bytes follow the value")
    return value


class _Reader:
    """A place in the bytes of a value."""

    __slots__ = ("_data", "_left", "position")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._left = MOST_VALUES
        self.position = 0

    def value(self, depth: int) -> Any:
        if depth > DEEPEST:
            raise NotCbor("the value is nested too deeply")
        major, low = self._head()
        if major == _SIMPLE:
            return self._simple(low)
        if low == _INDEFINITE:
            return self._indefinite(major, depth)
        argument = self._argument(low)
        match major:
            case 0:
                return argument
            case 1:
                return -1 - argument
            case 2:
                return self._take(argument)
            case 3:
                return self._text(argument)
            case 4:
                self._check_room(argument)
                return [self.value(depth + 1) for _ in range(argument)]
            case 5:
                self._check_room(2 * argument)
                return dict([self._pair(depth) for _ in range(argument)])
        if argument != _EPOCH_SECONDS:
            raise NotCbor(f"tag {argument} is not known")
        seconds = self.value(depth + 1)
        if type(seconds) not in (int, float):
            raise NotCbor("a timestamp is no number")
        return seconds

    def _head(self) -> tuple[int, int]:
        self._left -= 1
        if self._left < 0:
            raise NotCbor(f"there are more than {MOST_VALUES:,} values")
        (byte,) = self._take(1)
        return byte >> 5, byte & 31

    def _take(self, count: int) -> bytes:
        end = self.position + count
        if end > len(self._data):
            raise NotCbor("the value is cut off")
        taken = self._data[self.position : end]
        self.position = end
        return taken

    def _check_room(self, values: int) -> None:
        """Each value takes a byte at least, so a length that lies is known before anything is made of it."""
        if values > len(self._data) - self.position:
            raise NotCbor("the value is cut off")

    def _argument(self, low: int) -> int:
        if low < 24:
            return low
        width = _WIDTHS.get(low)
        if width is None:
            raise NotCbor("a length is malformed")
        return int.from_bytes(self._take(width), "big")

    def _text(self, length: int) -> str:
        try:
            return self._take(length).decode()
        except UnicodeDecodeError:
            raise NotCbor("a text is not UTF-8") from None

    def _pair(self, depth: int) -> tuple[str, Any]:
        key = self.value(depth + 1)
        if type(key) is not str:
            raise NotCbor("a key of a map is no text")
        return key, self.value(depth + 1)

    def _simple(self, low: int) -> Any:
        if low in _CONSTANTS:
            return _CONSTANTS[low]
        if low not in _FLOATS:
            raise NotCbor(f"the simple value {low} is not known")
        (number,) = _FLOATS[low].unpack(self._take(_WIDTHS[low]))
        return number

    def _ends(self) -> bool:
        """Whether the break of what has no length comes next; if so, it is passed."""
        (byte,) = self._take(1)
        if byte != _BREAK:
            self.position -= 1
        return byte == _BREAK

    def _indefinite(self, major: int, depth: int) -> Any:
        if major == _ARRAY:
            values = []
            while not self._ends():
                values.append(self.value(depth + 1))
            return values
        if major == _MAP:
            pairs = {}
            while not self._ends():
                key, value = self._pair(depth)
                pairs[key] = value
            return pairs
        if major not in (_BYTES, _TEXT):
            raise NotCbor("a length is malformed")
        parts: list[Any] = []
        while not self._ends():
            part_major, low = self._head()
            if part_major != major or low == _INDEFINITE:
                raise NotCbor("a string has parts of another type")
            length = self._argument(low)
            parts.append(self._take(length) if major == _BYTES else self._text(length))
        return b"".join(parts) if major == _BYTES else "".join(parts)


def encoded(value: Any) -> bytes:
    """The bytes of a value: of None, a boolean, number, text, bytes, Timestamp, or of lists and dicts of these."""
    written = bytearray()
    _write(value, written)
    return bytes(written)


def _write(value: Any, into: bytearray) -> None:
    if value is None:
        into.append(0xF6)
    elif value is True or value is False:
        into.append(0xF5 if value else 0xF4)
    elif isinstance(value, int):
        _write_head(_UNSIGNED if value >= 0 else _NEGATIVE, value if value >= 0 else -1 - value, into)
    elif isinstance(value, float):
        into.append(0xFB)
        into += _FLOATS[27].pack(value)
    elif isinstance(value, str):
        raw = value.encode()
        _write_head(_TEXT, len(raw), into)
        into += raw
    elif isinstance(value, bytes):
        _write_head(_BYTES, len(value), into)
        into += value
    elif isinstance(value, dict):
        _write_head(_MAP, len(value), into)
        for key, member in value.items():
            _write(key, into)
            _write(member, into)
    elif isinstance(value, Timestamp):
        _write_head(_TAG, _EPOCH_SECONDS, into)
        _write(value.seconds, into)
    elif isinstance(value, list | tuple):
        _write_head(_ARRAY, len(value), into)
        for member in value:
            _write(member, into)
    else:
        raise TypeError(f"{type(value).__name__} is no value of CBOR here")


def _write_head(major: int, argument: int, into: bytearray) -> None:
    if argument < 24:
        into.append(major << 5 | argument)
        return
    for low, width in _WIDTHS.items():
        if argument < 1 << 8 * width:
            into.append(major << 5 | low)
            into += argument.to_bytes(width, "big")
            return
    raise OverflowError(f"{argument} has more than 64 bits")
