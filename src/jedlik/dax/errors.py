"""The errors of DAX's control plane.

Source: the service model in botocore.
"""

from __future__ import annotations

from jedlik.aws.errors import ServiceError


class ClusterNotFoundFault(ServiceError):
    """There is no such cluster."""


class InvalidARNFault(ServiceError):
    """An ARN is not that of a cluster."""


class InvalidParameterGroupStateFault(ServiceError):
    """The parameter group cannot be changed or deleted."""


class InvalidParameterValueException(ServiceError):
    """A parameter has a value that it cannot have."""


class ParameterGroupAlreadyExistsFault(ServiceError):
    """There is a parameter group of this name."""


class ParameterGroupNotFoundFault(ServiceError):
    """There is no such parameter group."""


class ParameterGroupQuotaExceededFault(ServiceError):
    """The region has as many parameter groups as it may."""


class TagNotFoundFault(ServiceError):
    """The cluster has no such tag."""


class TagQuotaPerResourceExceeded(ServiceError):
    """The cluster would have too many tags."""


class ClusterAlreadyExistsFault(ServiceError):
    """There is a cluster of this name."""


class ClusterQuotaForCustomerExceededFault(ServiceError):
    """The region has as many clusters as it may."""


class InsufficientClusterCapacityFault(ServiceError):
    """The server has no room for these nodes."""


class InvalidClusterStateFault(ServiceError):
    """The cluster is not available, or is the server's own and cannot be changed in this way."""


class InvalidParameterCombinationException(ServiceError):
    """Parameters that do not go together."""


class InvalidSubnet(ServiceError):
    """That cannot be the id of a subnet."""


class NodeNotFoundFault(ServiceError):
    """The cluster has no such node."""


class NodeQuotaForClusterExceededFault(ServiceError):
    """The cluster would have too many nodes."""


class NodeQuotaForCustomerExceededFault(ServiceError):
    """The region would have too many nodes."""


class SubnetGroupAlreadyExistsFault(ServiceError):
    """There is a subnet group of this name."""


class SubnetGroupInUseFault(ServiceError):
    """A cluster uses the subnet group."""


class SubnetGroupNotFoundFault(ServiceError):
    """There is no such subnet group."""


class SubnetGroupQuotaExceededFault(ServiceError):
    """The region has as many subnet groups as it may."""


class SubnetQuotaExceededFault(ServiceError):
    """A subnet group would have too many subnets."""
