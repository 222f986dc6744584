"""Adding a reader to a table's change log, advancing and dropping it.

From the commit that adds a reader, every write of the table leaves an entry with what the reader wants; the table needs
no stream. A copy that misses nothing, of a table that is written to meanwhile:

    reader = LogReader("backup/0123", old_images=False, new_images=True, seconds=86400)
    place = await readers.add(region, "Music", reader)
    ...copy the items, in any number of reads, with `await readers.advance(region, place)` every few minutes...
    while True:
        found = await readers.read(region, place)
        ...apply found.changes, in their order, to the copy...
        place = replace(place, position=found.position)
        if not found.more:
            break
        await readers.advance(region, place)
    await readers.drop(region, "Music", "backup/0123")

Every write that is committed after `add` returned is at or after `place.position`, and earlier writes are in any copy
that begins then. An entry holds the item as it is afterwards, so applying one again does no harm. The items of a change
are its `old` and `new`, as they are stored; only INSERT, MODIFY, REMOVE and EXPIRE change an item.

To add or drop a reader in your own mutation, together with the record of its purpose, use `log_readers.added` and
`log_readers.removed`, and let `starting` make the position before it. Entries from before your commit may lack what the
reader wants: begin at another `starting`, made after the commit, or append an entry of your own in the commit and begin
behind that. `place_of` finds a reader again after a restart.

A reader that only follows a table, and keeps its position in memory, reads with `read` from that position and advances
now and then. `read` costs one look-up if nothing has been logged in the whole store since.

A forgotten reader cannot fill the disk. A temporary reader that is not advanced for `LEASE` seconds is removed. Entries
that are older than the `seconds` of a reader are trimmed even if it has not read them, and the reader is removed with
the first of them. Afterwards `read` and `advance` raise ReaderGone: the log has a gap, so begin again. A reader that is
not temporary stays in the descriptor when its position is lost, and can be given another with `restart`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jedlik.dynamodb import catalog, mini_transaction
from jedlik.dynamodb.changes import log_entries
from jedlik.dynamodb.changes.log_entries import Entries
from jedlik.dynamodb.errors import ResourceNotFoundException
from jedlik.dynamodb.model import keys, log_readers
from jedlik.dynamodb.model.definitions import Descriptor, LogReader
from jedlik.dynamodb.model.limits import MIB
from jedlik.dynamodb.model.log_readers import Position
from jedlik.dynamodb.model.mutations import Mutation
from jedlik.dynamodb.model.tables import Table
from jedlik.storage.engine import Writes

if TYPE_CHECKING:
    from jedlik.regions.region import Region

LEASE = 60 * 60.0
"""Seconds after which a temporary reader that has not been advanced is removed."""
MOST = 50
"""The most readers of a table: each makes its descriptor longer, which every write reads."""


class ReaderGone(Exception):
    """A reader has been removed, or has lost entries that it had not read."""


class TooManyReaders(Exception):
    """A table has `MOST` readers."""


@dataclass(frozen=True, slots=True)
class Place:
    """A reader of a table's log, and its position."""

    table_id: bytes
    name: str
    position: int
    """The position of the first entry that it has not read."""

    @property
    def key(self) -> bytes:
        """The key of its stored position."""
        return keys.reader_key(self.table_id, self.name)


async def add(region: Region, table: str, reader: LogReader) -> Place:
    """Add a reader to the log of the table called `table`.

    Raises ResourceNotFoundException, TooManyReaders, and ValueError if the table has a reader of that name.
    """
    starts = await starting(region)

    def change(descriptor: Descriptor, writes: Writes) -> Descriptor:
        check_addable(descriptor, reader)
        return log_readers.added(descriptor, reader, starts, writes)

    table_id = await _change(region, table, change)
    return Place(table_id, reader.name, (await starting(region)).number)


def check_addable(table: Descriptor, reader: LogReader) -> None:
    """Raises TooManyReaders, and ValueError if the table has a reader of that name."""
    if len(log_readers.listed(table)) >= MOST:
        raise TooManyReaders(f"table {table.name} has {MOST} readers of its change log")
    if log_readers.find(table, reader.name) is not None:
        raise ValueError(f"table {table.name} has a reader {reader.name} already")


async def starting(region: Region) -> Position:
    """The position of a reader that begins with the commits from now on."""
    return Position(await region.engine.last_position() + 1, region.clock())


async def place_of(region: Region, table_id: bytes, name: str) -> Place:
    """A reader as it was last advanced. Raises ReaderGone."""
    [stored] = await region.engine.get([keys.reader_key(table_id, name)])
    return Place(table_id, name, _position(stored, name).number)


async def read(region: Region, place: Place, room: int = MIB) -> Entries:
    """The entries from a place on, up to about `room` bytes of them. Raises ReaderGone."""
    found = await log_entries.since(region, place.table_id, place.position, room)
    # The commit that trims entries which a reader needs records that. It has not done so by now, so nothing was
    # missing.
    await place_of(region, place.table_id, place.name)
    return found


async def advance(region: Region, place: Place) -> None:
    """Record that a reader has come to a place: earlier entries may be trimmed. The old place is allowed, too: it
    renews the lease.

    Raises ReaderGone.
    """
    now = region.clock()

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        before = _position(values[0], place.name)
        writes = Writes()
        writes.put(place.key, Position(max(before.number, place.position), max(before.at, now)).pack())
        return writes, None

    await region.engine.mutate([place.key], decide)


async def restart(region: Region, table: str, name: str) -> Place:
    """Give a reader that has lost its position one at the end of the log. Raises ReaderGone if there is no such reader,
    and ResourceNotFoundException."""
    starts = await starting(region)

    def change(descriptor: Descriptor, writes: Writes) -> Descriptor:
        if log_readers.find(descriptor, name) is None:
            raise ReaderGone(name)
        writes.put(keys.reader_key(keys.table_id(descriptor.id), name), starts.pack())
        return descriptor

    table_id = await _change(region, table, change)
    return Place(table_id, name, (await starting(region)).number)


async def drop(region: Region, table: str, *names: str) -> None:
    """Remove readers from the log of the table called `table`; those that are missing are removed already."""

    def change(descriptor: Descriptor, writes: Writes) -> Descriptor:
        return log_readers.removed(descriptor, names, writes)

    try:
        await _change(region, table, change)
    except ResourceNotFoundException:
        return


async def drop_forgotten(region: Region, table: Table) -> None:
    """Remove the temporary readers of a table that have not been advanced in time, or have lost entries."""
    before = region.clock.slowest() - LEASE
    temporary = [reader.name for reader in log_readers.listed(table.descriptor) if reader.temporary]
    positions = [keys.reader_key(table.id, name) for name in temporary]

    def forgotten(found: Sequence[bytes | None]) -> list[str]:
        return [name for name, stored in zip(temporary, found, strict=True) if _is_forgotten(stored, before)]

    def decide(mutation: Mutation) -> None:
        now = catalog.stored(mutation.found[table.descriptor_key])
        names = forgotten([mutation.found[key] for key in positions])
        if now is not None and now.id == table.id and names:
            catalog.put(log_readers.removed(now.descriptor, names, mutation.writes), mutation.writes)

    if forgotten(await region.engine.get(positions)):
        await mini_transaction.mutate_keys(region, [table.descriptor_key, *positions], decide)


def _position(stored: bytes | None, name: str) -> Position:
    """A stored position. Raises ReaderGone."""
    position = None if stored is None else Position.unpack(stored)
    if position is None or position.lost:
        raise ReaderGone(name)
    return position


def _is_forgotten(stored: bytes | None, before: float) -> bool:
    position = None if stored is None else Position.unpack(stored)
    return position is None or position.lost or position.at < before


async def _change(region: Region, name: str, change: Callable[[Descriptor, Writes], Descriptor]) -> bytes:
    """Change the descriptor of the table called `name`. Returns the table's id. Raises ResourceNotFoundException."""

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, bytes]:
        table = catalog.stored(values[0])
        if table is None:
            raise ResourceNotFoundException(f"Requested resource not found: Table: {name} not found")
        writes = Writes()
        changed = change(table.descriptor, writes)
        if changed != table.descriptor:
            catalog.put(changed, writes)
        return writes, table.id

    return await region.engine.mutate([catalog.key(name)], decide)
