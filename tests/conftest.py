"""The one way to start a real Jedlik for a test: a process of its own, on a port of its own.

`server` is shared by the whole run (in memory, one worker). `start_server(**options)` starts another with any
options of `jedlik serve`. What a server logged is shown with the test that failed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config

START_SECONDS = 15.0
STOP_SECONDS = 15.0
LOG_SHOWN = 6000
"""Characters of a server's log shown with a failed test."""

_started: list[Server] = []


class Server:
    """A running `jedlik serve`. Options are those of the command line, with underscores: `in_memory=True`."""

    def __init__(self, log: Path, **options: object) -> None:
        self.log = log
        self.options: dict[str, object] = {"host": "127.0.0.1", "port": 0, "workers": 1, **options}
        self.access_key = "AKIDEXAMPLE"
        self.secret_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
        if self.options.get("auth") == "on":
            self.access_key, self.secret_key = self._create_credentials()
        self.url = ""
        self._start()

    @property
    def pid(self) -> int:
        """The process that was started: the supervisor when there are several workers."""
        return self._process.pid

    @property
    def port(self) -> int:
        port = urlsplit(self.url).port
        assert port is not None
        return port

    def client(self, service: str = "dynamodb", region: str = "us-east-1", **options: Any) -> Any:
        """A boto3 client that validates nothing itself and never retries. `options` go to `boto3.client`."""
        settings = {
            "endpoint_url": self.url,
            "region_name": region,
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret_key,
            "config": Config(parameter_validation=False, retries={"total_max_attempts": 1}, read_timeout=60),
        }
        return boto3.client(service, **(settings | options))

    def stop(self) -> int:
        """Stop gracefully; returns the exit code."""
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the server did not stop in {STOP_SECONDS} s") from None

    def kill(self) -> None:
        """Kill -9: the whole process group, workers included."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def restart(self) -> None:
        """Stop if it runs, and start again on the same port with the same options."""
        if self._process.poll() is None:
            self.stop()
        self.options["port"] = self.port
        self._start()

    def running(self) -> bool:
        return self._process.poll() is None

    def log_lines(self) -> list[dict[str, Any]]:
        """What the server logged, line by line."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def _start(self) -> None:
        start_of_log = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "jedlik", "serve", *_arguments(self.options)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(),
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            written = self.log.read_bytes()[start_of_log:].decode()
            if self._process.poll() is not None:
                raise AssertionError(f"the server ended with {self._process.returncode}:\n{written}")
            url = _listening_url(written)
            if url is not None:
                self.url = url
                if url.startswith("http:"):
                    urllib.request.urlopen(url, timeout=START_SECONDS).read()
                return
            time.sleep(0.01)
        self.kill()
        raise AssertionError(f"the server did not start in {START_SECONDS} s:\n{self.log.read_text()}")

    def _create_credentials(self) -> tuple[str, str]:
        where = {name: value for name, value in self.options.items() if name in ("data_dir", "credentials")}
        made = subprocess.run(
            [sys.executable, "-m", "jedlik", "credentials", "create", *_arguments(where)],
            capture_output=True,
            text=True,
            check=True,
            env=_environment(),
        )
        lines = dict(line.split(" = ", 1) for line in made.stdout.splitlines() if " = " in line)
        return lines["aws_access_key_id"], lines["aws_secret_access_key"]


def _arguments(options: dict[str, object]) -> list[str]:
    arguments = []
    for name, value in options.items():
        option = "--" + name.replace("_", "-")
        if value is True:
            arguments.append(option)
        elif value is not False and value is not None:
            arguments += [option, str(value)]
    return arguments


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("JEDLIK_")}


def _listening_url(log: str) -> str | None:
    for line in log.splitlines():
        if line.startswith("{") and line.endswith("}"):
            url = json.loads(line).get("url")
            if isinstance(url, str):
                return url
    return None


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the whole run: in memory, one worker, nothing verified."""
    folder = tmp_path_factory.mktemp("server")
    running = Server(folder / "log", in_memory=True, data_dir=folder / "data")
    _started.append(running)
    yield running
    running.kill()
    _started.remove(running)


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers with options of their own, in the test's own folder; each ends with the test."""
    mine: list[Server] = []

    def start(**options: object) -> Server:
        running = Server(tmp_path / f"server-{len(mine)}.log", **{"data_dir": tmp_path / "data", **options})
        mine.append(running)
        _started.append(running)
        return running

    yield start
    for running in mine:
        running.kill()
        _started.remove(running)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the running servers logged beside a failed test."""
    report = yield
    if report.failed:
        for running in _started:
            report.sections.append((f"log of {running.url}", running.log.read_text()[-LOG_SHOWN:]))
    return report
