"""Grants as they are made, listed and taken away, by callers who may do everything."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from jedlik.kms import grant_records
from jedlik.kms.grant_records import Grant
from jedlik.regions.region import Region
from jedlik.root_key import RootKey, new_key
from jedlik.storage.engine import Writes
from testing import regions
from testing.identities import refusal
from testing.kms_operations import call
from testing.regions import SetClock

ARN = "arn:aws:kms:us-east-1:000000000000:key/"
ONE, OTHER = (f"arn:aws:iam::000000000000:role/{name}" for name in ("one", "other"))
MISSING = "0" * 64


def test_a_grant_from_first_to_last(kms: Any, key: str) -> None:
    constraints = {"EncryptionContextSubset": {"table": "music"}}
    wanted = {"KeyId": key, "GranteePrincipal": ONE, "Operations": ["Encrypt", "Decrypt"], "Constraints": constraints}
    made = kms.create_grant(**wanted, RetiringPrincipal=OTHER, Name="first")
    [listed] = kms.list_grants(KeyId=key)["Grants"]
    del listed["CreationDate"]
    assert listed == {
        "KeyId": ARN + key,
        "GrantId": made["GrantId"],
        "Name": "first",
        "GranteePrincipal": ONE,
        "RetiringPrincipal": OTHER,
        "IssuingAccount": "arn:aws:iam::000000000000:root",
        "Operations": ["Encrypt", "Decrypt"],
        "Constraints": constraints,
    }
    assert kms.create_grant(**wanted, RetiringPrincipal=OTHER, Name="first")["GrantId"] == made["GrantId"]
    second = kms.create_grant(**wanted)["GrantId"]
    assert second != kms.create_grant(**wanted)["GrantId"]
    assert len(kms.list_grants(KeyId=key)["Grants"]) == 3
    assert [one["GrantId"] for one in kms.list_grants(KeyId=key, GrantId=second)["Grants"]] == [second]
    assert kms.list_grants(KeyId=key, GranteePrincipal=OTHER)["Grants"] == []
    assert [one["GrantId"] for one in kms.list_retirable_grants(RetiringPrincipal=OTHER)["Grants"]] == [made["GrantId"]]
    kms.retire_grant(GrantToken=made["GrantToken"])
    assert kms.list_retirable_grants(RetiringPrincipal=OTHER)["Grants"] == []
    kms.revoke_grant(KeyId=key, GrantId=second)
    missing = (400, "NotFoundException", f"Grant ID {second} not found")
    assert refusal(kms.revoke_grant, KeyId=key, GrantId=second) == missing
    assert len(kms.list_grants(KeyId=key)["Grants"]) == 1


def test_grants_are_listed_page_by_page(kms: Any, key: str) -> None:
    retiring = f"{OTHER}/{key}"
    made = {
        kms.create_grant(KeyId=key, GranteePrincipal=ONE, RetiringPrincipal=retiring, Operations=["Decrypt"])["GrantId"]
        for _ in range(5)
    }
    for name, request in (("list_grants", {"KeyId": key}), ("list_retirable_grants", {"RetiringPrincipal": retiring})):
        pages = []
        more: dict[str, str] = {}
        while True:
            page = getattr(kms, name)(**request, **more, Limit=2)
            pages.append([one["GrantId"] for one in page["Grants"]])
            if not page["Truncated"]:
                break
            more = {"Marker": page["NextMarker"]}
        assert [len(page) for page in pages] == [2, 2, 1]
        assert {one for page in pages for one in page} == made


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"GranteePrincipal": "nobody"}, "InvalidArnException"),
        ({"GranteePrincipal": "arn:aws:s3:::bucket"}, "InvalidArnException"),
        ({"GranteePrincipal": "dynamodb.us-east-1.amazonaws.com"}, "InvalidArnException"),
        ({"RetiringPrincipal": "nobody"}, "InvalidArnException"),
        ({"Operations": ["Sign"]}, "ValidationException"),
        ({"Operations": ["Fly"]}, "ValidationException"),
        ({"GranteePrincipal": None}, "ValidationException"),
        ({"GranteeServicePrincipal": "dynamodb.amazonaws.com"}, "ValidationException"),
        (
            {"Constraints": {"EncryptionContextSubset": {"a": "1"}, "EncryptionContextEquals": {"a": "1"}}},
            "ValidationException",
        ),
        ({"Constraints": {"EncryptionContextEquals": {str(n): "x" for n in range(9)}}}, "ValidationException"),
        ({"Constraints": {"EncryptionContextEquals": {"a": "x" * 400}}}, "ValidationException"),
        ({"KeyId": "alias/x"}, "NotFoundException"),
        ({"GrantTokens": ["nonsense"]}, "InvalidGrantTokenException"),
        ({"DryRun": True}, "DryRunOperationException"),
    ],
)
def test_grants_that_are_not_made(kms: Any, key: str, changed: dict[str, Any], code: str) -> None:
    request = {"KeyId": key, "GranteePrincipal": ONE, "Operations": ["Decrypt"], **changed}
    request = {name: value for name, value in request.items() if value is not None}
    assert refusal(kms.create_grant, **request)[:2] == (400, code)
    assert kms.list_grants(KeyId=key)["Grants"] == []


def test_a_disabled_key_gets_no_grant(kms: Any, key: str) -> None:
    kms.disable_key(KeyId=key)
    refused = refusal(kms.create_grant, KeyId=key, GranteePrincipal=ONE, Operations=["Decrypt"])
    assert refused == (400, "DisabledException", f"{ARN}{key} is disabled.")


def test_what_names_no_grant(kms: Any, key: str) -> None:
    neither = "Please specify either a grant token, or a key and a grant ID."
    for request in ({}, {"KeyId": key}, {"GrantToken": "x", "KeyId": key, "GrantId": MISSING}):
        assert refusal(kms.retire_grant, **request) == (400, "ValidationException", neither)
    assert refusal(kms.retire_grant, GrantToken="nonsense")[1] == "InvalidGrantTokenException"
    assert refusal(kms.retire_grant, KeyId=key, GrantId=MISSING)[1] == "NotFoundException"
    assert refusal(kms.revoke_grant, KeyId=key, GrantId="nonsense")[1] == "InvalidGrantIdException"
    assert refusal(kms.list_retirable_grants)[1] == "ValidationException"


def test_a_grant_token_belongs_to_its_region(server: Any, kms: Any, key: str) -> None:
    token = kms.create_grant(KeyId=key, GranteePrincipal=ONE, Operations=["Decrypt"])["GrantToken"]
    elsewhere = server.client("kms", region="eu-west-1")
    other = elsewhere.create_key()["KeyMetadata"]["KeyId"]
    request = {"KeyId": other, "Plaintext": b"x", "GrantTokens": [token]}
    assert refusal(elsewhere.encrypt, **request)[1] == "InvalidGrantTokenException"
    assert kms.encrypt(KeyId=key, Plaintext=b"x", GrantTokens=[token])["KeyId"] == ARN + key


def test_a_look_through_many_grants_lets_others_go_on(tmp_path: Path) -> None:
    async def scenario(region: Region, clock: SetClock) -> None:
        region.root_key = RootKey(new_key())
        key = (await call(region, "CreateKey"))["KeyMetadata"]["KeyId"]
        grants = [
            Grant(id=f"{number:064x}", created=0.0, operations=("Encrypt",), issuer="000000000000", grantee=ONE)
            for number in range(1000)
        ]

        def fill(writes: Writes) -> None:
            for one in grants:
                grant_records.put_grant(key, one, writes)

        await regions.write(region, fill)
        turns, is_done = 0, False

        async def count() -> None:
            nonlocal turns
            while not is_done:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.ensure_future(count())
        assert not await grant_records.is_granted(region, key, "Decrypt", {}, {ONE})
        assert turns >= 10
        turns = 0
        listed = await call(region, "ListGrants", KeyId=key, GrantId="f" * 64)
        assert (listed["Grants"], turns >= 10) == ([], True)
        turns = 0
        await call(region, "CreateGrant", KeyId=key, GranteePrincipal=ONE, Operations=["Decrypt"], Name="named")
        assert turns >= 10
        is_done = True
        await counting

    regions.run(tmp_path, scenario)
