"""A check of the pages of an LMDB file, without LMDB, which believes what its pages say.

It goes through the two trees to which a meta page leads, that of the rows and that of the free pages, and finds what
would mislead a reader: a page that is not the one it should be, nodes that overlap or leave their page, keys out of
order or outside what the pages above promise, a page that is in use twice or both in use and free, and totals that are
not those of the meta page. What it does not look at are the bytes of values: those have checksums (`checksums`).

The form of the file is described in `lmdb_pages`.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from jedlik.storage.lmdb.lmdb_file import opened_for_reading
from jedlik.storage.lmdb.lmdb_pages import (
    BIG_DATA,
    BRANCH,
    DATA,
    ELSEWHERE,
    MAGIC,
    META_PAGES,
    NO_ROOT,
    NODE,
    NUMBER,
    VERSION,
)
from jedlik.storage.lmdb.store import shared

_META = struct.Struct("=Q 10x H 4x I I Q Q")
"""Number, flags, magic, version, address and map size of a meta page; then come the two trees."""
_TREE = struct.Struct("=I H H Q Q Q Q Q")
_END = struct.Struct("=Q Q")
"""Of a meta page: the last page, and the transaction."""
_META_SIZE = _META.size + 2 * _TREE.size + _END.size
_PAGE = struct.Struct("=Q Q 2x H H H")
_COUNT = struct.Struct("=I")
"""Of the pages of a value, where other pages have `lower` and `upper`."""
_COUNT_AT = 20

_LEAF, _OVERFLOW, _META_FLAG = 2, 4, 8
"""Flags of pages, beside BRANCH."""
_LONGEST_KEY = 1978
_MOST_PROBLEMS = 1000
"""After which the check ends: a file with as many is not LMDB's any more."""
_ATTEMPTS = 10
"""Snapshots that are tried until one has its meta page still."""


class _Tree(NamedTuple):
    page_size: int
    flags: int
    depth: int
    branches: int
    leaves: int
    overflows: int
    entries: int
    root: int


class _State(NamedTuple):
    """What a meta page says."""

    free: _Tree
    rows: _Tree
    last_page: int
    transaction: int


class _Place(NamedTuple):
    """A page that is to be looked at, and what is known of it from above."""

    number: int
    depth: int
    low: bytes | None
    """The first key that may be on it; None if any may."""
    high: bytes | None
    """The first key that may no longer be."""
    newest: int
    """The last transaction that may have written it: a page is copied when one below it is written."""


def problems(path: Path) -> Iterator[str]:
    """What is wrong with the pages of the store in the directory `path`, a line each. A server may go on beside it.

    Raises StorageError if there is no store, or if it is being compacted.
    """
    with shared(path), opened_for_reading(path) as environment:
        file = os.open(path / DATA, os.O_RDONLY)
        try:
            for left in reversed(range(_ATTEMPTS)):
                # While the snapshot is held its pages are not written over, whatever others commit; only its meta page
                # is, by the second commit, which may come before we have read it.
                with environment.begin() as snapshot:
                    check = _Check(file, snapshot.id())
                    if left and isinstance(check.state, str):
                        continue
                    yield from check.problems()
                    return
        finally:
            os.close(file)


class _Check:
    """The check of the state that one transaction left."""

    def __init__(self, file: int, transaction: int) -> None:
        self._file = file
        self._transaction = transaction
        self._page_size = 0
        self._used = bytearray()
        """A byte for each page that is in use."""
        self._counts = dict.fromkeys(("branch pages", "leaf pages", "overflow pages", "rows"), 0)
        self.state = self._state()
        """The state after that transaction, or a sentence about a damaged meta page."""

    def problems(self) -> Iterator[str]:
        for number, problem in enumerate(self._problems(), 1):
            yield problem
            if number == _MOST_PROBLEMS:
                yield f"there are more than {_MOST_PROBLEMS} problems: the check of pages ends"
                return

    def _problems(self) -> Iterator[str]:
        state = self.state
        if isinstance(state, str):
            yield state
            return
        self._page_size = state.rows.page_size or state.free.page_size
        self._used = bytearray(state.last_page + 1)
        self._used[0] = self._used[1] = 1
        yield from self._check_tree("rows", state.rows, state)
        yield from self._check_tree("free pages", state.free, state)

    def _state(self) -> _State | str:
        """What the meta page of the transaction says, or what is wrong with it."""
        page_size = 0
        for number in range(META_PAGES):
            page = os.pread(self._file, _META_SIZE, number * page_size)
            if len(page) < _META_SIZE:
                return f"meta page {number} is missing"
            own, flags, magic, version, _, _ = _META.unpack_from(page)
            free = _Tree(*_TREE.unpack_from(page, _META.size))
            rows = _Tree(*_TREE.unpack_from(page, _META.size + _TREE.size))
            last_page, transaction = _END.unpack_from(page, _META.size + 2 * _TREE.size)
            page_size = free.page_size
            if (own, flags, magic, version) != (number, _META_FLAG, MAGIC, VERSION):
                return f"meta page {number} is not one"
            if transaction == self._transaction:
                return _State(free, rows, last_page, transaction)
        return f"no meta page is that of transaction {self._transaction}"

    def _check_tree(self, what: str, tree: _Tree, state: _State) -> Iterator[str]:
        counts = self._counts = dict.fromkeys(self._counts, 0)
        if tree.root != NO_ROOT:
            todo = [_Place(tree.root, 1, None, None, state.transaction)]
            while todo:
                place = todo.pop()
                for below in self._check_page(place, tree, state, is_free=what != "rows"):
                    if isinstance(below, str):
                        yield f"page {place.number} of the {what}: {below}"
                    else:
                        todo.append(below)
        said = {
            "branch pages": tree.branches,
            "leaf pages": tree.leaves,
            "overflow pages": tree.overflows,
            "rows": tree.entries,
        }
        for name, number in said.items():
            if counts[name] != number:
                yield f"the tree of {what} has {counts[name]} {name}, and its meta page says {number}"

    def _take(self, first: int, count: int, state: _State) -> str | None:
        """Mark pages as used; what is wrong with that, if anything is."""
        if first < META_PAGES or count < 1 or first + count - 1 > state.last_page:
            return f"it leads to page {first}, and the file has {META_PAGES} to {state.last_page}"
        if any(self._used[first : first + count]):
            return f"it leads to page {first}, which is in use elsewhere"
        self._used[first : first + count] = b"\x01" * count
        return None

    def _check_page(self, place: _Place, tree: _Tree, state: _State, is_free: bool) -> Iterator[str | _Place]:
        wrong = self._take(place.number, 1, state)
        if wrong is not None:
            yield wrong
            return
        page = os.pread(self._file, self._page_size, place.number * self._page_size)
        if len(page) < self._page_size:
            yield "it is beyond the end of the file"
            return
        number, transaction, flags, lower, upper = _PAGE.unpack_from(page)
        is_branch = place.depth < tree.depth
        if number != place.number:
            yield f"it says that it is page {number}"
        if transaction > place.newest:
            yield f"transaction {transaction} wrote it, and {place.newest} what leads to it"
        if flags != (BRANCH if is_branch else _LEAF):
            yield f"its flags are {flags}, at depth {place.depth} of {tree.depth}"
            return
        room = self._page_size - _PAGE.size
        if lower % 2 or lower < 2 or lower > upper or upper > room:
            yield f"its nodes are from {lower} to {upper} of {room}"
            return
        self._counts["branch pages" if is_branch else "leaf pages"] += 1
        nodes = struct.unpack_from(f"={lower // 2}H", page, _PAGE.size)
        yield from self._check_room(page, nodes, upper, is_branch)
        before: bytes | None = None
        below: list[_Place] = []
        for index, offset in enumerate(nodes):
            at = _PAGE.size + offset
            if at + NODE.size > len(page):
                yield f"node {index} is outside"
                return
            low, high, node_flags, key_size = NODE.unpack_from(page, at)
            key = page[at + NODE.size : at + NODE.size + key_size]
            if is_branch and index == 0:  # Whatever it is, it is not looked at.
                key = place.low or b""
            elif (is_free and key_size != NUMBER.size) or not 0 < len(key) == key_size <= _LONGEST_KEY:
                yield f"node {index} has a key of {key_size} bytes"
                return
            elif is_free:
                key = key[::-1]  # Numbers, in the byte order of the machine, which is little-endian here.
            if before is not None and key <= before and not (is_branch and index == 1 and not before):
                yield f"its keys are out of order at node {index}"
            if (place.low is not None and key < place.low) or (place.high is not None and key >= place.high):
                yield f"the key of node {index} belongs elsewhere"
            before = key
            if is_branch:
                child = low | high << 16 | node_flags << 32
                if below:
                    below[-1] = below[-1]._replace(high=key)
                below.append(_Place(child, place.depth + 1, key if index else place.low, place.high, transaction))
            else:
                self._counts["rows"] += 1
                yield from self._check_data(page, at + NODE.size + key_size, low | high << 16, node_flags, state)
                if is_free:
                    yield from self._check_free(page, at + NODE.size + key_size, low | high << 16, node_flags, state)
        yield from below

    def _check_room(self, page: bytes, nodes: tuple[int, ...], upper: int, is_branch: bool) -> Iterator[str]:
        """Nodes lie one behind the other from `upper` to the end of the page."""
        expected = upper
        for offset in sorted(nodes):
            if offset != expected or _PAGE.size + offset + NODE.size > len(page):
                yield f"there is no node where one should begin, at {expected}"
                return
            low, high, node_flags, key_size = NODE.unpack_from(page, _PAGE.size + offset)
            size = NODE.size + key_size + key_size % 2
            if not is_branch:
                data = ELSEWHERE.size if node_flags & BIG_DATA else low | high << 16
                size += data + data % 2
            expected += size
        if expected != len(page) - _PAGE.size:
            yield f"its last node ends at {expected} of {len(page) - _PAGE.size}"

    def _check_data(self, page: bytes, at: int, size: int, flags: int, state: _State) -> Iterator[str]:
        if flags == 0:
            return
        if flags != BIG_DATA:
            yield f"a node has the flags {flags}"
            return
        at += at % 2
        if at + ELSEWHERE.size > len(page):
            yield "a node is outside"
            return
        first, count = ELSEWHERE.unpack_from(page, at)
        if count != -(-(_PAGE.size + size) // self._page_size):
            yield f"a value of {size} bytes has {count} pages"
            return
        wrong = self._take(first, count, state)
        if wrong is not None:
            yield wrong
            return
        self._counts["overflow pages"] += count
        head = os.pread(self._file, _PAGE.size, first * self._page_size)
        if len(head) < _PAGE.size:
            yield f"page {first} is beyond the end of the file"
            return
        number, transaction, page_flags, _, _ = _PAGE.unpack_from(head)
        [pages] = _COUNT.unpack_from(head, _COUNT_AT)
        if (number, page_flags, pages) != (first, _OVERFLOW, count) or transaction > state.transaction:
            yield f"page {first} is not the first of {count} with a value"

    def _check_free(self, page: bytes, at: int, size: int, flags: int, state: _State) -> Iterator[str]:
        """A row of the free pages: how many there are, and their numbers."""
        at += at % 2
        data = page[at : at + size]
        if flags & BIG_DATA:
            first, _ = ELSEWHERE.unpack_from(page, at)
            data = os.pread(self._file, size, first * self._page_size + _PAGE.size)
        if len(data) < size or size % NUMBER.size or not size:
            yield "a list of free pages is cut"
            return
        count, *numbers = (number for (number,) in NUMBER.iter_unpack(data))
        if count > len(numbers):
            yield f"a list of {len(numbers)} free pages says that it has {count}"
            return
        for number in numbers[:count]:
            if not META_PAGES <= number <= state.last_page:
                yield f"page {number} is free, and the file has none"
            elif self._used[number]:
                yield f"page {number} is free and in use"
            else:
                self._used[number] = 1
