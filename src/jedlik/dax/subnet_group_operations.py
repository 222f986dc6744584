"""The operations on subnet groups: names of subnets under a name, which a cluster can have.

There are no subnets here, so any that look like one may be named, and a cluster listens on the server's address
whatever it has.

Source: the API reference of DAX.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import orjson

from jedlik.aws.context import Context
from jedlik.dax import cluster_events, cluster_records
from jedlik.dax.cluster_records import (
    EVENTS_KEY,
    NAMES_KEY,
    Cluster,
    cluster_key,
    subnet_group_key,
)
from jedlik.dax.cluster_views import ZONE, ClusterHost
from jedlik.dax.errors import (
    InvalidParameterValueException,
    InvalidSubnet,
    SubnetGroupAlreadyExistsFault,
    SubnetGroupInUseFault,
    SubnetGroupNotFoundFault,
    SubnetGroupQuotaExceededFault,
    SubnetQuotaExceededFault,
)
from jedlik.dax.listing import check_group_name, page
from jedlik.regions.keyspaces import prefix_end
from jedlik.regions.region import Region
from jedlik.storage.engine import Writes

Request = dict[str, Any]
MOST_GROUPS = 50
"""In a region."""
MOST_SUBNETS = 20
"""In a group."""
_SUBNET = re.compile(r"subnet-[0-9a-f]{8}(?:[0-9a-f]{9})?")


class SubnetGroupOperations:
    """The operations of a server."""

    def __init__(self, host: ClusterHost) -> None:
        self._network_types = [host.network_type]

    async def create_subnet_group(self, context: Context, request: Request) -> Request:
        """Make a group."""
        name = request["SubnetGroupName"].lower()
        check_group_name("SubnetGroupName", name)
        group = {"Description": request.get("Description", ""), "Subnets": _subnets(request["SubnetIds"])}
        if len(await _all(context.region)) >= MOST_GROUPS:
            raise SubnetGroupQuotaExceededFault(f"A region may have {MOST_GROUPS} subnet groups")

        def decide(found: Sequence[bytes | None]) -> tuple[Writes, None]:
            if found[0] is not None:
                raise SubnetGroupAlreadyExistsFault(f"Subnet group already exists: {name}")
            writes = Writes()
            writes.put(subnet_group_key(name), orjson.dumps(group))
            _add_event(context.region, found[1], writes, name, f"Subnet group {name} created.")
            return writes, None

        await context.region.engine.mutate([subnet_group_key(name), EVENTS_KEY], decide)
        return {"SubnetGroup": self._shown(name, group)}

    async def update_subnet_group(self, context: Context, request: Request) -> Request:
        """Set a group's description and its subnets."""
        name = request["SubnetGroupName"].lower()
        subnets = _subnets(request["SubnetIds"]) if "SubnetIds" in request else None

        def decide(found: Sequence[bytes | None]) -> tuple[Writes, Request]:
            if found[0] is None:
                raise _missing(name)
            group: Request = orjson.loads(found[0])
            group["Description"] = request.get("Description", group["Description"])
            group["Subnets"] = group["Subnets"] if subnets is None else subnets
            writes = Writes()
            writes.put(subnet_group_key(name), orjson.dumps(group))
            _add_event(context.region, found[1], writes, name, f"Subnet group {name} updated.")
            return writes, group

        group = await context.region.engine.mutate([subnet_group_key(name), EVENTS_KEY], decide)
        return {"SubnetGroup": self._shown(name, group)}

    async def delete_subnet_group(self, context: Context, request: Request) -> Request:
        """Delete a group that no cluster has."""
        name = request["SubnetGroupName"].lower()
        clusters = await cluster_records.made_clusters(context.region)
        keys = [subnet_group_key(name), EVENTS_KEY, NAMES_KEY, *map(cluster_key, clusters)]

        def decide(found: Sequence[bytes | None]) -> tuple[Writes, bool]:
            group, events, names, *records = found
            if group is None:
                raise _missing(name)
            for made in (Cluster.unpacked(record).made for record in records):
                if made is not None and made.subnet_group == name:
                    raise SubnetGroupInUseFault(f"Subnet group {name} is in use by a cluster")
            writes = Writes()
            if set(cluster_records.names_in(names)) - set(clusters):  # One has been made since.
                return writes, False
            writes.delete(subnet_group_key(name))
            _add_event(context.region, events, writes, name, f"Subnet group {name} deleted.")
            return writes, True

        if not await context.region.engine.mutate(keys, decide):
            return await self.delete_subnet_group(context, request)
        return {"DeletionMessage": f"Subnet group {name} has been deleted."}

    async def describe_subnet_groups(self, context: Context, request: Request) -> Request:
        """The groups of a region, or those that are named."""
        groups = await _all(context.region)
        names = [name.lower() for name in request.get("SubnetGroupNames") or groups]
        for name in names:
            if name not in groups:
                raise _missing(name)
        shown, more = page(names, request, str)
        return {"SubnetGroups": [self._shown(name, groups[name]) for name in shown], **more}

    def _shown(self, name: str, group: Request) -> Request:
        return {
            "SubnetGroupName": name,
            "Description": group["Description"],
            "Subnets": [
                {
                    "SubnetIdentifier": subnet,
                    "SubnetAvailabilityZone": ZONE,
                    "SupportedNetworkTypes": self._network_types,
                }
                for subnet in group["Subnets"]
            ],
            "SupportedNetworkTypes": self._network_types,
        }


async def _all(region: Region) -> dict[str, Request]:
    start = subnet_group_key("")
    rows = await region.engine.range(start, prefix_end(start), MOST_GROUPS, 1 << 20)
    return {key[len(start) :].decode(): orjson.loads(stored) for key, stored in rows}


def _subnets(ids: Sequence[str]) -> Sequence[str]:
    """The subnets of a request. Raises what refuses them."""
    if not ids:
        raise InvalidParameterValueException("The parameter SubnetIds must name a subnet")
    if len(ids) > MOST_SUBNETS:
        raise SubnetQuotaExceededFault(f"A subnet group may have {MOST_SUBNETS} subnets")
    for subnet in ids:
        if not _SUBNET.fullmatch(subnet):
            raise InvalidSubnet(f"Invalid subnet: {subnet}")
    return list(dict.fromkeys(ids))


def _add_event(region: Region, stored: bytes | None, writes: Writes, name: str, message: str) -> None:
    cluster_events.add(stored, writes, region.clock(), cluster_events.SUBNET_GROUP, name, [message])


def _missing(name: str) -> SubnetGroupNotFoundFault:
    return SubnetGroupNotFoundFault(f"Subnet group not found: {name}")
