"""Pieces: the objects that a backup's items and changes are in, and their format, which is versioned.

    head      magic (8), format, kind of rows, compression, nothing; key's number (4), rows (4), bytes of the rows (8)
    content   compressed, in blocks of some rows: the number of rows (4), lengths of the keys (2 bytes each), lengths of
              the values (4 bytes each), keys, values
    check     XXH3 of head and content, 16 bytes

A store that seals its values seals its pieces, too (`piece_keys`). Then the content is

    salt      16 bytes, random: the piece's own key follows from the store's and from this (HKDF)
    sealed    the compressed blocks, encrypted with AES-256-GCM under that key, and the tag (16)

The nonce is zero, for the key seals nothing else. A piece is bound to its head and its place, which is its whole name
without the checksum: it does not open as another one.

A row's key is that of an item in its table's store, without what all keys of the table begin with: so rows are in the
order of the store, and of partitions. In a piece of ITEMS the value is the item as it is stored. In a piece of CHANGES
it is the item as it was before a change; if it was not there, a byte 00 and the JSON of its key attributes. In a
SEGMENT of an archived log it is the item after the change in the same way, and before the key stand the position of the
entry and its time in microseconds, 8 bytes each and big-endian. All other integers are little-endian. The key's number
0 is for plain pieces: those of stores that are not sealed, and of earlier versions.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from itertools import accumulate, pairwise
from os import urandom
from struct import Struct, pack, unpack_from
from typing import TYPE_CHECKING, NamedTuple, overload

import xxhash
import zstandard

from jedlik.storage.engine import Row

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

FORMAT = 1
MAGIC = b"JEDLIKBK"
_HEAD = Struct("<8sBBBxIIQ")
_CHECK = 16
_ZSTD = 1
PLAIN = 0
"""The number of the key of pieces that are not sealed."""
_SALT = 16
_TAG = 16
_NONCE = bytes(12)
LEVEL = 3
"""The level of zstandard: a third of the size of typical items, at 200 MB a second and more."""
ABSENT = b"\0"
"""What the value of a change begins with before which the item was not there. Stored items begin otherwise."""
STAMP = Struct(">QQ")
"""What stands before a row's key in a segment: position, and microseconds since the epoch."""
BLOCK_ROWS = 200
_CONTRADICTION = "its lengths contradict each other"
LARGEST = 1 << 30
"""Bytes of rows in a piece at the most. Pieces have 8 MB; a length beyond this is damage."""


class Rows(IntEnum):
    """What the rows of a piece are."""

    ITEMS = 1
    CHANGES = 2
    SEGMENT = 3


class DamagedPiece(Exception):
    """A piece cannot be read, or is not what was written. The message has the reason."""


class PieceKey(NamedTuple):
    """A key that seals pieces."""

    number: int
    """Names it in the heads of the pieces. Never 0."""
    key: bytes


class Packed(NamedTuple):
    """A piece, ready to be stored."""

    content: bytes
    rows: int
    size: int
    """Bytes of the keys and values."""
    check: str
    """Its checksum, in hexadecimal: part of its name."""


class Packer:
    """A piece whose rows come one stretch after the other, each of which becomes a block.

    To add some is short work. Only the compression takes long, and that leaves the event loop its interpreter.
    """

    def __init__(self, kind: Rows) -> None:
        self._kind = kind
        self._blocks: list[bytes] = []
        self._rows = 0
        self.size = 0
        """Bytes so far."""

    def __bool__(self) -> bool:
        return bool(self._blocks)

    def add(self, rows: Sequence[Row]) -> None:
        """Add rows, some hundred at once."""
        keys = [key for key, _ in rows]
        values = [value for _, value in rows]
        count = len(rows)
        lengths = pack(f"<I{count}H{count}I", count, *map(len, keys), *map(len, values))
        block = b"".join((lengths, *keys, *values))
        self._blocks.append(block)
        self._rows += count
        self.size += len(block)

    def packed(self, key: PieceKey | None = None, place: str = "") -> Packed:
        """The piece, sealed with a key for its place if there is one. Takes a while: call it in a thread."""
        compressor = zstandard.ZstdCompressor(level=LEVEL).compressobj(size=self.size)
        body = b"".join([*map(compressor.compress, self._blocks), compressor.flush()])
        number = PLAIN if key is None else key.number
        head = _HEAD.pack(MAGIC, FORMAT, self._kind, _ZSTD, number, self._rows, self.size)
        if key is not None:
            salt = urandom(_SALT)
            body = salt + _cipher(key.key, salt).encrypt(_NONCE, body, head + place.encode())
        content = head + body
        check = xxhash.xxh3_128_digest(content)
        return Packed(content + check, self._rows, self.size, check.hex())


def _cipher(key: bytes, salt: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # It takes long to import.

    from jedlik.storage.sealed import derived

    return AESGCM(derived(key, b"jedlik piece", salt))


def packed(kind: Rows, rows: Sequence[Row], key: PieceKey | None = None, place: str = "") -> Packed:
    """A piece of rows that are all there."""
    packer = Packer(kind)
    for start in range(0, len(rows), BLOCK_ROWS):
        packer.add(rows[start : start + BLOCK_ROWS])
    return packer.packed(key, place)


def place_of(name: str) -> str:
    """The place of a piece, which it is sealed for: its whole name, folders included, without the checksum."""
    return name.rpartition("-")[0]


def key_number(content: bytes) -> int:
    """The number of the key that a piece is sealed with, `PLAIN` if it is not. Raises DamagedPiece."""
    _check_whole(content)
    number: int = _HEAD.unpack_from(content)[4]
    return number


def _check_whole(content: bytes) -> None:
    if len(content) < _HEAD.size + _CHECK or not content.startswith(MAGIC):
        raise DamagedPiece("it is not a piece of a backup")
    if xxhash.xxh3_128_digest(memoryview(content)[:-_CHECK]) != content[-_CHECK:]:
        raise DamagedPiece("its checksum is wrong")


def unpacked(content: bytes, key: bytes | None = None, place: str = "") -> tuple[Rows, PieceRows]:
    """The rows of a piece, with their kind. `key` is the one of its number, if it is sealed. Raises DamagedPiece.

    Takes a while: call it in a thread.
    """
    _check_whole(content)
    _, format_, kind, compression, number, count, size = _HEAD.unpack_from(content)
    if format_ != FORMAT or compression != _ZSTD or kind not in iter(Rows) or size > LARGEST:
        raise DamagedPiece(f"its format is {format_}/{kind}/{compression}, which this version does not know")
    packed_body = content[_HEAD.size : -_CHECK]
    if number != PLAIN:
        if key is None:
            raise DamagedPiece(f"it is sealed with the key {number:08x}, which is not here")
        packed_body = _opened(content[: _HEAD.size], packed_body, key, place)
    try:
        body = zstandard.ZstdDecompressor().decompress(packed_body, max_output_size=size)
    except zstandard.ZstdError as error:
        raise DamagedPiece(str(error)) from error
    if len(body) != size:
        raise DamagedPiece("it is not as long as its head states")
    return Rows(kind), PieceRows(body, count)


def _opened(head: bytes, body: bytes, key: bytes, place: str) -> bytes:
    from cryptography.exceptions import InvalidTag

    if len(body) < _SALT + _TAG:
        raise DamagedPiece("it is too short for a sealed piece")
    try:
        return _cipher(key, body[:_SALT]).decrypt(_NONCE, body[_SALT:], head + place.encode())
    except InvalidTag:
        raise DamagedPiece("it cannot be opened: it is not what was sealed under this name") from None


def checksum(content: bytes) -> str:
    """The checksum with which a piece ends, in hexadecimal."""
    return content[-_CHECK:].hex()


class PieceRows(Sequence[Row]):
    """The rows of a piece, made of its bytes a block at a time: best read one after the other.

    To make and to free 40,000 rows at once would hold up requests for 25 ms. Reading a row raises DamagedPiece if the
    lengths of the rows contradict each other.
    """

    def __init__(self, body: bytes, count: int) -> None:
        self._body = body
        self._count = count
        self._block: list[Row] = []
        """The rows that were made last."""
        self._first = 0
        """The number of the first of them."""
        self._end = 0
        """Where the next block begins."""

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, number: int) -> Row: ...
    @overload
    def __getitem__(self, number: slice) -> list[Row]: ...
    def __getitem__(self, number: int | slice) -> Row | list[Row]:
        if isinstance(number, slice):
            return list(self)[number]
        if not 0 <= number < self._count:
            raise IndexError(number)
        if number < self._first:
            self._block, self._first, self._end = [], 0, 0
        while number >= self._first + len(self._block):
            self._next()
        return self._block[number - self._first]

    def _next(self) -> None:
        """Make the rows of the next block."""
        self._first += len(self._block)
        if self._end + 4 > len(self._body):
            raise DamagedPiece(_CONTRADICTION)
        [rows] = unpack_from("<I", self._body, self._end)
        start = self._end + 4 + 6 * rows
        if not 0 < rows <= self._count - self._first or start > len(self._body):
            raise DamagedPiece(_CONTRADICTION)
        lengths = unpack_from(f"<{rows}H{rows}I", self._body, self._end + 4)
        bounds = list(accumulate(lengths, initial=start))
        self._end = bounds[-1]
        is_last = self._first + rows == self._count
        if self._end > len(self._body) or (is_last and self._end < len(self._body)):
            raise DamagedPiece(_CONTRADICTION)
        parts = [self._body[first:end] for first, end in pairwise(bounds)]
        self._block = list(zip(parts[:rows], parts[rows:], strict=True))
