"""Statistics of a store: how large it is, and what of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from jedlik import timekeeping
from jedlik.dynamodb.model import descriptors, keys
from jedlik.dynamodb.replication import aside, pull_positions
from jedlik.dynamodb.replication.aside import Aside
from jedlik.dynamodb.replication.pull_positions import Checkpoint
from jedlik.regions import keyspaces
from jedlik.storage.counters import counter
from jedlik.storage.lmdb.view import View
from jedlik.timekeeping import Timekeeping


@dataclass(frozen=True, slots=True)
class TableStats:
    """A table's part."""

    name: str
    items: int
    size: int
    """Bytes of the items, as DynamoDB counts them."""
    entries: int
    """In all of its indexes."""
    entries_size: int
    """Bytes of the entries, as DynamoDB counts them."""
    log_entries: int
    """In its change log, that of former streams of the table included."""
    peers: tuple[Checkpoint, ...]
    """How far it is with the changes of its replicas in other regions."""
    asides: tuple[Aside, ...]
    """The replicas whose changes are not taken over now, and why."""


def of_clock(view: View) -> Timekeeping | None:
    """What the store knows of time; None if no server has noted it yet. Raises ValueError, TypeError or KeyError."""
    raw = view.get(keyspaces.clock_key())
    return None if raw is None else timekeeping.parse(raw)


def of_tables(view: View) -> Iterator[TableStats]:
    """The statistics of each table, by name. Counters are taken at their word; log entries are counted."""

    def at(key: bytes) -> int:
        return counter(view.get(key))

    for _, raw in view.rows(*keys.descriptor_range(None)):
        table = descriptors.parse(raw)
        numbers = [index.number for index in table.indexes]
        log = keys.log_prefix(table.id)
        yield TableStats(
            name=table.name,
            items=at(keys.item_count_key(table.id, 0)),
            size=at(keys.item_bytes_key(table.id, 0)),
            entries=sum(at(keys.item_count_key(table.id, number)) for number in numbers),
            entries_size=sum(at(keys.item_bytes_key(table.id, number)) for number in numbers),
            log_entries=view.count(log, keyspaces.prefix_end(log)),
            peers=tuple(pull_positions.parse(raw) for _, raw in view.rows(*keys.checkpoint_range(table.id))),
            asides=tuple(aside.parse(raw) for _, raw in view.rows(*keys.aside_range(table.id))),
        )
