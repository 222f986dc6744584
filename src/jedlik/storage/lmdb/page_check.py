"""A check of the pages of an LMDB file, without LMDB, which trusts its pages.

It goes through the two trees to which a meta page leads, that of the rows and that of the free pages, and finds what
would mislead a reader: a wrong page, nodes that overlap or leave their page, keys out of order or outside the bounds
that the pages above promise, a page that is in use twice or both in use and free, and totals that are not those of the
meta page. A key may be damaged and still be in order: its row is then missing from its place. The row's checksum shows
that, as it covers the key (`checksums.original_key`). A damaged value is no problem of a page: it misleads nobody,
because every reader notices that it is damaged.

Most pages are leaves without a fault, which `leaf_check` passes in a third of the time that it takes to name faults.
The form of the file is described in `lmdb_pages`.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from typing import NamedTuple

from jedlik.storage.engine import StorageError
from jedlik.storage.lmdb.checksums import doubtful, original_key
from jedlik.storage.lmdb.environment import FORMAT, FORMAT_KEY, MAP_SIZE
from jedlik.storage.lmdb.journal import JOURNAL_KEY
from jedlik.storage.lmdb.last_entry import POSITION_KEY
from jedlik.storage.lmdb.leaf_check import PAGE_HEAD, Leaf, looked_over
from jedlik.storage.lmdb.lmdb_pages import (
    BIG_DATA,
    BRANCH,
    ELSEWHERE,
    MAGIC,
    META_PAGES,
    NO_ROOT,
    NODE,
    NUMBER,
    VERSION,
    value_of,
)

_META = struct.Struct("=Q 10x H 4x I I Q Q")
"""Number, flags, magic, version, address and map size of a meta page; then come the two trees."""
_TREE = struct.Struct("=I H H Q Q Q Q Q")
_END = struct.Struct("=Q Q")
"""The last page and the transaction of a meta page."""
_COUNT = struct.Struct("=I")
"""The number of the pages of a value, where other pages have `lower` and `upper`."""
_COUNT_AT = 20

_LEAF, _OVERFLOW, _META_FLAG = 2, 4, 8
"""Flags of pages, beside BRANCH."""
_LONGEST_KEY = 1978
_MOST_PROBLEMS = 1000
"""After which the check ends: a file with as many is not LMDB's any more."""
_MOST_JUDGED = 100
"""Rows with a wrong checksum for which the check finds out whether the key is at fault, in up to 4 ms each. Where there
are more, whole values are damaged."""
_PAGES_BETWEEN_RESTS = 256
_SMALLEST_PAGE, _LARGEST_PAGE = 512, 1 << 16
_OWN_KEYS = frozenset({FORMAT_KEY, JOURNAL_KEY, POSITION_KEY})


class Problem(NamedTuple):
    """What is wrong with a page, or with the file."""

    said: str
    is_of_a_key: bool = False
    """Whether only the key of a row is damaged, and not in a way that leads LMDB astray: the row can be put back."""

    def __str__(self) -> str:
        return self.said


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
    """The content of a meta page."""

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


def pages_of(meta: bytes) -> int:
    """How many pages the state to which a meta page leads has in use."""
    state = _state_of(meta)
    return sum(tree.branches + tree.leaves + tree.overflows for tree in (state.free, state.rows))


class PageCheck:
    """The check of the state to which a meta page (`lmdb_pages.newest_meta`) leads. Nobody writes over its pages.

    Without `long_values`, it does not read values that have pages of their own. It calls `rest` now and then.
    """

    def __init__(
        self, file: int, meta: bytes, long_values: bool = True, rest: Callable[[], None] = lambda: None
    ) -> None:
        self._file = file
        self._meta = meta
        self._checksummed = False
        """Whether the values have headers."""
        self._long_values = long_values
        self._rest = rest
        self._page_size = 0
        self._used = bytearray()
        """A byte for each page that is in use."""
        self._counts = dict.fromkeys(("branch pages", "leaf pages", "overflow pages", "rows"), 0)
        self._judged = 0
        self._looked_at = 0

    def problems(self) -> Iterator[Problem]:
        """What is wrong, in the order in which it is found."""
        for number, problem in enumerate(self._problems(), 1):
            yield problem
            if number == _MOST_PROBLEMS:
                yield Problem(f"there are more than {_MOST_PROBLEMS} problems: the check of pages ends")
                return

    def _problems(self) -> Iterator[Problem]:
        number, flags, magic, version, _, _ = _META.unpack_from(self._meta)
        state = _state_of(self._meta)
        if number not in range(META_PAGES) or (flags, magic, version) != (_META_FLAG, MAGIC, VERSION):
            yield Problem(f"meta page {number} is not one")
            return
        size = self._page_size = state.free.page_size
        if size & (size - 1) or not _SMALLEST_PAGE <= size <= _LARGEST_PAGE:
            yield Problem(f"meta page {number} says that a page has {size} bytes")
            return
        if state.last_page * size >= MAP_SIZE:
            yield Problem(f"meta page {number} says that there are {state.last_page} pages")
            return
        with suppress(StorageError):  # It finds out what is wrong there.
            self._checksummed = value_of(self._file, self._meta, FORMAT_KEY) == FORMAT
        self._used = bytearray(state.last_page + 1)
        self._used[0] = self._used[1] = 1
        yield from self._check_tree("rows", state.rows, state)
        yield from self._check_tree("free pages", state.free, state)

    def _check_tree(self, what: str, tree: _Tree, state: _State) -> Iterator[Problem]:
        counts = self._counts = dict.fromkeys(self._counts, 0)
        if tree.root != NO_ROOT:
            todo = [_Place(tree.root, 1, None, None, state.transaction)]
            while todo:
                place = todo.pop()
                try:
                    for below in self._check_page(place, tree, state, is_free=what != "rows"):
                        if isinstance(below, _Place):
                            todo.append(below)
                        elif isinstance(below, Problem):
                            yield below._replace(said=f"page {place.number} of the {what}: {below.said}")
                        else:
                            yield Problem(f"page {place.number} of the {what}: {below}")
                except OSError as error:
                    yield Problem(f"page {place.number} of the {what}: what it leads to cannot be read: {error}")
                self._looked_at += 1
                if not self._looked_at % _PAGES_BETWEEN_RESTS:
                    self._rest()
        said = {
            "branch pages": tree.branches,
            "leaf pages": tree.leaves,
            "overflow pages": tree.overflows,
            "rows": tree.entries,
        }
        for name, number in said.items():
            if counts[name] != number:
                yield Problem(f"the tree of {what} has {counts[name]} {name}, and its meta page says {number}")

    def _take(self, first: int, count: int, state: _State) -> str | None:
        """Mark pages as used; what is wrong with that, if anything is."""
        if first < META_PAGES or count < 1 or first + count - 1 > state.last_page:
            return f"it leads to page {first}, and the file has {META_PAGES} to {state.last_page}"
        for number in range(first, first + count):
            if self._used[number]:
                return f"it leads to page {number}, which is in use elsewhere"
            self._used[number] = 1
        return None

    def _check_page(self, place: _Place, tree: _Tree, state: _State, is_free: bool) -> Iterator[str | Problem | _Place]:
        wrong = self._take(place.number, 1, state)
        if wrong is not None:
            yield wrong
            return
        page = os.pread(self._file, self._page_size, place.number * self._page_size)
        if len(page) < self._page_size:
            yield "it is beyond the end of the file"
            return
        number, transaction, flags, lower, upper = PAGE_HEAD.unpack_from(page)
        is_branch = place.depth < tree.depth
        if number != place.number:
            yield f"it says that it is page {number}"
        if transaction > place.newest:
            yield f"transaction {transaction} wrote it, and {place.newest} what leads to it"
        if flags != (BRANCH if is_branch else _LEAF):
            yield f"its flags are {flags}, at depth {place.depth} of {tree.depth}"
            return
        room = self._page_size - PAGE_HEAD.size
        if lower % 2 or lower < 2 or lower > upper or upper > room:
            yield f"its nodes are from {lower} to {upper} of {room}"
            return
        self._counts["branch pages" if is_branch else "leaf pages"] += 1
        nodes = struct.unpack_from(f"={lower // 2}H", page, PAGE_HEAD.size)
        leaf = (
            None
            if is_branch or is_free
            else looked_over(page, nodes, upper, (place.low, place.high), self._checksummed)
        )
        if leaf is None:
            yield from self._check_nodes(place, page, nodes, (upper, transaction), is_branch, is_free, state)
        else:
            self._counts["rows"] += len(nodes)
            yield from self._check_rows(page, leaf, state)

    def _check_rows(self, page: bytes, leaf: Leaf, state: _State) -> Iterator[str | Problem]:
        """Look at what is not on a leaf whose nodes are in order, and for damaged keys."""
        doubted = leaf.doubted
        for key, at, size in leaf.long:
            wrong = next(self._check_data(page, at, size, BIG_DATA, state), None)
            if wrong is not None:
                yield wrong
            elif self._long_values and self._checksummed:
                first, _ = ELSEWHERE.unpack_from(page, at)
                found = os.pread(self._file, size, first * self._page_size + PAGE_HEAD.size)
                doubted += doubtful([(key, found)])
        for key, found in doubted:
            problem = self._judge(key, found)
            if problem is not None:
                yield problem

    def _judge(self, key: bytes, found: bytes) -> Problem | None:
        """What is wrong with the key of a row whose checksum is wrong; None if it is the value that is damaged."""
        is_own = key[0] == 0
        if is_own and key in (FORMAT_KEY, JOURNAL_KEY):
            return None  # They have none, and `coherence` looks at their values.
        self._judged += 1
        original = original_key(key, found) if self._judged <= _MOST_JUDGED else None
        if original is not None:
            said = f"the key {key.hex()} is damaged: it was {original.hex()}"
            return Problem(said, is_of_a_key=not is_own and original[0] != 0)
        if is_own and key not in _OWN_KEYS:
            return Problem(f"the key {key.hex()} is none of the engine's own")
        return None

    def _check_nodes(
        self,
        place: _Place,
        page: bytes,
        nodes: tuple[int, ...],
        head: tuple[int, int],
        is_branch: bool,
        is_free: bool,
        state: _State,
    ) -> Iterator[str | _Place]:
        """Look at the nodes of a page one by one. `head` is where they begin, and the transaction that wrote them."""
        upper, transaction = head
        yield from self._check_room(page, nodes, upper, is_branch)
        before: bytes | None = None
        children: list[int] = []
        borders: list[bytes | None] = []  # Where what a child may have begins.
        for index, offset in enumerate(nodes):
            at = PAGE_HEAD.size + offset
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
                children.append(low | high << 16 | node_flags << 32)
                borders.append(key if index else place.low)
            else:
                self._counts["rows"] += 1
                yield from self._check_data(page, at + NODE.size + key_size, low | high << 16, node_flags, state)
                if is_free:
                    yield from self._check_free(page, at + NODE.size + key_size, low | high << 16, node_flags, state)
        for child, (first, after) in zip(children, pairwise((*borders, place.high)), strict=is_branch):
            yield _Place(child, place.depth + 1, first, after, transaction)

    def _check_room(self, page: bytes, nodes: tuple[int, ...], upper: int, is_branch: bool) -> Iterator[str]:
        """Nodes lie one behind the other from `upper` to the end of the page."""
        expected = upper
        for offset in sorted(nodes):
            if offset != expected or PAGE_HEAD.size + offset + NODE.size > len(page):
                yield f"there is no node where one should begin, at {expected}"
                return
            low, high, node_flags, key_size = NODE.unpack_from(page, PAGE_HEAD.size + offset)
            size = NODE.size + key_size + key_size % 2
            if not is_branch:
                data = ELSEWHERE.size if node_flags & BIG_DATA else low | high << 16
                size += data + data % 2
            expected += size
        if expected != len(page) - PAGE_HEAD.size:
            yield f"its last node ends at {expected} of {len(page) - PAGE_HEAD.size}"

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
        if count != -(-(PAGE_HEAD.size + size) // self._page_size):
            yield f"a value of {size} bytes has {count} pages"
            return
        wrong = self._take(first, count, state)
        if wrong is not None:
            yield wrong
            return
        self._counts["overflow pages"] += count
        head = os.pread(self._file, PAGE_HEAD.size, first * self._page_size)
        if len(head) < PAGE_HEAD.size:
            yield f"page {first} is beyond the end of the file"
            return
        number, transaction, page_flags, _, _ = PAGE_HEAD.unpack_from(head)
        [pages] = _COUNT.unpack_from(head, _COUNT_AT)
        if (number, page_flags, pages) != (first, _OVERFLOW, count) or transaction > state.transaction:
            yield f"page {first} is not the first of {count} with a value"

    def _check_free(self, page: bytes, at: int, size: int, flags: int, state: _State) -> Iterator[str]:
        """A row of the free pages: how many there are, and their numbers."""
        at += at % 2
        data = page[at : at + size]
        if flags & BIG_DATA:
            first, _ = ELSEWHERE.unpack_from(page, at)
            data = os.pread(self._file, size, first * self._page_size + PAGE_HEAD.size)
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


def _state_of(meta: bytes) -> _State:
    free = _Tree(*_TREE.unpack_from(meta, _META.size))
    rows = _Tree(*_TREE.unpack_from(meta, _META.size + _TREE.size))
    return _State(free, rows, *_END.unpack_from(meta, _META.size + 2 * _TREE.size))
