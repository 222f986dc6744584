"""Seals what lies open in an identity store of an earlier version: the secrets of access keys, and the key of tokens.

It may be stopped anywhere and done again: each row is sealed in one commit, and readers know both forms. The key of
session tokens stays the same, so tokens stay valid; the secret that it followed from is replaced.
"""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Sequence

from jedlik.iam.identity_rows import ACCESS_KEYS, CHANGES, CURRENT, SEALED_SECRET, packed, unpacked
from jedlik.iam.identity_stores import SECRET_BYTES
from jedlik.iam.token_keys import ROW, following_from
from jedlik.regions import keyspaces
from jedlik.root_key import RootKey, place
from jedlik.storage.engine import Engine, Writes

_PAGE, _PAGE_BYTES = 200, 1 << 20
OPEN = "Secret"
"""The member in which an earlier version kept the secret of an access key."""


async def seal(engine: Engine, account: str, root_key: RootKey) -> None:
    """Seal the secrets of an account. Raises StorageError."""
    await engine.mutate([ROW, keyspaces.secret_key()], lambda found: (_token_key(found, account, root_key), None))
    start, end = ACCESS_KEYS.range
    while page := await engine.range(start, end, _PAGE, _PAGE_BYTES):
        keys = [key for key, value in page if OPEN in unpacked(value)]
        if keys:
            await engine.mutate(keys, lambda found, keys=keys: (_sealed(keys, found, account, root_key), None))  # type: ignore[misc]
        start = page[-1][0] + b"\0"


def _token_key(found: Sequence[bytes | None], account: str, root_key: RootKey) -> Writes:
    row, secret = found
    writes = Writes()
    if row is None and secret is not None:
        sealed = root_key.seal(following_from(secret), place(account, "", ROW, CURRENT))
        writes.put(ROW, packed({CURRENT: b64encode(sealed).decode()}))
        writes.put(keyspaces.secret_key(), secrets.token_bytes(SECRET_BYTES))
        writes.add(CHANGES, 1)
    return writes


def _sealed(keys: Sequence[bytes], found: Sequence[bytes | None], account: str, root_key: RootKey) -> Writes:
    writes = Writes()
    for key, value in zip(keys, found, strict=True):
        row = {} if value is None else unpacked(value)
        secret = row.pop(OPEN, None)
        if secret is not None:
            sealed = root_key.seal(secret.encode(), place(account, "", key, SEALED_SECRET))
            writes.put(key, packed(row | {SEALED_SECRET: b64encode(sealed).decode()}))
            writes.add(CHANGES, 1)
    return writes
