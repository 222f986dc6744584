"""Aliases: made, moved, listed, deleted; those of AWS."""

from __future__ import annotations

from typing import Any

import pytest

from testing.identities import refusal

ARN = "arn:aws:kms:us-east-1:000000000000:"


def aliases_of(kms: Any, key: str) -> list[str]:
    return [one["AliasName"] for one in kms.list_aliases(KeyId=key)["Aliases"]]


def test_a_key_is_named_by_its_aliases(kms: Any, key: str) -> None:
    kms.create_alias(AliasName="alias/my/Key_1-a", TargetKeyId=key)
    for name in ("alias/my/Key_1-a", f"{ARN}alias/my/Key_1-a"):
        assert kms.describe_key(KeyId=name)["KeyMetadata"]["KeyId"] == key
        blob = kms.encrypt(KeyId=name, Plaintext=b"x")["CiphertextBlob"]
        assert kms.decrypt(KeyId=name, CiphertextBlob=blob)["KeyId"] == f"{ARN}key/{key}"
    [listed] = kms.list_aliases(KeyId=key)["Aliases"]
    assert (listed["AliasArn"], listed["TargetKeyId"]) == (f"{ARN}alias/my/Key_1-a", key)
    _, code, text = refusal(kms.create_alias, AliasName="alias/my/Key_1-a", TargetKeyId=key)
    assert (code, text) == ("AlreadyExistsException", f"An alias with the name {ARN}alias/my/Key_1-a already exists")
    kms.delete_alias(AliasName="alias/my/Key_1-a")
    missing = (400, "NotFoundException", f"Alias {ARN}alias/my/Key_1-a is not found.")
    assert refusal(kms.describe_key, KeyId="alias/my/Key_1-a") == missing
    assert refusal(kms.delete_alias, AliasName="alias/my/Key_1-a") == missing
    assert refusal(kms.update_alias, AliasName="alias/my/Key_1-a", TargetKeyId=key) == missing
    assert aliases_of(kms, key) == []


def test_an_alias_moves_to_another_key(kms: Any, key: str) -> None:
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/moving", TargetKeyId=key)
    created = kms.list_aliases(KeyId=key)["Aliases"][0]["CreationDate"]
    for _ in range(2):
        kms.update_alias(AliasName="alias/moving", TargetKeyId=other)
        assert kms.describe_key(KeyId="alias/moving")["KeyMetadata"]["KeyId"] == other
        assert (aliases_of(kms, key), aliases_of(kms, other)) == ([], ["alias/moving"])
    assert kms.list_aliases(KeyId=other)["Aliases"][0]["CreationDate"] == created


def test_a_key_has_fifty_aliases_which_are_listed_page_by_page(kms: Any, key: str) -> None:
    names = [f"alias/fifty-{number:02}" for number in range(50)]
    for name in names:
        kms.create_alias(AliasName=name, TargetKeyId=key)
    assert refusal(kms.create_alias, AliasName="alias/fifty-one", TargetKeyId=key)[1] == "LimitExceededException"
    pages = kms.get_paginator("list_aliases").paginate(KeyId=key, PaginationConfig={"PageSize": 20})
    assert [one["AliasName"] for page in pages for one in page["Aliases"]] == names
    pages = kms.get_paginator("list_aliases").paginate(PaginationConfig={"PageSize": 30})
    listed = [one["AliasName"] for page in pages for one in page["Aliases"]]
    assert listed == sorted(listed)
    assert set(names) <= set(listed)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("alias/aws/mine", "NotAuthorizedException"),
        ("mine", "InvalidAliasNameException"),
        ("alias/", "InvalidAliasNameException"),
        ("alias/a:b", "InvalidAliasNameException"),
        ("alias/a b", "ValidationException"),
    ],
)
def test_names_that_no_alias_has(kms: Any, key: str, name: str, code: str) -> None:
    assert refusal(kms.create_alias, AliasName=name, TargetKeyId=key)[:2] == (400, code)


def test_an_alias_will_not_do_where_a_key_is_managed(kms: Any, key: str) -> None:
    kms.create_alias(AliasName="alias/managed", TargetKeyId=key)
    invalid = (400, "NotFoundException", "Invalid keyId 'alias/managed'")
    assert refusal(kms.disable_key, KeyId="alias/managed") == invalid
    assert refusal(kms.create_alias, AliasName="alias/other", TargetKeyId="alias/managed") == invalid


def test_the_key_of_dynamodb_is_made_when_it_is_first_named(server: Any) -> None:
    kms = server.client("kms", region="eu-north-1")
    assert kms.list_aliases()["Aliases"] == []
    found = kms.describe_key(KeyId="alias/aws/dynamodb")["KeyMetadata"]
    assert (found["KeyManager"], found["KeyState"]) == ("AWS", "Enabled")
    assert kms.describe_key(KeyId="alias/aws/dynamodb")["KeyMetadata"] == found
    assert [one["AliasName"] for one in kms.list_aliases()["Aliases"]] == ["alias/aws/dynamodb"]
    key, arn = found["KeyId"], found["Arn"]
    for call, request in (
        (kms.disable_key, {}),
        (kms.schedule_key_deletion, {}),
        (kms.put_key_policy, {"Policy": "{}"}),
        (kms.tag_resource, {"Tags": [{"TagKey": "a", "TagValue": "b"}]}),
    ):
        _, code, text = refusal(call, KeyId=key, **request)
        action = "".join(word.capitalize() for word in call.__name__.split("_"))
        assert code == "AccessDeniedException"
        assert text.endswith(
            f"is not authorized to perform: kms:{action} on resource: {arn} "
            f"because no resource-based policy allows the kms:{action} action"
        )
    assert refusal(kms.describe_key, KeyId="alias/aws/nothing")[1] == "NotFoundException"
