"""Servers that seal what tables hold: what is in the files, and what opens them."""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jedlik.config import Settings
from jedlik.dynamodb.model import spaces
from jedlik.process import due_compacting
from jedlik.regions import due_compactions, layout, store_keys
from jedlik.storage.lmdb import lmdb_file
from testing.data_folders import store_in
from testing.dynamodb.definitions import create, index
from testing.jedlik_process import Server, eventually, run_jedlik
from testing.storage.engines import overwrite

StartServer = Callable[..., Server]

SECRET = "what nobody may find"
TABLE = "sealed"


def fill(client: Any, first: int = 0) -> None:
    """Write items with a secret, change some, and delete some."""
    for n in range(first, first + 40):
        client.put_item(TableName=TABLE, Item=item(n))
    client.update_item(
        TableName=TABLE,
        Key={"p": {"S": str(first)}},
        UpdateExpression="SET more = :more",
        ExpressionAttributeValues={":more": {"S": SECRET}},
    )
    client.delete_item(TableName=TABLE, Key={"p": {"S": str(first + 1)}})


def item(n: int) -> dict[str, Any]:
    return {"p": {"S": str(n)}, "x": {"S": str(n % 3)}, "note": {"S": f"{SECRET} {n}"}, "m": {"M": {"a": {"N": "1"}}}}


def make(client: Any) -> None:
    create(
        client,
        TableName=TABLE,
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("p", "x")],
        GlobalSecondaryIndexes=[index("by-x", "x")],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )


def secrets_in(folder: Path) -> list[str]:
    """The files that show what was to be hidden."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if SECRET.encode() in path.read_bytes()]


def seen(client: Any) -> list[dict[str, Any]]:
    """All items, as the table and the index have them."""
    items = client.scan(TableName=TABLE)["Items"]
    by_index = client.scan(TableName=TABLE, IndexName="by-x")["Items"]
    assert sorted(map(str, items)) == sorted(map(str, by_index))
    return sorted(items, key=lambda one: int(one["p"]["S"]))


def stream_of(server: Server) -> list[dict[str, Any]]:
    streams = server.client("dynamodbstreams")
    [found] = streams.list_streams(TableName=TABLE)["Streams"]
    shards = streams.describe_stream(StreamArn=found["StreamArn"])["StreamDescription"]["Shards"]
    records = []
    for shard in shards:
        place = streams.get_shard_iterator(
            StreamArn=found["StreamArn"], ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )
        records += streams.get_records(ShardIterator=place["ShardIterator"])["Records"]
    return records


def test_no_file_has_what_a_sealed_table_holds(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(seal_tables=True, workers=2)
    client = server.client()
    make(client)
    fill(client)
    before = seen(client)
    assert len(before) == 39
    assert secrets_in(tmp_path / "data") == []
    server.kill()
    assert secrets_in(tmp_path / "data") == []
    server.restart()
    client = server.client()
    assert seen(client) == before
    assert len(stream_of(server)) == 42
    fill(client, 100)
    server.stop()
    assert secrets_in(tmp_path / "data") == []
    checked = run_jedlik("check", "--data-dir", str(tmp_path / "data"))
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout
    assert "no problems" in checked.stdout
    exported = run_jedlik("export", TABLE, str(tmp_path / "table.json"), "--data-dir", str(tmp_path / "data"))
    assert (exported.returncode, exported.stderr) == (0, "")
    assert (tmp_path / "table.json").read_text().count(SECRET) == 80


def test_a_store_without_its_root_key_opens_nothing(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(seal_tables=True)
    make(server.client())
    fill(server.client())
    server.stop()
    stolen = tmp_path / "elsewhere" / "data"
    shutil.copytree(tmp_path / "data", stolen)
    checked = run_jedlik("check", "--data-dir", str(stolen))
    assert checked.returncode == 2
    assert checked.stderr.count("there is no root key") == 1
    assert checked.stderr.endswith(
        "jedlik: this store is sealed as a whole, so without the root key it cannot be checked\n"
    )
    with pytest.raises(AssertionError, match="there is no root key"):
        start_server(data_dir=stolen)
    # Not even with the record of the root key taken away, or with another key.
    (stolen / "root-key.json").unlink()
    checked = run_jedlik("check", "--data-dir", str(stolen))
    assert checked.returncode == 2
    assert "cannot be opened" in checked.stderr


def test_a_store_that_was_plain_is_sealed_while_it_is_used(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(seal_tables=False)
    client = server.client()
    make(client)
    fill(client)
    before = seen(client)
    server.stop()
    assert secrets_in(tmp_path / "data") != []
    server = start_server(seal_tables=True)
    client = server.client()
    assert seen(client) == before
    fill(client, 100)
    store = store_in(tmp_path / "data")

    rounds = itertools.count()

    def is_sealed() -> bool:
        time.sleep(0.1 * next(rounds))  # More and more, so that a slow machine comes to the end, too.
        server.kill()
        done = '"HasPlain":false' in key_record(store)
        server.restart()
        return done

    eventually(is_sealed)
    assert secrets_in(tmp_path / "data") == [], "the start after that has compacted it"
    assert list((tmp_path / "data" / due_compactions.FOLDER).iterdir()) == []
    server.stop()
    assert run_jedlik("check", "--data-dir", str(tmp_path / "data")).returncode == 0
    server = start_server(seal_tables=False)
    assert len(seen(server.client())) == 78, "once sealed, always sealed"
    assert len(stream_of(server)) == 84


def key_record(store: Path) -> str:
    """The record of the store's key."""
    with lmdb_file.view(store) as view:
        return (view.get(store_keys.KEYSPACE.prefix) or b"").decode()


def test_a_value_that_is_moved_is_refused_and_named(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(seal_tables=True)
    client = server.client()
    make(client)
    fill(client)
    server.stop()
    store = store_in(tmp_path / "data")

    with lmdb_file.view(store) as view:
        (first, value), (second, _), *_ = view.rows(*spaces.ROWS.range)
    overwrite(store, {second: value})
    checked = run_jedlik("check", "--data-dir", str(tmp_path / "data"))
    assert checked.returncode == 1
    assert second.hex() in checked.stdout
    assert first.hex() not in checked.stdout


def test_a_store_that_is_to_be_compacted(
    start_server: StartServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    data = tmp_path / "data"
    server = start_server(seal_tables=True)
    make(server.client())
    fill(server.client())
    server.stop()
    settings = Settings(data_dir=data)
    [stored] = layout.stores(data, settings.account)

    def is_due() -> bool:
        return due_compactions.noted(data, settings.account) != []

    due_compactions.note(data, stored.account, stored.region)
    with monkeypatch.context() as patched:
        patched.setattr(due_compacting, "MOST_BYTES", 0)
        due_compacting._compact(settings, stored)
    assert is_due(), "it is too large"
    assert "run `jedlik compact`" in caplog.text
    assert run_jedlik("compact", "--data-dir", str(data)).returncode == 0
    assert not is_due()
    # A start was killed while it wrote its copy.
    due_compactions.note(data, stored.account, stored.region)
    (stored.path / "data.mdb.compact").write_bytes(b"not whole")
    server = start_server(seal_tables=True)
    assert not is_due()
    assert len(seen(server.client())) == 39
    assert any(line["message"] == "a store has been compacted after it was sealed" for line in server.log_lines())
