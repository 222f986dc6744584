"""Copies of identity stores: what their home gives to those who follow it, and how they take it.

    State    the accounts whose store differs from what the follower knows of it, waiting a while for one to change
    Page     rows of an account's store

A store is copied as a whole: it is small, and seldom changes. Its counter of changes is among the rows, so pages of one
state are known by the counter, and a follower that has it has everything. Last uses are each server's own. Sealed parts
are opened for the way, which is signed with the peer secret and over HTTPS, and sealed again under the follower's own
root key.
"""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from collections.abc import Mapping
from hashlib import blake2b
from itertools import islice
from typing import Any

from jedlik.aws.access import needs_nothing
from jedlik.aws.context import Context
from jedlik.aws.errors import ValidationException
from jedlik.aws.protocols import json_1_0
from jedlik.aws.service import Operation, Service
from jedlik.iam.identity_rows import CHANGES, KEYSPACES, LAST_USES
from jedlik.iam.identity_stores import AccountIdentity, IdentityStores
from jedlik.regions import keyspaces, layout
from jedlik.regions.keyspaces import Keyspace
from jedlik.root_key import place

NAME, SIGNING_NAME, TARGET = "jedlikidentity", "jedlik-identity", "JedlikIdentity_1"
LONGEST_WAIT = 1.0
LOOK_SECONDS = 0.1
LOOKED_AT = 32
"""Accounts that are all looked at in each look."""
TURN = 4
"""Accounts that are looked at in each look where there are more: they take turns, because each must be opened."""
PAGE_ROWS = 500
PAGE_BYTES = 1 << 20
COPIED = tuple(space for space in KEYSPACES if space is not LAST_USES)
"""The key spaces that are copied. Only its secret is copied of what the store knows of itself."""

State = list[Any]
"""The counter of changes of a store, and a name by which it is known from another store of the account."""


def state_of(identity: AccountIdentity) -> State | None:
    """The state of an account's store; None if it has none."""
    if not identity.is_there:
        return None
    secret = identity.value(keyspaces.secret_key()) or b""
    name = blake2b(secret, digest_size=8, person=b"identity store").hexdigest()
    return [identity.counts([CHANGES])[0], name]


def space_of(key: bytes) -> Keyspace | None:
    """The copied key space that a key is in."""
    if key == keyspaces.secret_key():
        return keyspaces.STORE
    return next((space for space in COPIED if key.startswith(space.prefix)), None)


def opened(stores: IdentityStores, account: str, key: bytes, value: bytes) -> bytes:
    """A row's value with its sealed parts in the clear. Raises Unsealable."""
    space = space_of(key)
    if space is None or space.sealed is None:
        return value
    return space.sealed(value, lambda part, name: stores.root_key.unseal(part, place(account, "", key, name)))


def closed(stores: IdentityStores, account: str, key: bytes, value: bytes) -> bytes:
    """The same, sealed under this server's root key. Raises NoRootKey."""
    space = space_of(key)
    if space is None or space.sealed is None:
        return value
    return space.sealed(value, lambda part, name: stores.root_key.seal(part, place(account, "", key, name)))


class Copies:
    """What the home answers."""

    def __init__(self, stores: IdentityStores) -> None:
        self._stores = stores
        self._turn = 0

    async def state(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        """The accounts whose store is not as the follower knows it, by id.

        Request: Known (the state of each store that the follower has), Wait (seconds). Answer: Accounts.
        """
        known, wait = request.get("Known"), request.get("Wait")
        if not isinstance(known, dict) or not isinstance(wait, int | float) or not 0 <= wait <= LONGEST_WAIT:
            raise ValidationException("Known must be an object, and Wait a number of seconds")
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        while True:
            found = self._differing(known)
            if found or loop.time() >= deadline:
                return {"Accounts": found}
            await asyncio.sleep(LOOK_SECONDS)

    def _differing(self, known: Mapping[str, Any]) -> dict[str, State]:
        accounts = self._stores.accounts()
        most = LOOKED_AT if len(accounts) <= LOOKED_AT else TURN
        first = self._turn % max(len(accounts), 1)
        self._turn = first + most
        found: dict[str, State] = {}
        for account in islice((*accounts[first:], *accounts[:first]), most):
            state = state_of(self._stores.of(account))
            if state is not None and state != known.get(account):
                found[account] = state
        return found

    async def page(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        """Rows of an account's store from a key on.

        Request: Account, Cursor (from the last answer; null at first). Answer: State, Rows (keys and values in base64)
        and Cursor (null after the last page).
        """
        account, cursor = request.get("Account"), request.get("Cursor")
        if not isinstance(account, str) or not layout.is_account(account) or not isinstance(cursor, str | None):
            raise ValidationException("Account must be an account, and Cursor that of the last answer")
        identity = self._stores.of(account)
        state = state_of(identity)
        if state is None:
            raise ValidationException(f"The account {account} has no users or roles here")
        start = b"" if cursor is None else b64decode(cursor)
        rows: list[tuple[str, str]] = []

        def add(key: bytes, value: bytes) -> None:
            plain = opened(self._stores, account, key, value)
            rows.append((b64encode(key).decode(), b64encode(plain).decode()))

        if not start:
            add(keyspaces.secret_key(), identity.value(keyspaces.secret_key()) or b"")
        for space in COPIED:
            first, end = space.range
            if start >= end:
                continue
            found = await identity.engine.range(max(start, first), end, PAGE_ROWS, PAGE_BYTES)
            for key, value in found:
                add(key, value)
            if found and (len(found) >= PAGE_ROWS or sum(len(value) for _, value in found) >= PAGE_BYTES):
                return {"State": state, "Rows": rows, "Cursor": b64encode(found[-1][0] + b"\0").decode()}
        return {"State": state, "Rows": rows, "Cursor": None}


def declared(stores: IdentityStores) -> Service:
    """The service by which other servers follow this one."""
    copies = Copies(stores)
    handlers = {"State": copies.state, "Page": copies.page}
    return Service(
        name=NAME,
        signing_name=SIGNING_NAME,
        api_version=None,
        codec=json_1_0.CODEC,
        target_prefix=TARGET,
        operations={
            name: Operation(name=name, handler=handler, accesses=needs_nothing) for name, handler in handlers.items()
        },
        is_global=True,
    )
