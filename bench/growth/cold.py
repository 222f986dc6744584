"""Section `cold`: reads of the largest table while nothing of it is in memory, by the event loop or by threads first.

Both ways in turns, in one process over the engine, as a worker uses it: each read is followed by as much work as a
handler has. Beside those who read what is cold there is a client that always reads the same item.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median

import uvloop

from bench.growth import sizes
from bench.growth.options import Options
from bench.growth.service import STORE, out_of_memory
from jedlik.dynamodb.model import spaces
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine

CONNECTIONS = (1, 16, 64)
READS = 600
PAIRS = 40
HANDLING_SECONDS = 30e-6
PAUSE_SECONDS = 0.001
"""Between two reads of the client whose item is in memory."""
PREFIX = 11
"""Bytes of a row's key that all rows of a table share; a hash follows."""
HASH = 16
ROWS, BYTES = 10, 1 << 20
TENTH = 10


@dataclass(frozen=True, slots=True)
class Slice:
    """Some reads in one of the ways."""

    per_second: float
    beside: float
    """The middle time of a read of what is in memory, in milliseconds."""
    processor: float
    """Microseconds for a read."""


MEASURED: tuple[tuple[str, Callable[[Slice], float]], ...] = (
    ("reads/s", lambda one: one.per_second),
    ("ms of a read of what is in memory", lambda one: one.beside),
    ("processor time of a read, us", lambda one: one.processor),
)


def report(options: Options) -> Iterator[str]:
    """The section."""
    count = options.counts[-1]
    sizes.load(options, count, at_most=count)
    if options.load_only:
        return
    yield "| connections | | by the loop | by threads first | ratio | a tenth is below | a tenth is above |"
    yield "|---|---|---|---|---|---|---|"
    for connections in CONNECTIONS:
        folder = sizes.folder(options, count)
        out_of_memory(folder)
        yield from uvloop.run(_compared((folder / STORE).parent, connections))


async def _compared(store: Path, connections: int) -> list[str]:
    engine = LmdbEngine.open(store, durable=True)
    [(first, _)] = await engine.range(*spaces.ROWS.range, 1, 1)
    random = Random(connections)
    found: dict[bool, list[Slice]] = {False: [], True: []}
    for number in range(-1, PAIRS):
        for by_threads in (False, True) if number % 2 else (True, False):
            one = await _slice(engine, first, random, connections, by_threads=by_threads)
            if number >= 0:  # The first pair starts threads.
                found[by_threads].append(one)
    await engine.close()
    lines = []
    for what, of in MEASURED:
        loop, threads = ([of(one) for one in found[way]] for way in (False, True))
        ratios = sorted(new / old for new, old in zip(threads, loop, strict=True))
        low, high = ratios[PAIRS // TENTH], ratios[-1 - PAIRS // TENTH]
        lines.append(
            f"| {connections} | {what} | {median(loop):,.2f} | {median(threads):,.2f} | {median(ratios):.2f} "
            f"| {low:.2f} | {high:.2f} |"
        )
    return lines


async def _slice(engine: LmdbEngine, first: bytes, random: Random, connections: int, *, by_threads: bool) -> Slice:
    engine._cold.are_expected = by_threads
    left, beside = READS, []

    async def reader() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            start = first[:PREFIX] + random.randbytes(HASH)
            await engine.get_and_range(first, start, spaces.ROWS.range[1], ROWS, BYTES)
            _handle()
            await asyncio.sleep(0)

    async def other() -> None:
        while left > 0:
            begun = time.perf_counter()
            await asyncio.sleep(0)
            await engine.get((first,))
            _handle()
            beside.append(time.perf_counter() - begun)
            await asyncio.sleep(PAUSE_SECONDS)

    begun, used = time.perf_counter(), time.process_time()
    await asyncio.gather(other(), *(reader() for _ in range(connections)))
    seconds, used = time.perf_counter() - begun, time.process_time() - used
    return Slice(READS / seconds, median(beside) * 1e3, used / READS * 1e6)


def _handle() -> None:
    """Work on an answer."""
    end = time.perf_counter() + HANDLING_SECONDS
    while time.perf_counter() < end:
        pass
