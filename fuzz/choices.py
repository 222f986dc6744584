"""Bytes as a series of choices, so that a change of a few bytes is a change of a few choices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Choices:
    """The choices that an input makes, from its first byte on. When the bytes are used up, every choice is the first
    one."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def __bool__(self) -> bool:
        """Whether any bytes are left."""
        return self._position < len(self._data)

    def take(self, count: int) -> bytes:
        """The next `count` bytes, or fewer if fewer are left."""
        start = self._position
        self._position = start + count
        return self._data[start : start + count]

    def below(self, limit: int) -> int:
        """A number from 0 to less than `limit`."""
        size = 1 if limit <= 1 << 8 else 2
        return int.from_bytes(self.take(size), "big") % limit

    def one_of(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[self.below(len(options))]

    def short(self) -> bytes:
        """Up to 255 bytes."""
        return self.take(self.below(256))

    def text(self) -> str:
        """Up to 255 characters of any kind that UTF-8 can encode."""
        return self.short().decode("utf-8", "replace")

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self._data))
