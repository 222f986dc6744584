"""Export ranges: a table's changes are put into memory one range of keys after the other.

A full export needs each item as it was at a time: a copied item that has not changed since, and what the changes and
segments of the plan leave of the others. An incremental export has the items that changed within a window, each as it
was at the window's beginning and at its end.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import NamedTuple

from jedlik.dynamodb.backups import manifests
from jedlik.dynamodb.backups.manifests import Manifest
from jedlik.dynamodb.backups.piece_keys import PieceKeys
from jedlik.dynamodb.backups.pieces import ABSENT, STAMP, Rows
from jedlik.dynamodb.model.limits import MIB
from jedlik.storage.engine import Row
from jedlik.storage.object_store import ObjectStore

RANGE_BYTES = 64 * MIB
"""Bytes of changes that are in memory at once."""
MOST_RANGES = 1 << 16


class Changed(NamedTuple):
    """What has become of an item within the window of an incremental export."""

    key: bytes
    at: int
    """The time of its last change, in microseconds since the epoch."""
    old: bytes | None
    """The item as it was at the beginning; None if it was not there."""
    new: bytes
    """The item at the end, or what stands for none (`pieces.ABSENT`)."""


@dataclass(slots=True)
class Range:
    """A range of keys, as a worker exports it."""

    manifest: Manifest
    number: int
    count: int
    """The number of ranges."""
    since: int | None
    """Where the window of an incremental export begins, in microseconds since the epoch."""
    changed: dict[bytes, bytes] = field(default_factory=dict)
    """The items that have changed since they were copied, by key, as they were at the time; in an incremental export,
    those of the window, as they were at its beginning."""
    window: dict[bytes, tuple[int, bytes]] = field(default_factory=dict)
    """The items that changed within the window: the time of the last change, and the item after it."""

    def holds(self, key: bytes) -> bool:
        """Whether a key is in the range."""
        return self.count == 1 or int.from_bytes(key[:2], "big") * self.count >> 16 == self.number

    def copied(self, rows: list[Row]) -> list[Row]:
        """The items of a piece that a full export takes from it: those that have not changed."""
        return [(key, value) for key, value in rows if self.holds(key) and key not in self.changed]

    def rest(self) -> list[Row]:
        """The items of a full export that have changed."""
        return [(key, value) for key, value in self.changed.items() if not value.startswith(ABSENT)]

    def changes_of(self, rows: list[Row], after: bytes) -> list[Changed]:
        """The changes in the window of items that a piece decides about: those up to its last key, behind `after`."""
        if not rows:
            return []
        copied = {key: value for key, value in rows if key in self.window}
        last = rows[-1][0]
        return [
            Changed(key, at, copied.get(key), new)
            for key, (at, new) in self.window.items()
            if after < key <= last and key not in self.changed
        ]

    def rest_of_changes(self, after: bytes) -> list[Changed]:
        """The changes that no piece decides about."""
        found = []
        for key, (at, new) in self.window.items():
            before = self.changed.get(key)
            if before is not None or key > after:
                found.append(Changed(key, at, None if before is None or before.startswith(ABSENT) else before, new))
        return found

    @classmethod
    async def of(cls, store: ObjectStore, keys: PieceKeys, folder: str, number: int, since: int | None) -> Range:
        """A range of the plan in a folder. Raises ObjectStoreError, DamagedManifest and DamagedPiece."""
        manifest = await manifests.read(store, folder, manifests.PLAN)
        size = sum(piece.size for piece in manifest.pieces if piece.kind is not Rows.ITEMS)
        found = cls(manifest, number, min(size // RANGE_BYTES + 1, MOST_RANGES), since)
        if number < found.count:
            await found._read(store, keys)
        return found

    async def _read(self, store: ObjectStore, keys: PieceKeys) -> None:
        """Read what has changed: first what was before the changes, then what the segments leave."""
        for piece in reversed(self.manifest.of(Rows.CHANGES)):
            for key, value in reversed(await rows_of(store, keys, piece.name)):
                if self.holds(key):
                    self.changed[key] = value
        until = self.manifest.until
        for piece in self.manifest.of(Rows.SEGMENT):
            for stamped, value in await rows_of(store, keys, piece.name):
                position, at = STAMP.unpack_from(stamped)
                key = stamped[STAMP.size :]
                if position <= self.manifest.position or (until is not None and at > until) or not self.holds(key):
                    continue
                if self.since is not None and at >= self.since:
                    self.window[key] = at, value
                else:
                    self.changed[key] = value
        if self.since is not None:
            self.changed = {key: value for key, value in self.changed.items() if key in self.window}


async def rows_of(store: ObjectStore, keys: PieceKeys, name: str) -> list[Row]:
    """The rows of a piece. Raises ObjectStoreError and DamagedPiece."""
    _, _, rows = await keys.rows(store, name)
    return await asyncio.to_thread(list, rows)
