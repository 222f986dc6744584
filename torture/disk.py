"""The disk beneath a server: `disk.c`, which records the writes to a store's files and fails on demand.

    recording    the writes and syncs of the files, in order: struct record of disk.c, with the data behind a write, and
                 the path behind the sync of another file or folder
    faults       what fails now: struct faults of disk.c, in a file that the server's processes have mapped

Syncs are distinguished by the thread that makes them. Writes that overwrite each other are made under locks that all
processes honour, so the order of the records is the order of the writes.
"""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from pathlib import Path
from typing import NamedTuple

from jedlik.storage.lmdb.journal import JOURNAL
from jedlik.storage.lmdb.lmdb_pages import DATA

_SOURCE = Path(__file__).with_name("disk.c")
_COMPILER = "gcc"
_RECORD = struct.Struct("<8sHHIQQ")
_MAGIC = 0x2F7C91D3A58BE604.to_bytes(8, "little")
_FAULTS = struct.Struct("<IIIIIIII")
"""Four more numbers follow, which are not ours."""
_FAULTS_BYTES = _FAULTS.size + 4 * 4
_FOR_GOOD = (1 << 32) - 1
DIES = 0
"""In the place of an error."""


class NoCompiler(Exception):
    """There is no compiler for the source."""

    def __init__(self, source: str = _SOURCE.name) -> None:
        super().__init__(f"this needs {_COMPILER}, to compile {source}, and it is not there")


class File(IntEnum):
    """A file of a store."""

    DATA = 1
    JOURNAL = 2


CHECKPOINTS = 8192
"""The first bytes of the journal, which give the place of the last checkpoint; records follow."""
NAMES = {File.DATA: DATA, File.JOURNAL: JOURNAL}
"""In the folder of a store."""


class Kind(IntEnum):
    """What a record stands for."""

    WRITE = 1
    SIZE = 2
    SYNC_BEGUN = 3
    SYNCED = 4
    SYNC_FAILED = 5
    RANGE_SYNCED = 6
    RANGE_SYNC_FAILED = 7
    NAME_SYNCED = 8
    """Another file or folder was synced."""


class Failing(IntFlag):
    """What fails: writes without a sync (LMDB's pages), writes that sync themselves (the journal's), syncs."""

    WRITES = 1
    DURABLE_WRITES = 2
    SYNCS = 4


@dataclass(frozen=True, slots=True)
class Fault:
    """How a disk fails. The first `spared` calls succeed, then `calls` of them fail (None: all). With EIO, the sync of
    a durable write fails; with any other error, the write fails. The next sync of the same file fails in every other
    process, too, which has lost nothing. With DIES, the calling process dies.
    """

    name: str
    failing: Failing
    error: int = errno.EIO
    spared: int = 0
    calls: int | None = None
    partly: bool = False
    """Whether a failing write does half of its work."""
    file: File | None = None
    """The only file that fails, if it is one."""
    below: int = 0
    """If not 0, writes from this offset on succeed."""


@dataclass(frozen=True, slots=True)
class Record:
    """An action on a file. `end` is the position in the recording after it."""

    file: File
    kind: Kind
    thread: int
    offset: int
    length: int
    data: bytes
    end: int


class _Raw(NamedTuple):
    """A record of any file."""

    file: int
    thread: int
    offset: int
    length: int
    data: bytes
    end: int


class Disk:
    """A folder for a data directory, with a disk that is recorded and can fail. Raises NoCompiler.

    The path of the folder must not contain a space, because LD_PRELOAD is a list separated by spaces.
    """

    def __init__(self, folder: Path) -> None:
        self._library = folder / "disk.so"
        self._recording = folder / "recording"
        self.data_dir = (folder / "data").resolve()
        if shutil.which(_COMPILER) is None:
            raise NoCompiler
        compile_it = [_COMPILER, "-O2", "-shared", "-fPIC", "-o", str(self._library), str(_SOURCE), "-ldl"]
        subprocess.run(compile_it, check=True)
        self._recording.touch()
        path = folder / "faults"
        path.write_bytes(bytes(_FAULTS_BYTES))
        with path.open("r+b") as file:
            self._faults = mmap.mmap(file.fileno(), _FAULTS_BYTES)
        self.environment = {
            "LD_PRELOAD": str(self._library),
            "DISK_FOLDER": str(self.data_dir),
            "DISK_RECORDING": str(self._recording),
            "DISK_FAULTS": str(path),
        }
        """For the server, which also gets `data_dir`."""

    @property
    def position(self) -> int:
        """The present length of the recording. Every write that a server has acknowledged by now is in it."""
        return self._recording.stat().st_size

    @property
    def failed(self) -> int:
        """The number of calls that have failed since `fail`."""
        count: int = _FAULTS.unpack_from(self._faults)[-1]
        return count

    def fail(self, fault: Fault) -> None:
        """Make the disk fail from now on."""
        calls = _FOR_GOOD if fault.calls is None else fault.calls
        self._faults[: _FAULTS.size] = _FAULTS.pack(
            fault.failing, fault.file or 0, fault.below, fault.error, fault.spared, calls, fault.partly, 0
        )

    def mend(self) -> None:
        """Let all calls succeed again."""
        self._faults[0:4] = bytes(4)

    @contextmanager
    def failing(self, fault: Fault) -> Iterator[None]:
        """Make the disk fail for a while."""
        self.fail(fault)
        try:
            yield
        finally:
            self.mend()

    def records(self, since: int = 0) -> Iterator[Record]:
        """The records of a store's files since a position, without those that killed processes have left incomplete:
        they had not made the write yet.
        """
        for kind, record in self._all(since):
            if kind is not Kind.NAME_SYNCED:
                yield Record(File(record.file), kind, *record[1:])

    def synced_names(self) -> Iterator[tuple[Path, int]]:
        """The other files and folders that were synced, each with the position in the recording after that."""
        for kind, record in self._all(0):
            if kind is Kind.NAME_SYNCED:
                yield Path(os.fsdecode(record.data)), record.end

    def _all(self, since: int) -> Iterator[tuple[Kind, _Raw]]:
        recorded = self._recording.read_bytes()
        begin = recorded.find(_MAGIC, since)
        while 0 <= begin <= len(recorded) - _RECORD.size:
            _, kind, file, thread, offset, length = _RECORD.unpack_from(recorded, begin)
            data = begin + _RECORD.size
            end = data + (length if kind in (Kind.WRITE, Kind.NAME_SYNCED) else 0)
            if end == len(recorded) or recorded.startswith(_MAGIC, end):
                yield Kind(kind), _Raw(file, thread, offset, length, recorded[data:end], end)
                begin = end
            else:
                begin = recorded.find(_MAGIC, begin + 1)
