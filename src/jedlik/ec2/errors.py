"""The errors of EC2 that Jedlik returns. Their texts are EC2's where these are known.

Source: "Error codes for the Amazon EC2 API" in the developer guide.
"""

from __future__ import annotations

from jedlik.aws.errors import ServiceError


class DryRunOperation(ServiceError):
    """The caller may do it, and wanted to know only that."""

    status = 412


class InvalidID(ServiceError):
    """There is no resource with such an id here."""


class InvalidNextToken(ServiceError):
    """The token is not of this listing."""


class InvalidParameterCombination(ServiceError):
    """Parameters exclude each other."""


class InvalidPolicyDocument(ServiceError):
    """The document is not a policy."""


class InvalidVpcEndpointIdMalformed(ServiceError):
    """The id of an endpoint has another form."""

    name = "InvalidVpcEndpointId.Malformed"


class InvalidVpcEndpointIdNotFound(ServiceError):
    """There is no such endpoint."""

    name = "InvalidVpcEndpointId.NotFound"


class TagLimitExceeded(ServiceError):
    """A resource would have too many tags."""


class UnsupportedOperation(ServiceError):
    """What the settings are for."""
