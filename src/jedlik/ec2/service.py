"""Amazon EC2, as far as it is about VPC endpoints: what a client may ask and change of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jedlik.aws.access import Access, Accesses, Known, Scope
from jedlik.aws.context import Context
from jedlik.aws.protocols.ec2_query import NAME, VERSION, Ec2Codec
from jedlik.aws.service import Handler, Operation, Service
from jedlik.ec2 import endpoint_check, endpoint_records
from jedlik.ec2.endpoint_changes import KnownEndpoints
from jedlik.ec2.endpoint_operations import EndpointOperations, refuse
from jedlik.ec2.endpoint_tags import EndpointTags, TaggedEndpoints
from jedlik.ec2.endpoint_ways import EndpointWay, arn_of
from jedlik.ec2.errors import DryRunOperation


def tagged_endpoints(
    ways: Sequence[EndpointWay], create: Handler | None = None, delete: Handler | None = None
) -> TaggedEndpoints:
    """The endpoints of a server, with their tags. `create` and `delete` are CreateTags and DeleteTags, which ask for
    the caller's permissions."""
    return TaggedEndpoints(KnownEndpoints(ways), create, delete)


def declared(ways: Sequence[EndpointWay] = ()) -> Service:
    """The service of a server with these VPC endpoints."""
    endpoints = KnownEndpoints(ways)
    on_endpoints, tags = EndpointOperations(endpoints), EndpointTags(endpoints)
    operations: dict[str, tuple[Handler, Accesses]] = {
        "CreateTags": (_dry(tags.create_tags), _tagging("CreateTags")),
        "CreateVpcEndpoint": (refuse, _on_all("CreateVpcEndpoint")),
        "DeleteTags": (_dry(tags.delete_tags), _tagging("DeleteTags")),
        "DeleteVpcEndpoints": (refuse, _on_each("DeleteVpcEndpoints", "VpcEndpointIds")),
        "DescribeTags": (_dry(tags.describe_tags), _on_all("DescribeTags")),
        "DescribeVpcEndpoints": (_dry(on_endpoints.describe_vpc_endpoints), _on_all("DescribeVpcEndpoints")),
        "ModifyVpcEndpoint": (_dry(on_endpoints.modify_vpc_endpoint), _modifying),
    }
    return Service(
        name=NAME,
        signing_name="ec2",
        api_version=VERSION,
        codec=Ec2Codec(operations),
        target_prefix=None,
        operations={
            name: Operation(name=name, handler=handler, accesses=accesses)
            for name, (handler, accesses) in operations.items()
        },
        keyspaces=(endpoint_records.EC2,),
        checks=(endpoint_check.CHECK,),
    )


def _dry(handler: Handler) -> Handler:
    """A handler that does nothing if the request is a test of permissions."""

    async def handle(context: Context, request: dict[str, Any]) -> Mapping[str, Any] | None:
        if request.get("DryRun", False):
            raise DryRunOperation("Request would have succeeded, but DryRun flag is set.")
        return await handler(context, request)

    return handle


def _on_all(operation: str) -> Accesses:
    """An action on no resource in particular."""

    def accesses(scope: Scope, request: Mapping[str, Any], known: Known) -> tuple[Access, ...]:
        return (Access(f"ec2:{operation}", "*", {"ec2:Region": (scope.region,)}),)

    return accesses


def _on_each(operation: str, member: str) -> Accesses:
    """An action on each endpoint of a list."""

    def accesses(scope: Scope, request: Mapping[str, Any], known: Known) -> tuple[Access, ...]:
        return tuple(_on(scope, operation, one, {}) for one in dict.fromkeys(request[member]))

    return accesses


def _modifying(scope: Scope, request: Mapping[str, Any], known: Known) -> tuple[Access, ...]:
    return (_on(scope, "ModifyVpcEndpoint", request["VpcEndpointId"], {}),)


def _tagging(operation: str) -> Accesses:
    """Tags of each resource."""

    def accesses(scope: Scope, request: Mapping[str, Any], known: Known) -> tuple[Access, ...]:
        tags = {one.get("Key", ""): one.get("Value", "") for one in request.get("Tags", ())}
        given = {f"aws:RequestTag/{key}": (value,) for key, value in tags.items()}
        more = given | ({"aws:TagKeys": tuple(tags)} if tags else {})
        return tuple(_on(scope, operation, one, more) for one in dict.fromkeys(request["Resources"]))

    return accesses


def _on(scope: Scope, operation: str, endpoint: str, context: Mapping[str, tuple[str, ...]]) -> Access:
    arn = arn_of(scope.region, scope.account, f"vpc-endpoint/{endpoint}")
    return Access(f"ec2:{operation}", arn, {"ec2:Region": (scope.region,), **context})
