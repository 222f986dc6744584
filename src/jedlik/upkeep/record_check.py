"""The check of small records, one by one: those of time, jobs, leases, client tokens, tags and checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import orjson

from jedlik import timekeeping
from jedlik.aws.damage import DAMAGE, told
from jedlik.background import job_records, leases
from jedlik.background import job_records as jobs
from jedlik.background.job_records import Job
from jedlik.background.work import Range, by_name
from jedlik.dynamodb.model import keys, spaces
from jedlik.dynamodb.model.limits import IDEMPOTENCY_SECONDS
from jedlik.dynamodb.replication import pull_positions
from jedlik.dynamodb.service import SERVICE
from jedlik.regions import keyspaces
from jedlik.regions.keyspaces import Keyspace
from jedlik.storage.engine import Row
from jedlik.storage.lmdb.view import View

_JOB_KINDS = by_name(SERVICE.job_kinds)


def problems(view: View) -> Iterator[str]:
    """What is wrong with the records, a line each."""
    for space, name, read in _RECORDS:
        for row in view.rows(*space.range):
            try:
                read(row)
            except DAMAGE as error:
                yield f"{name} under {row[0].hex()}: {told(error)}"


def readable_jobs(view: View) -> Iterator[Job]:
    """The jobs whose records can be read."""
    for row in view.rows(*job_records.job_range()):
        try:
            yield _read_job(row)
        except DAMAGE:
            continue  # `problems` tells.


def ranges(job: Job) -> list[Range]:
    """What a job is going to remove."""
    return list(_JOB_KINDS[job.kind].removes(job.state))


# Each raises one of DAMAGE for a record that cannot be read.


def _read_job(row: Row) -> Job:
    job = jobs.parse(row)
    kind = _JOB_KINDS.get(job.kind)
    if kind is None:
        raise ValueError(f"it is of the kind {job.kind}, which this version does not know")
    for member, type_ in kind.state.items():
        if not isinstance(job.state[member], type_):
            raise ValueError(f"the {member} of job {job.name} is {job.state[member]}")
    bytes.fromhex(job.state.get("Position", ""))
    ranges(job)
    return job


def _read_lease(row: Row) -> None:
    lease = orjson.loads(row[1])
    if not (isinstance(lease["Holder"], str) and isinstance(lease["Until"], float)):
        raise ValueError(f"it is {lease}")


def _read_token(row: Row) -> None:
    record = orjson.loads(row[1])
    tables = record.get("TableIds", {})
    if not (
        isinstance(record["Fingerprint"], str) and isinstance(record["ReadUnits"], list) and isinstance(tables, dict)
    ):
        raise ValueError(f"it is {record}")
    interval = int(record["At"] // IDEMPOTENCY_SECONDS)
    if not keys.token_range(interval)[1] <= row[0] < keys.token_range(interval + 1)[1]:
        raise ValueError(f"it was made at {record['At']}, and is under another time")


def _read_tags(row: Row) -> None:
    tags = orjson.loads(row[1])
    if not all(isinstance(value, str) for value in tags.values()):
        raise ValueError(f"it is {tags}")


def _read_checkpoint(row: Row) -> None:
    checkpoint = pull_positions.parse(row[1])
    if pull_positions.key(keys.table_of_key(row[0]), checkpoint.region) != row[0]:
        raise ValueError(f"it is that of {checkpoint.region}")
    fault = pull_positions.fault(row[1])
    if fault is not None:
        raise ValueError(f"{fault}; the server begins it anew")


def _read_own(row: Row) -> None:
    if row[0] == keyspaces.clock_key():
        timekeeping.parse(row[1])


_RECORDS: tuple[tuple[Keyspace, str, Callable[[Row], object]], ...] = (
    (keyspaces.STORE, "record of the store", _read_own),
    (job_records.KEYSPACE, "job", _read_job),
    (leases.KEYSPACE, "lease", _read_lease),
    (spaces.TOKENS, "client token", _read_token),
    (spaces.TAGS, "tags", _read_tags),
    (spaces.CHECKPOINTS, "checkpoint", _read_checkpoint),
)
"""By the space of their keys: what they are called and how they are read."""
