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

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import urandom
from typing import Protocol, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from jedlik.storage.batch import POSITION_SIZE
from jedlik.storage.engine import TIME_SIZE, DamagedValue, Mark, NoKey, Row

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

    def use(self, table: bytes, number: int) -> bool:
        """From now on seal the values of a table, whose key spaces its owners share, with the key of this number,
        unless a later one is in use. Whether that changes anything."""
        ...


NumberOf = Callable[[bytes], tuple[bytes, int]]
"""The table of a record, as owners name it behind their key space, and the number of the key that seals its values."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """Which records have the numbers of keys: what a mutation writes that has read one is sealed with that key. So a
    change of the number is seen by every process with its first write after it."""

    prefix: bytes
    """The first byte of their keys."""
    number_of: NumberOf


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

    def __init__(
        self,
        keyring: Keyring,
        spaces: Mapping[bytes, SealedSpace],
        has_plain: bool = False,
        numbers: Numbers | None = None,
    ) -> None:
        self.keyring = keyring
        self.numbers = numbers
        self._noted: dict[bytes, bytes] = {}
        """The records with numbers as they were last read in a mutation, by their keys."""
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

    def changed(self, table: bytes) -> None:
        """The same for all owners that are parts of a table."""
        for space in self.spaces:
            self.forget(space + table)

    def note(self, key: bytes, record: bytes | None) -> None:
        """Use the key whose number a record has that a mutation has just read."""
        if record is None or self._noted.get(key) == record:
            return
        assert self.numbers is not None, "records have numbers"
        table, number = self.numbers.number_of(record)
        if self.keyring.use(table, number):
            self.changed(table)
        if len(self._noted) >= _OPENERS:
            self._noted.clear()
        self._noted[key] = record

    def number(self, key: bytes, stored: bytes) -> int | None:
        """The number of the key that a value is sealed with; None if it is plain."""
        space = self.spaces.get(key[:1])
        start = TIME_SIZE if space is not None and space.is_log else 0
        head = stored[start : start + _NUMBER.stop]
        return int.from_bytes(head[_NUMBER], "big") if head[:1] == _MARKED else None

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
        if space is None:
            return entry
        owner = log[: space.owner]
        try:
            return self._sealed(owner, log, entry)
        except NoKey:
            if not isinstance(entry, Mark):
                raise
            sealer, nonce = _Sealer(0, self.keyring.key(owner, 0)), urandom(_NONCE_SIZE)
            return sealer.head + nonce + sealer.encrypt(nonce, entry, log)

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
        number = self.keyring.current(owner)
        made = None if number is None else _Sealer(number, self.keyring.key(owner, number))
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

    def opened_behind(self, header: int, rows: list[Row]) -> list[Row] | None:
        """Rows with the values that were sealed, where each value stands behind a header; None if one of them cannot
        be had in this way, or is in a key space for which there is no such way."""
        space = self.spaces.get(rows[0][0][:1]) if rows else None
        if space is None or space.is_log:
            return None
        content = header + _CONTENT.start
        nonce_at = content - _NONCE_SIZE
        head, nonce, sealed = slice(header, nonce_at), slice(nonce_at, content), slice(content, None)
        openers = self._openers
        try:
            return [(key, openers[found[head]](found[nonce], found[sealed], key)) for key, found in rows]
        except (KeyError, InvalidTag, ValueError):
            return None

    def value_behind(self, header: int, value_of: Callable[[bytes, bytes], bytes]) -> Callable[[bytes, bytes], bytes]:
        """What makes the value of a key and of what is kept under it, where stored values stand behind a header.
        `value_of` takes the header off, and is asked only where something does not open at once: what opens is as it
        was sealed. Raises NotOpened, NoKey and what `value_of` raises."""
        content = header + _CONTENT.start
        nonce_at = content - _NONCE_SIZE
        head, nonce, sealed = slice(header, nonce_at), slice(nonce_at, content), slice(content, None)
        openers = self._openers

        def value_in(key: bytes, found: bytes) -> bytes:
            try:
                return openers[found[head]](found[nonce], found[sealed], key)
            except (KeyError, InvalidTag, ValueError):
                return self.opened(key, value_of(key, found))

        return value_in

    def opened_rows(self, rows: list[Row], max_bytes: int) -> list[Row]:
        """Rows with the values that were sealed, as far as `Engine.range` has them: some that are plain may make it end
        earlier. Raises NotOpened and NoKey."""
        if not rows:
            return rows
        space = self.spaces.get(rows[0][0][:1])
        if space is None and rows[-1][0][:1] == rows[0][0][:1]:
            return rows
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
        found = self.keyring.key(owner, int.from_bytes(head[_NUMBER], "big"))
        decrypt: _Decrypt = AESGCM(data_key(found, head[3:])).decrypt
        if len(self._openers) >= _OPENERS:
            self._openers.clear()
        self._openers[head] = decrypt
        return decrypt
