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
