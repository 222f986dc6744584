"""Looks after the keys of tables: one worker of a store asks KMS, again and again, whether they may still be used.

A table whose key is refused is closed: its descriptor states since when and why. Every read and write compares the
descriptor, so every process refuses the next request, whether it has the key open or not; and within a second each lets
go of the key (`open_keys.look`). When the key may be used again, the table is opened. Nothing of it has changed.

KMS counts its changes (`TableKeys.changes`), so nearly every look is a read. Keys are asked for all the same once in a
while, because some become useless at a date. A KMS that does not answer refuses nothing: keys that are open go on for
five minutes.

A replica that was closed for twenty hours leaves its global table (`replication.closed_replicas`), and a table that was
for seven days is archived (`archival`).

Here is also where keys are let go of that nobody needs any more: those of deleted tables when their streams are gone
too, and those that a table had before. What backups need stays (`held_keys`).

Source: "DynamoDB encryption at rest usage notes" in the developer guide.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jedlik.aws import table_keys
from jedlik.aws.table_keys import KeyAway, KeyUnusable
from jedlik.background import stretches
from jedlik.background.work import Duty
from jedlik.config import Settings
from jedlik.dynamodb import catalog, mini_transaction
from jedlik.dynamodb.encryption import archival, held_keys, open_keys
from jedlik.dynamodb.model import shared_settings, spaces
from jedlik.dynamodb.model.limits import MIB
from jedlik.dynamodb.model.mutations import Mutation
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.replication import closed_replicas
from jedlik.regions import table_keyring
from jedlik.regions.table_keyring import TableKey, TableKeys

if TYPE_CHECKING:
    from jedlik.regions.region import Region

PERIOD = 1.0
"""Seconds between two looks."""
ASK_SECONDS = 30.0
"""How old an answer of KMS may be."""
GRACE_SECONDS = 5 * 60.0
"""How long keys may be used while KMS does not answer: as long as DynamoDB keeps them."""
HELD_SECONDS = 60.0
"""How often it is looked whether backups still need a key that their table does not."""
AWAY_SECONDS = 60.0
"""How long giving back a key waits when KMS did not answer."""
_PAGE = 500

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Seen:
    """What was found at the last look at a table."""

    record: bytes
    descriptor: bytes | None
    table: Table | None
    """None if it was deleted."""
    changes: tuple[int, ...] = ()
    asked: float = -ASK_SECONDS
    """When KMS was asked last."""
    answered: float | None = None
    """When KMS answered last that the keys may be used."""
    away: bool = False
    """Whether it did not answer last, which has been logged."""
    refusal: tuple[str, str] | None = None
    next_release: float = 0.0
    """When it is looked next whether there are keys that nobody needs."""


class KeyWatch:
    """What this process has found."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, bytes], _Seen] = {}
        """By store and table."""

    async def run(self, region: Region) -> bool:
        """Look at all tables whose key was chosen. Returns False: there is nothing more to do at once."""
        start, end = table_keyring.KEYSPACE.range
        changes: dict[str, int] = {}
        found = set()
        while rows := await region.engine.range(start, end, _PAGE, MIB):
            for key, record in rows:
                table_id = table_keyring.table_of(key)
                found.add((region.store, table_id))
                await self._look(region, table_id, record, changes)
            start = rows[-1][0] + b"\0"
        for gone in [one for one in self._seen if one[0] == region.store and one not in found]:
            del self._seen[gone]
        return False

    async def _look(self, region: Region, table_id: bytes, stored: bytes, changes: dict[str, int]) -> None:
        record = table_keyring.parse(stored)
        raw = await catalog.raw_descriptor(region, record.table)
        seen = self._seen.get((region.store, table_id))
        if seen is None or seen.record != stored or seen.descriptor != raw:
            table = catalog.stored(raw)
            there = table if table is not None and table.id == table_id else None
            before = seen
            seen = self._seen[region.store, table_id] = _Seen(stored, raw, there)
            if before is not None:
                seen.answered = before.answered
        now = region.clock()
        if (seen.table is None or any(key.idle for key in record.keys)) and now >= seen.next_release:
            seen.next_release = now + await _let_go(region, table_id, record, seen.table)
        if seen.table is not None and seen.table.descriptor.archived is None:
            await self._ask(region, record, seen, changes)
            is_refused = seen.refusal is not None and seen.refusal[0] != AWAY
            if is_refused and closed_replicas.is_due(region, seen.table):
                await closed_replicas.leave(region, seen.table)
            elif is_refused and archival.is_due(region, seen.table):
                await archival.begin(region, seen.table)
            else:
                await _settle(region, seen.table, table_id, seen.refusal)

    async def _ask(self, region: Region, record: TableKeys, seen: _Seen, changes: dict[str, int]) -> None:
        """Find out whether the keys of a table may be used."""
        now = region.clock()
        keys = list(record.needed)
        try:
            counted = tuple([await _changes(region, key, changes) for key in keys])
            if counted == seen.changes and 0 <= now - seen.asked < ASK_SECONDS:
                return
            seen.asked = now
            for key in keys:
                await table_keys.current().check(region, open_keys.adopted(key), open_keys.pairs(region, record.table))
            seen.changes, seen.answered, seen.refusal, seen.away = counted, now, None, False
        except KeyUnusable as error:
            seen.changes, seen.refusal = counted, (error.name, error.message)
        except KeyAway as error:
            if seen.answered is None:
                seen.answered = now  # This process has just begun.
            if not seen.away:
                seen.away = True
                _log.warning("KMS does not answer: %s", error, extra={"region": region.store, "table": record.table})
            if now - seen.answered >= GRACE_SECONDS and not region.clock.doubtful:
                seen.refusal = seen.refusal or (AWAY, "KMS does not answer")


AWAY = "KMSInternalException"
"""Stands for the exception of a KMS that does not answer."""


async def _changes(region: Region, key: TableKey, known: dict[str, int]) -> int:
    """How often anything was changed where a key is. Raises KeyAway."""
    assert key.key_arn is not None, "it is a key of KMS"
    where = key.key_arn.rpartition(":")[0] + ("/elsewhere" if key.elsewhere else "")
    if where not in known:
        known[where] = await table_keys.current().changes(region, open_keys.adopted(key))
    return known[where]


async def _settle(region: Region, table: Table, table_id: bytes, refusal: tuple[str, str] | None) -> None:
    """Close a table whose key is refused, or open it again."""
    encryption = table.descriptor.encryption
    if encryption is None or (refusal is not None) == table.descriptor.is_closed:
        return
    since, reopened = (region.clock(), None) if refusal is not None else (None, region.clock())
    encryption = replace(encryption, inaccessible_since=since, refusal=refusal, reopened=reopened)
    changed = shared_settings.noted(replace(table.descriptor, encryption=encryption), region.clock())
    row = table_keyring.row(table_id)

    def decide(mutation: Mutation) -> bool:
        record, writes = mutation.found[row], mutation.writes
        if mutation.found[table.descriptor_key] != table.raw or record is None:
            return False
        catalog.put(changed, writes)
        writes.put(row, replace(table_keyring.parse(record), closed=refusal is not None).record)
        writes.add(catalog.POLICIES, 1)
        return True

    if await mini_transaction.mutate_keys(region, [table.descriptor_key, row], decide):
        where = {"region": region.store, "table": table.name, "key": encryption.key_arn}
        if refusal is None:
            _log.info("the key of a table can be used again: it is open", extra=where)
            region.jobs_wanted.set()
        else:
            _log.warning("the key of a table cannot be used: it is closed: %s", ": ".join(refusal), extra=where)


async def _let_go(region: Region, table_id: bytes, record: TableKeys, table: Table | None) -> float:
    """Let go of the keys that nothing is sealed with any more: all of a deleted table, or those that one had before.
    Returns after how many seconds to look again, if there are any left."""
    ranges = [space.of(table_id) for space in (spaces.ROWS, spaces.LOGS)]
    if table is None and any([await stretches.holds(region, one) for one in ranges]):
        return PERIOD
    held = await held_keys.held(region, table_id, record.table)
    gone = [key for key in record.keys if (table is None or key.idle) and not held.needs(key)]
    left = tuple(key for key in record.keys if key not in gone)
    if table is None and not held.every:
        left = tuple(replace(key, idle=True) for key in left)  # Only pieces of backups need them.
    if left == record.keys:
        return HELD_SECONDS
    try:
        for key in gone:
            if key.key_arn is not None:
                await table_keys.current().drop(region, open_keys.adopted(key))
    except KeyAway as error:
        _log.warning("a key that is not needed cannot be given back: %s", error, extra={"region": region.store})
        return AWAY_SECONDS
    row, stored = table_keyring.row(table_id), record.record

    def decide(mutation: Mutation) -> None:
        if mutation.found[row] == stored:
            if left:
                mutation.writes.put(row, replace(record, keys=left).record)
            else:
                mutation.writes.delete(row)
            mutation.writes.add(catalog.POLICIES, 1)

    await mini_transaction.mutate_keys(region, [row], decide)
    return PERIOD


def duty(settings: Settings) -> Duty:
    """The look, which no setting changes."""
    return Duty("keys of tables", PERIOD, KeyWatch().run, open_keys.has_any)
