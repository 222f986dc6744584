"""The check of recovery to a point in time: that archive and log join, so that no second is missing.

The segments of a history are numbered, and follow each other; the last one ends before the position up to which the log
is archived; and from there on a reader keeps the log. Whether the objects of an archive are whole, only their place
knows.
"""

from __future__ import annotations

from collections.abc import Iterator

from jedlik.aws.checks import Check, Checking, unreadable
from jedlik.aws.damage import DAMAGE
from jedlik.dynamodb import catalog
from jedlik.dynamodb.backups import recovery_records
from jedlik.dynamodb.backups.recovery_records import READER, Recovery, Segment
from jedlik.dynamodb.model import keys, log_readers, spaces
from jedlik.dynamodb.model.log_readers import Position
from jedlik.dynamodb.model.tables import Table
from jedlik.storage.engine import Row
from jedlik.storage.snapshot import Snapshot


def _problems(snapshot: Snapshot, checking: Checking) -> Iterator[str]:
    yield from unreadable(snapshot.rows(*spaces.RECOVERIES.range), "recovery", _read)
    yield from unreadable(snapshot.rows(*spaces.SEGMENTS.range), "segment", _read_segment)
    for _, raw in snapshot.rows(*spaces.RECOVERIES.range):
        try:
            recovery = recovery_records.parse(raw)
            segments = [
                recovery_records.segment_of(found)
                for _, found in snapshot.rows(*recovery_records.segments_range(recovery))
            ]
            table = catalog.stored(snapshot.get(catalog.key(recovery.table)))
        except DAMAGE:
            continue  # Reported already, here or by the check of tables.
        if table is None or table.descriptor.id != recovery.table_id:
            continue  # It goes when the archiver looks at it next.
        for problem in (*_of_segments(recovery, segments), *_of_log(snapshot, recovery, table)):
            yield f"recovery of table {recovery.table}: {problem}"


def _read(row: Row) -> None:
    recovery = recovery_records.parse(row[1])
    if recovery.key != row[0]:
        raise ValueError(f"it is that of {recovery.table_id}")


def _read_segment(row: Row) -> None:
    segment = recovery_records.segment_of(row[1])
    if segment.first != int.from_bytes(row[0][-8:], "big"):
        raise ValueError(f"it begins at {segment.first}")


def _of_segments(recovery: Recovery, segments: list[Segment]) -> Iterator[str]:
    """What is wrong with segments, in the order of their positions."""
    before: Segment | None = None
    for segment in segments:
        if segment.last < segment.first:
            yield f"segment {segment.name} ends before it begins"
        if before is not None and segment.first <= before.last:
            yield f"segment {segment.name} begins before the end of {before.name}"
        if before is not None and before.number is not None and segment.number != before.number + 1:
            yield f"segments are missing between {before.name} and {segment.name}"
        before = segment
    if before is None:
        return
    if before.last >= recovery.position:
        yield f"segment {before.name} ends behind the archive, at {before.last}"
    if before.number is not None and recovery.segments != before.number + 1:
        yield f"segments are missing behind {before.name}"


def _of_log(snapshot: Snapshot, recovery: Recovery, table: Table) -> Iterator[str]:
    """What is wrong with the log, from the end of the archive on."""
    if recovery.suspended:
        return  # The archiver begins a new history when its place takes objects again.
    stored = snapshot.get(keys.reader_key(table.id, READER))
    if log_readers.find(table.descriptor, READER) is None or stored is None:
        yield "nothing keeps the log for it"
        return
    position = Position.unpack(stored)
    if position.lost:
        return  # The archiver begins a new history.
    if position.number > recovery.position:
        yield f"the archive ends at {recovery.position}, and the log is kept from {position.number} on only"


CHECK = Check("recoveries", _problems)
