"""Opening a store: a damaged one is refused before it does harm, and a new one is whole from its first moment."""

from __future__ import annotations

import os
import resource
import struct
from multiprocessing.connection import Connection
from pathlib import Path

import lmdb
import pytest

from jedlik.storage.engine import Engine, StorageError
from jedlik.storage.lmdb import environment, lmdb_file
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
from jedlik.storage.lmdb.lmdb_pages import is_cut_short
from testing.data_folders import store_in
from testing.jedlik_process import run_jedlik
from testing.storage.engine_processes import finish, pipe, start
from testing.storage.engines import everything, increment, lmdb_durable, lmdb_forgetful, put, run

PAGE = 4096
LAST_PAGE = 144
"""The place in a meta page of the number of the last page, in bytes from its start."""


def fill(path: Path) -> Path:
    """A store of some hundred pages; the last of its file are those of a large value. Returns the file."""

    async def scenario(engine: Engine) -> None:
        await put(engine, {b"%03d" % number: bytes(1000) for number in range(300)})
        await put(engine, {b"large": bytes(10 * PAGE)})

    run(lmdb_durable, path, scenario)
    return path / "data.mdb"


# A file that has been cut short


@pytest.mark.parametrize("kept", [-1, -8, 50, 3, 2])
def test_a_file_that_was_cut_short_is_refused(tmp_path: Path, kept: int) -> None:
    data = fill(tmp_path)
    pages = data.stat().st_size // PAGE
    os.truncate(data, (kept % pages) * PAGE)
    reason = rf"^{data} has been cut short: pages that the store needs are missing at its end$"
    with pytest.raises(StorageError, match=reason):
        LmdbEngine.open(tmp_path, durable=True)
    with pytest.raises(StorageError, match=reason), lmdb_file.view(tmp_path):
        pass
    with pytest.raises(StorageError, match=reason):
        lmdb_file.compact(tmp_path)


def test_a_page_that_is_not_whole_is_missing(tmp_path: Path) -> None:
    data = fill(tmp_path)
    os.truncate(data, data.stat().st_size - 1)
    with pytest.raises(StorageError, match="has been cut short"):
        LmdbEngine.open(tmp_path, durable=True)


def test_a_file_may_lack_pages_at_its_end_that_nothing_uses(tmp_path: Path) -> None:
    data = fill(tmp_path)
    run(lmdb_forgetful, tmp_path, everything)  # Its journal has meta pages, too, which would be preferred to these.
    pages = data.stat().st_size // PAGE
    with data.open("r+b") as file:
        for meta in range(2):
            file.seek(meta * PAGE + LAST_PAGE)
            file.write(struct.pack("=Q", pages + 5))
    with lmdb.open(str(tmp_path), lib_version=1) as opened:
        assert opened.info()["last_pgno"] == pages + 5
    assert len(run(lmdb_durable, tmp_path, everything)) == 301


@pytest.mark.parametrize("content", [b"", b"not a store" * 10_000, bytes(100)], ids=["empty", "other", "short"])
def test_a_file_that_is_no_store_is_not_called_cut_short(tmp_path: Path, content: bytes) -> None:
    data = tmp_path / "data.mdb"
    data.write_bytes(content)
    assert not is_cut_short(data)


def test_the_commands_and_the_server_report_a_damaged_store_and_end(tmp_path: Path) -> None:
    data = fill(store_in(tmp_path))
    os.truncate(data, 50 * PAGE)
    reason = f"{data} has been cut short: pages that the store needs are missing at its end"
    checked = run_jedlik("check", "--data-dir", str(tmp_path))
    assert (checked.returncode, checked.stderr) == (2, f"jedlik: {reason}\n")
    served = run_jedlik("serve", "--port", "0", "--workers", "1", "--data-dir", str(tmp_path))
    assert served.returncode == 2
    assert f"cannot use the data directory {tmp_path}: {reason}" in served.stderr


# A new store


def test_a_new_store_is_alone_in_its_directory(tmp_path: Path) -> None:
    run(lmdb_durable, tmp_path, everything)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.mdb", "journal", "lock.mdb", "opening.lock"]


def test_a_store_that_could_not_be_made_is_made_later(tmp_path: Path) -> None:
    outcome, sender = pipe()
    process = start(make_on_a_full_disk, tmp_path, sender)
    refused, made = outcome.recv()
    finish(process)
    assert refused.startswith(f"cannot open the store in {tmp_path}: ")
    assert made == 1


def make_on_a_full_disk(path: Path, outcome: Connection) -> None:
    """Stand in for a full disk with a limit on the size of files, in the middle of the two meta pages."""
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (PAGE, unlimited[1]))
    try:
        LmdbEngine.open(path, durable=True)
        refused = ""
    except StorageError as error:
        refused = str(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    outcome.send((refused, run(lmdb_durable, path, lambda engine: increment(engine, b"n"))))


def test_the_lock_file_has_its_room_on_the_disk(tmp_path: Path) -> None:
    run(lmdb_durable, tmp_path, everything)
    lock = (tmp_path / "lock.mdb").stat()
    assert lock.st_size >= environment.MAX_READERS * 64
    assert lock.st_blocks * 512 >= lock.st_size
