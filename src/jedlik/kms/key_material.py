"""Encryption with the material of a key: 32 bytes, which never leave the server in the clear.

A ciphertext names the key and the material that it was made with:

    version (1)  flags (1)  account (6)  key (16)  material (32)  salt (16)  nonce (12)  encrypted  tag (16)

Each is encrypted by AES-256-GCM under a key of its own, which HKDF-SHA-256 derives from the material and the salt: so
no number of ciphertexts uses the material up. The tag covers all that is before the encrypted bytes, and the encryption
context: its pairs in the order of their names, each text behind its length.

The id of material is a hash that is keyed with the material, so it shows that material is the same without giving
anything of it away. It is also bound to the id of the KMS key: the same bytes imported into two keys have two ids.

Sources: RFC 5869; NIST SP 800-38D; "AWS KMS cryptographic details" for the idea of a key for each ciphertext.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from jedlik.kms.errors import InvalidCiphertextException
from jedlik.kms.key_records import MULTI_REGION

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MATERIAL_BYTES = 32
_VERSION = 1
_MULTI_REGION = 1
_ACCOUNT, _KEY, _ID, _SALT, _NONCE, _TAG = 6, 16, 32, 16, 12, 16
HEADER = 2 + _ACCOUNT + _KEY + _ID + _SALT + _NONCE
OVERHEAD = HEADER + _TAG
"""Bytes by which a ciphertext is longer than its plaintext."""
_INFO = b"jedlik kms data"
_ID_INFO = b"jedlik kms material id"


class Ciphertext(NamedTuple):
    """The parts of a ciphertext."""

    account: str
    key_id: str
    material: str
    header: bytes
    encrypted: bytes


def new_material() -> bytes:
    """Material for a key."""
    return secrets.token_bytes(MATERIAL_BYTES)


def material_id(material: bytes, key_id: str) -> str:
    """The id of material, in hexadecimal."""
    from cryptography.hazmat.primitives import hashes, hmac  # It takes long, and few servers need it.

    hasher = hmac.HMAC(material, hashes.SHA256())
    hasher.update(_ID_INFO + key_id.encode())
    return hasher.finalize().hex()


def encrypted(
    material: bytes, named: tuple[str, str, str], plaintext: bytes, context: Mapping[str, str], random: bytes = b""
) -> bytes:
    """A ciphertext. `named` is the account, the id of the key, and that of its material; `random` is for tests."""
    account, key_id, id_ = named
    head = bytes((_VERSION, _MULTI_REGION if key_id.startswith(MULTI_REGION) else 0))
    head += int(account).to_bytes(_ACCOUNT) + uuid.UUID(key_id.removeprefix(MULTI_REGION)).bytes + bytes.fromhex(id_)
    header = head + (random or secrets.token_bytes(_SALT + _NONCE))
    return header + _cipher(material, header).encrypt(header[-_NONCE:], plaintext, header + canonical(context))


def parts(blob: bytes) -> Ciphertext:
    """The parts of a ciphertext. Raises InvalidCiphertextException."""
    if len(blob) < OVERHEAD or blob[0] != _VERSION or blob[1] > _MULTI_REGION:
        raise InvalidCiphertextException("")
    at = 2
    account = f"{int.from_bytes(blob[at : at + _ACCOUNT]):012}"
    at += _ACCOUNT
    key = uuid.UUID(bytes=blob[at : at + _KEY])
    at += _KEY
    key_id = f"{MULTI_REGION}{key.hex}" if blob[1] else str(key)
    return Ciphertext(account, key_id, blob[at : at + _ID].hex(), blob[:HEADER], blob[HEADER:])


def decrypted(material: bytes, found: Ciphertext, context: Mapping[str, str]) -> bytes:
    """The plaintext of a ciphertext. Raises InvalidCiphertextException."""
    from cryptography.exceptions import InvalidTag

    cipher = _cipher(material, found.header)
    try:
        return cipher.decrypt(found.header[-_NONCE:], found.encrypted, found.header + canonical(context))
    except InvalidTag:
        raise InvalidCiphertextException("") from None


def canonical(context: Mapping[str, str]) -> bytes:
    """An encryption context as bytes; two that differ have different ones."""
    texts = [text.encode("utf-8", "surrogatepass") for pair in sorted(context.items()) for text in pair]
    return b"".join(len(text).to_bytes(4) + text for text in texts)


def _cipher(material: bytes, header: bytes) -> AESGCM:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    salt = header[-_NONCE - _SALT : -_NONCE]
    return AESGCM(HKDF(hashes.SHA256(), MATERIAL_BYTES, salt, _INFO).derive(material))
