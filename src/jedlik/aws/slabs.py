"""Slabs: the memory in which the processes of a server count, each in a part of its own, for others to read.

    memory   head (64 KB), then slabs
    head     magic, folds, number of slabs, time of the start
    slab     head (4 KB), then 4,096 small slots of one cell, then 2,048 large ones of a histogram
    slot     length of the key (8 bytes; 0 where it is free), key (1,000 bytes), cells

A slab has one writer, so counting takes no lock and loses nothing: an aligned cell of eight bytes is stored whole, by
one instruction. The counts of a process are in memory that outlives it. When it has died, the owner of the memory adds
its slab to the first one, which has the counts of all ended processes, and cleans it for the next process (`fold`).

Some numbers are odd while slots change hands (the slab's `CHANGES`, the memory's `FOLDS`). Readers check them before
and after they have read, and read again if they differ. A writer that is killed between two stores leaves nothing
undefined: a slot has a length only when its key is complete, and a move of a count from one cell to another is first
recorded and then done, by another process if need be (`finish_move`).
"""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from jedlik.aws import histograms

MEMORY_NAME = "jedlik-metrics"
"""The name of the memory among the open files of the server's parent."""
MAGIC = int.from_bytes(b"JEDLIKM1")
"""The last digit goes up when the layout changes."""
PAGE = 4096
WORD = 8
KEY_BYTES = 1000
_CELLS_FROM = WORD + KEY_BYTES


class Area(NamedTuple):
    """Slots of one size in a slab."""

    start: int
    """Byte of the slab."""
    slot: int
    """Bytes of a slot."""
    slots: int
    cells: int
    """The bytes of a slot."""

    def key_at(self, number: int) -> int:
        """The byte at which a slot begins: its length, and then its key."""
        return self.start + self.slot * number

    def cell_at(self, number: int) -> int:
        """The first cell of a slot, counted in cells from the beginning of the slab."""
        return (self.key_at(number) + _CELLS_FROM) // WORD


SMALL = Area(PAGE, 1024, 4096, 1)
LARGE = Area(SMALL.start + SMALL.slot * SMALL.slots, PAGE, 2048, histograms.CELLS)
AREAS = (SMALL, LARGE)
HEAD_BYTES = 1 << 16
"""Before the first slab. Each part begins where any machine can begin a mapping: a page has 64 KB on some."""
SLAB_BYTES = -(-(LARGE.start + LARGE.slot * LARGE.slots) // HEAD_BYTES) * HEAD_BYTES
"""12 MB, of which only the pages that are written to take any memory."""
RESERVED = 64
"""The last slots of each area, for the rest of each metric: series that find no room elsewhere."""

# Words of the memory's head.
FOLDS, SLABS, STARTED = 1, 2, 3
# Words of a slab's head.
CHANGES, USED, REFUSED, DROPPED = 0, 1, 3, 4
"""Odd while slots change hands; slots of each area that were ever used (two words); how often a series found no room;
series that joined the rest to make room."""
MOVING, MOVED_FROM, MOVED_TO, MOVED_SUM = 8, 9, 10, 11
"""A move of a count that has begun: whether there is one, from which cell to which, and the latter's new value."""


class Slab:
    """One process's part."""

    def __init__(self, memory: memoryview) -> None:
        assert len(memory) == SLAB_BYTES
        self._bytes = memory
        self.words = memory.cast("Q")
        self.cells = memory.cast("d")

    def key(self, area: Area, number: int) -> bytes:
        """The key of a slot; empty where the slot is free."""
        at = area.key_at(number)
        length = self.words[at // WORD]
        return bytes(self._bytes[at + WORD : at + WORD + length]) if 0 < length <= KEY_BYTES else b""

    def take(self, area: Area, number: int, key: bytes) -> None:
        """Give a free slot, whose cells are zero, a key."""
        assert 0 < len(key) <= KEY_BYTES
        at = area.key_at(number)
        self._bytes[at + WORD : at + WORD + len(key)] = key
        used = USED + AREAS.index(area)
        if number < area.slots - RESERVED:
            self.words[used] = max(self.words[used], number + 1)
        self.words[at // WORD] = len(key)

    def free(self, area: Area, number: int) -> None:
        """Remove a slot's key, and the contents of its cells."""
        at = area.cell_at(number)
        for cell in range(at, at + area.cells):
            if self.cells[cell]:
                self.cells[cell] = 0.0
        self.words[area.key_at(number) // WORD] = 0

    def move(self, source: int, target: int) -> None:
        """Add one cell to another and empty it, so that a death in between neither loses nor doubles the count."""
        words = self.words
        words[MOVED_FROM], words[MOVED_TO] = source, target
        self.cells[MOVED_SUM] = self.cells[target] + self.cells[source]
        words[MOVING] = 1
        self.finish_move()

    def finish_move(self) -> None:
        """Do the move that `move` has recorded, if there is one, for the first time or once more."""
        words = self.words
        if words[MOVING]:
            self.cells[words[MOVED_TO]] = self.cells[MOVED_SUM]
            self.cells[words[MOVED_FROM]] = 0.0
            words[MOVING] = 0

    def slots(self) -> Iterator[tuple[Area, int, bytes]]:
        """The slots that are in use, with their keys."""
        for area, used in zip(AREAS, self.words[USED : USED + len(AREAS)].tolist(), strict=True):
            for number in (*range(min(used, area.slots)), *range(area.slots - RESERVED, area.slots)):
                key = self.key(area, number)
                if key:
                    yield area, number, key

    def counted(self, area: Area, number: int) -> list[float]:
        """The cells of a slot."""
        at = area.cell_at(number)
        return list(self.cells[at : at + area.cells])

    def clean(self) -> None:
        """Make it as new. Its writer has ended."""
        for area, number, _ in self.slots():
            self.free(area, number)
        for word in (CHANGES, USED, USED + 1, REFUSED, DROPPED):
            self.words[word] = 0


def private() -> Slab:
    """A slab of a process's own, for one that is no part of a server."""
    return Slab(memoryview(mmap.mmap(-1, SLAB_BYTES)))


# What readers do


class Contents(NamedTuple):
    """The counts of all processes of a server together."""

    started: float
    """When the counting began, in seconds since the epoch."""
    series: dict[bytes, list[float]]
    """By key, the cells."""
    refused: int
    """How often a series found no room."""
    dropped: int
    """Series that joined the rest to make room for others."""


class Unreadable(Exception):
    """The memory is not in the form of this version, or does not come to rest."""


ATTEMPTS = 200
REST_SECONDS = 0.01
"""Readings, and the time between two: the changes that they wait for take milliseconds."""


def read(file: int) -> Contents:
    """The counts in a server's memory, an open file. Raises Unreadable."""
    for _ in range(ATTEMPTS):
        memory = mmap.mmap(file, os.fstat(file).st_size, access=mmap.ACCESS_READ)
        contents = _read(memoryview(memory))
        if contents is not None:
            return contents
        time.sleep(REST_SECONDS)
    raise Unreadable("what the server counts does not come to rest")


def _read(memory: memoryview) -> Contents | None:
    """One reading; None if something changed hands meanwhile."""
    if len(memory) < HEAD_BYTES or (head := memory[:HEAD_BYTES].cast("Q"))[0] != MAGIC:
        raise Unreadable("what the server counts is kept in another way than this version reads")
    before = head[FOLDS], head[SLABS]
    if before[0] % 2 or len(memory) < HEAD_BYTES + before[1] * SLAB_BYTES:
        return None
    series: dict[bytes, list[float]] = {}
    refused = dropped = 0
    for number in range(before[1]):
        start = HEAD_BYTES + number * SLAB_BYTES
        slab = Slab(memory[start : start + SLAB_BYTES])
        changes = slab.words[CHANGES]
        if changes % 2:
            return None
        for area, slot, key in slab.slots():
            add(series, key, slab.counted(area, slot))
        refused += slab.words[REFUSED]
        dropped += slab.words[DROPPED]
        if slab.words[CHANGES] != changes:
            return None
    if (head[FOLDS], head[SLABS]) != before:
        return None
    return Contents(head[STARTED] / 1000, series, refused, dropped)


def add(series: dict[bytes, list[float]], key: bytes, cells: Sequence[float]) -> None:
    """Add the cells of one process's series to those of the others."""
    known = series.get(key)
    series[key] = list(cells) if known is None else [one + other for one, other in zip(known, cells, strict=True)]
