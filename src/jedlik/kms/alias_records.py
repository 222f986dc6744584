"""Aliases as they are stored."""

from __future__ import annotations

from typing import NamedTuple

import orjson


class AliasRecord(NamedTuple):
    """What an alias names."""

    key_id: str
    created: float
    """In seconds since the epoch, as the next."""
    updated: float

    def packed(self) -> bytes:
        """The stored form."""
        return orjson.dumps({"key": self.key_id, "created": self.created, "updated": self.updated})


def unpacked_alias(stored: bytes) -> AliasRecord:
    """Reads the stored form."""
    found = orjson.loads(stored)
    return AliasRecord(found["key"], found["created"], found["updated"])
