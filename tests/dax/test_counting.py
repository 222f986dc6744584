"""What DAX counts, under CloudWatch's names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from testing.dax import raw_client
from testing.dax.raw_client import RawClient, authorization, preamble, request
from testing.jedlik_process import Server, eventually
from tests.upkeep.test_stats_json import stats

COUNTED = {
    "GetItemRequestCount": 4,
    "ItemCacheHits": 2,
    "ItemCacheMisses": 1,
    "ScanRequestCount": 2,
    "ScanCacheHits": 1,
    "ScanCacheMisses": 1,
    "ErrorRequestCount": 1,
    "TotalRequestCount": 6,
}


def test_requests_are_logged_and_another_address_is_announced(start_server: Callable[..., Server]) -> None:
    server = start_server(dax=True, dax_port=0, access_log=True, dax_address="192.0.2.7")
    server.client().create_table(
        TableName="logged",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    get = request(raw_client.GET_ITEM, b"logged", b"k", None)
    with RawClient(server.dax_url) as client:
        client.send(preamble(), authorization(), request(raw_client.ENDPOINTS))
        [node] = client.answer(1)[1]
        for one in (get, get, request(raw_client.GET_ITEM, b"absent", b"k", None)):
            client.send(one)
            client.answer(1)
    assert (node[1], node[2]) == ("192.0.2.7", bytes((192, 0, 2, 7)))
    [cluster] = server.client("dax").describe_clusters()["Clusters"]
    assert cluster["ClusterDiscoveryEndpoint"]["Address"] == "192.0.2.7"

    def logged() -> list[tuple[Any, ...]]:
        lines = [one for one in server.log_lines() if one["logger"] == "jedlik.dax.access_log"]
        return [(one["operation"], one["node"], one["hit"], one.get("error"), one["bytes_in"]) for one in lines]

    node_id, size = "default-a", len(get)
    eventually(lambda: len(logged()) == 3)
    assert logged() == [
        ("GetItem", node_id, False, None, size),
        ("GetItem", node_id, True, None, size),
        ("GetItem", node_id, False, "ResourceNotFoundException", size),
    ]


def test_requests_hits_and_misses_are_counted(start_server: Callable[..., Server], tmp_path: Path) -> None:
    server = start_server(dax=True, dax_port=0)
    server.client().create_table(
        TableName="counted",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    get = request(raw_client.GET_ITEM, b"counted", b"k", None)
    scan = request(raw_client.SCAN, b"counted", None)
    with RawClient(server.dax_url) as client:
        client.send(preamble(), authorization())
        for one in (get, get, get, scan, scan, request(raw_client.GET_ITEM, b"absent", b"k", None)):
            client.send(one)
            client.answer(1)

    def counted() -> dict[str, float]:
        series: list[dict[str, Any]] = stats(tmp_path / "data")["metrics"]["series"]
        return {
            one["name"]: one["value"]
            for one in series
            if one["dimensions"] == {"ClusterId": "default", "NodeId": "default-a"} and one["value"]
        }

    eventually(lambda: counted() == COUNTED)  # Hits are shown each second.
