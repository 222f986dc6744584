"""The load: wrk, with its threads and connections and a file of prepared requests.

wrk is Debian's and Ubuntu's package of that name. Its figures are the client's: from the request's first byte to the
answer's last.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.signing import Signed
from testing.prepared_program import die_with_parent

SCRIPT = Path(__file__).with_name("cycle.lua")
ANSWER_SECONDS = 10
"""An answer that takes longer is an error."""
SPARE_SECONDS = 30
"""Seconds that wrk has to read its file and to end."""


class Unusable(Exception):
    """The benchmark needs something that is missing; the message explains how to get it."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run. Times are in milliseconds."""

    answers: int
    """All requests of the run."""
    per_second: float
    p50: float
    p99: float
    errors: int
    """Answers other than 2xx, and requests without one."""


def program() -> str:
    """The path of wrk. Raises Unusable if it is missing."""
    path = shutil.which("wrk")
    if path is None:
        raise Unusable("wrk is needed to make the load: apt-get install wrk")
    return path


def version() -> str:
    """The version that wrk reports."""
    shown = subprocess.run([program(), "-v"], capture_output=True, text=True, timeout=10, check=False)
    return " ".join((shown.stdout + shown.stderr).split()[:2])


def write(requests: Iterable[Signed], path: Path) -> None:
    """Prepare the file that the script reads."""
    with path.open("wb") as file:
        for request in requests:
            wire = request.wire()
            file.write(b"%d\n" % len(wire))
            file.write(wire)


def run(url: str, requests: Path, connections: int, threads: int, seconds: int, sent: int = 0) -> Measurement:
    """Send the requests to `url` in a loop on `connections` connections, shared among `threads` threads.

    Skips the `sent` requests that earlier runs have sent. Raises subprocess.SubprocessError if wrk fails: mostly
    because nobody listens.
    """
    threads = min(threads, connections)
    arguments = [
        program(),
        f"--threads={threads}",
        f"--connections={connections}",
        f"--duration={seconds}s",
        f"--timeout={ANSWER_SECONDS}s",
        f"--script={SCRIPT}",
        url,
        "--",
        str(requests),
        str(threads),
        str(sent),
    ]
    limit = seconds + SPARE_SECONDS
    shown = subprocess.run(
        arguments, capture_output=True, text=True, timeout=limit, check=True, preexec_fn=die_with_parent
    )
    measured = json.loads(shown.stdout.splitlines()[-1])
    return Measurement(
        answers=measured["answers"],
        per_second=measured["answers"] / measured["microseconds"] * 1e6,
        p50=measured["p50"] / 1000,
        p99=measured["p99"] / 1000,
        errors=measured["refused"] + measured["broken"],
    )
