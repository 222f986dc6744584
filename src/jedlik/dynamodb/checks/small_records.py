"""The check of small records, one by one: client tokens, tags, checkpoints, notes of tables put aside, and holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import orjson

from jedlik.aws.checks import Check, Checking, unreadable
from jedlik.dynamodb.backups import holds
from jedlik.dynamodb.model import keys, spaces
from jedlik.dynamodb.model.limits import IDEMPOTENCY_SECONDS
from jedlik.dynamodb.replication import aside, pull_positions
from jedlik.regions.keyspaces import Keyspace
from jedlik.storage.engine import Row
from jedlik.storage.snapshot import Snapshot


def _problems(snapshot: Snapshot, checking: Checking) -> Iterator[str]:
    for space, name, read in _RECORDS:
        yield from unreadable(snapshot.rows(*space.range), name, read)


# Each raises one of DAMAGE for a record that cannot be read.


def _read_token(row: Row) -> None:
    record = orjson.loads(row[1])
    tables = record.get("TableIds", {})
    if not (
        isinstance(record["Fingerprint"], str) and isinstance(record["ReadUnits"], list) and isinstance(tables, dict)
    ):
        raise ValueError(f"it is {record}")
    interval = int(record["At"] // IDEMPOTENCY_SECONDS)
    if not keys.token_range(interval)[1] <= row[0] < keys.token_range(interval + 1)[1]:
        raise ValueError(f"it was made at {record['At']}, and is under another time")


def _read_tags(row: Row) -> None:
    tags = orjson.loads(row[1])
    if not all(isinstance(value, str) for value in tags.values()):
        raise ValueError(f"it is {tags}")


def _read_checkpoint(row: Row) -> None:
    checkpoint = pull_positions.parse(row[1])
    if pull_positions.key(keys.table_of_key(row[0]), checkpoint.region) != row[0]:
        raise ValueError(f"it is that of {checkpoint.region}")
    fault = pull_positions.fault(row[1])
    if fault is not None:
        raise ValueError(f"{fault}; the server begins it anew")


def _read_aside(row: Row) -> None:
    note = aside.parse(row[1])
    if not (isinstance(note.region, str) and isinstance(note.reason, str) and isinstance(note.since, float)):
        raise ValueError(f"it is {note}")


def _read_hold(row: Row) -> None:
    hold = holds.parse(row[1])
    if hold.key != row[0] or not isinstance(hold.region, str) or not isinstance(hold.missed, float | None):
        raise ValueError(f"it is {row[1]!r}")
    bytes.fromhex(hold.source)


_RECORDS: tuple[tuple[Keyspace, str, Callable[[Row], object]], ...] = (
    (spaces.TOKENS, "client token", _read_token),
    (spaces.TAGS, "tags", _read_tags),
    (spaces.CHECKPOINTS, "checkpoint", _read_checkpoint),
    (spaces.ASIDES, "note of what is put aside", _read_aside),
    (spaces.HOLDS, "hold for another region", _read_hold),
)
"""Key spaces, with the names of their records and the functions that read them."""

CHECK = Check("small records", _problems)
