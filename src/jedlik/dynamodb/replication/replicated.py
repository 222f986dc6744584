"""The replicated tables of a region, in whatever state.

Requests see a table only when it can be used (`dynamodb.catalog`); replication also sees replicas that are being
created or deleted. It keeps parsed descriptors by their bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from jedlik.dynamodb import catalog
from jedlik.dynamodb.model import descriptors, keys, replicas
from jedlik.dynamodb.model.replicas import Group, Replica
from jedlik.dynamodb.model.tables import Table

if TYPE_CHECKING:
    from jedlik.regions.region import Region

_REMEMBERED = 1024
"""Parsed descriptors kept, by their bytes."""
_MARK = b'"Replication"'
"""In every descriptor of a replicated table; if another contains it, parsing shows that."""


@dataclass(frozen=True, slots=True)
class Replicated:
    """A table that is a replica."""

    table: Table
    replica: Replica
    group: Group
    digest: str
    """Distinguishes this group document from others (`replicas.version`)."""

    @property
    def table_id(self) -> str:
        """The UUID of this table, which is not that of the other replicas."""
        return self.table.descriptor.id


async def find(region: Region, name: str) -> Replicated | None:
    """The replicated table called `name`, if there is one."""
    raw = await catalog.raw_descriptor(region, name)
    return None if raw is None else parse(raw)


async def all_of(region: Region) -> list[Replicated]:
    """The replicated tables of a region."""
    every = [parse(raw) async for raw in catalog.raw_descriptors(region)]
    return [replicated for replicated in every if replicated is not None]


async def items_with_versions(
    region: Region, table: Table, item_keys: Sequence[bytes]
) -> list[tuple[bytes | None, bytes | None]]:
    """Each item of a replicated table and its version record, all of one state; None for what is absent."""
    versions = [keys.version_key(table, key) for key in item_keys]
    found = await region.engine.get([*item_keys, *versions])
    return list(zip(found[: len(item_keys)], found[len(item_keys) :], strict=True))


async def any_of(region: Region) -> bool:
    """Whether a region has any replicated table: then its store stays open, to pull and to be pulled from."""
    return bool(await all_of(region))


def parse(raw: bytes) -> Replicated | None:
    """The replicated table that a descriptor describes; None if the table is an ordinary one."""
    return _parse(raw) if _MARK in raw else None


@lru_cache(_REMEMBERED)
def _parse(raw: bytes) -> Replicated | None:
    table = descriptors.parse(raw)
    group = table.descriptor.group
    if table.replica is None or group is None:
        return None
    return Replicated(table, table.replica, group, replicas.version(group))
