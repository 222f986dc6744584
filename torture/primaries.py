"""Kill -9 of DAX's primary, again and again, under writes through it: clients go on, and nothing acknowledged is lost.

Some writers speak the protocol by hand: when their connection ends, they ask any node for the primary and go on there.
One uses the official client, which finds its own way. It is measured how long after a kill a write is acknowledged to
each, and until the killed node serves again. In the end the whole server is killed.
"""

from __future__ import annotations

import os
import signal
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from amazondax import AmazonDaxClient

from testing.dax import raw_client
from testing.dax.node_processes import process_of
from testing.dax.raw_client import RawClient, authorization, preamble, request, values
from testing.jedlik_process import Server
from torture.expected import check_store, demand

NODES = 3
BY_HAND = 2
"""Writers that speak the protocol themselves."""
TABLE = "primaries"
LONGEST_LIFE = 1.5
"""Seconds of load between two kills."""
STAY = 20
"""Puts after which a writer by hand that is not at the first node looks whether that is the primary again."""
STALL_SECONDS = 60.0
"""Within this number of seconds after a kill, each writer must be acknowledged again, and the node be replaced. It
takes one or two, but machines are busy."""
LEADER, PORT, ROLE = 1, 3, 4
"""What a member of an endpoint means, and the role of the primary."""


class _Writer:
    """Puts one item after the other until it is stopped."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.acknowledged: list[int] = []
        self._number = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(STALL_SECONDS)

    def _write(self) -> None:
        while not self._stop.is_set():
            self._number += 1
            try:
                self.put(f"{self.name} {self._number}", self._number)
            except Exception:  # The connection has ended, in whatever way: this put was not acknowledged.
                self.recover()
                continue
            self.acknowledged.append(self._number)

    def put(self, key: str, number: int) -> None:
        """Put an item. Raises whatever a client raises."""
        raise NotImplementedError

    def recover(self) -> None:
        """Find the primary again, before the next put."""


class _ByHand(_Writer):
    def __init__(self, name: str, ports: Sequence[int]) -> None:
        super().__init__(name)
        self._ports = ports
        self._client: RawClient | None = None
        self._list = 0
        self.port = 0
        """Where it is connected."""

    def put(self, key: str, number: int) -> None:
        if self.port != self._ports[0] and number % STAY == 0:
            self.recover()
        if self._client is None:
            self.port = _primary(self._ports)
            self._client = _connected(self.port)
            self._list = _asked(self._client, request(raw_client.DEFINE_LIST_ID, ["v"]))
        put = request(raw_client.PUT_ITEM, TABLE.encode(), key.encode(), values(self._list, number), None)
        self._client.send(put)
        codes, *_ = self._client.answer(1)
        if codes:
            raise ConnectionError(f"refused with {codes}")

    def recover(self) -> None:
        if self._client is not None:
            self._client.socket.close()
            self._client = None


class _Official(_Writer):
    def __init__(self, name: str, url: str) -> None:
        super().__init__(name)
        self._dax: Any = AmazonDaxClient(
            endpoint_url=url, region_name="us-east-1", aws_access_key_id="AK", aws_secret_access_key="SK"
        )

    def put(self, key: str, number: int) -> None:
        self._dax.put_item(TableName=TABLE, Item={"p": {"S": key}, "v": {"N": str(number)}})

    def stop(self) -> None:
        super().stop()
        self._dax.close()


def _connected(port: int) -> RawClient:
    client = RawClient(f"dax://127.0.0.1:{port}")
    client.send(preamble(), authorization())
    return client


def _ports(port: int) -> list[int]:
    """The ports of the nodes that serve, as one of them names them."""
    with _connected(port) as client:
        return [node[PORT] for node in _asked(client, request(raw_client.ENDPOINTS))]


def _asked(client: RawClient, asked: bytes) -> Any:
    client.send(asked)
    [_, answer] = client.answer(1)
    return answer


def _primary(ports: Sequence[int]) -> int:
    """The port of the primary, from the last node that answers: it is never the first one, which is killed."""
    for port in reversed(ports):
        try:
            with _connected(port) as client:
                nodes: list[dict[int, Any]] = _asked(client, request(raw_client.ENDPOINTS))
        except OSError:
            continue
        [leader] = [node[PORT] for node in nodes if node[ROLE] == LEADER]
        return int(leader)
    raise ConnectionError("no node answers")


@dataclass(slots=True)
class Replaced:
    """What a run has done. Times are seconds after a kill."""

    by_hand: list[float] = field(default_factory=list)
    """Until a write was acknowledged to each who speaks the protocol by hand."""
    official: list[float] = field(default_factory=list)
    """The same for the official client."""
    serving: list[float] = field(default_factory=list)
    """Until the killed node served again."""
    writes: int = 0

    def __str__(self) -> str:
        return (
            f"{len(self.serving)} primaries killed, {self.writes} writes acknowledged; seconds until writers went on: "
            f"{_shown(self.by_hand)} by hand, {_shown(self.official)} with the official client; until the node served "
            f"again: {_shown(self.serving)}"
        )


def _shown(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):.2f} (at most {max(seconds):.2f})" if seconds else "never"


def run(folder: Path, random: Random, seconds: float, say: Callable[[str], None]) -> Replaced:
    """Kill for `seconds`, once at least. Raises Broken."""
    server = Server(folder / "log", data_dir=folder / "data", dax=True, dax_port=0, dax_nodes=NODES)
    try:
        return _run(server, random, seconds, say)
    finally:
        server.kill()


def _run(server: Server, random: Random, seconds: float, say: Callable[[str], None]) -> Replaced:
    server.client().create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    first = int(server.dax_url.rpartition(":")[2])
    _wait_for(lambda: len(_ports(first)) == NODES, "not all nodes served")
    ports = _ports(first)
    demand(ports[0] == first, f"the primary is at {ports[0]}, and the server announces {first}")
    by_hand = [_ByHand(f"by hand {number}", ports) for number in range(BY_HAND)]
    official = _Official("official", server.dax_url)
    writers: list[_Writer] = [*by_hand, official]
    for writer in writers:
        writer.start()
    done = Replaced()
    deadline = time.monotonic() + seconds
    try:
        _wait_for(lambda: all(writer.acknowledged for writer in writers), "a writer wrote nothing")
        while time.monotonic() < deadline or not done.serving:
            time.sleep(random.uniform(0, LONGEST_LIFE))
            _kill(first, by_hand, official, done)
            say(str(done))
    finally:
        server.kill()
        for writer in writers:
            writer.stop()
    server.restart()
    _check(server, writers, done)
    check_store(server)
    return done


def _kill(first: int, by_hand: Sequence[_ByHand], official: _Writer, done: Replaced) -> None:
    """Kill the primary, and wait until everything is as before."""
    os.kill(process_of(first), signal.SIGKILL)
    begun = time.monotonic()
    before = {writer.name: len(writer.acknowledged) for writer in (*by_hand, official)}
    with ThreadPoolExecutor() as pool:
        serving = pool.submit(_serves, first, begun)
        by_itself = pool.submit(_gone_on, [official], before, begun)
        done.by_hand.append(_gone_on(by_hand, before, begun))
        done.official.append(by_itself.result())
        done.serving.append(serving.result())
    _wait_for(lambda: all(writer.port == first for writer in by_hand), "a writer did not go back to the primary")


def _gone_on(writers: Sequence[_Writer], before: dict[str, int], begun: float) -> float:
    """The seconds until each has been acknowledged a write that began after the kill: one may have been under way."""
    _wait_for(
        lambda: all(len(writer.acknowledged) > before[writer.name] + 1 for writer in writers), "a writer did not go on"
    )
    return time.monotonic() - begun


def _serves(port: int, begun: float) -> float:
    """The seconds until a node answers at a port. Connections are taken meanwhile, so the first one waits for it."""
    with _connected(port) as client:
        _asked(client, request(raw_client.ENDPOINTS))
    return time.monotonic() - begun


def _wait_for(holds: Callable[[], bool], failure: str) -> None:
    deadline = time.monotonic() + STALL_SECONDS
    while not holds():
        demand(time.monotonic() < deadline, f"{failure} in {STALL_SECONDS} s")
        time.sleep(0.002)


def _check(server: Server, writers: Sequence[_Writer], done: Replaced) -> None:
    """Whether all that was acknowledged is there."""
    pages = server.client().get_paginator("scan").paginate(TableName=TABLE, ConsistentRead=True)
    there = {item["p"]["S"]: item["v"]["N"] for page in pages for item in page["Items"]}
    for writer in writers:
        done.writes += len(writer.acknowledged)
        lost = [number for number in writer.acknowledged if there.get(f"{writer.name} {number}") != str(number)]
        demand(not lost, f"{writer.name} was acknowledged what is not there: {lost[:10]}")
