"""The pages of an LMDB file, without LMDB: whether one that was cut short has all that is in use, and its meta pages.

LMDB reads a file through a map, and a page beyond the end of the file ends the process that looks at it (SIGBUS). So
such a file must be refused before it is opened. How long the file is does not tell: LMDB may leave the last pages
unwritten that a commit took and gave back. What tells is whether a page in use is beyond the end, and that takes going
through all that is in use; but only where the file is shorter than its last page's number says, which is rare.

The form of the file is that of LMDB 1.0 (data version 3; `struct MDB_meta`, `MDB_page`, `MDB_node` in its source), in
the byte order of the machine:

    meta page (the first two)   header, magic, version, address, map size, two trees, last page, transaction
    tree                        page size, flags, depth, branch, leaf and overflow pages, entries, root
    page                        number, transaction, padding, flags, lower, upper; then offsets of nodes, from there
    node                        low, high, flags, key size, key; on a leaf page data, or where it is
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

DATA = "data.mdb"
"""LMDB's name for its file in the folder of a store."""

_META = struct.Struct("=24x I I 16x I 36x Q 40x Q Q Q")
_WRITTEN_BY = struct.Struct("=8x Q")
"""The transaction that wrote a page."""
_HEADER = struct.Struct("=18x H H 2x")
_NODE = struct.Struct("=H H H H")
_ELSEWHERE = struct.Struct("=Q 8x Q")
"""The first of the pages that data has of its own, and how many."""
_MAGIC, _VERSION = 0xBEEFC0DE, 3
_META_PAGES = 2
_BRANCH = 1
_BIG_DATA = 1
_NO_ROOT = (1 << 64) - 1
"""The root of a tree without rows."""
_ATTEMPTS = 10
"""How many states are looked at of a store that others write to meanwhile. Then it is theirs to know."""


class _State(NamedTuple):
    """What a meta page says."""

    magic: int
    version: int
    page_size: int
    free_pages: int
    """Root of the tree of free pages."""
    rows: int
    """Root of the tree of rows."""
    last_page: int
    transaction: int


def is_cut_short(path: Path) -> bool:
    """Whether an LMDB file lacks a page that its newest state uses. False also for what is no such file.

    Others may be writing to it. Raises OSError.
    """
    file = os.open(path, os.O_RDONLY)
    try:
        for _ in range(_ATTEMPTS):
            state = _newest(file)
            if state is None or os.fstat(file).st_size >= (state.last_page + 1) * state.page_size:
                return False
            lacking = _lacks_a_page(file, state)
            if _newest(file) == state:  # Else its pages may have been written over.
                return lacking
    finally:
        os.close(file)
    return False


def was_taken_back(file: int) -> bool:
    """Whether LMDB has taken the older meta page back in memory, because its sync failed: it then has the number of the
    state before, and leads to pages that are newer. Whoever asks holds LMDB's lock. Raises OSError.
    """
    states = _states(file)
    older = min(states, key=lambda state: state.transaction)
    if older.rows == _NO_ROOT:
        return False
    found = os.pread(file, _WRITTEN_BY.size, older.rows * older.page_size)
    return len(found) == _WRITTEN_BY.size and _WRITTEN_BY.unpack(found)[0] > older.transaction


def write_metas_again(file: int) -> None:
    """Have the disk agree with memory on the meta pages. Whoever asks holds LMDB's lock. Raises OSError.

    Syncing is not enough: what a sync has failed to write, memory takes for written, and no later sync writes it.
    """
    for number, state in enumerate(_states(file)):
        offset = number * state.page_size
        os.pwrite(file, os.pread(file, _META.size, offset), offset)
    os.fdatasync(file)


def _newest(file: int) -> _State | None:
    """What the newer meta page says; None if there are none of this form."""
    return max(_states(file), key=lambda state: state.transaction, default=None)


def _states(file: int) -> list[_State]:
    """What the meta pages say, in their order; empty if there are none of this form."""
    states: list[_State] = []
    for number in range(_META_PAGES):
        offset = number * states[0].page_size if states else 0
        found = os.pread(file, _META.size, offset)
        if len(found) < _META.size:
            return []
        states.append(_State(*_META.unpack(found)))
        if (states[-1].magic, states[-1].version) != (_MAGIC, _VERSION):
            return []
    return states


def _lacks_a_page(file: int, state: _State) -> bool:
    end = os.fstat(file).st_size // state.page_size
    try:
        return any(
            last >= end for root in (state.free_pages, state.rows) for last in _used(file, state.page_size, root, end)
        )
    except struct.error:  # A page that is none. LMDB has its own words for that.
        return False


def _used(file: int, page_size: int, root: int, end: int) -> Iterator[int]:
    """The pages of a tree, up to one that is not before `end`; of data on many pages, the last."""
    left = [root] if root != _NO_ROOT else []
    while left:
        number = left.pop()
        yield number
        if number >= end:
            return
        page = os.pread(file, page_size, number * page_size)
        flags, lower = _HEADER.unpack_from(page)
        for offset in struct.unpack_from(f"={lower // 2}H", page, _HEADER.size):
            node = _HEADER.size + offset
            low, high, node_flags, key_size = _NODE.unpack_from(page, node)
            if flags & _BRANCH:
                left.append(low | high << 16 | node_flags << 32)
            elif node_flags & _BIG_DATA:
                first, pages = _ELSEWHERE.unpack_from(page, node + _NODE.size + key_size + key_size % 2)
                yield first + pages - 1
