"""What a node remembers: the item cache and the query cache, in one amount of memory.

An entry of the item cache is of one item, by table and key, with an answer for each projection that was asked for; that
there is no such item is an answer, too. An entry of the query cache is a page of a Query or a Scan, by all their
parameters. Answers are bytes that are ready to be sent. An entry has a time to live, from when it was filled. Where
memory is short, the one that has not been used for longest goes first, whichever cache it is of.

Filling races with writing, so a method that reads a table takes a lease first, as in Facebook's memcache (NSDI 2013).
An answer is kept only if its lease still holds; a write that has ended, and everything else that changes an item, ends
the lease. So an entry never holds what was read before a write that has ended since.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

Key = tuple[object, bytes]
"""Whose entry it is (a store, and a kind of cache), and what it is about."""
ENTRY_BYTES = 700
"""What an entry takes besides its bytes, with its places in two dictionaries: measured."""


class Lease:
    """The right to fill one entry."""

    __slots__ = ("position",)

    def __init__(self, position: int) -> None:
        self.position = position
        """The last write that was there for certain when it was taken."""


class Entry:
    """What is remembered under one key."""

    __slots__ = ("answers", "expires", "key", "position", "size")

    def __init__(self, key: Key, expires: float, position: int, size: int) -> None:
        self.key = key
        self.position = position
        """Its answers have all writes up to this one."""
        self.answers: dict[bytes, bytes] = {}
        """By projection; the whole item's is the empty one. None once the cache has forgotten the entry."""
        self.expires = expires
        self.size = size


class Cache:
    """Entries, up to a number of bytes."""

    def __init__(self, room: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.room = room
        self.clock = clock
        self.entries: OrderedDict[Key, Entry] = OrderedDict()
        """The one that was used last at the end."""
        self.size = 0
        self.evicted = 0
        """Bytes that had to make room, since the start."""
        self._leases: dict[Key, Lease] = {}

    def find(self, key: Key, variant: bytes = b"") -> bytes | None:
        """An answer, if it is there and its time is not over."""
        entry = self.entries.get(key)
        return None if entry is None else self.again(entry, variant)

    def again(self, entry: Entry, variant: bytes) -> bytes | None:
        """An answer of an entry that somebody remembers, which may have been forgotten here since."""
        answer = entry.answers.get(variant)
        if answer is None:
            return None
        if entry.expires <= self.clock():
            self._remove(entry.key)
            return None
        self.entries.move_to_end(entry.key)
        return answer

    def lease(self, key: Key, position: int = 0) -> Lease:
        """Take a lease, before the table is read; `position` is that of the last write until then."""
        lease = self._leases[key] = Lease(position)
        return lease

    def fill(self, key: Key, lease: Lease, variant: bytes, answer: bytes, seconds: float) -> None:
        """Keep an answer that was read, if its lease holds, and end the lease. It lives for `seconds`, but not longer
        than the entry that it joins."""
        if self._leases.get(key) is not lease:
            return
        del self._leases[key]
        now = self.clock()
        entry = self.entries.get(key)
        if entry is not None and (entry.expires <= now or variant in entry.answers):
            self._remove(key)
            entry = None
        size = len(variant) + len(answer)
        if entry is None:
            size += len(key[1]) + ENTRY_BYTES
            if size > self.room:
                return
            entry = self.entries[key] = Entry(key, now + seconds, lease.position, 0)
        entry.position = min(entry.position, lease.position)
        entry.answers[variant] = answer
        entry.size += size
        self.size += size
        self.entries.move_to_end(key)
        while self.size > self.room:
            oldest = next(iter(self.entries.values()))
            self.evicted += oldest.size
            self._remove(oldest.key)

    def release(self, key: Key, lease: Lease) -> None:
        """End a lease, if it holds: nothing was read that can be kept."""
        if self._leases.get(key) is lease:
            del self._leases[key]

    def drop(self, key: Key) -> None:
        """Forget what is there, and what is being read: it is true no more."""
        self._leases.pop(key, None)
        if key in self.entries:
            self._remove(key)

    def changed(self, key: Key, position: int) -> None:
        """Forget what is there, and what is being read, if it lacks the write at this position."""
        lease = self._leases.get(key)
        if lease is not None and lease.position < position:
            del self._leases[key]
        entry = self.entries.get(key)
        if entry is not None and entry.position < position:
            self._remove(key)

    def drop_all(self, first: Key) -> None:
        """Forget all that has a key that begins so."""
        owner, start = first
        for keys in (list(self._leases), list(self.entries)):
            for key in keys:
                if key[0] == owner and key[1].startswith(start):
                    self.drop(key)

    def clear(self) -> None:
        """Forget everything."""
        self._leases.clear()
        for key in list(self.entries):
            self._remove(key)

    def _remove(self, key: Key) -> None:
        entry = self.entries.pop(key)
        self.size -= entry.size
        entry.answers.clear()
