"""Encrypt, Decrypt, ReEncrypt, GenerateDataKey, GenerateDataKeyWithoutPlaintext and GenerateRandom.

Sources: the API reference; "Encryption context" in the developer guide.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

from jedlik.aws.context import Context
from jedlik.aws.errors import AccessDeniedException, ValidationException
from jedlik.kms import key_material, key_names, key_permissions, sealed_material
from jedlik.kms.errors import (
    DryRunOperationException,
    IncorrectKeyException,
    InvalidCiphertextException,
    InvalidKeyUsageException,
    KMSInvalidStateException,
    NotFoundException,
    UnsupportedOperationException,
)
from jedlik.kms.key_finding import Asker, KeyAt, KeyFinder, Way
from jedlik.kms.key_material import Ciphertext
from jedlik.kms.key_names import Named
from jedlik.kms.key_permissions import Values
from jedlik.kms.key_records import check_enabled, is_here

Request = dict[str, Any]
SYMMETRIC = "SYMMETRIC_DEFAULT"
DATA_KEY_BYTES = {"AES_256": 32, "AES_128": 16}
LONGEST_CONTEXT = 8192
"""Characters of the names and values of an encryption context."""
ANY = Way(by_alias=True, across_accounts=True)
_UNKNOWN = (
    "The ciphertext refers to a customer master key that does not exist, does not exist in this region, "
    "or you are not allowed to access."
)
_INCORRECT = "The key ID in the request does not identify a CMK that can perform this operation."
_NOT_FOR_IT = "Dry run: the request would have succeeded, but the DryRun flag is set."


class Opened(NamedTuple):
    """A plaintext, and the key and material that encrypted it."""

    plaintext: bytes
    key_arn: str
    material: str


async def encrypt(at: KeyAt, request: Request) -> Request:
    """A ciphertext of a few bytes."""
    _check_algorithm(request, "EncryptionAlgorithm")
    context = _context(request, "EncryptionContext")
    _check(at, request)
    blob, _ = await sealed(at, request["Plaintext"], context)
    return {"CiphertextBlob": blob, "KeyId": at.arn, "EncryptionAlgorithm": SYMMETRIC}


async def generate_data_key(at: KeyAt, request: Request) -> Request:
    """Random bytes, and a ciphertext of them."""
    _refuse_recipient(request)
    size = _size(request)
    context = _context(request, "EncryptionContext")
    _check(at, request)
    plaintext = secrets.token_bytes(size)
    blob, material = await sealed(at, plaintext, context)
    return {"Plaintext": plaintext, "CiphertextBlob": blob, "KeyId": at.arn, "KeyMaterialId": material}


async def generate_data_key_without_plaintext(at: KeyAt, request: Request) -> Request:
    """A ciphertext of random bytes."""
    made = await generate_data_key(at, request)
    del made["Plaintext"]
    return made


async def generate_random(context: Context, request: Request) -> Request:
    """Random bytes."""
    _refuse_recipient(request)
    if "CustomKeyStoreId" in request:
        raise UnsupportedOperationException("Jedlik does not support custom key stores")
    if "NumberOfBytes" not in request:
        raise ValidationException("NumberOfBytes is required.")
    return {"Plaintext": secrets.token_bytes(request["NumberOfBytes"])}


class CipherOperations:
    """The operations whose key the ciphertext names."""

    def __init__(self, finder: KeyFinder) -> None:
        self._finder = finder

    async def decrypt(self, context: Context, request: Request) -> Request:
        """The plaintext of a ciphertext."""
        _refuse_recipient(request)
        _check_algorithm(request, "EncryptionAlgorithm")
        pairs = _context(request, "EncryptionContext")
        asker = Asker(context.caller, context.region)
        given = key_permissions.of_encryption(pairs)
        found = await self._opened(asker, request, "Decrypt", given, pairs, request.get("KeyId"))
        return {
            "KeyId": found.key_arn,
            "Plaintext": found.plaintext,
            "EncryptionAlgorithm": SYMMETRIC,
            "KeyMaterialId": found.material,
        }

    async def re_encrypt(self, context: Context, request: Request) -> Request:
        """The ciphertext of another key, or of another encryption context, for the same plaintext."""
        for member in ("SourceEncryptionAlgorithm", "DestinationEncryptionAlgorithm"):
            _check_algorithm(request, member)
        before, after = (_context(request, f"{which}EncryptionContext") for which in ("Source", "Destination"))
        asker, tokens = Asker(context.caller, context.region), request.get("GrantTokens", ())
        is_dry = request.get("DryRun", False)
        source = {name: value for name, value in request.items() if name != "DryRun"}
        on_same_key = await self._on_same_key(asker, request)
        given = key_permissions.of_encryption(before) | on_same_key
        before_it = await self._opened(asker, source, "ReEncryptFrom", given, before, request.get("SourceKeyId"))

        async def seal(at: KeyAt) -> Request:
            check_enabled(at.key, at.arn, at.now)
            if is_dry:
                raise DryRunOperationException(_NOT_FOR_IT)
            blob, material = await sealed(at, before_it.plaintext, after)
            return {"CiphertextBlob": blob, "KeyId": at.arn, "DestinationKeyMaterialId": material}

        given = key_permissions.of_encryption(after) | on_same_key
        made = await self._finder.with_key(asker, request["DestinationKeyId"], "ReEncryptTo", given, seal, ANY, tokens)
        return {
            **made,
            "SourceKeyId": before_it.key_arn,
            "SourceKeyMaterialId": before_it.material,
            "SourceEncryptionAlgorithm": SYMMETRIC,
            "DestinationEncryptionAlgorithm": SYMMETRIC,
        }

    async def _on_same_key(self, asker: Asker, request: Mapping[str, Any]) -> Values:
        """The condition key that shows whether the key stays the same: that of the ciphertext, since no other opens
        it."""
        here = asker.region
        found = key_material.parts(_blob(request))
        source = Named(found.account, here.name, found.key_id)
        destination = key_names.parsed(request["DestinationKeyId"], here.account, here.name)
        return key_permissions.of_re_encryption(source.arn == await self._finder.arn_of(asker, destination))

    async def _opened(
        self,
        asker: Asker,
        request: Mapping[str, Any],
        operation: str,
        given: Values,
        pairs: Mapping[str, str],
        key_id: str | None,
    ) -> Opened:
        """What a ciphertext holds. Raises InvalidCiphertextException, IncorrectKeyException, AccessDeniedException."""
        found = key_material.parts(_blob(request))
        region = asker.region
        named = Named(found.account, region.name, found.key_id)
        if key_id is not None:
            named = key_names.parsed(key_id, region.account, region.name)
        work = partial(_open, found=found, pairs=pairs, is_dry=request.get("DryRun", False))
        tokens = request.get("GrantTokens", ())
        try:
            return await self._finder.with_named(asker, named, operation, given, work, ANY, tokens)
        except NotFoundException:
            if key_id is not None:
                raise
            raise AccessDeniedException(_UNKNOWN) from None


async def _open(at: KeyAt, found: Ciphertext, pairs: Mapping[str, str], is_dry: bool) -> Opened:
    if at.key.id != found.key_id or at.region.account != found.account:
        raise IncorrectKeyException(_INCORRECT)
    check_enabled(at.key, at.arn, at.now)
    material = at.key.material(found.material)
    if material is None or not is_here(material, at.now):
        raise InvalidCiphertextException("")
    if is_dry:
        raise DryRunOperationException(_NOT_FOR_IT)
    opened = await sealed_material.opened(at.region, at.key.id, found.material)
    if opened is None:  # It has just been deleted.
        raise KMSInvalidStateException(f"{at.arn} is pending import.")
    return Opened(key_material.decrypted(opened, found, pairs), at.arn, found.material)


async def opened(at: KeyAt, blob: bytes, pairs: Mapping[str, str]) -> Opened:
    """What a ciphertext of a key holds. Raises as Decrypt does."""
    return await _open(at, key_material.parts(blob), pairs, is_dry=False)


async def sealed(at: KeyAt, plaintext: bytes, pairs: Mapping[str, str]) -> tuple[bytes, str]:
    """A ciphertext of a key that is enabled, and the id of the material that encrypted it."""
    current = at.key.current
    material = None if current is None else await sealed_material.opened(at.region, at.key.id, current)
    if material is None or current is None:
        raise KMSInvalidStateException(f"{at.arn} is pending import.")
    return key_material.encrypted(material, (at.region.account, at.key.id, current), plaintext, pairs), current


def _check(at: KeyAt, request: Request) -> None:
    check_enabled(at.key, at.arn, at.now)
    if request.get("DryRun", False):
        raise DryRunOperationException(_NOT_FOR_IT)


def _blob(request: Mapping[str, Any]) -> bytes:
    if "CiphertextBlob" not in request:
        raise ValidationException("CiphertextBlob is required.")
    blob: bytes = request["CiphertextBlob"]
    return blob


def _check_algorithm(request: Mapping[str, Any], member: str) -> None:
    algorithm = request.get(member, SYMMETRIC)
    if algorithm != SYMMETRIC:
        raise InvalidKeyUsageException(f"Algorithm {algorithm} is incompatible with key spec {SYMMETRIC}.")


def _context(request: Mapping[str, Any], member: str) -> Mapping[str, str]:
    """An encryption context; none is an empty one."""
    pairs: Mapping[str, str] = request.get(member, {})
    if sum(len(name) + len(value) for name, value in pairs.items()) > LONGEST_CONTEXT:
        raise ValidationException(f"An encryption context must not be longer than {LONGEST_CONTEXT} characters")
    return pairs


def _size(request: Mapping[str, Any]) -> int:
    """Bytes of a data key."""
    if ("NumberOfBytes" in request) == ("KeySpec" in request):
        raise ValidationException("Please specify either number of bytes or key spec.")
    return int(request["NumberOfBytes"]) if "NumberOfBytes" in request else DATA_KEY_BYTES[request["KeySpec"]]


def _refuse_recipient(request: Mapping[str, Any]) -> None:
    if "Recipient" in request:
        raise UnsupportedOperationException("Jedlik does not support Recipient: it knows no enclaves")
