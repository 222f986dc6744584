"""Session tokens: all that is known of a session, sealed, so that nothing needs to be kept for it.

A token has the session's principal, its policies, tags and expiry, and the secret of its key. It is sealed with
AES-256-GCM under a key that follows from the secret of the account's identity store. The access key id is authenticated
with it, so a token is good for its own key alone, and names the account.

Source of the most that a token may have: "AWS STS" in the IAM user guide's quotas, and what clients can carry in a
header.
"""

from __future__ import annotations

import secrets
import zlib
from base64 import b64decode, b64encode
from hashlib import blake2b

import orjson

from jedlik.aws.credentials import Credential
from jedlik.aws.principals import Principal
from jedlik.iam.identity_stores import AccountIdentity
from jedlik.regions import keyspaces

LONGEST = 4096
"""Characters of a token."""
_VERSION = b"\x01"
_NONCE = 12
_OVERHEAD = 1 + _NONCE + 16
"""Bytes beside the content: the version, the nonce and the cipher's tag."""
_KEY_BYTES = 32
_LARGEST_CONTENT = 1 << 20


def sealed(
    identity: AccountIdentity, principal: Principal, access_key: str, secret: str, expires: float, least: int = 0
) -> str:
    """The token of a session, of `least` characters or more. It may be too long (`LONGEST`)."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # It takes long, and few servers need it.

    content = zlib.compress(orjson.dumps([secret, expires, list(principal)]))
    content += bytes(max(0, -(-least * 3 // 4) - _OVERHEAD - len(content)))  # zlib ignores what follows its end.
    nonce = secrets.token_bytes(_NONCE)
    encrypted = AESGCM(_key(identity)).encrypt(nonce, content, access_key.encode())
    return b64encode(_VERSION + nonce + encrypted).decode()


def opened(identity: AccountIdentity, access_key: str, token: str) -> Credential | None:
    """The key of a session whose token this is; None for anything else."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if len(token) > LONGEST or not identity.is_there:
        return None
    try:
        raw = b64decode(token, validate=True)
        if raw[:1] != _VERSION:
            return None
        nonce, encrypted = raw[1 : 1 + _NONCE], raw[1 + _NONCE :]
        content = AESGCM(_key(identity)).decrypt(nonce, encrypted, access_key.encode())
    except (ValueError, InvalidTag):
        return None
    secret, expires, principal = orjson.loads(zlib.decompressobj().decompress(content, _LARGEST_CONTENT))
    return Credential(access_key, secret, token, expires, identity.account, principal=_principal(principal))


def _principal(found: list[object]) -> Principal:
    """A principal from JSON, which has lists for tuples."""
    return Principal(*(_frozen(member) for member in found))  # type: ignore[arg-type]


def _frozen(found: object) -> object:
    return tuple(_frozen(one) for one in found) if isinstance(found, list) else found


def _key(identity: AccountIdentity) -> bytes:
    secret = identity.value(keyspaces.secret_key())
    assert secret is not None, "an identity store has a secret"
    return blake2b(secret, digest_size=_KEY_BYTES, person=b"session token").digest()
