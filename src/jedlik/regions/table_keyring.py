"""The keys of a store's tables. Each has a number, which stands in the values that are sealed with it.

Number 0 follows from the store's key and from the table's id. A table whose key was changed has a row with its further
keys, the current one last. Each of these is either sealed by a key of KMS, and is opened by KMS alone, or follows from
the store's key as well. Numbers are not used again. A key stays in the row as long as anything is sealed with it.

Opening a key by KMS takes waiting, and sealing does not wait. So keys are opened before they are needed (`learn`), and
a value whose key is not open raises NoKey.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import orjson

from jedlik.regions.keyspaces import STORE, Keyspace, Owner
from jedlik.storage.engine import NoKey

KEYSPACE = Keyspace(
    "table keys",
    STORE.prefix + b"table-keys/",
    Owner.STORE,
    "keys of tables",
    (('"table-keys/"  table id (8)', "the table's keys, sealed by keys of KMS"),),
    within=STORE,
)
LAST_NUMBER = 0xFFFF
"""A number has two bytes."""


@dataclass(frozen=True, slots=True)
class TableKey:
    """One of a table's keys, as it is stored. Nothing of it is secret."""

    number: int
    key_arn: str | None = None
    """The key of KMS that opens it; None for one that follows from the store's key."""
    grant: str = ""
    """The id of the grant by which it may."""
    sealed: bytes = b""
    """The key, sealed by that of KMS."""
    idle: bool = False
    """Whether no value is sealed with it any more, so that it can be given back."""
    elsewhere: bool = False
    """Whether the key of KMS is another server's (`[kms]`)."""


@dataclass(frozen=True, slots=True)
class TableKeys:
    """The row of a table whose key was chosen."""

    table: str
    """Its name."""
    keys: tuple[TableKey, ...]
    """The current one is the last."""
    closed: bool = False
    """Whether KMS refuses one of them, so that nobody may use the table."""

    @property
    def current(self) -> TableKey:
        """The key that seals."""
        return self.keys[-1]

    def key(self, number: int) -> TableKey | None:
        """The key of a number."""
        return next((one for one in self.keys if one.number == number), None)

    @property
    def needed(self) -> Iterator[TableKey]:
        """The keys of KMS without which not all values can be read."""
        return (one for one in self.keys if one.key_arn is not None and not one.idle)

    def with_current(self, key: TableKey) -> TableKeys:
        """The row with a next key."""
        return replace(self, keys=(*self.keys, key))

    @property
    def settled(self) -> TableKeys:
        """The row when all values are sealed with the current key."""
        return replace(self, keys=(*(replace(one, idle=True) for one in self.keys[:-1]), self.current))

    @property
    def record(self) -> bytes:
        """The row's value."""
        members = {"TableName": self.table, "Keys": [_written(one) for one in self.keys]}
        return orjson.dumps(members | ({"Closed": True} if self.closed else {}))


def _written(key: TableKey) -> dict[str, Any]:
    members: dict[str, Any] = {"Number": key.number}
    if key.key_arn is not None:
        members |= {"KeyArn": key.key_arn, "Grant": key.grant, "Sealed": b64encode(key.sealed).decode()}
    if key.idle:
        members["Idle"] = True
    if key.elsewhere:
        members["Elsewhere"] = True
    return members


def parse(record: bytes) -> TableKeys:
    """The keys in a row's value. Raises ValueError, LookupError or TypeError for one that is damaged."""
    members = orjson.loads(record)
    return TableKeys(
        members["TableName"],
        tuple(
            TableKey(
                int(one["Number"]),
                one.get("KeyArn"),
                one.get("Grant", ""),
                b64decode(one.get("Sealed", "")),
                bool(one.get("Idle", False)),
                bool(one.get("Elsewhere", False)),
            )
            for one in members["Keys"]
        ),
        bool(members.get("Closed", False)),
    )


def row(table: bytes) -> bytes:
    """The key of the row of a table."""
    return KEYSPACE.prefix + table


def table_of(key: bytes) -> bytes:
    """The table whose row is under a key."""
    return key[len(KEYSPACE.prefix) :]


class StoreKeyring:
    """The keys of a store's tables, as far as they are open in this process."""

    def __init__(self, key: bytes, read: Callable[[bytes], bytes | None]) -> None:
        self._key = key
        self._read = read
        self._current: dict[bytes, int] = {}
        """The number of the key that seals, by table."""
        self._open: dict[bytes, dict[int, bytes]] = {}
        """The open keys of KMS, by table and number."""
        self.seen: dict[bytes, bytes] = {}
        """The rows of which all keys are open, or need not be, by table."""

    def record(self, table: bytes) -> TableKeys | None:
        """The row of a table; None if its key is the one that it had from the beginning. Raises NoKey for a row that is
        damaged."""
        stored = self._read(row(table))
        try:
            return None if stored is None else parse(stored)
        except (ValueError, LookupError, TypeError) as error:
            raise NoKey(f"the keys of the table {table.hex()} cannot be read: {error}") from error

    def current(self, owner: bytes) -> int | None:
        """The number of the key that seals an owner's values."""
        table = owner[1:]
        known = self._current.get(table)
        if known is None:
            record = self.record(table)
            known = self._current[table] = 0 if record is None else record.current.number
        return known

    def use(self, table: bytes, number: int) -> bool:
        """Seal with the key of this number, unless a later one is in use. Whether that changes anything."""
        known = self._current.get(table)
        if known is not None and number <= known:
            return False
        self._current[table] = number
        return True

    def key(self, owner: bytes, number: int) -> bytes:
        """A table's key. Raises NoKey for one that is not open, or that this version does not know."""
        from jedlik.storage.sealed import derived  # It takes long to import.

        table = owner[1:]
        if not number:
            return derived(self._key, b"jedlik table key " + table)
        found = self._open.get(table, {}).get(number)
        if found is not None:
            return found
        record = self.record(table)
        one = None if record is None else record.key(number)
        if one is None:
            raise NoKey(f"the table {table.hex()} is sealed with a key of the number {number}, which is unknown")
        if one.key_arn is not None:
            raise NoKey(f"the table {table.hex()} is sealed with a key that {one.key_arn} has not opened")
        return derived(self._key, b"jedlik table key " + table + number.to_bytes(2, "big"))

    def learn(self, table: bytes, number: int, key: bytes) -> None:
        """Keep a key that KMS has opened."""
        self._open.setdefault(table, {})[number] = key

    def lacks(self, table: bytes, number: int) -> bool:
        """Whether a key of KMS is not open here."""
        return number not in self._open.get(table, ())

    def close(self, table: bytes) -> None:
        """Let go of the keys of a table that KMS has opened."""
        self._open.pop(table, None)
        self.seen.pop(table, None)

    def open_tables(self) -> list[bytes]:
        """The tables with keys of KMS that are open here."""
        return list(self._open)
