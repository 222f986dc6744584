"""The process of a committer. It imports little: it is started again and again where many stores are written to.

`committer` is the worker's end, and `committer_messages` has what the two send each other.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import lmdb

from jedlik.storage.engine import DamagedValue, StorageError
from jedlik.storage.lmdb.checkpoints import Checkpoints
from jedlik.storage.lmdb.commits import Decided, commit, has_panicked
from jedlik.storage.lmdb.committer_messages import DONE, FAILED, STALE, Message, receive, send
from jedlik.storage.lmdb.journal import Journal
from jedlik.storage.lmdb.store import Files, open_store, refuse_other_files

if TYPE_CHECKING:
    from jedlik.storage.batch import Read

COMMITS_BETWEEN_READER_CHECKS = 64
_PR_SET_PDEATHSIG = 1
_ROOM_ATTEMPTS = 10
"""How often a checkpoint is made or confirmed to get room in the journal: other processes may fill it first."""


class WorkerGone(Exception):
    """Nobody is there to decide a batch again."""


class Commits:
    """The parts of a store that the process needs to commit to it."""

    def __init__(self, path: Path, map_size: int, files: Files | None = None) -> None:
        """`files` are those that the worker has open. Raises StorageError, lmdb.Error and OSError."""
        with ExitStack() as opened:
            if files is not None:
                refuse_other_files(path, files)  # In an empty place, a store would be made.
            store = opened.enter_context(closing(open_store(path, True, map_size)))
            if files is not None:
                refuse_other_files(path, files)
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


def serve(worker: socket.socket, path: Path, map_size: int, files: Files) -> None:
    """Commit the worker's batches until the worker is gone, or until LMDB refuses to go on: then another process takes
    over."""
    commits: Commits | None = None
    try:
        while (question := receive(worker)) is not None:
            try:
                if commits is None:
                    commits = Commits(path, map_size, files)
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
    """The process: the descriptor of its socket, its worker's id, the map's size, the store's directory and files."""
    descriptor, worker, map_size, path, *files = arguments
    for stopping in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stopping, signal.SIG_IGN)  # the worker handles them, and ends this process
    # Die with the worker: a restarted server may already be serving.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == int(worker):
        serve(socket.socket(fileno=int(descriptor)), Path(path), int(map_size), tuple(map(int, files)))


if __name__ == "__main__":
    main(sys.argv[1:])
