"""What is done to keys when it is due: they are deleted, they are rotated, and imported material expires.

Each note of a date leads to a key; what is to be done follows from the key. A key that is deleted is gone for everybody
with one commit, which removes its material, too. Then its grants go, a few at a time, and at last what is left of it.
While the clock is doubted nothing is done: neither a deletion nor a rotation can be taken back.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from jedlik.background import stretches
from jedlik.background.work import Duty
from jedlik.config import Settings
from jedlik.kms import grant_records, key_rows, sealed_material
from jedlik.kms.errors import UnsupportedOperationException
from jedlik.kms.key_records import (
    AUTOMATIC,
    CUSTOMER,
    DAY,
    ENABLED,
    KmsKey,
    Rotation,
    put,
    unpacked,
    with_material,
)
from jedlik.regions.region import Region
from jedlik.storage.engine import Row, Writes

PERIOD = 1.0
"""Seconds."""
AT_ONCE = 20
GRANTS_AT_ONCE = 100
_BYTES = 1 << 20
_log = logging.getLogger(__name__)


def duty(settings: Settings) -> Duty:
    """Does what is due to the keys of a region."""
    return Duty("kms keys", PERIOD, run, _is_any_noted)


async def _is_any_noted(region: Region) -> bool:
    return await stretches.holds(region, key_rows.due_range())


async def run(region: Region) -> bool:
    """Do what is due next to a few keys. Returns whether there is more."""
    if region.clock.doubtful:
        return False
    now = region.clock.slowest()
    notes = await region.engine.range(*key_rows.due_range(now), AT_ONCE, _BYTES)
    for row, _ in notes:
        _, key_id = key_rows.due_of(row)
        await _do(region, row, key_id, now)
    return bool(notes)


async def _do(region: Region, note: bytes, key_id: str, now: float) -> None:
    """Do what is due to one key, or remove a note that no longer concerns the key."""
    [stored] = await region.engine.get([key_rows.key_row(key_id)])
    key = None if stored is None else unpacked(stored)
    if key is None or key.due is None or key_rows.due_row(key.due, key.id) != note:
        await _remove(region, note)
    elif key.deletion is not None and key.deletion.has_begun:
        await _delete_rest(region, key)
    elif key.deletion is not None:
        await _begin_deletion(region, key)
    elif key.rotation is not None and key.rotation.next <= now and key.state(now) == ENABLED:
        await _rotate(region, key, key.rotation, now)
    else:
        await _expire(region, key, now)


async def _remove(region: Region, note: bytes) -> None:
    def decide(found: Sequence[bytes | None]) -> tuple[Writes, None]:
        writes = Writes()
        writes.delete(note)
        return writes, None

    await region.engine.mutate([], decide)


async def _change(region: Region, key: KmsKey, after: KmsKey | None, writes: Writes) -> bool:
    """Change a key, with more writes, unless it has changed meanwhile. Returns whether it has been changed."""
    row = key_rows.key_row(key.id)

    def decide(found: Sequence[bytes | None]) -> tuple[Writes, bool]:
        if found[0] is None or unpacked(found[0]) != key:
            return Writes(), False
        own = Writes()
        if after is not None:
            put(key, after, own)
        else:
            own.delete(row)
            own.add(key_rows.CHANGES, 1)
            if key.due is not None:
                own.delete(key_rows.due_row(key.due, key.id))
        own.puts |= writes.puts
        for counter, amount in writes.adds.items():
            own.add(counter, amount)
        return own, True

    return await region.engine.mutate([row], decide)


async def _begin_deletion(region: Region, key: KmsKey) -> None:
    assert key.deletion is not None
    writes = Writes()
    for material in key.materials:
        writes.delete(key_rows.material_row(key.id, bytes.fromhex(material.id)))
    for alias in key.aliases:
        writes.delete(key_rows.alias_row(alias))
    after = replace(key, deletion=replace(key.deletion, has_begun=True), materials=(), current=None, aliases=())
    if await _change(region, key, after, writes):
        _log.info("KMS key deleted", extra={"region": region.store, "key": key.id})


async def _delete_rest(region: Region, key: KmsKey) -> None:
    rows: list[Row] = await region.engine.range(*key_rows.grant_range(key.id), GRANTS_AT_ONCE, _BYTES)
    writes = Writes()
    for row, stored in rows:
        grant_records.delete_grant(key_rows.grant_of(row)[0], grant_records.unpacked_grant(stored), writes)
    if rows:
        await _change(region, key, key, writes)
        return
    if key.manager == CUSTOMER:
        writes.add(key_rows.COUNT, -1)
    await _change(region, key, None, writes)


async def _rotate(region: Region, key: KmsKey, rotation: Rotation, now: float) -> None:
    next_one = rotation.next + rotation.days * DAY
    try:
        made, sealed = sealed_material.made(region, key.id, now, AUTOMATIC)
    except UnsupportedOperationException as error:
        _log.error("KMS key not rotated: %s", error.message, extra={"region": region.store, "key": key.id})
        await _change(region, key, replace(key, rotation=replace(rotation, next=now + DAY)), Writes())
        return
    writes = Writes()
    writes.put(sealed.row, sealed.value)
    # A key that could not be rotated for long is rotated once.
    again = replace(rotation, next=next_one if next_one > now else now + rotation.days * DAY)
    if await _change(region, key, replace(with_material(key, made), rotation=again), writes):
        _log.info("KMS key rotated", extra={"region": region.store, "key": key.id, "material": made.id})


async def _expire(region: Region, key: KmsKey, now: float) -> None:
    writes = Writes()
    gone = [one for one in key.materials if one.is_here and one.expires is not None and one.expires <= now]
    for material in gone:
        writes.delete(key_rows.material_row(key.id, bytes.fromhex(material.id)))
    kept = tuple(replace(one, is_here=False) if one in gone else one for one in key.materials)
    if gone and await _change(region, key, replace(key, materials=kept), writes):
        _log.info("imported material of a KMS key expired", extra={"region": region.store, "key": key.id})
