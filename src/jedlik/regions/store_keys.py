"""What a store knows of itself, and must have before anything else is read or written: its format, its secret, and the
key under which its tables are sealed.

The key is random, and belongs to the account in this region. It lies in the store, sealed under the root key, so a
rotation of the root key seals one row again and no item. The first key of a table follows from it and from the table's
id; `table_keyring` has the others.

A store that was there before its server had a root key gets a key at its next start. From then on what is written is
sealed. What was written before stays plain, and is opened as such, until a background job has sealed it.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_bytes
from typing import TYPE_CHECKING

import orjson

from jedlik.regions import keyspaces, store_format
from jedlik.regions.table_keyring import StoreKeyring
from jedlik.root_key import ABSENT, RootKey, Unsealable, place
from jedlik.storage.engine import Engine, StorageError, Writes

if TYPE_CHECKING:
    from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
    from jedlik.storage.sealed import Sealing
    from jedlik.storage.sealed_engine import SealedEngine

SECRET_BYTES = 32
KEY_BYTES = 32

_TABLE_PREFIX = 9
"""Bytes of a key that name its table: its space and the table's id. Rows that belong to the store have its space
alone."""


@dataclass(frozen=True, slots=True)
class StoreKey:
    """The key of a store, as it is stored."""

    sealed: bytes
    """Under the root key."""
    has_plain: bool
    """Whether there may be values that were written before the store had a key."""
    position: bytes = b""
    """If so, what stands before this storage key has been sealed."""

    @property
    def record(self) -> bytes:
        """Its row's value."""
        members = {"Key": b64encode(self.sealed).decode(), "HasPlain": self.has_plain, "Position": self.position.hex()}
        return orjson.dumps(members)


def parse(record: bytes) -> StoreKey:
    """The key in a row's value. Raises ValueError, LookupError or TypeError for one that is damaged."""
    members = orjson.loads(record)
    return StoreKey(b64decode(members["Key"]), bool(members["HasPlain"]), bytes.fromhex(members["Position"]))


def sealed_parts(record: bytes, change: keyspaces.Change) -> bytes:
    """The record with its sealed part changed (`Keyspace.sealed`)."""
    key = parse(record)
    changed = replace(key, sealed=change(key.sealed, ""))
    return record if changed == key else changed.record


KEYSPACE = keyspaces.Keyspace(
    "store key",
    keyspaces.STORE.prefix + b"key",
    keyspaces.Owner.STORE,
    "keys of the store",
    (('"key"', "the store's key, sealed under the root key"),),
    within=keyspaces.STORE,
    sealed=sealed_parts,
)


@dataclass(frozen=True, slots=True)
class Seals:
    """What opens the keys of stores, and what it is about."""

    root_key: RootKey
    spaces: Sequence[keyspaces.Keyspace] = ()
    """The key spaces of stores."""
    numbers: tuple[bytes, Callable[[bytes], tuple[bytes, int]]] | None = None
    """The first byte of the keys of records that name a table's key, and what reads the table and the number of its key
    in such a record (`table_keyring`)."""


NO_SEALS = Seals(ABSENT)
"""For stores that are not sealed."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What it takes to open a store."""

    path: Path
    account: str
    region: str
    seals: Seals

    @property
    def place(self) -> bytes:
        """Where its key belongs."""
        return place(self.account, self.region, KEYSPACE.prefix)


@dataclass(frozen=True, slots=True)
class Known:
    """What a store knows of itself."""

    secret: bytes
    key: StoreKey | None
    """None for a store whose values are plain."""


async def known(engine: Engine, opened: Opening, *, seals: bool) -> Known:
    """What a store knows of itself; a new one gets it now, and one without a key gets one if it `seals` and there is a
    root key. Raises StorageError for one of another format, or whose key cannot be read."""
    path, root_key = opened.path, opened.seals.root_key
    offered = token_bytes(SECRET_BYTES)
    new_key = root_key.seal(token_bytes(KEY_BYTES), opened.place) if seals and root_key.is_there else None

    def decide(found: Sequence[bytes | None]) -> tuple[Writes, Known]:
        record, secret, key_record = found
        writes = Writes()
        if record is None and secret is None:
            key = None if new_key is None else StoreKey(new_key, has_plain=False)
            _put(key, writes)
            writes.put(keyspaces.secret_key(), offered)
            return writes, Known(offered, key)
        reason = store_format.refusal(record)
        if reason is not None:
            raise StorageError(f"the store in {path} {reason}")
        if secret is None:
            raise StorageError(f"the store in {path} has lost its secret: no key of an item can be worked out")
        key = None if key_record is None else parsed(key_record, path)
        if key is None and new_key is not None:
            key = StoreKey(new_key, has_plain=True)
            _put(key, writes)
        return writes, Known(secret, key)

    read = [keyspaces.format_key(), keyspaces.secret_key(), KEYSPACE.prefix]
    writes, found = decide(await engine.get(read))
    return await engine.mutate(read, decide) if writes.puts else found


def _put(key: StoreKey | None, writes: Writes) -> None:
    writes.put(keyspaces.format_key(), store_format.record(is_sealed=key is not None))
    if key is not None:
        writes.put(KEYSPACE.prefix, key.record)


def parsed(record: bytes, path: Path) -> StoreKey:
    """The key of the store in `path`. Raises StorageError."""
    try:
        return parse(record)
    except (ValueError, LookupError, TypeError) as error:
        raise StorageError(f"the store in {path} has a key that cannot be read: {error}") from error


def sealed_engine(engine: LmdbEngine, known: StoreKey, opened: Opening) -> SealedEngine:
    """The engine with which a store is used whose values are kept in another. Raises StorageError."""
    from jedlik.storage.sealed_engine import SealedEngine

    def read(key: bytes) -> bytes | None:
        [value] = engine.get_here([key])
        return value

    return SealedEngine(engine, sealing(known, opened, read))


def sealing(key: StoreKey, opened: Opening, read: Callable[[bytes], bytes | None]) -> Sealing:
    """What seals and opens the values of a store, in which `read` finds the value of a key. Raises StorageError."""
    from jedlik.storage.sealed import Numbers, SealedSpace, Sealing  # It takes long to import.

    plain_key = _unsealed(key, opened)
    found = {
        space.prefix: SealedSpace(1 if space.owner is keyspaces.Owner.STORE else _TABLE_PREFIX, is_log=space.is_log)
        for space in opened.seals.spaces
        if space.has_sealed_values
    }
    numbers = None if opened.seals.numbers is None else Numbers(*opened.seals.numbers)
    return Sealing(StoreKeyring(plain_key, read), found, key.has_plain, numbers)


def piece_key(key: StoreKey, opened: Opening) -> bytes:
    """The key of the pieces of a store's backups. It follows from the store's, so it outlives the tables. Raises
    StorageError."""
    from jedlik.storage.sealed import derived

    return derived(_unsealed(key, opened), b"jedlik piece key")


def _unsealed(key: StoreKey, opened: Opening) -> bytes:
    try:
        return opened.seals.root_key.unseal(key.sealed, opened.place)
    except Unsealable as error:
        raise StorageError(f"the key of the store in {opened.path} cannot be opened: {error}") from error
