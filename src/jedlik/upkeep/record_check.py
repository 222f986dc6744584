"""The check of the records that belong to no service, one by one: those of the store, of jobs and of leases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import orjson

from jedlik import timekeeping
from jedlik.aws.checks import unreadable
from jedlik.aws.damage import DAMAGE
from jedlik.background import job_records, leases
from jedlik.background.job_records import Job
from jedlik.background.work import JobKind, Range
from jedlik.regions import keyspaces
from jedlik.storage.engine import Row
from jedlik.storage.snapshot import Snapshot

JobKinds = Mapping[str, JobKind]
"""By their names."""


def problems(snapshot: Snapshot, kinds: JobKinds) -> Iterator[str]:
    """The faults of the records, a line each."""
    yield from unreadable(snapshot.rows(*keyspaces.STORE.range), "record of the store", _read_own)
    yield from unreadable(snapshot.rows(*job_records.KEYSPACE.range), "job", lambda row: _read_job(row, kinds))
    yield from unreadable(snapshot.rows(*leases.KEYSPACE.range), "lease", _read_lease)


def readable_jobs(snapshot: Snapshot, kinds: JobKinds) -> Iterator[Job]:
    """The jobs whose records can be read."""
    for row in snapshot.rows(*job_records.KEYSPACE.range):
        try:
            yield _read_job(row, kinds)
        except DAMAGE:
            continue  # `problems` reports it.


def removed(jobs: Iterable[Job], kinds: JobKinds) -> Iterator[Range]:
    """The key ranges that readable jobs are going to remove."""
    for job in jobs:
        yield from kinds[job.kind].removes(job.state)


# Each raises one of DAMAGE for a record that cannot be read.


def _read_job(row: Row, kinds: JobKinds) -> Job:
    job = job_records.parse(row)
    kind = kinds.get(job.kind)
    if kind is None:
        raise ValueError(f"it is of the kind {job.kind}, which this version does not know")
    for member, type_ in kind.state.items():
        if not isinstance(job.state[member], type_):
            raise ValueError(f"the {member} of job {job.name} is {job.state[member]}")
    bytes.fromhex(job.state.get("Position", ""))
    list(kind.removes(job.state))
    return job


def _read_lease(row: Row) -> None:
    lease = orjson.loads(row[1])
    if not (isinstance(lease["Holder"], str) and isinstance(lease["Until"], float)):
        raise ValueError(f"it is {lease}")


def _read_own(row: Row) -> None:
    if row[0] == keyspaces.clock_key():
        timekeeping.parse(row[1])
