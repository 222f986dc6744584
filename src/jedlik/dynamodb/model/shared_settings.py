"""Shared settings: those that the replicas of a global table have in common, and how a region adopts them.

A descriptor holds settings in the form in which one region shows them; the group document (`replicas`) holds them in a
form that means the same in every region: without statuses, dates, index numbers and ARNs. `shared` converts a
descriptor's settings into that form, `noted` records a local change in the group document, and `applied` changes a
descriptor as another region has changed the document. In a replica the two always agree.

Shared are billing mode and throughput, warm throughput, global indexes, time to live, the kind of encryption, the table
class and the view type of the stream. Deletion protection and tags belong to each replica, and so do the overrides of
read capacity, table class and KMS key, which `effective` applies to a description.

Source: "Settings synchronization" of global tables in the developer guide.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from jedlik.dynamodb.model import replicas
from jedlik.dynamodb.model.definitions import (
    PAY_PER_REQUEST,
    Billing,
    Descriptor,
    Encryption,
    Expiry,
    IndexDefinition,
    TableClass,
    stored_definitions,
    with_index,
    without_index,
)

Stored = TypeVar("Stored", Descriptor, IndexDefinition)
"""A table or an index."""

Settings = dict[str, Any]
"""By name: those of the table, and `INDEX` and `INDEX_THROUGHPUT` followed by a global index's name."""

INDEX = "Index/"
INDEX_THROUGHPUT = "IndexThroughput/"
INACCESSIBLE_SINCE = "InaccessibleSince"
"""Among a replica's overrides: since when its key cannot be used, in seconds since the epoch."""
AWS_KEY = "alias/aws/dynamodb"
"""The key with which DynamoDB encrypts by default; each region has its own."""


class Applied(NamedTuple):
    """A descriptor that has adopted settings, and what remains to be done in the background."""

    table: Descriptor
    new_indexes: list[int]
    """Numbers of indexes that must be filled."""
    gone_indexes: list[int]
    """Numbers of indexes whose entries must be removed."""
    expiry_changed: bool
    """Whether expiry notes must be written or removed."""
    key_changed: bool
    """Whether another key must be adopted, or the one that every account has."""


def shared(table: Descriptor) -> Settings:
    """A table's shared settings, in the form that means the same in every region."""
    assert table.stream is not None, "a replica has a stream"
    settings: Settings = {
        "Throughput": _throughput(table) | {"BillingMode": table.billing_mode},
        "WarmThroughput": table.warm,
        "StreamViewType": table.stream.view_type,
    }
    if table.expiry is not None and table.expiry.on:
        settings["TimeToLive"] = table.expiry.attribute
    if table.encryption is not None:
        settings["Encryption"] = "AWS" if is_of_aws(table.encryption) else "CUSTOMER"
    if table.table_class is not None:
        settings["TableClass"] = table.table_class.name
    for index in table.global_indexes:
        settings[INDEX + index.name] = _definition(index, table)
        settings[INDEX_THROUGHPUT + index.name] = _throughput(index) | {"Warm": index.warm}
    return settings


def noted(table: Descriptor, now: float) -> Descriptor:
    """A descriptor after a local change, with the change in its group document; an ordinary table's is unchanged."""
    if table.group is None:
        return table
    current = shared(table)
    gone = dict.fromkeys(replicas.settings(table.group).keys() - current.keys())
    group = replicas.with_settings(table.group, current | gone, table.region, now)
    return replace(table, group=replicas.with_overrides(group, table.region, _own(table), table.region, now))


def applied(table: Descriptor, now: float) -> Applied:
    """A descriptor that has adopted the settings of its group document."""
    wanted = replicas.settings(table.shared_group)
    table = _with_throughput(table, wanted["Throughput"], now)
    table = replace(table, warm=wanted["WarmThroughput"])
    table, expiry_changed = _with_expiry(table, wanted.get("TimeToLive"), now)
    table, key_changed = _with_encryption(table, wanted.get("Encryption"))
    table = _with_table_class(table, wanted.get("TableClass"), now)
    table, new, gone = _with_indexes(table, wanted)
    return Applied(table, new, gone, expiry_changed, key_changed)


def effective(table: Descriptor) -> Descriptor:
    """A replica's descriptor with its overrides in place of the shared settings; an ordinary table's is unchanged."""
    if table.group is None:
        return table
    overrides = replicas.overrides(table.group, table.region)
    table = _overridden(table, overrides, "")
    if "TableClassOverride" in overrides:
        table = replace(table, table_class=TableClass(overrides["TableClassOverride"]))
    indexes = tuple(_overridden(index, overrides, f"{index.name}/") for index in table.global_indexes)
    return replace(table, global_indexes=indexes)


def key_arn(key: str | None, region: str, account: str) -> str:
    """The ARN of a KMS key that is given as ARN, alias or id; without one, that of the service's own key."""
    if key is None:
        key = AWS_KEY
    if key.startswith("arn:"):
        return key
    resource = key if key.startswith("alias/") else f"key/{key}"
    return f"arn:aws:kms:{region}:{account}:{resource}"


def is_of_aws(encryption: Encryption) -> bool:
    """Whether a table is encrypted with DynamoDB's own key in the account."""
    return encryption.is_of_aws or encryption.key_arn.endswith(AWS_KEY)


def replica_key_arn(table: Descriptor, region: str) -> str | None:
    """The ARN of the KMS key of one of a table's replicas; None if it has the default encryption."""
    group = table.shared_group
    kind = replicas.settings(group).get("Encryption")
    if kind is None:
        return None
    key = replicas.overrides(group, region).get("KMSMasterKeyId") if kind == "CUSTOMER" else None
    return key_arn(key, region, table.account)


# From a descriptor


def _own(table: Descriptor) -> Settings:
    """The facts about this replica that others must know: whether it may be deleted, its KMS key if it is the
    customer's, and since when that cannot be used."""
    encryption = table.encryption
    of_customer = None if encryption is None or is_of_aws(encryption) else encryption.key_arn
    return {
        "DeletionProtectionEnabled": table.protected or None,
        "KMSMasterKeyId": of_customer,
        INACCESSIBLE_SINCE: None if encryption is None else encryption.inaccessible_since,
    }


def _throughput(of: Stored) -> Settings:
    """Provisioned and on-demand throughput of a table or an index, without dates."""
    found = {unit: of.provisioned[unit] for unit in ("ReadCapacityUnits", "WriteCapacityUnits")}
    return found | ({} if of.on_demand is None else {"OnDemand": of.on_demand})


def _definition(index: IndexDefinition, table: Descriptor) -> Settings:
    return {
        "KeySchema": index.key_schema,
        "Projection": index.projection,
        "AttributeDefinitions": stored_definitions(table.attributes, [index.key_schema]),
    }


# To a descriptor


def _with_throughput(table: Descriptor, wanted: Settings, now: float) -> Descriptor:
    table = _with_units(table, wanted)
    mode = wanted["BillingMode"]
    if mode == table.billing_mode:
        return table
    billing = Billing(mode) if table.billing is None else replace(table.billing, mode=mode)
    if mode == PAY_PER_REQUEST:
        billing = replace(billing, on_demand_since=now)
    return replace(table, billing=billing)


def _with_units(of: Stored, wanted: Settings) -> Stored:
    units = {unit: wanted[unit] for unit in ("ReadCapacityUnits", "WriteCapacityUnits")}
    provisioned = {"NumberOfDecreasesToday": 0} | of.provisioned | units
    return replace(of, provisioned=provisioned, on_demand=wanted.get("OnDemand"))


def _with_expiry(table: Descriptor, attribute: str | None, now: float) -> tuple[Descriptor, bool]:
    """The table with another time to live, and whether the time to live has changed."""
    current = table.expiry.attribute if table.expiry is not None and table.expiry.on else None
    if attribute == current:
        return table, False
    # Notes for another attribute, if there are any, are removed when they are due.
    changed = Expiry(attribute or current or "", "ENABLING" if attribute else "DISABLING", now)
    return replace(table, expiry=changed), True


def _with_encryption(table: Descriptor, kind: str | None) -> tuple[Descriptor, bool]:
    """The table with another key, and whether that is another one than it has."""
    current = table.encryption
    arn = None if kind is None else replica_key_arn(table, table.region)
    if arn is None:
        return replace(table, encryption=None), current is not None
    if current is not None and (is_of_aws(current) if kind == "AWS" else current.key_arn == arn):
        return table, False
    return replace(table, encryption=Encryption(arn, status="UPDATING")), True


def _with_table_class(table: Descriptor, wanted: str | None, now: float) -> Descriptor:
    if wanted is None or (table.table_class is not None and wanted == table.table_class.name):
        return table
    return replace(table, table_class=TableClass(wanted, now))


def _with_indexes(table: Descriptor, wanted: Settings) -> tuple[Descriptor, list[int], list[int]]:
    """The table with the wanted indexes, and the numbers of the new and of the removed ones."""
    definitions = {name.removeprefix(INDEX): value for name, value in wanted.items() if name.startswith(INDEX)}
    new, gone = [], []
    for index in table.global_indexes:
        if not _same(definitions.get(index.name), index):
            table = without_index(table, index.name)
            gone.append(index.number)
    there = {index.name for index in table.global_indexes}
    for name in sorted(definitions.keys() - there):
        definition = definitions[name]
        new.append(table.next_index)
        being_made = {"status": "CREATING", "backfilling": True}
        table = with_index(table, {"IndexName": name} | definition, being_made, definition["AttributeDefinitions"])
    indexes = tuple(_with_index_throughput(index, wanted) for index in table.global_indexes)
    return replace(table, global_indexes=indexes), new, gone


def _same(definition: Settings | None, index: IndexDefinition) -> bool:
    if definition is None:
        return False
    return bool(definition["KeySchema"] == index.key_schema and definition["Projection"] == index.projection)


def _with_index_throughput(index: IndexDefinition, wanted: Settings) -> IndexDefinition:
    throughput = wanted[INDEX_THROUGHPUT + index.name]
    return replace(_with_units(index, throughput), warm=throughput["Warm"])


# Overrides


def _overridden(of: Stored, overrides: Settings, prefix: str) -> Stored:
    """A table or an index with its own read capacity, on demand or provisioned."""
    provisioned = overrides.get(f"{prefix}ProvisionedThroughputOverride")
    if provisioned is not None:
        of = replace(of, provisioned=of.provisioned | provisioned)
    on_demand = overrides.get(f"{prefix}OnDemandThroughputOverride")
    if on_demand is not None:
        of = replace(of, on_demand=(of.on_demand or {}) | on_demand)
    return of
