"""The engines that must keep the promises of `jedlik.storage.engine` in tests, and the requests that tests often
make."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from jedlik.storage.engine import Engine, Row, Writes
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
from jedlik.storage.sealed import SealedSpace, Sealing
from jedlik.storage.sealed_engine import SealedEngine
from testing.storage.memory import MemoryEngine

T = TypeVar("T")

Open = Callable[[Path], Engine]


def lmdb_durable(path: Path) -> Engine:
    return LmdbEngine.open(path, durable=True)


def lmdb_forgetful(path: Path) -> Engine:
    return LmdbEngine.open(path, durable=False)


_IN_MEMORY: dict[Path, dict[bytes, bytes]] = {}


def memory(path: Path) -> Engine:
    return MemoryEngine(_IN_MEMORY.setdefault(path, {}))


class OneKey:
    """A keyring with the same key for everybody."""

    def current(self, owner: bytes) -> int | None:
        return 7

    def key(self, owner: bytes, number: int) -> bytes:
        return b"%32d" % number

    def use(self, table: bytes, number: int) -> bool:
        return False


def sealed(path: Path) -> Engine:
    """Seals what begins with some letters: none with which counters and logs of these tests begin."""
    spaces = {bytes((letter,)): SealedSpace(1) for letter in b"bdeik"}
    return SealedEngine(LmdbEngine.open(path, durable=True), Sealing(OneKey(), spaces))


SHARED_OPENERS: list[Open] = [lmdb_durable, lmdb_forgetful, sealed]
"""For stores that several processes may share."""
OPENERS: list[Open] = [*SHARED_OPENERS, memory]


def run(open_engine: Open, path: Path, scenario: Callable[[Engine], Awaitable[T]]) -> T:
    """The result of `scenario` with an engine opened in `path`. The engine is closed afterwards."""

    async def main() -> T:
        engine = open_engine(path)
        try:
            return await scenario(engine)
        finally:
            await engine.close()

    return asyncio.run(main())


async def put(engine: Engine, rows: Mapping[bytes, bytes | None]) -> None:
    """Store `rows` in one mutation. None deletes a key."""

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        writes = Writes()
        for key, value in rows.items():
            if value is None:
                writes.delete(key)
            else:
                writes.put(key, value)
        return writes, None

    await engine.mutate([], decide)


def overwrite(path: Path, rows: Mapping[bytes, bytes | None]) -> None:
    """Change a durable store that nobody has open, as `put` does."""
    run(lmdb_durable, path, lambda engine: put(engine, rows))


async def add(engine: Engine, key: bytes, amount: int) -> None:
    """Add to a counter in one mutation."""

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        writes = Writes()
        writes.add(key, amount)
        return writes, None

    await engine.mutate([], decide)


async def append(engine: Engine, log: bytes, entries: Sequence[bytes]) -> None:
    """Append `entries` to `log` in one mutation."""

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        writes = Writes()
        for entry in entries:
            writes.append(log, entry)
        return writes, None

    await engine.mutate([], decide)


async def increment(engine: Engine, key: bytes) -> int:
    """Increment a decimal number under `key`, by reading and writing. Returns the new number."""

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, int]:
        count = int(values[0] or b"0") + 1
        writes = Writes()
        writes.put(key, b"%d" % count)
        return writes, count

    return await engine.mutate([key], decide)


async def everything(engine: Engine) -> list[Row]:
    """All rows of the store."""
    return await engine.range(b"\x01", b"\xff" * 8, 1_000_000, 1 << 30)


def count_of(value: bytes | None) -> int:
    """The value of a counter that is never below zero."""
    return int.from_bytes(value or b"", "little")


async def put_twice(engine: Engine, rows: Mapping[bytes, bytes | None]) -> None:
    """The same, as two clients do it at one time: so the mutations that come next wait for each other, and are one
    batch."""
    await asyncio.gather(put(engine, rows), put(engine, rows))
