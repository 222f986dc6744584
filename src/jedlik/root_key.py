"""The root key: seals secrets and key material, so that a stolen data folder is of no use without it.

AES-256-GCM, with a random nonce for each value. What is authenticated with a value, its context, names the place where
it belongs (`place`), so a sealed value that is copied to another row does not open there.

    version (1)  id of the key (8)  nonce (12)  ciphertext and tag

A `RootKey` holds the current key, which seals, and former ones, which only open what a rotation has not sealed again
yet. It is made before the workers are forked and lives in memory that they share with the parent: the parent reads the
key once, and can hand them another while they serve. No key is ever in an environment or command line that we make.

Source of the construction: NIST SP 800-38D.
"""

from __future__ import annotations

import binascii
import mmap
import re
import secrets
from base64 import b64decode
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
ID_BYTES = 8
_NONCE_BYTES = 12
_VERSION = b"\x01"
_HEAD = len(_VERSION) + ID_BYTES
LENGTHENING = _HEAD + _NONCE_BYTES + 16
"""Bytes by which a sealed value is longer than what it holds."""
MOST_KEYS = 8
"""Keys that one may hold: the current one, and those of rotations that were not finished."""
_HEX = re.compile(r"[0-9a-fA-F]{64}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{43}=?")
_WORD = 8
"""Bytes of a number in the shared memory: the version, and then the count of keys."""


class NoRootKey(Exception):
    """Something is to be sealed, and there is no root key. The text is for the person who runs the server."""

    def __init__(self) -> None:
        super().__init__(
            "there is no root key to seal secrets with: make one with `jedlik init`, and restart the server"
        )


class Unsealable(Exception):
    """A sealed value does not open: it is damaged, belongs to another place, or is sealed under a key that is not
    here."""


def new_key() -> bytes:
    """A new key."""
    return secrets.token_bytes(KEY_BYTES)


def parsed(text: str) -> list[bytes]:
    """The keys in a text, one after the other with white space between: 32 bytes each, in hexadecimal or base64.

    Raises ValueError, without the text.
    """
    return [_key(word) for word in text.split()]


def _key(word: str) -> bytes:
    if _HEX.fullmatch(word):
        return bytes.fromhex(word)
    try:
        if _BASE64.fullmatch(word):
            return b64decode(word[:43].replace("-", "+").replace("_", "/") + "=", validate=True)
    except binascii.Error:
        pass
    raise ValueError("a root key is 32 random bytes in hexadecimal or base64, like what `openssl rand -hex 32` prints")


def id_of(key: bytes) -> bytes:
    """Names a key without revealing anything of it: keys are random, so nobody can find one by its hash."""
    return blake2b(key, digest_size=ID_BYTES, person=b"jedlik root key").digest()


def place(account: str, region: str, row: bytes, part: str = "") -> bytes:
    """The context of what is sealed in a row of a region's store, or of the account's identity store (region "").

    A row with several sealed parts has a name for each; names have no slash.
    """
    return b"/".join((account.encode(), region.encode(), part.encode(), row))


class RootKey:
    """Seals and unseals. Without a key it can do neither."""

    def __init__(self, current: bytes | None = None, former: Iterable[bytes] = ()) -> None:
        self._memory = mmap.mmap(-1, mmap.PAGESIZE)
        self._words = memoryview(self._memory)[: 2 * _WORD].cast("Q")
        self._seen = 0
        self._current: bytes | None = None
        self._keys: dict[bytes, bytes] = {}
        self.use(current, former)

    def use(self, current: bytes | None, former: Iterable[bytes] = ()) -> None:
        """Hold these keys from now on, in every process that was forked since this was made. The parent's alone."""
        keys = [] if current is None else [current, *(key for key in former if key != current)]
        if len(keys) > MOST_KEYS:
            raise ValueError(f"a root key has at most {MOST_KEYS - 1} former ones")
        before = self._words[0]
        self._words[0] = before + 1  # Odd: it is being written.
        self._words[1] = len(keys)
        self._memory[2 * _WORD : 2 * _WORD + KEY_BYTES * len(keys)] = b"".join(keys)
        self._words[0] = before + 2

    @property
    def is_there(self) -> bool:
        """Whether there is a key."""
        self._look()
        return self._current is not None

    @property
    def id(self) -> str | None:
        """The id of the current key, in hexadecimal; None if there is no key."""
        self._look()
        return None if self._current is None else self._current.hex()

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        """Seal a value for its place. Raises NoRootKey."""
        self._look()
        current = self._current
        if current is None:
            raise NoRootKey
        head = _VERSION + current
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return head + nonce + _cipher(self._keys[current]).encrypt(nonce, plaintext, head + context)

    def unseal(self, sealed: bytes, context: bytes) -> bytes:
        """What a sealed value of this place holds. Raises Unsealable."""
        from cryptography.exceptions import InvalidTag

        self._look()
        head, nonce = sealed[:_HEAD], sealed[_HEAD : _HEAD + _NONCE_BYTES]
        if len(sealed) < LENGTHENING or head[:1] != _VERSION:
            raise Unsealable("it is no sealed value")
        key = self._keys.get(head[1:])
        if key is None:
            raise Unsealable(f"it is sealed under the root key {head[1:].hex()}, which is not here")
        try:
            return _cipher(key).decrypt(nonce, sealed[_HEAD + _NONCE_BYTES :], head + context)
        except InvalidTag:
            raise Unsealable("it is damaged, or was sealed for another place") from None

    def is_current(self, sealed: bytes) -> bool:
        """Whether a value is sealed under the current key."""
        self._look()
        return self._current is not None and sealed[:_HEAD] == _VERSION + self._current

    def resealed(self, sealed: bytes, context: bytes) -> bytes:
        """The same value under the current key; the one given if it is so already. Raises Unsealable and NoRootKey."""
        return sealed if self.is_current(sealed) else self.seal(self.unseal(sealed, context), context)

    def _look(self) -> None:
        """Take up what the parent has put into the shared memory since the last time."""
        version = self._words[0]
        while version != self._seen or version % 2:
            count = min(self._words[1], MOST_KEYS)
            start = 2 * _WORD
            keys = [self._memory[start + number * KEY_BYTES :][:KEY_BYTES] for number in range(count)]
            if version % 2 == 0 and self._words[0] == version:
                by_id = {id_of(key): key for key in keys}
                self._keys, self._current, self._seen = by_id, next(iter(by_id), None), version
            version = self._words[0]


@lru_cache(maxsize=2 * MOST_KEYS)
def _cipher(key: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # It takes long, and few servers need it.

    return AESGCM(key)


ABSENT = RootKey()
"""For what has no root key."""
