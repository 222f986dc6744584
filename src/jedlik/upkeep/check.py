"""The check of a store: everything that services declare for checking, and the records common to all of them.

These are the store's own records, jobs and leases, and keys that belong to no key space.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from jedlik.aws.checks import Check, Checking
from jedlik.aws.damage import DAMAGE, described
from jedlik.aws.service import Service, identity_key_spaces, key_spaces
from jedlik.background.job_records import Job
from jedlik.background.work import Range, by_name
from jedlik.regions import keyspaces
from jedlik.regions.keyspaces import Keyspace
from jedlik.regions.layout import Stored
from jedlik.root_key import RootKey, Unsealable, place
from jedlik.storage.engine import DamagedValue, StorageError
from jedlik.storage.snapshot import Snapshot
from jedlik.upkeep import record_check

_FIRST_KEY, _LAST_KEY = b"\x01", b"\xff" * 2000
"""Between them are all keys that are not the engine's own."""


class StoreCheck:
    """Finds the faults of a store, and counts on the way."""

    def __init__(
        self,
        snapshot: Snapshot,
        services: Sequence[Service],
        stored: Stored | None = None,
        root_key: RootKey | None = None,
    ) -> None:
        """With a root key, and the place of the store, check as well that the key opens what is sealed there."""
        self._snapshot = snapshot
        self._services = services
        self._stored = stored
        self._is_identity = stored is not None and stored.is_identity
        self._root_key = root_key
        names = (name for _, check in self._checks() for name in check.counts)
        self.counts = Counter({"items": 0} | dict.fromkeys(names, 0))
        """The numbers of checked things, in the order in which services declare them."""

    @property
    def summary(self) -> str:
        """The numbers of checked things, in words."""
        parts = [check.summary for _, check in self._checks() if check.summary]
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
        yield from self._sealed()
        if self._is_identity:
            yield from self._declared(secret, (), ())
            return
        kinds = by_name(kind for service in self._services for kind in service.job_kinds)
        yield from record_check.problems(self._snapshot, kinds)
        jobs = tuple(record_check.readable_jobs(self._snapshot, kinds))
        removed = tuple(record_check.removed(jobs, kinds))
        yield from self._declared(secret, jobs, removed)

    def _checks(self) -> Iterator[tuple[Service, Check]]:
        for service in self._services:
            for check in service.identity_checks if self._is_identity else service.checks:
                yield service, check

    def _spaces(self) -> tuple[Keyspace, ...]:
        return identity_key_spaces(self._services) if self._is_identity else key_spaces(self._services)

    def _declared(self, secret: bytes, jobs: tuple[Job, ...], removed: tuple[Range, ...]) -> Iterator[str]:
        for service, check in self._checks():
            checking = Checking(secret, jobs, service.job_kinds, removed, self.counts)
            yield from check.problems(self._snapshot, checking)
        yield from self._of_no_space()

    def _sealed(self) -> Iterator[str]:
        """What the root key does not open."""
        root_key, stored = self._root_key, self._stored
        if root_key is None or stored is None:
            return
        for space in self._spaces():
            for key, value in self._snapshot.rows(*space.range) if space.sealed is not None else ():

                def opened(part: bytes, name: str, key: bytes = key) -> bytes:
                    root_key.unseal(part, place(stored.account, stored.region, key, name))
                    return part

                try:
                    assert space.sealed is not None
                    space.sealed(value, opened)
                except (Unsealable, *DAMAGE) as error:
                    reason = str(error) if isinstance(error, Unsealable) else described(error)
                    yield f"a secret among the {space.rows} under {key.hex()} cannot be opened: {reason}"

    def _of_no_space(self) -> Iterator[str]:
        start = _FIRST_KEY
        for space in self._spaces():
            if space.within is None:
                low, high = space.range
                if self._snapshot.first(start, low) is not None:
                    yield f"there are keys before the space of {space.name} that are of no space"
                start = high
        if self._snapshot.first(start, _LAST_KEY) is not None:
            yield "there are keys after the last space"
