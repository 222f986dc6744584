"""The check of strays: rows of a table, an index or a replica that does not exist.

There is a line for each prefix of keys, and not one for each row: rows of a missing table are the remains of a deleted
one, unless a job is about to remove them. The check of streams covers the rows of shards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from jedlik.aws.checks import Check, Checking
from jedlik.dynamodb.checks import every_table
from jedlik.dynamodb.model import spaces
from jedlik.dynamodb.model.tables import Table
from jedlik.regions.keyspaces import Owner, prefix_end
from jedlik.storage.snapshot import Snapshot

_ABSENT = {Owner.TABLE: "table", Owner.INDEX: "table or index", Owner.REPLICA: "replica"}
"""What is not there."""


def _problems(snapshot: Snapshot, checking: Checking) -> Iterator[str]:
    tables = every_table.readable(snapshot)
    for space in spaces.KEYSPACES:
        if space.owner not in _ABSENT:
            continue
        for prefix in snapshot.prefixes(*space.range, len(space.prefix) + space.owner.size):
            owner = space.owner_of(prefix)
            if not _is_there(tables, space.owner, owner) and not checking.is_removed((prefix, prefix_end(prefix))):
                yield f"there are {space.rows} of {_named(space.owner, owner)} and no such {_ABSENT[space.owner]}"


def _is_there(tables: Mapping[bytes, Table], kind: Owner, owner: bytes) -> bool:
    """Whether the table, index or replica of some rows exists."""
    table = tables.get(owner[: Owner.TABLE.size])
    if table is None or (kind is Owner.REPLICA and table.replica is None):
        return False
    number = _index_of(owner)
    return number == 0 or any(index.number == number for index in table.indexes)


def _named(kind: Owner, owner: bytes) -> str:
    table = f"table id {owner[: Owner.TABLE.size].hex()}"
    return f"index {_index_of(owner)} of {table}" if kind is Owner.INDEX else table


def _index_of(owner: bytes) -> int:
    return int.from_bytes(owner[Owner.TABLE.size :], "big")


CHECK = Check("strays", _problems)
