"""Descriptions of replicas: how DescribeTable and the older DescribeGlobalTable show a group document.

In each region the other replicas are shown, in the order of their creation, each with its overrides; settings that it
has as the table has them are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jedlik.dynamodb.model import keys, replicas, shared_settings
from jedlik.dynamodb.model.definitions import Descriptor, IndexDefinition
from jedlik.dynamodb.model.replicas import ACTIVE, CREATING, DELETING
from jedlik.dynamodb.replication import pull_positions

if TYPE_CHECKING:
    from jedlik.regions.region import Region

Shown = dict[str, Any]

VERSION = "2019.11.21"
_SETTINGS_MODE = "ENABLED_WITH_OVERRIDES"
"""The value for replicas of one account, which share settings and may override some."""
_INACCESSIBLE = "INACCESSIBLE_ENCRYPTION_CREDENTIALS"
_OVERRIDES = ("ProvisionedThroughputOverride", "OnDemandThroughputOverride")


def table_status(table: Descriptor) -> str:
    """The TableStatus of a table on which nothing is being changed except, perhaps, its replicas.

    A table is UPDATING as long as a replica is being created anywhere. While one is being deleted it is ACTIVE, because
    that may take as long as a region is down.
    """
    if table.is_being_made:
        return CREATING
    if table.is_going:
        return DELETING
    if table.archived is not None:
        return "ARCHIVED" if table.archived.is_done else "ARCHIVING"
    if table.is_closed:
        return _INACCESSIBLE
    if table.group is None:
        return ACTIVE
    group = table.group
    own = replicas.status(group, table.region)
    if replicas.is_disassociating(own):
        return "UPDATING"
    if own["Status"] != ACTIVE:
        return str(own["Status"])
    being_made = any(replicas.status(group, region)["Status"] == CREATING for region in replicas.regions(group))
    return "UPDATING" if being_made else ACTIVE


def members(table: Descriptor) -> Shown:
    """The members of a replica's description besides those of an ordinary table."""
    if table.group is None:
        return {}
    others = [region for region in replicas.regions(table.group) if region != table.region]
    return {
        "GlobalTableVersion": VERSION,
        "Replicas": [description(table, region) for region in others],
        "GlobalTableSettingsReplicationMode": _SETTINGS_MODE,
        "DisassociationProtectionEnabled": is_protected(table),
    }


def is_protected(table: Descriptor) -> bool:
    """Whether a replica may not be disassociated, which is so until UpdateTable changes it."""
    return table.disassociation_protected is not False


async def say_copied_again(region: Region, table: Descriptor, shown: Shown) -> None:
    """Mark in a table's description the replicas from which it is copied again, after having been away for too long."""
    if table.group is None:
        return
    known = await pull_positions.of_table(region, keys.table_id(table.id))
    since = {c.region: c.copying.since for c in known if c.copying is not None and c.copying.again}
    for replica in shown["Replicas"]:
        peer = replica["RegionName"]
        if peer in since:
            replica |= {
                "ReplicaStatus": "UPDATING",
                "ReplicaStatusDescription": f"{region.name} was away from {peer} for longer than changes are kept, and "
                "is copying what there is",
                "ReplicaInaccessibleDateTime": since[peer],
            }


def description(table: Descriptor, region: str) -> Shown:
    """The ReplicaDescription of the replica in `region`, from another replica's descriptor."""
    group = table.shared_group
    overrides = replicas.overrides(group, region)
    status = replicas.status(group, region)
    shown: Shown = {
        "RegionName": region,
        "ReplicaStatus": "UPDATING" if replicas.is_disassociating(status) else status["Status"],
    }
    since = overrides.get(shared_settings.INACCESSIBLE_SINCE)
    if since is not None and status["Status"] in (CREATING, ACTIVE):
        shown |= {"ReplicaStatus": _INACCESSIBLE, "ReplicaInaccessibleDateTime": since}
    key = shared_settings.replica_key_arn(table, region)
    if key is not None:
        shown["KMSMasterKeyId"] = key
    shown |= {member: overrides[member] for member in _OVERRIDES if member in overrides}
    shown["WarmThroughput"] = table.warm | {"Status": "ACTIVE"}
    if table.global_indexes:
        shown["GlobalSecondaryIndexes"] = [_index(index, overrides) for index in table.global_indexes]
    table_class = overrides.get("TableClassOverride") or replicas.settings(group).get("TableClass")
    if table_class is not None:
        shown["ReplicaTableClassSummary"] = {"TableClass": table_class}
    shown["GlobalTableSettingsReplicationMode"] = _SETTINGS_MODE
    return shown


def _index(index: IndexDefinition, overrides: Shown) -> Shown:
    name = index.name
    own = {member: overrides[f"{name}/{member}"] for member in _OVERRIDES if f"{name}/{member}" in overrides}
    return {"IndexName": name, **own, "WarmThroughput": index.warm | {"Status": "ACTIVE"}}
