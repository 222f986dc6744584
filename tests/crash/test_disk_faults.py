"""A disk that fails for a while: writes are refused, reads are answered, and nothing is lost when it is over."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from jedlik.storage.lmdb.lmdb_pages import DATA
from testing.jedlik_process import Server, eventually
from torture import faults
from torture.disk import Disk, Failing, Fault
from torture.expected import make_table
from torture.writers import COUNTER, TABLE


def test_a_server_keeps_serving_while_its_disk_fails_and_afterwards(disk: Disk, random: Random) -> None:
    some = [random.choice(faults.FOR_A_WHILE), random.choice(faults.ONCE)]
    done = faults.run(disk, random, 0, print, some)
    assert done.faults == len(some)
    assert done.failed >= len(some)
    assert done.answers >= 2 * faults.ANSWERS * done.faults


def test_a_small_file_system_that_is_really_full(tmp_path: Path, random: Random) -> None:
    done = faults.fill(tmp_path, random, print)
    if done.faults == 0:
        pytest.skip("a file system can be mounted by root only")
    assert done.refused
    assert done.answers >= 2 * faults.ANSWERS * done.faults


def test_a_worker_that_starts_while_the_disk_fails_answers_reads(
    disk: Disk, start_server: Callable[..., Server]
) -> None:
    server = start_server(disk.environment, data_dir=disk.data_dir, workers=2)
    make_table(server.client())
    server.client().put_item(TableName=TABLE, Item=COUNTER)
    server.restart()  # A process that starts opens the stores that exist.
    eventually(lambda: [has_open(pid, DATA) for pid in server.workers()] == [True, True])
    first, second = server.workers()
    with disk.failing(Fault("nothing can be synced", Failing.DURABLE_WRITES | Failing.SYNCS)):
        os.kill(first, signal.SIGKILL)
        eventually(lambda: bool(server.workers() - {first, second}))
        [new] = server.workers() - {first, second}
        eventually(lambda: has_open(new, DATA) or new not in server.workers())
        for _ in range(20):  # Each on its own connection, so that both workers get requests.
            assert server.client().get_item(TableName=TABLE, Key=COUNTER)["Item"] == COUNTER
    assert server.workers() == {second, new}


def has_open(pid: int, name: str) -> bool:
    """Whether a process has mapped a file of that name."""
    try:
        return f"/{name}\n" in Path(f"/proc/{pid}/maps").read_text()
    except FileNotFoundError:
        return False
