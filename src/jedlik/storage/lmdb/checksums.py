"""Values as LMDB keeps them: the written bytes, behind a header with their checksum.

    byte 0       kind of the header: 1
    bytes 1-3    id of the key that the value is sealed with, little-endian; 0 for a value that is not sealed
    bytes 4-11   XXH3 of the value, 64 bits, big-endian, seeded with XXH3 of its key
    bytes 12-    the value

The checksum covers the key, so a value that stands under another key is damage as well. The engine's own keys, which
begin with 00, have no header, except the position of the last log entry: an earlier or later version must be able to
read the format, and the place in the journal is compared with the journal.

XXH3 costs 0.05 us for a value of 200 bytes and 10 us for 1 MB, where CRC-32 costs 0.13 and 150.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xxhash import xxh3_64_digest as _digest
from xxhash import xxh3_64_intdigest as _seed

from jedlik.storage.engine import DamagedValue, Row

HEADER = 12
"""Bytes before the value."""
_CHECKSUM, _VALUE = slice(4, HEADER), slice(HEADER, None)
"""Their places. Reads ignore the bytes before them, which have no meaning as long as there is one kind of header."""
_PLAIN = b"\x01\x00\x00\x00"
_SEEN = 1000
_SEEN_SIZE = 16 << 10
"""Values that are kept to be compared, and the bytes of the longest: items may be read first, too."""

_SHORT = 1024
"""Bytes of a value of which many checksums may be worked out: 15,000 take 4 ms."""


def kept(key: bytes, value: bytes) -> bytes:
    """The bytes that LMDB keeps for `value` under `key`."""
    return _PLAIN + _digest(value, _seed(key)) + value


def read_all(
    keys: Sequence[bytes],
    get: Callable[[bytes], bytes | None],
    seen: dict[bytes, Row],
    value_in: Callable[[bytes, bytes], bytes] | None = None,
) -> list[bytes | None]:
    """The values of keys that `get` finds. Raises DamagedValue.

    Nearly every read goes through here, and nearly always for one key or two: one with which many reads begin or end (a
    table's descriptor), and perhaps another. `seen` keeps the bytes and the value that were last found under the first:
    to compare them is faster than to work out the checksum. If there are two keys, `value_in` makes the second value of
    its key and its bytes, if it is given.
    """
    count = len(keys)
    if not 0 < count < 3:
        return [read(key, get(key)) for key in keys]
    first = keys[0]
    known, found = seen.get(first), get(first)
    if known is not None and known[0] == found:
        before: bytes | None = known[1]
    elif found is None:
        before = None
    else:
        before = value_of(first, found)
        if len(found) <= _SEEN_SIZE:
            if len(seen) >= _SEEN:
                seen.clear()
            seen[first] = found, before
    if count == 1:
        return [before]
    second = keys[1]
    other = get(second)
    if other is None:
        return [before, None]
    if value_in is not None:
        return [before, value_in(second, other)]
    value = other[_VALUE]
    if other[_CHECKSUM] != _digest(value, _seed(second)):
        raise DamagedValue(second)
    return [before, value]


def read_rows(rows: Sequence[Row]) -> list[Row]:
    """The rows that were written, from rows with headers. Raises DamagedValue."""
    digest, seed, checksum, rest = _digest, _seed, _CHECKSUM, _VALUE
    whole = [(key, value) for key, found in rows if found[checksum] == digest(value := found[rest], seed(key))]
    if len(whole) < len(rows):
        raise DamagedValue(next(key for key, found in rows if not is_whole(key, found)))
    return whole


def read(key: bytes, found: bytes | None) -> bytes | None:
    """The value in the bytes that LMDB has under `key`; None if LMDB has no such key. Raises DamagedValue."""
    return None if found is None else value_of(key, found)


def reading(get: Callable[[bytes], bytes | None]) -> Callable[[bytes], bytes | None]:
    """A function that reads the value of a key, as `read` does, from what `get` finds. It raises DamagedValue."""
    digest, seed, checksum, rest = _digest, _seed, _CHECKSUM, _VALUE

    def read_value(key: bytes) -> bytes | None:
        found = get(key)
        if found is None:
            return None
        value = found[rest]
        if found[checksum] != digest(value, seed(key)):
            raise DamagedValue(key)
        return value

    return read_value


def value_of(key: bytes, found: bytes) -> bytes:
    """The same for a key that is there."""
    value = found[_VALUE]
    if found[_CHECKSUM] != _digest(value, _seed(key)):
        raise DamagedValue(key)
    return value


def doubtful(rows: Sequence[Row]) -> list[Row]:
    """The rows, with what LMDB has, whose checksum is wrong."""
    digest, seed, checksum, rest = _digest, _seed, _CHECKSUM, _VALUE
    return [(key, found) for key, found in rows if found[checksum] != digest(found[rest], seed(key))]


def original_key(key: bytes, found: bytes) -> bytes | None:
    """The key under which a value was written, if it stands under another: one that differs in a byte, or in a bit if
    the value is long. None if it is the value that is damaged, or more than that of the key."""
    if len(found) < HEADER:
        return None
    known, value = found[_CHECKSUM], found[_VALUE]
    changes = range(1, 256) if len(found) <= _SHORT else [1 << bit for bit in range(8)]
    for at, byte in enumerate(key):
        for change in changes:
            other = key[:at] + bytes((byte ^ change,)) + key[at + 1 :]
            if _digest(value, _seed(other)) == known:
                return other
    return None


def is_whole(key: bytes, found: bytes) -> bool:
    """Whether the bytes that LMDB has under `key` are undamaged."""
    return found.startswith(_PLAIN + _digest(memoryview(found)[HEADER:], _seed(key)))


def is_damaged(key: bytes, found: bytes | None) -> bool:
    """Whether there is something under `key`, and it is not what was written."""
    return found is not None and not is_whole(key, found)
