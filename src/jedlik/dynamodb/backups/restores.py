"""Restores: how a table is made of a backup. It is CREATING, and closed to everybody, until it is whole.

The job applies a backup's pieces in the order that `manifests` states, some rows in each commit, with the job's place
behind them: so each row is applied once, whatever workers die. Several commits are under way at a time, each with the
place that the one before it leaves; if one fails, those behind it do nothing. At the end the table's counters must be
those of the backup. A restore that cannot be finished takes its table away again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import orjson

from jedlik.aws.errors import ServiceError
from jedlik.background import job_records
from jedlik.background.job_records import Job, JobWaits
from jedlik.background.pacing import Pace
from jedlik.background.work import JobKind, Unfinished
from jedlik.dynamodb import catalog, mini_transaction
from jedlik.dynamodb.backups import (
    backup_records,
    backup_removal,
    manifests,
    piece_keys,
    pieces,
    recovery_records,
    sources_elsewhere,
)
from jedlik.dynamodb.backups.manifests import DamagedManifest, Manifest
from jedlik.dynamodb.backups.pieces import ABSENT, STAMP, DamagedPiece, Rows
from jedlik.dynamodb.backups.sources_elsewhere import SourceGone
from jedlik.dynamodb.encryption import open_keys
from jedlik.dynamodb.model import indexes, items, keys, spaces
from jedlik.dynamodb.model.definitions import Descriptor
from jedlik.dynamodb.model.limits import KIB, MIB
from jedlik.dynamodb.model.mutations import Mutation, New, Old
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.model.writes import record
from jedlik.dynamodb.tables import purge
from jedlik.storage.counters import counter
from jedlik.storage.engine import NoKey, Row, Writes
from jedlik.storage.object_store import ObjectMissing, ObjectStore, ObjectStoreError

if TYPE_CHECKING:
    from jedlik.regions.region import Region

KIND = "RESTORE"

ROWS_AT_ONCE = 250
"""Rows that are written in one commit. Others wait for it, at two microseconds a row and a sync."""
BYTES_AT_ONCE = MIB // 2
COMMITS = 4
"""Commits that are under way at once."""
BUSY_ROWS = 50
"""Rows of the table and its indexes that are written in the one commit of a step while requests come."""
BUSY_BYTES = 16 * KIB
WAIT_SECONDS = 5.0
"""After a failure of the place of backups."""
PATIENCE_SECONDS = 24 * 60 * 60.0
"""A restore that cannot read its source for so long is given up, and its table goes: nobody could delete it."""
OPEN_PIECES = 4
"""Pieces that a worker keeps unpacked, each of 8 MB: one for each restore that it works on."""

_log = logging.getLogger(__name__)


Elsewhere = Mapping[str, str | bool]
"""Members of a job's state: the Region of its source, if it is another one, and whether the source is Held."""
HERE: Elsewhere = MappingProxyType({})


class Place(NamedTuple):
    """Where a manifest is."""

    folder: str
    name: str
    """`manifests.NAME` or `manifests.PLAN`."""


def submit(table: str, table_id: str, place: Place, source: str, made: Writes, elsewhere: Elsewhere = HERE) -> None:
    """Begin to fill a table.

    `source` is the key of the record, in hexadecimal, of the backup or the recovery that must stay until then;
    `elsewhere` has the region of a source of another one (`sources_elsewhere`).
    """
    state = {
        **elsewhere,
        "TableName": table,
        "TableId": table_id,
        "Source": source,
        "Folder": place.folder,
        "Manifest": place.name,
        "Piece": 0,
        "Row": 0,
    }
    job_records.submit(f"restore/{table_id}", KIND, state, made)


async def step(region: Region, job: Job) -> None:
    """Write the next rows, or open the table. Raises JobMoved and JobWaits."""
    places = region.places
    assert places is not None, "a region with backups has a place for them"
    try:
        if "Region" in job.state and not job.state.get("Held"):
            await sources_elsewhere.hold(region, job)
            return
        source = await _Source.of(region, job, places.backups)
        if source.rows is None:
            await _finish(region, job, source.manifest)
        else:
            await _write(region, job, source)
    except (DamagedManifest, DamagedPiece, ObjectMissing, SourceGone) as error:
        await _fail(region, job, str(error))
    except ServiceError as error:
        _log.warning(
            "a restore waits for the key of its source: %s",
            error.message,
            extra={"region": region.store, "table": job.state["TableName"]},
        )
        raise JobWaits(WAIT_SECONDS) from error
    except ObjectStoreError as error:
        await wait(region, job, error)
        await _fail(region, job, str(error))


async def wait(region: Region, job: Job, error: ObjectStoreError) -> None:
    """Wait for the place of backups, with a note in the job of when that began. Returns if it has been too long.

    Raises JobMoved and JobWaits.
    """
    now, since = region.clock(), job.state.get("Away")
    if since is not None and now - since > PATIENCE_SECONDS:
        return
    _log.warning("a restore waits: %s", error, extra={"region": region.store, "table": job.state["TableName"]})
    if since is None:

        def note(found: Sequence[bytes | None]) -> tuple[Writes, None]:
            job.check(found[0])
            writes = Writes()
            job.advance(job.state | {"Away": now}, writes)
            return writes, None

        await region.engine.mutate([job.key], note)
    raise JobWaits(WAIT_SECONDS) from error


@dataclass(slots=True)
class _Source:
    """A piece of a backup, as a worker has read it for a job."""

    manifest: Manifest
    number: int
    """Its place in the order in which pieces are applied."""
    pace: Pace
    kind: Rows = Rows.ITEMS
    rows: Sequence[Row] | None = None
    """Its rows, in the order in which they are applied. None behind the last piece."""

    @classmethod
    async def of(cls, region: Region, job: Job, store: ObjectStore) -> _Source:
        """The piece that the job applies now. Raises ObjectStoreError, DamagedManifest and DamagedPiece."""
        name = f"{region.store}/{job.name}"
        number, folder = job.state["Piece"], job.state["Folder"]
        known = _open.pop(name, None)
        if known is None or known.number != number:
            manifest = await manifests.read(store, folder, job.state["Manifest"]) if known is None else known.manifest
            known = cls(manifest, number, Pace(region) if known is None else known.pace)
            await known._read(region, folder, store)
        _open[name] = known
        while len(_open) > OPEN_PIECES:
            _open.popitem(last=False)
        return known

    async def _read(self, region: Region, folder: str, store: ObjectStore) -> None:
        of = self.manifest.of
        order = [*of(Rows.ITEMS), *reversed(of(Rows.CHANGES)), *of(Rows.SEGMENT)]
        if self.number >= len(order):
            return
        piece = order[self.number]
        name = piece.name if "/" in piece.name else f"{folder}/{piece.name}"
        content, self.kind, rows = await piece_keys.of(region).rows(store, name)
        if self.kind is not piece.kind or len(rows) != piece.rows or not piece.name.endswith(pieces.checksum(content)):
            raise DamagedPiece(f"{piece.name} is not the piece that the manifest lists")
        is_unopened = self.manifest.backup.is_unopened
        opened = await _opened(region, self.manifest.backup.table, rows) if is_unopened else rows
        self.rows = _in_order(self.manifest, self.kind, opened)


async def _opened(region: Region, source: Descriptor, rows: Sequence[Row]) -> list[Row]:
    """Rows that are sealed with the keys of the table that they are of. Raises JobWaits while these cannot be used."""
    table_id = keys.table_id(source.id)
    prefix = keys.index_prefix(table_id, 0)
    try:
        await open_keys.ready(region, table_id)
        if region.sealed is None:
            raise NoKey("the store is not sealed")
        sealing = region.sealed.sealing
        return [(key, sealing.opened(prefix + key, value)) for key, value in rows]
    except (ServiceError, NoKey) as error:
        _log.warning("a restore waits for the key of its source: %s", error, extra={"region": region.store})
        raise JobWaits(WAIT_SECONDS) from error


def _in_order(manifest: Manifest, kind: Rows, rows: Sequence[Row]) -> Sequence[Row]:
    """The rows of a piece in the order in which they are applied, with the keys of items."""
    if kind is Rows.ITEMS:
        return rows
    if kind is Rows.CHANGES:
        return rows[::-1]
    last: dict[bytes, bytes] = {}
    for stamped, value in rows:
        position, at = STAMP.unpack_from(stamped)
        if position > manifest.position and (manifest.until is None or at <= manifest.until):
            last[stamped[STAMP.size :]] = value
    return list(last.items())


_open: OrderedDict[str, _Source] = OrderedDict()
"""By store and job, what this worker has read last."""


async def _write(region: Region, job: Job, source: _Source) -> None:
    """Write the next rows: in several commits, or in a small one while requests come."""
    [descriptor] = await region.engine.get([catalog.key(job.state["TableName"])])
    table = _target(job, descriptor)
    if table is None:
        await cancel(region, job)
        return
    is_same_store = source.manifest.secret == manifests.fingerprint(region.secret)
    under_way: list[asyncio.Future[None]] = []
    current, pace = job, source.pace
    while len(under_way) < (1 if pace.is_busy else COMMITS) and current.state["Piece"] == source.number:
        commit = _Commit(region.secret, current, table, source, is_same_store)
        under_way.append(mini_transaction.mutate(region, (table,), commit.items, commit.decide, (job.key,)))
        current = commit.next_job
    for done in await asyncio.gather(*under_way, return_exceptions=True):
        if isinstance(done, BaseException):
            raise done
    await pace.rest()


def _target(job: Job, descriptor: bytes | None) -> Table | None:
    """The table that a job fills, if it is there and is not whole."""
    table = catalog.stored(descriptor)
    if table is None or table.descriptor.id != job.state["TableId"] or not table.descriptor.is_being_made:
        return None
    return table


class _Commit:
    """Some rows, and the job's place behind them."""

    def __init__(self, secret: bytes, job: Job, table: Table, source: _Source, is_same_store: bool) -> None:
        assert source.rows is not None
        self._secret = secret
        self._job = job
        self._table = table
        self._replaces = source.kind is not Rows.ITEMS
        end, size = job.state["Row"], 0
        most, most_bytes = ROWS_AT_ONCE, BYTES_AT_ONCE
        if source.pace.is_busy:
            most, most_bytes = min(most, max(1, BUSY_ROWS // (1 + len(table.indexes)))), BUSY_BYTES
        rows: list[Row] = []
        while end < len(source.rows) and len(rows) < most and size < most_bytes:
            rows.append(source.rows[end])
            size += len(rows[-1][1])
            end += 1
        if is_same_store:
            self._keys = [table.prefix + key for key, _ in rows]
        else:
            self._keys = [self._key(value) for _, value in rows]
        self._values = _of_generation([value for _, value in rows], indexes.generation(table))
        made = Writes()
        behind = {"Row": end} if end < len(source.rows) else {"Piece": source.number + 1, "Row": 0}
        job.advance(job.state | behind | {"Away": None}, made)
        self.next_job = job_records.parse((job.key, made.puts[job.key] or b""))
        """The job as this commit leaves it."""
        self.items = [(table, key) for key in self._keys] if self._replaces else []
        """What is read besides the job and the table's descriptor."""

    def _key(self, value: bytes) -> bytes:
        attributes = orjson.loads(value[1:]) if value.startswith(ABSENT) else items.decode(value)
        return keys.item_key(self._table, attributes, self._secret)

    def decide(self, mutation: Mutation) -> None:
        """Write the rows."""
        self._job.check(mutation.found[self._job.key])
        made = mutation.writes
        if self._replaces:
            for key, value in zip(self._keys, self._values, strict=True):
                self._record(key, mutation.stored(key), None if value.startswith(ABSENT) else value, mutation)
        elif self._table.indexes:
            for key, value in zip(self._keys, self._values, strict=True):
                self._record(key, None, value, mutation)
        else:
            made.puts.update(zip(self._keys, self._values, strict=True))
            made.add(keys.item_count_key(self._table.id, 0), len(self._keys))
            made.add(keys.item_bytes_key(self._table.id, 0), items.total_size(self._values))
        made.put(self._job.key, self.next_job.raw)

    def _record(self, key: bytes, before: bytes | None, value: bytes | None, mutation: Mutation) -> None:
        if before != value:
            old = Old(before, None if before is None else items.decode(before))
            record(self._table, key, old, New(value, None if value is None else items.decode(value)), mutation)


def _of_generation(values: list[bytes], generation: int) -> list[bytes]:
    """The items of values in a generation: in the new table, indexes may have other numbers."""
    wanted = generation.to_bytes(2, "little")
    return [
        value if value.startswith(ABSENT) or value[5:7] == wanted else items.with_generation(value, generation)
        for value in values
    ]


async def _finish(region: Region, job: Job, manifest: Manifest) -> None:
    """Open the table, if it holds what the backup does."""
    name, backup = job.state["TableName"], manifest.backup
    table_id = keys.table_id(job.state["TableId"])
    counters = [keys.item_count_key(table_id, 0), keys.item_bytes_key(table_id, 0)]
    restored = [counter(stored) for stored in await region.engine.get(counters)]
    if manifest.until is None and restored != [backup.items, backup.size]:
        await _fail(region, job, f"it has {backup.items} items of {backup.size} bytes, and {restored} were restored")
        return
    record = await _source_of(region, job)

    def decide(found: Sequence[bytes | None]) -> tuple[Writes, None]:
        job.check(found[0])
        made = Writes()
        table = _target(job, found[1])
        if table is not None and table.descriptor.restored is not None:
            summary = replace(table.descriptor.restored, in_progress=False)
            catalog.put(replace(table.descriptor, restored=summary), made)
        _release(job, found[2:], made)
        job.finish(made)
        return made, None

    await region.engine.mutate([job.key, catalog.key(name), *record], decide)
    _open.pop(f"{region.store}/{job.name}", None)
    region.jobs_wanted.set()


async def _fail(region: Region, job: Job, reason: str) -> None:
    """Take the table away again: the backup cannot be restored."""
    await cancel(region, job)
    _log.error(
        "a backup could not be restored, and the table has been removed: %s",
        reason,
        extra={"region": region.store, "table": job.state["TableName"], "folder": job.state["Folder"]},
    )


async def cancel(region: Region, job: Job, doomed: Sequence[bytes] = ()) -> None:
    """End a job that fills a table, with the table and some more rows."""
    record = await _source_of(region, job)

    def decide(found: Sequence[bytes | None]) -> tuple[Writes, None]:
        job.check(found[0])
        made = Writes()
        table = _target(job, found[1])
        if table is not None:
            purge.delete_table(table.descriptor, None, region.clock(), made)
        _release(job, found[2:], made)
        for row in doomed:
            made.delete(row)
        job.finish(made)
        return made, None

    await region.engine.mutate([job.key, catalog.key(job.state["TableName"]), *record], decide)
    _open.pop(f"{region.store}/{job.name}", None)
    region.jobs_wanted.set()


async def _source_of(region: Region, job: Job) -> list[bytes]:
    """The key of the record of a job's source, which the job's last commit releases; none if it is in another region,
    where it is released now."""
    if "Region" not in job.state:
        return [bytes.fromhex(job.state["Source"])]
    await sources_elsewhere.release(region, job)
    return []


def _release(job: Job, found: Sequence[bytes | None], made: Writes) -> None:
    """Note in the record of the source that it is not being restored to the job's table any more. The plan of the
    restore, if it has one, is removed."""
    if job.state.get("Manifest") == manifests.PLAN:
        backup_removal.submit(f"plan-{job.state['TableId']}", job.state["Folder"], made)
    if not found or found[0] is None:
        return
    record = found[0]
    is_backup = bytes.fromhex(job.state["Source"]).startswith(spaces.BACKUPS.prefix)
    source = backup_records.parse(record) if is_backup else recovery_records.parse(record)
    source.put(made, restoring=tuple(table for table in source.restoring if table != job.state["TableId"]))


def _unfinished(table: Descriptor) -> Iterator[Unfinished]:
    """A table that is being restored from a backup."""
    if table.restored is not None and table.restored.in_progress and table.restored.source_backup is not None:
        yield Unfinished("it is being restored", {"TableId": table.id})


JOB = JobKind(
    KIND,
    step,
    state={"TableName": str, "TableId": str, "Source": str, "Folder": str, "Piece": int, "Row": int},
    finishes=_unfinished,
    rests=True,
)
