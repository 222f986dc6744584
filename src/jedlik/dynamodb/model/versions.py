"""Versions: which of two writes of an item, made in different regions, is the later.

Every write to a replicated table gives its item a version: a hybrid logical clock (Kulkarni et al., "Logical Physical
Clocks", OPODIS 2014) and the region in which it was made. A clock is milliseconds since the epoch and a counter, always
later than the version that the write has seen, so a write supersedes what it saw, whatever the machines' clocks do.
Among writes that have not seen each other, the one with the later clock wins, in every region and in whatever order
they arrive; the region decides between equal clocks. So if a clock runs ahead in one region, other regions' writes over
its versions get versions that are ahead, too: that is logged (`replication`), and a version that is more than ten
minutes ahead is not applied before its time (`is_ahead`).

    bytes 0-7    clock: milliseconds << 16 | counter, big-endian
    bytes 8-15   hash of the region's name

Versions compare as bytes. A version is kept beside its item (`keys.version_key`), not in it: items and their readers
are the same with and without replication. An item without a record is from before the replication, and older than any
item that has one. A deleted item leaves a tombstone, so that an older write that arrives later does not bring it back.
The tombstone contains the item's key, because other replicas must know which item it is. If a tombstone has been
removed and its deletion is discovered again (`replication.copying`), the new tombstone has a version that no region
made (`deletion`).

    bytes 0-15   version
    byte 16      0: the item is there; 1: tombstone
    bytes 17-    of a tombstone, the key attributes as JSON
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

SIZE = 16
"""Bytes of a version."""
REGION_ID_SIZE = 8
ZERO = bytes(SIZE)
"""The version of an item from before the replication."""

_CLOCK_SIZE = SIZE - REGION_ID_SIZE
_COUNTER_BITS = 16
_LAST_CLOCK = (1 << 63) - 1
"""In the year 6429. No region makes a version beyond this."""
FURTHEST_AHEAD_SECONDS = 10 * 60.0
"""How far a version from elsewhere may be ahead of the clock here. Clocks that are kept right differ by less than a
second. A write over a version gets a later one, so a version from a wrong clock would affect all later writes."""
_ITEM, _TOMBSTONE = b"\0", b"\1"


@lru_cache
def region_id(region: str) -> bytes:
    """The form of a region in versions."""
    return blake2b(region.encode(), digest_size=REGION_ID_SIZE).digest()


def superseding(record: bytes | None, at: float, region: str) -> bytes:
    """The version of a write made in `region` at the time `at`, in seconds, that has seen the version in `record`."""
    clock = max(int(at * 1000) << _COUNTER_BITS, _clock(record) + 1)
    return clock.to_bytes(_CLOCK_SIZE, "big") + region_id(region)


def following(record: bytes | None, region: str) -> bytes:
    """The version of an expiry made in `region`: just later than the version that it has seen.

    So it does not win over a write in another region that has prolonged the life of the item.
    """
    return (_clock(record) + 1).to_bytes(_CLOCK_SIZE, "big") + region_id(region)


def deletion(version: bytes) -> bytes:
    """The version of the tombstone for a deletion of which only the deleted `version` is known.

    The very next: it wins over that version and no later write, and all regions that discover the deletion make the
    same.
    """
    return (int.from_bytes(version, "big") + 1).to_bytes(SIZE, "big")


def check(version: bytes) -> None:
    """Raises ValueError for a version that no region can have made."""
    if len(version) != SIZE or int.from_bytes(version[:_CLOCK_SIZE], "big") > _LAST_CLOCK:
        raise ValueError(f"not a version: {version.hex()}")


def seconds(version: bytes) -> float:
    """The time in a version's clock, in seconds since the epoch."""
    return (int.from_bytes(version[:_CLOCK_SIZE], "big") >> _COUNTER_BITS) / 1000


def is_ahead(version: bytes, now: float) -> bool:
    """Whether a version from elsewhere is too far ahead of `now`, in seconds since the epoch, to be applied yet."""
    return seconds(version) > now + FURTHEST_AHEAD_SECONDS


def origin(version: bytes) -> bytes:
    """The `region_id` of the region that made a version."""
    return version[_CLOCK_SIZE:]


def record(version: bytes) -> bytes:
    """The stored record of an item's version."""
    return version + _ITEM


def tombstone(version: bytes, keys: bytes) -> bytes:
    """The stored record of a deleted item: its version, and its key attributes as JSON."""
    return version + _TOMBSTONE + keys


def of_record(record: bytes | None) -> bytes:
    """The version in a record; without a record, that of an item without a version."""
    return ZERO if record is None else record[:SIZE]


def is_tombstone(record: bytes) -> bool:
    """Whether a record is that of a deleted item."""
    return record[SIZE : SIZE + 1] == _TOMBSTONE


def keys_of_tombstone(record: bytes) -> bytes:
    """The deleted item's key attributes, as JSON."""
    return record[SIZE + 1 :]


def _clock(record: bytes | None) -> int:
    return 0 if record is None else int.from_bytes(record[:_CLOCK_SIZE], "big")
