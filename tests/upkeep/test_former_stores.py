"""Stores of earlier versions: they are upgraded without loss, even if the upgrade is killed, and then they are
served."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jedlik.dynamodb.former_entries import Converter
from jedlik.process.services import SERVICES
from jedlik.storage.engine import StorageError
from jedlik.storage.lmdb import lmdb_file
from jedlik.upkeep.check import StoreCheck
from testing.dynamodb.definitions import describe, describe_index
from testing.dynamodb.replicated_tables import HERE, THERE, becomes, statuses
from testing.former_stores.scenarios import SCENARIOS, contents_of
from testing.jedlik_process import Server, run_jedlik

StartServer = Callable[..., Server]

FOLDER = Path(__file__).parent / "former_stores"
FORMATS = sorted(path.name for path in FOLDER.iterdir())
STEPS = ("open", "os.rename", "os.remove", "os.link")
"""The system calls at which an upgrade is killed, by the names of Python's audit events."""
MOST_STEPS = 500


def unpacked(store_format: str, name: str, folder: Path) -> Path:
    """The data folder of a fixture."""
    with tarfile.open(FOLDER / store_format / f"{name}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "data"


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("store_format", FORMATS)
def test_a_former_store_is_refused_then_upgraded_then_served(
    start_server: StartServer, tmp_path: Path, store_format: str, name: str
) -> None:
    data = unpacked(store_format, name, tmp_path)
    expected: dict[str, dict[str, Any]] = json.loads((FOLDER / store_format / f"{name}.json").read_text())
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file() and path.stat().st_size}
    refused = run_jedlik("check", "--data-dir", str(data))
    assert refused.returncode == 2
    assert "run `jedlik upgrade`" in refused.stderr
    assert {path: path.read_bytes() for path in before} == before
    with pytest.raises(AssertionError, match=r"(?s)the server ended with 2:.* were before there were accounts: "):
        start_server(data_dir=data)
    ended = run_jedlik("upgrade", "--data-dir", str(data))
    assert (ended.returncode, ended.stderr) == (0, "")
    checked = run_jedlik("check", "--data-dir", str(data))
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout
    server = start_server(data_dir=data, regions=f"{HERE},{THERE}")
    for region, tables in expected.items():
        client = server.client(region=region)
        found = {table: contents_of(client, table) for table in tables}
        assert found == tables
    _goes_on(server, name)
    server.stop()
    checked = run_jedlik("check", "--data-dir", str(data))
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout


def _goes_on(server: Server, name: str) -> None:
    """Work that was in progress is completed, and replicated tables still replicate."""
    here = server.client()
    if name == "backfill":
        becomes(lambda: (describe_index(here, "filled", "late") or {})["IndexStatus"], "ACTIVE")
        query = {"KeyConditionExpression": "g = :g", "ExpressionAttributeValues": {":g": {"S": "g3"}}}
        found = here.query(TableName="filled", IndexName="late", Select="COUNT", **query)
        assert found["Count"] == len(range(3, describe(here, "filled")["ItemCount"], 7))
    elif name == "new-replica":
        becomes(lambda: statuses(here, "copied"), {THERE: "ACTIVE"})
        there = server.client(region=THERE)
        assert there.scan(TableName="copied", Select="COUNT")["Count"] == describe(here, "copied")["ItemCount"]
    elif name == "two-regions":
        key = {"p": {"S": "new"}}
        server.client(region=THERE).put_item(TableName="replicated", Item=key)
        becomes(lambda: here.get_item(TableName="replicated", Key=key).get("Item"), key)
    elif name == "tables":
        here.put_item(TableName="plain", Item={"p": {"S": "last"}, "x": {"S": "changed"}})
        assert here.get_item(TableName="plain", Key={"p": {"S": "last"}})["Item"]["x"] == {"S": "changed"}


def test_an_upgrade_may_be_killed_at_every_step(tmp_path: Path) -> None:
    data = unpacked("format-1", "tables", tmp_path / "fixture")
    store = data / HERE
    whole = _rows(_upgraded(shutil.copytree(store, tmp_path / "whole")))
    killed = 0
    for step in range(1, MOST_STEPS):
        copy = shutil.copytree(store, tmp_path / "killed")
        process = multiprocessing.get_context("fork").Process(target=_upgrade_until, args=(copy, step))
        process.start()
        process.join(60)
        assert process.exitcode in (0, -signal.SIGKILL)
        assert _rows(_upgraded(copy)) == whole
        assert {path.name for path in copy.iterdir()} <= {"data.mdb", "journal", "lock.mdb", "opening.lock"}
        shutil.rmtree(copy)
        if process.exitcode == 0:
            break
        killed += 1
    assert 10 < killed < MOST_STEPS - 1


def _upgrade_until(store: Path, step: int) -> None:
    """Upgrade, and be killed at the step of this number that touches the store's folder."""
    done = 0

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal done
        if event in STEPS and str(store) in str(arguments[0]):
            done += 1
            if done == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    lmdb_file.upgrade(store, Converter().convert)
    os._exit(0)


def _upgraded(store: Path) -> Path:
    lmdb_file.upgrade(store, Converter().convert)
    return store


def _rows(store: Path) -> dict[bytes, bytes]:
    with lmdb_file.view(store) as view:
        return dict(view.rows(b"\x01", b"\xff"))


def test_a_former_store_that_lost_its_journal_is_not_upgraded(tmp_path: Path) -> None:
    store = unpacked("format-1", "tables", tmp_path) / HERE
    (store / "journal").unlink()
    with pytest.raises(StorageError, match="journal is missing"):
        lmdb_file.upgrade(store)


def test_an_upgraded_store_has_no_damage(tmp_path: Path) -> None:
    store = _upgraded(unpacked("format-1", "tables", tmp_path) / HERE)
    with lmdb_file.view(store) as view:
        assert list(view.damaged()) == []
        assert list(StoreCheck(view, SERVICES).problems()) == []
