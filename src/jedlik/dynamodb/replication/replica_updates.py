"""ReplicaUpdates of UpdateTable: adding, changing, removing and disassociating replicas (version 2019.11.21).

The group document is changed in the commit that answers the request; its consequences follow in the background
(`replication.membership`). Any region that has a replica may change it. While a replica is being created nothing else
may be changed, except that it may be removed again: on AWS creating it always comes to an end, but here its region may
be down.

A table with provisioned throughput may have replicas. AWS requires auto scaling of its write capacity, lest replication
be throttled; here nothing is.

Sources: the API reference of UpdateTable, "Global tables" in the developer guide, and DynamoDB's answers as public
conformance notes of 2026 record them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from jedlik import region_names
from jedlik.aws.errors import ServiceError, ValidationException
from jedlik.dynamodb.capacity.throughput import INVALID
from jedlik.dynamodb.errors import ResourceInUseException, ResourceNotFoundException
from jedlik.dynamodb.model import keys, log_readers, replicas, shared_settings, streams
from jedlik.dynamodb.model.definitions import Descriptor
from jedlik.dynamodb.model.replicas import ACTIVE, CREATING, DELETED, DELETING, Group
from jedlik.dynamodb.replication import (
    membership,
    peer_answers,
    pull_positions,
    replica_descriptions,
    replica_overrides,
)
from jedlik.dynamodb.replication.aside import PutAside
from jedlik.dynamodb.replication.members import already_there
from jedlik.dynamodb.tables import purge, table_settings
from jedlik.regions.peers import PeerUnreachable
from jedlik.storage.engine import Writes

if TYPE_CHECKING:
    from jedlik.dynamodb.tables.unfinished_update import TableUpdate
    from jedlik.regions.region import Region

Request = dict[str, Any]

SOURCE_SECONDS = 24 * 60 * 60
"""How long the source of a replica must stay, if that replica still exists."""

_ACTIONS = ("Create", "Update", "Delete", "Disassociate")
_NO_ACTION = "There are no actions specified in the Replica Update Action of the request."
_IN_USE = "The resource which you are attempting to change is in use."

STRONG_REGIONS = frozenset(
    {"us-east-1", "us-east-2", "us-west-2", "eu-west-1", "eu-west-2", "eu-west-3", "eu-central-1"}
    | {"ap-northeast-1", "ap-northeast-2", "ap-northeast-3"}
)
"""The regions in which AWS has multi-Region strong consistency."""
_STRONG_MEMBERS = 2
"""Replicas and witnesses beside the table itself."""


@dataclass(frozen=True, slots=True)
class Action:
    """The one change of a request."""

    kind: str
    """Create, Update, Delete or Disassociate."""
    region: str
    settings: Request


# Checks of the request alone


def check(request: Request, region: str) -> None:
    """All checks of a request in `region` that need no table. Raises ValidationException."""
    updates = request["ReplicaUpdates"]
    strong = request.get("MultiRegionConsistency") == "STRONG"
    if strong:
        _check_strong(request, updates, region)
    if "GlobalTableWitnessUpdates" in request:
        raise ValidationException(
            "MultiRegionConsistency must be set as STRONG when GlobalTableWitnessUpdates parameter is present."
        )
    for update in updates:
        _check_one_kind(update)
    if len({kind for update in updates for kind in update}) > 1:
        raise _more_than("one type of replica actions not allowed.")
    actions = [_action(update) for update in updates]
    if len({(a.kind, a.region) for a in actions}) > 1 or (len(actions) > 1 and actions[0].kind != "Create"):
        raise _more_than("one create or delete replica actions not allowed")
    [action] = actions[:1]
    if action.kind == "Disassociate" and action.region != region:
        raise ValidationException(
            f"A replica is disassociated in its own Region: RegionName {action.region} is not {region}"
        )
    if action.kind in ("Create", "Delete") and action.region == region:
        raise ValidationException(
            "Cannot add or delete the local region through ReplicaUpdates. "
            "Use CreateTable, DeleteTable, or UpdateTable as required."
        )
    if "TableClassOverride" in action.settings:
        table_settings.check_table_class({"TableClass": action.settings["TableClassOverride"]})


def _check_one_kind(update: Request) -> None:
    kinds = [kind for kind in _ACTIONS if kind in update]
    if len(kinds) > 1:
        raise _more_than("one type of replica actions not allowed.")
    if not kinds:
        raise ValidationException(_NO_ACTION)
    settings = update[kinds[0]]
    if kinds == ["Update"] and settings.keys() == {"RegionName"}:
        raise ValidationException(_NO_ACTION)
    for index in settings.get("GlobalSecondaryIndexes", ()):
        if index.keys() == {"IndexName"} and kinds == ["Update"]:
            raise ValidationException(_NO_ACTION)


def _more_than(what: str) -> ValidationException:
    return ValidationException(f"Update table operation with more than {what}")


def _check_strong(request: Request, updates: Sequence[Request], region: str) -> None:
    """Multi-Region strong consistency: the faults of the request, and then that it is not supported yet."""
    if any("Create" not in update for update in updates):
        raise ValidationException(
            "Only Replica Create actions are supported when MultiRegionConsistency parameter is provided."
        )
    strong = "global tables with MultiRegionConsistency set to STRONG"
    created = [update["Create"]["RegionName"] for update in updates]
    witnesses = [u["Create"]["RegionName"] for u in request.get("GlobalTableWitnessUpdates", ()) if "Create" in u]
    if len(created) + len(witnesses) != _STRONG_MEMBERS:
        raise ValidationException(f"Unsupported replica count for {strong}.")
    unsupported = [name for name in (*created, *witnesses) if name not in STRONG_REGIONS]
    if unsupported:
        raise ValidationException(f"Unsupported Region(s) specified for {strong}: [{', '.join(unsupported)}].")
    if region in witnesses:
        raise ValidationException(
            "Cannot add a witness in the same region as an existing replica when creating a global table with "
            "MultiRegionConsistency set to STRONG."
        )
    if len({*created, *witnesses}) < _STRONG_MEMBERS:
        raise ValidationException("Cannot target multiple regions with the same action")
    raise ValidationException(
        "Jedlik does not support multi-Region strong consistency yet: MultiRegionConsistency STRONG"
    )


def _action(update: Request) -> Action:
    [(kind, settings)] = update.items()
    return Action(kind, settings["RegionName"], settings)


def _only_action(request: Request) -> Action:
    return _action(request["ReplicaUpdates"][0])


# Checks with the table


def check_usable(table: Descriptor, request: Request) -> None:
    """Whether UpdateTable may change a table at all. Raises DynamoDB's error if not."""
    if table.group is None:
        return
    name, group, own = table.name, table.group, table.region
    status = replicas.status(group, own)["Status"]
    if status == CREATING and "ReplicaUpdates" in request:
        raise ValidationException(
            f"Create/Update/Delete of replica is not allowed while the replica is being added to table with name: "
            f"{name} in region {own}"
        )
    if status == CREATING:
        raise ResourceNotFoundException(f"Requested resource not found: Table: {name} not found")
    if not request.get("StreamSpecification", {}).get("StreamEnabled", True):
        raise ValidationException(f"{INVALID}Disabling Stream is not allowed for a Global Table replica.")
    being_made = [region for region in replicas.regions(group) if replicas.status(group, region)["Status"] == CREATING]
    removed = [u["Delete"]["RegionName"] for u in request.get("ReplicaUpdates", ()) if "Delete" in u]
    if status == DELETING or (being_made and not (removed and set(removed) <= set(being_made))):
        raise ResourceInUseException(_IN_USE)


async def check_elsewhere(region: Region, table: Descriptor, request: Request) -> None:
    """Whether another region can have a new replica, or permits the deletion of its own. Raises ValidationException if
    not."""
    action, name = _only_action(request), table.name
    if action.kind == "Disassociate":
        await _check_complete(region, table)
        return
    group = table.group
    there = group is not None and action.region in replicas.regions(group)
    if action.kind == "Create" and not there and await look_up(region, action.region, name) is not None:
        raise ValidationException(already_there(name))
    if action.kind == "Delete" and there:
        answer: Request = {"Table": None}
        with suppress(PeerUnreachable, PutAside, ServiceError):  # Then the group document has its last known state.
            answer = await peer_answers.ask(region, action.region, "LookUp", {"TableName": name})
        if answer["Table"] is not None and answer["Table"]["DeletionProtectionEnabled"]:
            raise _protected(name, action.region)


async def _check_complete(region: Region, table: Descriptor) -> None:
    """Whether a replica is not being copied again: then its discoveries must still reach others."""
    known = await pull_positions.of_table(region, keys.table_id(table.id))
    if any(pull.copying for pull in known):
        raise ResourceInUseException(_IN_USE)


async def look_up(region: Region, peer: str, name: str) -> Request | None:
    """Another region's table of this name. Raises ValidationException if the region cannot be asked."""
    if not region_names.is_aws(peer):
        raise ValidationException(f"Region {peer} is not supported.")
    try:
        answer = await peer_answers.ask(region, peer, "LookUp", {"TableName": name})
    except (PeerUnreachable, PutAside, ServiceError) as error:
        raise ValidationException(f"Failed to access the region: ‘{peer}’. {error}") from error
    found: Request | None = answer["Table"]
    return found


def check_encryption(table: Descriptor, by_customer: bool) -> None:
    """Whether a replica may be encrypted by a key of a customer: all replicas have such keys, or none has."""
    if table.group is None or not by_customer:
        return
    others = [region for region in replicas.regions(table.group) if region != table.region]
    if any("KMSMasterKeyId" not in replicas.overrides(table.group, region) for region in others):
        raise replica_overrides.key_missing()


# The changes


def change(update: TableUpdate, request: Request) -> None:
    """Make the requested change."""
    action = _only_action(request)
    _CHANGES[action.kind](update, action)
    update.status = "UPDATING"


def started(table: Descriptor, group_id: str, now: float, writes: Writes) -> Descriptor:
    """The descriptor of a table that will have replicas: with a stream, whose log has both images, and a group."""
    if table.stream is None:
        table = streams.enable(table, "NEW_AND_OLD_IMAGES", now, writes)
    purge.keep_replication(table, writes)
    group = replicas.make(group_id, table.region, shared_settings.shared(table), now)
    return shared_settings.noted(log_readers.settled(replace(table, group=group), writes), now)


def overruled(table: Descriptor, request: Request, now: float) -> Descriptor:
    """A replica's descriptor without the overrides that a request in its own region has replaced for all regions."""
    if table.group is None:
        return table
    group, own = table.group, table.region
    gone = [f"{throughput}Override" for throughput in ("ProvisionedThroughput", "OnDemandThroughput")]
    set_here = {member for member in gone if member.removesuffix("Override") in request}
    for change in request.get("GlobalSecondaryIndexUpdates", ()):
        index = change.get("Update", {})
        set_here |= {f"{index['IndexName']}/{member}" for member in gone if member.removesuffix("Override") in index}
    group = replicas.with_overrides(group, own, dict.fromkeys(set_here), own, now)
    if "TableClass" in request:
        for region in replicas.regions(group):
            group = replicas.with_overrides(group, region, {"TableClassOverride": None}, own, now)
    return replace(table, group=group)


def _create(update: TableUpdate, action: Action) -> None:
    table = update.table
    if table.group is None:
        table = started(table, update.group_id, update.now, update.writes)
    group, own = table.shared_group, update.region.name
    if action.region in replicas.regions(group):
        raise ValidationException(already_there(table.name))
    replica_overrides.check_key(table, action.region, action.settings)
    group = replicas.created(group, action.region, own, own, update.now)
    group = replicas.with_overrides(
        group, action.region, replica_overrides.given(table, action.settings), own, update.now
    )
    update.table = membership.follow(table, group, update.now, update.writes)


def _update(update: TableUpdate, action: Action) -> None:
    table = update.table
    group, own = _group_with(table, action.region), update.region.name
    if "KMSMasterKeyId" in action.settings:
        raise replica_overrides.key_missing()
    replica_overrides.check(table, action.settings)
    group = replicas.with_overrides(
        group, action.region, replica_overrides.given(table, action.settings), own, update.now
    )
    update.table = membership.follow(table, group, update.now, update.writes)
    update.updated_replica = action.region


def _delete(update: TableUpdate, action: Action) -> None:
    table = update.table
    group = _group_with(table, action.region)
    if replicas.status(group, action.region)["Status"] == DELETING:
        raise ResourceInUseException(_IN_USE)
    check_deletable(table, action.region, update.now)
    group = replicas.moved(group, action.region, DELETING, update.now)
    update.table = membership.follow(table, group, update.now, update.writes)


def _disassociate(update: TableUpdate, action: Action) -> None:
    """Begin to make a table of its own from the replica here.

    Its shards are rolled in the same commit. So earlier writes, which the others must get, and later ones, which are
    its own, are in different shards.
    """
    table = update.table
    group = _group_with(table, action.region)
    if replica_descriptions.is_protected(table):
        raise ValidationException(
            f"Cannot disassociate table {table.name} in region {action.region} because it has "
            "disassociation protection enabled. Disable disassociation protection first."
        )
    _check_another_stays(group, action.region)
    assert update.stream is not None, "a replica has a stream"
    rolled = streams.roll(table, update.stream, False, update.now, update.writes)
    table = replace(rolled, told_shards=table.next_shard)
    group = replicas.moved(group, action.region, DELETING, update.now, disassociated=True)
    update.table = membership.follow(table, group, update.now, update.writes)


_CHANGES = {"Create": _create, "Update": _update, "Delete": _delete, "Disassociate": _disassociate}


def change_protection(update: TableUpdate, request: Request) -> None:
    """Switch the protection against being disassociated on or off."""
    if update.table.group is None:
        raise ValidationException(
            f"{INVALID}DisassociationProtectionEnabled can only be specified for a replica of a global table"
        )
    update.table = replace(update.table, disassociation_protected=request["DisassociationProtectionEnabled"])


def check_not_moving(table: Descriptor) -> None:
    """Whether DeleteTable may delete a table: not while its replica, or another, is being created or deleted."""
    if table.group is None:
        return
    group, own = table.group, table.region
    if replicas.status(group, own)["Status"] == CREATING:
        raise ResourceInUseException(
            f"Attempt to change a resource which is still in use: Table: {table.name} is being used."
        )
    if replicas.status(group, own)["Status"] == DELETING:
        raise ResourceInUseException(_IN_USE)


def check_deletable(table: Descriptor, region: str, now: float) -> None:
    """Whether the replica in `region` may be deleted. Raises ValidationException and ResourceInUseException."""
    name, group = table.name, table.shared_group
    if replicas.overrides(group, region).get("DeletionProtectionEnabled"):
        raise _protected(name, region)
    if region in replicas.sources(group, now - SOURCE_SECONDS):
        raise ValidationException(
            "Replica cannot be deleted because it has acted as a source region for new replica(s) being added to the "
            "table in the last 24 hours."
        )
    _check_another_stays(group, region)


def _check_another_stays(group: Group, region: str) -> None:
    staying = [r for r in replicas.regions(group) if r != region and replicas.status(group, r)["Status"] == ACTIVE]
    if not staying:
        raise ResourceInUseException(_IN_USE)


def _protected(name: str, region: str) -> ValidationException:
    return ValidationException(
        f"Cannot delete table {name} in region {region} because it has deletion protection enabled. "
        "Disable deletion protection first."
    )


def _group_with(table: Descriptor, region: str) -> Group:
    """The table's group document, if `region` has a replica. Raises ValidationException."""
    group = table.group
    if group is None or replicas.status(group, region)["Status"] == DELETED:
        raise ValidationException(
            "Update global table operation failed because one or more replicas were not part of the global table. "
            f"Please retry the request without these replicas: [{region}]."
        )
    return group
