"""Seals what a store keeps under its former root key again under the present one, row by row, beside a running server.

Key spaces declare which parts of their rows are sealed (`Keyspace.sealed`). Each commit changes some rows and reads
them once more, so a row that somebody changes meanwhile is not overwritten. To be stopped anywhere does no harm: both
keys open what they have sealed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from jedlik.regions.keyspaces import Keyspace
from jedlik.root_key import RootKey, place
from jedlik.storage.engine import Engine, Row, Writes
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine

_PAGE, _PAGE_BYTES = 100, 1 << 20


async def reseal(path: Path, account: str, region: str, spaces: Iterable[Keyspace], root_key: RootKey) -> int:
    """Seal the rows of the store in `path` again. Returns how many were not under the present key.

    `region` is empty for an identity store. Raises StorageError, Unsealable, and DAMAGE for a row that cannot be read.
    """
    sealed = [space for space in spaces if space.sealed is not None]
    if not sealed:
        return 0
    engine = LmdbEngine.open(path, durable=True)
    try:
        return sum([await _reseal(engine, account, region, space, root_key) for space in sealed])
    finally:
        await engine.close()


async def _reseal(engine: Engine, account: str, region: str, space: Keyspace, root_key: RootKey) -> int:
    def resealed(key: bytes, value: bytes) -> bytes:
        assert space.sealed is not None
        return space.sealed(value, lambda part, name: root_key.resealed(part, place(account, region, key, name)))

    async def change(rows: Sequence[Row]) -> None:
        keys = [key for key, _ in rows]

        def decide(found: Sequence[bytes | None]) -> tuple[Writes, None]:
            writes = Writes()
            for key, value in zip(keys, found, strict=True):
                new = None if value is None else resealed(key, value)
                if new is not None and new != value:
                    writes.put(key, new)
            return writes, None

        await engine.mutate(keys, decide)

    start, end = space.range
    changed = 0
    while page := await engine.range(start, end, _PAGE, _PAGE_BYTES):
        former = [(key, value) for key, value in page if resealed(key, value) != value]
        if former:
            await change(former)
            changed += len(former)
        start = page[-1][0] + b"\x00"
    return changed
