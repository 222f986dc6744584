"""Reading a table's change log by position.

Positions are the store's own, given to the entries of all logs in commit order: code that has seen a position never
sees an earlier one appear (`storage.engine`). A log has a part for each shard. To miss no entry that is committed
meanwhile, first look up the last position, and then read the shards up to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from jedlik.dynamodb.model import changelog, keys
from jedlik.dynamodb.model.changelog import Change
from jedlik.dynamodb.model.limits import KIB, MIB
from jedlik.regions import keyspaces

if TYPE_CHECKING:
    from jedlik.regions.region import Region

MOST_ENTRIES = 1000
"""Entries that are read of one shard at once."""
LEAST_ROOM = 64 * KIB
"""Bytes that are read of a shard at once, however many other shards there are."""


class Entries(NamedTuple):
    """Some entries of a log, in commit order."""

    changes: list[tuple[int, Change]]
    """Each with its position. The marks of shards are among them (`Kind.OPEN`, `Kind.CLOSE`)."""
    position: int
    """The position where to go on. Greater than that of the last change: entries of other tables are skipped."""
    more: bool
    """Whether there are more at once."""


async def since(region: Region, table_id: bytes, position: int, room: int = MIB) -> Entries:
    """A table's entries from `position` on, up to about `room` bytes of them.

    If nothing has been logged in the whole store since, this is one read.
    """
    last = await region.engine.last_position()
    if position > last:
        return Entries([], position, False)
    found = await between(region, await shard_logs(region, table_id), position, last, room, size)
    return Entries(*found, more=found[1] <= last)


def size(change: Change) -> int:
    """Bytes of an entry, about."""
    return len(change.keys) + len(change.old) + len(change.new)


async def between(
    region: Region, logs: Sequence[bytes], position: int, last: int, room: int, size_of: Callable[[Change], int]
) -> tuple[list[tuple[int, Change]], int]:
    """The entries of some shards from `position` to `last`, in the order of their positions, and where to go on.

    They end early after `MOST_ENTRIES`, or after `room` bytes by `size_of`.
    """
    found: list[tuple[int, bytes]] = []
    left = room
    room = max(room // max(len(logs), 1), LEAST_ROOM)
    for log in logs:
        start, end = keys.log_range(log, position)[0], keys.log_range(log, last + 1)[0]
        rows = await region.engine.range(start, end, MOST_ENTRIES, room)
        found += [(keys.log_position(key), entry) for key, entry in rows]
        if len(rows) == MOST_ENTRIES or sum(len(entry) for _, entry in rows) >= room:
            # Nothing later may be read of other shards, or the rest of this one would be skipped.
            last = min(last, keys.log_position(rows[-1][0]))
    entries = []
    for at, entry in sorted(found):
        if at > last:
            break
        change = changelog.decode(entry)
        entries.append((at, change))
        left -= size_of(change)
        if left <= 0:
            last = at
    return entries, last + 1


async def shard_logs(region: Region, table_id: bytes, before: int | None = None) -> list[bytes]:
    """The log prefixes of a table's shards, closed ones included, in the order in which they were opened.

    With `before`, only of those with a lower number.
    """
    start = keys.log_prefix(table_id)
    end = keyspaces.prefix_end(start) if before is None else keys.shard_log_prefix(table_id, before)
    logs = []
    while rows := await region.engine.range(start, end, 1, 1):
        logs.append(keys.log_of(rows[0][0]))
        start = keyspaces.prefix_end(logs[-1])
    return logs


async def first_time(region: Region, table_id: bytes, position: int) -> float | None:
    """When a table's first entry from a position on was committed, in seconds since the epoch; None without one.

    Times are not sealed, so this needs no key.
    """
    engine = region.engine if region.sealed is None else region.sealed.inner
    start = keys.log_prefix(table_id)
    end = keyspaces.prefix_end(start)
    found: list[tuple[int, float]] = []
    while rows := await engine.range(start, end, 1, 1):
        log = keys.log_of(rows[0][0])
        start = keyspaces.prefix_end(log)
        first = await engine.range(*keys.log_range(log, position), 1, 1)
        found += [(keys.log_position(key), changelog.written_at(entry)) for key, entry in first]
    return min(found)[1] if found else None


async def last_of(region: Region, logs: Sequence[bytes]) -> int:
    """The position of the last entry in any of these logs; -1 if they are empty."""
    last = -1
    for log in logs:
        rows = await region.engine.range(*keys.log_range(log), 1, 1, reverse=True)
        last = max(last, keys.log_position(rows[0][0]) if rows else last)
    return last
