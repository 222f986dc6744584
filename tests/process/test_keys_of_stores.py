"""Stores whose tables are sealed by keys of KMS: killed in the middle of a change of keys, checked without their
server, and used while the key of KMS is rotated.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jedlik.dynamodb.model import keys
from jedlik.regions import table_keyring
from jedlik.storage.lmdb import lmdb_file
from testing.data_folders import store_in
from testing.dynamodb.definitions import create, definition, describe, index
from testing.dynamodb.refusals import INVALID, invalid
from testing.jedlik_process import Server, eventually, run_jedlik

StartServer = Callable[..., Server]
SECRET = "what nobody may find"
TABLE = "sealed"


def by(key: str) -> dict[str, Any]:
    return {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}


def make(client: Any, **settings: Any) -> None:
    create(
        client,
        TableName=TABLE,
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("p", "x")],
        GlobalSecondaryIndexes=[index("by-x", "x")],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        **settings,
    )


def fill(client: Any, count: int = 40) -> None:
    for n in range(count):
        item = {"p": {"S": str(n)}, "x": {"S": "x"}, "note": {"S": f"{SECRET} {n}"}}
        client.put_item(TableName=TABLE, Item=item)


def new_key(server: Server) -> str:
    arn: str = server.client("kms").create_key()["KeyMetadata"]["Arn"]
    return arn


def checked(tmp_path: Path) -> str:
    found = run_jedlik("check", "--data-dir", str(tmp_path / "data"))
    assert (found.returncode, found.stderr) == (0, ""), found.stdout
    return found.stdout


def count(client: Any) -> int:
    table, entries = (client.scan(TableName=TABLE, **more)["Count"] for more in ({}, {"IndexName": "by-x"}))
    assert table == entries
    return int(table)


def key_of(client: Any) -> tuple[str, str]:
    shown = describe(client, TABLE)["SSEDescription"]
    return shown["Status"], shown["KMSMasterKeyArn"]


def secrets_in(folder: Path) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if SECRET.encode() in path.read_bytes()]


def test_a_server_is_killed_in_the_middle_of_a_change_of_keys(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(seal_tables=True, workers=2, holdable_jobs=True)
    first, second = new_key(server), new_key(server)
    make(server.client(), SSESpecification=by(first))
    fill(server.client(), 120)
    with server.holding("TABLE_KEY", after=1):
        server.client().update_table(TableName=TABLE, SSESpecification=by(second))
        eventually(lambda: bool(server.held_by("TABLE_KEY")))
        server.kill()
        assert secrets_in(tmp_path / "data") == []
        assert "120 items" in checked(tmp_path)
        server.restart()
        assert count(server.client()) == 120
        assert key_of(server.client()) == ("UPDATING", second)
    eventually(lambda: key_of(server.client()) == ("ENABLED", second))
    assert count(server.client()) == 120
    eventually(lambda: server.client("kms").list_grants(KeyId=first)["Grants"] == [])
    server.stop()
    assert "120 items" in checked(tmp_path)
    assert secrets_in(tmp_path / "data") == []
    with lmdb_file.view(store_in(tmp_path / "data")) as view:
        [(key, record)] = view.rows(*table_keyring.KEYSPACE.range)
    assert [one.number for one in table_keyring.parse(record).keys] == [2]
    assert len(table_keyring.table_of(key)) == len(keys.table_id("0" * 32))


def test_the_key_is_rotated_under_load(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(seal_tables=True, workers=2)
    key = new_key(server)
    client, kms = server.client(), server.client("kms")
    make(client, SSESpecification=by(key))
    done = threading.Event()
    failures: list[Exception] = []

    def write() -> None:
        mine = server.client()
        try:
            while not done.is_set():
                fill(mine)
        except Exception as error:
            failures.append(error)

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    for _ in range(3):
        kms.rotate_key_on_demand(KeyId=key)
    done.set()
    for writer in writers:
        writer.join()
    assert failures == []
    assert count(client) == 40
    server.kill()
    server.restart()
    assert count(server.client()) == 40, "the former material opens the table's key"


def test_a_check_does_not_open_what_the_server_would_not(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(seal_tables=True)
    key = new_key(server)
    make(server.client(), SSESpecification=by(key))
    fill(server.client())
    create(server.client(), TableName="other")
    server.client().put_item(TableName="other", Item={"p": {"S": "a"}})
    server.client("kms").disable_key(KeyId=key)
    server.stop()
    assert "1 items" in checked(tmp_path)


def test_a_store_that_is_not_sealed_takes_no_keys(start_server: StartServer) -> None:
    server = start_server(seal_tables=False)
    client = server.client()
    create(client, TableName="other")
    refused = (
        f"{INVALID}SSESpecification chooses the key that seals a table, and this server does not seal its tables: "
        "it has no root key, or --no-seal-tables is set"
    )
    assert invalid(client.create_table, **definition(SSESpecification={"Enabled": True})) == refused
    assert invalid(client.update_table, TableName="other", SSESpecification=by(new_key(server))) == refused
    create(client, SSESpecification={"Enabled": False})
