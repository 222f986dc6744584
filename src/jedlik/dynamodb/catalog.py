"""The catalogue: the tables of a region, as a process knows them.

A process keeps the last descriptor that it saw of each table. It may be stale, for other processes share the store; so
what is built on it is only used together with a comparison of the descriptor's bytes, made in the snapshot of the read
or in the decision of the write. `with_table` is that loop: try with the table as last seen, look again, retry.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from jedlik.aws.errors import InternalServerError, ValidationException
from jedlik.dynamodb.errors import DescriptorChanged, ResourceNotFoundException
from jedlik.dynamodb.model import descriptors, keys
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.tables import table_names
from jedlik.regions.region import Region

T = TypeVar("T")

DESCRIPTOR_ATTEMPTS = 10
"""How often an operation is begun again because a table's descriptor changed under it. A descriptor changes with
UpdateTable and the steps of its jobs, so a second attempt is rare and a tenth means that something is wrong."""


async def current(region: Region, name: str, *, missing: str = "Requested resource not found") -> Table:
    """The table called `name` (or whose ARN it is) as it is now.

    Raises ResourceNotFoundException with the text `missing`, also for a replica that is being made or deleted:
    it is there for its description and for replication only.
    """
    name = table_names.resolve(name, region.name, region.account)
    [raw] = await region.engine.get((keys.descriptor_key(name),))
    table = None if raw is None else seen(region, name, raw)
    if table is None or not table.usable:
        region.known.pop(name, None)
        raise ResourceNotFoundException(missing)
    return table


def seen(region: Region, name: str, raw: bytes) -> Table:
    """The table that a descriptor just read describes; the same object as long as the bytes are the same."""
    table = _known(region, name)
    if table is None or table.raw != raw:
        table = descriptors.parse(raw)
        region.known[name] = table
    return table


async def with_table(region: Region, name: str, attempt: Callable[[Table], Awaitable[T]]) -> T:
    """What `attempt` makes of the table called `name` (or whose ARN it is).

    `attempt` gets the table as last seen, compares its `raw` with the descriptor in the snapshot of what it reads
    or in the decision of what it writes, and raises DescriptorChanged where they differ; then it is called again.
    A refusal that rests on a stale table is tried again as well. Raises ResourceNotFoundException.
    """
    table = region.known.get(name)
    if isinstance(table, Table):
        # Nearly always this is all.
        try:
            return await attempt(table)
        except DescriptorChanged:
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
        tables = [_known(region, name) or await current(region, name) for name in names]
        try:
            return await attempt(tables)
        except DescriptorChanged:
            for name in names:
                await current(region, name)
        except ValidationException as refusal:
            if [await current(region, name) for name in names] == tables:
                refusal.bare = True
                raise
    raise InternalServerError("The definition of a table keeps changing")


def _known(region: Region, name: str) -> Table | None:
    known = region.known.get(name)
    return known if isinstance(known, Table) else None
