"""Session tokens: all that is known of a session, sealed, so that nothing needs to be kept for it.

A token has the session's principal, its policies, tags and expiry, and the secret of its key. It is sealed with
AES-256-GCM under a key of the account (`token_keys`). The access key id is authenticated
with it, so a token is good for its own key alone, and names the account.

Source of the most that a token may have: "AWS STS" in the IAM user guide's quotas, and what clients can carry in a
header.
"""

from __future__ import annotations

import secrets
import zlib
from base64 import b64decode, b64encode
from contextlib import suppress

import orjson

from jedlik.aws.credentials import Credential
from jedlik.aws.principals import Principal
from jedlik.iam import token_keys
from jedlik.iam.identity_stores import AccountIdentity

LONGEST = 4096
"""Characters of a token."""
_VERSION = b"\x01"
_NONCE = 12
_OVERHEAD = 1 + _NONCE + 16
"""Bytes beside the content: the version, the nonce and the cipher's tag."""
_LARGEST_CONTENT = 1 << 20


def sealed(
    identity: AccountIdentity, principal: Principal, access_key: str, secret: str, expires: float, least: int = 0
) -> str:
    """The token of a session, of `least` characters or more. It may be too long (`LONGEST`)."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # It takes long, and few servers need it.

    content = zlib.compress(orjson.dumps([secret, expires, list(principal)]))
    content += bytes(max(0, -(-least * 3 // 4) - _OVERHEAD - len(content)))  # zlib ignores what follows its end.
    nonce = secrets.token_bytes(_NONCE)
    encrypted = AESGCM(token_keys.keys_of(identity)[0]).encrypt(nonce, content, access_key.encode())
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
    except ValueError:
        return None
    nonce, encrypted = raw[1 : 1 + _NONCE], raw[1 + _NONCE :]
    content = None
    for key in token_keys.keys_of(identity):
        with suppress(ValueError, InvalidTag):
            content = AESGCM(key).decrypt(nonce, encrypted, access_key.encode())
            break
    if content is None:
        return None
    secret, expires, principal = orjson.loads(zlib.decompressobj().decompress(content, _LARGEST_CONTENT))
    return Credential(access_key, secret, token, expires, identity.account, principal=_principal(principal))


def _principal(found: list[object]) -> Principal:
    """A principal from JSON, which has lists for tuples."""
    return Principal(*(_frozen(member) for member in found))  # type: ignore[arg-type]


def _frozen(found: object) -> object:
    return tuple(_frozen(one) for one in found) if isinstance(found, list) else found
