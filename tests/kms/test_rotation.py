"""Rotation: on demand, when it is due, and what is still decrypted afterwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from testing.identities import refusal

ARN = "arn:aws:kms:us-east-1:000000000000:key/"


def test_a_rotation_on_demand(kms: Any, key: str) -> None:
    first = kms.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"]
    before = kms.encrypt(KeyId=key, Plaintext=b"before")["CiphertextBlob"]
    assert kms.list_key_rotations(KeyId=key)["Rotations"] == []
    assert kms.rotate_key_on_demand(KeyId=key)["KeyId"] == ARN + key
    second = kms.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"]
    assert first != second
    after = kms.encrypt(KeyId=key, Plaintext=b"after")["CiphertextBlob"]
    for blob, plaintext, material in ((before, b"before", first), (after, b"after", second)):
        found = kms.decrypt(CiphertextBlob=blob)
        assert (found["Plaintext"], found["KeyMaterialId"]) == (plaintext, material)
    [rotation] = kms.list_key_rotations(KeyId=key)["Rotations"]
    assert (rotation["KeyMaterialId"], rotation["RotationType"]) == (second, "ON_DEMAND")
    assert (rotation["KeyId"], rotation["KeyMaterialState"]) == (ARN + key, "CURRENT")
    every = kms.list_key_rotations(KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]
    assert [(one["KeyMaterialId"], one["KeyMaterialState"]) for one in every] == [
        (first, "NON_CURRENT"),
        (second, "CURRENT"),
    ]


def test_a_key_is_rotated_on_demand_25_times(kms: Any, key: str) -> None:
    for _ in range(25):
        kms.rotate_key_on_demand(KeyId=key)
    assert refusal(kms.rotate_key_on_demand, KeyId=key)[1] == "LimitExceededException"
    pages = [kms.list_key_rotations(KeyId=key, Limit=20)]
    pages.append(kms.list_key_rotations(KeyId=key, Limit=20, Marker=pages[0]["NextMarker"]))
    assert [len(page["Rotations"]) for page in pages] == [20, 5]


def test_automatic_rotation_is_enabled_and_disabled(kms: Any, key: str) -> None:
    off = kms.get_key_rotation_status(KeyId=key)
    assert (off["KeyRotationEnabled"], off["KeyId"]) == (False, ARN + key)
    for days, request in ((365, {}), (90, {"RotationPeriodInDays": 90})):
        kms.enable_key_rotation(KeyId=key, **request)
        status = kms.get_key_rotation_status(KeyId=key)
        assert (status["KeyRotationEnabled"], status["RotationPeriodInDays"]) == (True, days)
        assert abs(status["NextRotationDate"] - datetime.now(UTC) - timedelta(days=days)) < timedelta(minutes=5)
    kms.schedule_key_deletion(KeyId=key)
    assert not kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]
    kms.cancel_key_deletion(KeyId=key)
    assert kms.get_key_rotation_status(KeyId=key)["RotationPeriodInDays"] == 90
    for call in (kms.enable_key_rotation, kms.disable_key_rotation, kms.rotate_key_on_demand):
        assert refusal(call, KeyId=key) == (400, "DisabledException", f"{ARN}{key} is disabled.")
    kms.enable_key(KeyId=key)
    kms.disable_key_rotation(KeyId=key)
    assert not kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]


@pytest.mark.parametrize("days", [89, 2561])
def test_the_period_has_bounds(kms: Any, key: str, days: int) -> None:
    assert refusal(kms.enable_key_rotation, KeyId=key, RotationPeriodInDays=days)[1] == "ValidationException"


def test_the_key_of_dynamodb_is_always_rotated(kms: Any) -> None:
    key = kms.describe_key(KeyId="alias/aws/dynamodb")["KeyMetadata"]["KeyId"]
    assert kms.get_key_rotation_status(KeyId=key)["RotationPeriodInDays"] == 365
    assert refusal(kms.disable_key_rotation, KeyId=key)[1] == "AccessDeniedException"
    assert refusal(kms.rotate_key_on_demand, KeyId=key)[1] == "AccessDeniedException"
