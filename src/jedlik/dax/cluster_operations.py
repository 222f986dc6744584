"""The operations that make, show, change and delete clusters.

They change records (`cluster_records`); the parent starts and ends the nodes (`cluster_upkeep`). The server's own
cluster has its nodes from the settings, in every region, so it cannot be deleted here.

Sources: the API reference of DAX; the texts of refusals of names and ARNs are AWS's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson

from jedlik.aws.context import Context
from jedlik.config import ROLE_ARN
from jedlik.dax import cluster_events, cluster_records, cluster_tags
from jedlik.dax.cluster_nodes import check_available, check_room, new_nodes, own_cluster, zones_of_new
from jedlik.dax.cluster_records import (
    DEFAULT_CLUSTER,
    DEFAULT_GROUP,
    EVENTS_KEY,
    NAMES_KEY,
    Cluster,
    Made,
    Status,
    cluster_key,
    group_key,
    subnet_group_key,
)
from jedlik.dax.cluster_roles import ClusterRoles
from jedlik.dax.cluster_upkeep import order_now
from jedlik.dax.cluster_views import NODE_TYPE, ClusterHost, ClusterViews, arn_of, cluster_not_found
from jedlik.dax.errors import (
    ClusterAlreadyExistsFault,
    ClusterQuotaForCustomerExceededFault,
    InvalidClusterStateFault,
    InvalidParameterCombinationException,
    InvalidParameterValueException,
    ParameterGroupNotFoundFault,
    SubnetGroupNotFoundFault,
)
from jedlik.dax.listing import page
from jedlik.storage.engine import Writes

Request = dict[str, Any]
MOST_CLUSTERS = 20
"""In a region."""
LONGEST_NAME = 20
_NAME = re.compile(r"[a-z](?!.*--)[a-z0-9-]*(?<!-)")
_NODE_TYPE = re.compile(r"dax\.[a-z][0-9][a-z]*\.(small|medium|large|[0-9]*xlarge)")
"""AWS's node types."""
ARN_PARTS = (
    "Second colon partition not found",
    "Third colon vendor not found",
    "Fourth colon (region/namespace delimiter) not found",
    "Fifth colon (namespace/relative-id delimiter) not found",
)
NOT_HERE = {
    "PreferredMaintenanceWindow": "a cluster here is not maintained by anybody else",
    "NotificationTopicArn": "there are no notifications here",
    "NotificationTopicStatus": "there are no notifications here",
    "SecurityGroupIds": "there are no security groups here",
}
"""What a request could ask for on AWS, and why it cannot here."""


class ClusterOperations:
    """The operations of a server."""

    def __init__(self, host: ClusterHost, roles: ClusterRoles | None) -> None:
        """Without `roles`, signatures are not verified, and a role need only look like one."""
        self.views = ClusterViews(host)
        self._host = host
        self._roles = roles

    async def describe_clusters(self, context: Context, request: Request) -> Request:
        """All clusters of a region, or those that are named."""
        names = request.get("ClusterNames")
        if names:
            found = {name: await self.views.found(context, name) for name in map(str.lower, names)}
        else:
            found = await self.views.all(context)
        shown = [self.views.shown(context, name, cluster) for name, cluster in found.items()]
        kept, more = page(shown, request, lambda one: str(one["ClusterName"]))
        return {"Clusters": kept, **more}

    async def create_cluster(self, context: Context, request: Request) -> Request:
        """Make a cluster, whose nodes begin at once."""
        name, zones = self._checked(request)
        group = request.get("ParameterGroupName", DEFAULT_GROUP)
        subnets = request.get("SubnetGroupName", "")
        role = request["IamRoleArn"]
        if self._roles is not None:
            _check_trust(self._roles, role, arn_of(context, name))
        others = await cluster_records.made_clusters(context.region)
        check_room(others, len(zones))
        now = context.region.clock()
        tags = cluster_tags.checked(request.get("Tags", ()))
        made = Made(
            status=Status.CREATING,
            node_type=request["NodeType"],
            role=role,
            nodes=new_nodes(name, (), zones, now),
            version=int(now * 1000),
            subnet_group=subnets,
            is_encrypted=request.get("ClusterEndpointEncryptionType") == "TLS",
            sealed=bool(request.get("SSESpecification", {}).get("Enabled")),
        )
        cluster = Cluster(request.get("Description"), group, tags, made)

        def decide(found: Sequence[bytes | None]) -> tuple[Writes, None]:
            names = cluster_records.names_in(found[0])
            if name in names:
                raise ClusterAlreadyExistsFault(f"Cluster already exists: {name}")
            if len(names) >= MOST_CLUSTERS:
                raise ClusterQuotaForCustomerExceededFault(f"A region may have {MOST_CLUSTERS} clusters")
            _check_group(group, found[1])
            if subnets and found[2] is None:
                raise SubnetGroupNotFoundFault(f"Subnet group not found: {subnets}")
            writes = Writes()
            writes.put(cluster_key(name), cluster.packed())
            writes.put(NAMES_KEY, orjson.dumps(sorted([*names, name])))
            return writes, None

        await context.region.engine.mutate([NAMES_KEY, group_key(group), subnet_group_key(subnets)], decide)
        order_now(context.region, name, cluster)
        return {"Cluster": self.views.shown(context, name, cluster)}

    def _checked(self, request: Request) -> tuple[str, Sequence[str]]:
        """The name and the zone of each node in a request to make a cluster. Raises what refuses it."""
        name = request["ClusterName"].lower()
        if not _NAME.fullmatch(name):
            raise InvalidParameterValueException(
                "Cluster ID specified is not a valid identifier. Identifiers must begin with a letter; must contain "
                "only ASCII letters, digits, and hyphens; and must not end with a hyphen or contain two consecutive "
                "hyphens."
            )
        if len(name) > LONGEST_NAME:
            raise InvalidParameterValueException(f"A cluster name has at most {LONGEST_NAME} characters: {name}")
        if name == DEFAULT_CLUSTER:
            if self._host.has_default:
                raise ClusterAlreadyExistsFault(f"Cluster already exists: {name}")
            raise InvalidParameterValueException(f"{name} is the name of the cluster that `jedlik serve --dax` makes")
        _check_role_arn(request["IamRoleArn"])
        _refuse_what_is_not_here(request)
        node_type = request["NodeType"]
        if node_type != NODE_TYPE and not _NODE_TYPE.fullmatch(node_type):
            raise InvalidParameterValueException(f"Invalid node type: {node_type}")
        zones = zones_of_new(request, request["ReplicationFactor"], 0)
        if request.get("ClusterEndpointEncryptionType") == "TLS" and not self._host.has_certificate:
            raise InvalidParameterCombinationException(
                "A cluster that takes TLS needs a server with a certificate: `jedlik serve --tls-cert`"
            )
        wanted = request.get("NetworkType", self._host.network_type)
        if wanted != self._host.network_type:
            raise InvalidParameterValueException(
                f"Invalid NetworkType: {wanted}. The server listens on an address of {self._host.network_type}"
            )
        return name, zones

    async def update_cluster(self, context: Context, request: Request) -> Request:
        """Set a cluster's description and its parameter group."""
        name = request["ClusterName"].lower()
        _refuse_what_is_not_here(request)
        group = request.get("ParameterGroupName")

        def decide(found: Sequence[bytes | None]) -> tuple[Writes, Cluster]:
            cluster = Cluster.unpacked(found[0])
            if cluster.made is None and not self.views.is_own(name):
                raise cluster_not_found(name)
            check_available(name, cluster)
            if group is not None:
                _check_group(group, found[1])
            cluster = replace(
                cluster,
                group=cluster.group if group is None else group,
                description=request.get("Description", cluster.description),
            )
            writes = Writes()
            writes.put(cluster_key(name), cluster.packed())
            if group is not None:
                message = f"Parameter group {group} applied."
                cluster_events.add(found[2], writes, context.region.clock(), cluster_events.CLUSTER, name, [message])
            return writes, cluster

        keys = [cluster_key(name), group_key(group or DEFAULT_GROUP), EVENTS_KEY]
        cluster = await context.region.engine.mutate(keys, decide)
        return {"Cluster": self.views.shown(context, name, cluster)}

    async def delete_cluster(self, context: Context, request: Request) -> Request:
        """Delete a cluster: its nodes serve what they are at, and end."""
        name = request["ClusterName"].lower()
        if self.views.is_own(name):
            raise own_cluster("deleted")

        def decide(found: Sequence[bytes | None]) -> tuple[Writes, Cluster]:
            cluster = Cluster.unpacked(found[0])
            if cluster.made is None:
                raise cluster_not_found(name)
            if cluster.made.status is Status.DELETING:
                raise InvalidClusterStateFault(f"Cluster {name} is not in available state.")
            nodes = [replace(one, status=Status.DELETING) for one in cluster.made.nodes]
            cluster = cluster.with_nodes(Status.DELETING, nodes)
            writes = Writes()
            writes.put(cluster_key(name), cluster.packed())
            return writes, cluster

        cluster = await context.region.engine.mutate([cluster_key(name)], decide)
        order_now(context.region, name, cluster)
        return {"Cluster": self.views.shown(context, name, cluster)}


def _check_role_arn(arn: str) -> None:
    """Raise InvalidParameterValueException for what is no role's ARN."""
    if not arn.startswith("arn:"):
        raise InvalidParameterValueException(f"ARNs must start with 'arn:': {arn}")
    colons = arn.count(":")
    if colons <= len(ARN_PARTS):
        raise InvalidParameterValueException(f"{ARN_PARTS[colons - 1]}: {arn}")
    if not ROLE_ARN.fullmatch(arn):
        raise InvalidParameterValueException(f"Not the ARN of a role: {arn}")


def _check_trust(roles: ClusterRoles, role: str, cluster: str) -> None:
    if not roles.is_trusting(role, cluster):
        raise InvalidParameterValueException(
            f"The role {role} must be of the cluster's account, and its trust policy must let dax.amazonaws.com assume "
            "it"
        )


def _refuse_what_is_not_here(request: Request) -> None:
    for parameter, reason in NOT_HERE.items():
        if parameter in request:
            raise InvalidParameterValueException(f"{parameter} cannot be set: {reason}")


def _check_group(name: str, stored: bytes | None) -> None:
    """Raise ParameterGroupNotFoundFault for a parameter group that is not there."""
    if name != DEFAULT_GROUP and stored is None:
        raise ParameterGroupNotFoundFault(f"ParameterGroup not found: {name}")
