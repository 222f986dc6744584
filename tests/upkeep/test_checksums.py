"""A page that was edited on the disk: the server does not serve it, and a check names it."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from botocore.exceptions import ClientError

from jedlik.dynamodb.model import spaces
from jedlik.storage.lmdb import lmdb_engine, lmdb_file
from jedlik.storage.lmdb.lmdb_pages import DATA
from testing.data_folders import data_of, store_in
from testing.dynamodb.definitions import create
from testing.jedlik_process import Server, eventually, run_jedlik

StartServer = Callable[..., Server]

GOOD, EDITED = {"p": {"S": "good"}}, {"p": {"S": "edited"}}


@pytest.fixture
def server(start_server: StartServer) -> Server:
    """A stopped server, with a store in which a number was changed on the disk."""
    server = start_server(seal_tables=False)
    client = server.client()
    create(client, TableName="table")
    for number in range(100):  # So that the item is not on the first page.
        client.put_item(TableName="table", Item={"p": {"S": str(number)}, "x": {"S": "x" * 200}})
    client.put_item(TableName="table", Item=GOOD | {"x": {"N": "1234567"}})
    client.put_item(TableName="table", Item=EDITED | {"x": {"N": "7654321"}})
    server.stop()
    data = store_of(server) / DATA
    found = data.read_bytes()
    assert b"7654321" in found
    data.write_bytes(found.replace(b"7654321", b"9654321"))
    return server


def store_of(server: Server) -> Path:
    return store_in(str(server.options["data_dir"]))


def fails(call: Callable[..., object], **request: object) -> None:
    """An internal error, without any detail for the client."""
    with pytest.raises(ClientError) as refused:
        call(TableName="table", **request)
    assert refused.value.response["Error"]["Code"] == "InternalServerError"
    assert refused.value.response["Error"]["Message"] == "Internal server error"


def test_a_server_serves_everything_but_the_edited_value(server: Server) -> None:
    server.restart()
    client = server.client()
    assert client.get_item(TableName="table", Key=GOOD)["Item"]["x"] == {"N": "1234567"}
    fails(client.get_item, Key=EDITED)
    fails(client.scan)
    add = {"UpdateExpression": "ADD x :one", "ExpressionAttributeValues": {":one": {"N": "1"}}}
    fails(client.update_item, Key=EDITED, **add)
    client.update_item(TableName="table", Key=GOOD, **add)
    assert client.get_item(TableName="table", Key=GOOD)["Item"]["x"] == {"N": "1234568"}
    assert any("is damaged: its checksum is wrong" in str(line.get("message")) for line in server.log_lines())


def test_a_check_names_the_edited_value(server: Server) -> None:
    checked = run_jedlik("check", "--data-dir", str(data_of(store_of(server))))
    assert checked.returncode == 1
    named = [line for line in checked.stdout.splitlines() if line.startswith("us-east-1: the value under key ")]
    assert len(named) == 1, checked.stdout
    assert named[0].endswith(" is damaged: its checksum is wrong")


def test_a_check_of_pages(start_server: StartServer, server: Server) -> None:
    folder = str(data_of(store_of(server)))
    checked = run_jedlik("check", "--pages", "--data-dir", folder)
    assert checked.returncode == 1  # The pages are intact, and the value is not.
    assert "its checksum is wrong" in checked.stdout
    damage_pages(store_of(server))
    checked = run_jedlik("check", "--pages", "--data-dir", folder)
    assert checked.returncode == 1
    assert "its flags are 3, at depth" in checked.stdout
    assert checked.stdout.endswith("in the pages: nothing else was checked\n")


def test_a_store_with_a_damaged_page_is_refused_at_the_start(server: Server) -> None:
    data = damage_pages(store_of(server))
    [found, *_] = re.findall(r"page (\d+) of the rows: its flags are 3", refused(server))
    assert int(found) in damaged_pages(data)


def test_a_damaged_key_is_put_back(server: Server) -> None:
    path = store_of(server) / DATA
    folder = str(data_of(store_of(server)))
    with lmdb_file.view(store_of(server)) as view:
        [key] = [key for key, value in view.whole_rows(*spaces.ROWS.range) if b'"good"' in value]
    damaged = key[:-1] + bytes((key[-1] ^ 1,))
    path.write_bytes(path.read_bytes().replace(key, damaged))
    said = f"the key {damaged.hex()} is damaged: it was {key.hex()}. Nothing has been changed: put back a copy"
    assert said in refused(server)
    recovered = run_jedlik("check", "--recover-damaged", "--data-dir", folder)
    assert recovered.returncode == 1, "the edited item is lost"
    assert f"put back: the row with the key {key.hex()}, which was under {damaged.hex()}" in recovered.stdout
    server.restart()
    assert server.client().get_item(TableName="table", Key=GOOD)["Item"]["x"] == {"N": "1234567"}
    assert run_jedlik("check", "--data-dir", folder).returncode == 0


def refused(server: Server) -> str:
    """What a server logs that does not start, because its store is damaged."""
    with pytest.raises(AssertionError):
        server.restart()
    assert server.wait() == 2
    return str(server.log.read_text())


def stopped_using_the_store(server: Server) -> set[int]:
    """The workers that logged that they do not use a store any more."""
    return {
        int(line["pid"])
        for line in server.log_lines()
        if line.get("logger") == lmdb_engine.__name__ and "The store is used no more" in str(line["message"])
    }


def damage_pages(store: Path) -> bytes:
    """Spoil the flags of pages with items, and return the file as it is then."""
    data = bytearray((store / DATA).read_bytes())
    for start in range(2 * 4096, len(data), 4096):
        page = data[start : start + 4096]
        # The page with the place in the journal is checked before the store is opened, which is then refused.
        if b"x" * 200 in page and b"\x00journal" not in page:
            data[start + 18] ^= 1
    (store / DATA).write_bytes(bytes(data))
    return bytes(data)


def damaged_pages(data: bytes) -> set[int]:
    return {start // 4096 for start in range(2 * 4096, len(data), 4096) if data[start + 18] == 3}


def test_a_large_store_with_a_damaged_page_is_used_no_more(start_server: StartServer) -> None:
    server = start_server(workers=2, seal_tables=False)
    client = server.client()
    create(client, TableName="table")
    for number in range(50):
        client.put_item(TableName="table", Item={"p": {"S": str(number)}, "x": {"S": "x" * 380_000}})
        client.put_item(TableName="table", Item={"p": {"S": f"small {number}"}, "x": {"S": "x" * 300}})
    server.stop()
    path = store_of(server) / DATA
    whole = path.read_bytes()
    damage_pages(store_of(server))
    server.restart()
    eventually(lambda: stopped_using_the_store(server) == server.workers())
    with pytest.raises(ClientError) as refusal:
        server.client().list_tables()
    assert refusal.value.response["Error"]["Code"] == "InternalServerError"
    with pytest.raises(HTTPError) as unready:
        urllib.request.urlopen(f"{server.url}/readyz")
    assert re.search(r"damaged: page \d+ of the rows: its flags are 3", unready.value.read().decode())
    server.stop()
    assert re.search(r"page (\d+) of the rows: its flags are 3", refused(server)), "large as it is"
    path.write_bytes(whole)
    server.restart()
    assert server.client().list_tables()["TableNames"] == ["table"]


def test_a_check_of_pages_beside_a_server_that_is_written_to(start_server: StartServer) -> None:
    server = start_server(seal_tables=False)
    client = server.client()
    create(client, TableName="table")
    for number in range(60):
        client.put_item(TableName="table", Item={"p": {"S": str(number % 20)}, "x": {"S": "x" * 50 * number}})
        if number % 20 == 19:
            checked = run_jedlik("check", "--pages", "--data-dir", str(server.options["data_dir"]))
            assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout


def test_a_server_finds_damage_that_no_request_reads(server: Server) -> None:
    (store_of(server) / "scrub").unlink(missing_ok=True)  # The scrub may have passed before the page was edited.
    server.restart()
    eventually(lambda: bool(damaged_lines(server)))
    [line] = damaged_lines(server)
    assert (line["level"], line["region"], line["among"]) == ("error", "us-east-1", "rows")
    assert str(line["of"]).startswith("index ")
    folder = str(data_of(store_of(server)))

    def said() -> str:
        return run_jedlik("stats", "--data-dir", folder).stdout

    eventually(lambda: " values read, 1 of them damaged until " in said())  # When the scrub has read the rest, too.
    assert "DamagedValues: 1 Count" in said()
    document = json.loads(run_jedlik("stats", "--data-dir", folder, "--json").stdout)
    [store] = document["stores"]
    assert store["scrub"]["damaged_keys"] == [line["key"]]
    server.restart()  # It has been done today.
    assert server.client().list_tables()["TableNames"] == ["table"]
    assert len(damaged_lines(server)) == 1


def damaged_lines(server: Server) -> list[dict[str, Any]]:
    return [line for line in server.log_lines() if line.get("message") == "a value is damaged: its checksum is wrong"]
