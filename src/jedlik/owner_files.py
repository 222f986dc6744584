"""Files that only their owner may use: secrets, access keys, records of accounts, and the locks beside them.

They are written all or nothing. What root makes belongs to the owner of the folder, who runs the server and must be
able to read it.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_OTHERS = 0o077
"""The permission bits of everybody but the owner."""


def is_open_to_others(file: int) -> bool:
    """Whether somebody but its owner may use an open file."""
    return bool(os.fstat(file).st_mode & _OTHERS)


def write_whole(path: Path, content: bytes, like: Path | None = None) -> None:
    """Write a file, all or nothing, and sync it. The caller holds the lock that goes with it. Raises OSError.

    If root writes it, it belongs to the owner of the folder `like`, by default of the folder that it is in.
    """
    beside = path.with_name(path.name + ".new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        give_to_owner(file.fileno(), like or path.parent)
        os.fsync(file.fileno())
    beside.replace(path)
    sync_place(path.parent)


def sync_place(place: Path) -> None:
    """Make what is in a file, or the names in a folder, survive a power failure. Raises OSError."""
    opened = os.open(place, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextmanager
def locked(path: Path, refusal: type[Exception]) -> Iterator[None]:
    """Hold the lock of a file that only its owner can open: any other user who could open it could block its users.

    Raises `refusal`, with a text for people, if the file belongs to another user or is open to others; and OSError.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    try:
        status = os.fstat(file)
        owners = (os.geteuid(), path.parent.stat().st_uid)
        if status.st_uid not in owners or is_open_to_others(file) or not stat.S_ISREG(status.st_mode):
            raise refusal(f"{path} must be a file that nobody but its owner can open: remove it")
        give_to_owner(file, path.parent)
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def give_to_owner(file: int | Path, folder: Path) -> None:
    """Give a file, or a folder by its path, to the owner of the folder that it is in, if we are root."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.chown(file, owner.st_uid, owner.st_gid)
