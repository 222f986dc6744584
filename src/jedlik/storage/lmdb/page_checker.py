"""The page checker: a process that checks the pages of a store while workers use it.

A check takes seconds per gigabyte, so a large store is not kept waiting for it, and the event loop must not be. The
process is polite: it rests as long as it works, and gives way to all others. It ends with its worker. It holds a
snapshot meanwhile, so the file of a store that is written to grows as it does beside `jedlik check`.

Values on pages of their own are left to the scrub (`scrub`): they are most of a store of large items, and none leads
LMDB anywhere.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from jedlik.storage.engine import StorageError
from jedlik.storage.lmdb.lmdb_file import page_problems

_WHOLE, _DAMAGED, _FAILED = 0, 3, 4
"""Exit codes; none is one of Python's own."""
_PR_SET_PDEATHSIG = 1
_LOWEST_PRIORITY = 19
_LONGEST_REST = 1.0
_LONGEST_LINE = 16 << 10
"""Bytes of a finding. A pipe has room for it, so the process never waits for the worker."""


class Checked(NamedTuple):
    """What a check has come to. Neither means that the pages are whole."""

    damage: str | None = None
    failure: str | None = None
    """Why the pages could not be checked."""


class PageChecker:
    """The worker's end."""

    def __init__(self, path: Path) -> None:
        """Begin. Raises OSError."""
        command = [sys.executable, "-P", "-m", __name__, str(os.getpid()), str(path)]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)

    def result(self) -> Checked | None:
        """What the check has come to; None while it goes on."""
        code = self._process.poll()
        if code is None:
            return None
        said = self._said()
        if code == _WHOLE:
            return Checked()
        return Checked(damage=said) if code == _DAMAGED else Checked(failure=said or f"its process ended with {code}")

    def end(self) -> None:
        """End it, whatever it has found."""
        self._process.kill()
        self._process.wait()
        self._said()

    def _said(self) -> str:
        assert self._process.stdout is not None
        with self._process.stdout as pipe:
            return pipe.read().decode()


class _Rests:
    """Rests of the length of the work before them."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    def rest(self) -> None:
        time.sleep(min(time.monotonic() - self._since, _LONGEST_REST))
        self._since = time.monotonic()


def _check(path: Path) -> int:
    try:
        found = list(page_problems(path, long_values=False, rest=_Rests().rest))
    except (StorageError, OSError) as error:
        said, code = str(error), _FAILED
    else:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        said, code = (f"{found[0]}{more}", _DAMAGED) if found else ("", _WHOLE)
    sys.stdout.buffer.write(said.encode()[:_LONGEST_LINE])
    return code


def main(arguments: list[str]) -> int:
    """The process: its worker's id and the store's directory."""
    worker, path = arguments
    for stopping in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stopping, signal.SIG_IGN)  # the worker handles them, and ends this process
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.nice(_LOWEST_PRIORITY)
    return _check(Path(path)) if os.getppid() == int(worker) else _FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
