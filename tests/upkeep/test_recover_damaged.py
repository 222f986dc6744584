"""Damaged stores of a real server: the programs that report them, and what `jedlik check --recover-damaged` keeps."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from jedlik.storage.lmdb.journal import JOURNAL, Journal, Record
from jedlik.storage.lmdb.lmdb_pages import DATA, newest_meta, write_metas
from testing.data_folders import data_of, store_in
from testing.dynamodb.definitions import attributes, create, index
from testing.jedlik_process import Server, run_jedlik

StartServer = Callable[..., Server]

PUTS = 60
PAGE = 4096
TRANSACTION = struct.Struct("=Q")
TRANSACTION_AT = 152
"""In a meta page."""
INDEXED: dict[str, Any] = {
    "TableName": "songs",
    "AttributeDefinitions": attributes(p="S", a="S"),
    "GlobalSecondaryIndexes": [index("by-a", "a")],
}


@pytest.fixture
def killed(start_server: StartServer, tmp_path: Path) -> Path:
    """The folder of a store of sixty items, whose server was killed after the last was acknowledged."""
    server = start_server()
    client = server.client()
    create(client, **INDEXED)
    for number in range(PUTS):
        client.put_item(TableName="songs", Item={"p": {"S": str(number)}, "a": {"S": "a"}})
    server.kill()
    return store_in(tmp_path / "data")


def records(store: Path) -> list[Record]:
    with closing(Journal(store)) as journal:
        return list(journal.records())


def make_records_of_all(start_server: StartServer, store: Path, puts: list[str]) -> list[Record]:
    """Put items until all of a round are behind one checkpoint, and kill. Returns their records."""
    for _ in range(20):
        server = start_server()
        client = server.client()
        for number, name in enumerate(puts):
            client.put_item(TableName="songs", Item={"p": {"S": name}, "a": {"S": str(number)}})
        server.kill()
        found = records(store)
        if len(found) >= len(puts):
            return found[-len(puts) :]
    raise AssertionError("there is always a checkpoint between")


def flip(store: Path, offset: int) -> None:
    with (store / JOURNAL).open("r+b") as file:
        file.seek(offset)
        [byte] = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ 4]))


def _with_transaction(content: bytes, number: int) -> bytes:
    """The content of LMDB's file as if its newest state were that of another transaction."""
    changed = bytearray(content)
    at = max(range(0, 2 * PAGE, PAGE), key=lambda meta: TRANSACTION.unpack_from(changed, meta + TRANSACTION_AT)[0])
    TRANSACTION.pack_into(changed, at + TRANSACTION_AT, number)
    return bytes(changed)


def lose_power(store: Path) -> None:
    with closing(Journal(store)) as journal, (store / DATA).open("r+b") as file:
        write_metas(file.fileno(), journal.checkpoint().metas)


def run_on(store: Path, command: str, *options: str) -> tuple[int, str]:
    ended = run_jedlik(command, "--data-dir", str(data_of(store)), *options)
    return ended.returncode, ended.stdout + ended.stderr


def names(server: Server) -> set[str]:
    return {item["p"]["S"] for item in server.client().scan(TableName="songs")["Items"]}


def test_a_damaged_store_is_refused_by_the_server_and_by_the_commands_and_then_nothing_is_lost(
    start_server: StartServer, killed: Path
) -> None:
    found = make_records_of_all(start_server, killed, ["one", "two", "three"])
    before = (killed / DATA).read_bytes()
    flip(killed, found[1].place.offset + 30)
    reason = (
        f"{killed / JOURNAL} is damaged at offset {found[1].place.offset}: record {found[1].place.sequence} cannot be "
        f"read, and 1 later one can, up to record {found[2].place.sequence}. What they held was acknowledged"
    )
    hint = (
        ". Nothing has been changed: put back the file that belongs there, or have `jedlik check --recover-damaged` "
        "keep what can be kept"
    )
    with pytest.raises(AssertionError, match=r"^the server ended with 2:") as ended:
        start_server()
    lines = [json.loads(line) for line in str(ended.value).splitlines()[1:]]
    [said] = {line["message"] for line in lines if line["level"] == "error"}
    assert said == f"cannot use the data directory {data_of(killed)}: {reason}{hint}"
    for command in ("check", "stats", "compact"):
        assert run_on(killed, command) == (2, f"jedlik: {reason}{hint}\n")
    assert (killed / DATA).read_bytes() == before

    code, said = run_on(killed, "check", "--recover-damaged")
    assert code == 0, said
    [first, tried, kept, summary] = said.splitlines()
    assert first == f"us-east-1: {reason}"
    assert tried == "us-east-1: tried what data.mdb has: no problems"
    [aside] = killed.glob("damaged-*")
    assert kept == f"us-east-1: kept: what data.mdb has; the damaged files are in {aside}"
    assert re.fullmatch(r"us-east-1: 63 items with 63 index entries in 1 tables, .*: no problems", summary)
    assert (aside / DATA).read_bytes() == before
    assert names(start_server()) == {*map(str, range(PUTS)), "one", "two", "three"}


def test_after_a_power_cut_what_is_lost_is_listed(start_server: StartServer, killed: Path) -> None:
    found = make_records_of_all(start_server, killed, ["one", "two", "three"])
    lose_power(killed)
    flip(killed, found[1].place.offset + 30)
    code, said = run_on(killed, "check", "--recover-damaged")
    assert code == 1
    assert "us-east-1: tried all records that can be read: no problems\n" in said
    assert (
        f"us-east-1: lost: all that was written with record {found[1].place.sequence}, which cannot be read\n" in said
    )
    assert names(start_server()) == {*map(str, range(PUTS)), "one", "three"}


def test_later_records_that_depend_on_the_lost_one_are_left_out_and_listed(
    start_server: StartServer, killed: Path
) -> None:
    # The second write to the same item counts nothing, as it was counted with the first.
    found = make_records_of_all(start_server, killed, ["before", "same", "same", "other"])
    lose_power(killed)
    flip(killed, found[1].place.offset + 30)
    code, said = run_on(killed, "check", "--recover-damaged")
    assert code == 1
    assert re.search(r"us-east-1: tried all records that can be read: \d problems?\n", said), said
    assert "us-east-1: tried the records before the damage: no problems\n" in said
    for record, name in ((found[2], "same"), (found[3], "other")):
        lost = f"a write to the item of table songs with the key {{'p': {{'S': '{name}'}}}}"
        assert f"us-east-1: lost: record {record.place.sequence}: {lost}\n" in said
    assert names(start_server()) == {*map(str, range(PUTS)), "before"}


def test_without_its_journal_a_store_has_the_content_of_the_data_file(start_server: StartServer, killed: Path) -> None:
    (killed / JOURNAL).unlink()
    assert run_on(killed, "stats")[0] == 2
    code, said = run_on(killed, "check", "--recover-damaged")
    assert code == 0, said
    assert names(start_server()) == set(map(str, range(PUTS)))


def test_a_newer_journal_whose_state_is_longer_than_the_file_is_set_aside(
    start_server: StartServer, killed: Path
) -> None:
    """A recovery gives commits the numbers that they had, but other pages: the file of before may be too short."""
    older = (killed / DATA).read_bytes()
    with closing(Journal(killed)) as journal:
        before = journal.checkpoint().number
    server = start_server()
    client = server.client()
    for number in range(200):
        item = {"p": {"S": str(number % PUTS)}, "a": {"S": "a"}, "data": {"S": "d" * 100_000}}
        client.put_item(TableName="songs", Item=item)
    server.stop()
    with closing(Journal(killed)) as journal:
        checkpoint = journal.checkpoint()
        assert checkpoint.number > before
    # As if the file of before had had as many commits.
    transaction = newest_meta(checkpoint.metas)
    assert transaction is not None
    (killed / DATA).write_bytes(_with_transaction(older, transaction[0]))
    code, said = run_on(killed, "stats")
    assert code == 2
    assert f"{killed / DATA} is damaged, or not the file that the {JOURNAL} beside it belongs to" in said
    code, said = run_on(killed, "check", "--recover-damaged")
    assert code == 0, said
    assert names(start_server()) == set(map(str, range(PUTS)))


def test_nothing_can_be_kept_of_a_file_that_was_cut_short(killed: Path) -> None:
    (killed / JOURNAL).unlink()
    os.truncate(killed / DATA, 5 * PAGE)
    code, said = run_on(killed, "check", "--recover-damaged")
    assert code == 2
    assert "nothing can be kept of the store in" in said


def test_a_store_that_is_not_damaged_is_checked(start_server: StartServer, killed: Path) -> None:
    code, said = run_on(killed, "check", "--recover-damaged")
    assert code == 0
    assert said.startswith("us-east-1: the store is not damaged in a way that keeps it from being opened\n")
    assert not list(killed.glob("damaged-*"))
    server = start_server()
    code, said = run_on(killed, "check", "--recover-damaged")
    assert code == 2
    assert f"is in use by another Jedlik (process {server.pid})" in said


def test_a_damaged_region_that_is_opened_by_a_request(start_server: StartServer, killed: Path, tmp_path: Path) -> None:
    found = make_records_of_all(start_server, killed, ["one", "two", "three"])
    flip(killed, found[0].place.offset + 30)
    server = start_server(data_dir=tmp_path / "other")
    server.client(region="eu-west-1").list_tables()
    shutil.copytree(killed, store_in(tmp_path / "other"))
    with pytest.raises(ClientError) as refused:
        server.client().list_tables()
    assert refused.value.response["Error"]["Code"] == "InternalServerError"
    said = [line["message"] for line in server.log_lines() if line["level"] == "error"]
    assert any("us-east-1/journal is damaged at offset" in line for line in said), said
    assert server.client(region="eu-west-1").list_tables()["TableNames"] == []
