"""The parent of the workers: starts them, replaces those that die, and on request replaces all, one after the other.

It stays single-threaded and has no event loop, so that it can fork at any time. It holds nothing that clients need. A
node of DAX is a worker here, whose post is the node instead of a number. A worker that is being replaced serves until
another has taken its post. Then it accepts no connection, announces on each open one that the next answer is the last,
and ends with its last connection. So no request is lost.

What a worker is, as the parent sees it:

    starting --(reports that it serves)--> serving --(another has its post)--> finishing --> gone
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
from datetime import UTC, datetime
from types import FrameType

from jedlik.aws import metrics
from jedlik.aws.slabs import Slab
from jedlik.config import SettingsError
from jedlik.dax.node_board import NodeName
from jedlik.process.listeners import StartError
from jedlik.process.metrics_memory import MetricsMemory
from jedlik.process.node_seats import NodeSeats, Seat
from jedlik.process.root_key_holder import RootKeyHolder
from jedlik.process.serving_process import RETIRE, STOPPING
from jedlik.process.site import Site
from jedlik.process.worker import work
from jedlik.storage.lmdb import large_blocks
from jedlik.wire.certificates import CertificateError, CertificateFiles, Certificates, Gaps
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
Post = int | NodeName
"""What a process is there for: a worker's number, or a node of DAX."""


@dataclass(slots=True)
class Worker:
    """A forked process that has not ended, as far as the parent knows."""

    pid: int
    post: Post
    generation: int
    """How often another process was asked for, of a node."""
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
    """The workers of a server, and its nodes of DAX, which it treats alike.

    `renew` returns a site with settings and files read again, and raises SettingsError or StartError if they cannot be
    used; `announce` reports that the server is ready; `has_data` returns whether the data folder is still where it was.
    """

    def __init__(
        self,
        site: Site,
        seats: NodeSeats,
        holder: RootKeyHolder,
        renew: Callable[[Site], Site],
        announce: Callable[[Site], None],
        has_data: Callable[[], bool],
    ) -> None:
        self._site = site
        self._seats = seats
        self._holder = holder
        self._renew = renew
        self._announce = announce
        self._has_data = has_data
        self._workers: dict[int, Worker] = {}
        """By process id."""
        self._due: dict[Post, float] = {}
        """When a worker's post may be given again, after it was last given."""
        self._look_due = 0.0
        self._gaps: dict[CertificateFiles, Gaps | None] = {}
        """What is wrong with the revocation lists of each listener, and has been logged."""
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
            self._look()
            if arrived & STOPPING or (RESTART in arrived and self._hung_up()):
                self._stop()
                return 0
            if not self._has_data():
                log.error(
                    "the data directory %s has been moved, removed or replaced: the server ends, because what it would "
                    "acknowledge from now on could be lost",
                    self._site.settings.data_dir,
                )
                self._stop()
                return FAILED
            if RESTART in arrived:
                self._begin_restart()
            for worker, code in self._reap():
                if worker.finishing:
                    continue
                if not self._ready:
                    self._stop()
                    return code or FAILED
                log.warning("%s ended with %d and is replaced", _named(worker.post), code)
            self._retire_replaced()
            self._look_after_nodes()

    # What is to be done

    def _start_due(self) -> None:
        """Start workers: at once for numbers without one, one after the other to replace old ones."""
        now = time.monotonic()
        for post in self._wanted():
            if self._due.get(post, now) <= now:
                self._start(post, now)

    def _posts(self) -> list[Post]:
        """All posts that there are."""
        return [*range(self._site.settings.worker_count), *(seat.name for seat in self._seats.startable())]

    def _wanted(self) -> Iterator[Post]:
        """The posts that may be given to new workers."""
        for post in self._posts():
            taken = [worker for worker in self._workers.values() if worker.post == post and not worker.finishing]
            if not taken or (not any(worker.site is self._site for worker in taken) and self._may_replace()):
                yield post

    def _may_replace(self) -> bool:
        """Whether another old worker may be replaced now."""
        workers = self._workers.values()
        finishing = sum(worker.finishing for worker in workers)
        starting = any(not worker.serving and not worker.finishing for worker in workers)
        return not starting and finishing < MOST_FINISHING * len(self._posts())

    def _seconds_to_next(self) -> float:
        due = [self._due.get(post, 0.0) for post in self._wanted()]
        return max(0.0, min(due) - time.monotonic()) if due else WHENEVER

    def _begin_restart(self) -> None:
        """Read the settings again. From now on, workers of the former site are replaced."""
        try:
            self._site = self._renew(self._site)
        except (SettingsError, StartError) as error:
            log.error("nothing is restarted: %s", error)
            return
        self._restarting = True
        self._seats.renew(self._site.settings)
        self._due.clear()
        for worker in self._workers.values():
            if not worker.serving and not worker.finishing:  # it still starts with the former settings
                self._retire(worker)
        log.info("restarting", extra={"workers": self._site.settings.worker_count})

    def _retire_replaced(self) -> None:
        """Let old workers finish whose post has a new worker; when every post has one, let all old workers finish."""
        serving = {worker.post for worker in self._workers.values() if worker.serving and worker.site is self._site}
        complete = serving.issuperset(self._posts())
        for worker in self._workers.values():
            if worker.site is not self._site and not worker.finishing and (complete or worker.post in serving):
                self._retire(worker)
        if complete and self._restarting:
            self._restarting = False
            log.info("restarted", extra={"workers": len(serving)})

    def _look_after_nodes(self) -> None:
        """Let nodes finish that are to be no more, or to be other processes; and show on the board which serve."""
        seats = self._seats.seats
        serving: dict[NodeName, int] = {}
        for worker in self._workers.values():
            if isinstance(worker.post, int) or worker.finishing:
                continue
            seat = seats.get(worker.post)
            if seat is None or seat.generation != worker.generation:
                self._retire(worker)
            elif worker.serving:
                serving[worker.post] = worker.generation
        ending = [worker.post for worker in self._workers.values() if worker.finishing]
        self._seats.show(serving, [post for post in ending if not isinstance(post, int)])

    def _retire(self, worker: Worker) -> None:
        """Ask a worker to finish. It may already serve although its report has not arrived, so it is asked as if it
        did."""
        worker.finishing = True
        os.kill(worker.pid, RETIRE)

    def _look(self) -> None:
        """Once a second: kill serving workers whose event loops have been stuck for long.

        It counts checks, not seconds: what stopped the parent (a suspended machine) may have stopped its workers, too.
        """
        now = time.monotonic()
        if now < self._look_due:
            return
        self._look_due = now + LOOK_SECONDS
        self._holder.look()
        self._look_at_certificates()
        for worker in self._workers.values():
            beat = worker.beat[0]
            worker.still = worker.still + 1 if worker.serving and beat == worker.seen else 0
            worker.seen = beat
            if worker.still > 2 * worker.site.settings.hang_timeout:
                log.error("%s does not answer and is killed", _named(worker.post))
                worker.still = 0
                os.kill(worker.pid, signal.SIGKILL)

    def _look_at_certificates(self) -> None:
        """Take certificates that have been replaced, for processes that start later. The others look themselves."""
        for tls in self._site.certificates:
            try:
                if tls.look():
                    log.info("certificates read again", extra={"certificate": str(tls.files.certificate)})
            except CertificateError as error:
                log.warning("the certificates stay as they were: %s", error)
            self._report_gaps(tls)

    def _report_gaps(self, tls: Certificates) -> None:
        """Log what is wrong with revocation lists, when that has changed: their time ends while the server runs."""
        gaps = tls.gaps(datetime.now(UTC))
        if gaps == self._gaps.get(tls.files):
            return
        self._gaps[tls.files] = gaps
        lists = {"lists": str(tls.files.revocation_lists)}
        for text in () if gaps is None else gaps.texts:
            log.warning("a revocation list is missing, so clients are refused: %s", text, extra=lists)
        if gaps is not None and gaps.refuse_all:
            log.error("every client that shows a certificate is refused: no revocation lists fit", extra=lists)

    def _hung_up(self) -> bool:
        """Whether the terminal that the server was started from has gone."""
        return self._terminal and not sys.stderr.isatty()

    # What happens

    def _arrived(self, seconds: float) -> set[int]:
        """The signals that have arrived. Waits up to `seconds` for one, or for a worker's report that it serves."""
        readable, _, _ = select.select([self._signals, self._served, self._seats.board.orders], [], [], seconds)
        if self._seats.board.orders in readable:
            self._seats.carry_out()
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
            if isinstance(worker.post, int):
                worker.site.loads.set(worker.post, ABSENT)
            self._metrics.take_back(worker.slab)
            ended.append((worker, os.waitstatus_to_exitcode(status)))
        return ended

    # Processes

    def _start(self, post: Post, now: float) -> None:
        self._due[post] = now + SHORTEST_LIFE
        seat = None if isinstance(post, int) else self._seats.seats[post]
        beat = memoryview(mmap.mmap(-1, 8)).cast("Q")
        slab = self._metrics.give()
        signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)  # Until the child has handlers of its own.
        pid = os.fork()
        if pid == 0:
            self._be_worker(post, seat, beat, slab)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
        self._workers[pid] = Worker(pid, post, 0 if seat is None else seat.generation, self._site, beat, slab)

    def _be_worker(self, post: Post, seat: Seat | None, beat: memoryview[int], slab: Slab) -> None:
        """The life of a forked process, which does not return."""
        code = FAILED
        try:
            os.close(self._parent_end)
            self._holder.let_go()
            self._seats.close_all_but(None if seat is None else seat.name)
            signal.set_wakeup_fd(-1)
            for watched in WATCHED:
                # A terminal that closes signals every process. Only the parent acts on it.
                signal.signal(watched, signal.SIG_IGN if watched == RESTART else signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
            metrics.use(slab)
            if seat is not None:
                from jedlik.process import dax_node  # A server without DAX starts without it, a sixth faster.

                code = dax_node.work(self._site, seat, self._tell_serving, self._parent, beat)
            elif isinstance(post, int):
                code = work(self._site, post, self._tell_serving, self._parent, beat)
        except BaseException:
            log.exception("%s failed", _named(post))
        finally:
            os._exit(code)

    def _tell_serving(self) -> None:
        os.write(self._served_end, os.getpid().to_bytes(PID_BYTES, "big"))

    def _stop(self) -> None:
        """Ask the workers to finish, and kill those that do not."""
        for listening in self._site.sockets:
            listening.close()
        self._seats.close()
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


def _named(post: Post) -> str:
    return f"worker {post}" if isinstance(post, int) else f"node {post.node}"


def _only_wake_up(number: int, frame: FrameType | None) -> None:
    """Do nothing: the interpreter has already written the signal's number to the wake-up pipe."""
