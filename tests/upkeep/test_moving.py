"""Stores from before there were accounts: an upgrade moves them to an account, even if it is killed."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jedlik.cli import main as program
from jedlik.process.services import SERVICES
from jedlik.storage.lmdb import lmdb_file
from jedlik.upkeep.check import StoreCheck
from testing.data_folders import store_in
from testing.dynamodb.definitions import create
from testing.jedlik_process import Server, run_jedlik

StartServer = Callable[..., Server]

OWN, OTHER = "000000000000", "222222222222"
REGIONS = ("eu-west-1", "us-east-1")
STEPS = ("open", "os.mkdir", "os.rename", "os.remove", "os.link")
"""The system calls at which an upgrade is killed, by the names of Python's audit events. Opening a file for
reading is no step: it changes nothing."""
MOST_STEPS = 500


@pytest.fixture
def former(start_server: StartServer, tmp_path: Path) -> Path:
    """A data folder as it was before there were accounts, with a table of the same name in two regions."""
    server = start_server(seal_tables=False)
    for region in REGIONS:
        create(server.client(region=region), TableName="songs")
        server.client(region=region).put_item(TableName="songs", Item={"p": {"S": region}})
    server.stop()
    data = tmp_path / "data"
    for region in REGIONS:
        store_in(data, region).rename(data / region)
    shutil.rmtree(data / "accounts")
    return data


def refused(data: Path) -> str:
    return (
        f"the stores in {data} are where they were before there were accounts: "
        "stop all servers, copy the folder, and run `jedlik upgrade`"
    )


def served(start_server: StartServer, data: Path, account: str = OWN) -> None:
    """Both regions have what was written."""
    server = start_server(data_dir=data, account=account)
    for region in REGIONS:
        assert server.client(region=region).scan(TableName="songs")["Items"] == [{"p": {"S": region}}]
    server.stop()


def test_the_former_layout_is_refused_by_server_and_commands_until_it_is_upgraded(
    start_server: StartServer, former: Path
) -> None:
    with pytest.raises(AssertionError) as ended:
        start_server()
    assert f"cannot use the data directory {former}: {refused(former)}" in str(ended.value)
    for command in ("check", "stats", "compact"):
        tried = run_jedlik(command, "--data-dir", str(former))
        assert (tried.returncode, tried.stderr) == (2, f"jedlik: {refused(former)}\n")
    assert sorted(path.name for path in former.iterdir() if path.is_dir()) == list(REGIONS)
    one = run_jedlik("upgrade", "--data-dir", str(former), "--region", "us-east-1")
    assert one.stdout.endswith(f"us-east-1: moved to {store_in(former)}\n")
    assert (former / "eu-west-1").exists()
    rest = run_jedlik("upgrade", "--data-dir", str(former))
    assert rest.returncode == 0
    assert [line for line in rest.stdout.splitlines() if "moved" in line] == [
        f"eu-west-1: moved to {store_in(former, 'eu-west-1')}"
    ]
    again = run_jedlik("upgrade", "--data-dir", str(former))
    assert (again.returncode, again.stdout.count("nothing to do"), again.stdout.count("moved")) == (0, 2, 0)
    served(start_server, former)


def test_stores_go_to_the_account_of_their_tables_and_no_other(start_server: StartServer, former: Path) -> None:
    wrong = run_jedlik("upgrade", "--data-dir", str(former), "--account", OTHER)
    assert (wrong.returncode, wrong.stderr) == (
        2,
        f"jedlik: the tables in {former / 'eu-west-1'} are of account {OWN}, and not of {OTHER}: "
        f"name it with --account {OWN}\n",
    )
    right = run_jedlik("upgrade", "--data-dir", str(former), "--account", OWN, JEDLIK_ACCOUNT=OTHER)
    assert right.returncode == 0
    assert f"{OWN}/us-east-1: moved to {store_in(former)}\n" in right.stdout
    served(start_server, former)


def test_nothing_is_moved_over_another_store(former: Path) -> None:
    shutil.copytree(former / "us-east-1", store_in(former))
    tried = run_jedlik("upgrade", "--data-dir", str(former))
    assert (tried.returncode, tried.stderr) == (
        2,
        f"jedlik: there is a store in {former / 'us-east-1'} and one in {store_in(former)}: move one of them away\n",
    )
    assert (former / "us-east-1" / "data.mdb").exists()


def test_moving_may_be_killed_at_every_step(start_server: StartServer, former: Path, tmp_path: Path) -> None:
    places = set()
    for step in range(1, MOST_STEPS):
        data = shutil.copytree(former, tmp_path / "killed" / "data")
        code = upgraded(data, step)
        assert code in (0, -signal.SIGKILL)
        places.add(tuple(stores_in(data)))
        assert upgraded(data) == 0
        assert stores_in(data) == [f"accounts/{OWN}/regions/{region}" for region in REGIONS]
        for region in REGIONS:
            with lmdb_file.view(store_in(data, region)) as view:
                assert list(StoreCheck(view, SERVICES).problems()) == []
        if code == 0:
            break
        shutil.rmtree(data)
    shutil.copy(f"{former}.root-key", f"{data}.root-key")  # It is kept beside the folder.
    served(start_server, data)
    assert step > 10
    assert len(places) == 3, "it was killed before, between and after the moves of the two stores"


def upgraded(data: Path, until: int | None = None) -> int | None:
    """Upgrade a data folder in a process of its own, which is killed at step `until`; how that has ended."""
    process = multiprocessing.get_context("fork").Process(target=_upgrade, args=(data, until))
    process.start()
    process.join(60)
    return process.exitcode


def _upgrade(data: Path, until: int | None) -> None:
    done = 0

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal done
        reads = event == "open" and not int(str(arguments[2])) & (os.O_WRONLY | os.O_RDWR)
        if event in STEPS and not reads and f"{data}/" in str(arguments[0]):
            done += 1
            if done == until:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    program(["upgrade", "--data-dir", str(data)])


def stores_in(data: Path) -> list[str]:
    return sorted(str(path.parent.relative_to(data)) for path in data.rglob("data.mdb"))
