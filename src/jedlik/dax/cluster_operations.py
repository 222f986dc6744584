"""The operations on clusters: there is the one that the server has, in every region that it serves.

Clusters with replicas are not made here yet, so the operations that make and resize them are refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from string import ascii_lowercase
from typing import Any

from jedlik.aws.context import PARTITION, Context
from jedlik.dax import cluster_records
from jedlik.dax.cluster_records import DEFAULT_CLUSTER, DEFAULT_GROUP, ClusterSettings, cluster_key, group_key
from jedlik.dax.errors import (
    ClusterNotFoundFault,
    InvalidARNFault,
    InvalidParameterValueException,
    ParameterGroupNotFoundFault,
    TagNotFoundFault,
    TagQuotaPerResourceExceeded,
)
from jedlik.dax.parameter_group_operations import page
from jedlik.storage.engine import Writes

Request = dict[str, Any]
NODE_TYPE = "local"
ZONE = "local"
MOST_TAGS = 50
LONGEST_KEY, LONGEST_VALUE = 128, 256
EVERYWHERE = ("0.0.0.0", "::")
"""Addresses that stand for all of the machine's."""
NOT_HERE = {
    "PreferredMaintenanceWindow": "a cluster here is not maintained by anybody else",
    "NotificationTopicArn": "there are no notifications here",
    "NotificationTopicStatus": "there are no notifications here",
    "SecurityGroupIds": "there are no security groups here",
}
"""What UpdateCluster could set on AWS, and why it cannot here."""


@dataclass(frozen=True, slots=True)
class ServerCluster:
    """The cluster that a server has, and where it is."""

    address: str
    ports: tuple[int, ...]
    """That of each node; the first is the primary."""
    is_encrypted: bool
    since: float
    """Seconds since the epoch."""

    @property
    def nodes(self) -> list[str]:
        """What the nodes are called."""
        return [node_id(number) for number in range(len(self.ports))]


def node_id(number: int) -> str:
    """What a node of the server's cluster is called, as AWS does: by a letter."""
    return f"{DEFAULT_CLUSTER}-{ascii_lowercase[number]}"


class ClusterOperations:
    """The operations of a server with this cluster, or with none."""

    def __init__(self, cluster: ServerCluster | None) -> None:
        self._cluster = cluster

    async def describe_clusters(self, context: Context, request: Request) -> Request:
        """All clusters of a region, or those that are named."""
        names = request.get("ClusterNames") or ([DEFAULT_CLUSTER] if self._cluster else [])
        for name in names:
            self._named(name)
        found = [await self._shown(context, name) for name in names]
        shown, more = page(found, request, lambda one: str(one["ClusterName"]))
        return {"Clusters": shown, **more}

    async def update_cluster(self, context: Context, request: Request) -> Request:
        """Set a cluster's description and its parameter group."""
        name = request["ClusterName"]
        self._named(name)
        for parameter, reason in NOT_HERE.items():
            if parameter in request:
                raise InvalidParameterValueException(f"{parameter} cannot be set: {reason}")
        group = request.get("ParameterGroupName")

        def decide(found: Sequence[bytes | None]) -> tuple[Writes, None]:
            settings = ClusterSettings.unpacked(found[0])
            if group not in (None, DEFAULT_GROUP) and found[1] is None:
                raise ParameterGroupNotFoundFault(f"ParameterGroup not found: {group}")
            settings = replace(
                settings,
                group=settings.group if group is None else group,
                description=request.get("Description", settings.description),
            )
            writes = Writes()
            writes.put(cluster_key(name), settings.packed())
            return writes, None

        await context.region.engine.mutate([cluster_key(name), group_key(group or DEFAULT_GROUP)], decide)
        return {"Cluster": await self._shown(context, name)}

    async def list_tags(self, context: Context, request: Request) -> Request:
        """The tags of a cluster."""
        name = self._of_arn(context, request["ResourceName"])
        settings = await cluster_records.settings_of(context.region, name)
        shown, more = page(_tags(settings), request, lambda one: str(one["Key"]))
        return {"Tags": shown, **more}

    async def tag_resource(self, context: Context, request: Request) -> Request:
        """Give a cluster tags."""
        given: dict[str, str] = {}
        for one in request["Tags"]:
            key, value = one.get("Key", ""), one.get("Value", "")
            if not 0 < len(key) <= LONGEST_KEY or len(value) > LONGEST_VALUE or key.lower().startswith("aws:"):
                raise InvalidParameterValueException(f"Invalid tag: {key}")
            given[key] = value

        def change(tags: dict[str, str]) -> None:
            tags.update(given)
            if len(tags) > MOST_TAGS:
                raise TagQuotaPerResourceExceeded(f"A cluster may have {MOST_TAGS} tags")

        return await self._change_tags(context, request["ResourceName"], change)

    async def untag_resource(self, context: Context, request: Request) -> Request:
        """Remove tags from a cluster."""

        def change(tags: dict[str, str]) -> None:
            for key in request["TagKeys"]:
                if tags.pop(key, None) is None:
                    raise TagNotFoundFault(f"Tag not found: {key}")

        return await self._change_tags(context, request["ResourceName"], change)

    async def _change_tags(self, context: Context, arn: str, change: Callable[[dict[str, str]], None]) -> Request:
        key = cluster_key(self._of_arn(context, arn))

        def decide(found: Sequence[bytes | None]) -> tuple[Writes, ClusterSettings]:
            settings = ClusterSettings.unpacked(found[0])
            tags = dict(settings.tags)
            change(tags)
            settings = replace(settings, tags=tags)
            writes = Writes()
            writes.put(key, settings.packed())
            return writes, settings

        return {"Tags": _tags(await context.region.engine.mutate([key], decide))}

    def _named(self, name: str) -> ServerCluster:
        if self._cluster is None or name != DEFAULT_CLUSTER:
            raise ClusterNotFoundFault(f"Cluster not found: {name}")
        return self._cluster

    def _of_arn(self, context: Context, arn: str) -> str:
        start = _arn(context, "")
        if not arn.startswith(start):
            raise InvalidARNFault(f"Not the ARN of a cluster of this region and account: {arn}")
        name = arn.removeprefix(start)
        self._named(name)
        return name

    async def _shown(self, context: Context, name: str) -> Request:
        cluster = self._named(name)
        settings = await cluster_records.settings_of(context.region, name)
        address = cluster.address
        if address in EVERYWHERE and context.host:
            address = context.host.decode("latin-1").rpartition(":")[0].strip("[]") or address
        scheme = "daxs" if cluster.is_encrypted else "dax"
        place = f"[{address}]" if ":" in address else address
        described = {} if settings.description is None else {"Description": settings.description}
        return {
            "ClusterName": name,
            **described,
            "ClusterArn": _arn(context, name),
            "TotalNodes": len(cluster.ports),
            "ActiveNodes": len(cluster.ports),
            "NodeType": NODE_TYPE,
            "Status": "available",
            "ClusterDiscoveryEndpoint": {
                "Address": address,
                "Port": cluster.ports[0],
                "URL": f"{scheme}://{place}:{cluster.ports[0]}",
            },
            "Nodes": [
                {
                    "NodeId": node,
                    "Endpoint": {"Address": address, "Port": port},
                    "NodeCreateTime": cluster.since,
                    "AvailabilityZone": ZONE,
                    "NodeStatus": "available",
                    "ParameterGroupStatus": "in-sync",
                }
                for node, port in zip(cluster.nodes, cluster.ports, strict=True)
            ],
            "SecurityGroups": [],
            "ParameterGroup": {
                "ParameterGroupName": settings.group,
                "ParameterApplyStatus": "in-sync",
                "NodeIdsToReboot": [],
            },
            "SSEDescription": {"Status": "DISABLED"},
            "ClusterEndpointEncryptionType": "TLS" if cluster.is_encrypted else "NONE",
            "NetworkType": "ipv6" if ":" in address else "ipv4",
        }


def _arn(context: Context, name: str) -> str:
    return f"arn:{PARTITION}:dax:{context.region.name}:{context.region.account}:cache/{name}"


def _tags(settings: ClusterSettings) -> list[Request]:
    return [{"Key": key, "Value": value} for key, value in sorted(settings.tags.items())]
