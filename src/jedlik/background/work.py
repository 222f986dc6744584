"""Background work as a service declares it: its kinds of job and its duties. The runner knows no service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from jedlik.background.job_records import Job
from jedlik.regions.region import Region

Step = Callable[[Region, Job], Awaitable[None]]
"""Does one bounded piece of a job: a mutation that checks the job, does some work, and advances or finishes
it. Raises JobMoved, and JobWaits when it cannot go on yet."""


@dataclass(frozen=True, slots=True)
class Duty:
    """Work that comes again."""

    name: str
    period: float
    """Seconds from the end of one run to the beginning of the next."""
    run: Callable[[Region], Awaitable[bool]]
    """Does one bounded piece; says whether there is more to do at once."""
    wanted: Callable[[Region], Awaitable[bool]]
    """Whether the store holds anything that the work is about. Where it does not, no lease is taken: a store that is
    only read needs no committer."""


@dataclass(frozen=True, slots=True)
class Work:
    """All the background work of a service."""

    steps: Mapping[str, Step]
    """For each kind of job, the function that does a step of it."""
    duties: tuple[Duty, ...]
    standing: tuple[Callable[[Region], Awaitable[bool]], ...] = ()
    """Whether a store must stay open for something that is neither a job nor a duty."""
