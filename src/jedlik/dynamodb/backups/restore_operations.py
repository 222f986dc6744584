"""RestoreTableFromBackup: makes the table, which is then filled in the background (`restores`).

The new table has the keys, indexes, billing mode, throughput and encryption of the old one, unless the request gives
others; for a restore from another region, it must give the encryption. It has not its tags, stream, time to live,
recovery and protection, and is no replica.

Source: "Restoring a DynamoDB table from a backup" in the developer guide, and the API reference; that the encryption
must be given stands in "Restoring a DynamoDB table to a point in time".
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from jedlik.aws.context import Context
from jedlik.aws.errors import ValidationException
from jedlik.aws.region_refusals import region_refusal
from jedlik.dynamodb import catalog
from jedlik.dynamodb.backups import (
    backup_records,
    kms_piece_keys,
    manifests,
    readable_sources,
    recovery_plans,
    restores,
    sources_elsewhere,
    transfers,
)
from jedlik.dynamodb.backups.backup_operations import BACKUP_IN_USE, TABLE_IN_USE, place
from jedlik.dynamodb.backups.backup_records import AVAILABLE, BackupArn
from jedlik.dynamodb.backups.restores import Place
from jedlik.dynamodb.capacity import throughput
from jedlik.dynamodb.capacity.throughput import INVALID
from jedlik.dynamodb.encryption import chosen_keys, open_keys
from jedlik.dynamodb.encryption.chosen_keys import Wanted
from jedlik.dynamodb.errors import (
    BackupInUseException,
    ContinuousBackupsUnavailableException,
    TableAlreadyExistsException,
    TableInUseException,
)
from jedlik.dynamodb.model import definitions, keys
from jedlik.dynamodb.model.definitions import (
    PAY_PER_REQUEST,
    PROVISIONED,
    Billing,
    Descriptor,
    IndexDefinition,
    Restored,
)
from jedlik.dynamodb.model.limits import CONCURRENT_RESTORES
from jedlik.dynamodb.tables import descriptions, index_definitions, table_names, table_settings
from jedlik.dynamodb.tables.table_operations import check_table_count
from jedlik.regions.region import Region, TooManyOpen
from jedlik.storage.engine import Writes
from jedlik.storage.object_store import ObjectStoreError

Request = dict[str, Any]
Response = dict[str, Any]


async def restore_table_from_backup(context: Context, request: Request) -> Response:
    """Make a table of a backup."""
    region, arn, name = context.region, request["BackupArn"], request["TargetTableName"]
    check_overrides(request)
    place(region)
    parts = backup_records.of_any_arn(region, arn)
    await check_room(region)
    now, table_id = region.clock(), str(uuid.uuid4())
    if parts.region != region.name:
        return await _restore_from_elsewhere(context, request, parts, table_id, now)
    read = [backup_records.backup_key(parts.table, parts.id), catalog.key(name)]
    values = await region.engine.get(read)
    found = backup_records.found(values[0], arn)
    source = found.table
    check_target(name, values[1])
    if found.is_unopened:
        await open_keys.ready(region, keys.table_id(source.id))
    elif found.follows_key:
        await kms_piece_keys.check(region, source)
    if found.status == AVAILABLE:
        await readable_sources.check_backup(region, place(region), found.folder)

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, Descriptor]:
        backup = backup_records.found(values[0], arn)
        if backup.status != AVAILABLE:
            raise BackupInUseException(BACKUP_IN_USE)
        check_target(name, values[1])
        made = new_table(backup.table, name, table_id, now, region, request)
        writes = Writes()
        made = key.of_new(replace(made, restored=Restored(backup.table.arn, backup.created, backup.arn)), writes)
        catalog.put(made, writes)
        backup.put(writes, restoring=(*backup.restoring, table_id))
        restores.submit(name, table_id, Place(backup.folder, manifests.NAME), backup.key.hex(), writes)
        return writes, made

    async with chosen_keys.chosen(context, name, wanted_key(source, request)) as key:
        made = await region.engine.mutate(read, decide)
        key.learn(region, made)
    region.jobs_wanted.set()
    return {"TableDescription": descriptions.description(made, {}, "CREATING", now)}


async def _restore_from_elsewhere(
    context: Context, request: Request, parts: BackupArn, table_id: str, now: float
) -> Response:
    """The same of a backup of another region."""
    region, arn, name = context.region, request["BackupArn"], request["TargetTableName"]
    check_elsewhere(request)
    try:
        backup = await sources_elsewhere.backup(region, parts, arn, place(region))
    except TooManyOpen as error:
        raise region_refusal(error) from error
    except ObjectStoreError as error:
        raise ContinuousBackupsUnavailableException(f"The place of backups cannot be used: {error}") from error
    if backup.status != AVAILABLE:
        raise BackupInUseException(BACKUP_IN_USE)
    if backup.is_unopened:
        raise ValidationException(f"A backup of a table that nobody could open is restored in its own region: {arn}")

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, Descriptor]:
        check_target(name, values[0])
        made = new_table(backup.table, name, table_id, now, region, request)
        writes = Writes()
        made = key.of_new(replace(made, restored=Restored(backup.table.arn, backup.created, backup.arn)), writes)
        catalog.put(made, writes)
        source = Place(backup.folder, manifests.NAME)
        restores.submit(name, table_id, source, backup.key.hex(), writes, {"Region": parts.region})
        return writes, made

    async with chosen_keys.chosen(context, name, wanted_key(backup.table, request)) as key:
        made = await region.engine.mutate([catalog.key(name)], decide)
        key.learn(region, made)
    region.jobs_wanted.set()
    return {"TableDescription": descriptions.description(made, {}, "CREATING", now)}


def check_elsewhere(request: Request) -> None:
    """What a restore from another region needs besides: its keys are those of that region. Raises
    ValidationException."""
    if "SSESpecificationOverride" not in request:
        raise ValidationException("SSESpecificationOverride must be provided for a restore from another region")


async def check_room(region: Region) -> None:
    """Whether another restore may begin, and make a table."""
    kinds = (restores.KIND, recovery_plans.KIND)
    await transfers.check_concurrent(region, CONCURRENT_RESTORES, "restores", *kinds)
    await check_table_count(region)


def check_target(name: str, raw: bytes | None) -> None:
    """Whether a table may be made under a name. Raises TableAlreadyExistsException and TableInUseException."""
    there = catalog.stored(raw)
    if there is None:
        return
    if not there.usable:
        raise TableInUseException(TABLE_IN_USE)
    raise TableAlreadyExistsException(f"Table already exists: {name}")


def check_overrides(request: Request) -> None:
    """All that can be wrong with a restore before its source is known."""
    table_settings.check_encryption({"SSESpecification": request.get("SSESpecificationOverride", {})})
    if "VectorIndexOverride" in request:
        raise ValidationException("Jedlik does not support vector indexes yet: VectorIndexOverride")
    if request.get("BillingModeOverride") == PAY_PER_REQUEST:
        throughput.check_mode(PAY_PER_REQUEST, request.get("ProvisionedThroughputOverride"))
    for member in ("LocalSecondaryIndexOverride", "GlobalSecondaryIndexOverride"):
        index_definitions.check_names(request.get(member, ()))
    for index in request.get("GlobalSecondaryIndexOverride", ()):
        if "WarmThroughput" in index:
            raise ValidationException(f"{INVALID}WarmThroughput is not supported for index: {index['IndexName']}")


def wanted_key(source: Descriptor, request: Request) -> Wanted:
    """The key of a restored table: that of its source, unless the request chooses another."""
    if "SSESpecificationOverride" in request:
        return chosen_keys.wanted(request["SSESpecificationOverride"])
    return chosen_keys.as_of(source.encryption if source.key_number else None)


def new_table(source: Descriptor, name: str, table_id: str, now: float, region: Region, request: Request) -> Descriptor:
    """The descriptor of a table that is restored from what `source` was. Raises ValidationException."""
    mode = request.get("BillingModeOverride", source.billing_mode)
    local = _kept(source.local_indexes, request.get("LocalSecondaryIndexOverride"), "LocalSecondaryIndexOverride")
    whole = [index for index in source.global_indexes if index.status != "DELETING"]
    kept = _kept(whole, request.get("GlobalSecondaryIndexOverride"), "GlobalSecondaryIndexOverride")
    wanted = {index["IndexName"]: index for index in request.get("GlobalSecondaryIndexOverride", ())}
    settings = _settings(source, source.billing_mode, mode, request, "Override")
    of_indexes = {
        index.name: _settings(index, source.billing_mode, mode, wanted.get(index.name, {}), "") for index in kept
    }
    throughput.check_mode(mode, settings.get("ProvisionedThroughput"))
    throughput.check_new(settings, throughput.TABLE, mode, region.name)
    for index_name, of_index in of_indexes.items():
        throughput.check_new_index({"IndexName": index_name} | of_index, mode, region.name)
    table = Descriptor(
        name=name,
        id=table_id,
        arn=table_names.arn(region.name, region.account, name),
        created=now,
        key_schema=source.key_schema,
        protected=False,
        next_index=source.next_index,
        attributes=source.attributes,
        local_indexes=local,
        global_indexes=tuple(
            replace(definitions.filled(index), **throughput.initial(of_indexes[index.name])) for index in kept
        ),
        billing=Billing(mode, now if mode == PAY_PER_REQUEST else None),
        table_class=source.table_class,
    )
    table = replace(table, **throughput.initial(settings))
    return replace(table, attributes=definitions.used_attributes(table))


def _settings(
    stored: Descriptor | IndexDefinition, former: str, mode: str, given: Mapping[str, Any], suffix: str
) -> Request:
    """The throughput of a restored table or index, as a request that makes one gives it: what the restore gives, and
    else what is stored, if the billing mode `mode` has it. `former` is the billing mode of the source."""
    settings: Request = {}
    if mode == PROVISIONED == former:
        settings["ProvisionedThroughput"] = {unit: stored.provisioned[unit] for unit in throughput.UNITS}
    if mode == PAY_PER_REQUEST and stored.on_demand is not None:
        settings["OnDemandThroughput"] = stored.on_demand
    for member in ("ProvisionedThroughput", "OnDemandThroughput"):
        if f"{member}{suffix}" in given:
            settings[member] = given[f"{member}{suffix}"]
    return settings


def _kept(
    there: Iterable[IndexDefinition], override: list[dict[str, Any]] | None, member: str
) -> tuple[IndexDefinition, ...]:
    """The indexes that a restored table has: all, or those that the request names, as they were."""
    indexes = {index.name: index for index in there}
    if override is None:
        return tuple(indexes.values())
    for wanted in override:
        index = indexes.get(wanted["IndexName"])
        if index is None or _definition(wanted) != _definition(
            {"KeySchema": index.key_schema, "Projection": index.projection}
        ):
            raise ValidationException(
                f"{INVALID}{member} must name indexes of the source with their key schema and projection: "
                f"{wanted['IndexName']}"
            )
    return tuple(index for name, index in indexes.items() if name in {wanted["IndexName"] for wanted in override})


def _definition(index: Mapping[str, Any]) -> tuple[Any, ...]:
    projection = index["Projection"]
    names = sorted(projection.get("NonKeyAttributes", ()))
    return [dict(element) for element in index["KeySchema"]], projection.get("ProjectionType"), names
