"""A program at a terminal: what it displays, and the keys that a person presses."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Mapping, Sequence

from testing.jedlik_process import PATIENCE
from testing.prepared_program import die_with_parent

CONTROL_C = b"\x03"
SEQUENCES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""Control sequences, which move the cursor and set colours."""


class Terminal:
    """A program whose standard error, and output unless `stdout` is another, is a terminal of its own."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], stdout: int | None = None) -> None:
        self._ours, theirs = pty.openpty()
        self.drawn = ""
        """Everything that the program has written there, including colours."""
        self._process = subprocess.Popen(
            words,
            stdin=theirs,
            stdout=theirs if stdout is None else stdout,
            stderr=theirs,
            env={**environment, "TERM": "xterm", "COLUMNS": "120"},
            start_new_session=True,
            preexec_fn=_with_terminal,
        )
        os.close(theirs)

    @property
    def shown(self) -> str:
        """The same as a person reads it."""
        return SEQUENCES.sub("", self.drawn).replace("\r\n", "\n")

    def until(self, text: str) -> str:
        """Wait until a text has appeared. Returns everything that has."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.shown:
            assert time.monotonic() < deadline, f"{text!r} does not come:\n{self.shown}"
            assert self._read(), f"{text!r} has not come:\n{self.shown}"
        return self.shown

    def press(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._ours, keys)

    def end(self) -> int:
        """Wait for the program to end. Returns its exit code."""
        while self._read():
            pass
        os.close(self._ours)
        return self._process.wait(PATIENCE)

    def _read(self) -> bool:
        """Take the next bytes. Returns False when the program has closed its end."""
        readable, _, _ = select.select([self._ours], [], [], PATIENCE)
        assert readable, f"nothing comes any more:\n{self.shown}"
        try:
            read = os.read(self._ours, 1 << 16)
        except OSError:  # Linux's sign that the other end is closed.
            return False
        self.drawn += read.decode()
        return bool(read)


def _with_terminal() -> None:
    """Make the terminal that is our standard input the one that signals us. Called between fork and exec."""
    import fcntl
    import termios

    die_with_parent()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
