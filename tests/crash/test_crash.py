"""Kill -9 at random moments under concurrent load: nothing acknowledged is lost, nothing refused is done.

The seed of a run is in the output of a test that fails; `CRASH_SEED` makes the writers and the moments the same again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from writers import (
    ATTRIBUTES,
    BY_GROUP,
    BY_RANK,
    COUNTER,
    DEFINITION,
    GLOBAL_INDEXES,
    GROUPS,
    TABLE,
    WRITERS,
    Item,
    Writer,
    item,
)

from jedlik_process import Server, run_jedlik

KILLS = 100
LONGEST_LIFE = 0.3
"""Seconds of load, at most, between a start and a kill."""
FULL_CHECK = 10
"""Every so many kills the indexes are queried too, key by key."""

BACKFILL_ITEMS = 10_000
BACKFILL_KILLS = 4
BACKFILL_SECONDS = 30.0

StartServer = Callable[..., Server]


@pytest.fixture
def random() -> Random:
    seed = int(os.environ.get("CRASH_SEED") or Random().randrange(1 << 32))
    print(f"CRASH_SEED={seed}")
    return Random(seed)


def scanned(client: Any, **request: Any) -> list[Item]:
    """All that a Scan shows."""
    items: list[Item] = []
    for page in client.get_paginator("scan").paginate(TableName=TABLE, **request):
        items += page["Items"]
    return items


def queried(client: Any, index: str, attribute: str, value: str) -> list[Item]:
    """All that a Query of one partition of an index shows."""
    answer = client.query(
        TableName=TABLE,
        IndexName=index,
        KeyConditionExpression="#attribute = :value",
        ExpressionAttributeNames={"#attribute": attribute},
        ExpressionAttributeValues={":value": {"S": value}},
    )
    assert "LastEvaluatedKey" not in answer
    items: list[Item] = answer["Items"]
    return items


def identity(found: Item) -> tuple[str, int]:
    return found["owner"]["S"], int(found["number"]["N"])


def in_order(items: list[Item]) -> list[Item]:
    return sorted(items, key=identity)


def ranked(found: Item) -> Item:
    """What the local index, which projects keys only, shows of an item."""
    return {name: found[name] for name in ("owner", "number", "rank")}


class Expected:
    """What the writers know, brought up to date by what is found after each kill."""

    def __init__(self, writers: list[Writer]) -> None:
        self.writers = writers
        self.count = 0

    def check(self, client: Any) -> list[Item]:
        """Compare the table with what the writers know. Returns its items but the counter."""
        found = {identity(one): one for one in scanned(client, ConsistentRead=True)}
        self._check_counter(found.pop(identity(COUNTER), None))
        for writer in self.writers:
            assert writer.surprise is None, writer.surprise
            for number, acknowledged in writer.acknowledged.items():
                one = found.get((writer.owner, number))
                version = int(one["version"]["N"]) if one else None
                allowed = {acknowledged, writer.in_flight.get(number, acknowledged)}
                assert version in allowed, f"{writer.owner} {number} is {version} and not one of {allowed}"
                assert version is None or one == item(writer.owner, number, version)
                writer.acknowledged[number] = version
            writer.in_flight = {}
        assert len(found) == sum(v is not None for writer in self.writers for v in writer.acknowledged.values())
        return list(found.values())

    def _check_counter(self, found: Item | None) -> None:
        value = int(found["hits"]["N"]) if found else 0
        least = self.count + sum(writer.counted for writer in self.writers)
        most = least + sum(writer.counting for writer in self.writers)
        assert least <= value <= most
        self.count = value
        for writer in self.writers:
            writer.counted, writer.counting = 0, False


def check_indexes(client: Any, items: list[Item]) -> None:
    """Compare what Scans of the indexes show with what they should hold of the items."""
    by_group = [one for one in items if "group" in one]
    by_rank = [ranked(one) for one in items if "rank" in one]
    assert in_order(scanned(client, IndexName=BY_GROUP)) == in_order(by_group)
    assert in_order(scanned(client, IndexName=BY_RANK)) == in_order(by_rank)


def check_partitions(client: Any, items: list[Item]) -> None:
    """Compare what Queries of every partition show, and the counts, with the items."""
    for group in (f"group {number}" for number in range(GROUPS)):
        found = queried(client, BY_GROUP, "group", group)
        assert in_order(found) == in_order([one for one in items if one.get("group") == {"S": group}])
        versions = [int(one["version"]["N"]) for one in found]
        assert versions == sorted(versions)
    for owner in {one["owner"]["S"] for one in items}:
        found = queried(client, BY_RANK, "owner", owner)
        expected = [ranked(one) for one in items if "rank" in one and one["owner"]["S"] == owner]
        assert in_order(found) == in_order(expected)
        ranks = [int(one["rank"]["N"]) for one in found]
        assert ranks == sorted(ranks)
    table = client.describe_table(TableName=TABLE)["Table"]
    counter = client.get_item(TableName=TABLE, Key=COUNTER)
    assert table["ItemCount"] == len(items) + ("Item" in counter)
    counts = [index["ItemCount"] for kind in ("Global", "Local") for index in table[f"{kind}SecondaryIndexes"]]
    assert counts == [sum(name in one for one in items) for name in ("group", "rank")]


def check_store(server: Server) -> None:
    """Have everything in the store compared with everything that it must agree with."""
    ended = run_jedlik("check", "--data-dir", str(server.options["data_dir"]))
    assert ended.returncode == 0, ended.stdout + ended.stderr


def load_and_kill(server: Server, writers: list[Writer], seconds: float) -> None:
    threads = [writer.start(server.url) for writer in writers]
    time.sleep(seconds)
    server.kill()
    for thread in threads:
        thread.join()


@pytest.mark.timeout(240)
def test_acknowledged_writes_survive_a_hundred_kills(start_server: StartServer, random: Random) -> None:
    server = start_server()
    server.client().create_table(**DEFINITION)
    writers = [Writer(f"writer {number}", Random(random.random())) for number in range(WRITERS)]
    expected = Expected(writers)
    for kill in range(1, KILLS + 1):
        load_and_kill(server, writers, random.uniform(0, LONGEST_LIFE))
        server.options["workers"] = 1 + kill % 2
        server.restart()
        client = server.client()
        items = expected.check(client)
        check_indexes(client, items)
        if kill % FULL_CHECK == 0:
            check_partitions(client, items)
            check_store(server)
    assert sum(writer.answers for writer in writers) > KILLS * WRITERS


@pytest.mark.timeout(180)
def test_an_index_that_is_being_made_survives_kills(start_server: StartServer, random: Random) -> None:
    """UpdateTable adds a global index to a full table; kills come while it is filled and while writes go on."""
    server = start_server()
    client = server.client()
    used = [one for one in ATTRIBUTES if one["AttributeName"] in ("owner", "number", "rank")]
    without_index = {name: value for name, value in DEFINITION.items() if name != "GlobalSecondaryIndexes"}
    client.create_table(**without_index | {"AttributeDefinitions": used})
    loader = Writer("loader", random)
    loader.acknowledged = {number: number for number in range(BACKFILL_ITEMS)}
    for first in range(0, BACKFILL_ITEMS, 25):
        puts = [{"PutRequest": {"Item": item("loader", number, number)}} for number in range(first, first + 25)]
        assert client.batch_write_item(RequestItems={TABLE: puts})["UnprocessedItems"] == {}
    client.update_table(
        TableName=TABLE,
        AttributeDefinitions=ATTRIBUTES,
        GlobalSecondaryIndexUpdates=[{"Create": index} for index in GLOBAL_INDEXES],
    )
    writers = [Writer(f"writer {number}", Random(random.random())) for number in range(WRITERS)]
    expected = Expected([loader, *writers])
    for _ in range(BACKFILL_KILLS):
        load_and_kill(server, writers, random.uniform(0, LONGEST_LIFE))
        server.restart()
        expected.check(server.client())
    client = server.client()
    deadline = time.monotonic() + BACKFILL_SECONDS
    while client.describe_table(TableName=TABLE)["Table"]["GlobalSecondaryIndexes"][0]["IndexStatus"] != "ACTIVE":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    items = expected.check(client)
    check_indexes(client, items)
    check_store(server)
