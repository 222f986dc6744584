"""The committer: a process that writes and syncs one worker's batches, one after the other.

The LMDB binding releases the interpreter lock at every call. In a thread of the worker, each of a batch's puts would
win the lock back from a busy event loop: thirty puts took 0.6 ms where 0.06 will do, and held up the loop as often. So
commits run in a process of their own. It is started when it is first needed, and ends with its worker.

The two talk over a pair of sockets, one question and one answer at a time, each a length and a value in the form of
MessagePack:

    worker                                       committer
    (snapshot, reads, overlaid, changes)
                                                 lock; if nothing that was read has changed, journal, commit, unlock
                                                 (DONE, checkpoint on the disk, why others fail)
                                                 otherwise, under the lock
                                                 (STALE, what is there under reads and overlaid)
    changes, as decided over that
                                                 journal, commit, unlock
                                                 (DONE, checkpoint on the disk, why others fail)
                                                 or, if that cannot be done, having changed nothing
                                                 (FAILED, why, whether the committer ends, the damaged key)
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import lmdb
import msgpack

from jedlik.storage.batch import Read
from jedlik.storage.engine import DamagedValue, StorageError
from jedlik.storage.lmdb.checkpoints import Checkpoints
from jedlik.storage.lmdb.commits import Decided, commit, has_panicked
from jedlik.storage.lmdb.journal import Journal
from jedlik.storage.lmdb.store import open_store

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

Message: TypeAlias = Any
"""A tuple, or bytes."""

DONE, STALE, FAILED = 0, 1, 2
"""What an answer says first."""
_KILLED = "the process that commits did not answer and was killed, perhaps after a commit"
_GONE = "the process that commits has ended, perhaps after a commit"

COMMITS_BETWEEN_READER_CHECKS = 64
_LENGTH = 8
_RECEIVED = 64 << 10
"""Bytes read from a socket at once: nearly every answer has a few. With a buffer of 1 MB, a read takes 15 us."""
_END_SECONDS = 10.0
"""Seconds in which an unneeded committer must have ended: it has nothing to do."""
_KILLED_SECONDS = 1.0
"""Seconds in which a killed process has ended, unless it waits for a disk."""
_END_STEP = 0.005
_END_STEPS = round(_END_SECONDS / _END_STEP)
_PR_SET_PDEATHSIG = 1
_ROOM_ATTEMPTS = 10
"""How often a checkpoint is made or confirmed to get room in the journal: other processes may fill it first."""


class Committer:
    """The worker's end. `answered` is called on the event loop, once for each question."""

    def __init__(self, path: Path, map_size: int, loop: AbstractEventLoop, answered: Callable[[Message], None]) -> None:
        self.ended = False
        """Whether another one is needed."""
        self._loop = loop
        self._answered = answered
        self.unanswered_looks = 0
        """Looks in a row that found the same question unanswered, after the first."""
        self.quiet_looks = 0
        """Looks in a row that found nothing to do, after the first."""
        self._asked = False
        self._questions = self._looked_at = 0
        self._killed = False
        self._unsent = memoryview(b"")
        self._received = bytearray()
        self._socket, theirs = socket.socketpair()
        self._socket.setblocking(False)
        with theirs:
            # -P: what happens to lie in the working directory is not imported.
            command = [sys.executable, "-P", "-m", __name__, str(theirs.fileno()), str(os.getpid()), str(map_size)]
            self._process = subprocess.Popen(
                [*command, str(path)], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
            )
        loop.add_reader(self._socket, self._receive)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def look(self) -> None:
        """Count a look at what it does, one a second.

        Looks are counted, not seconds: while the worker itself stood still, it could neither ask nor receive an answer.
        """
        same, self._looked_at = self._questions == self._looked_at, self._questions
        self.unanswered_looks = self.unanswered_looks + 1 if same and self._asked else 0
        self.quiet_looks = self.quiet_looks + 1 if same and not self._asked else 0

    @property
    def lingers(self) -> bool:
        """Whether the process still exists. The kernel kills a process that waits for a disk only when the disk has
        answered."""
        return self._process.poll() is None

    def ask(self, question: Message) -> None:
        """Send a question."""
        self._asked = True
        self._questions += 1
        self._unsent = memoryview(framed(question))
        self._send()

    def kill(self) -> None:
        """Kill a process that does not answer, and answer in its place."""
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_KILLED_SECONDS)
        self._killed = True
        self.unanswered_looks = 0
        self._tell((FAILED, _KILLED, True, None))

    async def end(self) -> None:
        """End it without blocking the event loop: it may have to sync its commits."""
        self._forget()
        self._socket.close()
        for _ in range(_END_STEPS):
            if self._process.poll() is not None:
                return
            await asyncio.sleep(_END_STEP)
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End it. It may or may not have done a question that it has not answered."""
        self._forget()
        self._socket.close()
        if self._killed:
            return
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _send(self) -> None:
        """Send what the socket has room for; the event loop calls again when it has room for the rest."""
        try:
            while self._unsent:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except BlockingIOError:
            self._loop.add_writer(self._socket, self._send)
            return
        except OSError:
            self._unsent = memoryview(b"")  # The committer has ended, and reading will say so.
        self._loop.remove_writer(self._socket)

    def _receive(self) -> None:
        try:
            data = self._socket.recv(_RECEIVED)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data:
            self._tell((FAILED, _GONE, True, None))
            return
        self._received += data
        if len(self._received) >= _LENGTH + int.from_bytes(self._received[:_LENGTH], "little"):
            answer = unpacked(self._received[_LENGTH:])
            self._received = bytearray()
            self._tell(answer)

    def _tell(self, answer: Message) -> None:
        asked, self._asked = self._asked, False
        if answer[0] == FAILED and answer[2]:
            self.ended = True
            self._forget()
        if asked:
            self._answered(answer)

    def _forget(self) -> None:
        """Neither send nor receive any more."""
        self._loop.remove_writer(self._socket)
        self._loop.remove_reader(self._socket)


def framed(message: Message) -> bytes:
    """A message as it is sent."""
    encoded: bytes = msgpack.packb(message)
    return len(encoded).to_bytes(_LENGTH, "little") + encoded


def unpacked(encoded: bytes | bytearray) -> Message:
    """A message that was received."""
    message: Message = msgpack.unpackb(encoded, use_list=False)
    return message


def send(to: socket.socket, message: Message) -> None:
    """Send a message. Raises OSError if nobody is there."""
    to.sendall(framed(message))


def receive(source: socket.socket) -> Message | None:
    """The next message; None if there will be none."""
    length = _received(source, _LENGTH)
    encoded = None if length is None else _received(source, int.from_bytes(length, "little"))
    return None if encoded is None else unpacked(encoded)


def _received(source: socket.socket, size: int) -> bytes | None:
    data = source.recv(size, socket.MSG_WAITALL)
    return data if len(data) == size else None


# The process


class WorkerGone(Exception):
    """Nobody is there to decide a batch again."""


class Commits:
    """The parts of a store that the process needs to commit to it."""

    def __init__(self, path: Path, map_size: int) -> None:
        """Raises StorageError, lmdb.Error and OSError."""
        with ExitStack() as opened:
            store = opened.enter_context(closing(open_store(path, True, map_size)))
            self.environment = store.environment
            self._journal = opened.enter_context(closing(Journal(path)))
            self.checkpoints = Checkpoints(path, self.environment, self._journal)
            opened.callback(self.checkpoints.end)
            self.checkpoints.begin()
            self._commits = 0
            self._opened = opened.pop_all()

    @property
    def checkpoint(self) -> int | None:
        """The number of the last checkpoint that this process knows to be on the disk."""
        return self._journal.sure

    def close(self) -> None:
        """Sync everything that was committed."""
        self._opened.close()

    def commit(self, worker: socket.socket, question: Message) -> None:
        """Commit a batch as `commits.commit` does, with a checkpoint before if need be.

        Raises WorkerGone, StorageError, lmdb.Error and OSError, having changed nothing.
        """
        snapshot, reads, overlaid, changes = question
        decided = Decided(snapshot, reads, changes)

        def decide_again(read: Read) -> bytes:
            send(worker, (STALE, {key: read(key) for key in (*reads, *overlaid)}))
            changes: bytes | None = receive(worker)
            if changes is None:
                raise WorkerGone
            return changes

        if self._commits % COMMITS_BETWEEN_READER_CHECKS == 0:
            # Processes that were killed in the middle of a read keep old pages from being used again.
            self.environment.reader_check()
        self._commits += 1
        for _ in range(_ROOM_ATTEMPTS):
            if commit(self.environment, self._journal, os.getpid(), decided, decide_again):
                self.checkpoints.take_note(len(changes))
                return
            if self._journal.is_sure_of(self._journal.checkpoint()):
                self.checkpoints.make()
            else:
                self.checkpoints.confirm()
        raise StorageError("the journal is full, and others fill it before we can write to it")


def serve(worker: socket.socket, path: Path, map_size: int) -> None:
    """Commit the worker's batches until the worker is gone, or until LMDB refuses to go on: then another process takes
    over."""
    commits: Commits | None = None
    try:
        while (question := receive(worker)) is not None:
            try:
                if commits is None:
                    commits = Commits(path, map_size)
                commits.commit(worker, question)
            except WorkerGone:
                return
            except (lmdb.Error, StorageError, OSError) as error:
                ends = commits is None or has_panicked(commits.environment)
                damaged = error.key if isinstance(error, DamagedValue) else None
                send(worker, (FAILED, str(error), ends, damaged))
                if ends:
                    return
            else:
                send(worker, (DONE, commits.checkpoint, commits.checkpoints.failure))
    finally:
        if commits is not None:
            commits.close()


def main(arguments: list[str]) -> None:
    """The process: the descriptor of its socket, its worker's id, the map's size and the store's directory."""
    descriptor, worker, map_size, path = arguments
    for stopping in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stopping, signal.SIG_IGN)  # the worker handles them, and ends this process
    # Die with the worker: a restarted server may already be serving.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == int(worker):
        serve(socket.socket(fileno=int(descriptor)), Path(path), int(map_size))


if __name__ == "__main__":
    main(sys.argv[1:])
