"""The committer: a process that writes and syncs one worker's batches, one after the other.

The LMDB binding releases the interpreter lock at every call. In a thread of the worker, each of a batch's puts would
win the lock back from a busy event loop: thirty puts took 0.6 ms where 0.06 will do, and held up the loop as often. So
commits run in a process of their own. It is started when it is first needed, and ends with its worker.

The two talk over a pair of sockets, one question and one answer at a time (`committer_messages`). Here is the worker's
end; the process is `committer_process`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from jedlik.storage.lmdb.committer_messages import FAILED, LENGTH, Message, framed, unpacked

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from jedlik.storage.lmdb.store import Files

_PROCESS = "jedlik.storage.lmdb.committer_process"
_KILLED = "the process that commits did not answer and was killed, perhaps after a commit"
_GONE = "the process that commits has ended, perhaps after a commit"

_RECEIVED = 64 << 10
"""Bytes read from a socket at once: nearly every answer has a few. With a buffer of 1 MB, a read takes 15 us."""
_END_SECONDS = 10.0
"""Seconds in which an unneeded committer must have ended: it has nothing to do."""
_KILLED_SECONDS = 1.0
"""Seconds in which a killed process has ended, unless it waits for a disk."""
_END_STEP = 0.005
_END_STEPS = round(_END_SECONDS / _END_STEP)


class Committer:
    """The worker's end. `answered` is called on the event loop, once for each question."""

    def __init__(
        self, path: Path, files: Files, map_size: int, loop: AbstractEventLoop, answered: Callable[[Message], None]
    ) -> None:
        self.ended = False
        """Whether another one is needed."""
        self._loop = loop
        self._answered = answered
        self.unanswered_looks = 0
        """Checks in a row that found the same question unanswered, after the first."""
        self.quiet_looks = 0
        """Checks in a row that found nothing to do, after the first."""
        self._asked = False
        self._questions = self._looked_at = 0
        self._killed = False
        self._unsent = memoryview(b"")
        self._received = bytearray()
        self._socket, theirs = socket.socketpair()
        self._socket.setblocking(False)
        with theirs:
            # -P: what happens to lie in the working directory is not imported.
            command = [sys.executable, "-P", "-m", _PROCESS, str(theirs.fileno()), str(os.getpid()), str(map_size)]
            self._process = subprocess.Popen(
                [*command, str(path), *map(str, files)], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
            )
        loop.add_reader(self._socket, self._receive)

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def look(self) -> None:
        """Count a check of its work, one a second.

        Checks are counted, not seconds: while the worker itself stood still, it could neither ask nor receive an
        answer.
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
            self._unsent = memoryview(b"")  # The committer has ended, and reading will show that.
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
        if len(self._received) >= LENGTH + int.from_bytes(self._received[:LENGTH], "little"):
            answer = unpacked(self._received[LENGTH:])
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
