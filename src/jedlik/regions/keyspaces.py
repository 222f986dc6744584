"""Key spaces: the first byte of every key of a store determines what it is a key of.

A key space is declared once, by the owner of its rows: a store itself here, jobs and leases in `background`, and the
services in their declarations (`aws.service`). Code that processes all rows of a kind uses these declarations: the
purge of deleted tables, the check of a store, and the drawing of the layout in the documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

_GAP = 3
"""Columns between a key and its value, in the drawing of the layout."""


class Owner(Enum):
    """The owner of a key space's rows, with the number of bytes after the prefix that identify it."""

    STORE = "store", 0
    """The code that writes such a row removes it."""
    TABLE = "table", 8
    """They are removed with the table: its id."""
    INDEX = "index", 10
    """They are removed with an index, or with its table: the table's id, and the index's number, which is 0 for the
    table."""
    REPLICA = "replica", 8
    """They are removed when the table stops being a replica: its id."""
    SHARD = "shard", 12
    """They are removed with a shard of a stream, which outlives its table: the table's id, and the shard's number."""

    @property
    def size(self) -> int:
        """How many bytes name one of them."""
        size: int = self.value[1]
        return size


Change = Callable[[bytes, str], bytes]
"""A sealed part, given with its name (`root_key.place`), as it is afterwards."""
SealedParts = Callable[[bytes, Change], bytes]
"""The value of a row with each sealed part changed; the same value if the row has none, or none changes. Pure."""


@dataclass(frozen=True, slots=True)
class Keyspace:
    """A key space, as the owner of its rows declares it."""

    name: str
    prefix: bytes
    """The beginning of its keys: one byte, or more for one that is `within` another. Leave room between neighbours."""
    owner: Owner
    rows: str
    """A name for its rows, in the plural."""
    layout: tuple[tuple[str, str], ...]
    """For each form of its keys: the parts after the prefix (lengths in bytes), and the purpose of the value."""
    within: Keyspace | None = None
    """The one whose prefix its own begins with, if it has no byte to itself."""
    sealed: SealedParts | None = None
    """Its rows' parts that are sealed under the root key, if they have any: a rotation of the key goes over them."""
    has_sealed_values: bool = False
    """Whether its values are sealed, where stores are (`store_keys`): those of what may hold values of attributes."""
    is_log: bool = False
    """Whether its rows are entries of logs."""
    lost: str | None = None
    """What is lost with a row that is removed because its value is damaged; "nothing" if it can be restored. None if no
    row may be removed, because others cannot be read without it."""

    @property
    def range(self) -> tuple[bytes, bytes]:
        """Where all its keys stand."""
        return self.prefix, prefix_end(self.prefix)

    def of(self, owner: bytes) -> tuple[bytes, bytes]:
        """The range of the rows of one owner, or of all owners whose bytes begin like this, such as all indexes of a
        table."""
        prefix = self.prefix + owner
        return prefix, prefix_end(prefix)

    def owner_of(self, key: bytes) -> bytes:
        """Whose row is under `key`."""
        return key[len(self.prefix) : len(self.prefix) + self.owner.size]


def prefix_end(prefix: bytes) -> bytes:
    """The first key after all that begin with `prefix`, which must not be all FF."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes((stem[-1] + 1,))


def arranged(spaces: Iterable[Keyspace]) -> tuple[Keyspace, ...]:
    """Key spaces in the order of their keys. Raises ValueError if two overlap."""
    found = tuple(sorted(spaces, key=lambda space: space.prefix))
    for number, space in enumerate(found):
        if any(other.name == space.name for other in found[:number]):
            raise ValueError(f"there are two key spaces called {space.name}")
        around = [other for other in found[:number] if space.prefix.startswith(other.prefix)]
        if around != ([] if space.within is None else [space.within]):
            others = " and ".join(other.name for other in around) or "none"
            raise ValueError(f"the key space {space.name} begins as these do: {others}")
        if (len(space.prefix) == 1) != (space.within is None):
            raise ValueError(f"the key space {space.name} has the prefix {space.prefix!r}")
    return found


def space_of(key: bytes, spaces: Iterable[Keyspace]) -> Keyspace | None:
    """The space among `spaces` to which a key belongs; None if there is no such space. A space within another comes
    before it."""
    found = [space for space in spaces if key.startswith(space.prefix)]
    return max(found, key=lambda space: len(space.prefix), default=None)


def drawn(spaces: Iterable[Keyspace]) -> str:
    """The layout of key spaces, a line for each form of a key."""
    lines = [
        ("" if number or space.within else space.prefix.hex(), then, holds)
        for space in spaces
        for number, (then, holds) in enumerate(space.layout)
    ]
    width = max(len(then) for _, then, _ in lines) + _GAP
    return "".join(f"{first:7}{then:{width}}{holds}\n" for first, then, holds in [("space", "then", "holds"), *lines])


STORE = Keyspace("store", b"\x10", Owner.STORE, "records of the store", (("name", "what the store knows of itself"),))


def format_key() -> bytes:
    """The key of the record of the store's format (`store_format`)."""
    return STORE.prefix + b"format"


def secret_key() -> bytes:
    """The key of the store's secret, with which it computes its hashes."""
    return STORE.prefix + b"secret"


def clock_key() -> bytes:
    """The key of the store's record of time (`timekeeping`)."""
    return STORE.prefix + b"clock"
