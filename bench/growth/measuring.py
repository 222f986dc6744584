"""Measuring: requests of one operation to one server, signed and asked once beforehand, then sent by wrk.

The requests are taken from a generator that chooses them from the whole of what there is, so that a large table is
measured where it is large.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from bench import load
from bench.load import Measurement
from bench.process import Running
from bench.signing import Body, Refused

WARM_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked."""

    operation: str
    bodies: Callable[[], Iterator[Body]]
    right: Callable[[Body], bool]
    """Whether an answer is what was asked for."""
    count: int = 10_000
    """How many different bodies there are; they are sent over and over."""


@dataclass(frozen=True, slots=True)
class Target:
    """A request made ready for a server. A signature holds for 15 minutes, and so does this."""

    server: Running
    path: Path

    @classmethod
    def prepare(cls, server: Running, request: Request, path: Path) -> Target:
        """Sign, having asked the first. Raises Refused when its answer is not right."""
        bodies = list(islice(request.bodies(), request.count))
        client = server.client()
        answer = client.call(request.operation, bodies[0])
        client.close()
        if not request.right(answer):
            raise Refused(f"{request.operation} answered {str(answer)[:500]}")
        path.parent.mkdir(parents=True, exist_ok=True)
        load.write((server.signer.sign(request.operation, body) for body in bodies), path)
        return cls(server, path)

    def run(self, connections: int, seconds: int) -> Measurement:
        """One run. Raises Refused if an answer is an error."""
        measured = load.run(self.server.url, self.path, connections, seconds)
        if measured.errors:
            raise Refused(f"{measured.errors} answers at {connections} connections were errors")
        return measured


def in_turns(targets: Mapping[str, Target], connections: int, seconds: int, rounds: int) -> dict[str, Measurement]:
    """Run each target `rounds` times, in turns, after a run to get warm; the medians, by the targets' names."""
    for target in targets.values():
        target.run(connections, WARM_SECONDS)
    runs: dict[str, list[Measurement]] = {name: [] for name in targets}
    for _ in range(rounds):
        for name, target in targets.items():
            runs[name].append(target.run(connections, seconds))
    return {name: median(measured) for name, measured in runs.items()}


def median(runs: Sequence[Measurement]) -> Measurement:
    """The median of each figure, on its own."""
    return Measurement(
        per_second=statistics.median(run.per_second for run in runs),
        p50=statistics.median(run.p50 for run in runs),
        p99=statistics.median(run.p99 for run in runs),
        errors=sum(run.errors for run in runs),
    )
