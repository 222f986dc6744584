"""Other processes that share a store: their actions, and how a test starts them.

They are spawned, not forked: a process opens its own engine, and the test's may be open already.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from jedlik.storage.engine import Engine, Writes
from testing.storage.engines import Open, append, increment, put, run

CLIENTS = 8
"""Mutations that a process has in flight."""

_START_SECONDS = 60.0
_SPAWN = get_context("spawn")


def start(work: Callable[..., None], *arguments: object) -> SpawnProcess:
    """A process that does `work`."""
    process = _SPAWN.Process(target=work, args=arguments, daemon=True)
    process.start()
    return process


def pipe() -> tuple[Connection, Connection]:
    """The two ends of a channel between processes: to receive, and to send."""
    return _SPAWN.Pipe(duplex=False)


def finish(*processes: SpawnProcess) -> None:
    """Wait until `processes` have done their work."""
    for process in processes:
        process.join()
        assert process.exitcode == 0


# What they do


def count_up(open_engine: Open, path: Path, keys: Sequence[bytes], times: int) -> None:
    """Increment each of `keys` `times` times."""

    async def client(engine: Engine, share: int) -> None:
        for _ in range(share):
            for key in keys:
                await increment(engine, key)

    async def scenario(engine: Engine) -> None:
        await asyncio.gather(*(client(engine, times // CLIENTS) for _ in range(CLIENTS)))

    run(open_engine, path, scenario)


def claim(open_engine: Open, path: Path, name: bytes, slots: int, claimed: Connection) -> None:
    """Try to take every slot, and send the numbers of those that were taken."""

    async def take(engine: Engine, slot: int) -> bool:
        key = b"slot%d" % slot

        def decide(values: Sequence[bytes | None]) -> tuple[Writes, bool]:
            writes = Writes()
            if values[0] is not None:
                return writes, False
            writes.put(key, name)
            writes.add(b"taken", 1)
            return writes, True

        return await engine.mutate([key], decide)

    async def scenario(engine: Engine) -> list[int]:
        return [slot for slot in range(slots) if await take(engine, slot)]

    claimed.send(run(open_engine, path, scenario))


def append_numbers(open_engine: Open, path: Path, log: bytes, name: bytes, count: int) -> None:
    """Append `name` with the numbers from 0 to `count`, one to three at a time."""

    async def scenario(engine: Engine) -> None:
        number = 0
        while number < count:
            after = min(count, number + 1 + number % 3)
            await append(engine, log, [b"%s %d" % (name, n) for n in range(number, after)])
            number = after

    run(open_engine, path, scenario)


def write_until_killed(open_engine: Open, path: Path, name: bytes, acknowledged: Connection) -> None:
    """Write pairs of rows for ever, and a line with the number of each pair when it is acknowledged."""

    async def write(engine: Engine, number: int) -> None:
        def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
            writes = Writes()
            writes.put(b"left %s %d" % (name, number), b"%d" % number * 50)
            writes.put(b"right %s %d" % (name, number), b"%d" % number * 50)
            writes.add(b"pairs", 1)
            writes.append(b"log", b"%s %d" % (name, number))
            return writes, None

        await engine.mutate([], decide)
        os.write(acknowledged.fileno(), b"%d\n" % number)

    async def client(engine: Engine, first: int) -> None:
        number = first
        while True:
            await write(engine, number)
            number += CLIENTS

    async def scenario(engine: Engine) -> None:
        await asyncio.gather(*(client(engine, first) for first in range(CLIENTS)))

    run(open_engine, path, scenario)


class Other:
    """Another process with the store open, which reads and writes on request."""

    def __init__(self, requests: Connection, answers: Connection) -> None:
        self._requests = requests
        self._answers = answers

    def put(self, rows: dict[bytes, bytes]) -> None:
        """Write `rows` and commit them."""
        self._ask("put", rows)

    def get(self, keys: list[bytes]) -> Any:
        """What the other process reads."""
        return self._ask("get", keys)

    def _ask(self, operation: str, argument: object) -> Any:
        self._requests.send((operation, argument))
        assert self._answers.poll(_START_SECONDS)
        return self._answers.recv()


@contextmanager
def other_process(open_engine: Open, path: Path) -> Generator[Other]:
    """Another process that has the store open."""
    requests_end, requests = pipe()
    answers, answers_end = pipe()
    process = start(_serve, open_engine, path, requests_end, answers_end)
    requests_end.close()
    answers_end.close()
    try:
        other = Other(requests, answers)
        other.get([])
        yield other
    finally:
        requests.close()
        finish(process)


def _serve(open_engine: Open, path: Path, requests: Connection, answers: Connection) -> None:
    async def scenario(engine: Engine) -> None:
        while True:
            try:
                operation, argument = requests.recv()
            except EOFError:
                return
            if operation == "put":
                await put(engine, argument)
                answers.send(None)
            else:
                answers.send(await engine.get(argument))

    run(open_engine, path, scenario)
