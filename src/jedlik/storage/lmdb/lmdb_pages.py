"""Reads the pages of an LMDB file without LMDB: its meta pages, and whether a file that was cut short lacks a page in
use.

LMDB reads a file through a map, and reading a page beyond the end of the file kills the process (SIGBUS). So such a
file must be refused before it is opened. The file's length alone is no proof: LMDB may leave the last pages unwritten
that a commit took and gave back. The question is whether a page in use is beyond the end, and to answer it, all pages
in use are visited. That is only necessary if the file is shorter than the number of its last page requires, which is
rare.

The form of the file is that of LMDB 1.0 (data version 3; `struct MDB_meta`, `MDB_page`, `MDB_node` in its source), in
the byte order of the machine:

    meta page (the first two)   header, magic, version, address, map size, two trees, last page, transaction
    tree                        page size, flags, depth, branch, leaf and overflow pages, entries, root
    page                        number, transaction, padding, flags, lower, upper; then offsets of nodes, from there
    node                        low, high, flags, key size, key; on a leaf page data, or where it is
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from jedlik.storage.engine import StorageError

DATA = "data.mdb"
"""LMDB's name for its file in the folder of a store."""

_META = struct.Struct("=24x I I 16x I 36x Q 40x Q Q Q")
_WRITTEN_BY = struct.Struct("=8x Q")
"""The transaction that wrote a page."""
NUMBER = struct.Struct("=Q")
"""The number of a page."""
_HEADER = struct.Struct("=18x H H 2x")
NODE = struct.Struct("=H H H H")
"""The low and high half of the size, flags, and the size of the key."""
ELSEWHERE = struct.Struct("=Q 8x Q")
"""The overflow pages of a value: the first page's number, and how many pages."""
MAGIC, VERSION = 0xBEEFC0DE, 3
META_PAGES = 2
"""The first pages of a file. They lead to the others."""
METAS_SIZE = META_PAGES * _META.size
BRANCH = 1
"""The flag of a page that leads to others."""
BIG_DATA = 1
"""The flag of a node whose value is on overflow pages."""
NO_ROOT = (1 << 64) - 1
"""The root of a tree without rows."""
_DEEPEST = 64
"""The most pages between the root of a tree and a row: more than any tree has."""
_PIECE = 1 << 20
"""Bytes that are read at once."""
_ATTEMPTS = 10
"""How many states are examined of a store that other processes write to meanwhile. After that, it is left to them to
find damage."""


class _State(NamedTuple):
    """The content of a meta page."""

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
    """Whether an LMDB file lacks a page that its newest state uses. False also for a file that is not LMDB's.

    Others may be writing to it. Raises OSError.
    """
    file = os.open(path, os.O_RDONLY)
    try:
        for _ in range(_ATTEMPTS):
            state = _newest(metas(file))
            if state is None or os.fstat(file).st_size >= (state.last_page + 1) * state.page_size:
                return False
            lacking = _lacks_a_page(file, state)
            if _newest(metas(file)) == state:  # Otherwise its pages may have been overwritten.
                return lacking
    finally:
        os.close(file)
    return False


def metas(file: int) -> bytes:
    """The meta pages as bytes: METAS_SIZE of them, or fewer if the file is too short. Raises OSError.

    While other processes may commit, the caller holds LMDB's lock.
    """
    found = os.pread(file, _META.size, 0)
    if len(found) == _META.size:
        found += os.pread(file, _META.size, _State(*_META.unpack(found)).page_size)
    return found


def transaction_of(found: bytes) -> int:
    """The transaction that made the state to which meta pages (`metas`) lead."""
    return _state(found).transaction


def newest_meta(found: bytes) -> tuple[int, bytes] | None:
    """The newest transaction of meta pages (`metas`), and its parsed page; None if both are damaged."""
    known: list[tuple[int, bytes]] = []
    for begin in range(0, len(found) - _META.size + 1, _META.size):
        meta = found[begin : begin + _META.size]
        state = _State(*_META.unpack(meta))
        if (state.magic, state.version) == (MAGIC, VERSION):
            known.append((state.transaction, meta))
    return max(known, default=None)


def meta_of(found: bytes, transaction: int) -> bytes | None:
    """The one of the meta pages (`metas`) that leads to the state after a transaction; None if neither does."""
    for begin in range(0, len(found) - _META.size + 1, _META.size):
        meta = found[begin : begin + _META.size]
        if _State(*_META.unpack(meta)).transaction == transaction:
            return meta
    return None


def lacks_a_page(file: int, found: bytes) -> bool:
    """Whether the state to which meta pages (`metas`) lead uses a page beyond the end of the file.

    Raises OSError, and StorageError if the meta pages are damaged.
    """
    state = _state(found)
    return os.fstat(file).st_size < (state.last_page + 1) * state.page_size and _lacks_a_page(file, state)


def has_its_root(file: int, meta: bytes) -> bool:
    """Whether the transaction of a meta page (`newest_meta`) has written the root of the rows to which the page leads.
    Every commit that changes a row writes the root. Raises OSError."""
    state = _State(*_META.unpack(meta))
    page = os.pread(file, state.page_size, state.rows * state.page_size)
    return (
        len(page) == state.page_size
        and NUMBER.unpack_from(page)[0] == state.rows
        and _WRITTEN_BY.unpack_from(page)[0] == state.transaction
    )


def value_of(file: int, meta: bytes, key: bytes) -> bytes | None:
    """The value of a key in the state to which a meta page (`newest_meta`) leads; None if the key is absent. For small
    values.

    Raises OSError, and StorageError if a page on the way is not of that state.
    """
    return row_of(file, meta, key)[1]


def row_of(file: int, meta: bytes, key: bytes) -> tuple[int, bytes | None]:
    """The transaction that wrote the leaf page on which a key is or would be, and what it holds there (`value_of`)."""
    state = _State(*_META.unpack(meta))
    number = state.rows
    if number == NO_ROOT:
        return state.transaction, None
    try:
        for _ in range(_DEEPEST):
            page = os.pread(file, state.page_size, number * state.page_size)
            [transaction] = _WRITTEN_BY.unpack_from(page)
            if NUMBER.unpack_from(page)[0] != number or transaction > state.transaction:
                break
            flags, lower = _HEADER.unpack_from(page)
            below = number
            for offset in struct.unpack_from(f"={lower // 2}H", page, _HEADER.size):
                node = _HEADER.size + offset
                low, high, node_flags, key_size = NODE.unpack_from(page, node)
                begin = node + NODE.size
                here = page[begin : begin + key_size]
                if not flags & BRANCH and here == key:
                    begin += key_size + key_size % 2
                    return transaction, page[begin : begin + (low | high << 16)]
                if flags & BRANCH and (below == number or here <= key):  # The first one's key is left empty.
                    below = low | high << 16 | node_flags << 32
            if not flags & BRANCH:
                return transaction, None
            number = below
    except (struct.error, OverflowError):  # No such offset is possible.
        pass
    raise StorageError(f"page {number} is not of transaction {state.transaction}")


def write_metas(file: int, found: bytes) -> None:
    """Restore the meta pages to earlier bytes (`metas`). While other processes may commit, the caller holds LMDB's
    lock.

    Raises OSError.
    """
    page_size = _state(found).page_size
    for number in range(META_PAGES):
        write_whole(file, found[number * _META.size : (number + 1) * _META.size], number * page_size)


def write_newer_again(file: int, found: bytes, transaction: int) -> None:
    """Write again those pages of the state to which meta pages (`metas`) lead that are newer than a transaction.

    A failed sync loses the pages that it should have written: the kernel takes them for written, and no later sync
    writes them ("Can Applications Recover from fsync Failures?", USENIX ATC 2020). The state must be pinned by a
    reader. Raises OSError, and StorageError for a page without the form of one.
    """
    state = _state(found)
    try:
        for root in (state.free_pages, state.rows):
            for first, count in _used(file, state.page_size, root, transaction):
                offset = first * state.page_size
                write_whole(file, os.pread(file, count * state.page_size, offset), offset)
    except (struct.error, OverflowError) as error:
        raise StorageError("pages of the store are damaged") from error


def write_whole(file: int, data: bytes, offset: int) -> None:
    """Write all of `data`. Raises OSError, also if only a part can be written, as on a disk that becomes full."""
    written = os.pwrite(file, data, offset)
    while written < len(data):  # Some file systems write a part, and the rest when they are asked again.
        more = os.pwrite(file, data[written:], offset + written)
        if not more:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written += more


def read_through(file: int) -> None:
    """Read a whole file before it is read through a map, where what the disk cannot read ends the process (SIGBUS).

    Raises OSError.
    """
    piece = bytearray(_PIECE)
    for offset in range(0, os.fstat(file).st_size, _PIECE):
        os.preadv(file, [piece], offset)


def _newest(found: bytes) -> _State | None:
    """The newer of the meta pages (`metas`), parsed; None if they do not have this form."""
    if len(found) < METAS_SIZE:
        return None
    states = [_State(*_META.unpack_from(found, number * _META.size)) for number in range(META_PAGES)]
    if any((state.magic, state.version) != (MAGIC, VERSION) for state in states):
        return None
    return max(states, key=lambda state: state.transaction)


def _state(found: bytes) -> _State:
    state = _newest(found)
    if state is None:
        raise StorageError("the store's meta pages are damaged")
    return state


def _lacks_a_page(file: int, state: _State) -> bool:
    end = os.fstat(file).st_size // state.page_size
    try:
        return any(
            first + count > end
            for root in (state.free_pages, state.rows)
            for first, count in _used(file, state.page_size, root)
        )
    except struct.error:  # Not a valid page. LMDB reports that in its own words.
        return False


def _used(file: int, page_size: int, root: int, since: int = -1) -> Iterator[tuple[int, int]]:
    """The pages of a tree that transactions after `since` wrote, up to one that is not there: the first of some that
    lie together, and how many. A page is copied when it or one below it is written, so none is newer than those above.
    """
    end = os.fstat(file).st_size // page_size
    left = [root] if root != NO_ROOT else []
    while left:
        number = left.pop()
        page = os.pread(file, page_size, number * page_size) if number < end else b""
        if page and _WRITTEN_BY.unpack_from(page)[0] <= since:
            continue
        yield number, 1
        if not page:
            return
        flags, lower = _HEADER.unpack_from(page)
        for offset in struct.unpack_from(f"={lower // 2}H", page, _HEADER.size):
            node = _HEADER.size + offset
            low, high, node_flags, key_size = NODE.unpack_from(page, node)
            if flags & BRANCH:
                left.append(low | high << 16 | node_flags << 32)
            elif node_flags & BIG_DATA:
                yield ELSEWHERE.unpack_from(page, node + NODE.size + key_size + key_size % 2)
