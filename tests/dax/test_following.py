"""What is written past a node is seen through it soon: the node follows the tables of which it has items."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from testing.dax import raw_client
from testing.dax.raw_client import RawClient, authorization, preamble, request, values
from testing.jedlik_process import Server, eventually
from tests.upkeep.test_stats_json import series

GET = request(raw_client.GET_ITEM, b"followed", b"k", None)
SOON = 0.1
"""Seconds in which a write past the node is seen."""
BUSY = 10
"""How many times as long a busy machine may take, in the best of some attempts."""


@pytest.fixture(scope="module")
def server(start_shared_server: Callable[..., Server]) -> Server:
    return start_shared_server(dax=True, dax_port=0)


@pytest.fixture
def table(server: Server) -> Iterator[Any]:
    client = server.client()
    client.create_table(
        TableName="followed",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    yield client
    client.delete_table(TableName="followed")


@pytest.fixture
def dax(server: Server, table: Any) -> Iterator[RawClient]:
    with RawClient(server.dax_url) as client:
        client.send(preamble(), authorization(), request(raw_client.DEFINE_LIST_ID, ["v"]))
        client.answer(1)
        yield client


def _value(dax: RawClient) -> int | None:
    dax.send(GET)
    [_, answer] = dax.answer(1)
    return answer[0][-1] if answer else None


def _put(table: Any, value: int) -> None:
    table.put_item(TableName="followed", Item={"p": {"S": "k"}, "v": {"N": str(value)}})


def test_a_write_past_the_node_is_seen_soon(table: Any, dax: RawClient) -> None:
    eventually(lambda: _value(dax) is None)  # The node may still have an item of the table of this name that is gone.
    seen = []
    for value in range(12):
        _put(table, value)
        begun = time.monotonic()
        eventually(lambda value=value: _value(dax) == value)  # type: ignore[misc]
        seen.append(time.monotonic() - begun)
    assert min(seen) < BUSY * SOON
    table.delete_item(TableName="followed", Key={"p": {"S": "k"}})
    eventually(lambda: _value(dax) is None)


def _misses(server: Server) -> float:
    data = Path(str(server.options["data_dir"]))
    found = series(data, "ItemCacheMisses", ClusterId="default", NodeId="default-a")
    assert found is not None
    count: float = found["value"]
    return count


def test_what_the_node_has_written_itself_stays(server: Server, table: Any, dax: RawClient) -> None:
    def stays() -> bool:
        """Whether nothing that was written had to be read again."""
        before = _misses(server)
        for value in range(5):
            dax.send(request(raw_client.PUT_ITEM, b"followed", b"k", values(2, value), None))
            assert dax.answer(1) == [[], None]
            time.sleep(2 * SOON)  # By then it has been looked at what was written.
            assert _value(dax) == value
        return _misses(server) == before

    eventually(stays)  # The node may not have noticed yet that the table of this name is another one now.


def test_other_items_of_the_table_stay(server: Server, table: Any, dax: RawClient) -> None:
    _put(table, 1)
    eventually(lambda: _value(dax) == 1)  # The node may still have an item of the table of this name that is gone.
    other = request(raw_client.GET_ITEM, b"followed", b"other", None)
    dax.send(other)
    dax.answer(1)
    _put(table, 2)
    eventually(lambda: _value(dax) == 2)
    before = _misses(server)
    dax.send(other)
    dax.answer(1)
    assert _misses(server) == before


def test_a_table_that_was_made_again_is_followed_again(table: Any, dax: RawClient) -> None:
    _put(table, 1)
    eventually(lambda: _value(dax) == 1)  # The node may still have an item of the table of this name that is gone.
    table.delete_table(TableName="followed")
    table.create_table(
        TableName="followed",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    eventually(lambda: _value(dax) is None)
    _put(table, 2)
    eventually(lambda: _value(dax) == 2)
