"""`jedlik export` and `jedlik import`: files of DynamoDB JSON, through a server and from a store."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard

from jedlik.cli import transfer_commands
from testing.dynamodb.definitions import attributes, key_schema
from testing.jedlik_process import Server, run_jedlik

TABLE = {
    "KeySchema": key_schema("p", "s"),
    "AttributeDefinitions": attributes(p="S", s="N"),
    "BillingMode": "PAY_PER_REQUEST",
}
ITEMS = [
    {
        "p": {"S": "ű"},
        "s": {"N": str(number)},
        "b": {"B": b"\x00\xff"},
        "l": {"L": [{"BS": [b"1", b"2"]}, {"M": {"x": {"B": b"y"}, "n": {"NULL": True}}}]},
        "t": {"S": "t" * 3000},
    }
    for number in range(700)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("transfers")


@pytest.fixture(scope="module")
def filled(folder: Path) -> Iterator[Server]:
    """A server with a table of several pages, and a bucket."""
    settings = folder / "jedlik.toml"
    settings.write_text(f'[buckets.mine]\nurl = "{(folder / "bucket").as_uri()}"\n')
    server = Server(folder / "log", config=settings, data_dir=folder / "data")
    client = server.client()
    client.create_table(TableName="source", **TABLE)
    for first in range(0, len(ITEMS), 25):
        puts = [{"PutRequest": {"Item": item}} for item in ITEMS[first : first + 25]]
        client.batch_write_item(RequestItems={"source": puts})
    yield server
    server.kill()


def jedlik(folder: Path, *arguments: str, server: Server | None = None) -> Any:
    through = () if server is None else ("--endpoint-url", server.url)
    return run_jedlik(*arguments, *through, "--config", str(folder / "jedlik.toml"))


def place(folder: Path, name: str) -> str:
    return name if name.startswith("bucket://") else str(folder / name)


def held(server: Server, table: str) -> list[dict[str, Any]]:
    pages = server.client().get_paginator("scan").paginate(TableName=table)
    return sorted((item for page in pages for item in page["Items"]), key=lambda item: int(item["s"]["N"]))


@pytest.mark.parametrize("target", ["plain.json", "packed.json.gz", "bucket://mine/deep/packed.json.zst"])
def test_what_is_exported_can_be_imported(filled: Server, folder: Path, target: str) -> None:
    target = place(folder, target)
    made = jedlik(folder, "export", "source", target, server=filled)
    assert made.returncode == 0, made.stderr
    assert made.stdout == f"700 items of source are in {target}\n"
    assert not list(folder.glob("*.part*"))
    assert not list(folder.glob(".jedlik-*"))
    table = f"table-{target.rpartition('.')[2]}"
    filled.client().create_table(TableName=table, **TABLE)
    back = jedlik(folder, "import", target, table, server=filled)
    assert (back.returncode, back.stdout) == (0, f"700 items of {target} are in {table}\n")
    assert held(filled, table) == ITEMS


def test_a_store_is_exported_without_a_server(filled: Server, folder: Path) -> None:
    made = jedlik(folder, "export", "source", place(folder, "stored.json"), "--data-dir", str(folder / "data"))
    assert made.returncode == 0, made.stderr
    through = jedlik(folder, "export", "source", place(folder, "scanned.json"), server=filled)
    assert through.returncode == 0, through.stderr
    both = [
        sorted(map(json.dumps, map(orjson.loads, (folder / name).read_bytes().splitlines())))
        for name in ("stored.json", "scanned.json")
    ]
    assert both[0] == both[1]
    again = jedlik(folder, "export", "source", place(folder, "stored.json"), server=filled)
    assert (again.returncode, f"there is something in {folder / 'stored.json'} already" in again.stderr) == (2, True)


def test_an_interrupted_export_goes_on(filled: Server, folder: Path) -> None:
    first = filled.client().scan(TableName="source", ConsistentRead=True, Limit=10)
    lines = b"".join(transfer_commands._line(item) for item in first["Items"])
    (folder / "torn.json.gz.part").write_bytes(gzip.compress(lines) + b"what a kill has left")
    key = transfer_commands._wire(first["LastEvaluatedKey"], transfer_commands._to_text)
    (folder / "torn.json.gz.part.json").write_text(json.dumps([len(gzip.compress(lines)), 10, key]))
    made = jedlik(folder, "export", "source", place(folder, "torn.json.gz"), server=filled)
    assert (made.returncode, made.stdout) == (0, f"700 items of source are in {folder / 'torn.json.gz'}\n")
    found = [
        orjson.loads(line)["Item"] for line in gzip.decompress((folder / "torn.json.gz").read_bytes()).splitlines()
    ]
    assert sorted(int(item["s"]["N"]) for item in found) == list(range(700))


def test_an_import_goes_on_and_names_what_it_refuses(filled: Server, folder: Path) -> None:
    filled.client().create_table(TableName="partly", **TABLE)
    lines = [orjson.dumps({"Item": {"p": {"S": "a"}, "s": {"N": str(number)}}}) for number in range(40)]
    lines[30:32] = [b"nonsense", orjson.dumps({"Item": {"p": {"S": "no sort key"}}})]
    (folder / "partly.zst").write_bytes(zstandard.compress(b"\n".join(lines)))
    source = place(folder, "partly.zst")
    note = transfer_commands._note_of("import", "partly", f"{filled.url} us-east-1", source)
    note.write_text(json.dumps([10, 0, 10]))
    made = jedlik(folder, "import", place(folder, "partly.zst"), "partly", server=filled)
    assert made.returncode == 1
    *refused, last = made.stdout.splitlines()
    assert [line.partition(":")[0] for line in refused] == ["line 31", "line 32"]
    assert last == f"38 items of {folder / 'partly.zst'} are in partly, 2 lines were refused"
    # The first ten lines were put before, by the import that was interrupted.
    assert [int(item["s"]["N"]) for item in held(filled, "partly")] == [*range(10, 30), *range(32, 40)]
    assert not note.exists()
    missing = jedlik(folder, "import", place(folder, "partly.zst"), "missing", server=filled)
    assert (missing.returncode, "ResourceNotFoundException" in missing.stderr) == (2, True)
