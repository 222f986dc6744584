"""`jedlik check`, `jedlik stats` and `jedlik compact`, on the stores of a real server and beside it."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from testing.data_folders import store_in
from testing.dynamodb.definitions import attributes, create, index
from testing.jedlik_process import Server, eventually, run_jedlik
from testing.storage.engines import overwrite

StartServer = Callable[..., Server]

INDEXED: dict[str, Any] = {
    "AttributeDefinitions": attributes(p="S", a="S"),
    "GlobalSecondaryIndexes": [index("by-a", "a")],
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
}


def put(client: Any, table: str, number: int) -> None:
    client.put_item(TableName=table, Item={"p": {"S": str(number)}, "a": {"S": "a"}, "text": {"S": "x" * 1000}})


def run_on(folder: Path, command: str, *options: str) -> tuple[int, str]:
    """The exit code and the output of a command."""
    ended = run_jedlik(command, "--data-dir", str(folder), *options)
    return ended.returncode, ended.stdout + ended.stderr


def test_a_store_that_is_written_all_the_while(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(workers=2)
    table = create(server.client(), **INDEXED)
    stop = threading.Event()

    def write(first: int) -> None:
        client = server.client()
        number = first
        while not stop.is_set():
            put(client, table, number % 50)
            client.delete_item(TableName=table, Key={"p": {"S": str(number % 50 - 7)}})
            number += 2

    writers = [threading.Thread(target=write, args=(first,)) for first in (0, 1)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(5):
            code, said = run_on(tmp_path / "data", "check")
            assert (code, said.count("\n")) == (0, 1), said
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert server.running()


def test_stores_are_checked_by_region(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server()
    for region in ("eu-west-1", "us-east-1"):
        client = server.client(region=region)
        table = create(client, **INDEXED)
        for number in range(3):
            put(client, table, number)
    server.stop()
    overwrite(store_in(tmp_path / "data"), {b"\xf8": b""})
    summary = (
        r"{}: 3 items with 3 index entries in 1 tables, and 4 log entries, checked in \d\.\d s \(\d+ items/s\): {}\n"
    )
    code, said = run_on(tmp_path / "data", "check")
    assert code == 1
    assert re.fullmatch(
        summary.format("eu-west-1", "no problems")
        + "us-east-1: there are keys after the last space\n"
        + summary.format("us-east-1", "1 problem"),
        said,
    ), said
    code, said = run_on(tmp_path / "data", "check", "--json")
    assert code == 1
    counts = {"items": 3, "index_entries": 3, "tables": 1, "log_entries": 4}
    objects = [json.loads(line) for line in said.splitlines()]
    assert all(one.pop("seconds", 1.0) > 0 for one in objects)
    assert objects == [
        {"region": "eu-west-1", "account": "000000000000", **counts, "problems": 0},
        {"region": "us-east-1", "account": "000000000000", "problem": "there are keys after the last space"},
        {"region": "us-east-1", "account": "000000000000", **counts, "problems": 1},
    ]
    code, said = run_on(tmp_path / "data", "check", "--region", "eu-west-1")
    assert code == 0
    assert re.fullmatch(summary.format("eu-west-1", "no problems"), said)


def test_statistics(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server()
    client = server.client()
    create(client, TableName="empty")
    create(client, TableName="songs", **INDEXED)
    for number in range(5):
        put(client, "songs", number)
    # A new store has its first record of the time soon, but not with its first write.
    eventually(lambda: "clock:" in run_on(tmp_path / "data", "stats")[1])
    code, said = run_on(tmp_path / "data", "stats")
    assert code == 0
    assert re.fullmatch(
        "us-east-1: table empty: 0 items of 0 bytes, 0 index entries of 0 bytes, 0 log entries\n"
        "us-east-1: table songs: 5 items of 5040 bytes, 5 index entries of 5040 bytes, 6 log entries\n"
        r"us-east-1: clock: trusted; the store was last used at \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00\n"
        r"us-east-1: scrub: (never yet to its end|\d+ values read, none of them damaged until \S+)\n"
        r"us-east-1: a file of \d+ bytes, \d+ bytes an item; \d+ pages of 4096 bytes with \d+ rows, \d+ pages free\n"
        r"metrics, counted by all workers since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00:\n(us-east-1: .*\n)*",
        said,
    ), said


def test_compaction(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server()
    client = server.client()
    table = create(client, **INDEXED)
    for number in range(300):
        put(client, table, number)
    for number in range(10, 300):
        client.delete_item(TableName=table, Key={"p": {"S": str(number)}})
    code, said = run_on(tmp_path / "data", "compact")
    assert code == 2
    assert (
        said == f"jedlik: the data directory {tmp_path / 'data'} is in use by another Jedlik (process {server.pid}): "
        "stop it, or name another folder (--data-dir)\n"
    )
    server.stop()
    file = store_in(tmp_path / "data") / "data.mdb"
    before = file.stat().st_size
    code, said = run_on(tmp_path / "data", "compact")
    after = file.stat().st_size
    assert code == 0
    assert said == f"us-east-1: {before} bytes before, {after} bytes after: {before - after} won\n"
    assert after < before / 2
    assert run_on(tmp_path / "data", "check")[0] == 0
    server.restart()
    client = server.client()
    put(client, table, 10)
    assert client.scan(TableName=table, Select="COUNT")["Count"] == 11
    assert run_on(tmp_path / "data", "check")[0] == 0


@pytest.mark.parametrize("command", ["check", "stats", "compact"])
def test_there_must_be_a_store(tmp_path: Path, command: str) -> None:
    code, said = run_on(tmp_path / "nowhere", command)
    assert (code, said) == (
        2,
        f"jedlik: there is no store in {tmp_path / 'nowhere'}: the first write makes one. If the server has another "
        "folder, give its --config or --data-dir\n",
    )
    assert not (tmp_path / "nowhere").exists()
    code, said = run_on(tmp_path, command, "--region", "eu-west-1")
    assert (code, said) == (2, f"jedlik: there is no store of region eu-west-1 in {tmp_path}\n")
    store_in(tmp_path, "eu-west-1").mkdir(parents=True)
    (store_in(tmp_path, "eu-west-1") / "data.mdb").write_bytes(b"?" * 10_000)
    code, said = run_on(tmp_path, command)
    assert code == 2
    assert said.startswith(f"jedlik: cannot open the store in {store_in(tmp_path, 'eu-west-1')}: ")
