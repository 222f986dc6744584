"""Processes that tests start do not outlive the tests."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from testing.jedlik_process import eventually, is_living

START = """
import pathlib, sys, time
from testing.jedlik_process import Server
folder = pathlib.Path(sys.argv[1])
server = Server(folder / "log", data_dir=folder / "data", workers=2)
print(server.pid, *server.workers(), flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_server_ends_with_the_tests_that_started_it(tmp_path: Path, number: signal.Signals) -> None:
    starting = [sys.executable, "-c", START, str(tmp_path)]
    with subprocess.Popen(starting, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent) as tests:
        assert tests.stdout is not None
        processes = [int(pid) for pid in tests.stdout.readline().split()]
        assert len(processes) == 3
        assert all(is_living(pid) for pid in processes)
        tests.send_signal(number)
    eventually(lambda: not any(is_living(pid) for pid in processes))
