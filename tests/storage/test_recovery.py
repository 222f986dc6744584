"""Recovery: everything committed is there, whatever the disk has of LMDB's file."""

from __future__ import annotations

import errno
import os
from contextlib import closing
from pathlib import Path
from random import Random

import lmdb
import pytest

from jedlik.storage.counters import counter_value
from jedlik.storage.engine import StorageError, stored_entry
from jedlik.storage.lmdb import checkpoints, recovery
from jedlik.storage.lmdb.changes import Transaction, write
from jedlik.storage.lmdb.checksums import kept
from jedlik.storage.lmdb.commits import take_back
from jedlik.storage.lmdb.environment import MAP_SIZE
from jedlik.storage.lmdb.journal import JOURNAL, Checkpoint, Journal
from jedlik.storage.lmdb.lmdb_pages import DATA
from jedlik.storage.lmdb.store import open_store
from testing.storage.committing import (
    PAGE,
    FullEnvironment,
    commit,
    committing,
    left_by_a_kill,
    pages,
    records,
    rows,
    write_record,
)
from testing.storage.engine_processes import other_process
from testing.storage.engines import lmdb_durable

LOG = b"log"


@pytest.fixture(autouse=True)
def checkpoints_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "SECONDS", 1000.0)


def many(number: int) -> dict[bytes, bytes]:
    return {b"key %d" % key: b"%d" % number * 100 for key in range(number, number + 50)}


def test_commits_since_the_last_checkpoint_are_there(tmp_path: Path) -> None:
    with committing(tmp_path / "store") as commits:
        commit(commits, {b"before": b"1", b"deleted": b"1"})
        commits.checkpoints.make()
        commit(commits, {b"after": b"2", b"deleted": None, b"count": 5}, [(LOG, b"one")])
        commit(commits, {b"count": -7}, [(LOG, b"two"), (LOG, b"three")])
        left = left_by_a_kill(tmp_path / "store", tmp_path / "left")
    assert len(records(left)) == 2
    expected = {b"before": b"1", b"after": b"2", b"count": counter_value(-2)}
    expected |= {
        LOG + bytes(7) + bytes([position]): stored_entry(entry, 0)
        for position, entry in ((1, b"one"), (2, b"two"), (3, b"three"))
    }
    assert rows(left) == expected
    assert records(left) == []
    assert rows(left) == expected


@pytest.mark.parametrize("seed", range(10))
def test_recovery_does_not_depend_on_writes_since_the_checkpoint(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    expected: dict[bytes, bytes] = {}
    with committing(tmp_path / "store") as commits:
        for number in range(20):
            commit(commits, many(number))
            expected |= many(number)
        commits.checkpoints.make()
        synced = pages(tmp_path / "store")
        for number in range(20, 60):
            commit(commits, many(number))
            expected |= many(number)
        left = left_by_a_kill(tmp_path / "store", tmp_path / "left")
    written = pages(left)
    synced += [random.randbytes(PAGE) for _ in written[len(synced) :]]
    kept = random.choice((0.0, 0.5, 1.0))
    (left / DATA).write_bytes(
        b"".join(new if random.random() < kept else old for old, new in zip(synced, written, strict=True))
    )
    assert rows(left) == expected


def test_meta_pages_that_are_damaged_are_written_again(tmp_path: Path) -> None:
    with committing(tmp_path / "store") as commits:
        commit(commits, many(0))
        left = left_by_a_kill(tmp_path / "store", tmp_path / "left")
    with (left / DATA).open("r+b") as file:
        file.write(os.urandom(2 * PAGE))
    assert rows(left) == many(0)


def test_an_interrupted_recovery_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with committing(tmp_path / "store") as commits:
        for number in range(20):
            commit(commits, {**many(number), b"count": 1})
        left = left_by_a_kill(tmp_path / "store", tmp_path / "left")
    written: list[None] = []

    def cut(changes: bytes, transaction: Transaction) -> None:
        if len(written) == 10:
            raise OSError(5, "cut")
        written.append(None)
        write(changes, transaction)

    with monkeypatch.context() as patched:
        patched.setattr(recovery, "write_again", cut)
        with pytest.raises(StorageError, match=r"^cannot open the store in .*: \[Errno 5\] cut$"):
            rows(left)
    assert rows(left)[b"count"] == counter_value(20)
    assert len(rows(left)) == 50 + 19 + 1


def test_a_recovery_that_fails_in_the_middle_of_a_write_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with committing(tmp_path / "store") as commits:
        for number in range(5):
            commit(commits, {b"count": 1, **many(number)})
        left = left_by_a_kill(tmp_path / "store", tmp_path / "left")
    pwrite = os.pwrite
    for spared in range(4):
        written: list[int] = []

        def write_half(file: int, data: bytes, offset: int, spared: int = spared, written: list[int] = written) -> int:
            written.append(offset)
            if len(written) == spared + 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return pwrite(file, data[: len(data) // 2] if len(written) == spared + 1 else data, offset)

        with monkeypatch.context() as patched:
            patched.setattr(os, "pwrite", write_half)
            with pytest.raises(
                StorageError, match=r"^cannot open the store in .*: \[Errno 28\] No space left on device$"
            ):
                rows(left)
        assert len(written) > spared
    assert rows(left)[b"count"] == counter_value(5)


def test_the_checkpoint_of_a_killed_process_is_synced_before_records_are_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with committing(tmp_path / "store") as commits:
        commit(commits, many(0))
        left = left_by_a_kill(tmp_path / "store", tmp_path / "left")
    confirmed: list[bool] = []
    confirm = Journal.confirm

    def note(journal: Journal) -> Checkpoint:
        confirmed.append(True)
        return confirm(journal)

    monkeypatch.setattr(Journal, "confirm", note)
    rows(left)
    assert confirmed


def test_what_changes_nothing_is_numbered_like_every_commit(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with committing(path) as commits:
        for number in range(3):
            before = commits.environment.info()["last_txnid"]
            commit(commits, {b"absent": None})
            commit(commits, {b"key": b"%d" % number})
            assert commits.environment.info()["last_txnid"] == before + 2
        left = left_by_a_kill(path, tmp_path / "left")
        expected = commits.environment.info()["last_txnid"]
    with committing(left) as again:
        assert again.environment.info()["last_txnid"] == expected
    assert rows(left) == {b"key": b"2"}


def test_commits_of_two_processes_follow_each_other_in_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "store"
    random = Random(7)
    expected = {}
    with committing(path) as here, other_process(lmdb_durable, path) as there:
        for number in range(200):
            key, value = b"%d" % random.randrange(20), b"%d" % number * random.randrange(50)
            expected[key] = value
            if random.random() < 0.5:
                commit(here, {key: value})
            else:
                there.put({key: value})
            if random.random() < 0.1:
                here.checkpoints.make()
        left = left_by_a_kill(path, tmp_path / "left")
    assert rows(left) == expected
    assert rows(path) == expected


def test_a_record_that_was_not_committed_is_taken_back_when_its_committer_has_died(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with committing(path) as commits:
        commit(commits, {b"key": b"1"})
        ghost = write_record(path, {b"ghost": b"1"})
        assert records(path)[-1] == ghost
        with closing(Journal(path)) as journal:
            take_back(commits.environment, journal)
        assert ghost not in records(path)
        left = left_by_a_kill(path, tmp_path / "left")
        commit(commits, {b"next": b"1"})
        later = left_by_a_kill(path, tmp_path / "later")
    assert rows(left) == {b"key": b"1"}
    assert rows(later) == {b"key": b"1", b"next": b"1"}


def test_a_record_whose_commit_failed_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "store"
    with committing(path) as commits:
        commit(commits, {b"key": b"1"})
        with monkeypatch.context() as failing:
            failing.setattr(commits, "environment", FullEnvironment(commits.environment))
            with pytest.raises(lmdb.DiskError):
                commit(commits, {b"ghost": b"1"})
        left = left_by_a_kill(path, tmp_path / "left")
        commit(commits, {b"next": b"1"})
        later = left_by_a_kill(path, tmp_path / "later")
    assert rows(left) == {b"key": b"1"}
    assert rows(later) == {b"key": b"1", b"next": b"1"}


def test_a_record_that_replaces_one_whose_commit_failed_is_not_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store"
    with committing(path) as commits, other_process(lmdb_durable, path) as other:
        other.put({b"theirs": b"0"})
        commit(commits, {b"key": b"1"})
        with monkeypatch.context() as failing:
            full = FullEnvironment(commits.environment, lambda: other.put({b"theirs": b"1"}))
            failing.setattr(commits, "environment", full)
            with pytest.raises(lmdb.DiskError):
                commit(commits, {b"ghost": b"1"})
        left = left_by_a_kill(path, tmp_path / "left")
    assert rows(left) == {b"key": b"1", b"theirs": b"1"}


def test_a_file_that_is_older_than_its_journal_is_refused_and_left_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with committing(path) as commits:
        commit(commits, {b"key": b"1"})
        older = left_by_a_kill(path, tmp_path / "older")
        commit(commits, {b"key": b"2"})
        commits.checkpoints.make()
        (older / JOURNAL).write_bytes((path / JOURNAL).read_bytes())
    before = (older / DATA).read_bytes()
    said = rf"^{older / DATA} is older than the journal beside it, which cannot be applied to it: the files of a store "
    with pytest.raises(StorageError, match=said):
        open_store(older, True, MAP_SIZE)
    assert (older / DATA).read_bytes() == before


def test_a_store_without_a_journal_gets_one(tmp_path: Path) -> None:
    with closing(open_store(tmp_path, False, MAP_SIZE)) as store, store.environment.begin(write=True) as transaction:
        transaction.put(b"key", kept(b"key", b"1"))
    assert rows(tmp_path) == {b"key": b"1"}
    assert records(tmp_path) == []
    with committing(tmp_path) as commits:
        commit(commits, {b"key": b"2"})
    assert rows(tmp_path) == {b"key": b"2"}


def test_nothing_is_recovered_after_a_clean_end(tmp_path: Path) -> None:
    with committing(tmp_path) as commits:
        commit(commits, {b"key": b"1"})
    before = [(tmp_path / name).read_bytes() for name in (DATA, JOURNAL)]
    assert records(tmp_path) == []
    assert rows(tmp_path) == {b"key": b"1"}
    assert [(tmp_path / name).read_bytes() for name in (DATA, JOURNAL)] == before
