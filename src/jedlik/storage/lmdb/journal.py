"""The journal: a file beside LMDB's. Every batch is synced to it before LMDB gets it.

A commit of LMDB's own is two syncs, one of the pages that it has written all over its file and one of the page that
points to them. Here a commit is one write of one record, through a descriptor that syncs what it writes: a log that is
written ahead (Gray and Reuter, "Transaction Processing", 1992). The kernel writes LMDB's pages to the disk when it
likes; a checkpoint syncs all of them (`checkpoints`). Records after the last checkpoint are replayed from the journal
(`recovery`).

    0        checkpoint       the one with the higher number, of those that are whole, is the last
    4096     checkpoint
    8192     records, each at the place that the one before it names

    checkpoint   magic, form, checksum; number, LMDB's transaction, LMDB's meta pages, the place of the next record
    record       checksum, length, sequence number, offset of the next record; what a batch changes (`changes`)

Records follow each other to the end of the file, which grows, or continue at the beginning when the checkpoint is far
enough from there. After a burst that checkpoints were too slow for, the file is cut back (`Journal.cut`). Every commit
to LMDB is one record, and LMDB numbers its commits. So the number of LMDB's state determines where the next record goes
(`Journal.place_after`), and a record whose commit failed is overwritten. Sequence numbers, and a salt that changes with
each recovery, distinguish a record from the remains of earlier uses of the file.
LMDB holds a place of a record with that salt, to show which journal it belongs to.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from jedlik.storage.engine import StorageError
from jedlik.storage.lmdb.lmdb_pages import METAS_SIZE, read_through, write_whole

JOURNAL = "journal"
"""Its name in the folder of a store."""
JOURNAL_KEY = b"\x00journal"
"""The key under which LMDB holds a place in its journal: the one where the records went on after the last recovery, or
after a later commit."""

TURN = 16 << 20
"""Offset from which the next record may go to the beginning of the file again."""
LIMIT = 64 << 20
"""The most bytes of records after the last checkpoint. With more, recovery would take too long."""

_SLOT = 4096
_SLOTS = 2
_FIRST = _SLOT * _SLOTS
_MAGIC = b"jdlj"
_FORM = 2
_FORMS = range(1, _FORM + 1)
"""Forms that can be read. With the first one, each state of LMDB's had the place of the record that followed it."""
_SLOT_HEAD = struct.Struct("<4sII")
_CHECKPOINT = struct.Struct(f"<QQ{METAS_SIZE}s8sQQ")
_PLACE = struct.Struct("<8sQQ")
_RECORD = struct.Struct("<IIQQ")
_CHECKSUM = 4
_HIGH = 6
"""The high bytes of a sequence number, by which records are found."""
_LATER = 4 << 16
"""How far sequence numbers are looked for behind a record that cannot be read: LIMIT has room for no more of 256 bytes.
"""
_NOT_ZERO = re.compile(rb"[^\x00]")
_MUCH = 2 << 20
"""Bytes beyond TURN with which a journal is long. A record that begins before TURN may end behind it."""
_GROWTH = 256 << 10
"""Bytes by which the file grows. A write that makes a file longer takes one and a half times as long, so few should."""


class Place(NamedTuple):
    """Where a record is."""

    salt: bytes
    """The salt of all records since the last recovery; 8 bytes."""
    sequence: int
    offset: int

    @classmethod
    def unpack(cls, data: bytes) -> Place:
        """The place that `pack` has encoded."""
        return cls(*_PLACE.unpack(data))

    def pack(self) -> bytes:
        """The bytes for it."""
        return _PLACE.pack(*self)


class Record(NamedTuple):
    """A record that can be read."""

    place: Place
    changes: bytes
    """The changes of its batch (`changes.packed`)."""
    following: Place
    """The place of the next record."""


class Checkpoint(NamedTuple):
    """A state of LMDB that is completely on the disk."""

    number: int
    """The number of checkpoints before this one."""
    transaction: int
    """That made the state."""
    metas: bytes
    """LMDB's meta pages in this state (`lmdb_pages.metas`)."""
    place: Place
    """The place of the first record that is not in this state."""


class OtherForm(StorageError):
    """A journal was written by a later version, in a form that this one cannot read."""


class Journal:
    """The journal in the folder of a store. Every method raises OSError if the disk does not do what it should.

    Callers of `has_room`, `append` and `retract` hold LMDB's lock.
    """

    def __init__(self, folder: Path) -> None:
        """Raises OSError; FileNotFoundError if the journal does not exist."""
        self._path = folder / JOURNAL
        self._file = os.open(self._path, os.O_RDWR | os.O_DSYNC)
        self._size = os.fstat(self._file).st_size
        self._slots = b""
        """The checkpoint slots as they were last read."""
        self._last: Checkpoint | None = None
        self._sure: Checkpoint | None = None
        """The last checkpoint that this process knows to be on the disk."""
        self._known: tuple[int, Place] | None = None
        """A transaction of LMDB's, and the place of the record after its own."""

    @classmethod
    def make(
        cls, folder: Path, transaction: int, metas: bytes, place: Place | None = None, name: str = JOURNAL
    ) -> None:
        """Make a journal without records for a state that is completely on the disk. A crash leaves the whole file or
        none; only a sync of the folder makes sure that it stays. `place` is what the state has under JOURNAL_KEY, if it
        has that already.
        """
        made = folder / f"{JOURNAL}.new"
        place = place or Place(os.urandom(8), 0, _FIRST)
        # Both slots get the same state: so an unreadable slot is always damage, never one that was not written yet.
        slots = [_slot(Checkpoint(number, transaction, metas, place)).ljust(_SLOT, b"\x00") for number in range(_SLOTS)]
        file = os.open(made, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_DSYNC, 0o600)
        try:
            write_whole(file, b"".join(slots), 0)
        finally:
            os.close(file)
        made.replace(folder / name)

    def close(self) -> None:
        """Close the file. A second call does nothing."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the checkpoint lock. The kernel drops the lock of a process that dies."""
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def checkpoint(self) -> Checkpoint:
        """The last checkpoint. Raises StorageError if none can be read."""
        slots = os.pread(self._file, _FIRST, 0)
        if self._last is None or slots != self._slots:
            found = self._checkpoints(slots)
            if not any(found):
                raise StorageError(f"{self._path} is damaged, or no journal of Jedlik's: it has no checkpoint")
            self._last = max(checkpoint for checkpoint in found if checkpoint is not None)
            self._slots = slots
            self._size = os.fstat(self._file).st_size  # It may have been cut.
        return self._last

    def place_after(self, transaction: int) -> Place:
        """The place of the record that follows LMDB's state after a transaction: the newest, or that of the last
        checkpoint, or one in between. The caller has called `checkpoint` since it took LMDB's lock.

        This process knows it if it has committed the state itself (`note_commit`). Otherwise, it counts the records of
        others. Raises StorageError if one of them cannot be found.
        """
        last, known = self._last, self._known
        assert last is not None
        # For its own state, the checkpoint knows best: the journal may have been cut since (`cut`).
        if known is None or known[1].salt != last.place.salt or not last.transaction < known[0] <= transaction:
            known = last.transaction, last.place
        at, place = known
        while at < transaction:
            head = os.pread(self._file, _RECORD.size, place.offset)
            if len(head) < _RECORD.size or _RECORD.unpack(head)[2] != place.sequence:
                raise StorageError(
                    f"{self._path} is damaged at offset {place.offset}: it lacks record {place.sequence}, "
                    "which was committed"
                )
            at, place = at + 1, Place(place.salt, place.sequence + 1, _RECORD.unpack(head)[3])
        self._known = at, place
        return place

    def note_commit(self, transaction: int, following: Place) -> None:
        """Know that a transaction has committed a record. `following` is the place after it."""
        self._known = transaction, following

    def damaged_slot(self) -> int | None:
        """The offset of the other checkpoint slot if it cannot be read; otherwise None.

        An earlier version began a journal with one checkpoint and left the other slot empty.
        """
        slots = os.pread(self._file, _FIRST, 0)
        found = self._checkpoints(slots)
        for number, checkpoint in enumerate(found):
            begun_with_one = number == 1 and found[0] is not None and found[0].number == 0
            if checkpoint is None and not (begun_with_one and not any(slots[_SLOT:])):
                return number * _SLOT
        return None

    @property
    def sure(self) -> int | None:
        """The number of the last checkpoint that this process knows the disk to have."""
        return None if self._sure is None else self._sure.number

    def trust(self, number: int) -> None:
        """Note that the checkpoint with this number is on the disk, because another process has reported it."""
        if self.sure != number:
            last = self.checkpoint()
            self._sure = last if last.number == number else None

    def is_sure_of(self, last: Checkpoint) -> bool:
        """Whether this process knows that the last checkpoint is on the disk, not only in memory. Until then, records
        after the previous checkpoint must not be overwritten: the process that wrote the last one may have died before
        the sync."""
        return last == self._sure

    def confirm(self) -> Checkpoint:
        """Sync the last checkpoint and return it. The caller holds the checkpoint lock."""
        last = self.checkpoint()
        if last != self._sure:
            write_whole(self._file, _slot(last), last.number % _SLOTS * _SLOT)
            self._sure = last
        return last

    def write_checkpoint(self, transaction: int, metas: bytes, place: Place) -> None:
        """Make a state the last checkpoint. The state is completely on the disk."""
        made = Checkpoint(self.checkpoint().number + 1, transaction, metas, place)
        offset = made.number % _SLOTS * _SLOT
        before = os.pread(self._file, _SLOT, offset)
        try:
            write_whole(self._file, _slot(made), offset)
        except OSError:
            # It may or may not be on the disk, but it is in memory, and other processes would take it for synced.
            with contextlib.suppress(OSError):
                write_whole(self._file, before, offset)
            raise
        self._sure = made

    @property
    def is_long(self) -> bool:
        """Whether the file is much longer than one in which checkpoints keep up with records."""
        return os.fstat(self._file).st_size > TURN + _MUCH

    def cut(self, transaction: int, kept: bytes | None) -> None:
        """Cut the file back to TURN, unless records behind the last checkpoint are in the way. Later they are not.

        `transaction` is LMDB's newest, and `kept` is under JOURNAL_KEY there. The caller holds the checkpoint lock and
        LMDB's, and has called `confirm`. A crash leaves the file as it was, or cut.
        """
        last, place = self.checkpoint(), self.place_after(transaction)
        assert self.is_sure_of(last), "nothing before it is needed any more"
        if place.offset > TURN and place == last.place:
            if kept is not None and Place.unpack(kept).sequence == place.sequence:
                return  # LMDB names this place, and a place elsewhere would be taken for another journal's.
            # There are no records, so the next one may as well go to the beginning. All look there from now on.
            self.write_checkpoint(last.transaction, last.metas, place._replace(offset=_FIRST))
        elif not last.place.offset <= place.offset <= TURN:
            return
        os.ftruncate(self._file, TURN)
        os.fdatasync(self._file)
        self._size = TURN

    def has_room(self, place: Place, size: int) -> bool:
        """Whether a record with `size` bytes of changes fits. If not, it fits after a checkpoint.

        The caller has called `is_sure_of` since it took LMDB's lock.
        """
        assert self._sure is not None
        start = self._sure.place
        if place.sequence == start.sequence:
            return True
        end = place.offset + _RECORD.size + size
        return end < start.offset if place.offset <= start.offset else end - start.offset <= LIMIT

    def following(self, place: Place, size: int) -> Place:
        """The place after that of a record with `size` bytes of changes, under the conditions of `has_room`."""
        assert self._sure is not None
        start = self._sure.place
        end = place.offset + _RECORD.size + size
        wrapped = place.offset <= start.offset and place.sequence != start.sequence
        turns = not wrapped and end >= TURN and start.offset >= TURN // 2
        return Place(place.salt, place.sequence + 1, _FIRST if turns else end)

    def append(self, place: Place, changes: bytes, following: Place) -> None:
        """Write a record and sync it. The caller has checked that there is room."""
        end = place.offset + _RECORD.size + len(changes)
        record = _record(place, changes, following.offset)
        if end > self._size:
            self._size = os.fstat(self._file).st_size  # other processes extend the file, too
        if end > self._size:
            self._size = (end + _GROWTH - 1) // _GROWTH * _GROWTH
            record = record.ljust(self._size - place.offset, b"\x00")
        try:
            write_whole(self._file, record, place.offset)
        except OSError:
            self.retract(place)
            raise

    def retract(self, place: Place) -> None:
        """Take back the record that was written last, as it will not be committed.

        If the disk fails, the record is taken back in memory only. The next record overwrites it; if the power fails
        before that, recovery may find it.
        """
        with contextlib.suppress(OSError):
            write_whole(self._file, bytes(_RECORD.size), place.offset)

    def records(self) -> Iterator[Record]:
        """The records behind the last checkpoint, in the order of their commits, up to one that cannot be read."""
        place = self.checkpoint().place
        while (found := self._record(place)) is not None:
            yield found
            place = found.following

    def later(self, place: Place) -> list[Record]:
        """The records after a place, wherever they are, in their order. The record at the place itself cannot be read.

        A record is written only when the one before it has been synced and committed. So if there is a later record,
        the one at the place was whole once. Remains of an earlier lap have lower numbers, those of an earlier life
        another salt.
        """
        found: list[Record] = []
        salted = crc32(place.salt)
        read_through(self._file)
        with mmap.mmap(self._file, 0, access=mmap.ACCESS_READ) as content:
            for offset, sequence, end in _possible(content, place.sequence):
                # Nearly all are from an earlier life, and there may be tens of thousands at each start.
                checksum = int.from_bytes(content[offset : offset + _CHECKSUM], "little")
                if crc32(content[offset + _CHECKSUM : end], salted) == checksum:
                    record = self._record(Place(place.salt, sequence, offset))
                    if record is not None:
                        found.append(record)
        return sorted(found, key=lambda record: record.place.sequence)

    def has_record(self, place: Place) -> bool:
        """Whether there is a record at a place."""
        return self._record(place) is not None

    def _record(self, place: Place) -> Record | None:
        """The record at a place; None if no record is there."""
        head = os.pread(self._file, _RECORD.size, place.offset)
        if len(head) < _RECORD.size:
            return None
        _, length, sequence, following = _RECORD.unpack(head)
        if sequence != place.sequence or place.offset + length > os.fstat(self._file).st_size:
            return None
        changes = os.pread(self._file, length, place.offset + _RECORD.size)
        if _record(place, changes, following) != head + changes:
            return None
        return Record(place, changes, Place(place.salt, sequence + 1, following))

    def _checkpoints(self, slots: bytes) -> list[Checkpoint | None]:
        """The checkpoint in each slot; None for one that cannot be read."""
        found: list[Checkpoint | None] = []
        for offset in range(0, _FIRST, _SLOT):
            slot = slots[offset : offset + _SLOT_HEAD.size + _CHECKPOINT.size]
            if len(slot) < _SLOT_HEAD.size + _CHECKPOINT.size:
                found.append(None)
                continue
            magic, form, checksum = _SLOT_HEAD.unpack_from(slot)
            content = slot[_SLOT_HEAD.size :]
            if magic != _MAGIC or crc32(content) != checksum:
                found.append(None)
                continue
            if form not in _FORMS:
                raise OtherForm(f"{self._path} has form {form}, and this version of Jedlik reads form 1 to {_FORM}")
            number, transaction, metas, *place = _CHECKPOINT.unpack(content)
            found.append(Checkpoint(number, transaction, metas, Place(*place)))
        return found


def first_place() -> Place:
    """The place of the first record after a recovery.

    LMDB holds it under JOURNAL_KEY from the recovery's last commit on. Sequence number 0 is that of the first record
    of a journal that is new (`Journal.make`), or that an earlier version recovered: LMDB does not have its place yet.
    """
    return Place(os.urandom(8), 1, _FIRST)


def _possible(content: mmap.mmap, sequence: int) -> Iterator[tuple[int, int, int]]:
    """Possible records with a number later than `sequence`: offset, number and end, found by what looks like a header.

    The search is for the high bytes of the number, since C code does it. In a run of zeros, only the beginning can
    match.
    """
    size = len(content)
    for high in range(sequence >> 16, (sequence + _LATER >> 16) + 1):
        sought = high.to_bytes(_HIGH, "little")
        at = content.find(sought, _FIRST)
        while at >= 0:
            for offset in (at, at + 1) if high == 0 else (at,):
                head = offset - 2 - _CHECKSUM * 2
                if head < _FIRST or head + _RECORD.size > size:
                    continue
                _, length, number, following = _RECORD.unpack_from(content, head)
                end = head + _RECORD.size + length
                # The length determines where the next record is. Checksums of arbitrary bytes would take long.
                if sequence < number and end <= size and following in (end, _FIRST):
                    yield head, number, end
            if high == 0:
                rest = _NOT_ZERO.search(content, at)
                if rest is None:
                    break
                at = rest.start() - 1
            at = content.find(sought, at + 1)


def _slot(checkpoint: Checkpoint) -> bytes:
    number, transaction, metas, place = checkpoint
    content = _CHECKPOINT.pack(number, transaction, metas, *place)
    return _SLOT_HEAD.pack(_MAGIC, _FORM, crc32(content)) + content


def _record(place: Place, changes: bytes, following: int) -> bytes:
    head = _RECORD.pack(0, len(changes), place.sequence, following)
    checksum = crc32(changes, crc32(head[_CHECKSUM:], crc32(place.salt)))
    return checksum.to_bytes(_CHECKSUM, "little") + head[_CHECKSUM:] + changes
