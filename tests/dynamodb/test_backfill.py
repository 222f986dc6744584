"""The content of an index that is added to a table with items, while writes go on and when the server is killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jedlik.dynamodb.tables import backfill
from testing.dynamodb.definitions import attributes, create, describe_index, index, key_schema
from testing.jedlik_process import Server, eventually

Item = dict[str, Any]
STEPS = 15
"""More than the workers of a test may do until they have been killed."""


@pytest.fixture
def client(server: Server) -> Any:
    return server.client()


def fill(client: Any, table: str, items: list[Item]) -> None:
    for start in range(0, len(items), 25):
        requests = [{"PutRequest": {"Item": item}} for item in items[start : start + 25]]
        client.batch_write_item(RequestItems={table: requests})


def add(client: Any, table: str, new: Item, **types: str) -> None:
    changes = [{"Create": new}]
    client.update_table(TableName=table, AttributeDefinitions=attributes(**types), GlobalSecondaryIndexUpdates=changes)


def wait_until_active(client: Any, table: str, name: str, seconds: float = 60) -> Item:
    """The description of the index when it has been filled."""
    deadline = time.monotonic() + seconds
    while True:
        shown = describe_index(client, table, name)
        assert shown is not None
        if shown["IndexStatus"] == "ACTIVE":
            return shown
        assert shown["Backfilling"] is True
        assert time.monotonic() < deadline, "the index was not filled in time"
        time.sleep(0.02)


def contents(client: Any, table: str, index: str | None = None) -> list[Item]:
    """All items of a table or an index, ordered by `p`."""
    request: Item = {"TableName": table} | ({"IndexName": index} if index else {"ConsistentRead": True})
    pages = client.get_paginator("scan").paginate(**request)
    return sorted((item for page in pages for item in page["Items"]), key=lambda item: str(item["p"]))


def size(items: list[Item]) -> int:
    """Bytes of items whose attributes are short strings."""
    return sum(len(name) + len(value["S"]) for item in items for name, value in item.items())


def test_items_that_were_there_are_found_in_a_new_index(client: Any) -> None:
    name = create(client)
    items = [{"p": {"S": f"{n:04}"}, "x": {"S": f"x{n % 7}"}, "y": {"S": "more"}} for n in range(250)]
    fill(client, name, items)
    add(client, name, index("by-x", "x", "p"), p="S", x="S")
    made = wait_until_active(client, name, "by-x")
    assert contents(client, name, "by-x") == items
    assert (made["ItemCount"], made["IndexSizeBytes"]) == (250, size(items))
    found = client.query(
        TableName=name,
        IndexName="by-x",
        KeyConditionExpression="x = :x and p between :low and :high",
        ExpressionAttributeValues={":x": {"S": "x3"}, ":low": {"S": "0010"}, ":high": {"S": "0030"}},
    )
    assert [item["p"]["S"] for item in found["Items"]] == ["0010", "0017", "0024"]


@pytest.mark.parametrize(
    ("include", "projected"), [(None, ["p", "x", "y", "z"]), ([], ["p", "x"]), (["y", "w"], ["p", "x", "y"])]
)
def test_a_new_index_holds_the_projected_attributes(
    client: Any, include: list[str] | None, projected: list[str]
) -> None:
    name = create(client)
    fill(client, name, [{attribute: {"S": "1"} for attribute in "pxyz"}])
    add(client, name, index("by-x", "x", include=include), x="S")
    made = wait_until_active(client, name, "by-x")
    expected = [{attribute: {"S": "1"} for attribute in projected}]
    assert contents(client, name, "by-x") == expected
    assert made["IndexSizeBytes"] == size(expected)


def test_a_new_index_by_several_attributes(client: Any) -> None:
    name = create(client)
    keys = "abcdefgh"
    whole = {attribute: {"S": "1"} for attribute in ["p", *keys]}
    fill(client, name, [whole, {"p": {"S": "2"}, "a": {"S": "1"}}])
    add(client, name, index("by-all", list(keys[:4]), *keys[4:]), **dict.fromkeys(keys, "S"))
    assert wait_until_active(client, name, "by-all")["ItemCount"] == 1
    assert contents(client, name, "by-all") == [whole]


def test_items_that_an_index_cannot_hold_are_left_out(client: Any) -> None:
    name = create(client)
    fitting = {"p": {"S": "fits"}, "x": {"S": "x" * 2048}, "y": {"S": "y" * 1024}}
    left_out = [
        {"p": {"S": "no key"}},
        {"p": {"S": "half a key"}, "x": {"S": "1"}},
        {"p": {"S": "another type"}, "x": {"N": "1"}, "y": {"S": "1"}},
        {"p": {"S": "empty"}, "x": {"S": ""}, "y": {"S": "1"}},
        {"p": {"S": "empty sort key"}, "x": {"S": "1"}, "y": {"S": ""}},
        {"p": {"S": "long"}, "x": {"S": "x" * 2049}, "y": {"S": "1"}},
        {"p": {"S": "long sort key"}, "x": {"S": "1"}, "y": {"S": "y" * 1025}},
    ]
    fill(client, name, [fitting, *left_out])
    add(client, name, index("by-xy", "x", "y"), x="S", y="S")
    assert wait_until_active(client, name, "by-xy")["ItemCount"] == 1
    assert contents(client, name, "by-xy") == [fitting]
    assert len(contents(client, name)) == 8


def test_items_that_leave_before_the_index_is_filled_are_not_in_it(client: Any) -> None:
    name = create(client)
    items = [{"p": {"S": f"{n:04}"}, "x": {"S": "1"}} for n in range(400)]
    fill(client, name, items)
    add(client, name, index("by-x", "x"), x="S")
    for item in items[::2]:
        client.delete_item(TableName=name, Key={"p": item["p"]})
    made = wait_until_active(client, name, "by-x")
    assert contents(client, name, "by-x") == items[1::2]
    assert (made["ItemCount"], made["IndexSizeBytes"]) == (200, size(items[1::2]))


def test_an_old_index_is_untouched_by_a_new_one(client: Any) -> None:
    name = create(
        client,
        KeySchema=key_schema("p", "s"),
        AttributeDefinitions=attributes(p="S", s="S", x="S"),
        LocalSecondaryIndexes=[index("local", "p", "x")],
        GlobalSecondaryIndexes=[index("by-x", "x")],
    )
    items = [{"p": {"S": f"{n:03}"}, "s": {"S": "1"}, "x": {"S": f"{n % 3}"}} for n in range(120)]
    fill(client, name, items)
    add(client, name, index("by-s", "s"), s="S")
    assert wait_until_active(client, name, "by-s")["ItemCount"] == 120
    for which in ("local", "by-x", "by-s"):
        assert contents(client, name, which) == items


class Writers:
    """Threads that put, change and delete items of a table, each its own share, until stopped."""

    def __init__(self, server: Server, table: str, items: int, threads: int = 2) -> None:
        self._stop = threading.Event()
        self.writes = 0
        """Writes that were answered."""
        self.failures: list[Exception] = []
        self._threads = [
            threading.Thread(target=self._write, args=(server.client(), table, range(n, items, threads)))
            for n in range(threads)
        ]

    def __enter__(self) -> Writers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _write(self, client: Any, table: str, numbers: range) -> None:
        turn = 0
        try:
            while True:
                turn += 1
                for number in numbers:
                    if self._stop.is_set():
                        return
                    self._change(client, table, {"S": f"{number:04}"}, (number + turn) % 4, turn)
                    self.writes += 1
        except Exception as failure:
            self.failures.append(failure)

    @staticmethod
    def _change(client: Any, table: str, key: Item, kind: int, turn: int) -> None:
        if kind == 0:
            client.delete_item(TableName=table, Key={"p": key})
        elif kind == 1:
            client.put_item(TableName=table, Item={"p": key, "x": {"S": f"x{turn}"}, "y": {"S": "y" * (turn % 9)}})
        elif kind == 2:
            client.put_item(TableName=table, Item={"p": key, "y": {"S": "without x"}})
        else:
            client.update_item(
                TableName=table,
                Key={"p": key},
                UpdateExpression="SET x = :x",
                ExpressionAttributeValues={":x": {"S": f"updated{turn}"}},
            )


def assert_index_follows_table(client: Any, table: str, name: str) -> None:
    """The index holds exactly the items of the table that have its key, and is counted so."""
    expected = [item for item in contents(client, table) if "x" in item]
    assert contents(client, table, name) == expected
    shown = describe_index(client, table, name)
    assert shown is not None
    assert (shown["ItemCount"], shown["IndexSizeBytes"]) == (len(expected), size(expected))


def test_an_index_is_filled_while_writes_go_on(start_server: Callable[..., Server]) -> None:
    server = start_server(workers=2, in_memory=True, holdable_jobs=True)
    client = server.client()
    name = create(client)
    fill(client, name, [{"p": {"S": f"{n:04}"}, "x": {"S": "old"}} for n in range(2000)])
    with Writers(server, name, items=2000) as writers:
        eventually(lambda: writers.writes > 0)
        with server.holding(backfill.KIND, after=3):
            add(client, name, index("by-x", "x"), x="S")
            before = writers.writes
            eventually(lambda: writers.writes > before + 100)
        wait_until_active(client, name, "by-x")
    assert not writers.failures
    assert_index_follows_table(client, name, "by-x")


def being_filled(client: Any) -> str:
    """A table with items, to which an index is being added."""
    name = create(client)
    fill(client, name, [{"p": {"S": f"{n:04}"}, "x": {"S": "old"}} for n in range(STEPS * backfill.STEP_ITEMS)])
    add(client, name, index("by-x", "x"), x="S")
    return name


def is_being_filled(client: Any, name: str) -> bool:
    shown = describe_index(client, name, "by-x")
    assert shown is not None
    return bool(shown["IndexStatus"] == "CREATING")


def test_an_index_is_filled_though_the_server_is_killed(start_server: Callable[..., Server]) -> None:
    server = start_server(workers=1, holdable_jobs=True)
    with server.holding(backfill.KIND, after=3):
        name = being_filled(server.client())
        server.kill()
        server.restart()
        eventually(lambda: server.held_by(backfill.KIND) == {server.worker()})
        assert is_being_filled(server.client(), name)
        server.kill()
    server.restart()
    wait_until_active(server.client(), name, "by-x")
    assert_index_follows_table(server.client(), name, "by-x")


def test_an_index_is_filled_though_its_worker_is_killed(start_server: Callable[..., Server]) -> None:
    server = start_server(workers=2, holdable_jobs=True)
    with server.holding(backfill.KIND, after=3):
        name = being_filled(server.client())
        for _ in range(2):
            eventually(lambda: bool(server.held_by(backfill.KIND)))
            worker = min(server.held_by(backfill.KIND))
            os.kill(worker, signal.SIGKILL)
            wait_until_dead(worker)
            assert is_being_filled(server.client(), name)
    wait_until_active(server.client(), name, "by-x")
    assert_index_follows_table(server.client(), name, "by-x")


def wait_until_dead(pid: int) -> None:
    eventually(lambda: not Path(f"/proc/{pid}").exists())
