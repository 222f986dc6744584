"""The disk beneath a server: its recording, and its failures."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from torture.disk import DIES, NAMES, Disk, Failing, Fault, File, Kind

DURABLY = [Kind.WRITE, Kind.RANGE_SYNCED]

PROGRAM = """
import ctypes
import errno
import os
import sys
early = ctypes.CDLL(None, use_errno=True).sync_file_range
early.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
for path, flags, what, offset in zip(*[iter(sys.argv[1:])] * 4):
    file = os.open(path, os.O_RDWR | int(flags))
    try:
        if what == "early":
            failed = early(file, 0, 0, 7)
            print(errno.errorcode[ctypes.get_errno()] if failed else "written")
        elif what == "cut":
            print(os.ftruncate(file, int(offset)) or "cut")
        else:
            print(os.fdatasync(file) or "synced" if what == "sync" else os.pwrite(file, what.encode(), int(offset)))
    except OSError as error:
        print(errno.errorcode[error.errno])
"""


@pytest.fixture
def paths(disk: Disk) -> dict[File, Path]:
    disk.data_dir.mkdir()
    found = {file: disk.data_dir / name for file, name in NAMES.items()}
    for path in found.values():
        path.write_bytes(b"................")
    return found


def done(disk: Disk, *steps: tuple[Path, int, str, int]) -> list[str]:
    """Instructions for a program that writes, or syncs, in turn: path, flags of open, data, offset."""
    arguments = [str(argument) for step in steps for argument in step]
    environment = os.environ | disk.environment
    program = [sys.executable, "-c", PROGRAM, *arguments]
    return subprocess.run(program, env=environment, capture_output=True, text=True, check=False).stdout.split()


def recorded(disk: Disk) -> list[tuple[File, Kind, int, bytes]]:
    return [(record.file, record.kind, record.offset, record.data) for record in disk.records()]


def write(path: Path, data: str = "written!", offset: int = 0) -> tuple[Path, int, str, int]:
    return path, 0, data, offset


def durable_write(path: Path, data: str = "written!", offset: int = 0) -> tuple[Path, int, str, int]:
    return path, os.O_DSYNC, data, offset


def sync(path: Path) -> tuple[Path, int, str, int]:
    return path, 0, "sync", 0


def early(path: Path) -> tuple[Path, int, str, int]:
    return path, 0, "early", 0


def cut(path: Path, size: int) -> tuple[Path, int, str, int]:
    return path, 0, "cut", size


def test_changes_to_the_files_of_a_store_are_recorded(disk: Disk, paths: dict[File, Path]) -> None:
    data, journal = paths[File.DATA], paths[File.JOURNAL]
    other = journal.with_name("journal.new")
    other.touch()
    steps = [write(data, "page", 4), durable_write(journal, "record", 2), sync(data), durable_write(other)]
    assert done(disk, *steps) == ["4", "6", "synced", "8"]
    assert recorded(disk) == [
        (File.DATA, Kind.WRITE, 4, b"page"),
        (File.JOURNAL, Kind.WRITE, 2, b"record"),
        (File.JOURNAL, Kind.RANGE_SYNCED, 2, b""),
        (File.DATA, Kind.SYNC_BEGUN, 0, b""),
        (File.DATA, Kind.SYNCED, 0, b""),
    ]


def test_a_recording_can_be_read_from_a_position_on(disk: Disk, paths: dict[File, Path]) -> None:
    done(disk, write(paths[File.DATA]))
    before = disk.position
    done(disk, write(paths[File.JOURNAL]))
    assert [record.file for record in disk.records(before)] == [File.JOURNAL]
    assert disk.position == list(disk.records())[-1].end


@pytest.mark.parametrize(
    ("fault", "told", "left"),
    [
        (Fault("", Failing.WRITES), ["EIO", "8", "synced"], b"........"),
        (Fault("", Failing.WRITES, errno.ENOSPC, partly=True), ["4", "8", "synced"], b"writ...."),
        (Fault("", Failing.SYNCS), ["8", "8", "EIO"], b"written!"),
        (Fault("", Failing.SYNCS, file=File.JOURNAL), ["8", "8", "synced"], b"written!"),
        (Fault("", Failing.WRITES | Failing.SYNCS, spared=1, calls=1), ["8", "8", "EIO"], b"written!"),
    ],
)
def test_writes_of_pages_fail_as_instructed(
    disk: Disk, paths: dict[File, Path], fault: Fault, told: list[str], left: bytes
) -> None:
    path = paths[File.DATA]
    with disk.failing(fault):
        assert done(disk, write(path), durable_write(path, "durable!", 8), sync(path)) == told
    assert path.read_bytes() == left + b"durable!"


@pytest.mark.parametrize(
    ("fault", "told", "left", "kinds"),
    [
        (Fault("", Failing.DURABLE_WRITES), ["EIO"], b"written!", [Kind.WRITE, Kind.RANGE_SYNC_FAILED]),
        (Fault("", Failing.DURABLE_WRITES, errno.ENOSPC), ["ENOSPC"], b"........", []),
        (Fault("", Failing.DURABLE_WRITES, errno.ENOSPC, partly=True), ["4"], b"writ....", DURABLY),
        (Fault("", Failing.DURABLE_WRITES, below=9), ["EIO"], b"written!", [Kind.WRITE, Kind.RANGE_SYNC_FAILED]),
        (Fault("", Failing.DURABLE_WRITES, below=8), ["8"], b"written!", DURABLY),
        (Fault("", Failing.DURABLE_WRITES, file=File.DATA), ["8"], b"written!", DURABLY),
        (Fault("", Failing.DURABLE_WRITES, DIES), [], b"written!", [Kind.WRITE]),
    ],
)
def test_writes_of_records_fail_as_instructed(
    disk: Disk, paths: dict[File, Path], fault: Fault, told: list[str], left: bytes, kinds: list[Kind]
) -> None:
    path = paths[File.JOURNAL]
    with disk.failing(fault):
        assert done(disk, durable_write(path, offset=8)) == told
    assert path.read_bytes() == b"........" + left
    assert [record.kind for record in disk.records()] == kinds


def test_early_writes_and_cuts_fail_as_instructed(disk: Disk, paths: dict[File, Path]) -> None:
    data, journal = paths[File.DATA], paths[File.JOURNAL]
    with disk.failing(Fault("", Failing.SYNCS, errno.ENODATA, calls=1)):
        assert done(disk, early(data), early(data)) == ["ENODATA", "written"]
    with disk.failing(Fault("", Failing.WRITES, errno.EROFS, calls=1)):
        assert done(disk, cut(journal, 4), cut(journal, 8)) == ["EROFS", "cut"]
    assert journal.read_bytes() == b"........"
    assert [(record.file, record.kind) for record in disk.records()] == [
        (File.DATA, Kind.RANGE_SYNC_FAILED),
        (File.JOURNAL, Kind.SIZE),
    ]


def test_who_dies_has_not_synced(disk: Disk, paths: dict[File, Path]) -> None:
    with disk.failing(Fault("", Failing.SYNCS, DIES)):
        assert done(disk, sync(paths[File.DATA])) == []
    with disk.failing(Fault("", Failing.WRITES, DIES)):
        assert done(disk, write(paths[File.DATA])) == []
    assert [record.kind for record in disk.records()] == [Kind.SYNC_BEGUN]
    assert paths[File.DATA].read_bytes() == b"." * 16


def test_a_process_with_an_open_file_gets_the_sync_error_of_another_once(disk: Disk, paths: dict[File, Path]) -> None:
    data, journal = paths[File.DATA], paths[File.JOURNAL]
    steps = [str(argument) for step in (sync(data), sync(journal), sync(data)) for argument in step]
    program = [sys.executable, "-c", f"print('there', flush=True)\ninput()\n{PROGRAM}", *steps]
    environment = os.environ | disk.environment
    with subprocess.Popen(program, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"there\n"
        with disk.failing(Fault("", Failing.SYNCS)):
            assert done(disk, sync(data)) == ["EIO"]
        assert done(disk, sync(data)) == ["synced"]
        before = disk.position
        assert other.communicate(b"\n")[0].split() == [b"EIO", b"synced", b"synced"]
    # It has lost nothing: the error was for another process's write.
    synced = [Kind.SYNC_BEGUN, Kind.SYNCED]
    assert [record.kind for record in disk.records(before)] == [Kind.SYNC_BEGUN, *synced, *synced]
