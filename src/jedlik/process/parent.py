"""The parent of the workers: starts them, replaces those that die, and on request replaces all, one after the other.

It stays single-threaded and has no event loop, so that it can fork at any time. It holds nothing that clients need. A
worker that is being replaced serves until another has taken its number. Then it accepts no connection, announces on
each open one that the next answer is the last, and ends with its last connection. So no request is lost.

What a worker is, as the parent sees it:

    starting --(reports that it serves)--> serving --(another has its number)--> finishing --> gone
"""

from __future__ import annotations

import logging
import mmap
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from types import FrameType

from jedlik.aws import metrics
from jedlik.aws.slabs import Slab
from jedlik.config import SettingsError
from jedlik.process.listeners import StartError
from jedlik.process.metrics_memory import MetricsMemory
from jedlik.process.worker import RETIRE, STOPPING, Site, work
from jedlik.storage.lmdb import large_blocks
from jedlik.wire.loads import ABSENT

log = logging.getLogger(__name__)

FAILED = 1
"""Exit code of a worker with a fault."""
KILL_AFTER = 5.0
"""Seconds beyond the time to stop after which a worker is killed."""
SHORTEST_LIFE = 1.0
"""A worker that dies within this many seconds of its start is replaced only when they are over."""
MOST_FINISHING = 4
"""How many old workers there may be for each new one. An old worker with idle clients ends only when their time is up,
and frequent restarts must not fill the memory: the next replacement waits."""
LOOK_SECONDS = 1.0
"""How often the parent looks whether the workers' event loops turn."""
WHENEVER = 3600.0
"""Seconds to wait for a signal when nothing else is due."""
RESTART = signal.SIGHUP
"""Makes the parent read the settings again and replace all workers. From a terminal that closes, it means to stop."""
WATCHED = {signal.SIGCHLD, RESTART} | STOPPING
"""The signals that the parent heeds."""
PID_BYTES = 4
"""The message by which a worker reports that it serves: its process id."""


@dataclass(slots=True)
class Worker:
    """A forked process that has not ended, as far as the parent knows."""

    pid: int
    number: int
    site: Site
    beat: memoryview[int]
    """One number, in memory shared with the process, that goes up as long as its event loop turns."""
    slab: Slab
    """What it counts."""
    seen: int = 0
    """What that was at the last look."""
    still: int = 0
    """How many checks in a row have found it unchanged."""
    serving: bool = False
    finishing: bool = False


class Supervisor:
    """The workers of a server. `renew` returns a site with settings and files read again, and raises SettingsError or
    StartError if they cannot be used; `announce` reports that the server is ready."""

    def __init__(self, site: Site, renew: Callable[[Site], Site], announce: Callable[[Site], None]) -> None:
        self._site = site
        self._renew = renew
        self._announce = announce
        self._workers: dict[int, Worker] = {}
        """By process id."""
        self._due: dict[int, float] = {}
        """When a worker's number may be given again, after it was last given."""
        self._look_due = 0.0
        self._metrics = MetricsMemory()
        self._ready = False
        self._restarting = False
        self._terminal = sys.stderr.isatty()
        self._parent, self._parent_end = os.pipe()
        """A pipe that nothing is written to: workers see it close when the parent is gone."""
        self._signals, self._signals_end = os.pipe()
        """A pipe to which the interpreter writes the number of each signal that arrives."""
        self._served, self._served_end = os.pipe()
        """A pipe in which workers report that they serve."""
        os.set_blocking(self._signals_end, False)

    def run(self) -> int:
        """Keep the workers running until SIGTERM or SIGINT. Returns the exit code."""
        large_blocks.map_apart()
        signal.set_wakeup_fd(self._signals_end)
        for watched in WATCHED:
            signal.signal(watched, _only_wake_up)
        while True:
            self._start_due()
            arrived = self._arrived(min(self._seconds_to_next(), LOOK_SECONDS))
            self._kill_hanging()
            if arrived & STOPPING or (RESTART in arrived and self._hung_up()):
                self._stop()
                return 0
            if RESTART in arrived:
                self._begin_restart()
            for worker, code in self._reap():
                if worker.finishing:
                    continue
                if not self._ready:
                    self._stop()
                    return code or FAILED
                log.warning("worker %d ended with %d and is replaced", worker.number, code)
            self._retire_replaced()

    # What is to be done

    def _start_due(self) -> None:
        """Start workers: at once for numbers without one, one after the other to replace old ones."""
        now = time.monotonic()
        for number in self._wanted():
            if self._due.get(number, now) <= now:
                self._start(number, now)

    def _wanted(self) -> Iterator[int]:
        """The numbers that may be given to new workers."""
        for number in range(self._site.settings.process_count):
            taken = [worker for worker in self._workers.values() if worker.number == number and not worker.finishing]
            if not taken or (not any(worker.site is self._site for worker in taken) and self._may_replace()):
                yield number

    def _may_replace(self) -> bool:
        """Whether another old worker may be replaced now."""
        workers = self._workers.values()
        finishing = sum(worker.finishing for worker in workers)
        starting = any(not worker.serving and not worker.finishing for worker in workers)
        return not starting and finishing < MOST_FINISHING * self._site.settings.process_count

    def _seconds_to_next(self) -> float:
        due = [self._due.get(number, 0.0) for number in self._wanted()]
        return max(0.0, min(due) - time.monotonic()) if due else WHENEVER

    def _begin_restart(self) -> None:
        """Read the settings again. From now on, workers of the former site are replaced."""
        try:
            self._site = self._renew(self._site)
        except (SettingsError, StartError) as error:
            log.error("nothing is restarted: %s", error)
            return
        self._restarting = True
        self._due.clear()
        for worker in self._workers.values():
            if not worker.serving and not worker.finishing:  # it still starts with the former settings
                self._retire(worker)
        log.info("restarting", extra={"workers": self._site.settings.worker_count})

    def _retire_replaced(self) -> None:
        """Let old workers finish whose number has a new worker; when every number has one, let all old workers
        finish."""
        serving = {worker.number for worker in self._workers.values() if worker.serving and worker.site is self._site}
        complete = len(serving) == self._site.settings.process_count
        for worker in self._workers.values():
            if worker.site is not self._site and not worker.finishing and (complete or worker.number in serving):
                self._retire(worker)
        if complete and self._restarting:
            self._restarting = False
            log.info("restarted", extra={"workers": len(serving)})

    def _retire(self, worker: Worker) -> None:
        """Ask a worker to finish. It may already serve although its report has not arrived, so it is asked as if it
        did."""
        worker.finishing = True
        os.kill(worker.pid, RETIRE)

    def _kill_hanging(self) -> None:
        """Kill serving workers whose event loops have been stuck for long.

        It counts checks, not seconds: what stopped the parent (a suspended machine) may have stopped its workers, too.
        """
        now = time.monotonic()
        if now < self._look_due:
            return
        self._look_due = now + LOOK_SECONDS
        for worker in self._workers.values():
            beat = worker.beat[0]
            worker.still = worker.still + 1 if worker.serving and beat == worker.seen else 0
            worker.seen = beat
            if worker.still > 2 * worker.site.settings.hang_timeout:
                log.error("worker %d does not answer and is killed", worker.number)
                worker.still = 0
                os.kill(worker.pid, signal.SIGKILL)

    def _hung_up(self) -> bool:
        """Whether the terminal that the server was started from has gone."""
        return self._terminal and not sys.stderr.isatty()

    # What happens

    def _arrived(self, seconds: float) -> set[int]:
        """The signals that have arrived. Waits up to `seconds` for one, or for a worker's report that it serves."""
        readable, _, _ = select.select([self._signals, self._served], [], [], seconds)
        if self._served in readable:
            told = os.read(self._served, 1024 * PID_BYTES)
            for start in range(0, len(told), PID_BYTES):
                self._serves(int.from_bytes(told[start : start + PID_BYTES], "big"))
        return set(os.read(self._signals, 4096)) if self._signals in readable else set()

    def _serves(self, pid: int) -> None:
        worker = self._workers.get(pid)
        if worker is not None:
            worker.serving = True
        if not self._ready:
            self._ready = True
            self._announce(self._site)

    def _reap(self) -> list[tuple[Worker, int]]:
        """The workers that have ended, each with its exit code or negative signal."""
        ended = []
        while self._workers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            worker = self._workers.pop(pid)
            worker.site.loads.set(worker.number, ABSENT)
            self._metrics.take_back(worker.slab)
            ended.append((worker, os.waitstatus_to_exitcode(status)))
        return ended

    # Processes

    def _start(self, number: int, now: float) -> None:
        self._due[number] = now + SHORTEST_LIFE
        beat = memoryview(mmap.mmap(-1, 8)).cast("Q")
        slab = self._metrics.give()
        signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)  # Until the child has handlers of its own.
        pid = os.fork()
        if pid == 0:
            self._be_worker(number, beat, slab)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
        self._workers[pid] = Worker(pid, number, self._site, beat, slab)

    def _be_worker(self, number: int, beat: memoryview[int], slab: Slab) -> None:
        """The life of a forked process, which does not return."""
        code = FAILED
        try:
            os.close(self._parent_end)
            signal.set_wakeup_fd(-1)
            for watched in WATCHED:
                # A terminal that closes signals every process. Only the parent acts on it.
                signal.signal(watched, signal.SIG_IGN if watched == RESTART else signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
            metrics.use(slab)
            node = number - self._site.settings.worker_count
            if node >= 0:
                from jedlik.process import dax_node  # A server without DAX starts without it, a sixth faster.

                code = dax_node.work(self._site, node, self._tell_serving, self._parent, beat)
            else:
                code = work(self._site, number, self._tell_serving, self._parent, beat)
        except BaseException:
            log.exception("worker %d failed", number)
        finally:
            os._exit(code)

    def _tell_serving(self) -> None:
        os.write(self._served_end, os.getpid().to_bytes(PID_BYTES, "big"))

    def _stop(self) -> None:
        """Ask the workers to finish, and kill those that do not."""
        for listening in (*self._site.listening, *chain.from_iterable(self._site.dax)):
            listening.close()
        seconds = self._site.settings.stop_timeout
        if self._ready:
            log.info("stopping: requests in flight have %g seconds to finish", seconds)
        deadline = time.monotonic() + seconds + KILL_AFTER
        self._signal(signal.SIGTERM)
        self._reap()
        while self._workers:
            left = deadline - time.monotonic()
            if left <= 0:
                log.warning("%d workers have not ended in time and are killed", len(self._workers))
                self._signal(signal.SIGKILL)
            self._arrived(max(left, 1.0))
            self._reap()
        if self._ready:
            log.info("stopped")

    def _signal(self, number: int) -> None:
        for pid in self._workers:
            os.kill(pid, number)


def _only_wake_up(number: int, frame: FrameType | None) -> None:
    """Do nothing: the interpreter has already written the signal's number to the wake-up pipe."""
