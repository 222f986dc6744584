"""The keys of an account's session tokens: the current one, and the one before, whose tokens are still valid.

They are sealed under the root key in one row of the identity store. A store of an earlier version has no such row: then
the key follows from the secret of the store, until the store is sealed (`open_secrets`).
"""

from __future__ import annotations

import secrets
from base64 import b64decode, b64encode
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

from jedlik.iam.identity_rows import CHANGES, CURRENT, FORMER, TOKEN_KEYS, Row, packed, unpacked
from jedlik.iam.identity_stores import AccountIdentity
from jedlik.regions import keyspaces
from jedlik.root_key import RootKey, place
from jedlik.storage.engine import Writes
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine

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


async def renew(path: Path, account: str, root_key: RootKey) -> int:
    """Begin a new key in an identity store, unless it has one under the present root key: a thief of the former root
    key has the former token keys. Tokens of the key before stay valid. Returns how many keys were begun.

    Raises StorageError, and Unsealable.
    """
    fresh = secrets.token_bytes(KEY_BYTES)

    def sealed(key: bytes, part: str) -> str:
        return b64encode(root_key.seal(key, place(account, "", ROW, part))).decode()

    def decide(found: Sequence[bytes | None]) -> tuple[Writes, int]:
        writes = Writes()
        row = None if found[0] is None else unpacked(found[0])
        if row is None or root_key.is_current(b64decode(row[CURRENT])):
            return writes, 0
        before = root_key.unseal(b64decode(row[CURRENT]), place(account, "", ROW, CURRENT))
        writes.put(ROW, packed({CURRENT: sealed(fresh, CURRENT), FORMER: sealed(before, FORMER)}))
        writes.add(CHANGES, 1)
        return writes, 1

    engine = LmdbEngine.open(path, durable=True)
    try:
        return await engine.mutate([ROW], decide)
    finally:
        await engine.close()
