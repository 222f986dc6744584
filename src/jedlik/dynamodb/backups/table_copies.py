"""Table copies: how a backup is made of a table that goes on being written to, without holding a view of the store.

The backup is of the position of the log that CreateBackup's commit has. From that commit on, a reader of the change log
(`changes.readers`) keeps what each item was before each change. The job copies the items piece by piece, each read for
less than a millisecond, and with them the changes, each the item before it. What was copied too late is thereby known,
and is taken back when the backup is read (`manifests`). So the backup is exact, however long a copy takes.

Most changes need not be kept: those of items that had been copied before. Each step writes its pieces first, and then
moves the job on in a commit, so a worker that dies in the middle repeats a step. Objects without a record are removed
at the end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import orjson

from jedlik.aws.errors import ServiceError
from jedlik.background import job_records
from jedlik.background.job_records import Job, JobMoved, JobWaits
from jedlik.background.pacing import Pace
from jedlik.background.work import JobKind, Unfinished
from jedlik.dynamodb import catalog
from jedlik.dynamodb.backups import backup_records, manifests, piece_keys, pieces
from jedlik.dynamodb.backups.backup_records import AVAILABLE, BASE, SYSTEM, USER, Backup, Piece
from jedlik.dynamodb.backups.manifests import Manifest
from jedlik.dynamodb.backups.pieces import ABSENT, Packer, PieceKey, Rows
from jedlik.dynamodb.changes import log_entries, readers
from jedlik.dynamodb.changes.readers import ReaderGone
from jedlik.dynamodb.encryption.kms_refusals import KeyGone
from jedlik.dynamodb.model import keys, log_readers
from jedlik.dynamodb.model.changelog import Kind
from jedlik.dynamodb.model.definitions import LAST_BACKUP_READER, Descriptor, LogReader
from jedlik.dynamodb.model.limits import KIB, MIB
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.tables import purge
from jedlik.dynamodb.tables.busy_tables import BACKUP_READER
from jedlik.regions import keyspaces
from jedlik.storage.engine import NoKey, StorageError, Writes, entry_time
from jedlik.storage.object_store import ObjectStore, ObjectStoreError

if TYPE_CHECKING:
    from jedlik.regions.region import Region

KIND = "BACKUP"
KEPT_SECONDS = 7 * 24 * 60 * 60.0
"""How long the changes are kept that a backup has not copied yet."""

PIECE_BYTES = 8 * MIB
"""Bytes of rows after which a piece ends."""
READ_ROWS = 200
READ_BYTES = 64 * KIB
"""The size of one read, for which all requests wait: a tenth of a millisecond where the pages are in memory, and three
times that where values are sealed."""
BUSY_BYTES = 24 * KIB
"""The same while requests come: a million items of 500 bytes take a minute and a half then."""
CHANGES_BYTES = 256 * KIB
BUSY_CHANGES_BYTES = 64 * KIB
"""The size of one read of the log. While requests come, 13 MB/s are read: more than they write to one table."""
TIDIED_AT_ONCE = 500
WAIT_SECONDS = 5.0
"""After a failure of the place of backups."""
PATIENCE_SECONDS = 60 * 60.0
"""A backup that has not come on for so long is given up: what it needs must not fill the disk."""

READERS = {USER: BACKUP_READER, BASE: "base/", SYSTEM: LAST_BACKUP_READER}
"""What the names of readers begin with, by the type of the backup."""

ITEMS = "ITEMS"
CHANGES = "CHANGES"
TIDY = "TIDY"

_CHANGE_NOTHING = (Kind.OPEN, Kind.CLOSE, Kind.SAME, Kind.SENT_AGAIN)

_log = logging.getLogger(__name__)


def reader(backup: Backup) -> LogReader:
    """The reader that a backup adds to the log of its table. The job removes it, so it is not temporary."""
    name = READERS[backup.type] + backup.id
    return LogReader(name, old_images=True, new_images=False, seconds=KEPT_SECONDS, temporary=False)


def submit(backup: Backup, now: float, writes: Writes) -> None:
    """Begin the copy of a backup's table, in the commit that adds its reader."""
    table_id = keys.table_id(backup.table.id)
    state = {
        "TableName": backup.table.name,
        "TableId": backup.table.id,
        "Backup": backup.id,
        "Reader": READERS[backup.type] + backup.id,
        "Phase": ITEMS,
        "Position": keys.index_prefix(table_id, 0).hex(),
        "Safe": "",
        "Log": None,
        "Until": None,
        "Pieces": {Rows.ITEMS.name: 0, Rows.CHANGES.name: 0},
        "Moved": now,
    }
    writes.append(backup_records.mark_log(backup.id), b"")
    job_records.submit(f"backup/{backup.id}", KIND, state, writes)


class _Gone(Exception):
    """The table, its backup or the reader of its log is gone. The message has the reason."""


async def step(region: Region, job: Job) -> None:
    """Copy the next piece, write the manifest, or tidy up. Raises JobMoved and JobWaits."""
    places = region.places
    assert places is not None, "a region with backups has a place for them"
    try:
        if job.state["Phase"] == TIDY:
            await _tidy(region, job, places.backups)
            return
        backup, table = await _what(region, job)
        if job.state["Phase"] == CHANGES and job.state["Log"] > job.state["Until"]:
            await _finish(region, job, backup, places.backups)
        else:
            await _copy(region, job, backup, table, places.backups)
    except (ReaderGone, _Gone) as error:
        await _give_up(region, job, str(error))
    except KeyGone as error:
        await _give_up(region, job, error.message)
    except (ServiceError, NoKey) as error:
        await _wait_for_key(region, job, error)
    except (ObjectStoreError, StorageError) as error:
        if region.clock() - job.state["Moved"] > PATIENCE_SECONDS and job.state["Phase"] != TIDY:
            await _give_up(region, job, str(error))
            return
        _log.warning("a backup waits: %s", error, extra={"region": region.store, "backup": job.state["Backup"]})
        raise JobWaits(WAIT_SECONDS) from error


async def _wait_for_key(region: Region, job: Job, error: Exception) -> None:
    """Wait for the key of the table, which cannot be used. The last backup of a table waits for it as long as it takes:
    nothing is written to that table any more. Raises JobWaits."""
    is_last = job.state["Reader"].startswith(READERS[SYSTEM])
    if not is_last and region.clock() - job.state["Moved"] > PATIENCE_SECONDS:
        await _give_up(region, job, str(error))
        return
    where = {"region": region.store, "backup": job.state["Backup"]}
    _log.warning("a backup waits for the key of its table: %s", error, extra=where)
    raise JobWaits(WAIT_SECONDS) from error


async def _what(region: Region, job: Job) -> tuple[Backup, Table]:
    """The backup that a job makes, and its table. Raises _Gone."""
    state = job.state
    key = backup_records.backup_key(state["TableName"], state["Backup"])
    raw, descriptor = await region.engine.get([key, catalog.key(state["TableName"])])
    table = catalog.stored(descriptor)
    if raw is None or table is None or table.descriptor.id != state["TableId"]:
        raise _Gone("the table is gone" if raw is not None else "the backup is gone")
    return backup_records.parse(raw), table


class _Changes(NamedTuple):
    """What a step has found in the log."""

    rows: Packer
    position: int
    """From where to go on."""
    last: int
    """The position of the last entry when the step looked."""


async def _copy(region: Region, job: Job, backup: Backup, table: Table, store: ObjectStore) -> None:
    """Copy the next items and the changes that have come meanwhile."""
    state = job.state
    key = await piece_keys.kept(region, store, backup.table if backup.follows_key else None)
    position = bytes.fromhex(state["Position"])
    rows = Packer(Rows.ITEMS)
    if state["Phase"] == ITEMS:
        position = await _items(region, backup, table, position, rows)
    begin = state["Log"] if state["Log"] is not None else await _begin(region, backup)
    changes = await _changes(region, backup, table, begin, bytes.fromhex(state["Safe"]))
    counts = dict(state["Pieces"])
    made: list[tuple[bytes, Piece]] = []
    for kind, some in ((Rows.ITEMS, rows), (Rows.CHANGES, changes.rows)):
        if some:
            made.append(await _put(store, key, backup, (kind, counts), some))
    after = state | {"Position": position.hex(), "Log": changes.position, "Pieces": counts, "Moved": region.clock()}
    if changes.position > changes.last:
        # Whatever is committed from here on is of items that stand behind what has been read, or changes nothing.
        after["Safe"] = position[keys.INDEX_PREFIX :].hex()
    if state["Phase"] == ITEMS and not rows:
        after |= {"Phase": CHANGES, "Until": changes.last}

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        job.check(values[0])
        writes = Writes()
        for key, piece in made:
            writes.put(key, backup_records.piece_record(piece))
        job.advance(after, writes)
        return writes, None

    await region.engine.mutate([job.key], decide)
    place = await readers.place_of(region, table.id, state["Reader"])
    await readers.advance(region, replace(place, position=changes.position))


async def _begin(region: Region, backup: Backup) -> int:
    """The first position of the log that is not in a backup."""
    return (await marked(region, backup.id))[0] + 1


async def marked(region: Region, mark: str) -> tuple[int, float]:
    """The position of a mark, and the time of its commit in seconds since the epoch.

    Raises JobMoved if it is gone: another worker has done what it was needed for.
    """
    log = backup_records.mark_log(mark)
    rows = await region.engine.range(log, keyspaces.prefix_end(log), 1, 1)
    if not rows:
        raise JobMoved
    [(key, entry)] = rows
    return keys.log_position(key), entry_time(entry) / 1e6


async def _items(region: Region, backup: Backup, table: Table, position: bytes, rows: Packer) -> bytes:
    """Read the items of the next piece, none at the end; where to go on."""
    end = keyspaces.prefix_end(table.prefix)
    pace = Pace(region)
    engine = region.engine
    if backup.is_unopened and region.sealed is not None:
        engine = region.sealed.inner
    while rows.size < PIECE_BYTES:
        found = await engine.range(position, end, READ_ROWS, BUSY_BYTES if pace.is_busy else READ_BYTES)
        if not found:
            break
        rows.add([(key[keys.INDEX_PREFIX :], value) for key, value in found])
        position = found[-1][0] + b"\0"
        await pace.rest()
    return position


async def _changes(region: Region, backup: Backup, table: Table, position: int, safe: bytes) -> _Changes:
    """The changes of a piece, each the item before it, of those items whose keys are not before `safe`."""
    last = await region.engine.last_position()
    if backup.is_unopened:
        return _Changes(Packer(Rows.CHANGES), last + 1, last)  # Nobody can change the table, either.
    logs = await log_entries.shard_logs(region, table.id)
    first: dict[bytes, bytes] = {}
    size = 0
    pace = Pace(region)
    while position <= last and size < PIECE_BYTES:
        most = BUSY_CHANGES_BYTES if pace.is_busy else CHANGES_BYTES
        changes, position = await log_entries.between(region, logs, position, last, most, log_entries.size)
        for _, change in changes:
            if change.kind in _CHANGE_NOTHING:
                continue
            key = keys.item_key(table, orjson.loads(change.keys), region.secret)[keys.INDEX_PREFIX :]
            if key >= safe and key not in first:
                first[key] = change.old or ABSENT + change.keys
                size += len(key) + len(change.old)
        await pace.rest()
    rows = Packer(Rows.CHANGES)
    found = list(first.items())
    for start in range(0, len(found), READ_ROWS):
        rows.add(found[start : start + READ_ROWS])
        await asyncio.sleep(0)
    return _Changes(rows, position, last)


async def _put(
    store: ObjectStore, key: PieceKey | None, backup: Backup, counted: tuple[Rows, dict[str, int]], rows: Packer
) -> tuple[bytes, Piece]:
    """Store a piece; its record's key, and what is to be its record. Counts it among those of its kind."""
    kind, counts = counted
    number = counts[kind.name]
    counts[kind.name] += 1
    place = pieces.place_of(f"{backup.folder}/{backup_records.piece_name(number, kind, '')}")
    packed = await asyncio.to_thread(rows.packed, key, place)
    piece = backup_records.piece(number, kind, packed)
    await store.put(f"{backup.folder}/{piece.name}", packed.content)
    return backup_records.piece_key(backup.id, kind, number), piece


async def _finish(region: Region, job: Job, backup: Backup, store: ObjectStore) -> None:
    """Write the manifest; from then on the backup is AVAILABLE."""
    position, at = await marked(region, backup.id)
    found = await _all_pieces(region, backup.id)
    done = Manifest(
        replace(backup, position=position, at=at), position, manifests.fingerprint(region.secret), tuple(found)
    )
    await store.put(f"{backup.folder}/{manifests.NAME}", manifests.serialized(done))

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        job.check(values[0])
        writes = Writes()
        _without_reader(job, values[1], region.clock(), writes, is_made=True)
        if values[2] is None:
            raise JobMoved
        current = backup_records.parse(values[2])
        current.put(writes, status=AVAILABLE, position=position, at=at)
        job.advance(job.state | {"Phase": TIDY, "Moved": region.clock()}, writes)
        return writes, None

    await region.engine.mutate([job.key, catalog.key(backup.table.name), backup.key], decide)


async def _all_pieces(region: Region, backup: str) -> list[Piece]:
    found: list[Piece] = []
    start, end = backup_records.pieces_range(backup)
    while rows := await region.engine.range(start, end, TIDIED_AT_ONCE, MIB):
        found += backup_records.pieces_of(rows)
        start = rows[-1][0] + b"\0"
    return found


def _without_reader(job: Job, descriptor: bytes | None, now: float, writes: Writes, *, is_made: bool = False) -> None:
    """Take the backup's reader from the log of its table, if the table is still there. With its last backup a table
    goes."""
    table = catalog.stored(descriptor)
    if table is None or table.descriptor.id != job.state["TableId"]:
        return
    name = job.state["Reader"]
    if name.startswith(LAST_BACKUP_READER):
        purge.delete_table(table.descriptor, None, now, writes)
    else:
        left = log_readers.removed(table.descriptor, [name], writes)
        if left.archived is not None:
            left = replace(left, archived=replace(left.archived, is_done=True) if is_made else None)
        catalog.put(left, writes)


async def _give_up(region: Region, job: Job, reason: str) -> None:
    """Forget a backup that cannot be made."""
    name, backup = job.state["TableName"], job.state["Backup"]
    key = backup_records.backup_key(name, backup)

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        job.check(values[0])
        writes = Writes()
        _without_reader(job, values[1], region.clock(), writes)
        writes.delete(key)
        job.advance(job.state | {"Phase": TIDY, "Moved": region.clock()}, writes)
        return writes, None

    await region.engine.mutate([job.key, catalog.key(name), key], decide)
    region.jobs_wanted.set()
    # A base is needed by nobody any more when its table or the recovery is gone.
    is_of_a_base = job.state["Reader"].startswith(READERS[BASE])
    _log.log(
        logging.INFO if is_of_a_base else logging.ERROR,
        "a backup could not be made and has been removed: %s",
        reason,
        extra={"region": region.store, "table": name, "backup": backup},
    )


async def _tidy(region: Region, job: Job, store: ObjectStore) -> None:
    """Remove the objects that are in no manifest, then the records of pieces, and end the job."""
    backup = job.state["Backup"]
    start, end = backup_records.pieces_range(backup)
    if not job.state.get("Swept"):
        folder = backup_records.folder(region.account, region.name, job.state["TableName"], backup)
        await _sweep(region, job, folder, store)
    doomed = await region.engine.range(start, end, TIDIED_AT_ONCE, MIB)
    marks = backup_records.mark_log(backup)
    doomed += await region.engine.range(marks, keyspaces.prefix_end(marks), 1, 1)

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        job.check(values[0])
        writes = Writes()
        for key, _ in doomed:
            writes.delete(key)
        if len(doomed) < TIDIED_AT_ONCE:
            job.finish(writes)
        else:
            job.advance(job.state | {"Swept": True}, writes)
        return writes, None

    await region.engine.mutate([job.key], decide)


async def _sweep(region: Region, job: Job, folder: str, store: ObjectStore) -> None:
    """Remove what workers have left in a backup's folder that died or were late.

    The manifest decides what stays, not the records of pieces: another worker may have removed those already.
    """
    [raw] = await region.engine.get([backup_records.backup_key(job.state["TableName"], job.state["Backup"])])
    kept = set()
    if raw is not None:
        kept = {manifests.NAME, *(piece.name for piece in (await manifests.read(store, folder)).pieces)}
    strays = [found.name async for found in store.list(folder) if found.name.rpartition("/")[2] not in kept]
    await store.delete(strays)


def _unfinished(table: Descriptor) -> Iterator[Unfinished]:
    """The backups of a table that are being made."""
    for one in log_readers.listed(table):
        if one.name.startswith(tuple(READERS.values())):
            backup = one.name.partition("/")[2]
            yield Unfinished(f"backup {backup}: it is being made", {"TableId": table.id, "Backup": backup})


JOB = JobKind(
    KIND,
    step,
    state={"TableName": str, "TableId": str, "Backup": str, "Phase": str, "Position": str},
    finishes=_unfinished,
    rests=True,
)
