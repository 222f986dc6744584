"""Kill -9 at random moments under mixed load: single workers, or their committers, while the others go on, and then the
whole server.

A writer whose worker was killed finds out through another worker whether its request took effect, and goes on. When the
whole server is killed, everything is compared: the table, its indexes, its counters and its stream with the writers'
knowledge, and the store with itself.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from testing.jedlik_process import Server
from torture.expected import Expected, check_indexes, check_partitions, check_store, demand, make_table
from torture.streams import Follower
from torture.writers import WRITERS, Writer, some

WORKERS = (2, 3, 4)
OPTIONS: dict[str, Any] = {"expiry_interval": 1, "stream_rotation": 20}
"""Seconds. Background work comes often, so that it is killed, too."""
LONGEST_LIFE = 1.5
"""The longest load between two kills of workers, in seconds: the parent replaces one after a second."""
MOST_WORKERS = 6
"""The most workers that are killed before the whole server is."""
STALL_SECONDS = 60.0
"""Within this number of seconds after a worker's death, writes must be acknowledged again."""


@dataclass(slots=True)
class Killed:
    """What a run has done."""

    workers: int = 0
    committers: int = 0
    servers: int = 0
    answers: int = 0
    records: int = 0

    def __str__(self) -> str:
        return (
            f"{self.workers} workers, {self.committers} committers and {self.servers} servers killed, "
            f"{self.answers} requests answered, "
            f"{self.records} stream records read"
        )


def run(folder: Path, random: Random, seconds: float, say: Callable[[str], None]) -> Killed:
    """Kill for `seconds`. Raises Broken."""
    options = OPTIONS | {"seal_tables": random.random() < 0.8}
    server = Server(folder / "log", data_dir=folder / "data", workers=random.choice(WORKERS), **options)
    try:
        return _Run(server, random).run(seconds, say)
    finally:
        server.kill()


class _Run:
    def __init__(self, server: Server, random: Random) -> None:
        self._server = server
        self._random = random
        self._writers = [
            Writer(f"writer {n}", Random(random.random()), faults=True, sure=False) for n in range(WRITERS)
        ]
        self._expected = Expected(self._writers)
        self._stream = Follower()
        self._killed = Killed()

    def run(self, seconds: float, say: Callable[[str], None]) -> Killed:
        make_table(self._server.client())
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._live()
            self._server.options["workers"] = self._random.choice(WORKERS)
            self._server.restart()
            self._check()
            say(str(self._killed))
        return self._killed

    def _live(self) -> None:
        """Load, kills of workers, and the end of the server."""
        server = self._server
        threads = [writer.start(server.url) for writer in some(self._writers, self._random)]
        for _ in range(self._random.randint(0, MOST_WORKERS)):
            time.sleep(self._random.uniform(0, LONGEST_LIFE))
            if kill_one(server.pid, self._random):
                self._killed.workers += 1
            else:
                self._killed.committers += 1
            self._wait_for_answers()
        time.sleep(self._random.uniform(0, LONGEST_LIFE))
        server.kill()
        self._killed.servers += 1
        for thread in threads:
            thread.join()

    def _wait_for_answers(self) -> None:
        """Check that the other workers go on."""
        before = self._answers()
        deadline = time.monotonic() + STALL_SECONDS
        while self._answers() == before:
            demand(time.monotonic() < deadline, f"no write was answered for {STALL_SECONDS} s")
            time.sleep(0.01)

    def _answers(self) -> int:
        return sum(writer.answers for writer in self._writers)

    def _check(self) -> None:
        client = self._server.client()
        items = self._expected.check(client)
        check_indexes(client, items)
        check_partitions(client, items)
        self._stream.follow(self._server.client("dynamodbstreams"))
        self._stream.check(items)
        check_store(self._server)
        self._killed.answers = self._answers()
        self._killed.records = self._stream.records


def kill_one(server: int, random: Random) -> bool:
    """Kill a worker of a server, or a process that commits for one. Returns whether it was a worker."""
    deadline = time.monotonic() + STALL_SECONDS
    while not (alive := workers(server)):
        demand(time.monotonic() < deadline, f"there was no worker for {STALL_SECONDS} s")
        time.sleep(0.01)
    worker = random.choice(alive)
    victim = random.choice([worker, *_children(worker)])
    os.kill(victim, signal.SIGKILL)
    return victim == worker


def workers(server: int) -> list[int]:
    """The process ids of a server's workers."""
    return _children(server)


def _children(parent: int) -> list[int]:
    try:
        found = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    except FileNotFoundError:  # It has just died.
        return []
    return [int(pid) for pid in found.split()]
