"""The progress bar of a long command."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from testing.terminal import Terminal

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


def shown(patience: float, seconds: float, output: Path | None = None) -> str:
    """The terminal output of a command of this duration, with its report there or in a file."""
    words = [sys.executable, "-c", SLOW, str(patience), str(seconds)]
    stdout = None if output is None else os.open(output, os.O_WRONLY | os.O_CREAT)
    terminal = Terminal(words, os.environ, stdout)
    assert terminal.end() == 0
    return terminal.shown


def test_a_long_command_draws_a_bar_with_its_report_above() -> None:
    drawn = shown(0.0, 2.0)
    assert "checking us-east-1" in drawn
    assert " 25% " in drawn
    assert "a problem\n" in drawn


def test_a_redirected_report_does_not_appear_on_the_terminal(tmp_path: Path) -> None:
    drawn = shown(0.0, 2.0, tmp_path / "report")
    assert "checking us-east-1" in drawn
    assert "a problem" not in drawn
    assert (tmp_path / "report").read_text() == "a problem\n"


def test_a_short_command_draws_no_bar() -> None:
    assert shown(60.0, 0.0) == "a problem\n"
