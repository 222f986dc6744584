"""Checks as a service declares them: what `jedlik check` examines in the service's rows.

Each is declared by its module and listed in the declaration of its service (`aws.service`); `upkeep.check` runs the
lists. A check compares rows with those that they must agree with. Rows that all services have, like jobs and keys of no
key space, are checked by `upkeep` itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from string import Formatter

from jedlik.aws.damage import DAMAGE, described
from jedlik.background.job_records import Job
from jedlik.background.work import JobKind, Range, Record
from jedlik.storage.engine import Row
from jedlik.storage.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Checking:
    """The parameters of a check besides the snapshot."""

    secret: bytes
    """The store's."""
    jobs: tuple[Job, ...]
    """All readable records, of whatever service."""
    job_kinds: tuple[JobKind, ...]
    """Those of the service."""
    removed: tuple[Range, ...]
    """The key ranges that jobs are going to remove."""
    counts: Counter[str]
    """Where the check adds up its counts, by the names in its summary."""

    def unfinished(self, record: Record) -> Iterator[str]:
        """A part of a record that needs a missing job."""
        for kind in self.job_kinds:
            for unfinished in kind.finishes(record):
                wanted = unfinished.state.items()
                if not any(job.kind == kind.name and wanted <= job.state.items() for job in self.jobs):
                    yield f"{unfinished.what}, and no job does it"

    def is_removed(self, stretch: Range) -> bool:
        """Whether a job is going to remove some of a range."""
        start, end = stretch
        return any(first < end and start < last for first, last in self.removed)


@dataclass(frozen=True, slots=True)
class Check:
    """A check of a service's rows."""

    name: str
    problems: Callable[[Snapshot, Checking], Iterator[str]]
    """The faults, a line each. Raises StorageError."""
    summary: str = ""
    """The number of examined things, with the names of counts in braces. The things that take most of the time count as
    items."""

    @property
    def counts(self) -> tuple[str, ...]:
        """The names of what it counts."""
        return tuple(name for _, name, _, _ in Formatter().parse(self.summary) if name)


def unreadable(rows: Iterable[Row], name: str, read: Callable[[Row], object]) -> Iterator[str]:
    """The rows for which `read` raises one of DAMAGE, a line each. `name` is the name of such a row."""
    for row in rows:
        try:
            read(row)
        except DAMAGE as error:
            yield f"{name} under {row[0].hex()}: {described(error)}"
