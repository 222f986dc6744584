"""Stored items: the JSON that goes on the wire, behind a small header.

    byte 0       format version
    bytes 1-4    the item's size as DynamoDB counts it, little-endian
    bytes 5-6    the item's generation, little-endian: which indexes it has entries in (see `indexes`)
    bytes 7-     the item as JSON: {"name": {"S": "..."}, ...}

An item that is read whole is copied to the client and never parsed. The size is stored because capacity, page limits
and table statistics need it for every item read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from itertools import chain

import orjson

from jedlik.aws.stored_items import StoredItem, StoredItems
from jedlik.dynamodb.model.values import Item

VERSION = 1
HEADER = 7
"""Bytes before the JSON."""

_pack_header = struct.Struct("<BIH").pack
_unpack_size = struct.Struct("<xI").unpack_from


def encode(item: Item, size: int, generation: int = 0) -> bytes:
    """The stored form of a normalised item of `size` bytes by DynamoDB's count."""
    return _pack_header(VERSION, size, generation) + orjson.dumps(item)


def decode(stored: bytes) -> Item:
    """The item, parsed: a fresh object, which belongs to the caller."""
    item: Item = orjson.loads(memoryview(stored)[HEADER:])
    return item


def size(stored: bytes) -> int:
    """The item's size in bytes by DynamoDB's count."""
    size: int = _unpack_size(stored)[0]
    return size


def total_size(stored: Iterable[bytes]) -> int:
    """The size of items together."""
    return sum(chain.from_iterable(map(_unpack_size, stored)))


def generation(stored: bytes) -> int:
    """The highest number of the table's indexes when the item was stored: it has entries in those up to it."""
    return int.from_bytes(stored[5:7], "little")


def with_generation(stored: bytes, generation: int) -> bytes:
    """The same item in another generation."""
    return stored[:5] + generation.to_bytes(2, "little") + stored[HEADER:]


def json_of(stored: bytes) -> bytes:
    """The item's JSON."""
    return stored[HEADER:]


def array(stored: Iterable[bytes]) -> StoredItems:
    """Items as an array, to be put into a response as they are."""
    return StoredItems(stored if isinstance(stored, list) else list(stored), HEADER)


def whole(stored: bytes) -> StoredItem:
    """The item, to be put into a response as it is."""
    return StoredItem(stored, HEADER)
