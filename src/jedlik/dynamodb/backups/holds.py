"""Holds: the sources here of which tables of other regions are being restored.

The job of such a restore makes a hold before it reads, and takes it away at its end (`sources_elsewhere`). Until then
the source cannot be deleted, and nothing of its archive is removed. A hold whose job is gone is released at once: its
region was not served when the job ended, or the other one was not. One whose region is not in the settings any more is
released after a day, and that is logged and in `jedlik stats` before. If the region comes back later, its restore goes
on if everything is still there, and fails otherwise.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import orjson

from jedlik.background import job_records, stretches
from jedlik.background.work import Duty
from jedlik.config import Settings
from jedlik.dynamodb.backups import backup_records, recovery_records
from jedlik.dynamodb.backups.backup_records import Backup
from jedlik.dynamodb.backups.recovery_records import Recovery
from jedlik.dynamodb.model import spaces
from jedlik.dynamodb.model.limits import MIB
from jedlik.regions import keyspaces
from jedlik.regions.region import NotServed, TooManyOpen
from jedlik.storage.engine import Writes

if TYPE_CHECKING:
    from jedlik.regions.region import Region

PERIOD = 60.0
"""Seconds between two looks at all holds."""
MISSED_SECONDS = 24 * 60 * 60.0
"""How long a region may be missing before what is held for it is released."""
READ_AT_ONCE = 500

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Hold:
    """A source that is held."""

    table_id: str
    """That of the table that is made of it, in the other region."""
    region: str
    """The other region."""
    source: str
    """The key of the source's record, in hexadecimal."""
    missed: float | None = None
    """Since when the region has not been in the settings, in seconds since the epoch."""
    raw: bytes = b""

    @property
    def key(self) -> bytes:
        """The key of its record."""
        return hold_key(self.table_id)

    def put(self, writes: Writes) -> None:
        """Write the record."""
        document = {"TableId": self.table_id, "Region": self.region, "Source": self.source, "Missed": self.missed}
        writes.put(self.key, orjson.dumps(document))


def parse(raw: bytes) -> Hold:
    """The hold of a record."""
    record = orjson.loads(raw)
    return Hold(record["TableId"], record["Region"], record["Source"], record["Missed"], raw)


def hold_key(table_id: str) -> bytes:
    """The key of the record of the hold for a table."""
    return spaces.HOLDS.prefix + table_id.encode()


def record_of(key: bytes, raw: bytes) -> Backup | Recovery:
    """The source that a record holds."""
    return backup_records.parse(raw) if key.startswith(spaces.BACKUPS.prefix) else recovery_records.parse(raw)


async def release(region: Region, key: bytes, table_id: str, expected: Hold | None = None) -> bool:
    """Release the source under `key` for a table; whether that was done. With `expected`, only that hold."""
    mark = backup_records.mark_log(table_id)
    rows = await region.engine.range(mark, keyspaces.prefix_end(mark), 1, 1)

    def decide(found: Sequence[bytes | None]) -> tuple[Writes, bool]:
        writes = Writes()
        if expected is not None and found[1] != expected.raw:
            return writes, False
        for row, _ in rows:
            writes.delete(row)
        if found[1] is not None:
            writes.delete(hold_key(table_id))
        if found[0] is not None:
            record = record_of(key, found[0])
            if table_id in record.restoring:
                record.put(writes, restoring=tuple(one for one in record.restoring if one != table_id))
        return writes, True

    return await region.engine.mutate([key, hold_key(table_id)], decide)


# The duty


async def look(region: Region) -> bool:
    """Look at all holds once, and release those that nobody needs. There is never more to do at once."""
    start, end = spaces.HOLDS.range
    while rows := await region.engine.range(start, end, READ_AT_ONCE, MIB):
        start = rows[-1][0] + b"\0"
        for _, raw in rows:
            await _look_at(region, parse(raw))
    return False


async def _look_at(region: Region, hold: Hold) -> None:
    names = [job_records.job_key(f"{kind}/{hold.table_id}") for kind in ("restore", "recovery")]

    async def goes_on(there: Region) -> bool:
        return any(raw is not None for raw in await there.engine.get(names))

    try:
        if await region.elsewhere.use(hold.region, goes_on):
            if hold.missed is not None:
                await _put(region, hold, None)
            return
        why = "its job is gone"
    except TooManyOpen:
        return
    except NotServed:
        now = region.clock()
        if hold.missed is None:
            await _put(region, hold, now)
            _say(
                region,
                hold,
                f"its region is not in the settings, and after {MISSED_SECONDS / 3600:.0f} hours it is not waited for",
            )
        if hold.missed is None or region.clock.doubtful or now - hold.missed < MISSED_SECONDS:
            return
        why = "its region has not been in the settings for too long"
    if await release(region, bytes.fromhex(hold.source), hold.table_id, hold):
        _say(region, hold, f"the source is released, because {why}")


async def _put(region: Region, hold: Hold, missed: float | None) -> None:
    def decide(found: Sequence[bytes | None]) -> tuple[Writes, None]:
        writes = Writes()
        if found[0] == hold.raw:
            replace(hold, missed=missed).put(writes)
        return writes, None

    await region.engine.mutate([hold.key], decide)


def _say(region: Region, hold: Hold, what: str) -> None:
    _log.warning(
        "a table of another region is being restored from a source of this one: %s",
        what,
        extra={"region": region.store, "restored_in": hold.region, "table_id": hold.table_id},
    )


def duty(settings: Settings) -> Duty:
    """Releasing the sources that nobody needs."""
    return Duty("holds", PERIOD, look, _has_any)


async def _has_any(region: Region) -> bool:
    return await stretches.holds(region, spaces.HOLDS.range)
