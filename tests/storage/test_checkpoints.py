"""Checkpoints: states that are completely on the disk, and stay whole while others are committed."""

from __future__ import annotations

import ctypes
import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import lmdb
import pytest

from jedlik.storage.engine import StorageError
from jedlik.storage.lmdb import checkpoints, journal
from jedlik.storage.lmdb.checkpoints import Pending, is_pinned
from jedlik.storage.lmdb.committer_process import Commits
from jedlik.storage.lmdb.journal import JOURNAL, Checkpoint, Journal
from jedlik.storage.lmdb.lmdb_pages import DATA, metas, newest_meta, write_metas, write_newer_again
from testing.storage.committing import commit, committing, left_by_a_kill, records, rows, rows_of

WAIT_SECONDS = 60.0


@pytest.fixture
def when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let only the test make checkpoints."""
    monkeypatch.setattr(checkpoints, "SECONDS", 1000.0)


def fail(file: int) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def last_checkpoint(path: Path) -> Checkpoint:
    opened = Journal(path)
    try:
        return opened.checkpoint()
    finally:
        opened.close()


def overwrite(commits: Commits, times: int) -> None:
    """Overwrite the same rows again and again: most pages are freed and used again."""
    for number in range(times):
        commit(commits, {b"key %d" % key: b"%d" % number * 100 for key in range(0, 300, 7)})


@pytest.mark.usefixtures("when_told")
def test_a_checkpoint_has_the_newest_state(tmp_path: Path) -> None:
    with committing(tmp_path) as commits:
        for number in range(3):
            commit(commits, {b"key": b"%d" % number})
            commits.checkpoints.make()
            made = last_checkpoint(tmp_path)
            assert made.transaction == commits.environment.info()["last_txnid"]
            assert made.place.sequence == number + 2
            assert records(tmp_path) == []


@pytest.mark.usefixtures("when_told")
def test_without_commits_no_checkpoint_follows(tmp_path: Path) -> None:
    with committing(tmp_path) as commits:
        commit(commits, {b"key": b"1"})
        commits.checkpoints.make()
        made = last_checkpoint(tmp_path)
        commits.checkpoints.make()
        assert last_checkpoint(tmp_path) == made
    assert last_checkpoint(tmp_path) == made


@pytest.mark.usefixtures("when_told")
def test_the_pages_of_a_checkpoint_stay_unchanged_while_others_are_written(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with committing(path) as commits:
        overwrite(commits, 20)
        commits.checkpoints.make()
        expected = rows_of(commits.environment)
        made = last_checkpoint(path)
        overwrite(commits, 200)
        left = left_by_a_kill(path, tmp_path / "left")
    file = os.open(left / DATA, os.O_RDWR)
    assert metas(file) != made.metas
    write_metas(file, made.metas)
    os.close(file)
    with lmdb.open(str(left), lib_version=1, readonly=True) as environment:
        assert rows_of(environment) == expected


@pytest.mark.usefixtures("when_told")
def test_pages_are_used_again_after_two_more_checkpoints(tmp_path: Path) -> None:
    with committing(tmp_path) as commits:
        sizes = []
        for _ in range(20):
            overwrite(commits, 20)
            commits.checkpoints.make()
            sizes.append((tmp_path / DATA).stat().st_size)
        assert sizes[-1] == sizes[5]


@pytest.mark.usefixtures("when_told")
def test_a_checkpoint_knows_how_much_it_will_cover(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Much is covered soon, so that the pages that it frees are used again soon."""
    monkeypatch.setattr(checkpoints, "MANY_COMMITS", 3)
    with committing(tmp_path) as commits:
        pending = [commits.checkpoints.pending()]
        for size in (1, 1, 1, checkpoints.MANY_BYTES):
            commit(commits, {b"key": bytes(size)})
            pending.append(commits.checkpoints.pending())
            if pending[-1] is Pending.MUCH:
                commits.checkpoints.make()
                pending.append(commits.checkpoints.pending())
    little = [Pending.LITTLE] * 2
    assert pending == [Pending.NOTHING, *little, Pending.MUCH, Pending.NOTHING, Pending.MUCH, Pending.NOTHING]


@pytest.mark.usefixtures("when_told")
def test_new_pages_are_written_again_after_a_failed_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    again: list[int] = []
    with committing(tmp_path) as commits:
        commit(commits, {b"key": b"1"})
        commits.checkpoints.make()
        made = last_checkpoint(tmp_path)
        monkeypatch.setattr(checkpoints, "write_newer_again", lambda file, found, since: again.append(since))
        commit(commits, {b"key": b"2"})
        with monkeypatch.context() as failing:
            failing.setattr(os, "fdatasync", fail)
            for _ in range(2):
                with pytest.raises(OSError, match="Input/output error"):
                    commits.checkpoints.make()
        assert last_checkpoint(tmp_path) == made
        assert again == [made.transaction]
        commits.checkpoints.make()
        assert again == [made.transaction] * 2
        assert last_checkpoint(tmp_path).transaction == made.transaction + 1
        commit(commits, {b"key": b"3"})
        commits.checkpoints.make()
        assert len(again) == 2


@pytest.mark.usefixtures("when_told")
def test_a_new_committer_writes_again_what_others_may_not_have_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again: list[int] = []

    def note(file: int, found: bytes, since: int) -> None:
        again.append(since)
        write_newer_again(file, found, since)

    monkeypatch.setattr(checkpoints, "write_newer_again", note)
    with committing(tmp_path) as commits:
        before = last_checkpoint(tmp_path)
        commit(commits, {b"key": b"1"})
        begun = checkpoints.Checkpoints(tmp_path, commits.environment, Journal(tmp_path))
        begun.begin()
        assert again == [before.transaction]
        assert last_checkpoint(tmp_path).transaction == before.transaction + 1
        begun.end()


@pytest.mark.usefixtures("when_told")
def test_a_checkpoint_of_another_process_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with committing(tmp_path) as commits:
        commit(commits, {b"key": b"1"})
        other = Journal(tmp_path)
        begun = checkpoints.Checkpoints(tmp_path, commits.environment, other)
        begun.begin()
        written: list[int] = []
        pwrite = os.pwrite

        def note(file: int, data: bytes, offset: int) -> int:
            written.append(offset)
            return pwrite(file, data, offset)

        anothers = last_checkpoint(tmp_path).number
        with monkeypatch.context() as noting:
            noting.setattr(os, "pwrite", note)
            commits.checkpoints.make()
        assert written == [anothers % 2 * 4096]
        begun.end()
        other.close()


def test_checkpoints_are_made_by_themselves_and_failures_are_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "SECONDS", 0.01)
    with committing(tmp_path) as commits:
        with monkeypatch.context() as failing:
            failing.setattr(os, "fdatasync", fail)
            commit(commits, {b"key": b"1"})
            until(lambda: commits.checkpoints.failure == "[Errno 5] Input/output error")
            assert len(records(tmp_path)) == 1
        until(lambda: commits.checkpoints.failure is None)
        assert records(tmp_path) == []


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.usefixtures("when_told")
def test_a_full_journal_makes_a_checkpoint_or_refuses_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "LIMIT", 100_000)
    with committing(tmp_path) as commits:
        for number in range(20):
            commit(commits, {b"key %d" % number: bytes(10_000)})
        assert 0 < len(records(tmp_path)) < 10
        with monkeypatch.context() as failing:
            failing.setattr(os, "fdatasync", fail)
            with pytest.raises(OSError, match="Input/output error"):
                fill(commits)
        later = {key for key in rows_of(commits.environment) if key.startswith(b"later")}
        assert 0 < len(later) < 10
        commit(commits, {b"last": b"1"})
    assert rows(tmp_path).keys() == {b"key %d" % number for number in range(20)} | later | {b"last"}


def fill(commits: Commits) -> None:
    for number in range(20):
        commit(commits, {b"later %d" % number: bytes(10_000)})


@pytest.mark.usefixtures("when_told")
def test_many_records_make_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "BYTES", 50_000)
    with committing(tmp_path) as commits:
        made = last_checkpoint(tmp_path)
        for number in range(6):
            commit(commits, {b"key %d" % number: bytes(10_000)})
        until(lambda: last_checkpoint(tmp_path).number == made.number + 1)


@pytest.mark.usefixtures("when_told")
@pytest.mark.parametrize("error", [errno.EIO, errno.ENODATA, errno.ETIMEDOUT, errno.ENOSPC])
def test_a_failure_to_write_pages_early_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def answering(number: int) -> Callable[..., int]:
        def sync_file_range(*_: object) -> int:
            ctypes.set_errno(number)
            return -1

        return sync_file_range

    with committing(tmp_path) as commits:
        commit(commits, {b"key": b"1"})
        made = last_checkpoint(tmp_path)
        monkeypatch.setattr(checkpoints, "_sync_file_range", answering(error))
        with pytest.raises(OSError, match=os.strerror(error)):
            commits.checkpoints.make()
        assert last_checkpoint(tmp_path) == made
        monkeypatch.setattr(checkpoints, "_sync_file_range", answering(errno.ENOSYS))
        commits.checkpoints.make()
        assert last_checkpoint(tmp_path).number == made.number + 1


@pytest.mark.usefixtures("when_told")
def test_no_checkpoint_is_made_of_damaged_pages(tmp_path: Path) -> None:
    with committing(tmp_path / "store") as commits:
        commit(commits, {b"key": b"1"})
        left = left_by_a_kill(tmp_path / "store", tmp_path / "left")
    file = os.open(left / DATA, os.O_RDWR)
    found = metas(file)
    newest = newest_meta(found)
    assert newest is not None
    root = int.from_bytes(newest[1][136:144], "little")
    os.pwrite(file, b"\xff" * 12, root * 4096 + 12)
    with pytest.raises(StorageError, match="pages of the store are damaged"):
        write_newer_again(file, found, newest[0] - 1)
    os.close(file)


@pytest.mark.usefixtures("when_told")
def test_the_last_checkpoint_is_made_at_the_end(tmp_path: Path) -> None:
    with committing(tmp_path) as commits:
        commit(commits, {b"key": b"1"})
        assert len(records(tmp_path)) == 1
    assert records(tmp_path) == []


def test_a_committer_that_cannot_make_its_first_checkpoint_commits_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with committing(tmp_path / "store") as commits:
        commit(commits, {b"key": b"1"})
        left = left_by_a_kill(tmp_path / "store", tmp_path / "left")
    rows(left)
    monkeypatch.setattr(checkpoints.Checkpoints, "make", lambda self: fail(0))
    with pytest.raises(OSError, match="Input/output error"), committing(left):
        pass
    monkeypatch.undo()
    assert rows(left) == {b"key": b"1"}


@pytest.mark.usefixtures("when_told")
def test_a_state_is_pinned_by_readers_of_it_or_of_an_earlier_one(tmp_path: Path) -> None:
    with committing(tmp_path) as commits:
        commit(commits, {b"key": b"1"})
        commits.checkpoints.make()
        commit(commits, {b"key": b"2"})
        with commits.environment.begin() as snapshot:
            state = snapshot.id()
        assert is_pinned(commits.environment, os.getpid(), state)
        assert is_pinned(commits.environment, os.getpid(), state - 1)
        assert not is_pinned(commits.environment, os.getpid(), state - 2)
        assert not is_pinned(commits.environment, os.getppid(), state)


@pytest.mark.usefixtures("when_told")
def test_rows_survive_kills_while_the_journal_is_cut_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, size in (("TURN", 40_000), ("_MUCH", 4_000), ("_GROWTH", 2_000)):
        monkeypatch.setattr(journal, name, size)
    random, path = Random(23), tmp_path / "store"
    expected: dict[bytes, bytes] = {}
    cuts = 0
    for life in range(6):
        with committing(path) as commits:
            for _ in range(120):
                if random.random() < 0.9:
                    changes = {b"key %d" % random.randrange(50): random.randbytes(random.randrange(4_000))}
                    commit(commits, changes)
                    expected |= changes
                else:
                    commit(commits, {b"absent": None})
                before = (path / JOURNAL).stat().st_size
                if random.random() < 0.04:
                    commits.checkpoints.make()
                if random.random() < 0.3:
                    commits.checkpoints.cut_journal()
                    cuts += (path / JOURNAL).stat().st_size < before
            left = left_by_a_kill(path, tmp_path / f"left {life}")
        assert rows(left) == expected
        path = left
    assert cuts >= 6


def test_a_journal_is_cut_back_when_a_burst_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "CALM_SECONDS", 0.0)
    for name in ("TURN", "_MUCH", "_GROWTH"):
        monkeypatch.setattr(journal, name, 40_000)
    with committing(tmp_path) as commits:
        for _ in range(20):
            commit(commits, {b"key": bytes(10_000)})
        until(lambda: (tmp_path / JOURNAL).stat().st_size == 40_000)
        commit(commits, {b"key": b"last"})
    assert rows(tmp_path) == {b"key": b"last"}
