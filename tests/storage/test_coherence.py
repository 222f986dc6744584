"""Stores with a damaged file, or with a file of another store: refused before anything is written, and whole with the
right files.

The remains of a power cut are no damage: `torture` and tests/crash try them.
"""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from jedlik.storage.engine import StorageError
from jedlik.storage.lmdb import checkpoints, lmdb_file
from jedlik.storage.lmdb import journal as journal_module
from jedlik.storage.lmdb.checksums import kept
from jedlik.storage.lmdb.coherence import DamagedStore
from jedlik.storage.lmdb.committer_process import Commits
from jedlik.storage.lmdb.environment import MAP_SIZE
from jedlik.storage.lmdb.journal import JOURNAL, Journal, Record
from jedlik.storage.lmdb.lmdb_pages import DATA, metas, transaction_of, write_metas
from jedlik.storage.lmdb.salvage import salvaging
from jedlik.storage.lmdb.store import open_store
from testing.storage.committing import commit, committing, left_by_a_kill, records, rows

HINT = (
    ". Nothing has been changed: put back the file that belongs there, or have `jedlik check --recover-damaged` keep "
    "what can be kept"
)
SLOT = 4096
HEAD = 24
PUTS = 60
Files = dict[str, bytes]


@pytest.fixture(autouse=True)
def checkpoints_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "SECONDS", 1000.0)


def numbered(first: int, last: int) -> dict[bytes, bytes]:
    return {b"%03d" % number: b"value %d" % number for number in range(first, last)}


def put(commits: Commits, first: int, last: int) -> None:
    for key, value in numbered(first, last).items():
        commit(commits, {key: value})


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A store with a checkpoint and sixty records behind it, as a kill leaves it."""
    with committing(tmp_path / "running") as commits:
        put(commits, 0, 5)
        commits.checkpoints.make()
        put(commits, 5, PUTS)
        return left_by_a_kill(tmp_path / "running", tmp_path / "store")


def read(path: Path) -> Files:
    return {name: (path / name).read_bytes() for name in (DATA, JOURNAL) if (path / name).exists()}


def written(path: Path) -> list[Record]:
    with closing(Journal(path)) as journal:
        return list(journal.records())


def lose_power(path: Path) -> None:
    """Put back LMDB's meta pages of the last checkpoint: everything after it was never written to the disk."""
    with closing(Journal(path)) as journal, (path / DATA).open("r+b") as file:
        write_metas(file.fileno(), journal.checkpoint().metas)


def change(path: Path, offset: int, data: bytes) -> None:
    with (path / JOURNAL).open("r+b") as file:
        file.seek(offset)
        file.write(data)


def flip(path: Path, offset: int, bit: int = 6) -> None:
    content = (path / JOURNAL).read_bytes()
    change(path, offset, bytes([content[offset] ^ 1 << bit]))


def rows_or_refusal(path: Path) -> tuple[dict[bytes, bytes], str | None]:
    """The content of a store, or the reason why it is refused."""
    try:
        return rows(path), None
    except DamagedStore as error:
        return {}, str(error)


def refusal(path: Path) -> str:
    """The reason why a store is refused. The refusal changes nothing."""
    before = read(path)
    with pytest.raises(DamagedStore) as refused:
        open_store(path, True, MAP_SIZE)
    assert read(path) == before
    said = str(refused.value)
    assert said.endswith(HINT)
    return said.removesuffix(HINT)


# Records


@pytest.mark.parametrize("power_lost", [False, True], ids=["killed", "power lost"])
@pytest.mark.parametrize("number", [0, 1, 30, 53])
@pytest.mark.parametrize("field", [0, 4, 6, 8, 15, 16, 20, HEAD, HEAD + 10])
def test_a_flipped_bit_with_a_whole_record_behind_it_is_damage(
    killed: Path, number: int, field: int, power_lost: bool
) -> None:
    found = written(killed)
    assert len(found) == 55
    whole = read(killed)
    place = found[number].place
    if power_lost:
        lose_power(killed)
    flip(killed, place.offset + field)
    assert refusal(killed) == (
        f"{killed / JOURNAL} is damaged at offset {place.offset}: record {place.sequence} cannot be read, and "
        f"{54 - number} later one{'s' * (number < 53)} can, up to record {found[-1].place.sequence}. "
        "What they held was acknowledged"
    )
    (killed / JOURNAL).write_bytes(whole[JOURNAL])
    assert rows(killed) == numbered(0, PUTS)


def test_a_flipped_bit_in_the_last_record_is_found_as_lmdb_has_its_commit(killed: Path) -> None:
    last = written(killed)[-1].place
    flip(killed, last.offset + HEAD)
    assert refusal(killed) == (
        f"{killed / DATA} has had 55 commits since the last checkpoint in the journal beside it, which has 54 records: "
        f"the journal is an older one, or damaged at offset {last.offset} (record {last.sequence}). "
        "What it lacks was acknowledged"
    )


def test_damage_to_the_last_record_looks_like_a_power_cut(killed: Path) -> None:
    last = written(killed)[-1].place
    lose_power(killed)
    flip(killed, last.offset + HEAD)
    assert rows(killed) == numbered(0, PUTS - 1)


@pytest.mark.parametrize("content", [bytes(512), bytes(range(256)) * 2], ids=["zeros", "garbage"])
def test_a_lost_sector_is_damage_however_many_records_it_held(killed: Path, content: bytes) -> None:
    found = written(killed)
    place = found[10].place
    lose_power(killed)
    change(killed, place.offset, content)
    gone = [record.place for record in found[10:] if record.place.offset < place.offset + 512]
    assert len(gone) > 3
    assert refusal(killed).startswith(
        f"{killed / JOURNAL} is damaged at offset {place.offset}: record {place.sequence} to {gone[-1].sequence} "
        f"cannot be read, and {45 - len(gone)} later ones can, up to record "
    )


def test_records_that_continue_at_the_beginning_are_found_behind_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "TURN", 20_000)
    path = tmp_path / "running"
    with committing(path) as commits:
        for number in range(30):
            commit(commits, {b"%03d" % number: bytes(500)})
        commits.checkpoints.make()
        for number in range(30, 40):
            commit(commits, {b"%03d" % number: bytes(500)})
        left = left_by_a_kill(path, tmp_path / "left")
    found = written(left)
    turned = next(record for record in found if record.following.offset == 2 * SLOT)
    assert turned is not found[-1]
    lose_power(left)
    flip(left, turned.place.offset + HEAD)
    assert f"record {turned.place.sequence} cannot be read" in refusal(left)
    flip(left, turned.place.offset + HEAD)
    assert len(rows(left)) == 40


def test_records_of_an_earlier_lap_are_not_later_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "TURN", 20_000)
    path = tmp_path / "running"
    with committing(path) as commits:
        for number in range(100):
            commit(commits, {b"key": b"%d" % number * 200})
            if number % 5 == 0:
                commits.checkpoints.make()
        commits.checkpoints.make()
        commit(commits, {b"key": b"last"})
        left = left_by_a_kill(path, tmp_path / "left")
    lose_power(left)
    [last] = written(left)
    flip(left, last.place.offset)
    assert rows(left) == {b"key": b"99" * 200}


# Checkpoints


def test_a_damaged_checkpoint_is_refused_unless_it_was_the_older_one_with_nothing_since(killed: Path) -> None:
    with closing(Journal(killed)) as journal:
        last = journal.checkpoint().number % 2 * SLOT
    for slot in (last, SLOT - last):
        flip(killed, slot + 100)
        said = refusal(killed)
        assert str(killed / JOURNAL) in said
        flip(killed, slot + 100)
    assert rows(killed) == numbered(0, PUTS)
    with closing(Journal(killed)) as journal:
        older = (journal.checkpoint().number + 1) % 2 * SLOT
    flip(killed, older + 100)
    assert rows(killed) == numbered(0, PUTS)


# Files of other times and stores


@pytest.fixture
def times(tmp_path: Path) -> list[tuple[Files, dict[bytes, bytes]]]:
    """The files of a store at several times, and its content then: two kills in one life, one after a recovery, a clean
    end, and a kill after that."""
    kept: list[tuple[Files, dict[bytes, bytes]]] = []
    path = tmp_path / "running"

    def keep(last: int) -> Path:
        left = left_by_a_kill(path, tmp_path / f"left-{last}")
        kept.append((read(left), numbered(0, last)))
        return left

    with committing(path) as commits:
        put(commits, 0, 5)
        commits.checkpoints.make()
        put(commits, 5, 20)
        keep(20)
        put(commits, 20, 25)
        left = keep(25)
    shutil.rmtree(path)
    shutil.copytree(left, path)
    with committing(path) as commits:
        put(commits, 25, 30)
        keep(30)
        put(commits, 30, 35)
    keep(35)
    with committing(path) as commits:
        put(commits, 35, 40)
        keep(40)
    return kept


def test_a_file_of_another_time_is_refused_or_the_store_has_everything(
    tmp_path: Path, times: list[tuple[Files, dict[bytes, bytes]]]
) -> None:
    mixed = tmp_path / "mixed"
    refused = 0
    for data, (files, held) in enumerate(times):
        for journal, (others, newer) in enumerate(times):
            shutil.rmtree(mixed, ignore_errors=True)
            mixed.mkdir()
            (mixed / DATA).write_bytes(files[DATA])
            (mixed / JOURNAL).write_bytes(others[JOURNAL])
            before = read(mixed)
            found, said = rows_or_refusal(mixed)
            if said is None:
                assert found == (newer if journal > data else held), (data, journal)
            else:
                assert data != journal
                assert read(mixed) == before
                assert str(mixed / DATA) in said
                refused += 1
            (mixed / JOURNAL).write_bytes(files[JOURNAL])
            (mixed / DATA).write_bytes(files[DATA])
            assert rows(mixed) == held
    # Out of twenty. A newer journal continues older data if there was no checkpoint between them: that happens twice.
    assert refused == 18


@pytest.mark.parametrize("name", [DATA, JOURNAL])
def test_a_file_of_another_store_is_refused(tmp_path: Path, killed: Path, name: str) -> None:
    with committing(tmp_path / "other") as commits:
        put(commits, 0, 5)
        commits.checkpoints.make()
        put(commits, 5, PUTS)
        other = left_by_a_kill(tmp_path / "other", tmp_path / "left")
    right = (killed / name).read_bytes()
    shutil.copy(other / name, killed / name)
    assert refusal(killed) == (
        f"{killed / DATA} is damaged, or not the file that the journal beside it belongs to: the files of a store "
        "belong together"
    )
    (killed / name).write_bytes(right)
    assert rows(killed) == numbered(0, PUTS)


def test_a_new_store_refuses_anothers_file(tmp_path: Path) -> None:
    for name in ("one", "other"):
        with committing(tmp_path / f"running-{name}") as commits:
            put(commits, 0, 5)
            left_by_a_kill(tmp_path / f"running-{name}", tmp_path / name)
    shutil.copy(tmp_path / "other" / DATA, tmp_path / "one" / DATA)
    assert "belongs to" in refusal(tmp_path / "one")


def test_a_store_without_its_journal_is_refused(tmp_path: Path, killed: Path) -> None:
    journal = (killed / JOURNAL).read_bytes()
    (killed / JOURNAL).unlink()
    missing = f"{killed / JOURNAL} is missing: the store has had one, with its last writes"
    assert refusal(killed) == missing
    with pytest.raises(DamagedStore), lmdb_file.view(killed):
        pass
    assert not (killed / JOURNAL).exists()
    (killed / JOURNAL).write_bytes(journal)
    assert rows(killed) == numbered(0, PUTS)
    with committing(tmp_path / "new"):
        pass
    (tmp_path / "new" / JOURNAL).unlink()
    assert "is missing" in refusal(tmp_path / "new")


def test_a_journal_without_its_store_is_refused(killed: Path) -> None:
    (killed / DATA).unlink()
    assert refusal(killed) == f"{killed / DATA} is missing, and its journal is there"


@pytest.mark.parametrize("size", [0, 100, SLOT + 100, 2 * SLOT, 2 * SLOT + 1000])
def test_a_journal_that_was_cut_short_is_refused(killed: Path, size: int) -> None:
    whole = (killed / JOURNAL).read_bytes()
    (killed / JOURNAL).write_bytes(whole[:size])
    assert "journal" in refusal(killed)
    (killed / JOURNAL).write_bytes(whole)
    assert rows(killed) == numbered(0, PUTS)


# What was there before


def old_fresh(path: Path) -> None:
    """Rewrite a journal as an earlier version began one: with one checkpoint, and records from number 0."""
    with (path / JOURNAL).open("r+b") as file:
        file.seek(SLOT)
        file.write(bytes(SLOT))


def test_a_journal_that_an_earlier_version_has_begun_is_read(tmp_path: Path) -> None:
    with closing(open_store(tmp_path, False, MAP_SIZE)) as store, store.environment.begin(write=True) as transaction:
        transaction.put(b"key", kept(b"key", b"1"))
    with (tmp_path / DATA).open("rb") as file:
        found = metas(file.fileno())
    Journal.make(tmp_path, transaction_of(found), found)
    old_fresh(tmp_path)
    assert rows(tmp_path) == {b"key": b"1"}
    assert records(tmp_path) == []
    with committing(tmp_path) as commits:
        commit(commits, {b"key": b"2"})
        left = left_by_a_kill(tmp_path, tmp_path / "left")
    assert rows(left) == {b"key": b"2"}


def test_a_journal_of_a_later_version_is_refused_and_none_of_it_given_up(killed: Path) -> None:
    content = bytearray((killed / JOURNAL).read_bytes())
    content[4] = content[SLOT + 4] = 3
    (killed / JOURNAL).write_bytes(content)
    files = read(killed)
    refused = rf"^{killed / JOURNAL} has form 3, and this version of Jedlik reads form 1 to 2$"
    with pytest.raises(StorageError, match=refused):
        rows(killed)
    with pytest.raises(StorageError, match=refused), salvaging(killed) as salvage:
        next(salvage.attempts())
    assert read(killed) == files


def test_a_journal_that_the_disk_cannot_read_is_refused(killed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading it through a map would end the process."""

    def fail(file: int, buffers: object, offset: int) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as failing:
        failing.setattr(os, "preadv", fail)
        with pytest.raises(StorageError, match=rf"^cannot open the store in {killed}: .*Input/output error$"):
            rows(killed)
    assert rows(killed) == numbered(0, PUTS)


@pytest.mark.parametrize("root", [1 << 52, 1 << 63, (1 << 64) - 2])
def test_a_root_that_no_file_can_have_is_damage(tmp_path: Path, root: int) -> None:
    with committing(tmp_path) as commits:
        put(commits, 0, 5)
    (tmp_path / JOURNAL).unlink()
    data = bytearray((tmp_path / DATA).read_bytes())
    for page in (0, 4096):
        data[page + 136 : page + 144] = root.to_bytes(8, "little")
    (tmp_path / DATA).write_bytes(data)
    with pytest.raises(DamagedStore, match=rf"^{tmp_path / DATA} is damaged, or a journal is missing beside it: page"):
        rows(tmp_path)


def test_a_store_that_an_earlier_version_compacted_gets_a_journal(killed: Path) -> None:
    expected = rows(killed)
    copy = killed / "copy"
    with lmdb_file.opened_for_reading(killed) as environment:
        lmdb_file._write_copy(environment, copy)
    (killed / JOURNAL).unlink()
    copy.replace(killed / DATA)
    assert rows(killed) == expected
