"""Following the home of identity: one worker of a server asks it for changes, and copies the stores that have changed.

A copy is one mutation, so nobody sees half of it. The other workers notice by the store's counter of changes, as they
notice each other's. While the home is away, what is here stays.
"""

from __future__ import annotations

import asyncio
import logging
from base64 import b64decode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import aiohttp
import orjson
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from jedlik.aws.peer_signatures import KEY
from jedlik.iam.identity_copies import (
    COPIED,
    LONGEST_WAIT,
    SIGNING_NAME,
    TARGET,
    State,
    closed,
    opened,
    space_of,
    state_of,
)
from jedlik.iam.identity_rows import ACCESS_KEYS, CHANGES, TOKEN_KEYS, unpacked
from jedlik.iam.identity_stores import IdentityStores
from jedlik.iam.open_secrets import OPEN
from jedlik.peer_certificate import PeerCertificate, reason
from jedlik.regions import keyspaces, layout, store_format
from jedlik.root_key import NoRootKey, Unsealable
from jedlik.storage.engine import StorageError, Writes

log = logging.getLogger(__name__)

ANSWER_SECONDS = LONGEST_WAIT + 10.0
ANSWER_BYTES = 16 << 20
LARGEST_COPY = 256 << 20
"""Bytes of the rows of a store."""
MOST_ACCOUNTS = 10_000
PAUSES = (0.2, 0.5, 1.0)
"""Seconds after the first failure, the second, and each further one."""
REGION = "us-east-1"
"""In the credential scope: identity is of no region."""
_OK = 200
_TURN = 500


class HomeAway(Exception):
    """The home does not answer, or not as it must. The text is for the log."""


class Following:
    """A server's link to its home."""

    def __init__(self, stores: IdentityStores, secret: str, certificate: PeerCertificate | None = None) -> None:
        """`certificate` is for a home that demands one of its clients."""
        url = stores.home.url
        assert url is not None
        self._url = url.rstrip("/")
        self._stores = stores
        self._credentials = Credentials(KEY, secret)
        self._certificate = certificate
        self._session: aiohttp.ClientSession | None = None
        self._failures = 0
        self._known: dict[str, State | None] = {}
        """The state of each account's store here."""

    async def run(self) -> None:
        """Follow, until cancelled."""
        try:
            while True:
                try:
                    await self._step()
                except (HomeAway, StorageError, NoRootKey, Unsealable) as error:
                    if not self._failures:
                        log.warning("identity is not followed: %s", error, extra={"home": self._url})
                    await asyncio.sleep(PAUSES[min(self._failures, len(PAUSES) - 1)])
                    self._failures += 1
                else:
                    if self._failures:
                        log.info("identity is followed again", extra={"home": self._url})
                    self._failures = 0
        finally:
            if self._session is not None:
                await self._session.close()

    async def _step(self) -> None:
        """Ask once, and copy what has changed."""
        for account in self._stores.accounts():
            if account not in self._known:  # A store is opened for this once only.
                self._known[account] = state_of(self._stores.of(account))
        answer = await self._call("State", {"Known": self._known, "Wait": LONGEST_WAIT if not self._failures else 0})
        accounts = answer.get("Accounts")
        if not isinstance(accounts, dict) or len(accounts) > MOST_ACCOUNTS or not all(map(layout.is_account, accounts)):
            raise HomeAway("its answer to State has not the form of one")
        for account in accounts:
            await self._copy(account)
        self._stores.home.confirm()

    async def _copy(self, account: str) -> None:
        rows, state = await self._rows(account)
        self.check_sealed(account, rows)
        identity = await self._stores.for_copies(account)
        local: dict[bytes, bytes] = {}
        for space in COPIED:
            start, end = space.range
            while page := await identity.engine.range(start, end, _TURN, 1 << 20):
                local |= dict(page)
                start = page[-1][0] + b"\0"
        writes = Writes()
        for key in local.keys() - rows.keys():
            writes.delete(key)
        [secret, record] = await identity.engine.get([keyspaces.secret_key(), keyspaces.format_key()])
        if secret is not None:
            local[keyspaces.secret_key()] = secret
        if record is None:
            writes.put(keyspaces.format_key(), store_format.record())
        for key, plain in rows.items():
            old = local.get(key)
            if old is None or opened(self._stores, account, key, old) != plain:
                writes.put(key, closed(self._stores, account, key, plain))

        def decide(found: Sequence[bytes | None]) -> tuple[Writes, None]:
            return writes, None

        await identity.engine.mutate([CHANGES], decide)
        self._known[account] = state_of(identity)
        self._stores.look()
        log.info("identity copied", extra={"account": account, "home": self._url, "changes": state[0]})

    def check_sealed(self, account: str, rows: Mapping[bytes, bytes]) -> None:
        """Raise HomeAway if the rows are of a store without a root key, and this server has one: they would lie open
        here."""
        if not self._stores.root_key.is_there:
            return
        start, end = ACCESS_KEYS.range
        lie_open = any(start <= key < end and OPEN in unpacked(value) for key, value in rows.items())
        if lie_open or TOKEN_KEYS.prefix not in rows:
            raise HomeAway(f"it keeps the secrets of {account} without a root key, and this server has one")

    async def _rows(self, account: str) -> tuple[dict[bytes, bytes], State]:
        """All rows of an account's store, of one state. Raises HomeAway."""
        for _ in range(5):
            rows: dict[bytes, bytes] = {}
            cursor: Any = None
            first: Any = None
            size = 0
            while True:
                page = await self._call("Page", {"Account": account, "Cursor": cursor})
                state, cursor = page.get("State"), page.get("Cursor")
                first = first or state
                found = _checked_rows(page.get("Rows"))
                size += sum(map(len, found.values()))
                if size > LARGEST_COPY:
                    raise HomeAway(f"the store of {account} is too large")
                rows |= found
                if cursor is None or state != first:
                    break
            if state == first and _is_state(state):
                return rows, state
        raise HomeAway(f"the store of {account} changes all the time")

    async def _call(self, operation: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The home's answer. Raises HomeAway."""
        data = orjson.dumps(body)
        headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": f"{TARGET}.{operation}"}
        request = AWSRequest("POST", self._url + "/", headers, data)
        SigV4Auth(self._credentials, SIGNING_NAME, REGION).add_auth(request)
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS, sock_connect=5.0)
            self._session = aiohttp.ClientSession(
                timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
            )
        tls = True if self._certificate is None else self._certificate.context()
        try:
            async with self._session.post(
                self._url + "/", data=data, headers=dict(request.headers), allow_redirects=False, ssl=tls
            ) as response:
                status, answer = response.status, b""
                async for part in response.content.iter_any():
                    answer += part
                    if len(answer) > ANSWER_BYTES:
                        raise HomeAway(f"an answer of more than {ANSWER_BYTES} bytes")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise HomeAway(reason(error, self._url, self._certificate)[:300]) from error
        found: Any = None
        with suppress(orjson.JSONDecodeError):
            found = orjson.loads(answer)
        if status != _OK or not isinstance(found, dict):
            text = found.get("message", "") if isinstance(found, dict) else ""
            raise HomeAway(f"it answers with status {status}: {str(text)[:300]!a}")
        return found


def _is_state(state: Any) -> bool:
    return isinstance(state, list) and len(state) == 2 and type(state[0]) is int and isinstance(state[1], str)


def _checked_rows(rows: Any) -> dict[bytes, bytes]:
    """The rows of a page. Raises HomeAway unless they are rows of the key spaces that are copied."""
    try:
        found = {b64decode(key, validate=True): b64decode(value, validate=True) for key, value in rows}
    except (TypeError, ValueError) as error:
        raise HomeAway("the rows of its answer have not the form of rows") from error
    for key in found:
        if space_of(key) is None or len(key) > 1900:
            raise HomeAway("its answer has rows of no key space of identity")
    return found
