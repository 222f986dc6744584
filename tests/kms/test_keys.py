"""Keys from first to last: made, described, listed, disabled, deleted; what is refused, in which words."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from testing.identities import refusal

ACCOUNT = "000000000000"
REGION = "us-east-1"
MISSING = "11111111-2222-3333-4444-555555555555"


def arn(key: str, account: str = ACCOUNT, region: str = REGION) -> str:
    return f"arn:aws:kms:{region}:{account}:key/{key}"


def test_a_key_is_described_as_it_was_made(kms: Any) -> None:
    made = kms.create_key(Description="test key 123", Tags=[{"TagKey": "team", "TagValue": "blue"}])["KeyMetadata"]
    key = made["KeyId"]
    assert uuid.UUID(key).version == 4
    assert abs(made["CreationDate"] - datetime.now(UTC)) < timedelta(minutes=5)
    expected = {
        "AWSAccountId": ACCOUNT,
        "Arn": arn(key),
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "Description": "test key 123",
        "Enabled": True,
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "KeyId": key,
        "KeyManager": "CUSTOMER",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "KeyState": "Enabled",
        "KeyUsage": "ENCRYPT_DECRYPT",
        "MultiRegion": False,
        "Origin": "AWS_KMS",
    }
    assert {name: made[name] for name in expected} == expected
    assert made.keys() - expected.keys() == {"CreationDate", "CurrentKeyMaterialId"}
    for name in (key, arn(key)):
        assert kms.describe_key(KeyId=name)["KeyMetadata"] == made
    assert kms.list_resource_tags(KeyId=key)["Tags"] == [{"TagKey": "team", "TagValue": "blue"}]


def test_keys_are_listed_page_by_page(kms: Any) -> None:
    made = {kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(5)}
    pages = list(kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 2}))
    listed = [one["KeyId"] for page in pages for one in page["Keys"]]
    assert made <= set(listed)
    assert listed == sorted(listed)
    assert all(len(page["Keys"]) <= 2 for page in pages)
    assert kms.list_keys(Limit=1)["Truncated"]
    assert refusal(kms.list_keys, Marker="nonsense")[1] == "InvalidMarkerException"
    assert kms.list_keys(ResourceOwners=["OTHER_ACCOUNTS_VIA_RAM"])["Keys"] == []


@pytest.mark.parametrize(
    ("named", "code", "text"),
    [
        (MISSING, "NotFoundException", f"Key '{arn(MISSING)}' does not exist"),
        (arn(MISSING), "NotFoundException", f"Key '{arn(MISSING)}' does not exist"),
        ("fake-key-id", "NotFoundException", "Invalid keyId 'fake-key-id'"),
        ("mrk-fake-key-id", "NotFoundException", "Invalid keyId 'mrk-fake-key-id'"),
        (MISSING.replace("-", ""), "NotFoundException", f"Invalid keyId '{MISSING.replace('-', '')}'"),
        (arn(MISSING, region="eu-west-1"), "NotFoundException", "Invalid arn eu-west-1"),
        ("arn:aws:kms:us-east-1", "InvalidArnException", "Invalid arn arn:aws:kms:us-east-1"),
        ("alias/none", "NotFoundException", f"Alias arn:aws:kms:{REGION}:{ACCOUNT}:alias/none is not found."),
    ],
)
def test_what_is_no_key_is_not_found(kms: Any, named: str, code: str, text: str) -> None:
    assert refusal(kms.describe_key, KeyId=named) == (400, code, text)


def test_a_key_lives_in_one_region(server: Any, kms: Any, key: str) -> None:
    elsewhere = server.client("kms", region="eu-west-1")
    expected = (400, "NotFoundException", f"Key '{arn(key, region='eu-west-1')}' does not exist")
    assert refusal(elsewhere.describe_key, KeyId=key) == expected
    assert refusal(elsewhere.encrypt, KeyId=key, Plaintext=b"x") == expected


def test_a_disabled_key_is_refused_until_it_is_enabled(kms: Any, key: str) -> None:
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    kms.disable_key(KeyId=key)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"
    disabled = (400, "DisabledException", f"{arn(key)} is disabled.")
    assert refusal(kms.encrypt, KeyId=key, Plaintext=b"x") == disabled
    assert refusal(kms.decrypt, CiphertextBlob=blob) == disabled
    assert refusal(kms.generate_data_key, KeyId=key, KeySpec="AES_256") == disabled
    kms.enable_key(KeyId=key)
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


def test_a_key_that_waits_for_its_deletion(kms: Any, key: str) -> None:
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    scheduled = kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert (scheduled["KeyId"], scheduled["KeyState"], scheduled["PendingWindowInDays"]) == (
        arn(key),
        "PendingDeletion",
        7,
    )
    metadata = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert (metadata["KeyState"], metadata["Enabled"]) == ("PendingDeletion", False)
    assert metadata["DeletionDate"] == scheduled["DeletionDate"]
    assert abs(metadata["DeletionDate"] - datetime.now(UTC) - timedelta(days=7)) < timedelta(minutes=5)
    pending = (400, "KMSInvalidStateException", f"{arn(key)} is pending deletion.")
    for call, request in (
        (kms.encrypt, {"KeyId": key, "Plaintext": b"x"}),
        (kms.decrypt, {"CiphertextBlob": blob}),
        (kms.enable_key, {"KeyId": key}),
        (kms.disable_key, {"KeyId": key}),
        (kms.schedule_key_deletion, {"KeyId": key}),
        (kms.tag_resource, {"KeyId": key, "Tags": [{"TagKey": "a", "TagValue": "b"}]}),
        (kms.untag_resource, {"KeyId": key, "TagKeys": ["a"]}),
        (kms.update_key_description, {"KeyId": key, "Description": "x"}),
        (kms.create_alias, {"AliasName": "alias/late", "TargetKeyId": key}),
    ):
        assert refusal(call, **request) == pending, call
    assert kms.cancel_key_deletion(KeyId=key)["KeyId"] == arn(key)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"
    not_pending = (400, "KMSInvalidStateException", f"{arn(key)} is not pending deletion.")
    assert refusal(kms.cancel_key_deletion, KeyId=key) == not_pending
    kms.enable_key(KeyId=key)
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


@pytest.mark.parametrize("days", [6, 31])
def test_the_waiting_period_has_bounds(kms: Any, key: str, days: int) -> None:
    status, code, text = refusal(kms.schedule_key_deletion, KeyId=key, PendingWindowInDays=days)
    assert (status, code) == (400, "ValidationException")
    assert text.startswith(f"1 validation error detected: Value '{days}' at 'pendingWindowInDays' failed to satisfy")
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (
            {"KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY"},
            "UnsupportedOperationException",
            "Jedlik does not support asymmetric keys (RSA_2048): its keys are symmetric (SYMMETRIC_DEFAULT), "
            "for encryption",
        ),
        (
            {"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"},
            "UnsupportedOperationException",
            "Jedlik does not support HMAC keys (HMAC_256): its keys are symmetric (SYMMETRIC_DEFAULT), for encryption",
        ),
        (
            {"KeyUsage": "SIGN_VERIFY"},
            "ValidationException",
            "KeyUsage SIGN_VERIFY is not compatible with KeySpec SYMMETRIC_DEFAULT",
        ),
        (
            {"KeySpec": "SYMMETRIC_DEFAULT", "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT"},
            "ValidationException",
            "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. "
            "CustomerMasterKeySpec is deprecated.",
        ),
        (
            {"Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": "cks-1"},
            "UnsupportedOperationException",
            "Jedlik does not support custom key stores: Origin is AWS_KMS or EXTERNAL",
        ),
        (
            {"Tags": [{"TagKey": "a", "TagValue": "1"}, {"TagKey": "a", "TagValue": "2"}]},
            "TagException",
            "Duplicate tag keys",
        ),
        ({"Tags": [{"TagKey": f"k{n}", "TagValue": ""} for n in range(51)]}, "TagException", "Too many tags"),
        (
            {"Tags": [{"TagKey": "aws:x", "TagValue": ""}]},
            "TagException",
            "Tag keys that begin with aws: are reserved",
        ),
        ({"Policy": "{"}, "MalformedPolicyDocumentException", "Syntax errors in policy."),
    ],
)
def test_keys_that_are_not_made(kms: Any, request_: dict[str, Any], code: str, text: str) -> None:
    assert refusal(kms.create_key, **request_) == (400, code, text)


@pytest.mark.parametrize("operation", ["sign", "generate_mac", "get_public_key", "create_custom_key_store"])
def test_operations_of_other_kinds_of_keys_are_refused_by_name(kms: Any, key: str, operation: str) -> None:
    requests: dict[str, dict[str, Any]] = {
        "sign": {"KeyId": key, "Message": b"x", "SigningAlgorithm": "ECDSA_SHA_256"},
        "generate_mac": {"KeyId": key, "Message": b"x", "MacAlgorithm": "HMAC_SHA_256"},
        "get_public_key": {"KeyId": key},
        "create_custom_key_store": {"CustomKeyStoreName": "x"},
    }
    _, code, text = refusal(getattr(kms, operation), **requests[operation])
    name = "".join(word.capitalize() for word in operation.split("_"))
    assert (code, text) == ("UnknownOperationException", f"Jedlik does not support {name} yet")


def test_a_description_and_tags_are_changed(kms: Any, key: str) -> None:
    kms.update_key_description(KeyId=key, Description="after")
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["Description"] == "after"
    kms.tag_resource(KeyId=arn(key), Tags=[{"TagKey": name, "TagValue": "1"} for name in "cab"])
    kms.tag_resource(KeyId=key, Tags=[{"TagKey": "a", "TagValue": "2"}])
    kms.untag_resource(KeyId=key, TagKeys=["b", "unknown"])
    assert kms.list_resource_tags(KeyId=key)["Tags"] == [
        {"TagKey": "a", "TagValue": "2"},
        {"TagKey": "c", "TagValue": "1"},
    ]
    first = kms.list_resource_tags(KeyId=key, Limit=1)
    assert [tag["TagKey"] for tag in first["Tags"]] == ["a"]
    second = kms.list_resource_tags(KeyId=key, Limit=1, Marker=first["NextMarker"])
    assert ([tag["TagKey"] for tag in second["Tags"]], second["Truncated"]) == (["c"], False)


def test_the_tagging_service_lists_and_tags_keys(server: Any, kms: Any, key: str) -> None:
    tagging = server.client("resourcegroupstaggingapi")
    tagging.tag_resources(ResourceARNList=[arn(key)], Tags={"from": "tagging"})
    assert kms.list_resource_tags(KeyId=key)["Tags"] == [{"TagKey": "from", "TagValue": "tagging"}]
    found = tagging.get_resources(ResourceTypeFilters=["kms:key"], TagFilters=[{"Key": "from", "Values": ["tagging"]}])[
        "ResourceTagMappingList"
    ]
    assert [one["ResourceARN"] for one in found] == [arn(key)]
    tagging.untag_resources(ResourceARNList=[arn(key)], TagKeys=["from"])
    assert kms.list_resource_tags(KeyId=key)["Tags"] == []


def test_a_key_has_a_policy_that_leaves_everything_to_the_account(kms: Any, key: str) -> None:
    found = kms.get_key_policy(KeyId=key, PolicyName="default")
    [statement] = json.loads(found["Policy"])["Statement"]
    assert (statement["Principal"], statement["Action"]) == ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "kms:*")
    assert kms.list_key_policies(KeyId=key)["PolicyNames"] == ["default"]
    statement["Sid"] = "Other words, with spaces"
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    kms.put_key_policy(KeyId=key, Policy=document)
    assert kms.get_key_policy(KeyId=key)["Policy"] == document
    other = (400, "NotFoundException", "No such policy exists")
    assert refusal(kms.get_key_policy, KeyId=key, PolicyName="other") == other
    statement["Sid"] = "x" * 33000
    large = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    assert refusal(kms.put_key_policy, KeyId=key, Policy=large)[1] == "LimitExceededException"
