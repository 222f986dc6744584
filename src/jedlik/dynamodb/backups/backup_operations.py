"""CreateBackup, DescribeBackup, ListBackups and DeleteBackup.

CreateBackup answers when the commit that the backup is of is durable: what was written before it is in the backup, and
what is written afterwards is not. The copy follows in the background (`table_copies`).

Sources: "Using on-demand DynamoDB backup and restore" in the developer guide and the API reference. The texts of
BackupInUseException, TableInUseException and ContinuousBackupsUnavailableException are those of the service model.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from jedlik.aws.context import Context
from jedlik.dynamodb import catalog
from jedlik.dynamodb.backups import backup_records, backup_removal, kms_piece_keys, table_copies
from jedlik.dynamodb.backups.backup_records import AVAILABLE, BASE, CREATING, DELETED, USER, Backup
from jedlik.dynamodb.changes import readers
from jedlik.dynamodb.encryption import open_keys
from jedlik.dynamodb.errors import (
    BackupInUseException,
    ContinuousBackupsUnavailableException,
    TableInUseException,
    TableNotFoundException,
)
from jedlik.dynamodb.model import keys, log_readers
from jedlik.dynamodb.model.definitions import Descriptor, IndexDefinition
from jedlik.dynamodb.model.limits import MIB
from jedlik.dynamodb.tables import busy_tables, descriptions, table_names
from jedlik.regions.region import Region
from jedlik.storage.counters import counter
from jedlik.storage.engine import Writes
from jedlik.storage.object_store import ObjectStore, ObjectStoreError

Request = dict[str, Any]
Response = dict[str, Any]

BACKUP_IN_USE = (
    "There is another ongoing conflicting backup control plane operation on the table. "
    "The backup is either being created, deleted or restored to a table."
)
TABLE_IN_USE = "A target table with the specified name is either being created or deleted."

_LIST_LIMIT = 100
_PAGE = 100
"""Records read at once."""
_ALL = "ALL"
_TESTED = "begun"
"""An object that is written before anything else, and removed when the backup is whole."""


async def create_backup(context: Context, request: Request) -> Response:
    """Begin a backup of a table."""
    region = context.region
    name = table_names.resolve(request["TableName"], region.name, region.account)
    table = _backed_up(name, await catalog.raw_descriptor(region, name))
    store = place(region)
    now = int(region.clock() * 1000) / 1000  # As its id has it.
    backup = Backup(
        id=backup_records.new_id(now, secrets.token_hex(4)),
        name=request["BackupName"],
        type=USER,
        status=CREATING,
        created=now,
        items=0,
        size=0,
        table=table,
    )
    await _test(store, backup)
    table_id = keys.table_id(table.id)
    starts = await readers.starting(region)

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, Backup]:
        table = _backed_up(name, values[0])
        writes = Writes()
        if keys.table_id(table.id) != table_id:
            raise TableInUseException(TABLE_IN_USE)
        follows_key = kms_piece_keys.follows_key(table)
        made = replace(backup, table=table, items=counter(values[1]), size=counter(values[2]), follows_key=follows_key)
        made.put(writes)
        table_copies.submit(made, now, writes)
        catalog.put(log_readers.added(table, table_copies.reader(made), starts, writes), writes)
        return writes, made

    counters = [keys.item_count_key(table_id, 0), keys.item_bytes_key(table_id, 0)]
    made = await region.engine.mutate([catalog.key(name), *counters], decide)
    region.jobs_wanted.set()
    return {"BackupDetails": _details(made)}


async def describe_backup(context: Context, request: Request) -> Response:
    """Show a backup."""
    backup = await backup_records.find(context.region, request["BackupArn"])
    return {"BackupDescription": _description(backup)}


async def list_backups(context: Context, request: Request) -> Response:
    """The backups of a region or of a table's name, by table and time."""
    region = context.region
    limit = request.get("Limit", _LIST_LIMIT)
    name = request.get("TableName")
    if name is not None:
        name = table_names.resolve(name, region.name, region.account)
    start, end = backup_records.backup_range(name)
    if "ExclusiveStartBackupArn" in request:
        after = backup_records.of_arn(region, request["ExclusiveStartBackupArn"])
        start = max(start, backup_records.backup_key(after.table, after.id) + b"\0")
    found: list[Backup] = []
    while len(found) <= limit:
        rows = await region.engine.range(start, end, _PAGE, MIB)
        if not rows:
            break
        found += [backup for _, raw in rows if _is_wanted(backup := backup_records.parse(raw), request)]
        start = rows[-1][0] + b"\0"
    response: Response = {"BackupSummaries": [_summary(backup) for backup in found[:limit]]}
    if len(found) > limit:
        response["LastEvaluatedBackupArn"] = found[limit - 1].arn
    return response


async def delete_backup(context: Context, request: Request) -> Response:
    """Delete a backup, unless it is being made or restored."""
    region, arn = context.region, request["BackupArn"]
    parts = backup_records.of_arn(region, arn)

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, Backup]:
        backup = backup_records.found(values[0], arn)
        if backup.status != AVAILABLE or backup.restoring:
            raise BackupInUseException(BACKUP_IN_USE)
        writes = Writes()
        writes.delete(backup.key)
        backup_removal.submit(backup.id, backup.folder, writes)
        return writes, backup

    backup = await region.engine.mutate([backup_records.backup_key(parts.table, parts.id)], decide)
    region.jobs_wanted.set()
    return {"BackupDescription": _description(replace(backup, status=DELETED))}


def place(region: Region) -> ObjectStore:
    """Where the region's backups are kept. Raises ContinuousBackupsUnavailableException."""
    if region.places is None:
        raise ContinuousBackupsUnavailableException("Backups have not yet been enabled for this table.")
    return region.places.backups


async def _test(store: ObjectStore, backup: Backup) -> None:
    """Refuse a backup that has no place to go to, rather than have it wait there."""
    try:
        await store.put(f"{backup.folder}/{_TESTED}", backup.arn.encode())
    except ObjectStoreError as error:
        raise ContinuousBackupsUnavailableException(f"The place of backups cannot be used: {error}") from error


def _backed_up(name: str, raw: bytes | None) -> Descriptor:
    """The descriptor of a table of which a backup can be made now."""
    table = catalog.stored(raw)
    if table is None:
        raise TableNotFoundException(f"Table not found: {name}")
    if not table.usable:
        raise TableInUseException(TABLE_IN_USE)
    open_keys.check_open(table.descriptor)
    if busy_tables.is_backed_up(table.descriptor):
        raise BackupInUseException(BACKUP_IN_USE)
    return table.descriptor


def _is_wanted(backup: Backup, request: Request) -> bool:
    wanted = request.get("BackupType", USER)
    return (
        backup.type != BASE
        and wanted in (_ALL, backup.type)
        and backup.created >= request.get("TimeRangeLowerBound", backup.created)
        and ("TimeRangeUpperBound" not in request or backup.created < request["TimeRangeUpperBound"])
    )


# Descriptions


def _details(backup: Backup) -> Response:
    shown: Response = {
        "BackupArn": backup.arn,
        "BackupName": backup.name,
        "BackupSizeBytes": backup.size,
        "BackupStatus": backup.status,
        "BackupType": backup.type,
        "BackupCreationDateTime": backup.created,
    }
    if backup.expires is not None:
        shown["BackupExpiryDateTime"] = backup.expires
    return shown


def _summary(backup: Backup) -> Response:
    table = backup.table
    return {"TableName": table.name, "TableId": table.id, "TableArn": table.arn} | _details(backup)


def _description(backup: Backup) -> Response:
    table = backup.table
    source: Response = {
        "TableName": table.name,
        "TableId": table.id,
        "TableArn": table.arn,
        "TableSizeBytes": backup.size,
        "KeySchema": table.key_schema,
        "TableCreationDateTime": table.created,
        "ProvisionedThroughput": _units(table),
        "ItemCount": backup.items,
        "BillingMode": table.billing_mode,
    }
    if table.on_demand is not None:
        source["OnDemandThroughput"] = table.on_demand
    return {
        "BackupDetails": _details(backup),
        "SourceTableDetails": source,
        "SourceTableFeatureDetails": _features(table),
    }


def _features(table: Descriptor) -> Response:
    """The settings of the table that a backup shows."""
    document = catalog.document(table)
    shown: Response = {}
    if table.local_indexes:
        shown["LocalSecondaryIndexes"] = [_index(index) for index in table.local_indexes]
    if table.global_indexes:
        shown["GlobalSecondaryIndexes"] = [
            _index(index)
            | {"ProvisionedThroughput": _units(index)}
            | ({} if index.on_demand is None else {"OnDemandThroughput": index.on_demand})
            for index in table.global_indexes
        ]
    if table.stream is not None:
        shown["StreamDescription"] = document["StreamSpecification"]
    if table.expiry is not None and table.expiry.on:
        shown["TimeToLiveDescription"] = {
            "TimeToLiveStatus": table.expiry.status,
            "AttributeName": table.expiry.attribute,
        }
    if table.encryption is not None:
        shown["SSEDescription"] = {
            name: value for name, value in document["SSEDescription"].items() if name in descriptions.SSE_SHOWN
        }
    return shown


def _index(index: IndexDefinition) -> Response:
    return {"IndexName": index.name, "KeySchema": index.key_schema, "Projection": index.projection}


def _units(stored: Descriptor | IndexDefinition) -> dict[str, int]:
    return {unit: stored.provisioned[unit] for unit in ("ReadCapacityUnits", "WriteCapacityUnits")}
