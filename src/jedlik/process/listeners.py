"""The resources that a server takes before it serves: the data folder and the port."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import shutil
import socket
import tempfile
from pathlib import Path

BACKLOG = 1024
"""Connections that may wait to be accepted; the kernel has a limit of its own."""

DESCRIPTORS = 1 << 16
"""The most descriptors of a process, files and connections together."""
MEMORY_PREFIX = "jedlik-memory-"
"""The names of data folders of in-memory servers begin with this."""


class StartError(Exception):
    """The server cannot start; the message is for the person who starts it."""


def take_data_folder(folder: Path) -> int:
    """Make the folder if need be and lock it. Returns the descriptor that holds the lock. Forked processes inherit it,
    and the kernel drops the lock when the last of them ends. Raises StartError.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise StartError(f"cannot use the data directory {folder}: it is not a folder") from error
    except OSError as error:
        raise StartError(f"cannot use the data directory {folder}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 20).decode() or "unknown"
        os.close(lock)
        raise StartError(
            f"the data directory {folder} is in use by another Jedlik (process {holder}): stop it, or name another "
            "folder (--data-dir)"
        ) from None
    os.ftruncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
    return lock


def is_still_taken(folder: Path, lock: int) -> bool:
    """Whether a folder is the one that was locked, and has not been moved, removed or replaced since.

    If the disk does not answer, it is.
    """
    try:
        return os.path.samestat((folder / "lock").stat(), os.fstat(lock))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


def take_port(host: str, port: int) -> list[socket.socket]:
    """Listen on every address of `host`, on one port; a free one for 0. Raises StartError."""
    listening: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            bound = socket.socket(family, kind, protocol)
            listening.append(bound)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            bound.bind((address[0], port, *address[2:]))
            port = bound.getsockname()[1]
            bound.listen(BACKLOG)
            bound.setblocking(False)
    except OSError as error:
        for bound in listening:
            bound.close()
        taken = "another program listens there: stop it, or choose another port"
        reason = taken if error.errno == errno.EADDRINUSE else error.strerror
        raise StartError(f"cannot listen on {host}:{port}: {reason}") from error
    return listening


def allow_no_core_dumps() -> None:
    """Keep the system from writing the memory of this process and its children to a file when one crashes: there are
    keys and values in it.

    The limit is one byte. With 0, programs that take core dumps from a pipe would get them all the same (core(5)).
    """
    most = resource.getrlimit(resource.RLIMIT_CORE)[1]
    if most != 0:
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))


def raise_descriptor_limit() -> None:
    """Raise the process's limit of descriptors to what its connections may need, as far as the system allows."""
    current, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if most == resource.RLIM_INFINITY else min(DESCRIPTORS, most)
    if current != resource.RLIM_INFINITY and current < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def sweep_memory_folders() -> None:
    """Remove the folders of killed in-memory servers: those whose lock nobody holds.

    Other users may make folders of that name, too. Nothing in them is opened: a pipe in the place of the lock would
    block the start for ever.
    """
    for lock in Path(tempfile.gettempdir()).glob(f"{MEMORY_PREFIX}*/lock"):
        try:
            if lock.parent.lstat().st_uid != os.geteuid():
                continue
            file = os.open(lock, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:  # It has just been removed, or belongs to another user.
            continue
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent, ignore_errors=True)
        except OSError:  # It is in use.
            continue
        finally:
            os.close(file)
