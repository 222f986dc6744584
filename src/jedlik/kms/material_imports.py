"""GetParametersForImport, ImportKeyMaterial and DeleteImportedKeyMaterial: material that a customer brings.

A token holds the private half of a pair of RSA keys, sealed by the root key for the KMS key and its region: nothing is
kept for it, and it is good for a day. A rotation of the root key ends the tokens of before.

Sources: the API reference; "Importing key material" in the developer guide.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from jedlik.aws.errors import ValidationException
from jedlik.aws.one_at_a_time import OneAtATime
from jedlik.kms import key_material, key_rows, sealed_material
from jedlik.kms.errors import (
    ExpiredImportTokenException,
    IncorrectKeyMaterialException,
    InvalidCiphertextException,
    InvalidImportTokenException,
    KMSInvalidStateException,
    NotFoundException,
    UnsupportedOperationException,
)
from jedlik.kms.key_finding import KeyAt, there
from jedlik.kms.key_material import MATERIAL_BYTES
from jedlik.kms.key_records import (
    DAY,
    EXTERNAL,
    PENDING_DELETION,
    PENDING_REPLICA_DELETION,
    KmsKey,
    Material,
    check_not,
    put,
)
from jedlik.kms.rotation_operations import check_primary
from jedlik.root_key import NoRootKey, Unsealable
from jedlik.storage.engine import Writes

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

Request = dict[str, Any]
NEW, EXISTING = "NEW_KEY_MATERIAL", "EXISTING_KEY_MATERIAL"
EXPIRES, STAYS = "KEY_MATERIAL_EXPIRES", "KEY_MATERIAL_DOES_NOT_EXPIRE"
_TOKEN = b"import token"
_BITS = {"RSA_2048": 2048, "RSA_3072": 3072, "RSA_4096": 4096}
_MOST_MATERIALS = 100
"""Imported into one key, in all."""
_PAIRS = OneAtATime("pairs of RSA keys", 8)
"""Making one takes up to some seconds. AWS allows one request in four seconds."""
_MILLISECONDS = 8
_DELETING = (PENDING_DELETION, PENDING_REPLICA_DELETION)


async def get_parameters_for_import(at: KeyAt, request: Request) -> Request:
    """A public key for the material of a key, and a token that goes with it."""
    _check_external(at, at.key)
    check_not(at.key, at.arn, at.now, *_DELETING)
    algorithm, spec = request["WrappingAlgorithm"], request["WrappingKeySpec"]
    if algorithm not in _UNWRAPPING or spec not in _BITS:
        raise UnsupportedOperationException(f"Jedlik does not support {algorithm} with {spec}")
    public, private = await _PAIRS.do(partial(_new_pair, _BITS[spec]))
    valid_to = at.now + DAY
    content = round(valid_to * 1000).to_bytes(_MILLISECONDS) + algorithm.encode() + b"\0" + private
    try:
        token = at.region.root_key.seal(content, _token_context(at))
    except NoRootKey as error:
        raise UnsupportedOperationException(f"Key material cannot be kept: {error}") from None
    return {"KeyId": at.arn, "ImportToken": token, "PublicKey": public, "ParametersValidTo": valid_to}


async def import_key_material(at: KeyAt, request: Request) -> Request:
    """Give a key material that a customer has encrypted for it: its first, some that it had, or its next one."""
    _check_external(at, at.key)
    expires = _expiration(at, request)
    material = await asyncio.to_thread(_opened, at, request["ImportToken"], request["EncryptedKeyMaterial"])
    material_id = key_material.material_id(material, at.key.id)
    if request.get("KeyMaterialId", material_id) != material_id:
        raise IncorrectKeyMaterialException("The key material is not the material that KeyMaterialId names.")
    sealed = sealed_material.sealed(at.region, at.key.id, material_id, material)
    brought = Material(material_id, at.now, expires=expires, description=request.get("KeyMaterialDescription"))

    def changed(key: KmsKey) -> KmsKey:
        kind = request.get("ImportType", EXISTING if key.materials else NEW)
        known = key.material(material_id)
        if kind == NEW and "KeyMaterialId" in request:
            raise ValidationException("KeyMaterialId cannot be specified if ImportType is NEW_KEY_MATERIAL.")
        if known is not None:
            if kind == NEW:
                raise IncorrectKeyMaterialException("The key material has been imported into this key before.")
            description = brought.description if brought.description is not None else known.description
            renewed = replace(known, is_here=True, expires=expires, description=description)
            return replace(key, materials=tuple(renewed if one is known else one for one in key.materials))
        if kind == EXISTING:
            raise IncorrectKeyMaterialException("The key material is not that which was imported into this key before.")
        check_primary(at, key)
        if key.current is None:
            return replace(key, materials=(brought,), current=material_id)
        if key.pending is not None:
            raise KMSInvalidStateException(f"{at.arn} has imported key material that waits for a rotation already.")
        if len(key.materials) >= _MOST_MATERIALS:
            raise KMSInvalidStateException(f"{at.arn} has had {_MOST_MATERIALS} imported key materials.")
        return replace(key, materials=(*key.materials, brought))

    def writes_of(key: KmsKey, writes: Writes) -> None:
        writes.put(sealed.row, sealed.value)

    await _change(at, changed, writes_of)
    return {"KeyId": at.arn, "KeyMaterialId": material_id}


async def delete_imported_key_material(at: KeyAt, request: Request) -> Request:
    """Delete material that was imported. The key cannot be used until it is imported again; material that waits for a
    rotation is forgotten."""
    _check_external(at, at.key)
    material_id = request.get("KeyMaterialId", at.key.current)
    found = None if material_id is None else at.key.material(material_id)
    if found is None:
        if "KeyMaterialId" in request:
            raise NotFoundException(f"{at.arn} has no key material {material_id}.")
        return {"KeyId": at.arn}

    def changed(key: KmsKey) -> KmsKey:
        known = key.material(found.id)
        if known is not None and known == key.pending:
            return replace(key, materials=tuple(one for one in key.materials if one is not known))
        kept = (replace(one, is_here=False) if one.id == found.id else one for one in key.materials)
        return replace(key, materials=tuple(kept))

    def writes_of(key: KmsKey, writes: Writes) -> None:
        writes.delete(key_rows.material_row(key.id, bytes.fromhex(found.id)))

    await _change(at, changed, writes_of, in_deletion=True)
    return {"KeyId": at.arn, "KeyMaterialId": found.id}


async def _change(
    at: KeyAt,
    changed: Callable[[KmsKey], KmsKey],
    writes_of: Callable[[KmsKey, Writes], None],
    *,
    in_deletion: bool = False,
) -> None:
    """Change a key together with rows of its material, in one step."""

    def decide(found: Sequence[bytes | None]) -> tuple[Writes, None]:
        before = there(found[0])
        if before is None:
            raise NotFoundException(f"Key '{at.arn}' does not exist")
        if not in_deletion:
            check_not(before, at.arn, at.now, *_DELETING)
        writes = Writes()
        after = changed(before)
        put(before, after, writes)
        writes_of(after, writes)
        return writes, None

    await at.region.engine.mutate([key_rows.key_row(at.key.id)], decide)


def _check_external(at: KeyAt, key: KmsKey) -> None:
    if key.origin != EXTERNAL:
        raise UnsupportedOperationException(f"{at.arn} origin is {key.origin} which is not valid for this operation.")


def _expiration(at: KeyAt, request: Request) -> float | None:
    """When the material expires."""
    model, valid_to = request.get("ExpirationModel", EXPIRES), request.get("ValidTo")
    if model == STAYS:
        if valid_to is not None:
            raise ValidationException(
                "A validTo date must not be set if the ExpirationModel is not KEY_MATERIAL_EXPIRES"
            )
        return None
    if valid_to is None:
        raise ValidationException("A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES")
    if not at.now < valid_to <= at.now + 365 * DAY:
        raise ValidationException("A validTo date must be in the future, and at most 365 days away")
    return float(valid_to)


def _token_context(at: KeyAt) -> bytes:
    return b"/".join((at.region.account.encode(), at.region.name.encode(), _TOKEN, at.key.id.encode()))


def _opened(at: KeyAt, token: bytes, wrapped: bytes) -> bytes:
    """The material that a customer has encrypted with the public key that goes with a token."""
    try:
        content = at.region.root_key.unseal(token, _token_context(at))
    except Unsealable:
        raise InvalidImportTokenException("The import token is not one for this key.") from None
    if at.now * 1000 > int.from_bytes(content[:_MILLISECONDS]):
        raise ExpiredImportTokenException("The import token has expired.")
    algorithm, _, private = content[_MILLISECONDS:].partition(b"\0")
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    key = load_der_private_key(private, None)
    try:
        material = _UNWRAPPING[algorithm.decode()](key, wrapped)  # type: ignore[arg-type]
    except ValueError:
        raise InvalidCiphertextException("") from None
    if len(material) != MATERIAL_BYTES:
        raise IncorrectKeyMaterialException(f"Key material must have {MATERIAL_BYTES} bytes.")
    return material


def _new_pair(bits: int) -> tuple[bytes, bytes]:
    """A new pair of RSA keys: the public one, and the private one, in DER."""
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    key = rsa.generate_private_key(65537, bits)
    return (
        key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
    )


def _oaep(hash_name: str) -> Callable[[RSAPrivateKey, bytes], bytes]:
    def unwrap(key: RSAPrivateKey, wrapped: bytes) -> bytes:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        hasher = {"SHA1": hashes.SHA1, "SHA256": hashes.SHA256}[hash_name]
        return key.decrypt(wrapped, padding.OAEP(padding.MGF1(hasher()), hasher(), None))

    return unwrap


def _with_aes(hash_name: str) -> Callable[[RSAPrivateKey, bytes], bytes]:
    """An AES key that RSA has encrypted, and what that key wraps (RFC 5649)."""

    def unwrap(key: RSAPrivateKey, wrapped: bytes) -> bytes:
        from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap_with_padding

        size = key.key_size // 8
        try:
            return aes_key_unwrap_with_padding(_oaep(hash_name)(key, wrapped[:size]), wrapped[size:])
        except InvalidUnwrap:
            raise ValueError from None

    return unwrap


_UNWRAPPING: dict[str, Callable[[RSAPrivateKey, bytes], bytes]] = {
    "RSAES_OAEP_SHA_1": _oaep("SHA1"),
    "RSAES_OAEP_SHA_256": _oaep("SHA256"),
    "RSA_AES_KEY_WRAP_SHA_1": _with_aes("SHA1"),
    "RSA_AES_KEY_WRAP_SHA_256": _with_aes("SHA256"),
}
"""By the algorithm. RSAES_PKCS1_V1_5 has known weaknesses, and AWS has ended it."""
