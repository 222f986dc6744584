"""Material as it is stored: sealed by the root key for its row, so that it opens nowhere else.

What was opened is kept for a while, by what was sealed: a key that is gone, or whose material has been deleted, has no
row any more, and nothing that is kept of it can be found.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from jedlik import root_key
from jedlik.kms import key_material, key_rows
from jedlik.kms.errors import KMSInternalException, UnsupportedOperationException
from jedlik.kms.key_records import Material
from jedlik.root_key import NoRootKey, RootKey, Unsealable

if TYPE_CHECKING:
    from jedlik.regions.region import Region

_KEPT = 256
"""Materials that a worker keeps open."""


class SealedRow(NamedTuple):
    """A row with sealed material."""

    row: bytes
    value: bytes


def made(region: Region, key_id: str, now: float, rotation: str | None = None) -> tuple[Material, SealedRow]:
    """New material for a key. Raises UnsupportedOperationException where there is no root key."""
    material = key_material.new_material()
    id_ = key_material.material_id(material, key_id)
    return Material(id_, now, rotation), sealed(region, key_id, id_, material)


def sealed(region: Region, key_id: str, material_id: str, material: bytes) -> SealedRow:
    """The row of some material. Raises as `made` does."""
    row = key_rows.material_row(key_id, bytes.fromhex(material_id))
    try:
        return SealedRow(row, region.root_key.seal(material, root_key.place(region.account, region.name, row)))
    except NoRootKey as error:
        raise UnsupportedOperationException(f"Key material cannot be kept: {error}") from None


async def opened(region: Region, key_id: str, material_id: str) -> bytes | None:
    """Some material of a key; None if it is not here. Raises KMSInternalException where it cannot be opened."""
    row = key_rows.material_row(key_id, bytes.fromhex(material_id))
    [value] = await region.engine.get([row])
    if value is None:
        return None
    try:
        return _unsealed(region.root_key, value, root_key.place(region.account, region.name, row))
    except Unsealable as error:
        raise KMSInternalException(f"The material of the key {key_id} cannot be opened: {error}") from None


@lru_cache(maxsize=_KEPT)
def _unsealed(key: RootKey, value: bytes, place: bytes) -> bytes:
    return key.unseal(value, place)
