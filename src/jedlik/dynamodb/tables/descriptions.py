"""Descriptions of tables, as the operations on tables return them.

Most members of a descriptor are stored as they are shown. Added are those that follow from it (ARNs, statuses), those
that are counted (items and bytes), and those that depend on the day; Jedlik's own are left out.
"""

from __future__ import annotations

from typing import Any

from jedlik.dynamodb.capacity.throughput import decreases_today
from jedlik.dynamodb.model import descriptors, keys, shared_settings
from jedlik.dynamodb.model.definitions import Descriptor, IndexDefinition
from jedlik.dynamodb.replication import replica_descriptions
from jedlik.regions.region import Region
from jedlik.storage.counters import counter

Shown = dict[str, Any]
"""A TableDescription, or a part of one."""

_SHOWN = (
    "AttributeDefinitions",
    "TableName",
    "KeySchema",
    "CreationDateTime",
    "ProvisionedThroughput",
    "TableArn",
    "TableId",
    "BillingModeSummary",
    "LocalSecondaryIndexes",
    "GlobalSecondaryIndexes",
    "StreamSpecification",
    "LatestStreamLabel",
    "LatestStreamArn",
    "SSEDescription",
    "TableClassSummary",
    "DeletionProtectionEnabled",
    "OnDemandThroughput",
    "WarmThroughput",
    "RestoreSummary",
)
"""The members of a descriptor that are shown, in the order of the model."""
SSE_SHOWN = ("Status", "SSEType", "KMSMasterKeyArn", "InaccessibleEncryptionDateTime")
"""The members of an encryption's record that are shown."""

_GONE_WHEN_DELETED = ("AttributeDefinitions", "KeySchema", "CreationDateTime", "LocalSecondaryIndexes",
                      "GlobalSecondaryIndexes", "WarmThroughput")  # fmt: skip
"""Members that DeleteTable does not show."""

Counts = dict[int, tuple[int, int]]
"""Items and bytes, by index number; 0 is the table."""


async def counts(region: Region, table: Descriptor) -> Counts:
    """The size of a table and of each of its indexes, exact and current."""
    table_id = keys.table_id(table.id)
    numbers = [0, *(index.number for index in table.indexes)]
    counters = await region.engine.get(
        [key for n in numbers for key in (keys.item_count_key(table_id, n), keys.item_bytes_key(table_id, n))]
    )
    values = [counter(stored) for stored in counters]
    return {n: (values[2 * i], values[2 * i + 1]) for i, n in enumerate(numbers)}


def description(table: Descriptor, counted: Counts, status: str, now: float) -> Shown:
    """The TableDescription of a table in a status: ACTIVE, CREATING, UPDATING or DELETING."""
    table = shared_settings.effective(table)
    document = descriptors.document(table)
    shown: Shown = {name: document[name] for name in _SHOWN if name in document}
    if table.key_number and table.encryption is not None:
        shown["SSEDescription"] = {name: value for name, value in shown["SSEDescription"].items() if name in SSE_SHOWN}
    else:
        shown.pop("SSEDescription", None)  # The key has not been adopted yet.
    if table.archived is not None:
        shown["ArchivalSummary"] = {
            "ArchivalDateTime": table.archived.at,
            "ArchivalReason": "INACCESSIBLE_ENCRYPTION_CREDENTIALS",
            "ArchivalBackupArn": table.archived.backup,
        }
    shown["TableStatus"] = status
    shown["ItemCount"], shown["TableSizeBytes"] = counted.get(0, (0, 0))
    shown["ProvisionedThroughput"] = _provisioned(table.provisioned, now)
    if "WarmThroughput" in shown:
        shown["WarmThroughput"] = {"Status": "ACTIVE"} | shown["WarmThroughput"]
    for kind, indexes in (
        ("LocalSecondaryIndexes", table.local_indexes),
        ("GlobalSecondaryIndexes", table.global_indexes),
    ):
        if indexes:
            shown[kind] = [_index(index, table, counted, now) for index in indexes]
    return shown | replica_descriptions.members(table)


def deleted(description: Shown) -> Shown:
    """DeleteTable's description of a table."""
    return {name: value for name, value in description.items() if name not in _GONE_WHEN_DELETED}


def created(description: Shown, request: dict[str, Any]) -> Shown:
    """CreateTable's description of a table: as it is while it is being created."""
    shown = description | {"TableStatus": "CREATING"}
    _warming(shown, request)
    if "BillingModeSummary" in shown:
        shown["BillingModeSummary"] = {"BillingMode": shown["BillingModeSummary"]["BillingMode"]}
    if "GlobalSecondaryIndexes" in shown:
        indexes = [index | {"IndexStatus": "CREATING"} for index in shown["GlobalSecondaryIndexes"]]
        for index, wanted in zip(indexes, request["GlobalSecondaryIndexes"], strict=True):
            _warming(index, wanted)
        shown["GlobalSecondaryIndexes"] = indexes
    return shown


def _warming(shown: Shown, settings: dict[str, Any]) -> None:
    """While something is being created, its warm throughput is shown only if the request set it."""
    if settings.get("WarmThroughput"):
        shown["WarmThroughput"] = shown["WarmThroughput"] | {"Status": "UPDATING"}
    else:
        del shown["WarmThroughput"]


def _index(index: IndexDefinition, table: Descriptor, counted: Counts, now: float) -> Shown:
    shown = {name: value for name, value in descriptors.index_document(index).items() if name != "IndexNumber"}
    if table.is_being_made and "IndexStatus" in shown:
        shown["IndexStatus"] = "CREATING"
    shown["IndexArn"] = f"{table.arn}/index/{index.name}"
    shown["ItemCount"], shown["IndexSizeBytes"] = counted.get(index.number, (0, 0))
    if "ProvisionedThroughput" in shown:
        shown["ProvisionedThroughput"] = _provisioned(shown["ProvisionedThroughput"], now)
        shown["WarmThroughput"] = {"Status": "ACTIVE"} | shown["WarmThroughput"]
    return shown


def _provisioned(provisioned: dict[str, Any], now: float) -> dict[str, Any]:
    return provisioned | {"NumberOfDecreasesToday": decreases_today(provisioned, now)}
