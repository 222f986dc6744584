"""The journal: which records are found again, and what several processes know of each other's records."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jedlik.storage.engine import StorageError
from jedlik.storage.lmdb import journal as journal_module
from jedlik.storage.lmdb.journal import JOURNAL, Journal, Place, first_place
from jedlik.storage.lmdb.lmdb_pages import METAS_SIZE
from testing.storage.committing import records

METAS = bytes(METAS_SIZE)
OTHER_METAS = b"\x01" * METAS_SIZE
SLOT = 4096
FIRST = 2 * SLOT
HEAD = 24
"""Bytes of a record before its changes."""


class Writer:
    """Writes records one after the other, as a committer does."""

    def __init__(self, folder: Path) -> None:
        self.journal = Journal(folder)
        self.place = self.journal.confirm().place

    def write(self, changes: bytes) -> bool:
        """Write a record if there is room for it."""
        if not self.journal.has_room(self.place, len(changes)):
            return False
        following = self.journal.following(self.place, len(changes))
        self.journal.append(self.place, changes, following)
        self.place = following
        return True

    def checkpoint(self, transaction: int = 1) -> None:
        """Release the records that were written so far."""
        self.journal.write_checkpoint(transaction, METAS, self.place)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    Journal.make(tmp_path, 1, METAS)
    made = Writer(tmp_path)
    yield made
    made.journal.close()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


def make_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a journal turn at 20,000 bytes, and hold 30,000."""
    monkeypatch.setattr(journal_module, "TURN", 20_000)
    monkeypatch.setattr(journal_module, "LIMIT", 30_000)
    monkeypatch.setattr(journal_module, "_GROWTH", 512)
    monkeypatch.setattr(journal_module, "_MUCH", 2_000)


def change(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def lengthen(writer: Writer) -> int:
    """Write records without a checkpoint until the journal is long, and return the last one's transaction."""
    transaction = writer.journal.checkpoint().transaction
    while not writer.journal.is_long:
        assert writer.write(bytes(1000))
        transaction += 1
    return transaction


# Records


def test_records_are_found_in_their_order(writer: Writer, tmp_path: Path) -> None:
    written = [b"one", b"", b"three" * 1000]
    for record in written:
        assert writer.write(record)
    assert records(tmp_path) == written


def test_records_before_a_checkpoint_are_not_records(writer: Writer, tmp_path: Path) -> None:
    writer.write(b"before")
    writer.checkpoint(2)
    assert records(tmp_path) == []
    writer.write(b"after")
    assert records(tmp_path) == [b"after"]
    checkpoint = writer.journal.checkpoint()
    assert (checkpoint.number, checkpoint.transaction, checkpoint.metas) == (2, 2, METAS)


def test_a_record_that_was_taken_back_is_not_found_and_the_next_one_takes_its_place(
    writer: Writer, tmp_path: Path
) -> None:
    writer.write(b"kept")
    place = writer.place
    writer.write(b"taken back, and longer than the next")
    writer.journal.retract(place)
    assert records(tmp_path) == [b"kept"]
    assert not writer.journal.has_record(place)
    writer.place = place
    writer.write(b"next")
    assert records(tmp_path) == [b"kept", b"next"]


def test_a_changed_byte_ends_the_records(writer: Writer, tmp_path: Path) -> None:
    for record in (b"one", b"two", b"three"):
        writer.write(record)
    written = (tmp_path / JOURNAL).read_bytes()
    begin = FIRST + HEAD + len(b"one")
    for offset in range(begin, begin + HEAD + len(b"two")):
        change(tmp_path / JOURNAL, offset, bytes([written[offset] ^ 0x40]))
        assert records(tmp_path) == [b"one"], offset
        change(tmp_path / JOURNAL, offset, written[offset : offset + 1])
    assert records(tmp_path) == [b"one", b"two", b"three"]


def test_a_record_that_is_cut_short_does_not_count(writer: Writer, tmp_path: Path) -> None:
    writer.write(b"one")
    writer.write(b"two")
    end = FIRST + 2 * (HEAD + 3)
    for size in (end - 1, end - 3, end - HEAD, end - HEAD - 3):
        os.truncate(tmp_path / JOURNAL, size)
        assert records(tmp_path) == [b"one"], size


def test_records_of_another_life_do_not_count(writer: Writer, tmp_path: Path) -> None:
    for record in (b"one", b"two"):
        writer.write(record)
    writer.journal.write_checkpoint(2, METAS, first_place())
    assert records(tmp_path) == []


def test_a_record_that_could_not_be_written_does_not_count(
    writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.write(b"one")
    place = writer.place
    with monkeypatch.context() as patched:
        pwrite = os.pwrite

        def fill_up(file: int, data: bytes, offset: int) -> int:
            if offset > place.offset:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return pwrite(file, data[: max(HEAD, len(data) // 2)], offset)

        patched.setattr(os, "pwrite", fill_up)
        with pytest.raises(OSError, match="No space left on device"):
            writer.write(b"two" * 100)
    assert records(tmp_path) == [b"one"]
    assert writer.place == place
    writer.write(b"three")
    assert records(tmp_path) == [b"one", b"three"]


@pytest.mark.parametrize("most", [1, 10, 100])
def test_what_is_written_in_parts_is_written_whole(
    writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    pwrite = os.pwrite
    with monkeypatch.context() as patched:
        patched.setattr(journal_module, "_GROWTH", 512)
        patched.setattr(os, "pwrite", lambda file, data, offset: pwrite(file, data[:most], offset))
        writer.write(b"one" * 100)
        writer.checkpoint(2)
        writer.write(b"two" * 100)
    assert records(tmp_path) == [b"two" * 100]


def test_nothing_that_can_be_written_is_a_full_disk(
    writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "pwrite", lambda file, data, offset: 0)
    with pytest.raises(OSError, match="No space left on device"):
        writer.write(b"one")


# The lap


@pytest.mark.usefixtures("small")
def test_a_journal_starts_again_when_the_checkpoint_is_far_enough(writer: Writer, tmp_path: Path) -> None:
    for number in range(50):
        record = bytes([number]) * 1000
        assert writer.write(record)
        assert records(tmp_path)[-1:] == [record]
        writer.checkpoint()
    assert (tmp_path / JOURNAL).stat().st_size <= 20_000 + HEAD + 1000 + 512


@pytest.mark.usefixtures("small")
def test_a_journal_without_checkpoints_is_full_at_its_limit(writer: Writer, tmp_path: Path) -> None:
    written = 0
    while writer.write(bytes(100)):
        written += 1
        assert written < 1000
    assert written == 30_000 // (HEAD + 100)
    assert records(tmp_path) == [bytes(100)] * written
    writer.checkpoint()
    assert writer.write(bytes(100))


@pytest.mark.usefixtures("small")
def test_a_journal_that_started_again_does_not_overwrite_its_checkpoint(writer: Writer, tmp_path: Path) -> None:
    for _ in range(10):
        writer.write(bytes(1000))
    writer.checkpoint()
    behind = []
    for number in range(100):
        record = bytes([number]) * 1000
        if not writer.write(record):
            break
        behind.append(record)
    assert writer.place.offset <= writer.journal.checkpoint().place.offset
    assert records(tmp_path) == behind


@pytest.mark.usefixtures("small")
def test_an_empty_journal_has_room_for_any_record(writer: Writer, tmp_path: Path) -> None:
    for _ in range(3):
        assert writer.write(bytes(50_000))
        assert not writer.write(bytes(50_000))
        assert records(tmp_path) == [bytes(50_000)]
        writer.checkpoint()


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 1 << 32))
def test_records_after_the_last_checkpoint_are_always_found(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    random = Random(seed)
    folder = tmp_path_factory.mktemp("journal")
    with pytest.MonkeyPatch.context() as patched:
        make_small(patched)
        Journal.make(folder, 1, METAS)
        writer = Writer(folder)
        behind: list[bytes] = []
        for number in range(60):
            match random.choice(("write", "write", "write", "take back", "checkpoint", "another", "recover")):
                case "write":
                    record = bytes([number]) * random.randrange(4000)
                    if writer.write(record):
                        behind.append(record)
                case "take back":
                    place = writer.place
                    if writer.write(random.randbytes(random.randrange(4000))):
                        writer.journal.retract(place)
                        writer.place = place
                case "checkpoint":
                    writer.checkpoint()
                    behind.clear()
                case "another":  # process goes on
                    place = writer.place
                    writer.journal.close()
                    writer = Writer(folder)
                    writer.place = place
                case "recover":
                    writer.journal.write_checkpoint(1, METAS, first_place())
                    writer.place = writer.journal.checkpoint().place
                    behind.clear()
            assert records(folder) == behind
        writer.journal.close()


# Checkpoints


def test_the_later_whole_checkpoint_of_two_counts(writer: Writer, tmp_path: Path) -> None:
    writer.journal.write_checkpoint(2, METAS, Place(b"salt 1  ", 3, 9000))
    writer.journal.write_checkpoint(3, OTHER_METAS, Place(b"salt 2  ", 4, 9999))
    journal = Journal(tmp_path)
    assert journal.checkpoint() == (3, 3, OTHER_METAS, (b"salt 2  ", 4, 9999))
    assert journal.damaged_slot() is None
    change(tmp_path / JOURNAL, SLOT + 100, b"\x55")
    assert journal.damaged_slot() == SLOT
    assert journal.checkpoint() == (2, 2, METAS, (b"salt 1  ", 3, 9000))
    journal.close()


def test_a_journal_without_a_checkpoint_is_refused(writer: Writer, tmp_path: Path) -> None:
    change(tmp_path / JOURNAL, 100, b"\x55")
    change(tmp_path / JOURNAL, SLOT + 100, b"\x55")
    said = rf"^{tmp_path / JOURNAL} is damaged, or no journal of Jedlik's: it has no checkpoint$"
    with pytest.raises(StorageError, match=said):
        writer.journal.checkpoint()
    os.truncate(tmp_path / JOURNAL, 10)
    with pytest.raises(StorageError, match=said):
        writer.journal.checkpoint()


def test_a_journal_of_another_form_is_refused(writer: Writer, tmp_path: Path) -> None:
    change(tmp_path / JOURNAL, 4, b"\x03")
    with pytest.raises(StorageError, match=r"has form 3, and this version of Jedlik reads form 1 to 2$"):
        writer.journal.checkpoint()


def test_a_checkpoint_that_could_not_be_written_leaves_the_earlier_one(
    writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.write(b"one")
    with monkeypatch.context() as patched:
        pwrite = os.pwrite
        failures = iter([True])

        def fail_once(file: int, data: bytes, offset: int) -> int:
            written = pwrite(file, data, offset)
            if next(failures, False):
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return written

        patched.setattr(os, "pwrite", fail_once)
        with pytest.raises(OSError, match="Input/output error"):
            writer.checkpoint(2)
    assert records(tmp_path) == [b"one"]
    writer.checkpoint(2)
    assert records(tmp_path) == []


# Several processes


def is_sure(journal: Journal) -> bool:
    return journal.is_sure_of(journal.checkpoint())


def test_a_checkpoint_of_another_process_is_written_again_before_records_are_overwritten(
    writer: Writer, tmp_path: Path
) -> None:
    one, other = writer.journal, Journal(tmp_path)
    assert is_sure(one)
    assert not is_sure(other)
    other.confirm()
    one.write_checkpoint(2, METAS, first_place())
    assert is_sure(one)
    assert not is_sure(other)
    assert other.confirm().transaction == 2
    assert is_sure(other)
    other.close()


def test_a_checkpoint_that_another_process_has_synced_is_trusted(writer: Writer, tmp_path: Path) -> None:
    one, other = writer.journal, Journal(tmp_path)
    before = one.sure
    assert before is not None
    one.write_checkpoint(2, METAS, first_place())
    other.trust(before)
    assert not is_sure(other)
    assert one.sure == before + 1
    other.trust(before + 1)
    assert is_sure(other)
    other.close()


def test_a_record_leaves_the_bytes_after_it_if_another_process_has_lengthened_the_file(
    writer: Writer, tmp_path: Path
) -> None:
    end = (1 << 20) - 1000
    with (tmp_path / JOURNAL).open("r+b") as file:
        file.seek(end)
        file.write(b"records in use")
    place = Place(os.urandom(8), 1, end - 1000)
    writer.journal.append(place, bytes(100), Place(place.salt, 2, end - 800))
    assert (tmp_path / JOURNAL).read_bytes()[end:] == b"records in use"


# The place of the next record


def test_the_place_follows_from_the_number_of_lmdbs_state(writer: Writer, tmp_path: Path) -> None:
    places = [writer.place]
    for length in (10, 0, 3000, 77):
        assert writer.write(bytes(length))
        places.append(writer.place)
    other = Journal(tmp_path)
    other.checkpoint()
    for number in (2, 3, 1, 5, 4):  # Some are before what is known already.
        assert other.place_after(number) == places[number - 1]
    other.close()


def test_a_process_does_not_look_for_the_record_that_it_has_written_itself(writer: Writer, tmp_path: Path) -> None:
    assert writer.write(b"one")
    writer.journal.note_commit(2, writer.place)
    change(tmp_path / JOURNAL, FIRST, bytes(HEAD))
    assert writer.journal.place_after(2) == writer.place


def test_the_place_is_found_when_the_file_has_begun_again(small: None, writer: Writer, tmp_path: Path) -> None:
    other = Journal(tmp_path)
    other.checkpoint()
    transaction = 1
    for _ in range(30):
        for _ in range(10):
            assert writer.write(bytes(500))
            transaction += 1
        writer.checkpoint(transaction)
        assert writer.write(bytes(100))
        transaction += 1
        other.checkpoint()
        assert other.place_after(transaction) == writer.place
        writer.checkpoint(transaction)
    assert writer.place.offset < 30_000
    other.close()


def test_no_place_follows_a_record_that_cannot_be_found(writer: Writer, tmp_path: Path) -> None:
    assert writer.write(b"one")
    assert writer.write(b"two")
    change(tmp_path / JOURNAL, FIRST + HEAD + len(b"one"), bytes(HEAD))
    writer.journal.checkpoint()
    assert writer.journal.place_after(2).sequence == writer.place.sequence - 1
    with pytest.raises(StorageError, match=r"is damaged at offset \d+: it lacks record 1, which was committed$"):
        writer.journal.place_after(3)


# Cutting it back


def test_a_long_journal_without_records_is_cut_and_begins_again(small: None, writer: Writer, tmp_path: Path) -> None:
    last = lengthen(writer)
    other = Journal(tmp_path)
    other.checkpoint()
    other.note_commit(last, writer.place)  # The other process has written the last record.
    writer.checkpoint(last)
    made = writer.journal.checkpoint()
    writer.journal.cut(last, None)
    assert (tmp_path / JOURNAL).stat().st_size == 20_000
    now = writer.journal.checkpoint()
    assert now == made._replace(number=made.number + 1, place=made.place._replace(offset=FIRST))
    for journal in (writer.journal, other):
        journal.checkpoint()
        assert journal.place_after(last) == now.place
    writer.place = now.place
    assert writer.write(b"next")
    other.checkpoint()
    assert other.place_after(last + 1) == writer.place
    assert records(tmp_path) == [b"next"]
    other.close()


def test_a_long_journal_is_not_cut_while_there_are_records_at_its_end(
    small: None, writer: Writer, tmp_path: Path
) -> None:
    last = lengthen(writer)
    size = (tmp_path / JOURNAL).stat().st_size
    behind = records(tmp_path)
    writer.journal.cut(last, None)
    assert (tmp_path / JOURNAL).stat().st_size == size
    assert records(tmp_path) == behind != []


def test_a_long_journal_is_cut_behind_records_at_its_beginning(small: None, writer: Writer, tmp_path: Path) -> None:
    last = lengthen(writer)
    writer.checkpoint(last)
    assert writer.write(b"at the end")
    assert writer.place.offset == FIRST
    assert writer.write(b"at the beginning")
    writer.journal.cut(last + 2, None)
    assert writer.journal.is_long, "the checkpoint goes on at the end"
    writer.checkpoint(last + 2)
    assert writer.write(b"one more")
    before = writer.journal.checkpoint()
    writer.journal.cut(last + 3, None)
    assert (tmp_path / JOURNAL).stat().st_size == 20_000
    assert writer.journal.checkpoint() == before
    assert records(tmp_path) == [b"one more"]


def test_a_place_that_lmdb_names_stays(small: None, writer: Writer) -> None:
    last = lengthen(writer)
    writer.checkpoint(last)
    writer.journal.cut(last, writer.place.pack())
    assert writer.journal.is_long
    writer.journal.cut(last, writer.place._replace(sequence=writer.place.sequence - 1).pack())
    assert not writer.journal.is_long


def test_a_process_lengthens_a_journal_again_that_another_one_has_cut(
    small: None, writer: Writer, tmp_path: Path
) -> None:
    last = lengthen(writer)
    writer.checkpoint(last)
    other = Writer(tmp_path)
    other.journal.cut(last, None)
    writer.journal.confirm()
    writer.place = writer.journal.place_after(last)
    written: list[bytes] = []
    while not writer.journal.is_long:
        written.append(bytes([len(written)]) * 1000)
        assert writer.write(written[-1])
    assert records(tmp_path) == written
    other.journal.close()
