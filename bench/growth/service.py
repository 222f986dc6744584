"""Jedlik while it is measured: one worker that verifies signatures, on a folder that is kept.

Tables are loaded before that, by another server that does not verify (`loading` gives the reason).
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.memory import Memory
from bench.peers import JEDLIK, environment
from bench.process import Running
from bench.signing import REGION
from testing.data_folders import store_in
from testing.prepared_program import die_with_parent

_READ_BYTES = 1 << 20
STORE = store_in("data", REGION) / "data.mdb"
"""The store's file in a server's folder."""


def _loaded_by(port: int, data: Path) -> list[str]:
    return [sys.executable, "-m", "jedlik", "serve", "--port", str(port), "--data-dir", str(data)]


_LOADED = dataclasses.replace(JEDLIK, command=_loaded_by)
"""A server with a worker for each core and no verification; it is as durable as ever."""


@contextmanager
def serving(folder: Path, verify: bool = True) -> Iterator[Running]:
    """A server on the store in `folder`, which need not exist yet."""
    server = Running(JEDLIK if verify else _LOADED, folder, keep=True)
    try:
        yield server
    finally:
        server.stop()


def into_memory(folder: Path) -> None:
    """Read a server's store into the kernel's page cache.

    A store that was loaded a while ago may have left the cache, and a page that must be read from the disk takes a
    hundred times as long as a cached one.
    """
    with (folder / STORE).open("rb", buffering=0) as file:
        while file.read(_READ_BYTES):
            pass


def out_of_memory(folder: Path) -> None:
    """Drop a server's store from the page cache. No server may have it open, because mapped pages stay."""
    with (folder / STORE).open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended: its output, its duration, and its peak of anonymous memory."""

    said: str
    seconds: float
    private: int
    """Bytes of anonymous memory, sampled: without the store, which is mapped."""


def jedlik(command: str, folder: Path) -> Done:
    """Run `jedlik check`, `stats` or `compact` on a server's folder. Raises CalledProcessError."""
    begun = time.perf_counter()
    arguments = [sys.executable, "-m", "jedlik", command, "--data-dir", str(folder / "data")]
    private = 0
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, text=True, env=environment(), preexec_fn=die_with_parent
    ) as process:
        while process.poll() is None:
            private = max(private, Memory.of(process.pid).private)
            time.sleep(0.02)
        assert process.stdout is not None
        said = process.stdout.read()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, arguments, said)
    return Done(said.strip(), time.perf_counter() - begun, private)
