"""Jedlik, imported once and started often: tests start hundreds of servers, and most of a start is imports.

`prepare` starts a process that has imported what a server needs. `Started` asks it to fork: the child is the program as
`python -m jedlik` has it when its imports are done, in a session of its own, with its own environment and log. It dies
with the process that prepared it, as a server does that is started the long way.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from testing.source_tree import ROOT

PR_SET_PDEATHSIG = 1
"""Linux's number for it, from <linux/prctl.h>."""
_prctl = ctypes.CDLL(None, use_errno=True).prctl
_NUMBER = struct.Struct("<i")
"""What the prepared process writes about a child: its process id, and at its end the exit code, as Popen has it."""
_LARGEST = 1 << 17
"""Bytes of a request: an environment, mostly."""
_MOST_DESCRIPTORS = 1 << 16
OWN_IMPORTS = {"OWN_IMPORTS": "1"}
"""An environment for a program that is to import everything itself: where its memory is measured."""
FREE = ("JEDLIK_", "TEST_", "PYTEST_")
"""The beginnings of the names of variables that are read after the imports, so that they may be another child's own."""


def die_with_parent() -> None:
    """Ask the kernel to kill this process when the thread that made it ends. Called between fork and exec."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class _Request(NamedTuple):
    """What a child is to be."""

    program: str
    """A module, as `python -m` has it."""
    arguments: list[str]
    environment: dict[str, str]
    folder: str


class _Prepared:
    """The process that forks, as those see it that ask."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * _LARGEST)
        self.environment = dict(os.environ)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd=ROOT,
                pass_fds=[theirs.fileno()],
                preexec_fn=die_with_parent,
            )
        self._socket = ours

    def fork(self, request: bytes, descriptors: Sequence[int]) -> None:
        socket.send_fds(self._socket, [request], descriptors)


_prepared: _Prepared | None = None


def prepare() -> None:
    """Start the prepared process, where the kernel can do what it needs. Called in the main thread: with the thread
    that does this, all servers end.

    Not where lines are counted: `coverage` must be there from the first import."""
    global _prepared
    assert threading.current_thread() is threading.main_thread()
    if any(name.startswith("COVERAGE_") for name in os.environ):
        return
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return
    if _prepared is None:
        _prepared = _Prepared()


def can_start(environment: Mapping[str, str]) -> bool:
    """Whether a program with this environment can be forked: what is read by imports is as it was then."""
    if _prepared is None:
        return False
    known = _prepared.environment
    return all(
        known.get(name) == environment.get(name)
        for name in known.keys() | environment.keys()
        if not name.startswith(FREE)
    )


class Started:
    """A forked program, with what a test needs of `subprocess.Popen`."""

    def __init__(
        self, program: str, arguments: Sequence[str], environment: Mapping[str, str], output: int, errors: int
    ) -> None:
        assert _prepared is not None
        self.returncode: int | None = None
        self._status, theirs = os.pipe()
        request = _Request(program, list(arguments), dict(environment), str(Path.cwd()))
        try:
            _prepared.fork(json.dumps(request).encode(), [output, errors, theirs])
        finally:
            os.close(theirs)
        self.pid = self._number()
        assert self.pid > 0, "the prepared process has ended"

    def poll(self) -> int | None:
        """The exit code, if it has ended."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code. Raises TimeoutExpired."""
        code = self._ended(timeout)
        if code is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired("jedlik", timeout)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it has not ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):  # Its end may be on the way.
                os.kill(self.pid, number)

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None and self._has_ended(timeout):
            self.returncode = self._number()
            os.close(self._status)
        return self.returncode

    def _has_ended(self, timeout: float | None) -> bool:
        """Whether its end is reported in time. `select` would fail in a test with more than 1,024 descriptors."""
        reports = select.poll()
        reports.register(self._status, select.POLLIN)
        return bool(reports.poll(None if timeout is None else 1000 * timeout))

    def _number(self) -> int:
        found = os.read(self._status, _NUMBER.size)
        return _NUMBER.unpack(found)[0] if found else -signal.SIGKILL


def _fork_for(asking: socket.socket) -> _Request:
    """The life of the prepared process. Returns in each child, which has become what the request asks for."""
    statuses: dict[int, tuple[int, int]] = {}
    """By the descriptor of a child: its process id, and where to write that it has ended."""
    waiting = select.poll()
    waiting.register(asking, select.POLLIN)
    while True:
        for descriptor, _ in waiting.poll():
            if descriptor != asking.fileno():
                pid, status = statuses.pop(descriptor)
                waiting.unregister(descriptor)
                os.close(descriptor)
                _report(status, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                os.close(status)
                continue
            asked, descriptors, _, _ = socket.recv_fds(asking, _LARGEST, 3)
            if not asked:
                os._exit(0)
            *outputs, status = descriptors
            pid = os.fork()
            if pid == 0:
                asking.detach()
                request = _Request(*json.loads(asked))
                _become(request, *outputs)
                return request
            for output in outputs:
                os.close(output)
            _report(status, pid)
            child = os.pidfd_open(pid)
            statuses[child] = pid, status
            waiting.register(child, select.POLLIN)


def _report(status: int, number: int) -> None:
    try:
        os.write(status, _NUMBER.pack(number))
    except BrokenPipeError:
        return  # Nobody wants to know any more.


def _become(request: _Request, output: int, errors: int) -> None:
    """Make this child what a new process would be."""
    os.setsid()
    die_with_parent()
    os.dup2(output, sys.stdout.fileno())
    os.dup2(errors, sys.stderr.fileno())
    os.closerange(3, _MOST_DESCRIPTORS)
    os.chdir(request.folder)
    os.environ.clear()
    os.environ.update(request.environment)


def _run() -> None:
    import jedlik.cli
    import jedlik.process.workers  # noqa: F401

    gc.collect()
    gc.freeze()
    request = _fork_for(socket.socket(fileno=int(sys.argv[1])))
    gc.unfreeze()
    sys.argv = [request.program, *request.arguments]
    runpy.run_module(request.program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _run()
