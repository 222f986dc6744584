"""DescribeVpcEndpoints and ModifyVpcEndpoint. Endpoints are made and removed in the settings, as they are listeners.

Sources: the API reference; "Control access to VPC endpoints using endpoint policies" and "AWS PrivateLink quotas" in
the guide to AWS PrivateLink.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from jedlik.aws.context import Context
from jedlik.aws.policies.policy_parser import MalformedPolicy
from jedlik.aws.private_ways import SERVED, check_policy
from jedlik.aws.protocols.ec2_query import MissingParameter
from jedlik.ec2.endpoint_changes import KnownEndpoints, change
from jedlik.ec2.endpoint_records import EndpointRecord
from jedlik.ec2.endpoint_ways import EndpointWay
from jedlik.ec2.errors import InvalidParameterCombination, InvalidPolicyDocument, UnsupportedOperation
from jedlik.ec2.listing_filters import TAG, matches, page

Request = dict[str, Any]
AVAILABLE, INTERFACE = "available", "Interface"
MADE_IN_SETTINGS = (
    "Jedlik's VPC endpoints are listeners of the server: add or remove one in its configuration file, as "
    "[vpc_endpoints.vpce-...] with listen and vpc_id, and start the server again"
)
_SETTABLE = ("DryRun", "PolicyDocument", "ResetPolicy", "VpcEndpointId")

_Found = tuple[EndpointWay, EndpointRecord]
_FILTERS = {
    "ip-address-type": lambda found, name: (_ip_type(found[0]),),
    "service-name": lambda found, name: (_service_name(found[0]),),
    "service-region": lambda found, name: (found[0].region,),
    "tag-key": lambda found, name: tuple(found[1].tags),
    "vpc-endpoint-id": lambda found, name: (found[0].id,),
    "vpc-endpoint-state": lambda found, name: (AVAILABLE,),
    "vpc-endpoint-type": lambda found, name: (INTERFACE,),
    "vpc-id": lambda found, name: (found[0].vpc,),
    TAG: lambda found, name: (found[1].tags[name],) if name in found[1].tags else (),
}


class EndpointOperations:
    """The operations."""

    def __init__(self, endpoints: KnownEndpoints) -> None:
        self._endpoints = endpoints

    async def describe_vpc_endpoints(self, context: Context, request: Request) -> Request:
        """The endpoints of the region, or those with these ids."""
        region, is_listed = context.region, matches(request, _FILTERS)
        ids = request.get("VpcEndpointIds")
        if ids and "MaxResults" in request:
            raise InvalidParameterCombination("The parameters VpcEndpointId and MaxResults cannot be used together")
        ways = self._endpoints.of(region)
        if ids:
            wanted = {self._endpoints.find(region, one).id for one in ids}
            ways = [way for way in ways if way.id in wanted]
        found = [one for way in ways if is_listed(one := (way, await way.record(region)))]
        shown, more = page(region, "DescribeVpcEndpoints", request, found, lambda one: one[0].id)
        return {"VpcEndpoints": [_described(*one) for one in shown], **more}

    async def modify_vpc_endpoint(self, context: Context, request: Request) -> Request:
        """Give an endpoint another policy, or that of the settings again. It holds from the next request on."""
        way = self._endpoints.find(context.region, request["VpcEndpointId"])
        others = sorted(request.keys() - set(_SETTABLE))
        if others:
            raise UnsupportedOperation(
                f"{others[0]} cannot be modified: where an endpoint listens is in the server's configuration file"
            )
        document, resets = request.get("PolicyDocument"), request.get("ResetPolicy", False)
        if document is not None and resets:
            raise InvalidParameterCombination("The parameters PolicyDocument and ResetPolicy cannot be used together")
        if document is None and not resets:
            raise MissingParameter("The request must contain the parameter PolicyDocument or ResetPolicy")
        if document is not None:
            try:
                check_policy(document)
            except MalformedPolicy as error:
                raise InvalidPolicyDocument(f"The policy document is malformed: {error}") from None
        await change(context.region, (way,), lambda record: replace(record, policy=document))
        return {"Return": True}


async def refuse(context: Context, request: Request) -> None:
    """Raise UnsupportedOperation: endpoints are in the settings."""
    raise UnsupportedOperation(MADE_IN_SETTINGS)


def _described(way: EndpointWay, record: EndpointRecord) -> Request:
    return {
        "VpcEndpointId": way.id,
        "VpcEndpointType": INTERFACE,
        "VpcId": way.vpc,
        "ServiceName": _service_name(way),
        "ServiceRegion": way.region,
        "State": AVAILABLE,
        "PolicyDocument": way.at_first if record.policy is None else record.policy,
        "RouteTableIds": [],
        "SubnetIds": [],
        "Groups": [],
        "NetworkInterfaceIds": [],
        "IpAddressType": _ip_type(way),
        "PrivateDnsEnabled": False,
        "RequesterManaged": False,
        "DnsEntries": [{"DnsName": way.authority}],
        "Tags": [{"Key": key, "Value": value} for key, value in sorted(record.tags.items())],
        "OwnerId": way.account,
    }


def _service_name(way: EndpointWay) -> str:
    return f"com.amazonaws.{way.region}.{SERVED}"


def _ip_type(way: EndpointWay) -> str:
    return "ipv6" if way.authority.startswith("[") else "ipv4"
