"""How clusters are shown: what is recorded of them, and what the board of nodes has of them at the moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jedlik.aws.context import PARTITION, Context
from jedlik.dax import cluster_records, node_board
from jedlik.dax.cluster_records import DEFAULT_CLUSTER, Cluster, Status
from jedlik.dax.errors import ClusterNotFoundFault
from jedlik.dax.node_board import ANY_STORE, SeenNode

Request = dict[str, Any]
NODE_TYPE = "local"
ZONE = "local"
EVERYWHERE = ("0.0.0.0", "::")
"""Addresses that stand for all of the machine's."""


@dataclass(frozen=True, slots=True)
class ClusterHost:
    """The server, as far as its clusters depend on it."""

    address: str
    """Where nodes listen."""
    announced: str | None
    """The address by which clients reach them, if that is another."""
    has_certificate: bool
    has_default: bool
    """Whether there is a cluster of its own."""
    since: float
    """When it began, in seconds since the epoch."""
    role: str | None = None
    """As which its own cluster reads and writes tables, if signatures are verified."""

    @property
    def network_type(self) -> str:
        """As the API calls what its address is of."""
        return "ipv6" if ":" in self.address else "ipv4"


def arn_of(context: Context, name: str) -> str:
    """The ARN of a cluster."""
    return f"arn:{PARTITION}:dax:{context.region.name}:{context.region.account}:cache/{name}"


def cluster_not_found(name: str) -> ClusterNotFoundFault:
    """There is no such cluster."""
    return ClusterNotFoundFault(f"Cluster {name} not found.")


class ClusterViews:
    """Clusters as the API shows them."""

    def __init__(self, host: ClusterHost) -> None:
        self.host = host

    async def found(self, context: Context, name: str) -> Cluster:
        """A cluster. Raises ClusterNotFoundFault."""
        cluster = await cluster_records.cluster_of(context.region, name)
        if cluster.made is None and not self.is_own(name):
            raise cluster_not_found(name)
        return cluster

    def is_own(self, name: str) -> bool:
        """Whether this is the server's own cluster, and it has one."""
        return self.host.has_default and name == DEFAULT_CLUSTER

    async def all(self, context: Context) -> dict[str, Cluster]:
        """All clusters of a region, by name."""
        found = await cluster_records.made_clusters(context.region)
        if self.host.has_default:
            found[DEFAULT_CLUSTER] = await cluster_records.cluster_of(context.region, DEFAULT_CLUSTER)
        return dict(sorted(found.items()))

    def shown(self, context: Context, name: str, cluster: Cluster) -> Request:
        """A cluster."""
        made = cluster.made
        is_encrypted = self.host.has_certificate if made is None else made.is_encrypted
        address = self._address(context)
        nodes = self._own_nodes(address) if made is None else self._nodes(context, name, cluster, address)
        port = next((one["Endpoint"]["Port"] for one in nodes if "Endpoint" in one), None)
        view: Request = {
            "ClusterName": name,
            "ClusterArn": arn_of(context, name),
            "TotalNodes": len(nodes),
            "ActiveNodes": sum(one["NodeStatus"] == Status.AVAILABLE for one in nodes),
            "NodeType": NODE_TYPE if made is None else made.node_type,
            "Status": str(Status.AVAILABLE if made is None else made.status),
            "Nodes": nodes,
            "SecurityGroups": [],
            "ParameterGroup": {
                "ParameterGroupName": cluster.group,
                "ParameterApplyStatus": "in-sync",
                "NodeIdsToReboot": [],
            },
            "SSEDescription": {"Status": "ENABLED" if made is not None and made.sealed else "DISABLED"},
            "ClusterEndpointEncryptionType": "TLS" if is_encrypted else "NONE",
            "NetworkType": self.host.network_type,
        }
        if cluster.description is not None:
            view["Description"] = cluster.description
        if port is not None:
            scheme = "daxs" if is_encrypted else "dax"
            place = f"[{address}]" if ":" in address else address
            view["ClusterDiscoveryEndpoint"] = {
                "Address": address,
                "Port": port,
                "URL": f"{scheme}://{place}:{port}",
            }
        role = self.host.role if made is None else made.role
        if role is not None:
            view["IamRoleArn"] = role
        if made is not None and made.subnet_group:
            view["SubnetGroup"] = made.subnet_group
        removed = [] if made is None else [one.id for one in made.nodes if one.status is Status.DELETING]
        if removed:
            view["NodeIdsToRemove"] = removed
        return view

    def _address(self, context: Context) -> str:
        if self.host.announced is not None:
            return self.host.announced
        if self.host.address in EVERYWHERE and context.host:
            asked = context.host.decode("latin-1")
            bare = asked[: asked.index("]") + 1] if asked.startswith("[") else asked.partition(":")[0]
            return bare.strip("[]") or self.host.address
        return self.host.address

    def _own_nodes(self, address: str) -> list[Request]:
        return [
            {
                "NodeId": one.name.node,
                "Endpoint": {"Address": address, "Port": one.port},
                "NodeCreateTime": self.host.since,
                "AvailabilityZone": one.zone,
                "NodeStatus": str(Status.AVAILABLE if one.is_serving else Status.REBOOTING),
                "ParameterGroupStatus": "in-sync",
            }
            for one in seen_nodes(ANY_STORE, DEFAULT_CLUSTER)
        ]

    def _nodes(self, context: Context, name: str, cluster: Cluster, address: str) -> list[Request]:
        assert cluster.made is not None
        seen = {one.name.node: one for one in seen_nodes(context.region.store, name)}
        shown = []
        for node in cluster.made.nodes:
            now = seen.get(node.id)
            status = node.status
            if status is Status.AVAILABLE and (now is None or not now.is_serving):  # It is being replaced.
                status = Status.REBOOTING
            view: Request = {
                "NodeId": node.id,
                "NodeCreateTime": node.created,
                "AvailabilityZone": node.zone,
                "NodeStatus": str(status),
                "ParameterGroupStatus": "in-sync",
            }
            if node.port:
                view["Endpoint"] = {"Address": address, "Port": node.port}
            shown.append(view)
        return shown


def seen_nodes(store: str, cluster: str) -> tuple[SeenNode, ...]:
    """The nodes of a cluster on the server's board."""
    board = node_board.current()
    return () if board is None else board.of(store, cluster)
