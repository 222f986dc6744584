"""Keys as DynamoDB uses them, by grants: adopted, opened, refused when they cannot be used, and dropped."""

from __future__ import annotations

from pathlib import Path

import pytest

from jedlik.aws.context import Context, own
from jedlik.aws.table_keys import KeyAway, KeyUnusable
from jedlik.kms import due_keys, service
from jedlik.kms.errors import DisabledException, NotFoundException
from jedlik.regions.region import Region
from jedlik.root_key import RootKey, new_key
from testing import regions
from testing.kms_operations import OneRegion, call
from testing.regions import SetClock

PAIRS = {"aws:dynamodb:tableName": "music", "aws:dynamodb:subscriberId": "000000000000"}
KEYS = service.keys_of_tables(OneRegion())


def asked(region: Region) -> Context:
    return Context(region, "test", own(region))


async def made(region: Region) -> str:
    region.root_key = RootKey(new_key())
    arn: str = (await call(region, "CreateKey"))["KeyMetadata"]["Arn"]
    return arn


def test_a_key_is_adopted_opened_and_dropped(tmp_path: Path) -> None:
    async def scenario(region: Region, clock: SetClock) -> None:
        key = await made(region)
        adopted, plaintext = await KEYS.adopt(asked(region), key, PAIRS)
        assert (adopted.key_arn, len(plaintext)) == (key, 32)
        assert plaintext not in adopted.sealed
        assert await KEYS.open(region, adopted, PAIRS) == plaintext
        [grant] = (await call(region, "ListGrants", KeyId=key))["Grants"]
        assert (grant["GrantId"], grant["GranteePrincipal"]) == (adopted.grant, "dynamodb.us-east-1.amazonaws.com")
        assert grant["Constraints"] == {"EncryptionContextSubset": PAIRS}
        with pytest.raises(KeyUnusable):
            await KEYS.open(region, adopted, {**PAIRS, "aws:dynamodb:tableName": "films"})
        for _ in range(2):
            await KEYS.drop(region, adopted)
        assert (await call(region, "ListGrants", KeyId=key))["Grants"] == []
        with pytest.raises(KeyUnusable, match="AccessDeniedException"):
            await KEYS.check(region, adopted, PAIRS)

    regions.run(tmp_path, scenario)


def test_what_makes_a_key_unusable_and_usable_again(tmp_path: Path) -> None:
    async def scenario(region: Region, clock: SetClock) -> None:
        key = await made(region)
        adopted, plaintext = await KEYS.adopt(asked(region), key, PAIRS)
        seen = await KEYS.changes(region, adopted)
        for begin, end, name in (
            ("DisableKey", "EnableKey", "DisabledException"),
            ("ScheduleKeyDeletion", "CancelKeyDeletion", "KMSInvalidStateException"),
        ):
            await call(region, begin, KeyId=key)
            with pytest.raises(KeyUnusable) as refused:
                await KEYS.check(region, adopted, PAIRS)
            assert refused.value.name == name
            before, seen = seen, await KEYS.changes(region, adopted)
            assert before != seen
            await call(region, end, KeyId=key)
            await call(region, "EnableKey", KeyId=key)
            assert await KEYS.open(region, adopted, PAIRS) == plaintext
        await call(region, "RotateKeyOnDemand", KeyId=key)
        assert await KEYS.open(region, adopted, PAIRS) == plaintext
        root = region.root_key
        region.root_key = RootKey(new_key())
        with pytest.raises(KeyAway):
            await KEYS.open(region, adopted, PAIRS)
        region.root_key = root
        await call(region, "ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7)
        clock.now += 8 * 24 * 60 * 60
        while await due_keys.run(region):
            pass
        with pytest.raises(KeyUnusable, match="NotFoundException"):
            await KEYS.open(region, adopted, PAIRS)
        await KEYS.drop(region, adopted)

    regions.run(tmp_path, scenario)


def test_keys_that_are_not_adopted(tmp_path: Path) -> None:
    async def scenario(region: Region, clock: SetClock) -> None:
        key = await made(region)
        with pytest.raises(NotFoundException):
            await KEYS.adopt(asked(region), "alias/none", PAIRS)
        await call(region, "DisableKey", KeyId=key)
        with pytest.raises(DisabledException):
            await KEYS.adopt(asked(region), key, PAIRS)
        assert (await call(region, "ListGrants", KeyId=key))["Grants"] == []

    regions.run(tmp_path, scenario)


def test_without_a_key_it_is_that_of_dynamodb(tmp_path: Path) -> None:
    async def scenario(region: Region, clock: SetClock) -> None:
        await made(region)
        adopted, plaintext = await KEYS.adopt(asked(region), None, PAIRS)
        described = (await call(region, "DescribeKey", KeyId="alias/aws/dynamodb"))["KeyMetadata"]
        assert (adopted.key_arn, described["KeyManager"]) == (described["Arn"], "AWS")
        assert await KEYS.open(region, adopted, PAIRS) == plaintext

    regions.run(tmp_path, scenario)
