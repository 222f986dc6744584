"""Stores of other formats: every command refuses them, with what to do; those of earlier formats are upgraded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import lmdb
import pytest

from jedlik import __version__
from jedlik.regions import store_format
from jedlik.storage.lmdb import lmdb_file
from jedlik.storage.lmdb.checksums import value_of
from jedlik.upkeep import upgrade
from testing.data_folders import data_of, store_in
from testing.dynamodb.definitions import create
from testing.jedlik_process import Server, run_jedlik
from testing.storage.engines import overwrite

StartServer = Callable[..., Server]

FORMAT_KEY = b"\x10format"
ITEM = {"p": {"S": "kept"}}
COMMANDS = ("check", "stats", "compact")


def record_of(store: Path) -> object:
    with lmdb_file.view(store) as view:
        found = view.get(FORMAT_KEY)
    return found and json.loads(found)


def upgraded(before: int, storage_before: int) -> str:
    """The command's output."""
    return (
        f"us-east-1: format {before} and storage format {storage_before} before, "
        f"format {store_format.FORMAT} and storage format 3 after\n"
    )


@pytest.fixture
def store(start_server: StartServer, tmp_path: Path) -> Path:
    """The folder of a store with an item, which no server uses."""
    server = start_server(seal_tables=False)
    create(server.client(), TableName="songs")
    server.client().put_item(TableName="songs", Item=ITEM)
    server.stop()
    return store_in(tmp_path / "data")


def refused_start(start_server: StartServer, workers: int) -> str:
    """The log of a server that does not start because it cannot use its store."""
    with pytest.raises(AssertionError, match=r"^the server ended with 2:") as ended:
        start_server(workers=workers)
    lines = [json.loads(line) for line in str(ended.value).splitlines()[1:]]
    [said] = {line["message"] for line in lines if line["level"] == "error"}
    return str(said)


def test_a_store_records_its_format(store: Path) -> None:
    assert record_of(store) == {"Format": store_format.FORMAT, "Version": __version__}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_store_of_a_later_version_is_refused(start_server: StartServer, store: Path, workers: int) -> None:
    overwrite(store, {FORMAT_KEY: b'{"Format":7,"Version":"9.8.7"}'})
    reason = (
        f"the store in {store} has format 7, written by Jedlik 9.8.7, and this is Jedlik {__version__}, "
        f"which uses format {store_format.FORMAT}: use that version, or a later one"
    )
    assert refused_start(start_server, workers) == f"cannot use the data directory {data_of(store)}: {reason}"
    for command in (*COMMANDS, "upgrade"):
        ended = run_jedlik(command, "--data-dir", str(data_of(store)))
        assert (ended.returncode, ended.stderr) == (2, f"jedlik: {reason}\n")
    assert record_of(store) == {"Format": 7, "Version": "9.8.7"}


def test_a_store_of_an_earlier_version_is_refused_until_it_is_upgraded(start_server: StartServer, store: Path) -> None:
    overwrite(store, {FORMAT_KEY: None})
    reason = (
        f"the store in {store} has format 0, and this is Jedlik {__version__}, "
        f"which uses format {store_format.FORMAT}: stop all servers, copy the folder, and run `jedlik upgrade`"
    )
    assert refused_start(start_server, 1) == f"cannot use the data directory {data_of(store)}: {reason}"
    for command in COMMANDS:
        ended = run_jedlik(command, "--data-dir", str(data_of(store)))
        assert (ended.returncode, ended.stderr) == (2, f"jedlik: {reason}\n")
    nothing = f"us-east-1: format {store_format.FORMAT} and storage format 3, as this version has: nothing to do\n"
    for said in (upgraded(0, 3), nothing):
        ended = run_jedlik("upgrade", "--data-dir", str(data_of(store)))
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, said, "")
    server = start_server()
    assert server.client().scan(TableName="songs")["Items"] == [ITEM]
    refusal = run_jedlik("upgrade", "--data-dir", str(data_of(store)))
    assert refusal.returncode == 2
    assert "is in use by another Jedlik" in refusal.stderr


def test_a_store_without_a_journal_is_refused_until_it_is_upgraded(start_server: StartServer, store: Path) -> None:
    (store / "journal").unlink()
    with lmdb.open(str(store), lib_version=1) as environment, environment.begin(write=True) as transaction:
        for key, found in list(transaction.cursor().iternext()):
            if key[0] > 0:
                transaction.put(key, value_of(key, found))
        transaction.put(b"\x00format", b"1")
        transaction.delete(b"\x00journal")
        transaction.delete(b"\x00position")
    reason = (
        f"{store} holds a store of storage format 1, and Jedlik {__version__} uses format 3: "
        "stop all servers, copy the folder, and run `jedlik upgrade`"
    )
    assert refused_start(start_server, 1) == f"cannot use the data directory {data_of(store)}: {reason}"
    for command in COMMANDS:
        ended = run_jedlik(command, "--data-dir", str(data_of(store)))
        assert (ended.returncode, ended.stderr) == (2, f"jedlik: {reason}\n")
    ended = run_jedlik("upgrade", "--data-dir", str(data_of(store)))
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, upgraded(store_format.FORMAT, 1), "")
    assert start_server().client().scan(TableName="songs")["Items"] == [ITEM]


@pytest.mark.parametrize("record", [b"", b"2", b"{}", b'{"Format":null}'])
def test_a_format_that_cannot_be_read_is_refused(start_server: StartServer, store: Path, record: bytes) -> None:
    overwrite(store, {FORMAT_KEY: record})
    reason = f"the store in {store} has a record of its format that cannot be read: {record!r}"
    assert refused_start(start_server, 1) == f"cannot use the data directory {data_of(store)}: {reason}"
    for command in (*COMMANDS, "upgrade"):
        ended = run_jedlik(command, "--data-dir", str(data_of(store)))
        assert (ended.returncode, ended.stderr) == (2, f"jedlik: {reason}\n")


def test_a_store_that_has_lost_its_secret_gets_no_other(start_server: StartServer, store: Path) -> None:
    overwrite(store, {b"\x10secret": None})
    reason = f"the store in {store} has lost its secret: no key of an item can be worked out"
    assert refused_start(start_server, 1) == f"cannot use the data directory {data_of(store)}: {reason}"


def test_there_is_a_step_from_every_earlier_format() -> None:
    assert len(upgrade._STEPS) == store_format.FORMAT
