"""`jedlik check` finds rows of keys that do not agree with each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from jedlik.kms import due_keys, grant_records, key_rows
from jedlik.kms.alias_records import AliasRecord
from jedlik.kms.key_records import KmsKey, packed, unpacked
from jedlik.process.services import SERVICES
from jedlik.regions import keyspaces
from jedlik.regions.region import Region
from jedlik.root_key import RootKey, new_key
from jedlik.storage.engine import Writes
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
from jedlik.upkeep.check import StoreCheck
from testing import regions
from testing.kms_operations import call
from testing.regions import SetClock

ROLE = "arn:aws:iam::000000000000:role/r"


def problems(region: Region) -> list[str]:
    """The findings in a store as it is now."""
    assert isinstance(region.engine, LmdbEngine)
    with region.engine.view() as view:
        return list(StoreCheck(view, SERVICES).problems())


async def filled(region: Region) -> KmsKey:
    """A store with one of everything, and its key."""
    region.root_key = RootKey(new_key())
    await regions.write(region, lambda writes: writes.put(keyspaces.secret_key(), region.secret))
    key = (await call(region, "CreateKey"))["KeyMetadata"]["KeyId"]
    await call(region, "CreateAlias", AliasName="alias/mine", TargetKeyId=key)
    wanted = {"GranteePrincipal": ROLE, "RetiringPrincipal": ROLE, "Operations": ["Decrypt"]}
    await call(region, "CreateGrant", KeyId=key, **wanted)
    await call(region, "EnableKeyRotation", KeyId=key)
    await call(region, "RotateKeyOnDemand", KeyId=key)
    await call(region, "DescribeKey", KeyId="alias/aws/dynamodb")
    external = (await call(region, "CreateKey", Origin="EXTERNAL"))["KeyMetadata"]["KeyId"]
    await call(region, "ScheduleKeyDeletion", KeyId=external)
    [stored] = await region.engine.get([key_rows.key_row(key)])
    assert stored is not None
    return unpacked(stored)


Damage = Callable[[KmsKey, Writes], None]
DAMAGES: dict[str, tuple[Damage, str]] = {
    "a key": (lambda key, writes: writes.put(key_rows.key_row(key.id), b"{}"), "KMS key under "),
    "no key": (lambda key, writes: writes.delete(key_rows.alias_row("alias/mine")), "it has no alias alias/mine"),
    "another name": (
        lambda key, writes: writes.put(key_rows.alias_row("alias/x"), AliasRecord(key.id, 1.0, 1.0).packed()),
        "alias/x names the KMS key ",
    ),
    "an alias": (lambda key, writes: writes.put(key_rows.alias_row("alias/mine"), b"?"), "alias/mine: it cannot"),
    "no material": (
        lambda key, writes: writes.delete(key_rows.material_row(key.id, bytes.fromhex(key.materials[0].id))),
        " is missing",
    ),
    "more material": (
        lambda key, writes: writes.put(key_rows.material_row(key.id, bytes(32)), b""),
        "which it does not have",
    ),
    "no date": (lambda key, writes: writes.delete(key_rows.due_row(key.due or 0.0, key.id)), "is not noted"),
    "another date": (
        lambda key, writes: writes.put(key_rows.due_row(5.0, key.id), b""),
        "a date is noted that it does not have",
    ),
    "no such grantee": (
        lambda key, writes: writes.put(key_rows.grantee_row(key.id, "x", "y"), b""),
        "leads to a grant that is not there",
    ),
    "a grant": (lambda key, writes: writes.put(key_rows.grant_row(key.id, "0"), b"?"), "grant under "),
    "counts": (lambda key, writes: writes.add(key_rows.COUNT, 1), "there are 2 KMS keys of customers, and 3"),
    "grants": (
        lambda key, writes: writes.put(key_rows.key_row(key.id), packed(replace(key, grants=2))),
        "it has 1 grants, and 2 were counted",
    ),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_rows_that_do_not_agree(tmp_path: Path, what: str) -> None:
    damage, words = DAMAGES[what]

    async def scenario(region: Region, clock: SetClock) -> None:
        key = await filled(region)
        assert problems(region) == []
        await regions.write(region, lambda writes: damage(key, writes))
        found = problems(region)
        assert any(words in line for line in found), found

    regions.run(tmp_path, scenario)


def test_a_grant_that_nothing_leads_to(tmp_path: Path) -> None:
    async def scenario(region: Region, clock: SetClock) -> None:
        key = await filled(region)
        [(_, stored)] = await region.engine.range(*key_rows.grant_range(key.id), 2, 1 << 20)
        grant = grant_records.unpacked_grant(stored)
        first, *_ = grant_records.leading_rows(key.id, grant)
        await regions.write(region, lambda writes: writes.delete(first))
        [found] = problems(region)
        assert found.endswith("is missing")

    regions.run(tmp_path, scenario)


def test_a_deletion_leaves_nothing_to_find(tmp_path: Path) -> None:
    async def scenario(region: Region, clock: SetClock) -> None:
        key = await filled(region)
        await call(region, "ScheduleKeyDeletion", KeyId=key.id, PendingWindowInDays=7)
        clock.now += 400 * 24 * 60 * 60
        assert problems(region) == []
        while await due_keys.run(region):
            assert problems(region) == []
        assert (await call(region, "ListKeys"))["Keys"] != []  # That of AWS's.

    regions.run(tmp_path, scenario)
