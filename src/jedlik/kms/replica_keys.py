"""Multi-region keys: what the keys of all regions share, and how each comes to know it.

The primary key's record is the truth about what is shared: the material, the rotation, and which regions there are. A
replica is compared with it whenever it is used, and follows if it differs. So a change is one commit, at the primary
key, and nothing is left half done if the server dies: the others follow when they are used next. A replica whose
primary key cannot be read goes on with what it has. Regions of other servers cannot have a replica.

A primary key names its successor when it steps down, so a replica that still takes it for the primary key finds the
way.

Source: "Multi-Region keys in AWS KMS" in the developer guide.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

from jedlik.kms import key_rows, sealed_material
from jedlik.kms.key_records import DAY, EXTERNAL, KmsKey, Material, put, unpacked
from jedlik.kms.sealed_material import SealedRow
from jedlik.regions.region import NoAccount, NotServed, Region, TooManyOpen
from jedlik.storage.engine import StorageError, Writes

T = TypeVar("T")
MOST_STEPS = 8
"""Successors that are followed: the primary region has changed as often since somebody looked last."""
LOOKS = frozenset({"DescribeKey", "ReplicateKey", "ScheduleKeyDeletion", "CancelKeyDeletion"})
"""The operations for which a primary key looks at its replicas."""


class KeyStores(Protocol):
    """The stores of a process, as far as keys of other accounts and regions are looked for (`regions.stores`)."""

    def named(self, account: str, region: str) -> str:
        """The name of the store of a region of an account."""
        ...

    async def use(self, name: str, work: Callable[[Region], Awaitable[T]]) -> T:
        """The result of work with the region whose store has this name."""
        ...


async def record(region: Region, key_id: str) -> KmsKey | None:
    """A key as its region has it, unless it is gone."""
    [stored] = await region.engine.get([key_rows.key_row(key_id)])
    key = None if stored is None else unpacked(stored)
    return None if key is None or (key.deletion is not None and key.deletion.has_begun) else key


async def refreshed(stores: KeyStores, region: Region, key: KmsKey, operation: str = "") -> KmsKey:
    """A multi-region key, as it is once it has followed its primary key; a primary key itself, once it has looked at
    its replicas, if the operation needs that."""
    for _ in range(MOST_STEPS):
        if key.regions is None:
            return key
        if key.regions.here == key.regions.primary:
            return await _looked(stores, region, key) if operation in LOOKS else key
        after = await _following(stores, region, key)
        if after == key:
            return key
        key = after
    return key


async def elsewhere(
    stores: KeyStores, region: Region, name: str, work: Callable[[Region], Awaitable[T]], otherwise: T
) -> T:
    """The result of work in another region of the same account; something else where that region cannot be had."""
    try:
        return await stores.use(stores.named(region.account, name), work)
    except (NoAccount, NotServed, TooManyOpen, StorageError):
        return otherwise


async def _following(stores: KeyStores, region: Region, key: KmsKey) -> KmsKey:
    """A replica after it has followed its primary key."""
    assert key.regions is not None
    regions = key.regions

    async def look(home: Region) -> tuple[KmsKey | None, dict[str, bytes]]:
        primary = await record(home, key.id)
        if primary is None or key.origin == EXTERNAL:
            return primary, {}
        missing = [one.id for one in primary.materials if one.is_here and key.material(one.id) is None]
        opened = {one: await sealed_material.opened(home, key.id, one) for one in missing}
        return primary, {one: material for one, material in opened.items() if material is not None}

    unknown: tuple[KmsKey | None, dict[str, bytes]] = None, {}
    primary, brought = await elsewhere(stores, region, regions.primary, look, unknown)
    if primary is None or primary.regions is None:
        return key
    after = replace(
        key,
        materials=tuple(_material(key, one) for one in primary.materials),
        current=primary.current,
        rotation=primary.rotation,
        on_demand=primary.on_demand,
        regions=replace(primary.regions, here=region.name),
    )
    if after == key:
        return key
    rows = [sealed_material.sealed(region, key.id, one, material) for one, material in brought.items()]
    return await _changed(region, key, after, rows)


def _material(key: KmsKey, shared: Material) -> Material:
    """What a replica knows of some material: imported material is brought to each region by itself."""
    known = key.material(shared.id)
    if key.origin != EXTERNAL:
        return shared
    if known is None:
        return replace(shared, is_here=False, expires=None)
    return replace(shared, is_here=known.is_here, expires=known.expires, description=known.description)


async def _looked(stores: KeyStores, region: Region, key: KmsKey) -> KmsKey:
    """A primary key that knows which of its replicas are still there, and when the last of them will be gone."""
    assert key.regions is not None
    left: list[str] = []
    dates: list[float | None] = []
    unknown: tuple[bool, float | None] = True, None
    for name in key.regions.replicas:

        async def look(home: Region) -> tuple[bool, float | None]:
            found = await record(home, key.id)
            return found is not None, None if found is None or found.deletion is None else found.deletion.date

        is_there, date = await elsewhere(stores, region, name, look, unknown)
        if is_there:
            left.append(name)
            dates.append(date)
    deletion = key.deletion
    if deletion is not None:
        known = [date for date in dates if date is not None]
        if not left:
            gone = deletion.waits if deletion.waits is not None else region.clock()
            deletion = replace(deletion, date=gone + deletion.days * DAY, waits=gone)
        elif len(known) == len(left):
            deletion = replace(deletion, date=max(known) + deletion.days * DAY, waits=max(known))
        else:
            deletion = replace(deletion, date=None, waits=None)
    after = replace(key, regions=replace(key.regions, replicas=tuple(left)), deletion=deletion)
    return key if after == key else await _changed(region, key, after, [])


async def _changed(region: Region, key: KmsKey, after: KmsKey, rows: Sequence[SealedRow]) -> KmsKey:
    """Write a key as it is now, unless it has changed meanwhile; then it is looked at again when it is used next."""

    def decide(found: Sequence[bytes | None]) -> tuple[Writes, KmsKey]:
        writes = Writes()
        if found[0] is None or unpacked(found[0]) != key:
            return writes, key if found[0] is None else unpacked(found[0])
        put(key, after, writes)
        for row in rows:
            writes.put(row.row, row.value)
        return writes, after

    return await region.engine.mutate([key_rows.key_row(key.id)], decide)
