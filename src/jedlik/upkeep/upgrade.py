"""Brings a store to the format that this version uses, one format at a time (`regions.store_format`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from jedlik.dynamodb.former_entries import Converter
from jedlik.regions import keyspaces, store_format
from jedlik.storage.engine import Engine, StorageError, Writes
from jedlik.storage.lmdb import lmdb_file
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine

Step = Callable[[Engine], Awaitable[None]]
"""Brings a store to the next format. Its last mutation writes the record of that format: until then it may be
repeated."""


async def upgrade(folder: Path) -> tuple[str, int]:
    """Bring the store in a folder to this version's formats. No server may have it open.

    Returns the storage format and the format that it had. Raises StorageError, also for a store of a later version.
    """
    storage_format = lmdb_file.upgrade(folder, Converter().convert)
    engine = LmdbEngine.open(folder, durable=True)
    try:
        [record] = await engine.get([keyspaces.format_key()])
        try:
            found = store_format.number(record)
        except ValueError as error:
            raise StorageError(f"the store in {folder} {error}") from error
        if found >= store_format.FORMAT and (reason := store_format.refusal(record)) is not None:
            raise StorageError(f"the store in {folder} {reason}")
        for step in _STEPS[found:]:
            await step(engine)
        return storage_format, found
    finally:
        await engine.close()


async def _write_record(engine: Engine) -> None:
    """Nothing changes except the store's record of its format.

    From 0 to 1 nothing else has changed. From 1 to 2 the entries of logs have another form, which they got when the
    storage format changed.
    """

    def decide(_: Sequence[bytes | None]) -> tuple[Writes, None]:
        writes = Writes()
        writes.put(keyspaces.format_key(), store_format.record())
        return writes, None

    await engine.mutate([], decide)


_STEPS: tuple[Step, ...] = (_write_record, _write_record)
"""By the format that each begins with."""
