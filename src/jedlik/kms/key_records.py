"""KMS keys as values, and their stored form.

Everything that is known of a key but its material is one frozen value. A change is a function from it to the next one,
and `put` writes the next one with the rows that follow from it.

Sources: "Key states of AWS KMS keys" and "Rotate AWS KMS keys" in the developer guide; the API reference.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import orjson

from jedlik.kms import key_rows
from jedlik.kms.errors import DisabledException, KMSInvalidStateException
from jedlik.storage.engine import Writes

ENABLED, DISABLED, PENDING_IMPORT = "Enabled", "Disabled", "PendingImport"
PENDING_DELETION, PENDING_REPLICA_DELETION = "PendingDeletion", "PendingReplicaDeletion"
KMS, EXTERNAL = "AWS_KMS", "EXTERNAL"
"""Where the material of a key comes from."""
CUSTOMER, AWS = "CUSTOMER", "AWS"
"""Who manages a key."""
AUTOMATIC, ON_DEMAND = "AUTOMATIC", "ON_DEMAND"
DAY = 24 * 60 * 60.0
YEAR_DAYS = 365
MULTI_REGION = "mrk-"
"""What the ids of multi-region keys begin with."""
_KEPT = 1024
"""Records that a worker keeps parsed."""


@dataclass(frozen=True, slots=True)
class Material:
    """What is known of one material of a key."""

    id: str
    created: float
    """When it became the current one, in seconds since the epoch; when it came here, if it never did."""
    rotation: str | None = None
    """AUTOMATIC or ON_DEMAND; None for the first."""
    is_here: bool = True
    """False where imported material has been deleted or has expired."""
    expires: float | None = None
    """When imported material does, in seconds since the epoch."""
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Deletion:
    """That a key is going to be deleted."""

    date: float | None
    """None for a primary key that does not know yet when its replicas will be gone."""
    days: int
    """The waiting period."""
    waits: float | None = None
    """When the waiting period of a primary key begins: when its replicas will be gone."""
    has_begun: bool = False
    """Whether the key is gone for everybody: what is left of it is being removed."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """Automatic rotation."""

    days: int
    next: float


@dataclass(frozen=True, slots=True)
class MultiRegion:
    """The regions of a multi-region key."""

    here: str
    """Where this one is."""
    primary: str
    replicas: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KmsKey:
    """A KMS key. Dates are in seconds since the epoch."""

    id: str
    created: float
    policy: str
    description: str = ""
    origin: str = KMS
    manager: str = CUSTOMER
    is_enabled: bool = True
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    materials: tuple[Material, ...] = ()
    """In the order in which they became current; one that waits for that is the last."""
    current: str | None = None
    """The id of the material that encrypts."""
    deletion: Deletion | None = None
    rotation: Rotation | None = None
    on_demand: int = 0
    """How often it has been rotated on demand."""
    grants: int = 0
    """How many it has."""
    regions: MultiRegion | None = None
    bound: str | None = None
    """The policy with the unique ids of the users and roles that it names; None if it names none, and in rows of
    earlier versions."""

    @property
    def decisive(self) -> str:
        """The policy that decides: another user or role with the name of one that was deleted is somebody else."""
        return self.policy if self.bound is None else self.bound

    def state(self, now: float) -> str:
        """Its key state."""
        if self.deletion is not None:
            waits = self.deletion.date is None or (self.deletion.waits is not None and now < self.deletion.waits)
            return PENDING_REPLICA_DELETION if waits else PENDING_DELETION
        if self.origin == EXTERNAL and not self.has_material(now):
            return PENDING_IMPORT
        return ENABLED if self.is_enabled else DISABLED

    def has_material(self, now: float) -> bool:
        """Whether it has all material that it ever had, and some."""
        return bool(self.used) and all(is_here(one, now) for one in self.used)

    @property
    def used(self) -> tuple[Material, ...]:
        """The material that encrypts or has encrypted something."""
        at = next((at for at, one in enumerate(self.materials) if one.id == self.current), -1)
        return self.materials[: at + 1]

    @property
    def pending(self) -> Material | None:
        """Imported material that a rotation will make the current one."""
        waiting = self.materials[len(self.used) :]
        return waiting[-1] if waiting else None

    def material(self, material_id: str) -> Material | None:
        """Some material by its id."""
        return next((one for one in self.materials if one.id == material_id), None)

    @property
    def is_primary(self) -> bool:
        """Whether what all its regions share is changed here."""
        return self.regions is None or self.regions.here == self.regions.primary

    @property
    def due(self) -> float | None:
        """When something is to be done to it next."""
        if self.deletion is not None:
            return self.deletion.date
        dates = [one.expires for one in self.materials if one.is_here and one.expires is not None]
        if self.rotation is not None and self.is_enabled and self.is_primary:
            dates.append(self.rotation.next)
        return min(dates, default=None)


def is_here(material: Material, now: float) -> bool:
    """Whether material can be used."""
    return material.is_here and (material.expires is None or now < material.expires)


def new_id(is_multi_region: bool) -> str:
    """The id of a new key."""
    return f"{MULTI_REGION}{uuid.uuid4().hex}" if is_multi_region else str(uuid.uuid4())


def arn(region: str, account: str, key_id: str) -> str:
    """The ARN of a key."""
    return f"arn:aws:kms:{region}:{account}:key/{key_id}"


def check_enabled(key: KmsKey, key_arn: str, now: float) -> None:
    """Raise DisabledException or KMSInvalidStateException unless a key is enabled."""
    state = key.state(now)
    if state == DISABLED:
        raise DisabledException(f"{key_arn} is disabled.")
    check_not(key, key_arn, now, PENDING_DELETION, PENDING_REPLICA_DELETION, PENDING_IMPORT)


_SHOWN = {
    PENDING_DELETION: "pending deletion",
    PENDING_REPLICA_DELETION: "pending replica deletion",
    PENDING_IMPORT: "pending import",
}


def check_not(key: KmsKey, key_arn: str, now: float, *states: str) -> None:
    """Raise KMSInvalidStateException if a key is in one of these states."""
    state = key.state(now)
    if state in states:
        raise KMSInvalidStateException(f"{key_arn} is {_SHOWN[state]}.")


def put(before: KmsKey | None, after: KmsKey, writes: Writes) -> None:
    """Write a key, with what follows from it; `before` is what it was."""
    if before is not None and before.due is not None:
        writes.delete(key_rows.due_row(before.due, before.id))
    if after.due is not None:
        writes.put(key_rows.due_row(after.due, after.id), b"")
    writes.put(key_rows.key_row(after.id), packed(after))
    writes.add(key_rows.CHANGES, 1)


def packed(key: KmsKey) -> bytes:
    """The stored form."""
    members = {name: getattr(key, name) for name in KmsKey.__slots__}
    if key.bound is None:
        del members["bound"]  # Earlier versions do not know it.
    return orjson.dumps(members)


@lru_cache(maxsize=_KEPT)
def unpacked(stored: bytes) -> KmsKey:
    """Reads the stored form."""
    found: dict[str, Any] = orjson.loads(stored)
    deletion, rotation, regions = found.pop("deletion"), found.pop("rotation"), found.pop("regions")
    return KmsKey(
        **found
        | {
            "aliases": tuple(found["aliases"]),
            "materials": tuple(Material(**one) for one in found["materials"]),
            "deletion": None if deletion is None else Deletion(**deletion),
            "rotation": None if rotation is None else Rotation(**rotation),
            "regions": None
            if regions is None
            else MultiRegion(regions["here"], regions["primary"], tuple(regions["replicas"])),
        }
    )


def shown(key: KmsKey, region: str, account: str, now: float) -> dict[str, Any]:
    """A key as operations describe it."""
    state = key.state(now)
    metadata: dict[str, Any] = {
        "AWSAccountId": account,
        "KeyId": key.id,
        "Arn": arn(region, account, key.id),
        "CreationDate": key.created,
        "Enabled": state == ENABLED,
        "Description": key.description,
        "KeyUsage": "ENCRYPT_DECRYPT",
        "KeyState": state,
        "Origin": key.origin,
        "KeyManager": key.manager,
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "MultiRegion": key.regions is not None,
        "CurrentKeyMaterialId": key.current,
    }
    if key.deletion is not None:
        if state == PENDING_DELETION:
            metadata["DeletionDate"] = key.deletion.date
        else:
            metadata["PendingDeletionWindowInDays"] = key.deletion.days
    current = None if key.current is None else key.material(key.current)
    if key.origin == EXTERNAL and current is not None and is_here(current, now):
        metadata |= expiration(current)
    if key.regions is not None:
        metadata["MultiRegionConfiguration"] = {
            "MultiRegionKeyType": "PRIMARY" if key.is_primary else "REPLICA",
            "PrimaryKey": _place(key, account, key.regions.primary),
            "ReplicaKeys": [_place(key, account, one) for one in key.regions.replicas],
        }
    return metadata


def expiration(material: Material) -> dict[str, Any]:
    """Whether and when imported material expires, as operations show it."""
    if material.expires is None:
        return {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
    return {"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": material.expires}


def _place(key: KmsKey, account: str, region: str) -> dict[str, str]:
    return {"Arn": arn(region, account, key.id), "Region": region}


def with_material(key: KmsKey, made: Material) -> KmsKey:
    """A key whose current material is a new one."""
    return replace(key, materials=(*key.used, made), current=made.id)
