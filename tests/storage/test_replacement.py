"""Replacing a store's files: wherever it is interrupted, the old one or the new one is there."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import lmdb
import pytest

from jedlik.storage.lmdb import replacement
from jedlik.storage.lmdb.checksums import kept
from jedlik.storage.lmdb.coherence import DamagedStore
from jedlik.storage.lmdb.environment import MAP_SIZE
from jedlik.storage.lmdb.journal import JOURNAL
from jedlik.storage.lmdb.lmdb_pages import DATA
from testing.storage.committing import commit, committing, records, rows

STEPS = 4
"""Syncs of the folder when no remains of an earlier attempt are there: each follows a step."""


def prepared(path: Path) -> Path:
    """A store, and a copy in its folder that is to replace it."""
    with committing(path) as commits:
        commit(commits, {b"key": b"old"})
    copy = path / "copy"
    shutil.copy(path / DATA, copy)
    with (
        lmdb.open(str(copy), map_size=MAP_SIZE, subdir=False, lock=False, lib_version=1) as environment,
        environment.begin(write=True) as transaction,
    ):
        transaction.put(b"key", kept(b"key", b"new"))
    return copy


def cut_off_after(step: int) -> Callable[[list[Path]], None]:
    done: list[list[Path]] = []

    def sync(directories: list[Path]) -> None:
        done.append(directories)
        if len(done) == step:
            raise OSError(5, "cut")

    return sync


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_an_interrupted_replacement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    copy = prepared(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(replacement, "sync_directories", cut_off_after(step))
        with pytest.raises(OSError, match="cut"):
            replacement.replace(tmp_path, copy)
    assert rows(tmp_path) == {b"key": b"old" if step < 3 else b"new"}
    assert records(tmp_path) == []
    assert not list(tmp_path.glob("*.next"))


def test_a_replacement(tmp_path: Path) -> None:
    replacement.replace(tmp_path, prepared(tmp_path))
    assert rows(tmp_path) == {b"key": b"new"}
    with committing(tmp_path) as commits:
        commit(commits, {b"key": b"newer"})
    assert rows(tmp_path) == {b"key": b"newer"}


def test_a_file_that_does_not_belong_to_the_journal_is_not_used(tmp_path: Path) -> None:
    prepared(tmp_path)
    before = (tmp_path / DATA).read_bytes(), (tmp_path / JOURNAL).read_bytes()
    (tmp_path / "copy").rename(tmp_path / f"{DATA}.next")
    with pytest.raises(DamagedStore, match=r"data.mdb.next is not the file that the journal beside it belongs to"):
        rows(tmp_path)
    assert ((tmp_path / DATA).read_bytes(), (tmp_path / JOURNAL).read_bytes()) == before
    (tmp_path / f"{DATA}.next").unlink()
    assert rows(tmp_path) == {b"key": b"old"}
