"""UpdateContinuousBackups, DescribeContinuousBackups and RestoreTableToPointInTime.

Sources: "Point-in-time backups for DynamoDB" in the developer guide, and the API reference. Texts that are not in
either are those of the service model.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from jedlik.aws.context import Context
from jedlik.aws.errors import ValidationException
from jedlik.aws.region_refusals import region_refusal
from jedlik.dynamodb import catalog
from jedlik.dynamodb.backups import archiving, kms_piece_keys, readable_sources, recovery_plans, recovery_records
from jedlik.dynamodb.backups.backup_operations import place
from jedlik.dynamodb.backups.recovery_records import Recovery
from jedlik.dynamodb.backups.restore_operations import (
    check_elsewhere,
    check_overrides,
    check_room,
    check_target,
    new_table,
    wanted_key,
)
from jedlik.dynamodb.changes import log_entries, readers
from jedlik.dynamodb.encryption import chosen_keys, open_keys
from jedlik.dynamodb.errors import (
    ContinuousBackupsUnavailableException,
    InvalidRestoreTimeException,
    PointInTimeRecoveryUnavailableException,
    TableNotFoundException,
)
from jedlik.dynamodb.model import keys
from jedlik.dynamodb.model.definitions import Descriptor, Restored
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.tables import descriptions, table_names
from jedlik.regions.region import NotServed, Region, TooManyOpen
from jedlik.storage.engine import Writes

Request = dict[str, Any]
Response = dict[str, Any]

DAYS = 35
"""The recovery period of a request that names none."""
LAG_SECONDS = 1.0
"""How far the latest restorable time is behind the clock."""
BEHIND_SECONDS = 3 * archiving.SEGMENT_SECONDS
"""An entry that is not archived after so long shows that archiving is held up."""


async def update_continuous_backups(context: Context, request: Request) -> Response:
    """Switch a table's recovery on or off, or change its period."""
    region = context.region
    name = table_names.resolve(request["TableName"], region.name, region.account)
    wanted = request["PointInTimeRecoverySpecification"]
    enabled, days = wanted["PointInTimeRecoveryEnabled"], wanted.get("RecoveryPeriodInDays")
    if not enabled and days is not None:
        raise ValidationException("RecoveryPeriodInDays cannot be specified when PointInTimeRecoveryEnabled is false")
    place(region)
    table = found(name, await catalog.find(region, name))
    table_id = keys.table_id(table.id)
    starts = await readers.starting(region)
    now = region.clock()

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        table = found(name, catalog.stored(values[0]))
        if keys.table_id(table.id) != table_id:
            raise ContinuousBackupsUnavailableException("Backups have not yet been enabled for this table.")
        open_keys.check_open(table)
        writes = Writes()
        recovery = None if values[1] is None else recovery_records.parse(values[1])
        if recovery is None and enabled:
            archiving.begin(table, days or DAYS, starts, values[2:], now, writes)
        elif recovery is not None and enabled:
            recovery.put(writes, days=days or recovery.days)
        elif recovery is not None:
            if recovery.restoring:
                raise ContinuousBackupsUnavailableException(
                    f"Point in time recovery cannot be disabled while table '{name}' is being restored or exported"
                )
            catalog.put(archiving.end(table, recovery, writes), writes)
        return writes, None

    counters = [keys.item_count_key(table_id, 0), keys.item_bytes_key(table_id, 0)]
    await region.engine.mutate([catalog.key(name), recovery_records.recovery_key(table_id), *counters], decide)
    region.jobs_wanted.set()
    return await _described(region, name)


async def describe_continuous_backups(context: Context, request: Request) -> Response:
    """Show whether a table has recovery, and to which times it can be restored."""
    region = context.region
    return await _described(region, table_names.resolve(request["TableName"], region.name, region.account))


async def restore_table_to_point_in_time(context: Context, request: Request) -> Response:
    """Make a table of what another held at a time."""
    region, target = context.region, request["TargetTableName"]
    check_overrides(request)
    place(region)
    of_region, name = _source(region, request)
    until = _wanted_time(request)
    await check_room(region)
    if of_region != region.name:
        return await _restore_from_elsewhere(context, request, of_region, name, until)
    source = found(name, await catalog.find(region, name))
    now, table_id = region.clock(), str(uuid.uuid4())
    before = await recovery_records.of_table(region, source)
    earliest = now if before is None else await archiving.earliest(region, before, now)
    newest = await region.engine.last_time()
    recovery_key = recovery_records.recovery_key(keys.table_id(source.id))
    await check_keys(region, source, before, now if until is None else until)
    if before is not None:
        await readable_sources.check_recovery(region, region, before, now if until is None else until)

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, Descriptor]:
        source = found(name, catalog.stored(values[0]))
        recovery = None if values[1] is None else recovery_records.parse(values[1])
        if recovery is None or before is None or recovery.history != before.history:
            raise _unavailable(name)
        at = _checked_time(until, earliest, latest(recovery, earliest, now, newest))
        check_target(target, values[2])
        made = new_table(source, target, table_id, now, region, request)
        writes = Writes()
        made = key.of_new(replace(made, restored=Restored(source.arn, at)), writes)
        catalog.put(made, writes)
        recovery.put(writes, restoring=(*recovery.restoring, table_id))
        recovery_plans.submit(recovery, made, at, writes)
        return writes, made

    async with chosen_keys.chosen(context, target, wanted_key(source, request)) as key:
        made = await region.engine.mutate([catalog.key(name), recovery_key, catalog.key(target)], decide)
        key.learn(region, made)
    region.jobs_wanted.set()
    return {"TableDescription": descriptions.description(made, {}, "CREATING", now)}


async def _restore_from_elsewhere(
    context: Context, request: Request, of_region: str, name: str, until: float | None
) -> Response:
    """The same of a table in another region."""
    region, target = context.region, request["TargetTableName"]
    check_elsewhere(request)

    async def look(there: Region) -> tuple[Descriptor, Recovery, float]:
        source = found(name, await catalog.find(there, name))
        recovery = await recovery_records.of_table(there, source)
        if recovery is None:
            raise _unavailable(name)
        now = there.clock()
        earliest = await archiving.earliest(there, recovery, now)
        at = _checked_time(until, earliest, latest(recovery, earliest, now, await there.engine.last_time()))
        await check_keys(there, source, recovery, at)
        await readable_sources.check_recovery(region, there, recovery, at)
        return source, recovery, at

    try:
        source, recovery, at = await region.elsewhere.use(of_region, look)
    except NotServed as error:
        arn = request["SourceTableArn"]
        raise ValidationException(f"1 validation error detected: Invalid AWS region in '{arn}'", bare=True) from error
    except TooManyOpen as error:
        raise region_refusal(error) from error
    now, table_id = region.clock(), str(uuid.uuid4())

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, Descriptor]:
        check_target(target, values[0])
        made = new_table(source, target, table_id, now, region, request)
        writes = Writes()
        made = key.of_new(replace(made, restored=Restored(source.arn, at)), writes)
        catalog.put(made, writes)
        recovery_plans.submit(recovery, made, at, writes, {"Region": of_region})
        return writes, made

    async with chosen_keys.chosen(context, target, wanted_key(source, request)) as key:
        made = await region.engine.mutate([catalog.key(target)], decide)
        key.learn(region, made)
    region.jobs_wanted.set()
    return {"TableDescription": descriptions.description(made, {}, "CREATING", now)}


async def check_keys(region: Region, source: Descriptor, recovery: Recovery | None, at: float) -> None:
    """Raise what refuses a request for what a table held at a time, if a key of the archive cannot be used."""
    if recovery is not None:
        base = recovery_records.latest(await recovery_records.bases(region, recovery), at)
        await kms_piece_keys.check_later(region, source, source if base is None else base.table)


def _unavailable(name: str) -> PointInTimeRecoveryUnavailableException:
    return PointInTimeRecoveryUnavailableException(f"Point in time recovery is not enabled for table '{name}'")


def latest(recovery: Recovery, earliest: float, now: float, newest: float) -> float:
    """The latest time for which a request may ask. `newest` is that of the store's last entry (`Engine.last_time`).

    Where a clock has been ahead, entries are dated ahead of it, and no earlier time has what they wrote.
    """
    if recovery.suspended and recovery.until is not None:
        return recovery.until
    return max(earliest, newest if newest > now + LAG_SECONDS else now - LAG_SECONDS)


def _checked_time(until: float | None, earliest: float, latest: float) -> float:
    """The time to which a table is restored now. Raises InvalidRestoreTimeException."""
    at = latest if until is None else until
    if not earliest <= at <= latest:
        raise InvalidRestoreTimeException(
            "An invalid restore time was specified. RestoreDateTime must be between EarliestRestorableDateTime and "
            "LatestRestorableDateTime."
        )
    return at


def _source(region: Region, request: Request) -> tuple[str, str]:
    """The region and the name of the table that is restored."""
    arn, name = request.get("SourceTableArn"), request.get("SourceTableName")
    if (arn is None) == (name is None):
        raise ValidationException("Either SourceTableArn or SourceTableName must be provided, and not both")
    if arn is not None:
        table_names.check_is_arn(arn, "sourceTableArn")
    of_region = region.name if arn is None else table_names.region_of(arn)
    return of_region, table_names.resolve(arn or name or "", of_region, region.account)


def _wanted_time(request: Request) -> float | None:
    """The time to which is restored, in seconds since the epoch; None for the latest."""
    at: float | None = request.get("RestoreDateTime")
    if request.get("UseLatestRestorableTime", False):
        if at is not None:
            raise ValidationException("RestoreDateTime cannot be specified when UseLatestRestorableTime is true")
        return None
    if at is None:
        raise ValidationException("Either RestoreDateTime or UseLatestRestorableTime must be provided")
    return at


def found(name: str, table: Table | None) -> Descriptor:
    """The descriptor of a table that is whole. Raises TableNotFoundException."""
    if table is None or not table.usable:
        raise TableNotFoundException(f"Table not found: {name}")
    return table.descriptor


async def _described(region: Region, name: str) -> Response:
    table = await catalog.find(region, name)
    descriptor = found(name, table)
    recovery = await recovery_records.of_table(region, descriptor)
    shown: Response = {"PointInTimeRecoveryStatus": "DISABLED"}
    if recovery is not None and table is not None:
        now = region.clock()
        earliest = await archiving.earliest(region, recovery, now)
        last = await _latest(region, table, recovery, now)
        if earliest <= last or not recovery.suspended:
            shown = {
                "PointInTimeRecoveryStatus": "ENABLED",
                "RecoveryPeriodInDays": recovery.days,
                "EarliestRestorableDateTime": earliest,
                "LatestRestorableDateTime": max(earliest, last),
            }
    return {
        "ContinuousBackupsDescription": {
            "ContinuousBackupsStatus": "ENABLED",
            "PointInTimeRecoveryDescription": shown,
        }
    }


async def _latest(region: Region, table: Table, recovery: Recovery, now: float) -> float:
    """The latest restorable time: nearly now, for a restore archives what is not archived yet. While archiving is held
    up, it is the time of the first change that is not archived; and while it is suspended, the end of the archive."""
    first = await log_entries.first_time(region, table.id, recovery.position)
    if not recovery.suspended and first is not None and first < now - BEHIND_SECONDS:
        return first
    return latest(recovery, 0.0, now, await region.engine.last_time())
