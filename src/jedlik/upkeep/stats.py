"""Statistics of a store: how large it is, and what of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jedlik import timekeeping
from jedlik.aws.service import Service, identity_key_spaces
from jedlik.background import job_records
from jedlik.dynamodb.backups import holds, import_logs, import_records, recovery_records
from jedlik.dynamodb.backups.holds import Hold
from jedlik.dynamodb.backups.recovery_records import Recovery
from jedlik.dynamodb.model import descriptors, keys, spaces
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.replication import aside, pull_positions
from jedlik.dynamodb.replication.aside import Aside
from jedlik.dynamodb.replication.pull_positions import PullPosition
from jedlik.kms import key_rows
from jedlik.regions import keyspaces
from jedlik.regions.layout import Stored
from jedlik.storage.counters import counter
from jedlik.storage.lmdb.lmdb_pages import DATA, META_PAGES
from jedlik.storage.lmdb.scrub_progress import Progress, read_progress
from jedlik.storage.lmdb.view import Pages, View
from jedlik.timekeeping import Timekeeping
from jedlik.upkeep import opening

_OF_REGIONS = ("region", "tables", "clock", "kms_keys", "imports_with_errors", "held_for_other_regions")
"""What the document of an identity store has not."""


@dataclass(frozen=True, slots=True)
class RecoveryStats:
    """How far the recovery of a table to a point in time has come."""

    record: Recovery
    segments: int
    """Segments that are kept."""
    stored: int
    """Bytes of their objects."""
    waiting: int
    """Entries of the log that are not archived yet."""

    def document(self) -> dict[str, Any]:
        """As JSON."""
        held_up = self.record.held_up
        return {
            "days": self.record.days,
            "since": self.record.since,
            "segments": self.segments,
            "segment_bytes": self.stored,
            "log_entries_not_archived": self.waiting,
            "held_up": None if held_up is None else {"since": held_up.since, "reason": held_up.reason},
            "bytes_waiting": self.record.waiting,
            "suspended": self.record.suspended,
            "archive_ends": self.record.until,
            "begun_again": self.record.begun_again,
        }


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
    peers: tuple[PullPosition, ...]
    """How far it is with the changes of its replicas in other regions."""
    asides: tuple[Aside, ...]
    """The replicas whose changes are not taken over now, or that hold up a job of the table, and why."""

    recovery: RecoveryStats | None
    """Its recovery to a point in time, if it is on."""

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "name": self.name,
            "items": self.items,
            "item_bytes": self.size,
            "index_entries": self.entries,
            "index_entry_bytes": self.entries_size,
            "log_entries": self.log_entries,
            "peers": [_progress(peer) for peer in self.peers],
            "put_aside": [{"region": a.region, "since": a.since, "reason": a.reason} for a in self.asides],
            "recovery": None if self.recovery is None else self.recovery.document(),
        }


def _progress(peer: PullPosition) -> dict[str, Any]:
    return {
        "region": peer.region,
        "copying": peer.copying is not None,
        "position": peer.position,
        "latency_milliseconds": peer.latency,
    }


@dataclass(frozen=True, slots=True)
class ImportErrors:
    """An import that has ended, with records that were no items."""

    table: str
    id: str
    errors: int
    log: str
    """The folder of its log, in the place of backups."""

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {"table": self.table, "import": self.id, "errors": self.errors, "log": self.log}


@dataclass(frozen=True, slots=True)
class HeldSource:
    """A table or a backup that is held, because a table of another region is being restored from it."""

    table: str
    """The table that it is or was of."""
    hold: Hold

    def document(self) -> dict[str, Any]:
        """As JSON."""
        hold = self.hold
        return {
            "table": self.table,
            "region": hold.region,
            "restored_table_id": hold.table_id,
            "region_missed_since": hold.missed,
        }


@dataclass(frozen=True, slots=True)
class StoreStats:
    """A store, in one state of it."""

    region: str
    """The folder's name."""
    account: str
    size: int
    """Bytes of the file."""
    pages: Pages
    tables: tuple[TableStats, ...]
    clock: Timekeeping | None
    """What the store knows of time; None if no server has noted it yet."""
    scrub: Progress
    """When all values were read last, and what was found."""
    kms_keys: int = 0
    """Those of customers, and that of DynamoDB."""
    imports: tuple[ImportErrors, ...] = ()
    """Those of which records were no items."""
    held: tuple[HeldSource, ...] = ()
    identities: Mapping[str, int] = field(default_factory=dict)
    """For an identity store: the number of rows of each key space, by their name."""

    def identity_document(self) -> dict[str, Any]:
        """An identity store as JSON."""
        document = self.document()
        return {name: document[name] for name in document if name not in _OF_REGIONS} | {
            "rows_of": dict(self.identities)
        }

    @property
    def free_pages(self) -> int:
        """Pages of the file that hold nothing."""
        return max(0, self.size // self.pages.page_size - self.pages.used - META_PAGES)

    def document(self) -> dict[str, Any]:
        """As JSON."""
        clock = self.clock
        return {
            "region": self.region,
            "account": self.account,
            "bytes": self.size,
            "page_bytes": self.pages.page_size,
            "pages_used": self.pages.used,
            "pages_free": self.free_pages,
            "rows": self.pages.rows,
            "clock": None
            if clock is None
            else {"latest": clock.latest, "doubted": None if clock.pause is None else clock.pause.reason},
            "scrub": {
                "finished": self.scrub.finished,
                "values": self.scrub.last_values,
                "damaged_values": self.scrub.last_damaged_values,
                "damaged_keys": list(self.scrub.last_damaged),
                "given_up": self.scrub.given_up,
                "under_way": None
                if self.scrub.position is None
                else {"values": self.scrub.values, "damaged_values": self.scrub.damaged_values},
            },
            "kms_keys": self.kms_keys,
            "imports_with_errors": [one.document() for one in self.imports],
            "held_for_other_regions": [one.document() for one in self.held],
            "tables": [table.document() for table in self.tables],
        }


def of_store(stored: Stored, services: Sequence[Service] = ()) -> StoreStats:
    """The statistics of a store. Raises StorageError."""
    path = stored.path
    size = (path / DATA).stat().st_size
    with opening.view(path) as view:
        if stored.is_identity:
            of_identities = identity_key_spaces(services)
            identities = {
                space.rows: view.count(*space.range) for space in of_identities if space is not keyspaces.STORE
            }
            return StoreStats(
                "", stored.account, size, view.pages, (), None, read_progress(path), identities=identities
            )
        tables = tuple(of_tables(view))
        kms_keys = view.count(*key_rows.key_range())
        progress = read_progress(path)
        clock, imports = of_clock(view), tuple(imports_of(view, stored.account, path.name))
        held = tuple(held_in(view))
        return StoreStats(path.name, stored.account, size, view.pages, tables, clock, progress, kms_keys, imports, held)


def imports_of(view: View, account: str, region: str) -> Iterator[ImportErrors]:
    """The imports that have ended with errors."""
    for _, raw in view.rows(*import_records.import_range(None)):
        found = import_records.parse(raw)
        if found.errors:
            place = import_logs.folder(account, region, found.table, found.id)
            yield ImportErrors(found.table, found.id, found.errors, place)


def held_in(view: View) -> Iterator[HeldSource]:
    """The sources that are held for tables of other regions."""
    for _, raw in view.rows(*spaces.HOLDS.range):
        hold = holds.parse(raw)
        key = bytes.fromhex(hold.source)
        record = view.get(key)
        if record is not None:
            source = holds.record_of(key, record)
            yield HeldSource(source.table if isinstance(source, Recovery) else source.table.name, hold)


def of_clock(view: View) -> Timekeeping | None:
    """What the store knows of time; None if no server has noted it yet. Raises ValueError, TypeError or KeyError."""
    raw = view.get(keyspaces.clock_key())
    return None if raw is None else timekeeping.parse(raw)


def of_tables(view: View) -> Iterator[TableStats]:
    """The statistics of each table, by name. Counters are taken at their word; log entries are counted."""

    def at(key: bytes) -> int:
        return counter(view.get(key))

    jobs = [job_records.parse(row) for row in view.rows(*job_records.job_range())]
    for _, raw in view.rows(*keys.descriptor_range(None)):
        table = descriptors.parse(raw)
        numbers = [index.number for index in table.indexes]
        log, table_id = keys.log_prefix(table.id), table.descriptor.id
        yield TableStats(
            name=table.name,
            items=at(keys.item_count_key(table.id, 0)),
            size=at(keys.item_bytes_key(table.id, 0)),
            entries=sum(at(keys.item_count_key(table.id, number)) for number in numbers),
            entries_size=sum(at(keys.item_bytes_key(table.id, number)) for number in numbers),
            log_entries=view.count(log, keyspaces.prefix_end(log)),
            peers=tuple(pull_positions.parse(raw) for _, raw in view.rows(*keys.checkpoint_range(table.id))),
            asides=(
                *(aside.parse(raw) for _, raw in view.rows(*keys.aside_range(table.id))),
                *(one for job in jobs if job.state.get("TableId") == table_id for one in aside.of_state(job.state)),
            ),
            recovery=_recovery(view, table),
        )


def _recovery(view: View, table: Table) -> RecoveryStats | None:
    raw = view.get(recovery_records.recovery_key(table.id))
    if raw is None:
        return None
    record = recovery_records.parse(raw)
    segments = [recovery_records.segment_of(one) for _, one in view.rows(*recovery_records.segments_range(record))]
    log = keys.log_prefix(table.id)
    waiting = sum(
        view.count(*keys.log_range(shard, record.position))
        for shard in view.prefixes(log, keyspaces.prefix_end(log), len(keys.shard_log_prefix(table.id, 0)))
    )
    return RecoveryStats(record, len(segments), sum(segment.stored for segment in segments), waiting)
