"""Encrypt, Decrypt, ReEncrypt and data keys: what comes back, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jedlik.kms import key_material
from jedlik.kms.errors import InvalidCiphertextException
from testing.identities import refusal

ARN = "arn:aws:kms:us-east-1:000000000000:key/"
CONTEXT = {"table": "music", "år": "žluť"}
INVALID = (400, "InvalidCiphertextException", "")
INCORRECT = (
    400,
    "IncorrectKeyException",
    "The key ID in the request does not identify a CMK that can perform this operation.",
)


@pytest.mark.parametrize("context", [{}, CONTEXT])
def test_what_was_encrypted_is_decrypted(kms: Any, key: str, context: dict[str, str]) -> None:
    made = kms.encrypt(KeyId=key, Plaintext=b"secret", EncryptionContext=context)
    assert (made["KeyId"], made["EncryptionAlgorithm"]) == (ARN + key, "SYMMETRIC_DEFAULT")
    blob = made["CiphertextBlob"]
    assert b"secret" not in blob
    assert blob != kms.encrypt(KeyId=key, Plaintext=b"secret", EncryptionContext=context)["CiphertextBlob"]
    for named in ({}, {"KeyId": key}, {"KeyId": ARN + key}):
        found = kms.decrypt(CiphertextBlob=blob, EncryptionContext=context, **named)
        assert (found["Plaintext"], found["KeyId"]) == (b"secret", ARN + key)
    material = kms.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"]
    assert found["KeyMaterialId"] == material
    wrong = {**context, "more": "1"}
    assert refusal(kms.decrypt, CiphertextBlob=blob, EncryptionContext=wrong)[:2] == INVALID[:2]


@pytest.mark.parametrize("size", [1, 4096])
def test_plaintexts_have_up_to_4096_bytes(kms: Any, key: str, size: int) -> None:
    blob = kms.encrypt(KeyId=key, Plaintext=b"x" * size)["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x" * size


def test_a_longer_plaintext_is_refused(kms: Any, key: str) -> None:
    assert refusal(kms.encrypt, KeyId=key, Plaintext=b"x" * 4097) == (
        400,
        "ValidationException",
        "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: "
        "Member must have length less than or equal to 4096",
    )


def test_a_ciphertext_that_was_changed_is_refused(kms: Any, key: str) -> None:
    blob = kms.encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"]
    for position in (24 + 32, len(blob) - 30, len(blob) - 1):
        changed = bytearray(blob)
        changed[position] ^= 1
        assert refusal(kms.decrypt, CiphertextBlob=bytes(changed))[:2] == INVALID[:2], position
    for nonsense in (b"x", b"\x01" * 200, blob[:-17], blob[:60]):
        assert refusal(kms.decrypt, CiphertextBlob=nonsense)[0] == 400


def test_a_ciphertext_of_another_key_is_refused(kms: Any, key: str) -> None:
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"]
    assert refusal(kms.decrypt, CiphertextBlob=blob, KeyId=other) == INCORRECT
    renamed = bytearray(blob)
    renamed[8:24] = bytes.fromhex("11111111222233334444555555555555")
    assert refusal(kms.decrypt, CiphertextBlob=bytes(renamed)) == (
        400,
        "AccessDeniedException",
        "The ciphertext refers to a customer master key that does not exist, does not exist in this region, "
        "or you are not allowed to access.",
    )


def test_a_ciphertext_is_encrypted_again_under_another_key(kms: Any, key: str) -> None:
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"secret", EncryptionContext=CONTEXT)["CiphertextBlob"]
    made = kms.re_encrypt(
        CiphertextBlob=blob,
        SourceEncryptionContext=CONTEXT,
        DestinationKeyId=other,
        DestinationEncryptionContext={"b": "2"},
    )
    assert (made["SourceKeyId"], made["KeyId"]) == (ARN + key, ARN + other)
    found = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext={"b": "2"})
    assert (found["Plaintext"], found["KeyId"]) == (b"secret", ARN + other)
    wrong = {"CiphertextBlob": blob, "SourceEncryptionContext": CONTEXT, "SourceKeyId": other, "DestinationKeyId": key}
    assert refusal(kms.re_encrypt, **wrong) == INCORRECT
    assert refusal(kms.re_encrypt, CiphertextBlob=blob, DestinationKeyId=key)[:2] == INVALID[:2]


@pytest.mark.parametrize(
    ("asked", "size"), [({"KeySpec": "AES_256"}, 32), ({"KeySpec": "AES_128"}, 16), ({"NumberOfBytes": 1024}, 1024)]
)
def test_data_keys(kms: Any, key: str, asked: dict[str, Any], size: int) -> None:
    made = kms.generate_data_key(KeyId=key, EncryptionContext=CONTEXT, **asked)
    assert (len(made["Plaintext"]), made["KeyId"]) == (size, ARN + key)
    opened = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=CONTEXT)
    assert opened["Plaintext"] == made["Plaintext"]
    alone = kms.generate_data_key_without_plaintext(KeyId=key, EncryptionContext=CONTEXT, **asked)
    assert "Plaintext" not in alone
    other = kms.decrypt(CiphertextBlob=alone["CiphertextBlob"], EncryptionContext=CONTEXT)["Plaintext"]
    assert len(other) == size
    assert other != made["Plaintext"]


def test_a_data_key_has_one_size(kms: Any, key: str) -> None:
    text = "Please specify either number of bytes or key spec."
    for asked in ({}, {"KeySpec": "AES_256", "NumberOfBytes": 32}):
        assert refusal(kms.generate_data_key, KeyId=key, **asked) == (400, "ValidationException", text)


def test_random_bytes(kms: Any) -> None:
    assert len(kms.generate_random(NumberOfBytes=1024)["Plaintext"]) == 1024
    assert kms.generate_random(NumberOfBytes=32)["Plaintext"] != kms.generate_random(NumberOfBytes=32)["Plaintext"]
    assert refusal(kms.generate_random) == (400, "ValidationException", "NumberOfBytes is required.")


def test_a_dry_run_does_nothing(kms: Any, key: str) -> None:
    text = "Dry run: the request would have succeeded, but the DryRun flag is set."
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    for call, request in (
        (kms.encrypt, {"KeyId": key, "Plaintext": b"x"}),
        (kms.decrypt, {"CiphertextBlob": blob}),
        (kms.generate_data_key, {"KeyId": key, "KeySpec": "AES_256"}),
        (kms.re_encrypt, {"CiphertextBlob": blob, "DestinationKeyId": key}),
    ):
        assert refusal(call, **request, DryRun=True)[1:] == ("DryRunOperationException", text)


def test_what_a_symmetric_key_cannot_do(kms: Any, key: str) -> None:
    _, code, text = refusal(kms.encrypt, KeyId=key, Plaintext=b"x", EncryptionAlgorithm="RSAES_OAEP_SHA_256")
    assert code == "InvalidKeyUsageException"
    assert text == "Algorithm RSAES_OAEP_SHA_256 is incompatible with key spec SYMMETRIC_DEFAULT."


# The form of ciphertexts

MATERIAL = bytes(range(32))
NAMED = ("123456789012", "01234567-89ab-4def-8123-456789abcdef", "ab" * 32)


FIXTURE = (
    "0100001cbe991a140123456789ab4def8123456789abcdefabababababababab"
    "abababababababababababababababababababababababab0001020304050607"
    "08090a0b0c0d0e0f101112131415161718191a1b867308930f0d99ad7fd197fc"
    "136677d6fe56529b38f9cb2041e08f8f2089"
)
"""Made with the first version of the form."""


def test_ciphertexts_of_this_version_stay_readable() -> None:
    blob = key_material.encrypted(MATERIAL, NAMED, b"attack at dawn", {"b": "2", "a": "1"}, random=bytes(range(28)))
    assert blob.hex() == FIXTURE
    found = key_material.parts(blob)
    assert found[:3] == NAMED
    assert key_material.decrypted(MATERIAL, found, {"a": "1", "b": "2"}) == b"attack at dawn"


def test_a_material_id_is_bound_to_its_key() -> None:
    one, other = (key_material.material_id(MATERIAL, key) for key in ("a", "b"))
    assert one != other
    assert len(one) == 64


texts = st.text(max_size=8)


@given(st.dictionaries(texts, texts, max_size=4), st.dictionaries(texts, texts, max_size=4))
def test_no_two_encryption_contexts_are_the_same_bytes(one: dict[str, str], other: dict[str, str]) -> None:
    assert (key_material.canonical(one) == key_material.canonical(other)) == (one == other)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(blob: bytes) -> None:
    with pytest.raises(InvalidCiphertextException):
        key_material.decrypted(MATERIAL, key_material.parts(blob), {})
