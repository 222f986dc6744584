"""Processes that tests start do not outlive the tests."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PATIENCE = 60.0
"""Seconds within which a process must have ended."""
START = """
import pathlib, sys, time
from testing.jedlik_process import Server
folder = pathlib.Path(sys.argv[1])
server = Server(folder / "log", data_dir=folder / "data", workers=2)
print(server.pid, *server.workers(), flush=True)
time.sleep(60)
"""


def living(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_server_ends_with_the_tests_that_started_it(tmp_path: Path, number: signal.Signals) -> None:
    starting = [sys.executable, "-c", START, str(tmp_path)]
    with subprocess.Popen(starting, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent) as tests:
        assert tests.stdout is not None
        processes = [int(pid) for pid in tests.stdout.readline().split()]
        assert len(processes) == 3
        assert all(living(pid) for pid in processes)
        tests.send_signal(number)
    deadline = time.monotonic() + PATIENCE
    while any(living(pid) for pid in processes):
        assert time.monotonic() < deadline
        time.sleep(0.05)
