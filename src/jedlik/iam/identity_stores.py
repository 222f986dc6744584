"""The identity stores of a server: one for each account that has users or roles, in the account's folder.

It is opened when it is first asked for, and made by the first change. Reads are done at once, on the event loop: the
embedded engine never waits to read. Every change moves a counter, at which each worker looks once a second; what it
keeps of an account (`AccountIdentity.kept`) is forgotten when the counter has moved. A worker that has made a change
forgets at once.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from jedlik.aws.errors import ServiceUnavailable
from jedlik.config import Settings
from jedlik.iam.errors import InvalidInputException, LimitExceededException
from jedlik.iam.failed_sign_ins import FailedSignIns
from jedlik.iam.identity_home import IdentityHome
from jedlik.iam.identity_rows import (
    CHANGES,
    CURRENT,
    ROLE,
    TOKEN_KEYS,
    USER,
    Row,
    attachments_key,
    id_key,
    packed,
    unpacked,
)
from jedlik.regions import keyspaces, layout, store_format
from jedlik.root_key import ABSENT, NoRootKey, RootKey, place
from jedlik.storage.counters import counter
from jedlik.storage.empty import EmptyEngine
from jedlik.storage.engine import Engine, StorageError, Writes
from jedlik.storage.lmdb import idle_committers
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
from jedlik.storage.lmdb.lmdb_pages import DATA

T = TypeVar("T")

OPEN_STORES = 64
"""At once. One that has been quiet for longest makes room for another."""
IDLE_SECONDS = 300.0
"""After which a store that nobody has asked for is closed."""
SECRET_BYTES = 32
MOST_ACCOUNTS = 1000
"""Accounts that there may be when a request makes another (`regions.stores`)."""
_PAGE = 500
"""Rows that are read at once."""
_PAGE_BYTES = 8 << 20

IMPORTED = "imported"
"""The user that access keys belong to which were made before there were users."""
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


def at_once(reading: Coroutine[Any, Any, T]) -> T:
    """The result of a read of an engine that never waits."""
    try:
        reading.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    reading.close()
    raise StorageError("the identity store cannot be read at once")


class Rows:
    """What a change reads and writes: rows by their keys, and counters."""

    def __init__(self, keys: Sequence[bytes], found: Sequence[bytes | None]) -> None:
        self._found = dict(zip(keys, found, strict=True))
        self.writes = Writes()

    def get(self, key: bytes) -> Row | None:
        """The row under a key that was read."""
        value = self._found[key]
        return None if value is None else unpacked(value)

    def is_there(self, key: bytes) -> bool:
        """Whether a key that was read has a value."""
        return self._found[key] is not None

    def count(self, key: bytes) -> int:
        """The counter under a key that was read."""
        return counter(self._found[key])

    def put(self, key: bytes, row: Row) -> None:
        self.writes.put(key, packed(row))

    def put_value(self, key: bytes, value: bytes) -> None:
        self.writes.put(key, value)

    def delete(self, key: bytes) -> None:
        self.writes.delete(key)

    def add(self, key: bytes, amount: int) -> None:
        self.writes.add(key, amount)


class AccountIdentity:
    """The identity store of one account, as a worker knows it."""

    def __init__(self, stores: IdentityStores, account: str) -> None:
        self.account = account
        self._stores = stores
        self.engine: Engine = EmptyEngine()
        self.asked = time.monotonic()
        """When somebody last asked for it."""
        self.is_used = False
        """Whether what is kept of it has been used since the last look."""
        self.changes = 0
        """The counter of changes when it was last looked at."""
        self.kept: dict[Any, Any] = {}
        """What follows from the store, until it changes."""

    @property
    def failed_sign_ins(self) -> FailedSignIns:
        """The failed sign-ins of the server."""
        return self._stores.failed_sign_ins

    @property
    def data_dir(self) -> Path:
        """The server's data folder."""
        return self._stores.settings.data_dir

    @property
    def own_account(self) -> str:
        """The account of the server itself."""
        return self._stores.settings.account

    @property
    def is_there(self) -> bool:
        """Whether the account has a store."""
        return not isinstance(self.engine, EmptyEngine)

    def sealed(self, key: bytes, secret: bytes, part: str) -> str:
        """A secret as the row under `key` keeps it in its member `part`. Without a root key raises
        InvalidInputException."""
        try:
            return b64encode(self._stores.root_key.seal(secret, place(self.account, "", key, part))).decode()
        except NoRootKey as error:
            raise InvalidInputException(str(error)) from error

    def unsealed(self, key: bytes, kept: str, part: str) -> bytes:
        """The secret that the row under `key` keeps in its member `part`. Raises Unsealable."""
        return self._stores.root_key.unseal(b64decode(kept), place(self.account, "", key, part))

    @property
    def now(self) -> float:
        """The time, in whole seconds since the epoch, as IAM dates things."""
        return float(int(self._stores.clock()))

    def get(self, *keys: bytes) -> list[Row | None]:
        """The rows under keys, of one state of the store. Raises StorageError."""
        found = at_once(self.engine.get(keys))
        return [None if value is None else unpacked(value) for value in found]

    def row(self, key: bytes) -> Row | None:
        """The row under one key."""
        return self.get(key)[0]

    def value(self, key: bytes) -> bytes | None:
        """What is stored under one key."""
        return at_once(self.engine.get([key]))[0]

    def counts(self, keys: Sequence[bytes]) -> list[int]:
        """The counters under keys."""
        return [counter(value) for value in at_once(self.engine.get(keys))]

    def range(self, start: bytes, end: bytes, limit: int = _PAGE) -> list[tuple[bytes, Row]]:
        """The first rows of a range."""
        rows = at_once(self.engine.range(start, end, limit, _PAGE_BYTES))
        return [(key, unpacked(value)) for key, value in rows]

    def all(self, start: bytes, end: bytes) -> Iterable[tuple[bytes, Row]]:
        """The rows of a range, page by page."""
        while page := self.range(start, end):
            yield from page
            start = page[-1][0] + b"\0"

    def unique_id_of(self, arn: str) -> str | None:
        """The unique id of a user or role, of any account of this server; None if nobody has the ARN."""
        parts = arn.split(":", 5)
        kind_name, _, path = parts[-1].partition("/")
        kind = {"user": USER, "role": ROLE}.get(kind_name)
        if kind is None:
            return None
        account = parts[4]
        identity = self if account == self.account else self._stores.of(account)
        row = identity.row(kind.key(path.rpartition("/")[2]))
        return row[kind.id] if row is not None and kind.arn(account, row) == arn else None

    async def change(self, keys: Sequence[bytes], decide: Callable[[Rows], T], *, is_noticed: bool = True) -> T:
        """Change what is under `keys`, in one step: `decide` is pure, and may run more than once.

        Unless `is_noticed`, nothing that others keep depends on the change. Raises what `decide` does.
        """
        if is_noticed or not self.is_there:
            self._stores.home.check_home()
        engine = await self._stores.made(self)

        def deciding(found: Sequence[bytes | None]) -> tuple[Writes, T]:
            rows = Rows(keys, found)
            result = decide(rows)
            if is_noticed and (rows.writes.puts or rows.writes.adds):
                rows.writes.add(CHANGES, 1)
            return rows.writes, result

        result = await engine.mutate(keys, deciding)
        if is_noticed:
            self._stores.look()
        return result


class IdentityStores:
    """The identity stores of a worker."""

    def __init__(
        self,
        settings: Settings,
        clock: Callable[[], float] = time.time,
        root_key: RootKey = ABSENT,
        failed_sign_ins: FailedSignIns | None = None,
    ) -> None:
        """`failed_sign_ins` are those of all workers."""
        self.settings = settings
        self.home = IdentityHome(settings, clock)
        """Where identity is changed."""
        self.root_key = root_key
        self.clock = clock
        self.failed_sign_ins = failed_sign_ins or FailedSignIns()
        self.has_imported: Callable[[str], bool] = lambda account: False
        """Whether an account has keys that were made before there were users: a user is made for them."""
        self._open: dict[str, AccountIdentity] = {}
        self._closing: dict[str, asyncio.Task[None]] = {}
        self._absent: set[str] = set()
        """Accounts that were asked for and had no store."""
        self.changed: Callable[[], None] = lambda: None
        """Called when any of them has changed."""

    def of(self, account: str) -> AccountIdentity:
        """The identity store of an account; an empty one where it has none. Raises StorageError."""
        found = self._open.get(account)
        if found is None:
            found = AccountIdentity(self, account)
            if self._has_store(account):
                self._begin(found)
            elif self._has_account(account) and len(self._absent) < MOST_ACCOUNTS:
                self._absent.add(account)
        found.asked = time.monotonic()
        return found

    def unique_id(self, arn: str) -> str | None:
        """The unique id of a user or role of any account; None for any other ARN, and if nobody has it."""
        parts = arn.split(":", 5)
        return None if len(parts) < 6 else self.of(parts[4]).unique_id_of(arn)

    async def founded(self, account: str) -> AccountIdentity:
        """The identity store of an account, which is made if need be. Raises what `made` does."""
        identity = self.of(account)
        if not identity.is_there:
            self.home.check_home()
        await self.made(identity)
        return identity

    def accounts(self) -> list[str]:
        """The accounts that have a store."""
        return [account for account in layout.accounts(self.settings.data_dir) if self._has_store(account)]

    async def for_copies(self, account: str) -> AccountIdentity:
        """The identity store of an account, made without what a new store begins with: that is copied."""
        identity = self.of(account)
        if not identity.is_there:
            self._begin(identity)
            self._absent.discard(account)
        return identity

    def _path(self, account: str) -> Path:
        return layout.account_folder(self.settings.data_dir, account) / layout.IDENTITY

    def _has_account(self, account: str) -> bool:
        settings = self.settings
        return account == settings.account or layout.account_folder(settings.data_dir, account).is_dir()

    def _has_store(self, account: str) -> bool:
        return (self._path(account) / DATA).exists()

    def _begin(self, identity: AccountIdentity) -> None:
        """Open a store, which is made if need be. Raises ServiceUnavailable while it is still being closed."""
        if identity.account in self._closing:
            raise ServiceUnavailable("The identity store is being closed; try again")
        if len(self._open) >= OPEN_STORES:
            self._begin_closing(min(self._open.values(), key=lambda one: one.asked))
        path = self._path(identity.account)
        engine = LmdbEngine.open(path, durable=not self.settings.in_memory)
        record = at_once(engine.get([keyspaces.format_key()]))[0]
        reason = None if record is None else store_format.refusal(record)
        if reason is not None:
            raise StorageError(f"the identity store in {path} {reason}")
        identity.engine = engine
        identity.changes = identity.counts([CHANGES])[0]
        self._open[identity.account] = identity

    async def made(self, identity: AccountIdentity) -> Engine:
        """The engine of a store, which is made if need be. Raises LimitExceededException, and StorageError."""
        if identity.is_there:
            return identity.engine
        current = self._open.get(identity.account)
        if current is None:
            self._check_room(identity.account)
            current = identity
            self._begin(current)
        identity.engine = current.engine
        await self._found(identity)
        return identity.engine

    async def _found(self, identity: AccountIdentity) -> None:
        """Write what a new store begins with."""
        secret = secrets.token_bytes(SECRET_BYTES)
        token_key = secrets.token_bytes(SECRET_BYTES)
        row_of_keys = TOKEN_KEYS.prefix
        sealed = identity.sealed(row_of_keys, token_key, CURRENT) if self.root_key.is_there else None
        unique_id = USER.new_id()
        row = {
            "Path": "/",
            "UserName": IMPORTED,
            "UserId": unique_id,
            "CreateDate": identity.now,
            "Attached": [ADMINISTRATOR],
        }

        def decide(found: Sequence[bytes | None]) -> tuple[Writes, None]:
            writes = Writes()
            if found[0] is None:
                writes.put(keyspaces.format_key(), store_format.record())
                writes.put(keyspaces.secret_key(), secret)
                if sealed is not None:
                    writes.put(row_of_keys, packed({CURRENT: sealed}))
                if self.has_imported(identity.account):
                    writes.put(USER.key(IMPORTED), packed(row))
                    writes.put(id_key(unique_id), USER.key(IMPORTED))
                    writes.add(USER.count, 1)
                    writes.add(attachments_key(ADMINISTRATOR), 1)
                writes.add(CHANGES, 1)
            return writes, None

        await identity.engine.mutate([keyspaces.format_key()], decide)

    def _check_room(self, account: str) -> None:
        """Raise LimitExceededException where a request may make no more accounts."""
        if not self._has_account(account) and len(layout.accounts(self.settings.data_dir)) >= MOST_ACCOUNTS:
            raise LimitExceededException(
                f"This server has {MOST_ACCOUNTS} accounts, and makes no more without `jedlik account create`"
            )

    def _begin_closing(self, identity: AccountIdentity) -> None:
        """Begin to close a store. It is opened again when it is asked for."""
        engine, identity.engine = identity.engine, EmptyEngine()
        identity.kept = {}
        self._open.pop(identity.account, None)
        closing = self._closing[identity.account] = asyncio.get_running_loop().create_task(engine.close())
        closing.add_done_callback(lambda _: self._closing.pop(identity.account))

    def look(self) -> bool:
        """Look whether any store has changed, or has been made, and forget what is kept of it; whether there is one."""
        is_other = self.home.look()
        made = {account for account in self._absent if self._has_store(account)}
        self._absent -= made
        moved = bool(made) or is_other
        for identity in self._open.values():
            changes = identity.counts([CHANGES])[0]
            if changes != identity.changes:
                identity.changes = changes
                identity.kept = {}
                moved = True
        if moved:
            self.changed()
        return moved

    def look_after(self, most_looks: int) -> None:
        """Once a second: fail commits that hang, end idle committers, and close what nobody has asked for in a while.
        Identities are seldom changed, so one committer stays."""
        now = time.monotonic()
        engines = [one.engine for one in self._open.values() if isinstance(one.engine, LmdbEngine)]
        for engine in engines:
            engine.look(most_looks)
        idle_committers.end_most(engines, kept=1)
        for identity in list(self._open.values()):
            if identity.is_used:
                identity.asked, identity.is_used = now, False
            elif now - identity.asked > IDLE_SECONDS:
                self._begin_closing(identity)

    async def close(self) -> None:
        """Close all."""
        for identity in list(self._open.values()):
            self._begin_closing(identity)
        await asyncio.gather(*self._closing.values())
