"""The engine's record of the last entry that was appended to any log.

The next entry gets a later position, and no earlier time.
"""

from __future__ import annotations

from typing import NamedTuple

from jedlik.storage.batch import POSITION_SIZE
from jedlik.storage.engine import TIME_SIZE

POSITION_KEY = b"\x00position"
"""Where the record is. It is the only one of the engine's own records that has a checksum."""


class LastEntry(NamedTuple):
    """The engine's record of the last entry that was appended to any log."""

    position: int
    time: int
    """Microseconds since the epoch."""

    def pack(self) -> bytes:
        """The value under POSITION_KEY."""
        return self.position.to_bytes(POSITION_SIZE, "big") + self.time.to_bytes(TIME_SIZE, "big")

    @classmethod
    def unpack(cls, found: bytes | None) -> LastEntry:
        """Reads that record; None if nothing was appended yet."""
        value = found or bytes(POSITION_SIZE + TIME_SIZE)
        return cls(int.from_bytes(value[:POSITION_SIZE], "big"), int.from_bytes(value[POSITION_SIZE:], "big"))
