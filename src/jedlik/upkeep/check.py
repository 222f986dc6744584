"""The check of a store: everything that services declare for checking, and the records common to all of them.

These are the store's own records, jobs and leases, and keys that belong to no key space.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from jedlik.aws.checks import Checking
from jedlik.aws.service import Service, key_spaces
from jedlik.background.work import by_name
from jedlik.regions import keyspaces
from jedlik.storage.engine import DamagedValue, StorageError
from jedlik.storage.snapshot import Snapshot
from jedlik.upkeep import record_check

_FIRST_KEY, _LAST_KEY = b"\x01", b"\xff" * 2000
"""Between them are all keys that are not the engine's own."""


class StoreCheck:
    """Finds the faults of a store, and counts on the way."""

    def __init__(self, snapshot: Snapshot, services: Sequence[Service]) -> None:
        self._snapshot = snapshot
        self._services = services
        names = (name for service in services for check in service.checks for name in check.counts)
        self.counts = Counter(dict.fromkeys(names, 0))
        """The numbers of checked things, in the order in which services declare them."""

    @property
    def summary(self) -> str:
        """The numbers of checked things, in words."""
        parts = [check.summary for service in self._services for check in service.checks if check.summary]
        return ", and ".join(parts).format_map(self.counts)

    def problems(self) -> Iterator[str]:
        """The faults, a line each. Ends with a line about the rest if the storage cannot read it."""
        try:
            for key in self._snapshot.damaged():
                yield str(DamagedValue(key))
            yield from self._problems()
        except StorageError as error:
            yield f"the store cannot be read further: {error}"

    def _problems(self) -> Iterator[str]:
        secret = self._snapshot.get(keyspaces.secret_key())
        if secret is None:
            if self._snapshot.first(_FIRST_KEY, _LAST_KEY) is not None:
                yield "the store's secret is missing: no key of an item can be worked out"
            return
        kinds = by_name(kind for service in self._services for kind in service.job_kinds)
        yield from record_check.problems(self._snapshot, kinds)
        jobs = tuple(record_check.readable_jobs(self._snapshot, kinds))
        removed = tuple(record_check.removed(jobs, kinds))
        for service in self._services:
            checking = Checking(secret, jobs, service.job_kinds, removed, self.counts)
            for check in service.checks:
                yield from check.problems(self._snapshot, checking)
        yield from self._of_no_space()

    def _of_no_space(self) -> Iterator[str]:
        start = _FIRST_KEY
        for space in key_spaces(self._services):
            if space.within is None:
                low, high = space.range
                if self._snapshot.first(start, low) is not None:
                    yield f"there are keys before the space of {space.name} that are of no space"
                start = high
        if self._snapshot.first(start, _LAST_KEY) is not None:
            yield "there are keys after the last space"
