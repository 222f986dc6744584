"""The operations that add nodes to clusters, remove them, and give them another process; and how many there may be.

Sources: the API reference of DAX; "Quotas in Amazon DynamoDB" for the numbers of a cluster and of a region.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from string import ascii_lowercase
from typing import Any

from jedlik.aws.context import Context
from jedlik.config import MOST_NODES
from jedlik.dax import node_board
from jedlik.dax.cluster_records import DEFAULT_CLUSTER, Cluster, NodeRecord, Status, cluster_key, made_clusters
from jedlik.dax.cluster_upkeep import order_now
from jedlik.dax.cluster_views import ZONE, ClusterViews, cluster_not_found, seen_nodes
from jedlik.dax.errors import (
    InsufficientClusterCapacityFault,
    InvalidClusterStateFault,
    InvalidParameterCombinationException,
    InvalidParameterValueException,
    NodeNotFoundFault,
    NodeQuotaForClusterExceededFault,
    NodeQuotaForCustomerExceededFault,
)
from jedlik.dax.node_board import ANY_STORE, NodeName
from jedlik.storage.engine import Writes

Request = dict[str, Any]
MOST_IN_REGION = 50
"""Nodes of all clusters of a region."""
MOST_HERE = 64
"""Nodes of all clusters of a server. Each is a process."""
_ZONE = re.compile(r"[a-zA-Z0-9-]{1,64}")


class NodeOperations:
    """The operations of a server."""

    def __init__(self, views: ClusterViews) -> None:
        self._views = views

    async def increase_replication_factor(self, context: Context, request: Request) -> Request:
        """Add nodes to a cluster."""
        name, factor = request["ClusterName"].lower(), request["NewReplicationFactor"]
        self._refuse_own(name, "resized")
        others = await made_clusters(context.region)
        if name in others:
            check_room(others, factor - _factor(others[name]))

        def change(cluster: Cluster) -> Cluster:
            assert cluster.made is not None
            present = _factor(cluster)
            if factor <= present:
                raise InvalidParameterValueException(f"NewReplicationFactor must be more than {present}")
            zones = zones_of_new(request, factor, present)
            more = new_nodes(name, cluster.made.nodes, zones, context.region.clock())
            return cluster.with_nodes(Status.MODIFYING, (*cluster.made.nodes, *more))

        return await self._change(context, name, change)

    async def decrease_replication_factor(self, context: Context, request: Request) -> Request:
        """Remove nodes from a cluster: those that are named, else those in zones that are named, else the last ones."""
        name, factor = request["ClusterName"].lower(), request["NewReplicationFactor"]
        self._refuse_own(name, "resized")

        def change(cluster: Cluster) -> Cluster:
            assert cluster.made is not None
            removed = set(_removed(cluster.made.nodes, request, factor))
            nodes = [replace(one, status=Status.DELETING) if one.id in removed else one for one in cluster.made.nodes]
            return cluster.with_nodes(Status.MODIFYING, nodes)

        return await self._change(context, name, change)

    async def reboot_node(self, context: Context, request: Request) -> Request:
        """Give a node another process, whose caches are empty."""
        name, node = request["ClusterName"].lower(), request["NodeId"].lower()
        if self._views.is_own(name):
            return await self._reboot_own(context, name, node)

        def change(cluster: Cluster) -> Cluster:
            assert cluster.made is not None
            if node not in [one.id for one in cluster.made.nodes]:
                raise _no_node(node)
            nodes = [
                replace(one, status=Status.REBOOTING, generation=one.generation + 1) if one.id == node else one
                for one in cluster.made.nodes
            ]
            return cluster.with_nodes(Status.MODIFYING, nodes)

        return await self._change(context, name, change)

    async def _reboot_own(self, context: Context, name: str, node: str) -> Request:
        if node not in [one.name.node for one in seen_nodes(ANY_STORE, name)]:
            raise _no_node(node)
        board = node_board.current()
        assert board is not None
        shown = self._views.shown(context, name, await self._views.found(context, name))
        for one in shown["Nodes"]:
            if one["NodeId"] == node:
                one["NodeStatus"] = str(Status.REBOOTING)
        board.reboot(NodeName(ANY_STORE, name, node))
        return {"Cluster": shown}

    def _refuse_own(self, name: str, done: str) -> None:
        if self._views.is_own(name):
            raise own_cluster(done)

    async def _change(self, context: Context, name: str, change: Any) -> Request:
        def decide(found: Sequence[bytes | None]) -> tuple[Writes, Cluster]:
            cluster = Cluster.unpacked(found[0])
            if cluster.made is None:
                raise cluster_not_found(name)
            check_available(name, cluster)
            cluster = change(cluster)
            writes = Writes()
            writes.put(cluster_key(name), cluster.packed())
            return writes, cluster

        cluster = await context.region.engine.mutate([cluster_key(name)], decide)
        order_now(context.region, name, cluster)
        return {"Cluster": self._views.shown(context, name, cluster)}


def own_cluster(done: str) -> InvalidClusterStateFault:
    """The refusal of what the settings determine."""
    return InvalidClusterStateFault(
        f"Cluster {DEFAULT_CLUSTER} is the server's own and cannot be {done}: see --dax and --dax-nodes"
    )


def check_available(name: str, cluster: Cluster) -> None:
    """Raise InvalidClusterStateFault for a cluster in another state."""
    if cluster.made is not None and cluster.made.status is not Status.AVAILABLE:
        raise InvalidClusterStateFault(f"Cluster {name} is not in available state.")


def check_room(clusters: Mapping[str, Cluster], more: int) -> None:
    """Raise what refuses more nodes beside these clusters of the region, and those of all others."""
    present = sum(len(one.made.nodes) for one in clusters.values() if one.made is not None)
    if more > 0 and present + more > MOST_IN_REGION:
        raise NodeQuotaForCustomerExceededFault(f"A region may have {MOST_IN_REGION} nodes")
    board = node_board.current()
    if more > 0 and board is not None and len(board.nodes()) + more > MOST_HERE:
        raise InsufficientClusterCapacityFault(f"The server has at most {MOST_HERE} nodes")


def zones_of_new(request: Request, factor: int, present: int) -> Sequence[str]:
    """The zone of each node that must be added to have `factor` of them. Raises what refuses the request."""
    if factor < 1:
        raise InvalidParameterValueException("The replication factor must be at least 1")
    if factor > MOST_NODES:
        raise NodeQuotaForClusterExceededFault(f"A cluster may have {MOST_NODES} nodes")
    more = factor - present
    zones: Sequence[str] = request.get("AvailabilityZones", [ZONE] * more)
    if len(zones) != more:
        raise InvalidParameterCombinationException(
            f"AvailabilityZones must name a zone for each new node: {more}, not {len(zones)}"
        )
    for zone in zones:
        if not _ZONE.fullmatch(zone):
            raise InvalidParameterValueException(f"Invalid availability zone: {zone}")
    return zones


def node_id(cluster: str, number: int) -> str:
    """What a node is called, as AWS does: by a letter."""
    return f"{cluster}-{ascii_lowercase[number]}"


def new_nodes(cluster: str, present: Sequence[NodeRecord], zones: Sequence[str], now: float) -> tuple[NodeRecord, ...]:
    """Nodes to be added to those that are present, which keep their letters."""
    taken = {one.id for one in present}
    free = [one for number in range(len(ascii_lowercase)) if (one := node_id(cluster, number)) not in taken]
    return tuple(NodeRecord(id, zone, now) for id, zone in zip(free, zones, strict=False))


def _factor(cluster: Cluster) -> int:
    assert cluster.made is not None
    return sum(one.status is not Status.DELETING for one in cluster.made.nodes)


def _removed(nodes: Sequence[NodeRecord], request: Request, factor: int) -> Sequence[str]:
    """The nodes that a request removes. Raises what refuses it."""
    if factor < 1:
        raise InvalidParameterValueException("The last node of a cluster cannot be removed: delete the cluster")
    less = len(nodes) - factor
    if less < 1:
        raise InvalidParameterValueException(f"NewReplicationFactor must be less than {len(nodes)}")
    named = request.get("NodeIdsToRemove")
    zones = request.get("AvailabilityZones")
    if named is not None and zones is not None:
        raise InvalidParameterCombinationException("NodeIdsToRemove and AvailabilityZones cannot be given together")
    if named is not None:
        named = list(dict.fromkeys(map(str.lower, named)))
        for node in named:
            if node not in [one.id for one in nodes]:
                raise _no_node(node)
        if len(named) != less:
            raise InvalidParameterCombinationException(
                f"NodeIdsToRemove must name as many nodes as are removed: {less}, not {len(named)}"
            )
        removed: Sequence[str] = named
        return removed
    left = list(nodes)
    if zones is None:
        return [one.id for one in left[-less:]]
    if len(zones) != less:
        raise InvalidParameterCombinationException(
            f"AvailabilityZones must name a zone for each node that is removed: {less}, not {len(zones)}"
        )
    found = []
    for zone in zones:
        there = [one for one in left if one.zone == zone]
        if not there:
            raise NodeNotFoundFault(f"No more node in zone {zone}")
        left.remove(there[-1])
        found.append(there[-1].id)
    return found


def _no_node(node: str) -> NodeNotFoundFault:
    return NodeNotFoundFault(f"Node {node} not found.")
