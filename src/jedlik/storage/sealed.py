"""Sealed values: what an engine keeps of some key spaces is encrypted, and users of the engine see plain values.

A sealed value is

    byte 0        the mark, with which no plain value of such a key space begins
    bytes 1-2     number of the owner's key, big-endian
    bytes 3-10    salt, from which and from the owner's key the data key follows (HKDF)
    bytes 11-22   nonce, random
    bytes 23-     the value encrypted with AES-256-GCM under the data key, and the tag (16)

Each process makes data keys of its own, by choosing a salt, and the next one after 2^31 values. So no two processes
count together, and random nonces stay far below the 2^32 values that NIST SP 800-38D allows one key. Two processes that
chose the same salt would still be within it.

A value is bound to its storage key (a log entry to its log), so it cannot be opened in another place. An older value
that is put back in its own place is not noticed.

Keys, sizes and counters stay readable: the order of the rows is the order of the keys.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import urandom
from typing import Protocol, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from jedlik.clock import Clock
from jedlik.storage.batch import POSITION_SIZE
from jedlik.storage.engine import TIME_SIZE, DamagedValue, Decide, Row, Scrubbed, StorageError, Writes
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
from jedlik.storage.lmdb.view import FIRST_KEY, View

T = TypeVar("T")

KEY_SIZE = 32
"""Bytes of an owner's key, and of a data key."""
MARK = 0xE5
_MARKED = bytes((MARK,))
_NUMBER = slice(1, 3)
_HEAD = slice(0, 11)
_NONCE = slice(11, 23)
_CONTENT = slice(23, None)
_SALT_SIZE = 8
_NONCE_SIZE = 12
OVERHEAD = 39
"""Bytes by which a sealed value is longer."""
_USES = 1 << 31
"""Values that one data key seals."""
_OPENERS = 4096
"""Data keys that are kept ready."""

_Decrypt = Callable[[bytes, bytes, bytes], bytes]


class NoKey(StorageError):
    """The key of a sealed value cannot be had now."""


class NotOpened(DamagedValue):
    """A sealed value is not what was sealed under its storage key: it was changed, or moved here from elsewhere, or
    somebody put a plain one in its place."""

    def __init__(self, key: bytes) -> None:
        super().__init__(key)
        self.args = (f"the value under key {key.hex()} cannot be opened: it is not what was sealed there",)


class Keyring(Protocol):
    """The keys of owners. An owner is the beginning of a storage key, such as a table's id behind its key space."""

    def current(self, owner: bytes) -> int | None:
        """The number of the key with which an owner's values are sealed from now on; None if they are written plain.
        Raises NoKey."""
        ...

    def key(self, owner: bytes, number: int) -> bytes:
        """One of an owner's keys. Raises NoKey."""
        ...


@dataclass(frozen=True, slots=True)
class SealedSpace:
    """A key space whose values are sealed."""

    owner: int
    """Bytes at the beginning of its keys that name the owner."""
    is_log: bool = False
    """Whether its rows are entries of logs. Their times stay readable, for the engine writes them."""


class _Sealer:
    """A data key of this process."""

    __slots__ = ("encrypt", "head", "left")

    def __init__(self, number: int, key: bytes) -> None:
        salt = urandom(_SALT_SIZE)
        self.head = _MARKED + number.to_bytes(2, "big") + salt
        self.encrypt = AESGCM(data_key(key, salt)).encrypt
        self.left = _USES


def derived(key: bytes, purpose: bytes, salt: bytes | None = None) -> bytes:
    """A key that follows from another one."""
    return HKDF(SHA256(), KEY_SIZE, salt, purpose).derive(key)


def data_key(key: bytes, salt: bytes) -> bytes:
    """The data key that follows from an owner's key and a salt."""
    return derived(key, b"jedlik data key", salt)


class Sealing:
    """Seals and opens the values of a store."""

    def __init__(self, keyring: Keyring, spaces: Mapping[bytes, SealedSpace], has_plain: bool = False) -> None:
        self._keyring = keyring
        self.has_plain = has_plain
        """Whether values may be plain, because they were written before the store was sealed. Else such a value is
        refused."""
        self.spaces = spaces
        """By the first byte of their keys."""
        self._sealers: dict[bytes, _Sealer | None] = {}
        """By owner."""
        self._openers: dict[bytes, _Decrypt] = {}
        """By the head of the sealed values. Each head has a salt of its own, so it names one owner."""

    def forget(self, owner: bytes) -> None:
        """Ask the keyring again with which key an owner's values are sealed, because that has changed."""
        self._sealers.pop(owner, None)

    def forget_all(self) -> None:
        """Let go of every key, so that each is asked for again."""
        self._sealers.clear()
        self._openers.clear()

    def seal(self, key: bytes, value: bytes) -> bytes:
        """What is stored for a value under a key. Raises NoKey."""
        space = self.spaces.get(key[:1])
        if space is None:
            return value
        if space.is_log:
            return value[:TIME_SIZE] + self.seal_entry(key[:-POSITION_SIZE], value[TIME_SIZE:])
        return self._sealed(key[: space.owner], key, value)

    def seal_entry(self, log: bytes, entry: bytes) -> bytes:
        """What is appended to a log for an entry. Raises NoKey."""
        space = self.spaces.get(log[:1])
        return entry if space is None else self._sealed(log[: space.owner], log, entry)

    def _sealed(self, owner: bytes, bound: bytes, value: bytes) -> bytes:
        try:
            sealer = self._sealers[owner]
        except KeyError:
            sealer = self._sealer(owner)
        if sealer is None:
            return value
        if sealer.left <= 0:
            sealer = self._sealer(owner)
            assert sealer is not None
        sealer.left -= 1
        nonce = urandom(_NONCE_SIZE)
        return sealer.head + nonce + sealer.encrypt(nonce, value, bound)

    def _sealer(self, owner: bytes) -> _Sealer | None:
        number = self._keyring.current(owner)
        made = None if number is None else _Sealer(number, self._keyring.key(owner, number))
        if len(self._sealers) >= _OPENERS:
            self._sealers.clear()
        self._sealers[owner] = made
        return made

    def is_sealed(self, key: bytes, stored: bytes) -> bool:
        """Whether what is stored under a key is sealed, if values of its key space are."""
        space = self.spaces.get(key[:1])
        start = TIME_SIZE if space is not None and space.is_log else 0
        return stored[start : start + 1] == _MARKED

    def opened(self, key: bytes, stored: bytes) -> bytes:
        """The value that was sealed under a key. Raises NotOpened and NoKey."""
        space = self.spaces.get(key[:1])
        if space is None:
            return stored
        if space.is_log:
            content = self._opened(key, key[: space.owner], key[:-POSITION_SIZE], stored[TIME_SIZE:])
            return stored[:TIME_SIZE] + content
        return self._opened(key, key[: space.owner], key, stored)

    def opened_rows(self, rows: list[Row], max_bytes: int) -> list[Row]:
        """Rows with the values that were sealed, as far as `Engine.range` has them: some that are plain may make it end
        earlier. Raises NotOpened and NoKey."""
        if not rows:
            return rows
        space = self.spaces.get(rows[0][0][:1])
        if space is None and rows[-1][0][:1] == rows[0][0][:1]:
            return rows
        if space is not None and not space.is_log:
            openers = self._openers
            try:
                return [(key, openers[value[_HEAD]](value[_NONCE], value[_CONTENT], key)) for key, value in rows]
            except (KeyError, InvalidTag, ValueError):
                pass  # Row by row, it is found out.
        opened = []
        size = 0
        for key, stored in rows:
            value = self.opened(key, stored)
            opened.append((key, value))
            size += len(value)
            if size >= max_bytes:
                break
        return opened

    def _opened(self, key: bytes, owner: bytes, bound: bytes, sealed: bytes) -> bytes:
        decrypt = self._openers.get(sealed[_HEAD])
        if decrypt is None:
            if sealed[:1] != _MARKED:
                if self.has_plain:
                    return sealed
                raise NotOpened(key)
            decrypt = self._opener(key, owner, sealed[_HEAD])
        try:
            return decrypt(sealed[_NONCE], sealed[_CONTENT], bound)
        except (InvalidTag, ValueError) as error:
            raise NotOpened(key) from error

    def _opener(self, key: bytes, owner: bytes, head: bytes) -> _Decrypt:
        if len(head) < _HEAD.stop:
            raise NotOpened(key)
        found = self._keyring.key(owner, int.from_bytes(head[_NUMBER], "big"))
        decrypt: _Decrypt = AESGCM(data_key(found, head[3:])).decrypt
        if len(self._openers) >= _OPENERS:
            self._openers.clear()
        self._openers[head] = decrypt
        return decrypt


class SealedEngine:
    """An engine whose values are sealed in another."""

    def __init__(self, inner: LmdbEngine, sealing: Sealing) -> None:
        self.inner = inner
        self.sealing = sealing
        self._spaces = sealing.spaces
        inner.uncounted = dict.fromkeys(sealing.spaces, OVERHEAD)
        self._get_now = inner.get_now
        self._get_and_range_now = inner.get_and_range_now

    @property
    def clock(self) -> Clock:
        """The clock that dates log entries."""
        return self.inner.clock

    @clock.setter
    def clock(self, clock: Clock) -> None:
        self.inner.clock = clock

    async def get(self, keys: Sequence[bytes], consistent: bool = True) -> list[bytes | None]:
        """The values of `keys` in one snapshot."""
        return self.get_now(keys)

    def get_now(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The same, for a caller that cannot wait."""
        found = self._get_now(keys)
        spaces = self._spaces
        for place, key in enumerate(keys):
            if key[:1] in spaces and (stored := found[place]) is not None:
                found[place] = self.sealing.opened(key, stored)
        return found

    async def range(
        self,
        start: bytes,
        end: bytes,
        limit: int,
        max_bytes: int,
        reverse: bool = False,
        consistent: bool = True,
    ) -> list[Row]:
        """The rows with start <= key < end in one snapshot."""
        rows = await self.inner.range(start, end, limit, max_bytes, reverse, consistent)
        return self.sealing.opened_rows(rows, max_bytes)

    async def get_and_range(
        self,
        key: bytes,
        start: bytes,
        end: bytes,
        limit: int,
        max_bytes: int,
        reverse: bool = False,
        consistent: bool = True,
    ) -> tuple[bytes | None, list[Row]]:
        """The value of `key`, and the rows of a range, in one snapshot."""
        return self.get_and_range_now(key, start, end, limit, max_bytes, reverse)

    def get_and_range_now(
        self, key: bytes, start: bytes, end: bytes, limit: int, max_bytes: int, reverse: bool = False
    ) -> tuple[bytes | None, list[Row]]:
        """The same, for a caller that cannot wait."""
        value, rows = self._get_and_range_now(key, start, end, limit, max_bytes, reverse)
        if value is not None and key[:1] in self._spaces:
            value = self.sealing.opened(key, value)
        return value, self.sealing.opened_rows(rows, max_bytes)

    async def last_position(self) -> int:
        """The position of the last entry of all logs."""
        return await self.inner.last_position()

    def mutate(self, keys: Sequence[bytes], decide: Decide[T]) -> asyncio.Future[T]:
        """Run a mini-transaction. What `decide` writes is sealed as often as it is decided."""
        sealing, spaces = self.sealing, self._spaces
        sealed_places = [place for place, key in enumerate(keys) if key[:1] in spaces]

        def decide_sealed(found: Sequence[bytes | None]) -> tuple[Writes, T]:
            if sealed_places:
                found = list(found)
                for place in sealed_places:
                    stored = found[place]
                    if stored is not None:
                        found[place] = sealing.opened(keys[place], stored)
            plain, result = decide(found)
            writes = Writes()
            writes.adds = plain.adds
            writes.puts = {
                key: value if value is None or key[:1] not in spaces else sealing.seal(key, value)
                for key, value in plain.puts.items()
            }
            if plain.appends:
                writes.appends = [(log, sealing.seal_entry(log, entry)) for log, entry in plain.appends]
            return writes, result

        return self.inner.mutate(keys, decide_sealed)

    def scrub_is_due(self, now: float) -> bool:
        """Whether this engine reads all values now and then, and is to begin or go on."""
        return self.inner.scrub_is_due(now)

    def scrub(self, now: float) -> Scrubbed:
        """Read some values on, as they are stored."""
        return self.inner.scrub(now)

    @contextmanager
    def view(self) -> Iterator[SealedView]:
        """The store as it is now, to be read at length. Raises StorageError."""
        with self.inner.view() as view:
            yield SealedView(view, self.sealing)

    async def close(self) -> None:
        """Wait for the mutations in flight and release the store."""
        await self.inner.close()


class SealedView(View):
    """A view of a store with sealed values."""

    def __init__(self, view: View, sealing: Sealing) -> None:
        super().__init__(view.transaction)
        self._sealing = sealing

    def get(self, key: bytes) -> bytes | None:
        """The value of `key`; None where absent."""
        stored = super().get(key)
        return None if stored is None else self._sealing.opened(key, stored)

    def rows(self, start: bytes, end: bytes) -> Iterator[Row]:
        """The rows with start <= key < end, in key order."""
        for key, stored in super().rows(start, end):
            yield key, self._sealing.opened(key, stored)

    def damaged(self, start: bytes = FIRST_KEY) -> Iterator[bytes]:
        """The keys of damaged values, and of those that cannot be opened with their keys."""
        yield from super().damaged(start)
        for space in self._sealing.spaces:
            for key, stored in super().whole_rows(max(start, space), bytes((space[0] + 1,))):
                if self._whole(key, stored) is None:
                    yield key

    def whole_rows(self, start: bytes, end: bytes) -> Iterator[Row]:
        """The rows of a range that are as they were written."""
        for key, stored in super().whole_rows(start, end):
            opened = self._whole(key, stored)
            if opened is not None:
                yield key, opened

    def _whole(self, key: bytes, stored: bytes) -> bytes | None:
        try:
            return self._sealing.opened(key, stored)
        except NotOpened:
            return None
