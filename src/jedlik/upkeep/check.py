"""The check of a store: everything in it against everything that it must agree with.

A row that nothing leads to is told by what it begins with, and not one by one: rows of a table that is not there are
what a deleted table has left, unless a job is about to remove them.
"""

from __future__ import annotations

from collections.abc import Iterator

from jedlik.background.job_records import Job, State
from jedlik.background.work import Range
from jedlik.dynamodb.model import descriptors, keys
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.service import SERVICE
from jedlik.regions import keyspaces
from jedlik.storage.engine import StorageError
from jedlik.storage.lmdb.view import View
from jedlik.upkeep import record_check, version_check
from jedlik.upkeep.damage import DAMAGE, told
from jedlik.upkeep.stream_check import StreamCheck
from jedlik.upkeep.table_check import TableCheck

_FIRST_KEY, _LAST_KEY = b"\x01", b"\xff" * 2000
"""Between them are all keys that are not the engine's own."""


_OF_TABLES = {
    "expiries": "expiry notes",
    "tags": "tags",
    "versions": "versions of items",
    "checkpoints": "checkpoints",
}
"""Spaces of what goes with a table, and what is in them."""
_OF_REPLICAS = ("versions", "checkpoints")
"""Those of what only a replica has."""


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
        for prefix in self._view.prefixes(*keyspaces.space_range("rows"), keys.INDEX_PREFIX):
            if not self._is_known(prefix):
                yield f"there are rows of {_named(prefix)} and no such table or index"
        for prefix in self._view.prefixes(*keyspaces.space_range("counters"), keys.INDEX_PREFIX):
            if not self._is_known(prefix):
                yield f"there are counters of {_named(prefix)} and no such table or index"
        for space, what in _OF_TABLES.items():
            for prefix in self._view.prefixes(*keyspaces.space_range(space), keys.TABLE_PREFIX):
                if not self._may_be(space, prefix) and not self._is_purged(prefix):
                    owner = "replica" if space in _OF_REPLICAS else "table"
                    yield f"there are {what} of table id {keys.table_of_key(prefix).hex()} and no such {owner}"
        start = _FIRST_KEY
        for space in keyspaces.SPACES:
            low, high = keyspaces.space_range(space)
            if self._view.first(start, low) is not None:
                yield f"there are keys before the space of {space} that are of no space"
            start = high
        if self._view.first(start, _LAST_KEY) is not None:
            yield "there are keys after the last space"

    def _may_be(self, space: str, prefix: bytes) -> bool:
        """Whether the table that these keys of a space are of is there and may have such."""
        table = self._tables.get(keys.table_of_key(prefix))
        return table is not None and (space not in _OF_REPLICAS or table.replica is not None)

    def _is_known(self, prefix: bytes) -> bool:
        """Whether what begins with this is of a table or of an index of one, or is about to be removed."""
        table = self._tables.get(keys.table_of_key(prefix))
        number = keys.index_of_key(prefix)
        known = table is not None and (number == 0 or any(index.number == number for index in table.indexes))
        return known or self._is_purged(prefix)

    def _is_purged(self, prefix: bytes) -> bool:
        end = keyspaces.prefix_end(prefix)
        return any(start < end and prefix < stop for start, stop in self._purged)


def _named(prefix: bytes) -> str:
    return f"index {keys.index_of_key(prefix)} of table id {keys.table_of_key(prefix).hex()}"
