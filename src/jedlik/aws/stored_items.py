"""Stored items in a handler's result: their JSON as it is stored, parsed only for a caller that needs the value.

A codec that makes JSON copies it (`json_of`); a caller in the process, or a codec of another form, asks for `value`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson


class StoredItem:
    """An item, or any other value, whose JSON begins at a place in some bytes."""

    __slots__ = ("_begins", "_stored")

    def __init__(self, stored: bytes, begins: int = 0) -> None:
        self._stored = stored
        self._begins = begins

    @property
    def json(self) -> bytes:
        """The JSON as it is stored."""
        return self._stored[self._begins :]

    @property
    def value(self) -> Any:
        """The value, parsed: a fresh object, which belongs to the caller."""
        return orjson.loads(memoryview(self._stored)[self._begins :])


class StoredItems:
    """Items of a page, each as it is stored."""

    __slots__ = ("_begins", "_stored")

    def __init__(self, stored: Sequence[bytes], begins: int) -> None:
        self._stored = stored
        self._begins = begins

    def __len__(self) -> int:
        return len(self._stored)

    @property
    def json(self) -> bytes:
        """An array, joined from the stored values."""
        begins = self._begins
        return b"[" + b",".join([one[begins:] for one in self._stored]) + b"]"

    @property
    def value(self) -> list[Any]:
        """The items, parsed: fresh objects, which belong to the caller."""
        return [StoredItem(one, self._begins).value for one in self._stored]


def json_of(result: Mapping[str, Any]) -> bytes:
    """The JSON of a result that contains stored items."""
    # The results of a GetItem and a Query need not go through `_fragment`.
    if "Item" in result:
        item = result["Item"]
        if type(item) is StoredItem and len(result) == 1:
            return b'{"Item":' + item._stored[item._begins :] + b"}"
    elif "Items" in result and type(items := result["Items"]) is StoredItems:
        result = {**result, "Items": orjson.Fragment(items.json)}
    return orjson.dumps(result, default=_fragment)


def plain(result: Mapping[str, Any] | None) -> Any:
    """A result with the values of stored items in their places, which shares nothing with it; None for none."""
    return None if result is None else orjson.loads(json_of(result))


def _fragment(stored: Any) -> orjson.Fragment:
    kind = type(stored)
    if kind is StoredItems or kind is StoredItem:
        return orjson.Fragment(stored.json)
    raise TypeError(f"no JSON of {kind.__name__}")
