"""Kill -9 at random moments under concurrent load: nothing acknowledged is lost, and nothing refused takes effect.

The seed of a run is in the output of a failed test; `CRASH_SEED` repeats the writers' choices and the moments. The code
that these tests share with longer runs (`make torture`) is in the package `torture`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from jedlik.dynamodb.tables import backfill
from testing.jedlik_process import Server, eventually
from torture import kills
from torture.expected import Expected, check_indexes, check_partitions, check_store
from torture.writers import ATTRIBUTES, DEFINITION, GLOBAL_INDEXES, TABLE, WRITERS, Writer, item

KILLS = 60
LONGEST_LIFE = 0.3
"""The longest load between a start and a kill, in seconds."""
FULL_CHECK = 10
"""After this number of kills, the indexes are queried too, key by key."""

BACKFILL_KILLS = 4
BACKFILL_STEPS = 5
"""The steps that a server may do before it is killed."""
BACKFILL_ITEMS = 3_000
"""More than these servers can fill the index with."""

StartServer = Callable[..., Server]


def load_and_kill(server: Server, writers: list[Writer], seconds: float) -> None:
    threads = [writer.start(server.url) for writer in writers]
    time.sleep(seconds)
    server.kill()
    for thread in threads:
        thread.join()


def test_acknowledged_writes_survive_sixty_kills(start_server: StartServer, random: Random) -> None:
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
    assert sum(writer.answers for writer in writers) > KILLS


def test_writes_go_on_and_none_is_lost_when_single_workers_are_killed(tmp_path: Path, random: Random) -> None:
    killed = kills.run(tmp_path, random, seconds=5, say=print)
    assert killed.servers
    assert killed.records


def test_an_index_that_is_being_created_survives_kills(start_server: StartServer, random: Random) -> None:
    """UpdateTable adds a global index to a full table; kills come while it is filled and while writes go on."""
    assert BACKFILL_ITEMS > (BACKFILL_KILLS + 1) * BACKFILL_STEPS * backfill.STEP_ITEMS
    server = start_server(holdable_jobs=True)
    client = server.client()
    used = [one for one in ATTRIBUTES if one["AttributeName"] in ("owner", "number", "rank")]
    without_index = {name: value for name, value in DEFINITION.items() if name != "GlobalSecondaryIndexes"}
    client.create_table(**without_index | {"AttributeDefinitions": used})
    loader = Writer("loader", random)
    loader.acknowledged = {number: number for number in range(BACKFILL_ITEMS)}
    for first in range(0, BACKFILL_ITEMS, 25):
        puts = [{"PutRequest": {"Item": item("loader", number, number)}} for number in range(first, first + 25)]
        assert client.batch_write_item(RequestItems={TABLE: puts})["UnprocessedItems"] == {}
    writers = [Writer(f"writer {number}", Random(random.random())) for number in range(WRITERS)]
    expected = Expected([loader, *writers])
    with server.holding(backfill.KIND, after=BACKFILL_STEPS):
        client.update_table(
            TableName=TABLE,
            AttributeDefinitions=ATTRIBUTES,
            GlobalSecondaryIndexUpdates=[{"Create": index} for index in GLOBAL_INDEXES],
        )
        for _ in range(BACKFILL_KILLS):
            load_and_kill(server, writers, random.uniform(0, LONGEST_LIFE))
            server.restart()
            expected.check(server.client())
        client = server.client()
        assert status_of_index(client) == "CREATING"
    eventually(lambda: status_of_index(client) == "ACTIVE")
    items = expected.check(client)
    check_indexes(client, items)
    check_store(server)


def status_of_index(client: Any) -> str:
    [index] = client.describe_table(TableName=TABLE)["Table"]["GlobalSecondaryIndexes"]
    status: str = index["IndexStatus"]
    return status
