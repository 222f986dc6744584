"""The catalogue: the tables of a region. Descriptors are read, kept and changed here, and nowhere else.

A process keeps the last descriptor that it saw of each table. It may be stale, because other processes share the store.
So anything built on it is used only after comparing the descriptor's bytes, in the snapshot of the read or in the
decision of the write. `with_table` is that loop: try with the table as last seen, read it again, retry.

A change of a table is a function from a descriptor to a descriptor (`model.definitions`, `model.shared_settings`,
`model.streams`, ...). A mutation that makes one reads `key`, interprets the value with `stored`, and passes the new
descriptor to `put`. Code that processes whole stores instead of serving a region (`upkeep`, `checks`) reads snapshots,
where a descriptor may be damaged.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from jedlik.aws.access import Access
from jedlik.aws.errors import InternalServerError, ServiceError, ValidationException
from jedlik.dynamodb.encryption import open_keys
from jedlik.dynamodb.errors import DescriptorChanged, ResourceNotFoundException
from jedlik.dynamodb.model import descriptors, keys
from jedlik.dynamodb.model.definitions import Descriptor
from jedlik.dynamodb.model.limits import MIB
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.tables import table_names
from jedlik.regions.keyspaces import STORE
from jedlik.regions.region import Region
from jedlik.storage.counters import counter
from jedlik.storage.engine import NoKey, Writes

T = TypeVar("T")

DESCRIPTOR_ATTEMPTS = 10
"""How often an operation is started again because a table's descriptor changed meanwhile. A descriptor changes with
UpdateTable and the steps of its jobs, so a second attempt is rare and a tenth means that something is wrong."""
POLICIES = STORE.prefix + b"policies"
"""Counts what every process must notice within a second: changes of the policies of tables and streams, deletions of
tables, and tables whose keys may not be used any more."""
_ARN_PARTS = 6
_PAGE = 100
"""Descriptors read at once."""
_PAGE_BYTES = MIB
_LIST_BYTES = 64 * MIB
"""More than all the descriptors that a region may have."""


# In mutations


def key(name: str) -> bytes:
    """The key that a mutation must read if it changes the table called `name`, or depends on it."""
    return keys.descriptor_key(name)


def stored(raw: bytes | None) -> Table | None:
    """The table of the descriptor that a mutation has found, in whatever state; None if there is no such table."""
    return None if raw is None else descriptors.parse(raw)


def put(descriptor: Descriptor, writes: Writes) -> None:
    """Create or change a table: from this commit on, it is as the descriptor describes it."""
    writes.put(keys.descriptor_key(descriptor.name), descriptors.serialize(descriptor))


def remove(descriptor: Descriptor, writes: Writes) -> None:
    """Delete a table: from this commit on it does not exist. Every worker forgets it within a second: another of its
    name may have another partition key, and policies decide by that."""
    writes.delete(keys.descriptor_key(descriptor.name))
    writes.add(POLICIES, 1)


# Records that hold a table as it was, like those of backups


def document(descriptor: Descriptor) -> dict[str, Any]:
    """A descriptor as JSON has it."""
    return descriptors.document(descriptor)


def of_document(stored: dict[str, Any]) -> Descriptor:
    """The descriptor in such a document."""
    return descriptors.descriptor_of(stored)


def table_of(descriptor: Descriptor) -> Table:
    """The table that a descriptor makes, for work on what was copied of it."""
    return descriptors.parse(descriptors.serialize(descriptor))


# Reads


async def find(region: Region, name: str) -> Table | None:
    """The table called `name` as it is now, in whatever state; None if it does not exist."""
    return stored(await raw_descriptor(region, name))


async def raw_descriptor(region: Region, name: str) -> bytes | None:
    """The same as it is stored, for a caller that caches by these bytes."""
    [raw] = await region.engine.get((keys.descriptor_key(name),))
    return raw


async def names(region: Region, after: str | None, limit: int) -> list[str]:
    """The names of the first tables, by name, that come after a name."""
    rows = await region.engine.range(*keys.descriptor_range(after), limit, _LIST_BYTES)
    return [keys.name_of_descriptor_key(found) for found, _ in rows]


async def pages(region: Region, after: str | None, rows: int) -> AsyncIterator[list[Table]]:
    """All tables that come after a name, by name, in pages of up to `rows`."""
    async for page in _raw_pages(region, after, rows):
        yield [descriptors.parse(raw) for raw in page]


async def raw_descriptors(region: Region, after: str | None = None) -> AsyncIterator[bytes]:
    """The descriptors of all tables that come after a name, by name, as they are stored."""
    async for page in _raw_pages(region, after, _PAGE):
        for raw in page:
            yield raw


async def _raw_pages(region: Region, after: str | None, rows: int) -> AsyncIterator[list[bytes]]:
    start, end = keys.descriptor_range(after)
    while found := await region.engine.range(start, end, rows, _PAGE_BYTES):
        start = found[-1][0] + b"\0"
        yield [raw for _, raw in found]


async def is_as_read(region: Region, table: Table) -> bool:
    """Whether a table is still as it was when its descriptor was read."""
    [raw] = await region.engine.get((table.descriptor_key,))
    return raw == table.raw


async def current(region: Region, name: str, *, missing: str = "Requested resource not found") -> Table:
    """The table called `name` (or whose ARN it is) as it is now.

    Raises ResourceNotFoundException with the text `missing`, also for a replica that is being created or deleted: only
    descriptions and replication see it.
    """
    name = table_names.resolve(name, region.name, region.account)
    raw = await raw_descriptor(region, name)
    table = None if raw is None else seen(region, name, raw)
    if table is None or not table.usable:
        region.known.pop(name, None)
        raise ResourceNotFoundException(missing)
    if table.descriptor.key_number:
        await _check_key(region, table)
    return table


async def _check_key(region: Region, table: Table) -> None:
    """Open the keys of a table whose key was chosen. Raises what refuses the request."""
    try:
        open_keys.check_open(table.descriptor)
        await open_keys.ready(region, table.id)
    except ServiceError:
        region.known.pop(table.name, None)
        raise


async def look(region: Region) -> None:
    """Forget the tables of a region that were seen before a policy was changed, or a table deleted. Raises
    StorageError."""
    [raw] = await region.engine.get((POLICIES,))
    changes = counter(raw)
    if changes != region.policy_changes:
        region.policy_changes = changes
        region.known.clear()
        open_keys.look(region)


async def learn(region: Region, accesses: tuple[Access, ...]) -> None:
    """See all tables that accesses are on, as they are now: their partition keys are among the condition keys."""
    for access in accesses:
        parts = access.resource.split(":", 5)
        if len(parts) == _ARN_PARTS and parts[4] == region.account and parts[5].startswith("table/"):
            with suppress(ServiceError):
                await current(region, parts[5].split("/")[1])


def seen(region: Region, name: str, raw: bytes) -> Table:
    """The table that a descriptor just read describes; the same object as long as the bytes are the same."""
    table = last_seen(region, name)
    if table is None or table.raw != raw:
        table = descriptors.parse(raw)
        region.known[name] = table
    return table


async def with_table(region: Region, name: str, attempt: Callable[[Table], Awaitable[T]]) -> T:
    """The result of `attempt` with the table called `name` (or whose ARN it is).

    `attempt` gets the table as last seen. It compares its `raw` with the descriptor in the snapshot that it reads or in
    the decision of its write, and raises DescriptorChanged if they differ; then it is called again. A refusal that
    depends on a stale table is retried as well. Raises ResourceNotFoundException.
    """
    table = last_seen(region, name)
    if table is not None:
        # Nearly always this is all.
        try:
            return await attempt(table)
        except (DescriptorChanged, NoKey):
            await current(region, name)
        except ValidationException as refusal:
            if await current(region, name) is table:
                refusal.bare = True
                raise
    return await with_tables(region, (name,), lambda tables: attempt(tables[0]))


async def with_tables(region: Region, names: Sequence[str], attempt: Callable[[Sequence[Table]], Awaitable[T]]) -> T:
    """The same for several tables, which `attempt` gets in the order of `names`."""
    names = [table_names.resolve(name, region.name, region.account) for name in names]
    for _ in range(DESCRIPTOR_ATTEMPTS):
        tables = [last_seen(region, name) or await current(region, name) for name in names]
        try:
            return await attempt(tables)
        except (DescriptorChanged, NoKey):
            for name in names:
                await current(region, name)
        except ValidationException as refusal:
            if [await current(region, name) for name in names] == tables:
                refusal.bare = True
                raise
    raise InternalServerError("The definition of a table keeps changing")


def last_seen(region: Region, name: str) -> Table | None:
    """The table called `name` as this process has last seen it; it may have changed since."""
    # Only `seen` puts anything there, so it is a Table. A check would cost each GetItem as much as this call.
    known: Any = region.known.get(name)
    table: Table | None = known
    return table
