"""Material that a customer brings: wrapped in each way, renewed, expired, rotated; what is refused."""

from __future__ import annotations

import asyncio
import secrets
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jedlik.aws.errors import ServiceUnavailable
from jedlik.kms import due_keys, material_imports
from jedlik.kms.errors import ExpiredImportTokenException, KMSInvalidStateException
from jedlik.regions.region import Region
from jedlik.root_key import RootKey, new_key
from testing import regions
from testing.identities import refusal
from testing.kms_operations import call, wrapped
from testing.regions import SetClock

ARN = "arn:aws:kms:us-east-1:000000000000:key/"
DAY = 24 * 60 * 60.0
WRAPPING = {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}
STAYS = {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}


def brought(kms: Any, key: str, material: bytes, **more: Any) -> str:
    """Import material, and return its id."""
    parameters = kms.get_parameters_for_import(KeyId=key, **WRAPPING)
    request = {
        "ImportToken": parameters["ImportToken"],
        "EncryptedKeyMaterial": wrapped(material, parameters["PublicKey"]),
    }
    found: str = kms.import_key_material(KeyId=key, **request, **STAYS, **more)["KeyMaterialId"]
    return found


@pytest.fixture
def external(kms: Any) -> str:
    """The id of a key without material."""
    made: str = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    return made


def test_a_key_without_material(kms: Any, external: str) -> None:
    metadata = kms.describe_key(KeyId=external)["KeyMetadata"]
    assert (metadata["KeyState"], metadata["Enabled"], metadata["Origin"]) == ("PendingImport", False, "EXTERNAL")
    assert "CurrentKeyMaterialId" not in metadata
    pending = (400, "KMSInvalidStateException", f"{ARN}{external} is pending import.")
    assert refusal(kms.encrypt, KeyId=external, Plaintext=b"x") == pending
    assert refusal(kms.enable_key, KeyId=external) == pending
    origin = f"{ARN}{external} origin is EXTERNAL which is not valid for this operation."
    assert refusal(kms.enable_key_rotation, KeyId=external) == (400, "UnsupportedOperationException", origin)


@pytest.mark.parametrize(
    ("algorithm", "spec"),
    [
        ("RSAES_OAEP_SHA_1", "RSA_2048"),
        ("RSAES_OAEP_SHA_256", "RSA_3072"),
        ("RSA_AES_KEY_WRAP_SHA_1", "RSA_2048"),
        ("RSA_AES_KEY_WRAP_SHA_256", "RSA_2048"),
    ],
)
def test_material_is_imported_deleted_and_imported_again(kms: Any, external: str, algorithm: str, spec: str) -> None:
    material = secrets.token_bytes(32)
    parameters = kms.get_parameters_for_import(KeyId=external, WrappingAlgorithm=algorithm, WrappingKeySpec=spec)
    assert abs(parameters["ParametersValidTo"] - datetime.now(UTC) - timedelta(days=1)) < timedelta(minutes=5)
    request = {
        "KeyId": external,
        "ImportToken": parameters["ImportToken"],
        "EncryptedKeyMaterial": wrapped(material, parameters["PublicKey"], algorithm),
        **STAYS,
    }
    imported = kms.import_key_material(**request)
    metadata = kms.describe_key(KeyId=external)["KeyMetadata"]
    assert (metadata["KeyState"], metadata["ExpirationModel"]) == ("Enabled", "KEY_MATERIAL_DOES_NOT_EXPIRE")
    assert metadata["CurrentKeyMaterialId"] == imported["KeyMaterialId"]
    blob = kms.encrypt(KeyId=external, Plaintext=b"x")["CiphertextBlob"]
    assert kms.delete_imported_key_material(KeyId=external)["KeyMaterialId"] == imported["KeyMaterialId"]
    pending = (400, "KMSInvalidStateException", f"{ARN}{external} is pending import.")
    assert refusal(kms.decrypt, CiphertextBlob=blob) == pending
    assert kms.import_key_material(**request)["KeyMaterialId"] == imported["KeyMaterialId"]
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


def test_few_pairs_of_keys_are_made_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    may_end = threading.Event()

    def held(bits: int) -> tuple[bytes, bytes]:
        may_end.wait(60)
        return b"public", b"private"

    async def scenario(region: Region, clock: SetClock) -> None:
        region.root_key = RootKey(new_key())
        key = (await call(region, "CreateKey", Origin="EXTERNAL"))["KeyMetadata"]["KeyId"]
        asked = [
            asyncio.ensure_future(call(region, "GetParametersForImport", KeyId=key, **WRAPPING)) for _ in range(20)
        ]
        done: set[Any] = set()
        while len(done) < 11:
            done, _ = await asyncio.wait(asked, timeout=0.01)
        may_end.set()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        refused = [one for one in answers if isinstance(one, ServiceUnavailable)]
        assert len(refused) == len(done) == 11
        assert sum(type(one) is dict and one["PublicKey"] == b"public" for one in answers) == 9

    monkeypatch.setattr(material_imports, "_new_pair", held)
    regions.run(tmp_path, scenario)


def test_what_is_not_imported(kms: Any, external: str) -> None:
    parameters = kms.get_parameters_for_import(KeyId=external, **WRAPPING)
    token, good = parameters["ImportToken"], wrapped(bytes(32), parameters["PublicKey"])
    other = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    soon = datetime.now(UTC) + timedelta(days=1)
    cases: list[tuple[dict[str, Any], str]] = [
        ({"KeyId": other}, "InvalidImportTokenException"),
        ({"ImportToken": b"nonsense"}, "InvalidImportTokenException"),
        ({"EncryptedKeyMaterial": b"x" * 256}, "InvalidCiphertextException"),
        ({"EncryptedKeyMaterial": wrapped(bytes(16), parameters["PublicKey"])}, "IncorrectKeyMaterialException"),
        ({"ExpirationModel": "KEY_MATERIAL_EXPIRES"}, "ValidationException"),
        ({"ValidTo": soon}, "ValidationException"),
        ({"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": datetime(2020, 1, 1)}, "ValidationException"),
        ({"KeyMaterialId": "0" * 64}, "IncorrectKeyMaterialException"),
        ({"ImportType": "EXISTING_KEY_MATERIAL"}, "IncorrectKeyMaterialException"),
    ]
    usual = {"KeyId": external, "ImportToken": token, "EncryptedKeyMaterial": good, **STAYS}
    for changed, code in cases:
        assert refusal(kms.import_key_material, **{**usual, **changed})[1] == code, changed
    assert kms.describe_key(KeyId=external)["KeyMetadata"]["KeyState"] == "PendingImport"
    kms.import_key_material(**usual)
    new = wrapped(b"n" * 32, parameters["PublicKey"])
    again = {**usual, "EncryptedKeyMaterial": new}
    assert refusal(kms.import_key_material, **again)[1] == "IncorrectKeyMaterialException"
    assert refusal(kms.import_key_material, **usual, ImportType="NEW_KEY_MATERIAL")[1] == (
        "IncorrectKeyMaterialException"
    )
    wrong = {"KeyId": external, "WrappingAlgorithm": "RSAES_PKCS1_V1_5", "WrappingKeySpec": "RSA_2048"}
    assert refusal(kms.get_parameters_for_import, **wrong)[1] == "UnsupportedOperationException"


def test_nothing_is_imported_into_a_key_with_material_of_its_own(kms: Any, key: str) -> None:
    text = f"{ARN}{key} origin is AWS_KMS which is not valid for this operation."
    expected = (400, "UnsupportedOperationException", text)
    assert refusal(kms.get_parameters_for_import, KeyId=key, **WRAPPING) == expected
    assert refusal(kms.delete_imported_key_material, KeyId=key) == expected


def test_a_key_is_rotated_to_the_next_imported_material(kms: Any, external: str) -> None:
    first = brought(kms, external, b"1" * 32)
    old = kms.encrypt(KeyId=external, Plaintext=b"old")["CiphertextBlob"]
    assert refusal(kms.rotate_key_on_demand, KeyId=external)[1] == "KMSInvalidStateException"
    second = brought(kms, external, b"2" * 32, ImportType="NEW_KEY_MATERIAL", KeyMaterialDescription="next")
    assert kms.describe_key(KeyId=external)["KeyMetadata"]["CurrentKeyMaterialId"] == first
    every = kms.list_key_rotations(KeyId=external, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]
    assert [(one["KeyMaterialId"], one["KeyMaterialState"], one["ImportState"]) for one in every] == [
        (first, "CURRENT", "IMPORTED"),
        (second, "PENDING_ROTATION", "IMPORTED"),
    ]
    kms.rotate_key_on_demand(KeyId=external)
    assert kms.describe_key(KeyId=external)["KeyMetadata"]["CurrentKeyMaterialId"] == second
    assert kms.decrypt(CiphertextBlob=old)["Plaintext"] == b"old"
    # Without any of its material, the whole key waits.
    kms.delete_imported_key_material(KeyId=external, KeyMaterialId=first)
    assert kms.describe_key(KeyId=external)["KeyMetadata"]["KeyState"] == "PendingImport"
    assert brought(kms, external, b"1" * 32, KeyMaterialId=first) == first
    assert kms.decrypt(CiphertextBlob=old)["Plaintext"] == b"old"


def test_material_that_waits_for_a_rotation_can_be_deleted(kms: Any, external: str) -> None:
    brought(kms, external, b"1" * 32)
    second = brought(kms, external, b"2" * 32, ImportType="NEW_KEY_MATERIAL")
    kms.delete_imported_key_material(KeyId=external, KeyMaterialId=second)
    assert kms.describe_key(KeyId=external)["KeyMetadata"]["KeyState"] == "Enabled"
    assert len(kms.list_key_rotations(KeyId=external, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]) == 1


def test_material_expires_at_its_date(tmp_path: Path) -> None:
    async def scenario(region: Region, clock: SetClock) -> None:
        region.root_key = RootKey(new_key())
        key = (await call(region, "CreateKey", Origin="EXTERNAL"))["KeyMetadata"]["KeyId"]
        parameters = await call(region, "GetParametersForImport", KeyId=key, **WRAPPING)
        request = {
            "ImportToken": parameters["ImportToken"],
            "EncryptedKeyMaterial": wrapped(bytes(32), parameters["PublicKey"]),
        }
        until = clock.now + 3 * DAY
        await call(region, "ImportKeyMaterial", KeyId=key, ValidTo=until, **request)
        metadata = (await call(region, "DescribeKey", KeyId=key))["KeyMetadata"]
        assert (metadata["ExpirationModel"], metadata["ValidTo"]) == ("KEY_MATERIAL_EXPIRES", until)
        clock.now += DAY + 1
        with pytest.raises(ExpiredImportTokenException):
            await call(region, "ImportKeyMaterial", KeyId=key, ValidTo=until, **request)
        await call(region, "Encrypt", KeyId=key, Plaintext=b"x")
        clock.now = until
        with pytest.raises(KMSInvalidStateException, match="is pending import"):  # Before anybody has deleted it.
            await call(region, "Encrypt", KeyId=key, Plaintext=b"x")
        while await due_keys.run(region):
            pass
        assert (await call(region, "DescribeKey", KeyId=key))["KeyMetadata"]["KeyState"] == "PendingImport"
        assert not await region.engine.range(b"\xec", b"\xed", 1, 1)

    regions.run(tmp_path, scenario)
