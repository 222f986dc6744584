"""Jumps of the wall clock under load, back and forth, also while the server is killed and started again.

Each jump is taken back; then the clocks agree for long enough to be trusted, or the next jump comes before that.
Everything is compared with the writers' knowledge, as after kills: acknowledged writes are there, and the stream is an
unbroken chain from its beginning, so none of it was trimmed. A patron beside the writers sends transactions with client
tokens again and again, each of which must take effect once. The patron also puts items that have an hour to live, which
must be there for an hour.
"""

from __future__ import annotations

import http.client
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from testing.jedlik_process import Server
from torture.clocks import Clocks
from torture.expected import Expected, check_indexes, check_partitions, check_store, demand, make_table
from torture.streams import Follower
from torture.writers import WRITERS, Client, Item, Writer, some

HOUR, DAY, YEAR = 3600, 86_400, 365 * 86_400
JUMPS = (2 * HOUR, -2 * HOUR, DAY, -DAY, YEAR, -YEAR, 10 * YEAR, -10 * YEAR)
MOST_JUMPS = 4
"""In one life of a server."""
LONGEST_WRONG = 2.5
"""The longest that a clock is wrong, in seconds. Background work comes every few tenths of a second."""
LOOK_SECONDS = 2.5
"""Within this number of seconds every worker has checked its clocks."""
AGREEMENT = 301
"""Seconds after which clocks that agree are trusted."""
TRUSTED_SECONDS = 20.0
ATTEMPTS = 3
REPLAYED_SECONDS = 500.0
"""The greatest age of a client token when it is sent again."""
OPTIONS: dict[str, Any] = {"expiry_interval": 0.2, "stream_rotation": 2, "workers": 2}
TABLE = "patron"
DEFINITION: dict[str, Any] = {
    "TableName": TABLE,
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": "p", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}],
}
EXPIRY = {"TableName": TABLE, "TimeToLiveSpecification": {"AttributeName": "until", "Enabled": True}}
COUNTER: Item = {"p": {"S": "counter"}}


@dataclass(slots=True)
class Jumped:
    """What a run has done."""

    jumps: int = 0
    kills: int = 0
    answers: int = 0
    replays: int = 0
    items: int = 0
    records: int = 0

    def __str__(self) -> str:
        return (
            f"{self.jumps} jumps and {self.kills} kills, {self.answers} requests answered, {self.replays} transactions "
            f"replayed, {self.items} items with an hour put, {self.records} stream records read"
        )


class Patron:
    """Sends transactions with client tokens, again and again, and puts items that expire in an hour."""

    def __init__(self, clocks: Clocks, random: Random) -> None:
        self._clocks = clocks
        self._random = random
        self._tokens: dict[str, float] = {}
        """By token: the true time at which it was first sent."""
        self._until: dict[str, int] = {}
        """By item: when it expires."""
        self.done = 0
        """Tokens that were acknowledged."""
        self.replays = 0
        self.surprise: str | None = None
        self._doubtful: set[str] = set()
        self._stop = threading.Event()

    @property
    def items(self) -> int:
        return len(self._until)

    def start(self, url: str) -> threading.Thread:
        """Go on until the server is gone, or until `stop`."""
        self._stop.clear()
        thread = threading.Thread(target=self._run, args=(Client(url),), name="patron", daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        self._stop.set()

    def check(self, client: Any) -> None:
        """Compare the items found with those expected. No writer may be running."""
        demand(self.surprise is None, str(self.surprise))
        found = client.get_item(TableName=TABLE, Key=COUNTER, ConsistentRead=True)
        count = int(found["Item"]["hits"]["N"]) if "Item" in found else 0
        demand(
            self.done <= count <= self.done + len(self._doubtful),
            f"{count} transactions were done: {self.done} were acknowledged, {len(self._doubtful)} are in doubt",
        )
        now = self._clocks.true_time()
        alive = {name for name, until in self._until.items() if until > now + 1}
        pages = client.get_paginator("scan").paginate(TableName=TABLE, ConsistentRead=True)
        there = {item["p"]["S"] for page in pages for item in page["Items"]}
        demand(alive <= there, f"{len(alive - there)} of {len(alive)} items went before their time")

    def _run(self, client: Client) -> None:
        while self.surprise is None and not self._stop.is_set():
            try:
                self._random.choice([self._transact, self._replay, self._replay, self._put])(client)
            except ConnectionRefusedError:
                return
            except (OSError, http.client.HTTPException):
                client.close()

    def _transact(self, client: Client) -> None:
        token = str(uuid.UUID(int=self._random.getrandbits(128)))
        self._tokens[token] = self._clocks.true_time()
        self._doubtful.add(token)
        self._send(client, token)

    def _replay(self, client: Client) -> None:
        now = self._clocks.true_time()
        young = [token for token, sent in self._tokens.items() if now - sent < REPLAYED_SECONDS]
        if young:
            self._send(client, self._random.choice(young))
            self.replays += 1

    def _send(self, client: Client, token: str) -> None:
        update = {
            "TableName": TABLE,
            "Key": COUNTER,
            "UpdateExpression": "ADD hits :one",
            "ExpressionAttributeValues": {":one": {"N": "1"}},
        }
        request = {"TransactItems": [{"Update": update}], "ClientRequestToken": token}
        status, answer = client.call("TransactWriteItems", request)
        if status == 200 and token in self._doubtful:
            self._doubtful.discard(token)
            self.done += 1
        elif status not in (200, 500):
            self.surprise = f"a transaction was answered with {status} {answer}"

    def _put(self, client: Client) -> None:
        name, until = f"item {self._random.getrandbits(64)}", int(self._clocks.true_time()) + HOUR
        item = {"p": {"S": name}, "until": {"N": str(until)}}
        status, answer = client.call("PutItem", {"TableName": TABLE, "Item": item})
        if status == 200:
            self._until[name] = until
        elif status != 500:
            self.surprise = f"a put was answered with {status} {answer}"


def run(folder: Path, random: Random, seconds: float, say: Callable[[str], None]) -> Jumped:
    """Make the clock jump for `seconds`. Raises Broken, and NoCompiler."""
    clocks = Clocks(folder / "clocks")
    server = Server(folder / "log", clocks.environment, data_dir=folder / "data", **OPTIONS)
    try:
        return _Run(server, clocks, random).run(seconds, say)
    finally:
        server.kill()


class _Run:
    def __init__(self, server: Server, clocks: Clocks, random: Random) -> None:
        self._server = server
        self._clocks = clocks
        self._random = random
        self._writers = [
            Writer(f"writer {n}", Random(random.random()), faults=True, sure=False) for n in range(WRITERS)
        ]
        self._patron = Patron(clocks, Random(random.random()))
        self._expected = Expected(self._writers)
        self._stream = Follower()
        self._jumped = Jumped()

    def run(self, seconds: float, say: Callable[[str], None]) -> Jumped:
        client = self._server.client()
        make_table(client)
        client.create_table(**DEFINITION)
        client.get_waiter("table_exists").wait(TableName=TABLE, WaiterConfig={"Delay": 1})
        client.update_time_to_live(**EXPIRY)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._live()
            self._check()
            say(str(self._jumped))
        return self._jumped

    def _live(self) -> None:
        """Load and jumps. The server may be killed while the clock is wrong, and its next life then begins with that
        clock."""
        random, server = self._random, self._server
        threads = [writer.start(server.url) for writer in some(self._writers, random)]
        threads.append(self._patron.start(server.url))
        for _ in range(random.randint(1, MOST_JUMPS)):
            time.sleep(random.uniform(0, LONGEST_WRONG))
            with self._clocks.wrong(random.choice(JUMPS)):
                self._jumped.jumps += 1
                time.sleep(random.uniform(0, LONGEST_WRONG))
        dies = random.random() < 0.5
        with self._clocks.wrong(random.choice(JUMPS) if dies else 0):
            if dies:
                self._jumped.jumps += 1
                self._jumped.kills += 1
                server.kill()
            self._patron.stop()
            for writer in self._writers:
                writer.stop()
            for thread in threads:
                thread.join()
            if dies:
                server.restart()
                time.sleep(random.uniform(0, LONGEST_WRONG))
        if random.random() < 0.5:
            self._agree()

    def _agree(self) -> None:
        """Let the clocks agree until they are trusted."""
        time.sleep(LOOK_SECONDS)
        for _ in range(ATTEMPTS):  # No worker may have checked its clocks, if the machine is very busy.
            self._clocks.sleep(AGREEMENT)
            deadline = time.monotonic() + TRUSTED_SECONDS
            while time.monotonic() < deadline:
                if self._last_said() == "trusted":
                    return
                time.sleep(0.1)
        demand(False, f"the clock is still {self._last_said()}")

    def _last_said(self) -> str:
        """The log's last message about the clock."""
        said = [line["message"] for line in self._server.log_lines() if line["message"].startswith("the clock is ")]
        return "doubted" if said and said[-1].startswith("the clock is doubted") else "trusted"

    def _check(self) -> None:
        client = self._server.client()
        items = self._expected.check(client)
        check_indexes(client, items)
        check_partitions(client, items)
        self._patron.check(client)
        self._stream.follow(self._server.client("dynamodbstreams"))
        self._stream.check(items)
        check_store(self._server)
        self._jumped.answers = sum(writer.answers for writer in self._writers)
        self._jumped.replays, self._jumped.items = self._patron.replays, self._patron.items
        self._jumped.records = self._stream.records
