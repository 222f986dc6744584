"""Replaying: a fresh server gets the requests of the corpus, and its answers are compared with those recorded."""

from __future__ import annotations

import asyncio
import http.client
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jedlik.regions import keyspaces, store_format
from jedlik.storage.engine import Writes
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
from testing.corpus.exchanges import Exchange
from testing.corpus.masks import handed_out, masked
from testing.data_folders import store_in
from testing.jedlik_process import Server

REGIONS = (
    *("us-east-1", "us-east-2", "us-west-1", "us-west-2"),
    *("eu-west-1", "eu-west-2", "eu-west-3", "eu-central-1", "eu-north-1", "ap-south-1"),
)
"""Regions whose stores are made beforehand with one secret for all runs, so that hashes, and so a Scan's order, are the
same in each."""
SECRET = bytes(range(32))

READS = ("Batch", "Describe", "Get", "List", "Query", "Scan", "TransactGet", "ExecuteStatement")
"""Operations beginning with these may be repeated until background work has come as far as when they were recorded."""
PATIENCE_SECONDS = 1.0
PAUSE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Difference:
    """An exchange whose answer is not the recorded one."""

    number: int
    recorded: Exchange
    status: int
    answer: bytes

    def __str__(self) -> str:
        return (
            f"{self.number}: {self.recorded.operation} {self.recorded.request[:300]!r}\n"
            f"  recorded {self.recorded.status} {self.recorded.answer[:600]!r}\n"
            f"  replayed {self.status} {self.answer[:600]!r}"
        )


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """A server whose stores are empty and have the secret of every corpus."""
    data = folder / "data"
    for region in REGIONS:
        asyncio.run(_make_store(store_in(data, region)))
    server = Server(folder / "log", data_dir=data)
    try:
        yield server
    finally:
        server.kill()


async def _make_store(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = LmdbEngine.open(path, durable=True)

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        writes = Writes()
        writes.put(keyspaces.format_key(), store_format.record())
        writes.put(keyspaces.secret_key(), SECRET)
        return writes, None

    await engine.mutate([], decide)
    await engine.close()


class Replay:
    """Sends the requests of a corpus to one server, in order."""

    def __init__(self, server: Server) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        self._given: dict[bytes, bytes] = {}
        """For each string that a recorded answer gave, the one that the replayed answer gave."""

    def differences(self, exchanges: Sequence[Exchange]) -> Iterator[Difference]:
        """Send every request. Yields each answer that is compared and differs."""
        for number, recorded in enumerate(exchanges):
            status, content_type, answer = self._patient(recorded)
            for old, new in handed_out(recorded.answer, answer):
                self._given[old.encode()] = new.encode()
            if recorded.compared and not same(recorded, status, content_type, answer):
                yield Difference(number, recorded, status, answer)

    def _patient(self, recorded: Exchange) -> tuple[int, str, bytes]:
        """The answer; repeated for a while if only background work may be behind."""
        until = time.monotonic() + (PATIENCE_SECONDS if recorded.compared else 0.0)
        while True:
            status, content_type, answer = self._ask(recorded)
            if same(recorded, status, content_type, answer) or time.monotonic() > until:
                return status, content_type, answer
            refused = status >= 400 and recorded.status == 200
            if not refused and not recorded.operation.startswith(READS):
                return status, content_type, answer
            time.sleep(PAUSE_SECONDS)

    def _ask(self, recorded: Exchange) -> tuple[int, str, bytes]:
        body = recorded.request
        for old, new in self._given.items():
            if old in body:
                body = body.replace(old, new)
        headers: dict[str, Any] = recorded.headers | {"accept-encoding": "identity"}
        self._connection.request("POST", "/", body, headers)
        response = self._connection.getresponse()
        return response.status, response.headers.get("content-type", ""), response.read()


def same(recorded: Exchange, status: int, content_type: str, answer: bytes) -> bool:
    """Whether an answer is the recorded one, except for the parts that may differ."""
    return (
        status == recorded.status
        and content_type == recorded.content_type
        and (answer == recorded.answer or masked(answer) == masked(recorded.answer))
    )
