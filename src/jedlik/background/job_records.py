"""Jobs as they are stored: the background work to be done, and its progress.

A job is one value in the store, written in the same commit as the change that makes it necessary, so that it is never
forgotten. Each of its steps is a mini-transaction that reads this value and writes the next one (or deletes it, at the
end) together with the step's work. So two workers that both run a job cannot do a step twice: the second one finds that
the job has moved. The lease under which a job runs (`leases`) only saves them the trouble.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from jedlik.memory import MIB
from jedlik.regions.keyspaces import Keyspace, Owner
from jedlik.storage.engine import Engine, Row, Writes

KEYSPACE = Keyspace("jobs", b"\x40", Owner.STORE, "jobs", (("name", "background job"),))

_ROWS = 1000
"""Jobs that are read at a time."""

State = dict[str, Any]


class JobMoved(Exception):
    """Another worker has done the step meanwhile, or the job is over."""


class JobWaits(Exception):
    """The job cannot go on yet; it is tried again after a pause."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        """How long it pauses at least."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it was read. Equal jobs are equal bytes: compare `raw`."""

    name: str
    kind: str
    """The name of its kind (`work.JobKind`)."""
    state: State = field(repr=False)
    """The step function's input and progress. Never change it in place."""
    raw: bytes = field(repr=False)

    @property
    def key(self) -> bytes:
        """The storage key of the job, to be read by each step."""
        return job_key(self.name)

    def check(self, raw: bytes | None) -> None:
        """Raises JobMoved unless `raw`, read in the step's mutation, is what this job was parsed from."""
        if raw != self.raw:
            raise JobMoved

    def advance(self, state: State, writes: Writes) -> None:
        """Record that the job has come to `state`."""
        writes.put(self.key, _encode(self.kind, state))

    def finish(self, writes: Writes) -> None:
        """Record that the job is over."""
        writes.delete(self.key)


def submit(name: str, kind: str, state: State, writes: Writes) -> None:
    """Start a job with the commit of `writes`. A running job of the same name starts again from its beginning."""
    writes.put(job_key(name), _encode(kind, state))


def parse(row: Row) -> Job:
    """The job that a row of the job space holds."""
    key, raw = row
    document = orjson.loads(raw)
    return Job(name=name_of_job_key(key), kind=document["Kind"], state=document["State"], raw=raw)


def _encode(kind: str, state: State) -> bytes:
    return orjson.dumps({"Kind": kind, "State": state})


def job_key(name: str) -> bytes:
    """The key of the record of a background job."""
    return KEYSPACE.prefix + name.encode()


def job_range() -> tuple[bytes, bytes]:
    """The range of all jobs' records."""
    return KEYSPACE.range


async def count_of_kinds(engine: Engine, *kinds: str) -> int:
    """How many jobs of these kinds there are. Raises StorageError."""
    found = 0
    start, end = job_range()
    while rows := await engine.range(start, end, _ROWS, MIB):
        found += sum(parse(row).kind in kinds for row in rows)
        start = rows[-1][0] + b"\0"
    return found


def name_of_job_key(key: bytes) -> str:
    """The name of the job whose record is under `key`."""
    return key[1:].decode()


def cancel(name: str, writes: Writes) -> None:
    """End the job called `name`, if there is one, with the commit of `writes`."""
    writes.delete(job_key(name))
