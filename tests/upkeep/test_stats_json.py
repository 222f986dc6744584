"""`jedlik stats --json`: stores, and the counts of all workers of a running server together."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from testing.dynamodb.definitions import attributes, create, index
from testing.jedlik_process import Server, eventually, run_jedlik

StartServer = Callable[..., Server]


def stats(folder: Path, *options: str) -> dict[str, Any]:
    """The command's output, parsed."""
    ended = run_jedlik("stats", "--json", "--data-dir", str(folder), *options)
    assert ended.returncode == 0, ended.stderr
    document: dict[str, Any] = json.loads(ended.stdout)
    return document


def series(folder: Path, name: str, **dimensions: str) -> dict[str, Any] | None:
    """A series of a running server, with its figures."""
    metrics = stats(folder)["metrics"]
    found = [one for one in metrics["series"] if one["name"] == name and one["dimensions"] == dimensions]
    assert len(found) <= 1
    return found[0] if found else None


def test_a_store_in_json(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server()
    client = server.client()
    create(
        client,
        TableName="songs",
        AttributeDefinitions=attributes(p="S", a="S"),
        GlobalSecondaryIndexes=[index("by-a", "a")],
    )
    client.put_item(TableName="songs", Item={"p": {"S": "1"}, "a": {"S": "a"}})
    create(server.client(region="eu-west-1"), TableName="empty")
    server.client("kms").create_key()
    server.stop()
    document = stats(tmp_path / "data")
    assert document["metrics"] is None
    assert [store["region"] for store in document["stores"]] == ["eu-west-1", "us-east-1"]
    assert [store["kms_keys"] for store in document["stores"]] == [0, 1]
    assert "us-east-1: 1 KMS keys\n" in run_jedlik("stats", "--data-dir", str(tmp_path / "data")).stdout
    store = document["stores"][1]
    assert store["bytes"] >= store["page_bytes"] * (store["pages_used"] + store["pages_free"])
    assert store["tables"] == [
        {
            "name": "songs",
            "items": 1,
            "item_bytes": 4,
            "index_entries": 1,
            "index_entry_bytes": 4,
            "log_entries": 0,
            "peers": [],
            "put_aside": [],
            "recovery": None,
        }
    ]
    assert [store["region"] for store in stats(tmp_path / "data", "--region", "eu-west-1")["stores"]] == ["eu-west-1"]


def test_expired_items_are_counted_from_the_start_of_the_server(start_server: StartServer, tmp_path: Path) -> None:
    before = time.time()
    server = start_server(workers=2, expiry_interval=0.1)
    client = server.client()
    create(client, TableName="first")
    create(client, TableName="second")
    client.update_time_to_live(TableName="first", TimeToLiveSpecification={"Enabled": True, "AttributeName": "end"})
    for number in range(3):
        client.put_item(TableName="first", Item={"p": {"S": str(number)}, "end": {"N": str(int(before) - 10)}})

    def expired() -> dict[str, Any] | None:
        return series(tmp_path / "data", "TimeToLiveDeletedItemCount", TableName="first")

    eventually(lambda: (expired() or {}).get("value") == 3)
    assert expired() == {
        "name": "TimeToLiveDeletedItemCount",
        "kind": "counter",
        "unit": "Count",
        "account": "000000000000",
        "region": "us-east-1",
        "dimensions": {"TableName": "first"},
        "value": 3,
    }
    metrics = stats(tmp_path / "data")["metrics"]
    assert (metrics["series_refused"], metrics["series_dropped"]) == (0, 0)
    assert before <= metrics["started"] <= time.time()
    assert stats(tmp_path / "data", "--region", "us-east-1")["metrics"]["series"]
    server.restart()
    assert expired() is None


def test_a_lock_that_names_another_process_leads_to_nobody_s_counts(start_server: StartServer, tmp_path: Path) -> None:
    """As if a server was killed and its number given to another server, of another folder."""
    first = start_server()
    create(first.client(), TableName="first")
    first.stop()
    other = start_server(data_dir=tmp_path / "other")
    (tmp_path / "data" / "lock").write_text(str(other.pid))
    assert stats(tmp_path / "data")["metrics"] is None


def test_metrics_are_chosen_by_the_name_of_a_region_or_of_its_folder(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server()
    for region in ("local", "us-east-1"):
        create(server.client(region=region), TableName=f"songs-of-{region}")
    for named in ("local", "@local"):
        metrics = stats(tmp_path / "data", "--region", named)["metrics"]
        assert {one["region"] for one in metrics["series"]} - {None} == {"local"}
