"""The processes: one that serves by itself, or several workers and the parent that watches over them.

The parent takes the data folder and the port, then forks workers that inherit both. It stays single-threaded and has no
event loop, so that it can fork again at any time: a worker that dies is replaced. A worker whose parent is gone stops.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import select
import signal
import tempfile
import time
from pathlib import Path
from types import FrameType

from jedlik import __version__
from jedlik.config import Settings
from jedlik.server.acceptor import ABSENT, Loads
from jedlik.server.credentials import Credentials, CredentialsError
from jedlik.server.listening import (
    MEMORY_PREFIX,
    StartError,
    raise_descriptor_limit,
    sweep_memory_folders,
    take_data_folder,
    take_port,
    tls_context,
)
from jedlik.server.worker import STOPPING, Site, work

log = logging.getLogger(__name__)

FAILED = 1
"""Exit code of a worker with a fault."""
KILL_AFTER = 5.0
"""Seconds beyond the time to stop after which a worker is killed."""
SHORTEST_LIFE = 1.0
"""A worker that dies within this many seconds of its start is replaced only when they are over."""
WHENEVER = 3600.0
"""Seconds to wait for a signal when nothing else is due."""
READY = signal.SIGUSR1
"""What a worker tells its parent once it serves."""
WATCHED = {signal.SIGCHLD, READY} | STOPPING
"""The signals that the parent heeds."""


def run(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit code; raises StartError."""
    if not settings.in_memory:
        return _run(settings)
    sweep_memory_folders()
    with tempfile.TemporaryDirectory(prefix=MEMORY_PREFIX) as folder:
        return _run(dataclasses.replace(settings, data_dir=Path(folder), credentials=settings.credentials_file))


def _run(settings: Settings) -> int:
    if settings.auth == "on":
        check_credentials(settings.credentials_file)
    tls = None
    if settings.tls_cert is not None and settings.tls_key is not None:
        tls = tls_context(settings.tls_cert, settings.tls_key)
    lock = take_data_folder(settings.data_dir)
    try:
        listening = take_port(settings.host, settings.port)
        raise_descriptor_limit()
        site = Site(settings, listening, tls, Loads(settings.worker_count))
        if settings.worker_count == 1:
            return work(site, 0, lambda: announce(site))
        return Supervisor(site).run()
    finally:
        os.close(lock)


def check_credentials(path: Path) -> None:
    """Raise StartError if the access keys cannot be used; warn if there are none."""
    try:
        keys = len(Credentials(path))
    except CredentialsError as error:
        raise StartError(str(error)) from error
    if not keys:
        log.warning("there are no access keys in %s: make one with `jedlik credentials create`", path)


def announce(site: Site) -> None:
    """Say that the server is ready, and where."""
    settings = site.settings
    fields = {
        "url": site.url,
        "version": __version__,
        "data_dir": "memory" if settings.in_memory else str(settings.data_dir),
        "workers": settings.worker_count,
        "auth": settings.auth,
    }
    log.info("listening", extra=fields)


class Supervisor:
    """The parent of several workers."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._pid = os.getpid()
        self._workers: dict[int, int] = {}
        """From process id to the worker's number."""
        self._started: dict[int, float] = {}
        """When the worker with a number was last started."""
        self._due: dict[int, float] = dict.fromkeys(range(site.settings.worker_count), 0.0)
        """Numbers of the workers to be started, and when."""
        self._ready = False
        self._parent, self._parent_end = os.pipe()
        """A pipe that nothing is written to: workers see it close when the parent is gone."""
        self._signals, self._signals_end = os.pipe()
        """A pipe to which the interpreter writes the number of each signal that arrives."""
        os.set_blocking(self._signals_end, False)

    def run(self) -> int:
        """Keep the workers running until SIGTERM or SIGINT. Returns the exit code."""
        signal.set_wakeup_fd(self._signals_end)
        for watched in WATCHED:
            signal.signal(watched, _only_wake_up)
        while True:
            self._start_due()
            arrived = self._arrived(self._seconds_to_next())
            if arrived & STOPPING:
                self._stop()
                return 0
            if READY in arrived and not self._ready:
                self._ready = True
                announce(self._site)
            for number, code in self._reap():
                if not self._ready:
                    self._stop()
                    return code or FAILED
                log.warning("worker %d ended with %d and is replaced", number, code)
                self._due[number] = self._started[number] + SHORTEST_LIFE

    def _arrived(self, seconds: float) -> set[int]:
        """The signals that have arrived; waits for one so long."""
        readable, _, _ = select.select([self._signals], [], [], seconds)
        return set(os.read(self._signals, 4096)) if readable else set()

    def _seconds_to_next(self) -> float:
        return max(0.0, min(self._due.values()) - time.monotonic()) if self._due else WHENEVER

    def _start_due(self) -> None:
        now = time.monotonic()
        for number in [number for number, when in self._due.items() if when <= now]:
            del self._due[number]
            self._started[number] = now
            signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)  # Until the child has handlers of its own.
            pid = os.fork()
            if pid == 0:
                self._be_worker(number)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
            self._workers[pid] = number

    def _be_worker(self, number: int) -> None:
        """The life of a forked process, which does not return."""
        code = FAILED
        try:
            os.close(self._parent_end)
            signal.set_wakeup_fd(-1)
            for watched in WATCHED:
                signal.signal(watched, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
            code = work(self._site, number, self._tell_ready, self._parent)
        except BaseException:
            log.exception("worker %d failed", number)
        finally:
            os._exit(code)

    def _tell_ready(self) -> None:
        if os.getppid() == self._pid:
            os.kill(self._pid, READY)

    def _reap(self) -> list[tuple[int, int]]:
        """The workers that have ended: number, and exit code or negative signal."""
        ended = []
        while self._workers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            number = self._workers.pop(pid)
            self._site.loads.set(number, ABSENT)
            ended.append((number, os.waitstatus_to_exitcode(status)))
        return ended

    def _stop(self) -> None:
        """Have the workers finish, and kill those that do not."""
        for listening in self._site.listening:
            listening.close()
        deadline = time.monotonic() + self._site.settings.stop_timeout + KILL_AFTER
        self._signal(signal.SIGTERM)
        self._reap()
        while self._workers:
            left = deadline - time.monotonic()
            if left <= 0:
                self._signal(signal.SIGKILL)
            self._arrived(max(left, 1.0))
            self._reap()

    def _signal(self, number: int) -> None:
        for pid in self._workers:
            os.kill(pid, number)


def _only_wake_up(number: int, frame: FrameType | None) -> None:
    """Handle a signal by nothing more than what the interpreter has already done: told the wake-up pipe."""
