"""The keys of an account's session tokens: the current one, and the one before, whose tokens are still valid.

They are sealed under the root key in one row of the identity store. A store of an earlier version has no such row: then
the key follows from the secret of the store, until the store is sealed (`open_secrets`).
"""

from __future__ import annotations

from hashlib import blake2b

from jedlik.iam.identity_rows import CURRENT, FORMER, TOKEN_KEYS, Row
from jedlik.iam.identity_stores import AccountIdentity
from jedlik.regions import keyspaces

KEY_BYTES = 32
ROW = TOKEN_KEYS.prefix
"""The key of the row."""


def following_from(secret: bytes) -> bytes:
    """The key of a store of an earlier version, or without a root key."""
    return blake2b(secret, digest_size=KEY_BYTES, person=b"session token").digest()


def keys_of(identity: AccountIdentity) -> tuple[bytes, ...]:
    """The keys of an account, the current one first. Raises StorageError, and Unsealable."""
    found: tuple[bytes, ...] | None = identity.kept.get(ROW)
    if found is None:
        found = identity.kept[ROW] = _read(identity, identity.row(ROW))
    return found


def _read(identity: AccountIdentity, row: Row | None) -> tuple[bytes, ...]:
    if row is None:
        secret = identity.value(keyspaces.secret_key())
        assert secret is not None, "an identity store has a secret"
        return (following_from(secret),)
    return tuple(identity.unsealed(ROW, row[part], part) for part in (CURRENT, FORMER) if part in row)
