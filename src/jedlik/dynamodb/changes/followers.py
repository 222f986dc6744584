"""Followers: readers of a table's change log that keep their position in memory and want keys only.

They miss nothing that is committed after they began. One that has not asked for `SECONDS` may lose entries, and learns
that.
"""

from __future__ import annotations

from dataclasses import replace

import orjson

from jedlik.aws.followed_tables import Changes, Followed, Lost, Written
from jedlik.dynamodb.changes import readers
from jedlik.dynamodb.changes.readers import Place, ReaderGone, TooManyReaders
from jedlik.dynamodb.model.changelog import Kind
from jedlik.dynamodb.model.definitions import LogReader
from jedlik.regions.region import Region

SECONDS = 60
"""How long an entry is kept for a follower. It asks many times a second, so this bounds how long it may be stuck."""
_WRITES = (Kind.INSERT, Kind.MODIFY, Kind.REMOVE, Kind.EXPIRE)


class _FollowedTable:
    """One table of a region."""

    def __init__(self, region: Region, table: str, place: Place) -> None:
        self._region = region
        self._table = table
        self._place = place

    async def changes(self) -> Changes:
        """The writes since the last call. Raises Lost."""
        try:
            found = await readers.read(self._region, self._place)
        except ReaderGone:
            raise Lost(self._table) from None
        self._place = replace(self._place, position=found.position)
        written = [Written(at, orjson.loads(one.keys)) for at, one in found.changes if one.kind in _WRITES]
        return Changes(written, found.more)

    async def renew(self) -> None:
        """Let the log be trimmed up to here. Raises Lost."""
        try:
            await readers.advance(self._region, self._place)
        except ReaderGone:
            raise Lost(self._table) from None

    async def end(self) -> None:
        """Want no more entries."""
        await readers.drop(self._region, self._table, self._place.name)


async def follow(region: Region, table: str, name: str) -> Followed:
    """Begin to follow a table, in the place of a former follower of this name. Raises ResourceNotFoundException, and
    Lost where too many follow the table."""
    try:
        place = await readers.restart(region, table, name)
    except ReaderGone:
        reader = LogReader(name, old_images=False, new_images=False, seconds=SECONDS, temporary=True)
        try:
            place = await readers.add(region, table, reader)
        except TooManyReaders as error:
            raise Lost(str(error)) from error
        except ValueError:  # Another process has just added it.
            return await follow(region, table, name)
    return _FollowedTable(region, table, place)
