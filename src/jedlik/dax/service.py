"""DAX: a cache in front of the tables, which its own clients reach by its own protocol, on a port of its own.

Here is its control plane, over HTTP as all services have it. Besides the clusters that are made by it, there is the one
that `jedlik serve --dax` makes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from jedlik.aws.access import Access, Known, Scope
from jedlik.aws.protocols.codecs import JsonCodec
from jedlik.aws.service import Handler, Operation, Service
from jedlik.dax import attribute_lists, cluster_events, cluster_records, cluster_upkeep, counting
from jedlik.dax import parameter_group_operations as groups
from jedlik.dax.cluster_nodes import NodeOperations
from jedlik.dax.cluster_operations import ClusterOperations
from jedlik.dax.cluster_roles import ClusterRoles
from jedlik.dax.cluster_tags import TagOperations
from jedlik.dax.cluster_views import ClusterHost
from jedlik.dax.errors import InvalidParameterValueException
from jedlik.dax.subnet_group_operations import SubnetGroupOperations

NAME, VERSION = "dax", "2017-04-19"
_ON_TAGS = frozenset({"ListTags", "TagResource", "UntagResource"})
"""The operations on a cluster that is named by its ARN."""
_ON_CLUSTER = frozenset(
    {
        *("CreateCluster", "DecreaseReplicationFactor", "DeleteCluster", "IncreaseReplicationFactor", "RebootNode"),
        "UpdateCluster",
    }
)
"""Those on a cluster that is named by its name. DescribeClusters is on a list of them, or on all.

Source: "Actions, resources, and condition keys for Amazon DynamoDB Accelerator (DAX)" in the service authorization
reference.
"""


def declared(host: ClusterHost, roles: ClusterRoles | None) -> Service:
    """The service of a server; without `roles`, signatures are not verified."""
    clusters = ClusterOperations(host, roles)
    nodes, tags = NodeOperations(clusters.views), TagOperations(clusters.views)
    subnets = SubnetGroupOperations(host)
    handlers: dict[str, Handler] = {
        "CreateCluster": clusters.create_cluster,
        "CreateParameterGroup": groups.create_parameter_group,
        "CreateSubnetGroup": subnets.create_subnet_group,
        "DecreaseReplicationFactor": nodes.decrease_replication_factor,
        "DeleteCluster": clusters.delete_cluster,
        "DeleteParameterGroup": groups.delete_parameter_group,
        "DeleteSubnetGroup": subnets.delete_subnet_group,
        "DescribeClusters": clusters.describe_clusters,
        "DescribeDefaultParameters": groups.describe_default_parameters,
        "DescribeEvents": cluster_events.describe_events,
        "DescribeParameterGroups": groups.describe_parameter_groups,
        "DescribeParameters": groups.describe_parameters,
        "DescribeSubnetGroups": subnets.describe_subnet_groups,
        "IncreaseReplicationFactor": nodes.increase_replication_factor,
        "ListTags": tags.list_tags,
        "RebootNode": nodes.reboot_node,
        "TagResource": tags.tag_resource,
        "UntagResource": tags.untag_resource,
        "UpdateCluster": clusters.update_cluster,
        "UpdateParameterGroup": groups.update_parameter_group,
        "UpdateSubnetGroup": subnets.update_subnet_group,
    }
    return Service(
        name=NAME,
        signing_name="dax",
        api_version=VERSION,
        codec=JsonCodec(NAME, VERSION, InvalidParameterValueException),
        target_prefix="AmazonDAXV3",
        operations={
            name: Operation(name=name, handler=handler, accesses=partial(_accesses, name))
            for name, handler in handlers.items()
        },
        keyspaces=(attribute_lists.LISTS, cluster_records.CLUSTERS),
        duties=(cluster_upkeep.ordering, cluster_upkeep.duty),
        metrics=counting.METRICS,
    )


def _accesses(operation: str, scope: Scope, request: Mapping[str, Any], known: Known) -> tuple[Access, ...]:
    """The action on the clusters that the request names, or on none in particular. A role is passed on to DAX."""
    found = [Access(f"dax:{operation}", arn, {}) for arn in _resources(operation, scope, request)]
    if operation == "CreateCluster":
        if request.get("Tags"):
            found += [Access("dax:TagResource", one.resource, {}) for one in found]
        found.append(Access("iam:PassRole", request["IamRoleArn"], {"iam:PassedToService": ("dax.amazonaws.com",)}))
    return tuple(found)


def _resources(operation: str, scope: Scope, request: Mapping[str, Any]) -> list[str]:
    """The ARNs of the clusters that an operation is on."""
    start = f"arn:{scope.partition}:dax:{scope.region}:{scope.account}:cache/"
    if operation in _ON_TAGS:
        return [request["ResourceName"]]
    if operation in _ON_CLUSTER:
        return [start + request["ClusterName"].lower()]
    if operation == "DescribeClusters":
        return [start + name.lower() for name in request.get("ClusterNames") or ["*"]]
    return ["*"]
