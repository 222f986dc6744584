"""The bar that says how far a long command is."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

SLOW = """
import sys, time
from jedlik.cli import progress
from jedlik.cli.program import say
progress.PATIENCE = float(sys.argv[1])
done = 0
with progress.shown("checking us-east-1", 200, lambda: done):
    deadline = time.monotonic() + float(sys.argv[2])
    while time.monotonic() < deadline:
        done = 50
        time.sleep(0.01)
    say("a problem")
"""


def shown(patience: float, seconds: float) -> tuple[str, str]:
    """What a command that takes so long writes to a terminal at its standard error, and to a pipe."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    words = [sys.executable, "-c", SLOW, str(patience), str(seconds)]
    ran = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=theirs, text=True, env=environment)
    os.close(theirs)
    drawn = b""
    while True:
        try:
            read = os.read(ours, 1 << 16)
        except OSError:  # The other end is closed.
            break
        drawn += read
    os.close(ours)
    printed, _ = ran.communicate()
    assert ran.returncode == 0
    return drawn.decode(), printed


def test_a_long_command_draws_a_bar_on_the_terminal_and_its_report_where_that_goes() -> None:
    drawn, printed = shown(0.0, 2.0)
    assert "checking us-east-1" in drawn
    assert "25%" in drawn
    assert "a problem" not in drawn
    assert printed == "a problem\n"


def test_a_short_command_draws_none() -> None:
    assert shown(60.0, 0.0) == ("", "a problem\n")
