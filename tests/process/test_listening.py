"""The resources that a server takes before it serves, and the processes that may delay it."""

from __future__ import annotations

import fcntl
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jedlik.aws.shapes import service_model
from jedlik.dynamodb.request_shapes import DYNAMODB
from jedlik.process.listeners import MEMORY_PREFIX, sweep_memory_folders
from jedlik.process.services import read_models
from testing.jedlik_process import PATIENCE


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files, with the remains of a killed server in memory."""
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    memory_folder(tmp_path, "dead")
    return tmp_path


def memory_folder(temporary: Path, name: str) -> Path:
    folder = temporary / f"{MEMORY_PREFIX}{name}"
    folder.mkdir()
    (folder / "lock").touch()
    return folder


def sweep() -> None:
    with ThreadPoolExecutor(1) as threads:
        threads.submit(sweep_memory_folders).result(PATIENCE)


def test_remains_of_killed_servers_are_removed_and_files_in_use_stay(temporary: Path) -> None:
    folder = memory_folder(temporary, "alive")
    with (folder / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sweep()
    assert list(temporary.iterdir()) == [folder]


def test_a_pipe_in_place_of_a_lock_delays_no_server(temporary: Path) -> None:
    folder = temporary / f"{MEMORY_PREFIX}pipe"
    folder.mkdir()
    os.mkfifo(folder / "lock")
    try:
        sweep()
    finally:
        if (folder / "lock").exists():  # Or the thread waits for ever.
            os.close(os.open(folder / "lock", os.O_RDWR | os.O_NONBLOCK))
    assert not (temporary / f"{MEMORY_PREFIX}dead").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
def test_nothing_in_another_users_folder_is_touched(temporary: Path) -> None:
    folder = memory_folder(temporary, "elsewhere")
    os.chown(folder, 12345, 12345)
    sweep()
    assert list(temporary.iterdir()) == [folder]
    assert (folder / "lock").exists()


def test_the_model_of_dynamodb_is_read_before_workers_are_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    service_model.model.cache_clear()
    read_models()
    monkeypatch.delattr(service_model, "read")
    assert "GetItem" in service_model.model(DYNAMODB).operations
