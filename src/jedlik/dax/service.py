"""DAX: a cache in front of the tables, which its own clients reach by its own protocol, on a port of its own.

Here is its control plane, over HTTP as all services have it. There is the cluster that `jedlik serve --dax` makes;
what would make others is refused by name as yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from jedlik.aws.access import Access, Known, Scope
from jedlik.aws.protocols.codecs import JsonCodec
from jedlik.aws.service import Handler, Operation, Service
from jedlik.dax import attribute_lists, cluster_records, counting, parameter_group_operations
from jedlik.dax.cluster_operations import ClusterOperations, ServerCluster
from jedlik.dax.errors import InvalidParameterValueException

NAME, VERSION = "dax", "2017-04-19"


def declared(cluster: ServerCluster | None) -> Service:
    """The service of a server with this cluster, or with none."""
    clusters = ClusterOperations(cluster)
    handlers: dict[str, Handler] = {
        "CreateParameterGroup": parameter_group_operations.create_parameter_group,
        "DeleteParameterGroup": parameter_group_operations.delete_parameter_group,
        "DescribeClusters": clusters.describe_clusters,
        "DescribeDefaultParameters": parameter_group_operations.describe_default_parameters,
        "DescribeParameterGroups": parameter_group_operations.describe_parameter_groups,
        "DescribeParameters": parameter_group_operations.describe_parameters,
        "ListTags": clusters.list_tags,
        "TagResource": clusters.tag_resource,
        "UntagResource": clusters.untag_resource,
        "UpdateCluster": clusters.update_cluster,
        "UpdateParameterGroup": parameter_group_operations.update_parameter_group,
    }
    return Service(
        name=NAME,
        signing_name="dax",
        api_version=VERSION,
        codec=JsonCodec(NAME, VERSION, InvalidParameterValueException),
        target_prefix="AmazonDAXV3",
        operations={
            name: Operation(name=name, handler=handler, accesses=partial(_accesses, f"dax:{name}"))
            for name, handler in handlers.items()
        },
        keyspaces=(attribute_lists.LISTS, cluster_records.CLUSTERS),
        metrics=counting.METRICS,
    )


def _accesses(action: str, scope: Scope, request: Mapping[str, Any], known: Known) -> tuple[Access, ...]:
    """The action itself: those of the control plane are on no resource in particular."""
    return (Access(action, "*", {}),)
