"""The check of a store: everything in it against everything that it must agree with.

A row that nothing leads to is told by what it begins with, and not one by one: rows of a table that is not there are
what a deleted table has left, unless a job is about to remove them.
"""

from __future__ import annotations

from collections.abc import Iterator

from jedlik.aws.damage import DAMAGE, told
from jedlik.aws.service import key_spaces
from jedlik.background.job_records import Job, State
from jedlik.background.work import Range
from jedlik.dynamodb.checks import version_check
from jedlik.dynamodb.checks.stream_check import StreamCheck
from jedlik.dynamodb.checks.table_check import TableCheck
from jedlik.dynamodb.model import descriptors, keys, spaces
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.service import SERVICE, SERVICES
from jedlik.regions import keyspaces
from jedlik.regions.keyspaces import Owner
from jedlik.storage.engine import DamagedValue, StorageError
from jedlik.storage.lmdb.view import View
from jedlik.upkeep import record_check

_FIRST_KEY, _LAST_KEY = b"\x01", b"\xff" * 2000
"""Between them are all keys that are not the engine's own."""


_OWNERS = {Owner.TABLE: "table", Owner.INDEX: "table or index", Owner.REPLICA: "replica"}
"""What is not there when rows are strays."""


class StoreCheck:
    """Finds what is wrong in a store, and counts what it sees on the way."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._tables: dict[bytes, Table] = {}
        """By their ids."""
        self._jobs: list[Job] = []
        self._purged: list[Range] = []
        """What jobs are about to remove."""
        self.items = 0
        self.entries = 0
        """Index entries."""
        self.log_entries = 0

    @property
    def tables(self) -> int:
        """How many tables were checked."""
        return len(self._tables)

    def problems(self) -> Iterator[str]:
        """What is wrong, a line each. Ends with a line for what the storage cannot read."""
        try:
            for key in self._view.damaged():
                yield str(DamagedValue(key))
            yield from self._problems()
        except StorageError as error:
            yield f"the store cannot be read further: {error}"

    def _problems(self) -> Iterator[str]:
        secret = self._view.get(keyspaces.secret_key())
        if secret is None:
            if self._view.first(_FIRST_KEY, _LAST_KEY) is not None:
                yield "the store's secret is missing: no key of an item can be worked out"
            return
        yield from record_check.problems(self._view)
        self._jobs = list(record_check.readable_jobs(self._view))
        self._purged = [stretch for job in self._jobs for stretch in record_check.ranges(job)]
        yield from self._read_tables()
        for table in self._tables.values():
            yield from (f"table {table.name}: {problem}" for problem in self._check_table(table, secret))
        streams = StreamCheck(self._view, self._tables, secret)
        yield from streams.problems()
        self.log_entries = streams.entries
        yield from self._strays()

    def _read_tables(self) -> Iterator[str]:
        for key, raw in self._view.rows(*keys.descriptor_range(None)):
            try:
                name = keys.name_of_descriptor_key(key)
                table = descriptors.parse(raw)
            except DAMAGE as error:
                yield f"descriptor under {key.hex()}: {told(error)}"
                continue
            if table.name != name:
                yield f"table {name}: its descriptor is that of {table.name}"
            if table.id in self._tables:
                yield f"table {name}: it has the same id as {self._tables[table.id].name}"
            self._tables[table.id] = table

    def _check_table(self, table: Table, secret: bytes) -> Iterator[str]:
        yield from self._check_descriptor(table)
        check = TableCheck(self._view, table, secret)
        yield from check.problems()
        self.items += check.items
        self.entries += check.entries
        if table.replica is not None:
            yield from version_check.problems(self._view, table, secret)

    def _check_descriptor(self, table: Table) -> Iterator[str]:
        document = table.document
        numbers = [index.number for index in table.indexes]
        if len(set(numbers)) < len(numbers) or not all(0 < n < document["NextIndexNumber"] for n in numbers):
            yield f"its indexes have the numbers {numbers}, and the next is to have {document['NextIndexNumber']}"
        for kind in SERVICE.job_kinds:
            for unfinished in kind.finishes(document):
                if not self._has_job(kind.name, unfinished.state):
                    yield f"{unfinished.what}, and no job does it"
        if table.log is not None:
            stream = keys.stream_key(table.name, document["LatestStreamLabel"])
            if self._view.get(stream) is None:
                yield "its changes are logged for a stream that is not there"

    def _has_job(self, kind: str, state: State) -> bool:
        return any(
            job.kind == kind and all(job.state.get(name) == value for name, value in state.items())
            for job in self._jobs
        )

    # What nothing leads to

    def _strays(self) -> Iterator[str]:
        for space in spaces.KEYSPACES:
            if space.owner in _OWNERS:
                for prefix in self._view.prefixes(*space.range, len(space.prefix) + space.owner.size):
                    owner = space.owner_of(prefix)
                    if not self._is_there(space.owner, owner) and not self._is_purged(prefix):
                        whose = f"table id {owner[:8].hex()}"
                        if space.owner is Owner.INDEX:
                            whose = f"index {int.from_bytes(owner[8:], 'big')} of {whose}"
                        yield f"there are {space.rows} of {whose} and no such {_OWNERS[space.owner]}"
        start = _FIRST_KEY
        for space in key_spaces(SERVICES):
            low, high = space.range
            if space.within is None and self._view.first(start, low) is not None:
                yield f"there are keys before the space of {space.name} that are of no space"
            start = max(start, high)
        if self._view.first(start, _LAST_KEY) is not None:
            yield "there are keys after the last space"

    def _is_there(self, kind: Owner, owner: bytes) -> bool:
        """Whether the store has a table, index or replica that rows of a kind belong to."""
        table = self._tables.get(owner[:8])
        if table is None or (kind is Owner.REPLICA and table.replica is None):
            return False
        number = int.from_bytes(owner[8:], "big")
        return number == 0 or any(index.number == number for index in table.indexes)

    def _is_purged(self, prefix: bytes) -> bool:
        end = keyspaces.prefix_end(prefix)
        return any(start < end and prefix < stop for start, stop in self._purged)
