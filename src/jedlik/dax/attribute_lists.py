"""Attribute lists: the names of an item's attributes without its key's, for which clients and nodes send a number.

A list gets the next number when it is first seen, in one commit with both directions, so that all nodes know it and it
stays good after a restart. Clients remember numbers for ever, so a list is never removed. Number 1 is the empty list.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence

import orjson

from jedlik.memory import MIB
from jedlik.regions.keyspaces import Keyspace, Owner
from jedlik.regions.region import Region
from jedlik.regions.stores import Stores
from jedlik.storage.engine import Writes

EMPTY = 1
"""The number of the empty list."""
MOST_BYTES = MIB
"""How long the names of one list may be together; an item has 400 KB."""
REMEMBERED = 32 * MIB
"""Bytes of lists that a node remembers."""

LISTS = Keyspace(
    "attribute lists",
    b"\xd8",
    Owner.STORE,
    "attribute lists of DAX",
    (
        ("00", "the last number given to an attribute list of DAX"),
        ("01  number (8)", "the names in that attribute list"),
        ("02  hash of the names (16)", "the number of that attribute list"),
    ),
)
_LAST = LISTS.prefix + b"\x00"
Names = tuple[str, ...]


class ListTooLong(Exception):
    """The names of a list have more bytes than those of any item."""


class AttributeLists:
    """The lists of all stores, as far as this node has seen them."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._numbers: OrderedDict[tuple[str, Names], tuple[int, int]] = OrderedDict()
        """The number of each list, and its bytes, the one that was used last at the end."""
        self._names: dict[tuple[str, int], Names] = {}
        self._size = 0

    def known_number(self, store: str, names: Names) -> int | None:
        """The number of a list, if this node has seen it."""
        if not names:
            return EMPTY
        found = self._numbers.get((store, names))
        return None if found is None else found[0]

    async def number(self, store: str, names: Names) -> int:
        """The number of a list, which gets one if it has none. Raises ListTooLong."""
        known = self.known_number(store, names)
        if known is not None:
            if names:
                self._numbers.move_to_end((store, names))
            return known
        plain = orjson.dumps(names)
        if len(plain) > MOST_BYTES:
            raise ListTooLong
        by_names = LISTS.prefix + b"\x02" + hashlib.blake2b(plain, digest_size=16).digest()

        def decide(found: Sequence[bytes | None]) -> tuple[Writes, int]:
            writes = Writes()
            stored, last = found
            if stored is not None:
                return writes, int.from_bytes(stored, "big")
            number = (EMPTY if last is None else int.from_bytes(last, "big")) + 1
            writes.put(_LAST, number.to_bytes(8, "big"))
            writes.put(by_names, number.to_bytes(8, "big"))
            writes.put(_by_number(number), plain)
            return writes, number

        async def look_up(region: Region) -> int:
            [stored] = await region.engine.get((by_names,))
            return int.from_bytes(stored, "big") if stored else await region.engine.mutate([by_names, _LAST], decide)

        number = await self._stores.use(store, look_up)
        self._remember(store, names, number, len(plain))
        return number

    async def names(self, store: str, number: int) -> Names | None:
        """The names of the list with a number; None if no list has it."""
        if number == EMPTY:
            return ()
        known = self._names.get((store, number))
        if known is not None:
            return known
        if not EMPTY < number < 1 << 63:
            return None

        async def look_up(region: Region) -> bytes | None:
            [stored] = await region.engine.get((_by_number(number),))
            return stored

        stored = await self._stores.use(store, look_up)
        if stored is None:
            return None
        names = tuple(orjson.loads(stored))
        self._remember(store, names, number, len(stored))
        return names

    def _remember(self, store: str, names: Names, number: int, size: int) -> None:
        self._names[store, number] = names
        if (store, names) not in self._numbers:
            self._size += size
        self._numbers[store, names] = number, size
        while self._size > REMEMBERED:
            (store, _), (number, size) = self._numbers.popitem(last=False)
            del self._names[store, number]
            self._size -= size


def _by_number(number: int) -> bytes:
    return LISTS.prefix + b"\x01" + number.to_bytes(8, "big")
