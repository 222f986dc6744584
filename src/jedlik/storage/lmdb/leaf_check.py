"""The quick check of a leaf of the rows: whether all is well with its nodes.

A store has hardly any other pages, and a start waits for their check. So this answers only yes or no, in 7 us for a
leaf of ten rows, checksums included. What is wrong with a leaf `page_check` finds out.
"""

from __future__ import annotations

import struct
from operator import lt
from typing import NamedTuple

from jedlik.storage.engine import Row
from jedlik.storage.lmdb.checksums import doubtful
from jedlik.storage.lmdb.lmdb_pages import BIG_DATA, ELSEWHERE, NODE

PAGE_HEAD = struct.Struct("=Q Q 2x H H H")
"""Number, transaction, flags, and where the room between offsets and nodes begins and ends."""


class Leaf(NamedTuple):
    """What is left to be looked at of a leaf whose nodes are in order."""

    long: list[tuple[bytes, int, int]]
    """Rows with values on pages of their own: the key, where on the leaf those are named, and the value's size."""
    doubted: list[Row]
    """Rows whose checksum is wrong."""


def looked_over(
    page: bytes, nodes: tuple[int, ...], upper: int, bounds: tuple[bytes | None, bytes | None], checksummed: bool
) -> Leaf | None:
    """A leaf, if all is well with its nodes: they lie one behind the other from `upper` to the end of the page, and
    their keys ascend from the first of the bounds to before the second. None if something is not well: `page_check`
    then finds out what."""
    keys: list[bytes] = []
    ends = {upper}
    long: list[tuple[bytes, int, int]] = []
    rows: list[Row] = []
    head, to_key, unpack = PAGE_HEAD.size, PAGE_HEAD.size + NODE.size, NODE.unpack_from
    try:
        for offset in nodes:
            low, high, flags, key_size = unpack(page, head + offset)
            begin = to_key + offset
            at = begin + key_size
            key = page[begin:at]
            keys.append(key)
            at += key_size & 1
            if flags:
                if flags != BIG_DATA:
                    return None
                ends.add(at + ELSEWHERE.size - head)
                long.append((key, at, low | high << 16))
                continue
            end = at + (low | high << 16)
            ends.add(end + (end & 1) - head)
            rows.append((key, page[at:end]))
    except struct.error:
        return None
    # Each node ends where another begins, or the page ends: so there is one chain, from `upper` on, and all are in it.
    if ends != {*nodes, len(page) - head} or not keys[0] or not all(map(lt, keys, keys[1:])):
        return None
    low_bound, high_bound = bounds
    if (low_bound is not None and keys[0] < low_bound) or (high_bound is not None and keys[-1] >= high_bound):
        return None
    return Leaf(long, doubtful(rows) if checksummed else [])
