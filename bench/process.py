"""A running server: started, asked for its first answer, measured, stopped by its process id.

A server has a session of its own, and hears nothing of a Ctrl-C or a SIGTERM that ends the benchmark. So these unwind
the benchmark, which stops what it started (`unwind_when_asked`); and if it cannot do that, because it was killed, the
kernel does.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

from bench.load import Unusable
from bench.memory import Memory
from bench.peers import Peer, environment
from bench.signing import Client, Signer
from testing.prepared_program import die_with_parent

START_SECONDS = 60.0
STOP_SECONDS = 20.0
POLL_SECONDS = 0.002
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals by which somebody ends a benchmark."""


def unwind_when_asked() -> None:
    """Let a signal that ends the benchmark raise SystemExit, so that servers are stopped on the way."""
    for number in ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:  # `nohup` ignores SIGHUP, and means it.
            signal.signal(number, _unwind)


def _unwind(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


class Running:
    """A server that was started on an empty folder, or on its former one if that is kept.

    `first_answer` is how long that took, in seconds. Raises Unusable if it does not start.
    """

    def __init__(self, peer: Peer, folder: Path, keep: bool = False) -> None:
        self.peer = peer
        self.folder = folder
        data = folder / "data"
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
        data.mkdir(parents=True, exist_ok=True)
        port = _free_port()
        self.signer = Signer(f"127.0.0.1:{port}", *peer.credentials(data))
        self.url = f"http://{self.signer.host}/"
        self.log = folder / "log"
        started = time.perf_counter()
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                peer.command(port, data),
                cwd=folder,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        try:
            self._wait_for_answer(started + START_SECONDS)
        except BaseException:
            self.stop()
            raise
        self.first_answer = time.perf_counter() - started

    def _wait_for_answer(self, deadline: float) -> None:
        client = Client(self.signer)
        while True:
            try:
                client.call("ListTables", {})
                return
            except OSError as error:
                client.close()
                if self._process.poll() is not None or time.perf_counter() > deadline:
                    said = self.log.read_text(errors="replace")[-2000:]
                    raise Unusable(f"it did not start: {error}\n{said}") from error
                time.sleep(POLL_SECONDS)

    def client(self) -> Client:
        """A new connection to it."""
        return Client(self.signer)

    def memory(self) -> Memory:
        """The memory of all its processes together."""
        return Memory.of(self._process.pid)

    def stop(self) -> None:
        """End it and its children."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    assert isinstance(port, int)
    return port
