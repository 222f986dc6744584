"""The item mini-transaction: the one way in which items change.

Single writes, batches, transactions, expiries, changes from other regions and steps of jobs over items differ in what
they read besides the items, and in what they decide. What they have in common is here: the keys that are read, the
comparison of the tables' descriptors, and that values are found by their keys. Changes of definitions find values by
their keys as well.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from jedlik.dynamodb.errors import DescriptorChanged
from jedlik.dynamodb.model import keys
from jedlik.dynamodb.model.mutations import NONE_FULL, Mutation
from jedlik.dynamodb.model.tables import Table
from jedlik.regions.region import Region
from jedlik.storage.engine import Writes

T = TypeVar("T")


def mutate(
    region: Region,
    tables: Sequence[Table],
    items: Iterable[tuple[Table, bytes]],
    decide: Callable[[Mutation], T],
    also: Iterable[bytes] = (),
    full: frozenset[bytes] = NONE_FULL,
) -> Future[T]:
    """Commit what `decide` writes, and return what it returns.

    It finds the descriptors of `tables`, the `items`, each given by its table and storage key, with their versions, and
    the values of the keys in `also`. It must be pure, like every decision (`storage.engine`). `full`: see `Mutation`.

    Raises DescriptorChanged if a descriptor is not the one that its table was parsed from, and what `decide` raises;
    then nothing is written.
    """
    at = 0.0
    read = [*also]
    for table in tables:
        read.append(table.descriptor_key)
        if table.replica is not None:
            at = region.clock()  # Only versions are made from it, and asking takes a hundredth of a plain PutItem.
    for table, key in items:
        read.append(key)
        if table.replica is not None:
            read.append(keys.version_key(table, key))

    def decided(values: Sequence[bytes | None]) -> tuple[Writes, T]:
        found = {}
        for key, value in zip(read, values):  # noqa: B905 - to be strict doubles the time
            found[key] = value
        for table in tables:
            if found[table.descriptor_key] != table.raw:
                raise DescriptorChanged
        mutation = Mutation(found, region.secret, at, full)
        return mutation.writes, decide(mutation)

    return region.engine.mutate(read, decided)


def mutate_keys(region: Region, read: Iterable[bytes], decide: Callable[[Mutation], T]) -> Future[T]:
    """The same for definitions, jobs and whatever else rests on nothing but the values of the keys in `read`."""
    return mutate(region, (), (), decide, read)


def mutate_one(region: Region, table: Table, key: bytes, decide: Callable[[Mutation], T]) -> Future[T]:
    """The same, half a microsecond faster, for the item under `key` of a table that is not replicated: most writes."""

    def decided(values: Sequence[bytes | None]) -> tuple[Writes, T]:
        raw, stored = values
        if raw != table.raw:
            raise DescriptorChanged
        mutation = Mutation({key: stored}, region.secret, 0.0)
        return mutation.writes, decide(mutation)

    return region.engine.mutate((table.descriptor_key, key), decided)
