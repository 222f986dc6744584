"""What is done to keys when it is due, by a clock that the test sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jedlik.config import Settings
from jedlik.kms import due_keys, key_rows
from jedlik.kms.errors import DisabledException, InvalidCiphertextException, NotFoundException
from jedlik.regions.region import Region
from jedlik.root_key import RootKey, new_key
from testing import regions
from testing.kms_operations import call
from testing.regions import SetClock

DAY = 24 * 60 * 60.0


async def made(region: Region, **request: Any) -> str:
    """The id of a new key."""
    if not region.root_key.is_there:
        region.root_key = RootKey(new_key())
    metadata = (await call(region, "CreateKey", **request))["KeyMetadata"]
    key: str = metadata["KeyId"]
    return key


async def do_all(region: Region) -> None:
    """Do all that is due."""
    for _ in range(1000):
        if not await due_keys.run(region):
            return
    raise AssertionError("there is no end to it")


async def rows(region: Region) -> list[bytes]:
    """The rows of keys, counters aside."""
    every = await regions.everything(region)
    ours = (key_rows.KMS_KEYS.prefix, key_rows.KMS_MATERIAL.prefix)
    return [row for row, _ in every if row.startswith(ours) and row not in (key_rows.CHANGES, key_rows.COUNT)]


def test_a_key_is_deleted_at_its_date_with_all_that_belongs_to_it(tmp_path: Path) -> None:
    async def scenario(region: Region, clock: SetClock) -> None:
        key = await made(region)
        await call(region, "CreateAlias", AliasName="alias/mine", TargetKeyId=key)
        for number in range(due_keys.GRANTS_AT_ONCE + 1):
            grantee = f"arn:aws:iam::000000000000:role/{number}"
            await call(
                region,
                "CreateGrant",
                KeyId=key,
                GranteePrincipal=grantee,
                RetiringPrincipal=grantee,
                Operations=["Decrypt"],
            )
        blob = (await call(region, "Encrypt", KeyId=key, Plaintext=b"x"))["CiphertextBlob"]
        await call(region, "ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7)
        clock.now += 7 * DAY - 1
        await do_all(region)
        assert (await call(region, "DescribeKey", KeyId=key))["KeyMetadata"]["KeyState"] == "PendingDeletion"
        clock.now += 2
        assert await due_keys.run(region)
        for operation, request in (
            ("DescribeKey", {"KeyId": key}),
            ("CancelKeyDeletion", {"KeyId": key}),
            ("DescribeKey", {"KeyId": "alias/mine"}),
            ("ListGrants", {"KeyId": key}),
        ):
            with pytest.raises(NotFoundException):
                await call(region, operation, **request)
        assert (await call(region, "ListKeys"))["Keys"] == []
        assert not await region.engine.range(*key_rows.material_range(), 1, 1)
        await do_all(region)
        assert await rows(region) == []
        with pytest.raises(Exception, match="does not exist"):
            await call(region, "Decrypt", CiphertextBlob=blob)

    regions.run(tmp_path, scenario)


def test_a_cancelled_deletion_leaves_nothing_due(tmp_path: Path) -> None:
    async def scenario(region: Region, clock: SetClock) -> None:
        key = await made(region)
        await call(region, "ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7)
        await call(region, "CancelKeyDeletion", KeyId=key)
        clock.now += 8 * DAY
        assert not await due_keys.run(region)
        assert (await call(region, "DescribeKey", KeyId=key))["KeyMetadata"]["KeyState"] == "Disabled"

    regions.run(tmp_path, scenario)


def test_a_key_is_rotated_when_it_is_due(tmp_path: Path) -> None:
    async def scenario(region: Region, clock: SetClock) -> None:
        key = await made(region)
        blob = (await call(region, "Encrypt", KeyId=key, Plaintext=b"x"))["CiphertextBlob"]
        await call(region, "EnableKeyRotation", KeyId=key, RotationPeriodInDays=90)
        for number in range(1, 4):
            clock.now += 90 * DAY + 1
            await do_all(region)
            rotations = (await call(region, "ListKeyRotations", KeyId=key))["Rotations"]
            assert [one["RotationType"] for one in rotations] == ["AUTOMATIC"] * number
        status = await call(region, "GetKeyRotationStatus", KeyId=key)
        assert status["NextRotationDate"] == 1_000_000_000 + 4 * 90 * DAY
        assert (await call(region, "Decrypt", CiphertextBlob=blob))["Plaintext"] == b"x"

    regions.run(tmp_path, scenario)


def test_a_disabled_key_is_rotated_when_it_is_enabled_again(tmp_path: Path) -> None:
    async def scenario(region: Region, clock: SetClock) -> None:
        key = await made(region)
        await call(region, "EnableKeyRotation", KeyId=key)
        await call(region, "DisableKey", KeyId=key)
        clock.now += 2000 * DAY
        assert not await due_keys.run(region)
        with pytest.raises(DisabledException):
            await call(region, "Encrypt", KeyId=key, Plaintext=b"x")
        await call(region, "EnableKey", KeyId=key)
        await do_all(region)
        assert len((await call(region, "ListKeyRotations", KeyId=key))["Rotations"]) == 1
        assert (await call(region, "GetKeyRotationStatus", KeyId=key))["NextRotationDate"] == clock.now + 365 * DAY

    regions.run(tmp_path, scenario)


def test_a_key_is_not_rotated_without_the_root_key(tmp_path: Path) -> None:
    async def scenario(region: Region, clock: SetClock) -> None:
        key = await made(region)
        await call(region, "EnableKeyRotation", KeyId=key)
        region.root_key = RootKey()
        clock.now += 366 * DAY
        await do_all(region)
        assert (await call(region, "ListKeyRotations", KeyId=key))["Rotations"] == []
        region.root_key = RootKey(new_key())
        clock.now += 2 * DAY
        await do_all(region)
        assert len((await call(region, "ListKeyRotations", KeyId=key))["Rotations"]) == 1

    regions.run(tmp_path, scenario)


def test_nothing_is_done_while_the_clock_is_doubted(tmp_path: Path) -> None:
    async def scenario(region: Region, clock: SetClock) -> None:
        steady = SetClock()
        region.clock = type(region.clock)(clock, steady)
        key = await made(region)
        await call(region, "ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7)
        clock.now += 30 * DAY
        assert not await due_keys.run(region)
        assert (await call(region, "DescribeKey", KeyId=key))["KeyMetadata"]["KeyState"] == "PendingDeletion"

    regions.run(tmp_path, scenario)


def test_a_store_is_kept_open_for_its_dates(tmp_path: Path) -> None:
    async def scenario(region: Region, clock: SetClock) -> None:
        wanted = due_keys.duty(Settings()).wanted
        key = await made(region)
        assert not await wanted(region)
        await call(region, "EnableKeyRotation", KeyId=key)
        assert await wanted(region)

    regions.run(tmp_path, scenario)


def test_material_that_was_moved_to_another_row_does_not_open(tmp_path: Path) -> None:
    async def scenario(region: Region, clock: SetClock) -> None:
        one, other = await made(region), await made(region)
        blob = (await call(region, "Encrypt", KeyId=one, Plaintext=b"x"))["CiphertextBlob"]
        [(first, _)] = await region.engine.range(*key_rows.material_range(one), 2, 1 << 20)
        [(_, stolen)] = await region.engine.range(*key_rows.material_range(other), 2, 1 << 20)
        await regions.write(region, lambda writes: writes.put(first, stolen))
        with pytest.raises(Exception, match="cannot be opened"):
            await call(region, "Decrypt", CiphertextBlob=blob)

    regions.run(tmp_path, scenario)


def test_a_ciphertext_of_unknown_material_is_refused(tmp_path: Path) -> None:
    async def scenario(region: Region, clock: SetClock) -> None:
        key = await made(region)
        blob = bytearray((await call(region, "Encrypt", KeyId=key, Plaintext=b"x"))["CiphertextBlob"])
        blob[30] ^= 1
        with pytest.raises(InvalidCiphertextException):
            await call(region, "Decrypt", CiphertextBlob=bytes(blob))

    regions.run(tmp_path, scenario)
