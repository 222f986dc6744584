"""A cluster of several nodes: what one writes the others see, and one that dies is replaced."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from amazondax import AmazonDaxClient

from testing.dax import raw_client
from testing.dax.node_processes import process_of
from testing.dax.raw_client import RawClient, authorization, preamble, request, values
from testing.jedlik_process import Server, eventually, run_jedlik

NODES = 3
GET = request(raw_client.GET_ITEM, b"shared", b"k", None)


@pytest.fixture(scope="module")
def server(start_shared_server: Callable[..., Server]) -> Server:
    running = start_shared_server(dax=True, dax_port=0, dax_nodes=NODES)
    running.client().create_table(
        TableName="shared",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    eventually(lambda: len(_nodes(running)) == NODES)  # It has started when its first process serves.
    return running


def _nodes(server: Server) -> list[dict[int, Any]]:
    with RawClient(server.dax_url) as client:
        client.send(preamble(), authorization(), request(raw_client.ENDPOINTS))
        nodes: list[dict[int, Any]] = client.answer(1)[1]
        return nodes


def _connected(port: int) -> RawClient:
    client = RawClient(f"dax://127.0.0.1:{port}")
    client.send(preamble(), authorization())
    return client


def _asked(client: RawClient, asked: bytes) -> Any:
    client.send(asked)
    return client.answer(1)[1]


def test_each_node_names_them_all(server: Server) -> None:
    nodes = _nodes(server)
    assert [(node[0], node[4]) for node in nodes] == [(1, 1), (2, 2), (3, 2)]
    for node in nodes:
        with _connected(node[3]) as client:
            assert _asked(client, request(raw_client.ENDPOINTS)) == nodes
    [cluster] = server.client("dax").describe_clusters()["Clusters"]
    assert [node["Endpoint"]["Port"] for node in cluster["Nodes"]] == [node[3] for node in nodes]
    assert [node["NodeId"] for node in cluster["Nodes"]] == ["default-a", "default-b", "default-c"]


def test_what_is_written_through_one_node_is_seen_through_the_others(server: Server) -> None:
    clients = [_connected(node[3]) for node in _nodes(server)]
    number = _asked(clients[0], request(raw_client.DEFINE_LIST_ID, ["v"]))
    for value in range(6):
        for client in clients:
            _asked(client, GET)
        writer = clients[value % NODES]
        _asked(writer, request(raw_client.PUT_ITEM, b"shared", b"k", values(number, value), None))
        expected = {0: values(number, value)}
        assert _asked(writer, GET) == expected
        for client in clients:
            eventually(lambda client=client, expected=expected: _asked(client, GET) == expected)  # type: ignore[misc]
    for client in clients:
        client.socket.close()


def test_nothing_acknowledged_is_lost_when_the_primary_is_killed_and_clients_go_on(
    server: Server, tmp_path: Path
) -> None:
    primary = urlsplit(server.dax_url).port
    assert primary is not None
    acknowledged: list[int] = []
    stop = threading.Event()

    def write() -> None:
        with AmazonDaxClient(
            endpoint_url=server.dax_url, region_name="us-east-1", aws_access_key_id="AK", aws_secret_access_key="SK"
        ) as dax:
            number = 0
            while not stop.is_set():
                number += 1
                try:
                    dax.put_item(TableName="shared", Item={"p": {"S": f"load {number}"}, "v": {"N": str(number)}})
                except Exception:  # Whatever the client makes of a connection that breaks: it was not acknowledged.
                    continue
                acknowledged.append(number)

    writer = threading.Thread(target=write)
    writer.start()
    eventually(lambda: len(acknowledged) > 20)
    before = len(server.workers())
    os.kill(process_of(primary), signal.SIGKILL)
    with _connected(primary) as client:  # The port stays, so who connects meanwhile waits.
        assert len(_asked(client, request(raw_client.ENDPOINTS))) == NODES
    done = len(acknowledged)
    eventually(lambda: len(acknowledged) > done + 20)
    stop.set()
    writer.join()
    assert len(server.workers()) == before
    table = server.client()
    for number in acknowledged:
        assert "Item" in table.get_item(TableName="shared", Key={"p": {"S": f"load {number}"}}, ConsistentRead=True)
    checked = run_jedlik("check", "--data-dir", str(server.options["data_dir"]))
    assert checked.returncode == 0, checked.stdout


def test_stale_items_are_for_one_node(tmp_path: Path) -> None:
    refused = run_jedlik("serve", "--dax", "--dax-nodes", "2", "--dax-stale", "--data-dir", str(tmp_path))
    assert refused.returncode == 2
    assert refused.stderr.startswith("jedlik: dax_stale is for one node of DAX")
