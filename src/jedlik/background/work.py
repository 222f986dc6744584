"""Background work as services declare it: kinds of job, and duties.

The module that does a job or duty declares it, and its service lists it once (`aws.service`). The runner and the check
of a store read these lists and know no service.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from jedlik.background import job_records, leases
from jedlik.background.job_records import Job, State
from jedlik.regions.region import Region

KEYSPACES = (job_records.KEYSPACE, leases.KEYSPACE)
"""The key spaces of this folder."""

Step = Callable[[Region, Job], Awaitable[None]]
"""Does one bounded piece of a job: a mutation that checks the job, does some work, and advances or finishes
it. Raises JobMoved, and JobWaits when it cannot go on yet."""


Wanted = Callable[[Region], Awaitable[bool]]
"""Whether a store holds anything that needs some work."""
Record = Any
"""A record of a service, in the service's own type; DynamoDB's are the descriptors of tables."""
Range = tuple[bytes, bytes]
"""The keys from the first one (included) to the second (excluded)."""


class Unfinished(NamedTuple):
    """Something in a service's record that needs a running job, for as long as the record states it."""

    what: str
    """A sentence, as in "index by-time: it is being filled"."""
    state: State
    """Members that the job's state must contain."""


def _removes_nothing(state: State) -> tuple[Range, ...]:
    return ()


def _finishes_nothing(record: Record) -> tuple[Unfinished, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class JobKind:
    """A kind of job: the function that does it, and the facts that a check of a store needs."""

    name: str
    """In the records of such jobs."""
    step: Step
    state: Mapping[str, type] = field(default_factory=dict)
    """Members that the state always has, with their types. One called Position is a key in hexadecimal."""
    removes: Callable[[State], Iterable[Range]] = _removes_nothing
    """The keys that a job in this state is going to remove: nothing else may lead to them any more."""
    finishes: Callable[[Record], Iterable[Unfinished]] = _finishes_nothing
    """The claims in records of the service that such jobs fulfil: a check demands the job of each."""
    rests: bool = False
    """Whether its steps rest by themselves while requests come (`pacing`)."""


@dataclass(frozen=True, slots=True)
class Duty:
    """Work that comes again."""

    name: str
    period: float
    """Seconds from the end of one run to the beginning of the next."""
    run: Callable[[Region], Awaitable[bool]]
    """Does one bounded piece. Returns whether more can be done at once."""
    wanted: Wanted
    """Whether the store holds anything that the work is about. If not, no lease is taken: a store that is only read
    needs no committer."""
    leased: bool = True
    """Whether it runs under a lease. Without one it writes nothing, and makes sure itself that only one worker does
    it."""


@dataclass(frozen=True, slots=True)
class Work:
    """All background work of a server, from all services."""

    job_kinds: tuple[JobKind, ...]
    duties: tuple[Duty, ...]
    standing: tuple[Wanted, ...] = ()
    """Other reasons to keep a store open, besides jobs and duties."""


def by_name(kinds: Iterable[JobKind]) -> dict[str, JobKind]:
    """Kinds of job by their names. Raises ValueError if two have the same."""
    found: dict[str, JobKind] = {}
    for kind in kinds:
        if kind.name in found:
            raise ValueError(f"there are two kinds of job called {kind.name}")
        found[kind.name] = kind
    return found
