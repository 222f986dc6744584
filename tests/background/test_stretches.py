"""Reading for background work: a few rows at a time, and requests are answered between."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from jedlik.background import stretches
from jedlik.regions.region import Region
from jedlik.storage.engine import Row, Writes
from testing.regions import SetClock, run, write

START, END = b"\x28", b"\x29"
KEYS = [START + number.to_bytes(2, "big") for number in range(4 * stretches.READ_ROWS)]


def fill(writes: Writes) -> None:
    for key in (b"\x27before", *KEYS, b"\x29after"):
        writes.put(key, b"row")


def fill_with_large_rows(writes: Writes) -> None:
    for key in KEYS:
        writes.put(key, bytes(stretches.READ_BYTES))


@pytest.mark.parametrize("limit", [1, stretches.READ_ROWS, stretches.READ_ROWS + 1, len(KEYS), len(KEYS) + 1])
def test_the_first_keys_are_found(tmp_path: Path, limit: int) -> None:
    async def scenario(region: Region, clock: SetClock) -> None:
        await write(region, fill)
        assert await stretches.first_keys(region, START, END, limit, 1 << 20) == KEYS[:limit]

    run(tmp_path, scenario)


def test_large_rows_are_fewer(tmp_path: Path) -> None:
    async def scenario(region: Region, clock: SetClock) -> None:
        await write(region, fill_with_large_rows)
        assert await stretches.first_keys(region, START, END, len(KEYS), 3 * stretches.READ_BYTES) == KEYS[:3]

    run(tmp_path, scenario)


def test_requests_are_answered_between_the_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    happened = []

    async def scenario(region: Region, clock: SetClock) -> None:
        await write(region, fill)
        read = region.engine.range

        async def recorded(start: bytes, end: bytes, limit: int, max_bytes: int) -> list[Row]:
            happened.append("read")
            return await read(start, end, limit, max_bytes)

        async def requests() -> None:
            while True:
                happened.append("request")
                await asyncio.sleep(0)

        monkeypatch.setattr(region.engine, "range", recorded)
        others = asyncio.create_task(requests())
        await stretches.first_keys(region, START, END, len(KEYS), 1 << 20)
        others.cancel()

    run(tmp_path, scenario)
    assert happened.count("read") == len(KEYS) // stretches.READ_ROWS
    assert ("read", "read") not in pairwise(happened)
