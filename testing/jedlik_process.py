"""A real Jedlik for a test: its own process, on its own port. Tests get theirs from the fixtures.

It ends with the process that started it, even if that process is killed and cannot stop it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from testing import prepared_program
from testing.prepared_program import die_with_parent
from testing.source_tree import ROOT

PATIENCE = 60.0
"""Seconds that a test waits for a result: long, because much comes late on a busy machine."""
START_SECONDS = STOP_SECONDS = PATIENCE
LOOPBACK = "127.0.0.1"
PORT_TRIES = 100


def eventually(holds: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"it has not come about in {seconds} s"
        time.sleep(0.02)


def children(pid: int) -> list[int]:
    """The processes that a process has started and that it has not seen end."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


@contextmanager
def halted(pid: int) -> Iterator[None]:
    """A process stands still meanwhile. Those that it has started go on."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


_THREADS = 17
"""Where the number of threads stands in `/proc/PID/stat`, behind the name (proc(5))."""


def is_living(pid: int) -> bool:
    """Whether a process is there and has not ended. As long as one of its threads has not, its files are open."""
    try:
        found = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return found[0] not in ("Z", "X") or int(found[_THREADS]) > 1
    except (FileNotFoundError, ProcessLookupError):
        return False


def reserved_port() -> socket.socket:
    """A port of the loopback address that is given to no other process as long as this is open.

    It is bound, but nobody listens at it: a server may, and another after that one. Between two servers a port of the
    kernel's choice would be free, and sometimes somebody else's.
    """
    return _bound(0)


def reserved_ports(count: int) -> list[socket.socket]:
    """The same for ports that follow each other, as those of DAX's nodes do."""
    for _ in range(PORT_TRIES):
        taken = [reserved_port()]
        first = taken[0].getsockname()[1]
        try:
            taken += [_bound(port) for port in range(first + 1, first + count)]
        except (OSError, OverflowError):
            for one in taken:
                one.close()
        else:
            return taken
    raise AssertionError(f"no {count} free ports follow each other")


def _bound(port: int) -> socket.socket:
    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((LOOPBACK, port))
    except BaseException:
        taken.close()
        raise
    return taken


class Server:
    """A running `jedlik serve`. Options are those of the command line, with underscores: `in_memory=True`.

    With `holdable_jobs`, a test can hold its background jobs (`holding`).
    """

    def __init__(
        self, log: Path, environment: dict[str, str] | None = None, holdable_jobs: bool = False, **options: object
    ) -> None:
        self.log = log
        self._program = "testing.held_jobs" if holdable_jobs else "jedlik"
        self._held = log.with_name(f"{log.name}.held")
        self.given = environment or {}
        self.environment = _environment() | self.given
        if holdable_jobs:
            self._held.mkdir()
            self.environment["TEST_HELD_JOBS"] = str(self._held)
        self.options: dict[str, object] = {"host": LOOPBACK, "port": 0, "workers": 1, **options}
        self._ports: list[socket.socket] = []
        for option, count in (("port", 1), ("dax_port", int(str(self.options.get("dax_nodes", 1))))):
            if self.options.get(option) == 0 and self.options["host"] == LOOPBACK:
                reserved = reserved_ports(count)
                self._ports += reserved
                self.options[option] = reserved[0].getsockname()[1]
        self.access_key = "AKIDEXAMPLE"
        self.secret_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
        if self.options.get("auth") == "on":
            self.access_key, self.secret_key = self._create_credentials()
        self.url = ""
        self._start()

    @classmethod
    def running_at(cls, url: str, log: Path) -> Server:
        """A server that another process has started; it can only be asked."""
        server = cls.__new__(cls)
        server.log, server.url = log, url
        server._held = log.with_name(f"{log.name}.held")
        server.access_key, server.secret_key = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
        log.touch()
        return server

    @property
    def pid(self) -> int:
        """The process that was started: the parent of the workers."""
        return self._process.pid

    def workers(self) -> set[int]:
        """The workers' processes, including those that are finishing."""
        return set(children(self.pid))

    def worker(self) -> int:
        """The process of the only worker."""
        [pid] = self.workers()
        return pid

    @contextmanager
    def holding(self, *kinds: str, after: int = 0) -> Iterator[None]:
        """Hold all background jobs of these kinds, of a server with `holdable_jobs=True`. Before that, each process
        may do some steps of each job."""
        assert self._held.is_dir(), "the jobs of this server cannot be held"
        for kind in kinds:
            for earlier in self._held.glob(f"{kind}.*"):  # What they held the last time.
                earlier.unlink()
            (self._held / "new").write_text(str(after))
            (self._held / "new").rename(self._held / kind)
        try:
            yield
        finally:
            for kind in kinds:
                (self._held / kind).unlink()

    def held_by(self, kind: str) -> set[int]:
        """The workers that hold a job of this kind, having done the steps that they may."""
        return {pid for pid in self.workers() if (self._held / f"{kind}.{pid}").exists()}

    def send_signal(self, number: signal.Signals) -> None:
        """Send the server a signal, and go on."""
        self._process.send_signal(number)

    @property
    def port(self) -> int:
        port = urlsplit(self.url).port
        assert port is not None
        return port

    @property
    def dax_url(self) -> str:
        """Where its DAX is, of a server with `dax=True`."""
        [*_, url] = [line["dax"] for line in self.log_lines() if "dax" in line]
        found: str = url
        return found

    def vpc_endpoint(self, endpoint: str) -> str:
        """Where one of its VPC endpoints is."""
        [*_, urls] = [line["vpc_endpoints"] for line in self.log_lines() if "vpc_endpoints" in line]
        found: str = urls[endpoint]
        return found

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

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop gracefully; returns the exit code."""
        self._process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end; returns the exit code."""
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the server did not end in {STOP_SECONDS} s") from None

    def kill(self) -> None:
        """Kill -9: the whole process group, workers included. Waits until none of them has files open any more."""
        if self._process.poll() is None:
            family = [self.pid]
            for pid in family:  # It grows: the workers have children too.
                family += children(pid)
            with suppress(ProcessLookupError):  # It may have ended just now.
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            eventually(lambda: not any(is_living(pid) for pid in family))

    def restart(self) -> None:
        """Stop if it runs, and start again on the same port with the same options."""
        if self._process.poll() is None:
            self.stop()
        self.options["port"] = self.port
        if self.options.get("dax"):
            self.options["dax_port"] = urlsplit(self.dax_url).port
        self._start()

    def running(self) -> bool:
        return self._process.poll() is None

    def log_lines(self) -> list[dict[str, Any]]:
        """What the server logged, line by line."""
        return _objects(self.log.read_bytes())

    def _start(self) -> None:
        start_of_log = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = self._started(["serve", *_arguments(self.options)], log.fileno())
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            written = self.log.read_bytes()[start_of_log:]
            if self._process.poll() is not None:
                said = self.log.read_bytes()[start_of_log:].decode()
                raise AssertionError(f"the server ended with {self._process.returncode}:\n{said}")
            url = _listening_url(written)
            if url is not None:
                self.url = url
                if url.startswith("http:"):
                    urllib.request.urlopen(url, timeout=START_SECONDS).read()
                return
            time.sleep(0.01)
        self.kill()
        raise AssertionError(f"the server did not start in {START_SECONDS} s:\n{self.log.read_text()}")

    def _started(self, arguments: list[str], log: int) -> subprocess.Popen[bytes] | prepared_program.Started:
        if prepared_program.can_start(self.environment):
            return prepared_program.Started(self._program, arguments, self.environment, log, log)
        path = [str(ROOT), self.environment.get("PYTHONPATH", "")]
        return subprocess.Popen(
            [sys.executable, "-m", self._program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=self.environment | {"PYTHONPATH": os.pathsep.join(filter(None, path))},
            start_new_session=True,
            preexec_fn=die_with_parent,
        )

    def _create_credentials(self) -> tuple[str, str]:
        where = {
            name: value for name, value in self.options.items() if name in ("data_dir", "credentials", "root_key_file")
        }
        made = run_jedlik("credentials", "create", *_arguments(where), **self.given)
        assert made.returncode == 0, made.stderr
        lines = dict(line.split(" = ", 1) for line in made.stdout.splitlines() if " = " in line)
        return lines["aws_access_key_id"], lines["aws_secret_access_key"]


def run_jedlik(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `jedlik` to its end, with these environment variables and no others of its own."""
    whole = _environment() | environment
    if not prepared_program.can_start(whole):
        return subprocess.run(
            [sys.executable, "-m", "jedlik", *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=whole,
            timeout=START_SECONDS,
        )
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        running = prepared_program.Started("jedlik", arguments, whole, output.fileno(), errors.fileno())
        try:
            code = running.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            running.send_signal(signal.SIGKILL)
            raise
        output.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess(arguments, code, output.read(), errors.read())


def _arguments(options: dict[str, object]) -> list[str]:
    arguments = []
    for name, value in options.items():
        option = "--" + name.replace("_", "-")
        if value is True:
            arguments.append(option)
        elif value is False:
            arguments.append("--no-" + option.removeprefix("--"))
        elif value is not None:
            arguments += [option, str(value)]
    return arguments


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("JEDLIK_")}


def _listening_url(log: bytes) -> str | None:
    for line in _objects(log):
        url = line.get("url")
        if isinstance(url, str):
            return url
    return None


def _objects(log: bytes) -> list[dict[str, Any]]:
    """The lines of a log that are objects. One that is just being written comes later."""
    whole, _, _ = log.rpartition(b"\n")
    return [json.loads(line) for line in whole.decode().split("\n") if line.startswith("{")]
