"""EnableKeyRotation, DisableKeyRotation, GetKeyRotationStatus, RotateKeyOnDemand and ListKeyRotations.

A rotation gives a key new material, which encrypts from then on. What earlier material has encrypted can still be
decrypted: ciphertexts name theirs. It is made at once; an automatic one in the background, when it is due (`due_keys`).

Sources: the API reference; "Rotate AWS KMS keys" in the developer guide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from jedlik.kms import key_rows, sealed_material
from jedlik.kms.errors import (
    KMSInvalidStateException,
    LimitExceededException,
    NotFoundException,
    UnsupportedOperationException,
)
from jedlik.kms.key_finding import KeyAt, change, there
from jedlik.kms.key_records import (
    DAY,
    EXTERNAL,
    ON_DEMAND,
    YEAR_DAYS,
    KmsKey,
    Material,
    Rotation,
    check_enabled,
    expiration,
    is_here,
    put,
    with_material,
)
from jedlik.kms.listing_markers import page_of
from jedlik.storage.engine import Writes

Request = dict[str, Any]
MOST_ON_DEMAND = 25
"""Rotations on demand of a key, in all."""
_MOST_PAGE = 1000


async def enable_key_rotation(at: KeyAt, request: Request) -> None:
    """Rotate a key at intervals."""
    days = request.get("RotationPeriodInDays", YEAR_DAYS)

    def changed(key: KmsKey) -> KmsKey:
        _check_automatic(at, key)
        return replace(key, rotation=Rotation(days, at.now + days * DAY))

    await change(at, changed)


async def disable_key_rotation(at: KeyAt, request: Request) -> None:
    """Rotate a key no more, unless it is demanded."""

    def changed(key: KmsKey) -> KmsKey:
        _check_automatic(at, key)
        return replace(key, rotation=None)

    await change(at, changed)


async def get_key_rotation_status(at: KeyAt, request: Request) -> Request:
    """Whether and when a key is rotated."""
    rotation = at.key.rotation
    if rotation is None or at.key.deletion is not None:
        return {"KeyId": at.arn, "KeyRotationEnabled": False}
    return {
        "KeyId": at.arn,
        "KeyRotationEnabled": True,
        "RotationPeriodInDays": rotation.days,
        "NextRotationDate": rotation.next,
    }


async def rotate_key_on_demand(at: KeyAt, request: Request) -> Request:
    """Rotate a key now: with material that was imported for it, if the key's material is imported."""
    made, sealed = sealed_material.made(at.region, at.key.id, at.now, ON_DEMAND)
    row = key_rows.key_row(at.key.id)

    def decide(found: Sequence[bytes | None]) -> tuple[Writes, None]:
        key = there(found[0])
        if key is None:
            raise NotFoundException(f"Key '{at.arn}' does not exist")
        check_enabled(key, at.arn, at.now)
        check_primary(at, key)
        if key.on_demand >= MOST_ON_DEMAND:
            raise LimitExceededException(f"A KMS key may be rotated on demand {MOST_ON_DEMAND} times")
        writes = Writes()
        if key.origin == EXTERNAL:
            waiting = key.pending
            if waiting is None or not is_here(waiting, at.now):
                raise KMSInvalidStateException(f"{at.arn} has no imported key material that waits for a rotation.")
            after = with_material(key, replace(waiting, created=at.now, rotation=ON_DEMAND))
        else:
            after = with_material(key, made)
            writes.put(sealed.row, sealed.value)
        put(key, replace(after, on_demand=key.on_demand + 1), writes)
        return writes, None

    await at.region.engine.mutate([row], decide)
    return {"KeyId": at.arn}


async def list_key_rotations(at: KeyAt, request: Request) -> Request:
    """The rotations of a key, or all its material."""
    key = at.key
    every = request.get("IncludeKeyMaterial") == "ALL_KEY_MATERIAL"
    materials = key.materials if every else [one for one in key.used if one.rotation is not None]
    numbered = [(f"{number:06}", one) for number, one in enumerate(materials)]
    page, more = page_of(
        at.region, f"ListKeyRotations {key.id}", request, numbered, lambda one: str(one[0]), _MOST_PAGE
    )
    return {"Rotations": [_shown(at, one) for _, one in page], **more}


def _shown(at: KeyAt, material: Material) -> Request:
    key = at.key
    state = "CURRENT" if material.id == key.current else "NON_CURRENT"
    if material not in key.used:
        state = "PENDING_ROTATION"
    members: Request = {"KeyId": at.arn, "KeyMaterialId": material.id, "KeyMaterialState": state}
    if material.rotation is not None:
        members |= {"RotationDate": material.created, "RotationType": material.rotation}
    if key.origin == EXTERNAL:
        members["ImportState"] = "IMPORTED" if is_here(material, at.now) else "PENDING_IMPORT"
        members["KeyMaterialDescription"] = material.description
        members |= expiration(material)
    return {name: value for name, value in members.items() if value is not None}


def _check_automatic(at: KeyAt, key: KmsKey) -> None:
    """Raise UnsupportedOperationException, or for its state, unless a key can be rotated automatically."""
    if key.origin == EXTERNAL:
        raise UnsupportedOperationException(f"{at.arn} origin is EXTERNAL which is not valid for this operation.")
    check_primary(at, key)
    check_enabled(key, at.arn, at.now)


def check_primary(at: KeyAt, key: KmsKey) -> None:
    """Raise UnsupportedOperationException for a replica: what all regions share is changed at the primary key."""
    if key.regions is not None and not key.is_primary:
        raise UnsupportedOperationException(
            f"{at.arn} is a replica key: this is done to the primary key, in {key.regions.primary}."
        )
