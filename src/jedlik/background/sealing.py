"""Seals what was written before a store had a key (`regions.store_keys`), on the live store, some rows at a time.

The store's key records how far this has come, so it goes on after a restart. Values stay readable all the while, sealed
or not. From the store's next opening after the last one was sealed, a plain value is refused as a forgery. The
server's next start compacts the store, whose free pages still have plain values (`regions.due_compactions`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from jedlik.background.work import Duty
from jedlik.config import Settings
from jedlik.regions import due_compactions, keyspaces, store_keys
from jedlik.regions.store_keys import StoreKey
from jedlik.storage.engine import Row, Writes

if TYPE_CHECKING:
    from jedlik.regions.region import Region
    from jedlik.storage.sealed_engine import SealedEngine

_log = logging.getLogger(__name__)

PERIOD = 5.0
"""Seconds between two looks at whether there is something to seal."""
STEP_ROWS = 100
STEP_BYTES = 256 * 1024
"""Rows that are looked at in one mutation, and bytes of their values."""


def duty(settings: Settings) -> Duty:
    """The sealing, which no setting changes."""
    return Duty("sealing", PERIOD, partial(seal_some, data=settings.data_dir), _has_plain)


async def _has_plain(region: Region) -> bool:
    return region.sealed is not None and region.sealed.sealing.has_plain


async def seal_some(region: Region, data: Path) -> bool:
    """Seal the next plain values of a store in a data folder. Returns whether there may be more. Raises OSError."""
    engine = region.sealed
    if engine is None:
        return False
    [record] = await engine.get([store_keys.KEYSPACE.prefix])
    assert record is not None, "a sealed store has a key"
    before = store_keys.parse(record)
    if not before.has_plain:
        engine.sealing.has_plain = False
        _log.info(
            "all values are sealed; free pages still have what was there before: the next start removes them, unless "
            "the store is large, and so does `jedlik compact`",
            extra={"region": region.store},
        )
        return False
    rows = await _rows_from(engine, before.position)
    after = replace(before, position=rows[-1][0] + b"\0") if rows else StoreKey(before.sealed, has_plain=False)
    if not rows:
        due_compactions.note(data, region.account, region.name)
    plain = [key for key, stored in rows if not engine.sealing.is_sealed(key, stored)]

    def decide(found: Sequence[bytes | None]) -> tuple[Writes, None]:
        writes = Writes()
        if found[0] == record:
            writes.put(store_keys.KEYSPACE.prefix, after.record)
            writes.puts |= {key: value for key, value in zip(plain, found[1:], strict=True) if value is not None}
        return writes, None

    await engine.mutate([store_keys.KEYSPACE.prefix, *plain], decide)
    return True


async def _rows_from(engine: SealedEngine, position: bytes) -> list[Row]:
    """The next rows, as they are stored, of the key spaces that are sealed."""
    for first in sorted(engine.sealing.spaces):
        rows = await engine.inner.range(max(first, position), keyspaces.prefix_end(first), STEP_ROWS, STEP_BYTES)
        if rows:
            return rows
    return []
