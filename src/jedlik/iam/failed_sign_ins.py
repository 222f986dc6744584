"""Delays after failed sign-ins: after five failures in a row, a user and an address must wait, longer each time.

An attempt counts as failed from its beginning, and is taken back when it succeeds, so attempts at the same time gain
nothing. Users are counted by the name that was typed, whether there is such a user or not. The counts are in memory
that the workers of a server share: a restart forgets them, and strangers cannot make them grow. A place holds a keyed
hash, a count and a time; where all places that a name may have are taken, the one that has been quiet for longest is
given up.
"""

from __future__ import annotations

import ipaddress
import math
import mmap
import secrets
import struct
import time
from collections.abc import Callable
from hashlib import blake2b
from typing import NamedTuple

FREE_FAILURES = 5
"""After as many an attempt must wait."""
LONGEST_DELAY = 60.0
"""Seconds. Longer ones would only help those who want to keep a user out."""
FORGOTTEN_AFTER = 3600.0
"""Seconds after the last failure."""

_SETS, _WAYS = 1024, 8
_PLACE = struct.Struct("<QId4x")
"""Hash, count, and when the last one was, by the clock that all processes share."""
_KEY_BYTES = 16


class _Found(NamedTuple):
    """Where a name is counted, and what is there."""

    offset: int
    failures: int
    last: float


class FailedSignIns:
    """The failures of a server. Made before the workers are forked, and shared by them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._places = mmap.mmap(-1, _SETS * _WAYS * _PLACE.size)
        self._key = secrets.token_bytes(_KEY_BYTES)
        self._clock = clock

    def begin(self, user: str, address: str) -> int:
        """Begin an attempt to sign in as a user, from an address. Returns 0 if it may be made, and it counts as failed
        then; otherwise the seconds after which it may be."""
        names = _names(user, address)
        wait = max(self._wait(name) for name in names)
        if wait > 0:
            return math.ceil(wait)
        for name in names:
            hashed, found = self._find(name)
            self._put(found.offset, hashed, found.failures + 1, self._clock())
        return 0

    def succeeded(self, user: str, address: str) -> None:
        """Take back what was counted of an attempt, for it has succeeded. The user's earlier failures are forgotten.
        Those of the address are not: else who has one password could try others."""
        of_user, of_address = _names(user, address)
        for name, is_forgotten in ((of_user, True), (of_address, False)):
            hashed, found = self._find(name)
            if found.failures:
                self._put(found.offset, hashed, 0 if is_forgotten else found.failures - 1, found.last)

    def not_made(self, user: str, address: str) -> None:
        """Take back what was counted of an attempt that the server was too busy to look at."""
        for name in _names(user, address):
            hashed, found = self._find(name)
            if found.failures:
                self._put(found.offset, hashed, found.failures - 1, found.last)

    def _wait(self, name: bytes) -> float:
        _, found = self._find(name)
        if found.failures < FREE_FAILURES:
            return 0.0
        delay = min(2.0 ** min(found.failures - FREE_FAILURES, 30), LONGEST_DELAY)
        return found.last + delay - self._clock()

    def _find(self, name: bytes) -> tuple[int, _Found]:
        """Where a name is counted, or the place that it may have."""
        digest = blake2b(name, digest_size=12, key=self._key).digest()
        hashed, number = struct.unpack("<QI", digest)
        start = number % _SETS * _WAYS * _PLACE.size
        oldest = _Found(start, 0, math.inf)
        for offset in range(start, start + _WAYS * _PLACE.size, _PLACE.size):
            there, count, last = _PLACE.unpack_from(self._places, offset)
            if there == hashed and count:
                is_old = self._clock() - last > FORGOTTEN_AFTER
                return hashed, _Found(offset, 0 if is_old else count, last)
            if count == 0:
                last = -math.inf
            if last < oldest.last:
                oldest = _Found(offset, 0, last)
        return hashed, oldest

    def _put(self, offset: int, hashed: int, count: int, last: float) -> None:
        _PLACE.pack_into(self._places, offset, hashed, count, last)


def _names(user: str, address: str) -> tuple[bytes, bytes]:
    """What is counted of an attempt. An address of IPv6 is one of many that its holder has: its network counts."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        network = address
    else:
        is_short = parsed.version == 4
        network = str(parsed) if is_short else str(ipaddress.ip_network((parsed, 64), strict=False))
    return b"user " + user.lower().encode("utf-8", "replace"), b"address " + network.encode("utf-8", "replace")
